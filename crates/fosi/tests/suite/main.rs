//! The tests of `fosi` from outside, in one program: they compile in a fraction of the time that one each would take.

mod allocations;
mod averaging;
mod battery;
mod checkpoint;
mod configurations;
mod density;
mod minimize;
mod minimize_with;
mod momentum;
mod newton_rate;
mod numerics;
mod paper;
mod safeguards;
mod schedule;
mod spectrum;
mod step;
mod sums;
mod theory;
mod timing;
mod trace;

use fosi::{Averaging, FosiConfig};

/// The defaults, but for a spectrum that is each refresh's own, from all of its Lanczos steps.
fn raw() -> FosiConfig {
    FosiConfig {
        lanczos_tolerance: None,
        averaging: Averaging::Off,
        ..FosiConfig::default()
    }
}
