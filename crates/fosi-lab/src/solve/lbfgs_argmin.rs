//! argmin's L-BFGS.

use std::cell::RefCell;

use argmin::core::Error;
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

use super::argmin_problem::ArgminProblem;
use super::meter::Meter;
use super::solver::Ending;

/// Uses the line search of Moré and Thuente without tolerances: it ends when the meter or the line search ends it.
pub(super) fn lbfgs_argmin(meter: &RefCell<Meter<'_>>, start: &[f64], memory: usize) -> Ending {
    let solver = || -> Result<_, Error> {
        LBFGS::new(MoreThuenteLineSearch::new(), memory)
            .with_tolerance_grad(0.0)?
            .with_tolerance_cost(0.0)
    };
    match solver() {
        Ok(solver) => ArgminProblem::new(meter).minimize::<_, ()>(solver, start),
        Err(error) => Ending::failed(&error),
    }
}
