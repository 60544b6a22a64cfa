//! Walks over vectors: blocks that stay in cache, split over rayon's threads at places that depend on n alone.

use std::ops::Range;

/// Entries of a block: what is computed on the way fits in a core's caches.
pub(super) const BLOCK: usize = 8192;
/// Entries of a block where a first-level cache has to hold several vectors, or a second-level one all of Lanczos'.
pub(super) const SHORT: usize = 1024;
/// Below this many entries read, starting threads costs more than it brings.
pub(super) const SERIAL: usize = 1 << 18;
/// Vectors of a basis whose sums travel together through the reduction.
pub(super) const GROUP: usize = 64;

/// Entries that a thread takes at a time, of n that are read in `cost` vectors. The memory's prefetcher likes long
/// runs, the caches short ones where there are many vectors, and there should be about 16 to share between threads.
pub(super) fn part(n: usize, cost: usize) -> usize {
    let most = if cost < 8 { 8 * BLOCK } else { 4 * BLOCK };
    (n / 16).next_multiple_of(BLOCK).clamp(BLOCK, most)
}

/// Entries of a block of a step with so many vectors: few are read in short runs that leave all else in the first
/// cache.
pub(super) fn block(rows: usize) -> usize {
    if rows < 4 { SHORT } else { BLOCK }
}

/// Where to split a range in two: at a boundary of blocks that depends on the range alone.
pub(super) fn middle(len: usize, block: usize) -> Option<usize> {
    (len > block).then(|| len.div_ceil(block).div_ceil(2) * block)
}

/// Runs both, on two threads where the work is large.
pub(super) fn both<A: Send, B: Send>(
    parallel: bool,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    if parallel {
        rayon::join(a, b)
    } else {
        (a(), b())
    }
}

/// Σ over the parts of n entries of what `leaf` adds to its sums, pairwise.
pub(super) fn reduce<const K: usize>(
    n: usize,
    cost: usize,
    leaf: &(impl Fn(Range<usize>, &mut [f64; K]) + Sync),
) -> [f64; K] {
    // Where nothing is written, long parts do for any number of vectors.
    reduce_range(0..n, part(n, 1), cost, leaf)
}

pub(super) fn reduce_range<const K: usize>(
    range: Range<usize>,
    part: usize,
    cost: usize,
    leaf: &(impl Fn(Range<usize>, &mut [f64; K]) + Sync),
) -> [f64; K] {
    let Some(half) = middle(range.len(), part) else {
        let mut sums = [0.0; K];
        leaf(range, &mut sums);
        return sums;
    };
    let cut = range.start + half;
    let parallel = range.len() * cost > SERIAL;
    let (mut a, b) = both(
        parallel,
        || reduce_range(range.start..cut, part, cost, leaf),
        || reduce_range(cut..range.end, part, cost, leaf),
    );
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

/// In which order a pass takes the parts. A pass against the order of the one before finds the end of that in cache.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Order {
    Forward,
    Backward,
}

impl Order {
    /// Both halves, on two threads where the work is large.
    pub(super) fn both<A: Send, B: Send>(
        self,
        parallel: bool,
        left: impl FnOnce() -> A + Send,
        right: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        if self == Self::Forward {
            return both(parallel, left, right);
        }
        let (right, left) = both(parallel, right, left);
        (left, right)
    }
}

/// Σ over the parts of `x` of what `leaf` returns, with each part writable.
pub(super) fn update<T: Send>(
    x: &mut [T],
    cost: usize,
    order: Order,
    leaf: &(impl Fn(usize, &mut [T]) -> f64 + Sync),
) -> f64 {
    let part = part(x.len(), cost);
    update_from(x, 0, part, cost, order, leaf)
}

pub(super) fn update_from<T: Send>(
    x: &mut [T],
    start: usize,
    part: usize,
    cost: usize,
    order: Order,
    leaf: &(impl Fn(usize, &mut [T]) -> f64 + Sync),
) -> f64 {
    let Some(half) = middle(x.len(), part) else {
        return leaf(start, x);
    };
    let parallel = x.len() * cost > SERIAL;
    let (left, right) = x.split_at_mut(half);
    let (a, b) = order.both(
        parallel,
        || update_from(left, start, part, cost, order, leaf),
        || update_from(right, start + half, part, cost, order, leaf),
    );
    a + b
}
