//! The effect of stale spectra on training: FOSI over intervals T between estimations and delays D (§6 and A.8 of the
//! paper, where a large T may diverge).

mod report;
mod sweep;

pub use report::{Row, csv, picture, table};
pub use sweep::{Place, Sweep, SweepPlan};
