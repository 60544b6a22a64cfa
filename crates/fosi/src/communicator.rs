//! The interface to an engine of collectives, such as MPI, through which several processes share one optimizer.

use std::ops::Range;

/// A group of processes, the ranks 0 … P−1, that call the same collectives in the same order.
///
/// All ranks call a collective with equal numbers of entries. It returns when it is done on this rank. Where all ranks
/// receive a result, they receive identical bits. The slices are whole vectors of n entries; a rank's part of a vector is its
/// [`shard`].
///
/// A communicator that cannot carry out a collective ends the job, since no rank can continue without the others.
pub trait Communicator: std::fmt::Debug + Send + Sync {
    /// This process's rank, below [`size`](Self::size).
    fn rank(&self) -> usize;
    /// P, the number of ranks.
    fn size(&self) -> usize;
    /// numbers ← Σ over the ranks, and `beside` ← Σ over the ranks, a few numbers that travel with them.
    fn sum(&self, numbers: Numbers<'_>, beside: &mut [f64]);
    /// This rank's [`shard`] of the numbers ← Σ over the ranks, and `beside` ← Σ over the ranks. The other shards are
    /// unspecified afterwards.
    fn reduce_scatter(&self, numbers: Numbers<'_>, beside: &mut [f64]);
    /// Every rank gives its [`shard`] of the numbers and receives the others'.
    fn all_gather(&self, numbers: Numbers<'_>);
    /// numbers ← those of rank 0.
    fn broadcast(&self, numbers: Numbers<'_>);
    /// Ends the job on all ranks.
    fn abort(&self, reason: &str) -> !;
    /// Records the optimizer's step for messages about collectives that wait long; by default does nothing.
    fn at(&self, _step: u64) {}
}

/// The numbers of a collective, by type and memory.
#[derive(Debug)]
#[non_exhaustive]
pub enum Numbers<'a> {
    /// `f32` on the host.
    F32(&'a mut [f32]),
    /// `f64` on the host.
    F64(&'a mut [f64]),
}

/// A rank's part of n entries. Each rank has ⌈n/P⌉ until none are left, so the last ranks may have fewer or none.
///
/// ```
/// use fosi::communicator::shard;
///
/// assert_eq!((0..4).map(|rank| shard(10, rank, 4)).collect::<Vec<_>>(), [0..3, 3..6, 6..9, 9..10]);
/// ```
pub fn shard(n: usize, rank: usize, size: usize) -> Range<usize> {
    let block = n.div_ceil(size.max(1));
    let start = rank.saturating_mul(block).min(n);
    start..start.saturating_add(block).min(n)
}

#[cfg(test)]
mod tests {
    use super::shard;

    #[test]
    fn shards_cover_every_entry_once() {
        for n in 0..40 {
            for size in 1..9 {
                let all: Vec<usize> = (0..size).flat_map(|rank| shard(n, rank, size)).collect();
                assert_eq!(all, (0..n).collect::<Vec<_>>(), "{n} on {size}");
            }
        }
    }
}
