//! A stored run: its results and its curve.

use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::meter::{Point, Stop};

/// The reason for a run's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopped {
    /// The problem counts as solved.
    Solved,
    /// The budget is used up.
    Budget,
    /// The solver ended by itself: it converged, or no step decreased f.
    Converged,
    /// The solver failed with an error.
    Failed,
    /// The user interrupted the run, which is made again at the next start.
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

/// A run, as stored in `<solver>-<seed>.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The version of this format.
    pub format: u64,
    /// The solver: one of this program's, or another in a file from elsewhere.
    pub solver: String,
    /// The seed of the start point.
    pub seed: u64,
    /// The problem.
    pub problem: String,
    /// n.
    pub n: usize,
    /// The budget.
    pub budget: Budget,
    /// The number of L-BFGS pairs; `None` if the solver stores none.
    pub memory: Option<usize>,
    /// The lowest f.
    pub value: f64,
    /// ‖∇f‖ at the lowest f.
    pub gradient_norm: f64,
    /// The number of gradients and products.
    pub cost: u64,
    /// Gradients.
    pub gradients: u64,
    /// Exact Hessian-vector products.
    pub products: u64,
    /// Estimations of the spectrum.
    pub estimations: u64,
    /// The cost at which the problem counted as solved; `None` if it never did or has no known minimum.
    pub solved_at: Option<u64>,
    /// ‖u − u*‖/‖u*‖ at the lowest f, for networks with a known solution.
    pub relative_error: Option<f64>,
    /// Wall time.
    pub seconds: f64,
    /// The reason for the run's end.
    pub stopped: Stopped,
    /// The reason in words, which are the solver's if it ended by itself.
    pub reason: String,
    /// The program that made the run, with its version.
    pub version: String,
}

impl Record {
    /// The version of the format.
    pub const FORMAT: u64 = 1;
}

/// One solver's run from one start.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its results.
    pub record: Record,
    /// Each gradient that decreased f, and the end.
    pub curve: Vec<Point>,
}

impl Run {
    /// The cost at which f was first at most `target`.
    pub fn cost_to(&self, target: f64) -> Option<u64> {
        let reached = self.curve.iter().find(|point| point.value <= target);
        reached.map(|point| point.cost)
    }
}
