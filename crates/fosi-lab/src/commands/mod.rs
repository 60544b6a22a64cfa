//! The commands, from the parsed command line to the exit status.

mod compare;
mod curvature;
mod data;
mod error;
mod html;
mod maker;
mod output;
mod quadratic;
mod report;
mod solve;
mod spectrum;
mod stale;
mod study;
mod surroundings;
mod train;
mod workers;

pub use compare::{compare, figure, table, verdict};
pub use data::data;
pub use error::CommandError;
pub use html::report;
pub use quadratic::{MakeTick, quadratic};
pub use solve::solve;
pub use spectrum::spectrum;
pub use study::study;
pub use surroundings::{MakeObserver, Surroundings};
pub use train::{MakeWorkload, train};
