//! The learning rate of each step: warm-up, then the schedule.

use std::f64::consts::FRAC_PI_2;

use super::{LearningRateSchedule, TrainConfig};
use crate::optimizers::OptimizerName;

/// The learning rate η of each step of a run of N steps with W steps of warm-up.
///
/// Warm-up step j = 1, …, W has the rate ηj/W. The following S = N − W steps t = 0, …, S − 1 have the rate
///
/// - constant: η,
/// - cosine: η·½(1 + cos(πt/S)),
/// - linear: η(1 − t/S).
///
/// The last two would be 0 at t = S, after the last step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRate {
    largest: f64,
    schedule: LearningRateSchedule,
    /// W.
    warmup: u64,
    /// N.
    steps: u64,
}

impl LearningRate {
    /// The rate of the next step after `taken` steps.
    #[must_use]
    pub fn at(&self, taken: u64) -> f64 {
        if taken < self.warmup {
            return self.largest * ((taken + 1) as f64 / self.warmup as f64);
        }
        let scheduled = self.steps.saturating_sub(self.warmup) as f64;
        let left = self.steps.saturating_sub(taken) as f64 / scheduled;
        match self.schedule {
            LearningRateSchedule::Constant => self.largest,
            // ½(1 + cos(π(1 − x))), without the cancellation near x = 0.
            LearningRateSchedule::Cosine => self.largest * (FRAC_PI_2 * left).sin().powi(2),
            LearningRateSchedule::Linear => self.largest * left,
        }
    }

    /// The largest rate of the steps up to the one at which `taken` steps have been taken.
    #[must_use]
    pub fn largest_until(&self, taken: u64) -> f64 {
        // The rate rises over the warm-up and never afterwards.
        self.at(taken).max(self.at(taken.min(self.warmup)))
    }
}

impl TrainConfig {
    /// The learning rate of an optimizer, including its factor.
    #[must_use]
    pub fn learning_rate(&self, optimizer: OptimizerName, steps_per_epoch: usize) -> LearningRate {
        LearningRate {
            largest: self.lr.get(optimizer.family) * optimizer.rate.get(),
            schedule: self.schedule,
            warmup: self.warmup_rate as u64,
            steps: self.length.steps(steps_per_epoch),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;
    use crate::config::{Preset, TaskName, TrainingLength};

    fn rates(schedule: LearningRateSchedule, warmup: usize) -> Vec<f64> {
        let config = TrainConfig {
            schedule,
            warmup_rate: warmup,
            length: TrainingLength::Steps(10),
            ..TrainConfig::defaults(TaskName::Lr, None, Preset::Small)
        };
        let rate = config.learning_rate("hb*3".parse().unwrap(), 7);
        (0..10).map(|taken| rate.at(taken)).collect()
    }

    fn assert_close(found: &[f64], expected: impl Iterator<Item = f64>) {
        let expected: Vec<f64> = expected.collect();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let error = (found - expected).abs();
            assert!(error <= 1e-15, "{found} for {expected}");
        }
    }

    /// Heavy-Ball's learning rate 0.1 times the factor 3.
    const LARGEST: f64 = 0.1 * 3.0;

    #[test]
    fn without_a_schedule_every_step_has_the_same_bits() {
        assert_eq!(rates(LearningRateSchedule::Constant, 0), [LARGEST; 10]);
    }

    #[test]
    fn schedules_fall_from_the_rate_to_zero_at_the_end() {
        let cosine = |t: u32| LARGEST * 0.5 * (1.0 + (PI * f64::from(t) / 10.0).cos());
        let found = rates(LearningRateSchedule::Cosine, 0);
        assert_close(&found, (0..10).map(cosine));
        assert_eq!(found[0], LARGEST);
        let linear = |t: u32| LARGEST * (1.0 - f64::from(t) / 10.0);
        let found = rates(LearningRateSchedule::Linear, 0);
        assert_close(&found, (0..10).map(linear));
        assert_eq!(found[0], LARGEST);
    }

    #[test]
    fn warmup_rises_to_the_rate_and_the_schedule_begins_after_it() {
        let rising = [0.25, 0.5, 0.75, 1.0].map(|share| LARGEST * share);
        let cosine = |t: u32| LARGEST * 0.5 * (1.0 + (PI * f64::from(t) / 6.0).cos());
        let found = rates(LearningRateSchedule::Cosine, 4);
        assert_close(&found, rising.into_iter().chain((0..6).map(cosine)));
        assert_eq!(found[3], LARGEST);
        let found = rates(LearningRateSchedule::Constant, 4);
        assert_close(&found[..4], rising.into_iter());
        assert_eq!(found[4..], [LARGEST; 6]);
    }

    #[test]
    fn a_warmup_of_the_whole_run_ends_at_the_rate() {
        let found = rates(LearningRateSchedule::Constant, 10);
        assert_close(&found, (1..=10).map(|j| LARGEST * f64::from(j) / 10.0));
        assert_eq!(found[9], LARGEST);
    }

    #[test]
    fn near_the_end_of_a_long_run_the_rate_keeps_its_digits() {
        let rate = LearningRate {
            largest: 1.0,
            schedule: LearningRateSchedule::Cosine,
            warmup: 0,
            steps: 1 << 40,
        };
        // ½(1 − cos x) = x²/4 to the order x⁴.
        let x = PI / (1_u64 << 40) as f64;
        let found = rate.at((1 << 40) - 1);
        assert!((found / (x * x / 4.0) - 1.0).abs() < 1e-12, "{found}");
        assert_eq!(rate.at(1 << 40), 0.0);
    }
}
