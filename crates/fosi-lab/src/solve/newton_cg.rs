//! Newton's method with conjugate gradients, by the crate argmin.
//!
//! Of argmin's two, Steihaug's trust region is taken: its Newton-CG with the line search of Moré and Thuente solves
//! 18 of the set of Moré, Garbow and Hillstrom with `logistic` and `kernel-ridge` within a cost of 3,000, and
//! Steihaug's 32 of these 35, many of whose Hessians are indefinite along the way.

use std::cell::RefCell;

use argmin::solver::trustregion::{Steihaug, TrustRegion};

use super::argmin_problem::ArgminProblem;
use super::meter::Meter;
use super::solver::Ending;

/// With exact products and argmin's settings: radius 1 at first, 100 at most. It never ends by itself.
pub(super) fn newton_cg(meter: &RefCell<Meter<'_>>, start: &[f64]) -> Ending {
    ArgminProblem::new(meter).minimize(TrustRegion::new(Steihaug::new()), start)
}
