//! The examples over which an estimation takes the Hessian.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::{CurvatureSource, TrainConfig};
use crate::data::Batches;

/// The number and the source of the examples over which an estimation takes the Hessian.
#[derive(Clone, Debug)]
pub(super) struct CurvatureBatch {
    /// `None`: the whole batch.
    size: Option<usize>,
    from: CurvatureSource,
    batches: Batches,
    /// The batch size, which is also the largest slice.
    batch: usize,
    /// The number of training examples.
    examples: usize,
    seed: u64,
}

/// The examples of one estimation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Curvature {
    /// The examples of the step's batch.
    OfStep,
    /// These examples, in slices whose sizes differ by at most one.
    Of(Vec<Vec<u32>>),
}

impl CurvatureBatch {
    pub(super) fn new(config: &TrainConfig, examples: usize, seed: u64) -> Self {
        Self {
            size: config.curvature_batch,
            from: config.curvature_from,
            batches: Batches::new(examples, config.batch, seed),
            batch: config.batch,
            examples,
            seed,
        }
    }

    /// The examples of the estimation after `taken` steps, before the step on `batch`.
    ///
    /// If the size is at most the batch size, these are the first examples of the batch that `--curvature-from` names,
    /// or all of it if an epoch's last batch is smaller. A larger number is drawn from the training data without
    /// repetition, anew for each estimation.
    pub(super) fn draw(&self, taken: u64, batch: &[u32]) -> Curvature {
        if let Some(size) = self.size.filter(|size| *size > self.batch) {
            return Curvature::Of(self.slices(taken, size));
        }
        let other = match (self.from, taken) {
            (CurvatureSource::Current, _) | (CurvatureSource::Previous, 0) => None,
            (CurvatureSource::Previous, taken) => Some(self.batches.of_step(taken - 1)),
            (CurvatureSource::Fixed, _) => Some(self.batches.of_step(0)),
        };
        let source = other.as_deref().unwrap_or(batch);
        match self.size {
            Some(size) if size < source.len() => Curvature::Of(vec![source[..size].to_vec()]),
            _ => other.map_or(Curvature::OfStep, |other| Curvature::Of(vec![other])),
        }
    }

    fn slices(&self, taken: u64, size: usize) -> Vec<Vec<u32>> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        // The epochs' orders use the streams from 0 upwards, estimations those from the end downwards.
        random.set_stream(!taken);
        let mut order: Vec<u32> = (0..self.examples as u32).collect();
        let (drawn, _) = order.partial_shuffle(&mut random, size);
        let count = drawn.len().div_ceil(self.batch.max(1));
        let bound = |index: usize| index * drawn.len() / count;
        (0..count)
            .map(|index| drawn[bound(index)..bound(index + 1)].to_vec())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Preset, TaskName};

    fn of_size(size: usize, seed: u64) -> CurvatureBatch {
        let config = TrainConfig {
            batch: 30,
            curvature_batch: Some(size),
            ..TrainConfig::defaults(TaskName::Lr, None, Preset::Small)
        };
        CurvatureBatch::new(&config, 100, seed)
    }

    #[test]
    fn a_smaller_one_is_the_first_of_the_steps_batch() {
        let batch: Vec<u32> = (40..70).collect();
        let first = Curvature::Of(vec![vec![40, 41, 42]]);
        assert_eq!(of_size(3, 0).draw(7, &batch), first);
        assert_eq!(of_size(30, 0).draw(7, &batch), Curvature::OfStep);
        // The last batch of an epoch is smaller.
        assert_eq!(of_size(30, 0).draw(7, &batch[..10]), Curvature::OfStep);
        assert_eq!(of_size(10, 0).draw(7, &batch[..10]), Curvature::OfStep);
    }

    fn drawn(size: usize, seed: u64, taken: u64) -> Vec<Vec<u32>> {
        match of_size(size, seed).draw(taken, &[0, 1]) {
            Curvature::Of(slices) => slices,
            Curvature::OfStep => panic!("the step's batch"),
        }
    }

    #[test]
    fn a_larger_one_is_drawn_without_repetition_in_slices_of_about_the_same_size() {
        for (size, sizes) in [
            (31, vec![15, 16]),
            (60, vec![30, 30]),
            (100, vec![25, 25, 25, 25]),
        ] {
            let slices = drawn(size, 0, 7);
            let found: Vec<usize> = slices.iter().map(Vec::len).collect();
            assert_eq!(found, sizes);
            let mut all = slices.concat();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), size);
            assert!(all.iter().all(|index| *index < 100));
        }
    }

    #[test]
    fn the_batch_may_be_the_last_steps_or_the_first_of_all() {
        let from = |from: CurvatureSource, size: Option<usize>| {
            let config = TrainConfig {
                batch: 30,
                curvature_batch: size,
                curvature_from: from,
                ..TrainConfig::defaults(TaskName::Lr, None, Preset::Small)
            };
            CurvatureBatch::new(&config, 100, 0)
        };
        let batches = Batches::new(100, 30, 0);
        let (first, second) = (batches.order(1), batches.order(2));
        let current: Vec<u32> = (0..30).collect();
        let whole = |indices: &[u32]| Curvature::Of(vec![indices.to_vec()]);
        let (previous, fixed) = (CurvatureSource::Previous, CurvatureSource::Fixed);
        // There are four steps per epoch, the last with ten examples: the step before the sixth is the second epoch's
        // first.
        assert_eq!(from(previous, None).draw(5, &current), whole(&second[..30]));
        assert_eq!(from(previous, None).draw(4, &current), whole(&first[90..]));
        assert_eq!(
            from(previous, Some(8)).draw(5, &current),
            whole(&second[..8])
        );
        assert_eq!(from(fixed, None).draw(5, &current), whole(&first[..30]));
        assert_eq!(from(fixed, Some(8)).draw(77, &current), whole(&first[..8]));
        // No step precedes the first.
        assert_eq!(from(previous, None).draw(0, &current), Curvature::OfStep);
        let larger = |source| from(source, Some(60)).draw(7, &current);
        assert_eq!(larger(fixed), larger(CurvatureSource::Current));
    }

    #[test]
    fn a_draw_depends_on_the_seed_and_the_steps_taken_alone() {
        assert_eq!(drawn(60, 3, 7), drawn(60, 3, 7));
        assert_ne!(drawn(60, 3, 7), drawn(60, 3, 8));
        assert_ne!(drawn(60, 3, 7), drawn(60, 4, 7));
    }
}
