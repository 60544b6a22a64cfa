//! [`fosi::minimize()`] with and without estimations of the spectrum.

use std::cell::RefCell;

use fosi::minimize::{Objective, Options, Status, minimize};

use super::meter::{Meter, Stop};
use super::record::Stopped;
use super::solver::{Ending, SolverOptions};

/// L-BFGS with the spectral metric.
pub(super) fn fosi(meter: &RefCell<Meter<'_>>, start: &[f64], options: SolverOptions) -> Ending {
    run(meter, start, options, None)
}

/// L-BFGS alone.
pub(super) fn lbfgs(meter: &RefCell<Meter<'_>>, start: &[f64], options: SolverOptions) -> Ending {
    run(meter, start, options, Some(u64::MAX))
}

fn run(
    meter: &RefCell<Meter<'_>>,
    start: &[f64],
    options: SolverOptions,
    first_estimation: Option<u64>,
) -> Ending {
    let (nonnegative, dim, left) = {
        let meter = meter.borrow();
        (meter.problem().nonnegative, meter.dim(), meter.left())
    };
    let objective = Objective::new(dim, |x, gradient| {
        Ok(meter.borrow_mut().evaluate(x, gradient)?)
    })
    .with_product(|x, v, out| Ok(meter.borrow_mut().product(x, v, out)?));
    let options = Options {
        gradient_norm: 0.0,
        max_cost: left.unwrap_or(u64::MAX),
        memory: options.memory,
        lower_bound: nonnegative.then_some(0.0),
        check_gradient: false,
        seed: options.seed,
        first_estimation,
        ..Options::default()
    };
    match minimize(objective, start, options) {
        Ok(minimum) => Ending {
            stopped: match minimum.status {
                Status::MaxCost => Stopped::Budget,
                Status::Failed(_) => Stopped::Failed,
                _ => Stopped::Converged,
            },
            reason: match minimum.status {
                Status::MaxCost => Stop::Budget.to_string(),
                status => status.to_string(),
            },
            estimations: minimum.estimations.len() as u64,
        },
        Err(error) => Ending::failed(&error),
    }
}
