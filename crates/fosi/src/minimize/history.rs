//! The costs and results of a minimisation, for either solver.

use std::time::{Duration, Instant};

use super::minimum::{Curvature, Estimation, Evaluated, FailedEstimation, Minimum, Status};
use crate::ranks::Ranks;
use crate::space::Space;

/// Everything except the points.
#[derive(Debug)]
pub(super) struct History {
    pub(super) counters: Counters,
    pub(super) stopwatch: Stopwatch,
    /// The curvature at the last point.
    pub(super) curvature: Curvature,
    pub(super) estimations: Vec<Estimation>,
    pub(super) failed_estimations: Vec<FailedEstimation>,
}

impl History {
    /// The state after the evaluation at the start.
    pub(super) fn new(stopwatch: Stopwatch, counters: Counters) -> Self {
        Self {
            counters,
            stopwatch,
            curvature: Curvature::NotExamined,
            estimations: Vec::new(),
            failed_estimations: Vec::new(),
        }
    }

    /// The result.
    pub(super) fn finish<S: Space>(
        self,
        best: Evaluated<S::Owned>,
        last: Evaluated<S::Owned>,
        status: Status,
    ) -> Minimum<S> {
        Minimum {
            best,
            last,
            status,
            curvature: self.curvature,
            steps: self.counters.steps,
            gradients: self.counters.gradients,
            products: self.counters.products,
            cost: self.counters.cost,
            estimations: self.estimations,
            failed_estimations: self.failed_estimations,
            seconds: self.stopwatch.seconds(),
        }
    }
}

/// Costs and progress so far.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Counters {
    /// Steps taken.
    pub(super) steps: u64,
    /// Gradients computed, those of difference quotients included.
    pub(super) gradients: u64,
    /// Hessian-vector products.
    pub(super) products: u64,
    /// Gradients and exact products.
    pub(super) cost: u64,
    /// Steps since the last decrease of f or ‖∇f‖.
    pub(super) idle: u32,
    /// ‖∇f‖ at the start.
    pub(super) first_gradient_norm: f64,
    /// The least ‖∇f‖ so far.
    pub(super) least_gradient_norm: f64,
}

/// Steps without progress after which a run has stalled.
const MOST_IDLE: u32 = 20;

impl Counters {
    /// The state after the evaluation at the start.
    pub(super) fn new(gradient_norm: f64) -> Self {
        Self {
            steps: 0,
            gradients: 1,
            products: 0,
            cost: 1,
            idle: 0,
            first_gradient_norm: gradient_norm,
            least_gradient_norm: gradient_norm,
        }
    }

    /// Whether a run can reach these values: counts far below overflow, and valid norms.
    pub(super) fn are_possible(&self) -> bool {
        const MOST: u64 = 1 << 53;
        let counts = [self.steps, self.gradients, self.products, self.cost];
        let norms = [self.first_gradient_norm, self.least_gradient_norm];
        let is_norm = |norm: &f64| *norm >= 0.0 && norm.is_finite();
        counts.iter().all(|count| *count <= MOST) && norms.iter().all(is_norm)
    }

    /// Counts one gradient.
    pub(super) fn count_gradient(&mut self) {
        self.gradients += 1;
        self.cost += 1;
    }

    /// Counts products and the gradients that they took in total; 0 gradients for exact products.
    pub(super) fn count_products(&mut self, products: u64, gradients: u64) {
        self.gradients += gradients;
        self.products += products;
        self.cost += if gradients > 0 { gradients } else { products };
    }

    /// Whether so many steps made no progress that f must have reached its precision.
    pub(super) fn has_stalled(&self) -> bool {
        self.idle >= MOST_IDLE
    }

    /// Counts a step to a point with this gradient norm; `fell`: whether f is lower there than ever before.
    pub(super) fn count_step(&mut self, fell: bool, gradient_norm: f64) {
        self.steps += 1;
        let flatter = gradient_norm < 0.999 * self.least_gradient_norm;
        self.idle = if fell || flatter {
            0
        } else {
            self.idle.saturating_add(1)
        };
        self.least_gradient_norm = self.least_gradient_norm.min(gradient_norm);
    }
}

/// The wall time of a run, including the time before it was resumed.
#[derive(Debug, Clone)]
pub(super) struct Stopwatch {
    started: Instant,
    before: f64,
    ranks: Ranks,
}

impl Stopwatch {
    /// Starts the stopwatch after `before` seconds in earlier processes. On several ranks, rank 0's clock decides when
    /// the time is used up.
    pub(super) fn start(before: f64, ranks: &Ranks) -> Self {
        Self {
            started: Instant::now(),
            before,
            ranks: ranks.clone(),
        }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// The time at which `max_time` is used up.
    pub(super) fn deadline(&self, max_time: Option<Duration>) -> Option<Deadline> {
        let left = max_time?.as_secs_f64() - self.before;
        let left = Duration::try_from_secs_f64(left.max(0.0)).ok()?;
        Some(Deadline {
            at: self.started.checked_add(left)?,
            ranks: self.ranks.clone(),
        })
    }
}

/// The time at which a run must end.
#[derive(Debug, Clone)]
pub(super) struct Deadline {
    at: Instant,
    ranks: Ranks,
}

impl Deadline {
    pub(super) fn is_over(&self) -> bool {
        self.ranks.agree_on(Instant::now() >= self.at)
    }
}
