//! The order of the examples in training.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// `limit` of the indices 0 to n − 1 in ascending order, always the same ones; all if `limit` is not smaller.
#[must_use]
pub fn draw(n: usize, limit: usize) -> Vec<u32> {
    let mut indices: Vec<u32> = (0..n as u32).collect();
    if limit < n {
        indices.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
        indices.truncate(limit);
        indices.sort_unstable();
    }
    indices
}

/// Divides each epoch into batches after a shuffle that depends only on the seed and the epoch, so that all optimizers
/// with the same seed use the same batches.
///
/// The last batch of an epoch may be smaller (MNIST by 1,024: 58 of 1,024 and one of 608).
#[derive(Clone, Debug)]
pub struct Batches {
    examples: usize,
    size: usize,
    seed: u64,
}

impl Batches {
    /// Batches of `size` (at least 1) from `examples`.
    pub fn new(examples: usize, size: usize, seed: u64) -> Self {
        let size = size.max(1);
        Self {
            examples,
            size,
            seed,
        }
    }

    /// The number of batches, and thus of steps, per epoch: ⌈examples/size⌉.
    pub fn per_epoch(&self) -> usize {
        self.examples.div_ceil(self.size)
    }

    /// The batch of the next step after `taken` steps.
    #[must_use]
    pub fn of_step(&self, taken: u64) -> Vec<u32> {
        let per_epoch = self.per_epoch().max(1) as u64;
        let order = self.order(1 + taken / per_epoch);
        let start = (taken % per_epoch) as usize * self.size;
        order[start.min(order.len())..]
            .iter()
            .copied()
            .take(self.size)
            .collect()
    }

    /// The indices of the examples in the order of the given epoch.
    #[must_use]
    pub fn order(&self, epoch: u64) -> Vec<u32> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(epoch);
        let mut order: Vec<u32> = (0..self.examples as u32).collect();
        order.shuffle(&mut random);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_visits_every_example_once_and_keeps_the_ragged_batch() {
        let batches = Batches::new(10, 4, 3);
        let mut order = batches.order(1);
        assert_eq!(batches.per_epoch(), 3);
        assert_eq!(
            order.chunks(4).map(<[u32]>::len).collect::<Vec<_>>(),
            [4, 4, 2]
        );
        order.sort();
        assert_eq!(order, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn steps_see_the_batches_of_their_epochs_in_order() {
        let batches = Batches::new(10, 4, 3);
        let of_epochs = [1, 2].map(|epoch| batches.order(epoch)).concat();
        let of_steps: Vec<u32> = (0..6).flat_map(|taken| batches.of_step(taken)).collect();
        assert_eq!(of_steps, of_epochs);
    }

    #[test]
    fn a_draw_has_no_index_twice_and_a_full_one_has_them_all() {
        let drawn = draw(100, 30);
        assert_eq!(drawn.len(), 30);
        assert!(drawn.is_sorted_by(|a, b| a < b) && drawn[29] < 100);
        assert_eq!(drawn, draw(100, 30));
        assert_eq!(draw(3, 7), [0, 1, 2]);
    }

    #[test]
    fn the_order_depends_on_seed_and_epoch_alone() {
        let batches = Batches::new(100, 10, 3);
        assert_eq!(batches.order(5), Batches::new(100, 7, 3).order(5));
        assert_ne!(batches.order(5), batches.order(6));
        assert_ne!(batches.order(5), Batches::new(100, 10, 4).order(5));
    }
}
