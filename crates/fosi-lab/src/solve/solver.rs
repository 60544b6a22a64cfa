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
    /// What minimises.
    #[derive(strum::EnumIter)]
    pub enum Solver {
        /// L-BFGS on top of the spectral metric: [`fosi::minimize()`].
        Fosi,
        /// The same without estimations: plain L-BFGS with the same line search.
        Lbfgs,
        /// The L-BFGS of the crate argmin with the line search of Moré and Thuente.
        LbfgsArgmin,
        /// The trust region of argmin, whose steps are those of conjugate gradients (Steihaug), with exact products.
        NewtonCg,
        /// BFGS with a dense inverse Hessian and the line search of Moré and Thuente.
        Bfgs,
        /// Adam at the rate 1e-3 for a tenth of the budget, then [`Solver::Lbfgs`].
        AdamLbfgs,
    }
}

/// What a solver is told beside the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SolverOptions {
    /// Pairs of L-BFGS.
    pub memory: usize,
    /// Seed of Lanczos' vectors.
    pub seed: u64,
}

/// How a solver ended where nothing stopped it from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What ended it.
    pub stopped: Stopped,
    /// The same in its own words.
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

/// That the meter ended the run.
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
    /// Largest n of the dense BFGS, which keeps n² numbers: 200 MB.
    pub const MOST_DENSE: usize = 5_000;

    /// Refuses a problem that this solver can't take.
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

    /// Whether it keeps pairs of L-BFGS.
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
