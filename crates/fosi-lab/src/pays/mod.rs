//! Whether FOSI pays: the steps and seconds that a base optimizer needs, at its best learning rate and with the
//! schedule, to reach the training loss of FOSI at its best rate.

mod error;
mod kept;
mod method;
mod picture;
mod ranges;
mod record;
pub mod refused;
mod report;
mod result;
mod saving;
mod search;
mod study;
mod variant;

pub use error::PaysError;
pub use kept::{Claim, KeptRuns};
pub use method::{Method, Outcome, Standing};
pub use picture::picture;
pub use record::Record;
pub use report::Report;
pub use result::{Comparison, Entry, Saving};
pub use saving::{Bounded, BoundedSpread, End, LENGTHS, falls, steps_to};
pub use search::{Best, Grid, Next};
pub use study::Study;
pub use variant::Variant;
