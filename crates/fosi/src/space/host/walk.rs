//! Walks over vectors in blocks that stay in cache, split between rayon's threads at boundaries that depend only on n.

use std::ops::Range;

/// Entries per block: intermediate results fit in a core's caches.
pub(super) const BLOCK: usize = 8192;
/// Entries per block if the first-level cache must hold several vectors, or the second-level cache all Lanczos vectors.
pub(super) const SHORT: usize = 1024;
/// Below this many entries read, starting threads does not pay.
pub(super) const SERIAL: usize = 1 << 18;
/// The number of basis vectors whose sums are reduced together.
pub(super) const GROUP: usize = 64;

/// Entries that a thread processes at a time, of n entries in each of `cost` vectors. The prefetcher favours long
/// parts, caches favour short ones for many vectors, and about 16 parts balance the load of the threads.
pub(super) fn part(n: usize, cost: usize) -> usize {
    let most = if cost < 8 { 8 * BLOCK } else { 4 * BLOCK };
    (n / 16).next_multiple_of(BLOCK).clamp(BLOCK, most)
}

/// Entries per block of a step with `rows` basis vectors. For few vectors, short blocks keep everything else in the
/// first-level cache.
pub(super) fn block(rows: usize) -> usize {
    if rows < 4 { SHORT } else { BLOCK }
}

/// Where to split a range in two: at a block boundary that depends only on the range.
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

/// The pairwise sum, over the parts of n entries, of the sums of `leaf`.
pub(super) fn reduce<const K: usize>(
    n: usize,
    cost: usize,
    leaf: &(impl Fn(Range<usize>, &mut [f64; K]) + Sync),
) -> [f64; K] {
    // A pass without writes can use long parts for any number of vectors.
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

/// The order in which a pass visits the parts. A pass in reverse order finds the end of the previous pass in cache.
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

/// The sum of the results of `leaf` over the parts of `x`, with each part writable.
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
