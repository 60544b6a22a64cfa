//! Newton's method with conjugate gradients, from the crate argmin.
//!
//! The solver uses argmin's Steihaug trust region instead of argmin's Newton-CG with the line search of Moré and
//! Thuente: within a cost of 3,000, the latter solves 18 of the 35 problems (the set of Moré, Garbow and Hillstrom,
//! `logistic` and `kernel-ridge`) and the former 32. Many of the Hessians are indefinite along the way.

use std::cell::RefCell;

use argmin::solver::trustregion::{Steihaug, TrustRegion};

use super::argmin_problem::ArgminProblem;
use super::meter::Meter;
use super::solver::Ending;

/// Uses exact products and argmin's settings: an initial radius of 1, at most 100. It never ends by itself.
pub(super) fn newton_cg(meter: &RefCell<Meter<'_>>, start: &[f64]) -> Ending {
    ArgminProblem::new(meter).minimize(TrustRegion::new(Steihaug::new()), start)
}
