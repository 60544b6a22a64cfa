//! The solvers by name.

use std::cell::RefCell;

use super::SolveError;
use super::adam::adam_lbfgs;
use super::bfgs::bfgs;
use super::lbfgs_argmin::lbfgs_argmin;
use super::meter::{Meter, Stop};
use super::newton_cg::newton_cg;
use super::record::Stopped;
use super::with_fosi;
use crate::names::named;

named! {
    "solver",
    /// The solver.
    #[derive(strum::EnumIter)]
    pub enum Solver {
        /// L-BFGS with the spectral metric: [`fosi::minimize()`].
        Fosi,
        /// The same without estimations: L-BFGS with the same line search.
        Lbfgs,
        /// argmin's L-BFGS with the line search of Moré and Thuente.
        LbfgsArgmin,
        /// argmin's trust region with conjugate-gradient steps (Steihaug) and exact products.
        NewtonCg,
        /// BFGS with a dense inverse Hessian and the line search of Moré and Thuente.
        Bfgs,
        /// Adam at the rate 1e-3 for a tenth of the budget, then [`Solver::Lbfgs`].
        AdamLbfgs,
    }
}

/// The options of a solver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SolverOptions {
    /// The number of L-BFGS pairs.
    pub memory: usize,
    /// The seed of Lanczos's start vectors.
    pub seed: u64,
}

/// The ending of a solver that was not stopped by the meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The reason.
    pub stopped: Stopped,
    /// The reason in words.
    pub reason: String,
    /// Estimations of the spectrum.
    pub estimations: u64,
}

impl Ending {
    pub(super) fn failed(error: &dyn std::fmt::Display) -> Self {
        Self {
            stopped: Stopped::Failed,
            reason: error.to_string(),
            estimations: 0,
        }
    }

    pub(super) fn converged(reason: &str) -> Self {
        Self {
            stopped: Stopped::Converged,
            reason: reason.to_owned(),
            estimations: 0,
        }
    }
}

/// The meter ended the run.
impl From<Stop> for Ending {
    fn from(stop: Stop) -> Self {
        Self {
            stopped: stop.into(),
            reason: stop.to_string(),
            estimations: 0,
        }
    }
}

impl Solver {
    /// The largest n of the dense BFGS, whose n² numbers take 200 MB.
    pub const MOST_DENSE: usize = 5_000;

    /// Refuses a problem that this solver does not support.
    ///
    /// # Errors
    /// [`SolveError::TooLarge`].
    pub fn check(self, problem: &'static str, n: usize) -> Result<(), SolveError> {
        match self {
            Self::Bfgs if n > Self::MOST_DENSE => Err(SolveError::TooLarge {
                problem,
                n,
                most: Self::MOST_DENSE,
            }),
            _ => Ok(()),
        }
    }

    /// Whether it stores L-BFGS pairs.
    pub fn has_memory(self) -> bool {
        !matches!(self, Self::NewtonCg | Self::Bfgs)
    }

    /// Minimises from `start` until the solver or the meter ends the run.
    pub fn minimize(
        self,
        meter: &RefCell<Meter<'_>>,
        start: &[f64],
        options: SolverOptions,
    ) -> Ending {
        match self {
            Self::Fosi => with_fosi::fosi(meter, start, options),
            Self::Lbfgs => with_fosi::lbfgs(meter, start, options),
            Self::LbfgsArgmin => lbfgs_argmin(meter, start, options.memory),
            Self::NewtonCg => newton_cg(meter, start),
            Self::Bfgs => bfgs(meter, start),
            Self::AdamLbfgs => adam_lbfgs(meter, start, options),
        }
    }
}
