//! One page of HTML about one or several runs: heading, curves, results, spectra, refreshes, failures, settings.
//!
//! The page stands alone: styles, pictures and its one script are inside, and it asks no network for anything. Pictures
//! are SVG made here, one for each choice of axes; choices are radio buttons and checkboxes that style sheets alone
//! heed. The script adds the values under the pointer or the arrow keys, and keeps the choices in the address.

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
