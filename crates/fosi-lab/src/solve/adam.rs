//! Adam followed by L-BFGS, the usual training of physics-informed networks.

use std::cell::RefCell;

use fosi::base::{Adam, Base, BaseStep};
use fosi::{Host, Space};

use super::meter::Meter;
use super::solver::{Ending, SolverOptions};
use super::with_fosi;

const LEARNING_RATE: f64 = 1e-3;
/// Adam's share of the budget.
const SHARE: f64 = 0.1;

/// Adam for a tenth of the budget, then L-BFGS from its last point.
pub(super) fn adam_lbfgs(
    meter: &RefCell<Meter<'_>>,
    start: &[f64],
    options: SolverOptions,
) -> Ending {
    let mut x = start.to_vec();
    let first = adam(&mut meter.borrow_mut(), &mut x);
    match first {
        Ok(()) => with_fosi::lbfgs(meter, &x, options),
        Err(ending) => ending,
    }
}

fn adam(meter: &mut Meter<'_>, x: &mut [f64]) -> Result<(), Ending> {
    let space = Host::<f64>::new(x.len());
    let mut base = Adam::default();
    let mut state = vec![space.zeros(); Base::<Host<f64>>::state_len(&base)];
    let mut gradient = space.zeros();
    let mut step = 0;
    while meter.share() < SHARE {
        step += 1;
        meter.evaluate(x, &mut gradient)?;
        let at = BaseStep {
            space: &space,
            step,
            learning_rate: LEARNING_RATE,
            state: &mut state,
        };
        base.direction(at, x, &mut gradient)
            .map_err(|error| Ending::failed(&error))?;
        space.axpby(-1.0, &gradient, 1.0, x);
    }
    Ok(())
}
