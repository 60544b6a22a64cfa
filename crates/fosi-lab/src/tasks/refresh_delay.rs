//! Estimations at parameters from earlier steps, for the study of stale spectra.

use crate::config::{RefreshSchedule, TrainConfig};

/// Stores the parameters at which the next estimation takes the Hessian.
#[derive(Debug)]
pub(super) struct RefreshDelay<M> {
    /// D: steps between the parameters and the estimation; 0 for the current parameters.
    delay: u64,
    /// W: steps before the first estimation.
    warmup: u64,
    /// T: steps between estimations.
    interval: u64,
    kept: Option<M>,
}

impl<M: Clone> RefreshDelay<M> {
    pub(super) fn new(config: &TrainConfig, steps_per_epoch: usize) -> Self {
        let interval = match config.refreshes {
            RefreshSchedule::Interval(steps) => steps as u64,
            RefreshSchedule::Overhead(_) => u64::MAX,
        };
        Self {
            delay: config.refresh_delay as u64,
            warmup: config.warmup_steps(steps_per_epoch) as u64,
            interval: interval.max(1),
            kept: None,
        }
    }

    /// Stores `model` after `taken` steps if an estimation follows D steps later. The initial parameters also serve
    /// estimations within the first D steps.
    pub(super) fn see(&mut self, taken: u64, model: &M) {
        let Self {
            delay,
            warmup,
            interval,
            ..
        } = *self;
        let estimation = taken.saturating_add(delay);
        let follows = estimation >= warmup && (estimation - warmup).is_multiple_of(interval);
        if delay > 0 && (follows || taken == 0) {
            self.kept = Some(model.clone());
        }
    }

    /// The stored parameters for the estimation, or `None` for the current ones.
    pub(super) fn take(&mut self) -> Option<M> {
        self.kept.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Preset, TaskName};

    /// For each estimation, the number of steps after which its parameters were stored.
    fn taken_at_estimations(delay: usize, warmup: usize) -> Vec<Option<u64>> {
        let config = TrainConfig {
            refresh_delay: delay,
            warmup: Some(warmup),
            refreshes: RefreshSchedule::Interval(5),
            ..TrainConfig::defaults(TaskName::Lr, None, Preset::Small)
        };
        let mut delay = RefreshDelay::new(&config, 100);
        let mut found = Vec::new();
        for taken in 0..=warmup as u64 + 10 {
            if taken >= warmup as u64 && (taken - warmup as u64).is_multiple_of(5) {
                found.push(delay.take());
            }
            delay.see(taken, &taken);
        }
        found
    }

    #[test]
    fn estimations_take_the_parameters_of_d_steps_before() {
        assert_eq!(taken_at_estimations(2, 7), [Some(5), Some(10), Some(15)]);
        assert_eq!(taken_at_estimations(5, 7), [Some(2), Some(7), Some(12)]);
        assert_eq!(taken_at_estimations(0, 7), [None, None, None]);
    }

    #[test]
    fn an_early_estimation_takes_those_of_the_start() {
        assert_eq!(taken_at_estimations(4, 3), [Some(0), Some(4), Some(9)]);
        // At the start there are no earlier parameters.
        assert_eq!(taken_at_estimations(4, 0), [None, Some(1), Some(6)]);
    }
}
