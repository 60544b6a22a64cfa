//! The integration tests of `fosi` in one program, which compiles much faster than one program per file.

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
mod ranks;
mod safeguards;
mod schedule;
mod spectrum;
mod step;
mod sums;
mod theory;
mod timing;
mod trace;

use fosi::{Averaging, FosiConfig};

/// The defaults, without averaging and with all m Lanczos steps per refresh.
fn raw() -> FosiConfig {
    FosiConfig {
        lanczos_tolerance: None,
        averaging: Averaging::Off,
        ..FosiConfig::default()
    }
}
