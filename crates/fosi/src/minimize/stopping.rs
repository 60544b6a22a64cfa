//! The stopping rules of a minimisation, for either solver.

use std::time::Duration;

use super::history::History;
use super::minimum::Status;
use crate::error::{Error, require};

/// The limits of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) gradient_norm: f64,
    pub(super) relative_gradient_norm: f64,
    pub(super) value_change: f64,
    pub(super) max_cost: u64,
    pub(super) max_steps: u64,
    pub(super) max_time: Option<Duration>,
}

impl Limits {
    /// # Errors
    /// [`Error::InvalidSetting`] for a negative tolerance.
    pub(super) fn validate(&self) -> Result<(), Error> {
        let tolerances = [
            ("gradient_norm", self.gradient_norm),
            ("relative_gradient_norm", self.relative_gradient_norm),
            ("value_change", self.value_change),
        ];
        for (setting, given) in tolerances {
            require(given >= 0.0, setting, given, "at least 0")?;
        }
        Ok(())
    }

    /// The reason not to take another step at a point with this gradient norm, if any.
    pub(super) fn stop(&self, gradient_norm: f64, history: &History) -> Option<Status> {
        let first = history.counters.first_gradient_norm;
        let relative = self.relative_gradient_norm * first;
        if gradient_norm <= self.gradient_norm.max(relative) {
            return Some(Status::GradientNorm);
        }
        self.exhausted(history)
    }

    /// The limit that is used up, if any.
    pub(super) fn exhausted(&self, history: &History) -> Option<Status> {
        let counters = &history.counters;
        if counters.steps >= self.max_steps {
            return Some(Status::MaxSteps);
        }
        if counters.cost >= self.max_cost {
            return Some(Status::MaxCost);
        }
        let deadline = history.stopwatch.deadline(self.max_time);
        let late = deadline.is_some_and(|deadline| deadline.is_over());
        late.then_some(Status::MaxTime)
    }

    /// Whether a step from `before` to `after` ends the run by `value_change`.
    pub(super) fn settled(&self, before: f64, after: f64) -> bool {
        let share = self.value_change;
        share > 0.0 && (before - after).abs() <= share * after.abs()
    }
}
