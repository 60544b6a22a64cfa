//! A run as it is kept: what it came to, and its curve.

use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::meter::{Point, Stop};

/// What ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopped {
    /// The problem counts as solved.
    Solved,
    /// The budget is used up.
    Budget,
    /// The solver ended by itself: satisfied, or without a step that lowers f.
    Converged,
    /// The solver gave up with an error.
    Failed,
    /// The user; such a run is made again.
    Interrupted,
}

impl From<Stop> for Stopped {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Solved => Self::Solved,
            Stop::Budget => Self::Budget,
            Stop::Interrupted => Self::Interrupted,
        }
    }
}

/// A run in `<solver>-<seed>.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of this format.
    pub format: u64,
    /// The solver: one of this program's, or any other in a file from elsewhere.
    pub solver: String,
    /// The start's seed.
    pub seed: u64,
    /// The problem.
    pub problem: String,
    /// n.
    pub n: usize,
    /// What was allowed.
    pub budget: Budget,
    /// Pairs of L-BFGS; none where the solver keeps none.
    pub memory: Option<usize>,
    /// The lowest f.
    pub value: f64,
    /// ‖∇f‖ there.
    pub gradient_norm: f64,
    /// Gradients and products.
    pub cost: u64,
    /// Gradients.
    pub gradients: u64,
    /// Exact Hessian-vector products.
    pub products: u64,
    /// Estimations of the spectrum.
    pub estimations: u64,
    /// Cost at which the problem counted as solved; none where it never did, or has no known minimum.
    pub solved_at: Option<u64>,
    /// ‖u − u*‖/‖u*‖ at the lowest f, for networks with a known solution.
    pub relative_error: Option<f64>,
    /// Wall time.
    pub seconds: f64,
    /// What ended the run.
    pub stopped: Stopped,
    /// The same in words, the solver's where it ended by itself.
    pub reason: String,
    /// What made the run, with its version.
    pub version: String,
}

impl Record {
    /// Version of the format.
    pub const FORMAT: u64 = 1;
}

/// One solver's run from one start.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What it came to.
    pub record: Record,
    /// Each gradient that lowered f, and the end.
    pub curve: Vec<Point>,
}

impl Run {
    /// The cost at which f was first at most `target`.
    pub fn cost_to(&self, target: f64) -> Option<u64> {
        let reached = self.curve.iter().find(|point| point.value <= target);
        reached.map(|point| point.cost)
    }
}
