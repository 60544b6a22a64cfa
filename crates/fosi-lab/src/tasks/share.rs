//! A rank's share of a batch.

use fosi::Ranks;

/// The examples of a batch that a rank takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// The examples; without any, one of the batch's, since no batch can be empty.
    pub(super) indices: Vec<u32>,
    /// Their number, or 0.
    pub(super) examples: usize,
}

impl Share {
    /// A rank's share of a batch; the shares differ by at most one example.
    pub(super) fn of(batch: &[u32], ranks: &Ranks) -> Self {
        let bound = |rank: usize| rank * batch.len() / ranks.size();
        let own = &batch[bound(ranks.rank())..bound(ranks.rank() + 1)];
        let indices = match own {
            [] => &batch[..1.min(batch.len())],
            own => own,
        };
        Self {
            indices: indices.to_vec(),
            examples: own.len(),
        }
    }

    /// A rank's shares of several slices, those with examples alone, and the number of all their examples. Without any,
    /// there is one slice with an example that does not count.
    pub(super) fn of_all(slices: &[Vec<u32>], ranks: &Ranks) -> (Vec<Vec<u32>>, usize) {
        let shares: Vec<Self> = slices.iter().map(|slice| Self::of(slice, ranks)).collect();
        let examples = shares.iter().map(|share| share.examples).sum();
        let counts = |share: &Self| share.examples > 0 || examples == 0;
        let shares = shares.into_iter().filter(counts);
        (shares.map(|share| share.indices).collect(), examples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rank_alone_takes_everything() {
        let share = Share::of(&[3, 1, 2], &Ranks::ALONE);
        assert_eq!((share.indices, share.examples), (vec![3, 1, 2], 3));
        let slices = vec![vec![1, 2], vec![3]];
        assert_eq!(Share::of_all(&slices, &Ranks::ALONE), (slices, 3));
    }
}
