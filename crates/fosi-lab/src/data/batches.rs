//! The order in which training sees the examples.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::Dataset;

/// A few examples, copied out of a data set so that a framework can take them over.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// size×dim, row by row.
    pub features: Vec<f32>,
    /// One class an example.
    pub labels: Vec<u8>,
}

impl Batch {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// Cuts each epoch into batches after a shuffle that depends on the seed and the epoch alone, so that every optimizer
/// with the same seed sees the same batches.
///
/// The last batch of an epoch is kept when it is smaller than the others (MNIST by 1,024: 58 of 1,024 and one of 608).
#[derive(Clone, Debug)]
pub struct Batches {
    examples: usize,
    size: usize,
    seed: u64,
}

impl Batches {
    /// Batches of `size` (at least 1) out of `examples`.
    pub fn new(examples: usize, size: usize, seed: u64) -> Self {
        let size = size.max(1);
        Self {
            examples,
            size,
            seed,
        }
    }

    /// Batches, hence steps, in an epoch: ⌈examples/size⌉.
    pub fn per_epoch(&self) -> usize {
        self.examples.div_ceil(self.size)
    }

    /// The indices of the examples in the order of epoch `epoch`.
    pub fn order(&self, epoch: u64) -> Vec<u32> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(epoch);
        let mut order: Vec<u32> = (0..self.examples as u32).collect();
        order.shuffle(&mut random);
        order
    }

    /// The batches of `data` in an order that [`order`](Self::order) gave.
    pub fn iter<'a>(
        &self,
        data: &'a Dataset,
        order: &'a [u32],
    ) -> impl Iterator<Item = Batch> + 'a {
        order.chunks(self.size).map(|indices| data.gather(indices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_visits_every_example_once_and_keeps_the_ragged_batch() {
        let data = Dataset {
            name: "ten".into(),
            features: (0..20).map(|i| i as f32).collect(),
            labels: (0..10).collect(),
            dim: 2,
            classes: 10,
        };
        let batches = Batches::new(data.len(), 4, 3);
        let order = batches.order(1);
        let cut: Vec<Batch> = batches.iter(&data, &order).collect();
        assert_eq!(batches.per_epoch(), 3);
        assert_eq!(cut.iter().map(Batch::len).collect::<Vec<_>>(), [4, 4, 2]);
        let mut seen: Vec<u8> = cut.iter().flat_map(|b| b.labels.clone()).collect();
        for batch in &cut {
            for (row, &label) in batch.features.chunks(2).zip(&batch.labels) {
                assert_eq!(row, [2.0 * f32::from(label), 2.0 * f32::from(label) + 1.0]);
            }
        }
        seen.sort();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn the_order_depends_on_seed_and_epoch_alone() {
        let batches = Batches::new(100, 10, 3);
        assert_eq!(batches.order(5), Batches::new(100, 7, 3).order(5));
        assert_ne!(batches.order(5), batches.order(6));
        assert_ne!(batches.order(5), Batches::new(100, 10, 4).order(5));
    }
}
