//! An HTML page about one or several runs: heading, curves, results, spectra, refreshes, failures, settings.
//!
//! The page is self-contained: it includes its styles, pictures and script, and needs no network. The pictures are SVG,
//! one per choice of axes; the choices are radio buttons and checkboxes that work through style sheets alone. The
//! script shows the values at the pointer or the arrow keys, and keeps the choices in the address.

mod chart;
mod curves;
mod facts;
mod groups;
mod line;
mod page;
mod readings;
mod refreshes;
mod results;
mod settings;
mod signed_axis;
mod spectra;
mod style;

pub use page::{HtmlError, PageOptions, page};

#[cfg(test)]
mod tests;
