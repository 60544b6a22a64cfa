//! ℝⁿ in slices of `f32` or `f64` on the CPU.
//!
//! Every operation walks blocks that stay in cache, split over rayon's threads at places that depend on n alone,
//! and adds partial sums pairwise in that fixed order: the bits don't depend on the number of threads.

use std::ops::Range;

use half::bf16;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::kernels::{
    Aligned, Scalar, Stored, Weights, combine_block, dot_block, dot_pair, non_finite, square_block,
    square_in_units, vectorised,
};
use super::{Moved, Space, Split};
use crate::base::{Elementwise, MAX_STATE};
use crate::checkpoint::Array;
use crate::error::Error;

/// Entries of a block: what is computed on the way fits in a core's caches.
const BLOCK: usize = 8192;
/// Entries of a block where a first-level cache has to hold several vectors, or a second-level one all of Lanczos'.
const SHORT: usize = 1024;
/// Below this many entries read, starting threads costs more than it brings.
const SERIAL: usize = 1 << 18;
/// Vectors of a basis whose sums travel together through the reduction.
const GROUP: usize = 64;

/// The precision in which the kept basis V is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// The vectors' own precision.
    #[default]
    Full,
    /// `f32` for `f64` vectors: half the memory.
    Single,
    /// `bf16`: half the memory of `f32`. Projections stay exact to the vectors' rounding, since the rounded basis's
    /// own Gram matrix is inverted; the subspace itself is turned by about 0.1°.
    Bf16,
}

/// ℝⁿ on the CPU, with vectors `[T]`.
///
/// ```
/// use fosi::{Host, Space};
///
/// let space = Host::<f32>::new(3);
/// assert_eq!(space.dot(&[1.0, 2.0, 3.0], &[1.0, 1.0, 1.0]), 6.0);
/// ```
#[derive(Debug, Clone)]
pub struct Host<T> {
    dim: usize,
    storage: Storage,
    scalar: std::marker::PhantomData<T>,
}

impl<T: Scalar> Host<T> {
    /// The space of vectors with `dim` entries.
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            storage: Storage::Full,
            scalar: std::marker::PhantomData,
        }
    }

    /// Keeps bases in another precision; working bases stay in full precision.
    pub fn with_storage(mut self, storage: Storage) -> Self {
        self.storage = storage;
        self
    }
}

/// A kept basis on the host, one vector after another.
#[derive(Debug, Clone)]
pub struct HostBasis<T>(Rows<T>);

#[derive(Debug, Clone)]
enum Rows<T> {
    Full(Vec<Vec<T>>),
    Single(Vec<Vec<f32>>),
    Bf16(Vec<Vec<bf16>>),
}

/// Evaluates an expression with `rows` bound to the vectors in whichever precision they have.
macro_rules! with_rows {
    ($basis:expr, $rows:ident => $body:expr) => {
        match &$basis.0 {
            Rows::Full($rows) => $body,
            Rows::Single($rows) => $body,
            Rows::Bf16($rows) => $body,
        }
    };
}

/// Entries that a thread takes at a time, of n that are read in `cost` vectors. The memory's prefetcher likes long runs, the
/// caches short ones where there are many vectors, and there should be about 16 to share between threads.
fn part(n: usize, cost: usize) -> usize {
    let most = if cost < 8 { 8 * BLOCK } else { 4 * BLOCK };
    (n / 16).next_multiple_of(BLOCK).clamp(BLOCK, most)
}

/// Entries of a block of a step with so many vectors: few are read in short runs that leave all else in the first cache.
fn block(rows: usize) -> usize {
    if rows < 4 { SHORT } else { BLOCK }
}

/// Where to split a range in two: at a boundary of blocks that depends on the range alone.
fn middle(len: usize, block: usize) -> Option<usize> {
    (len > block).then(|| len.div_ceil(block).div_ceil(2) * block)
}

/// Runs both, on two threads where the work is large.
fn both<A: Send, B: Send>(
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
fn reduce<const K: usize>(
    n: usize,
    cost: usize,
    leaf: &(impl Fn(Range<usize>, &mut [f64; K]) + Sync),
) -> [f64; K] {
    // Where nothing is written, long parts do for any number of vectors.
    reduce_range(0..n, part(n, 1), cost, leaf)
}

fn reduce_range<const K: usize>(
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
enum Order {
    Forward,
    Backward,
}

impl Order {
    /// Both halves, on two threads where the work is large.
    fn both<A: Send, B: Send>(
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
fn update<T: Send>(
    x: &mut [T],
    cost: usize,
    order: Order,
    leaf: &(impl Fn(usize, &mut [T]) -> f64 + Sync),
) -> f64 {
    let part = part(x.len(), cost);
    update_from(x, 0, part, cost, order, leaf)
}

fn update_from<T: Send>(
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

/// The slices that an elementwise step walks together.
struct StepBlock<'a, T> {
    start: usize,
    gradient: &'a [T],
    parameters: &'a mut [T],
    direction: &'a mut [T],
    state: [&'a mut [T]; MAX_STATE],
}

impl<'a, T> StepBlock<'a, T> {
    fn empty() -> Self {
        Self {
            start: 0,
            gradient: &[],
            parameters: &mut [],
            direction: &mut [],
            state: Default::default(),
        }
    }

    fn reborrow(&mut self) -> StepBlock<'_, T> {
        StepBlock {
            start: self.start,
            gradient: self.gradient,
            parameters: &mut *self.parameters,
            direction: &mut *self.direction,
            state: reborrowed(&mut self.state),
        }
    }

    /// Takes the first block of this length off; `None` where nothing is left.
    #[inline(always)]
    fn next_block(&mut self, len: usize) -> Option<Self> {
        let len = len.min(self.gradient.len());
        if len == 0 {
            return None;
        }
        let whole = std::mem::replace(self, Self::empty());
        let (front, back) = whole.split(len);
        *self = back;
        Some(front)
    }

    #[inline(always)]
    fn split(self, half: usize) -> (Self, Self) {
        let (gradient, gradient_right) = self.gradient.split_at(half);
        let (parameters, parameters_right) = self.parameters.split_at_mut(half);
        let (direction, direction_right) =
            self.direction.split_at_mut(half.min(self.direction.len()));
        let mut state_right: [&mut [T]; MAX_STATE] = Default::default();
        let mut state: [&mut [T]; MAX_STATE] = Default::default();
        for ((whole, left), right) in self.state.into_iter().zip(&mut state).zip(&mut state_right) {
            let cut = half.min(whole.len());
            (*left, *right) = whole.split_at_mut(cut);
        }
        let left = Self {
            start: self.start,
            gradient,
            parameters,
            direction,
            state,
        };
        let right = Self {
            start: self.start + half,
            gradient: gradient_right,
            parameters: parameters_right,
            direction: direction_right,
            state: state_right,
        };
        (left, right)
    }
}

/// Walks the parts backwards, since the pass before went forwards, and adds up what `leaf` writes to its sums.
fn step_parts<const K: usize, T: Scalar>(
    block: StepBlock<'_, T>,
    cost: usize,
    leaf: &(impl Fn(StepBlock<'_, T>, &mut [f64; K]) + Sync),
) -> [f64; K] {
    let part = part(block.gradient.len(), cost);
    step_range(block, part, cost, leaf)
}

fn step_range<const K: usize, T: Scalar>(
    block: StepBlock<'_, T>,
    part: usize,
    cost: usize,
    leaf: &(impl Fn(StepBlock<'_, T>, &mut [f64; K]) + Sync),
) -> [f64; K] {
    let len = block.gradient.len();
    let Some(half) = middle(len, part) else {
        let mut sums = [0.0; K];
        leaf(block, &mut sums);
        return sums;
    };
    let (left, right) = block.split(half);
    let (mut a, b) = Order::Backward.both(
        len * cost > SERIAL,
        || step_range::<K, T>(left, part, cost, leaf),
        || step_range::<K, T>(right, part, cost, leaf),
    );
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

/// Applies the base's formula to one block: `complement` gives g₂; d_b is left in `direction` and handed to `place`.
#[inline(always)]
fn apply_rule<E: Elementwise, T: Scalar>(
    coefficients: &E::Coefficients,
    complement: impl Fn(usize) -> T,
    mut state: [&mut [T]; MAX_STATE],
    direction: &mut [T],
    mut place: impl FnMut(usize, T),
) {
    let n = direction.len();
    // Taken, not borrowed again: only so does LLVM know that the slices don't overlap, and vectorises.
    let state = std::array::from_fn::<_, MAX_STATE, _>(|s| {
        let slot = std::mem::take(&mut state[s]);
        if s < E::STATE { &mut slot[..n] } else { slot }
    });
    for (i, out) in direction.iter_mut().enumerate() {
        let mut entry = [T::ZERO; MAX_STATE];
        for s in 0..E::STATE {
            entry[s] = state[s][i];
        }
        let d = E::direction(coefficients, &mut entry[..E::STATE], complement(i));
        *out = d;
        for s in 0..E::STATE {
            state[s][i] = entry[s];
        }
        place(i, d);
    }
}

/// The same slices, for as long as the borrow lasts.
#[inline(always)]
fn reborrowed<'a, T>(state: &'a mut [&mut [T]; MAX_STATE]) -> [&'a mut [T]; MAX_STATE] {
    state.each_mut().map(|slot| &mut **slot)
}

/// g₂ = γg − Vc at an entry of a block, given Vc in a unit.
#[inline(always)]
fn complement<T: Scalar>(gradient: &[T], gamma: f64, sum: &[T], unit: f64) -> impl Fn(usize) -> T {
    let sum = &sum[..gradient.len()];
    move |i| (gradient[i].scale(gamma / unit) - sum[i]).scale(unit)
}

/// Vᵀx and ‖x‖² for the rows of one precision, and Vᵀy where there is a y.
fn project_rows<B: Stored, T: Scalar>(
    rows: &[Vec<B>],
    x: &[T],
    y: &[T],
    c: &mut [f64],
    d: &mut [f64],
) -> f64 {
    let pair = !d.is_empty();
    let mut square = None;
    for (g, rows) in rows.chunks(GROUP).enumerate() {
        let k = rows.len();
        let with_square = square.is_none();
        let sums: [f64; 2 * GROUP + 1] = reduce(x.len(), k, &|range, sums| {
            vectorised(
                #[inline(always)]
                |fused| {
                    let row = |i: usize| &rows[i][range.clone()];
                    let x = &x[range.clone()];
                    let (first, rest) = sums.split_at_mut(GROUP);
                    if pair {
                        let y = &y[range.clone()];
                        dot_block::<2, B, T, T>(
                            fused,
                            row,
                            [x, y],
                            [&mut first[..k], &mut rest[..k]],
                        );
                    } else {
                        dot_block::<1, B, T, T>(fused, row, [x], [&mut first[..k]]);
                    }
                    if with_square {
                        rest[GROUP] = square_block(fused, x);
                    }
                },
            );
        });
        let start = g * GROUP;
        c[start..start + k].copy_from_slice(&sums[..k]);
        if pair {
            d[start..start + k].copy_from_slice(&sums[GROUP..GROUP + k]);
        }
        square.get_or_insert(sums[2 * GROUP]);
    }
    square.unwrap_or_else(|| dot_slices(x, x))
}

/// x ← a(x − Vc) and the new ‖x‖² for the rows of one precision.
fn subtract_rows<B: Stored, T: Scalar>(
    rows: &[impl AsRef<[B]> + Sync],
    c: &[f64],
    a: f64,
    x: &mut [T],
) -> f64 {
    let c = Weights::new::<T>(c);
    let factor = c.unit * a;
    update(x, rows.len() + 1, Order::Backward, &|start, x| {
        vectorised(
            #[inline(always)]
            |fused| {
                let mut sum = Aligned::<BLOCK, T>::ZERO;
                let mut square = 0.0;
                for (i, x) in x.chunks_mut(BLOCK).enumerate() {
                    let start = start + i * BLOCK;
                    let sum = sum.first(x.len());
                    let row = |i: usize| &rows[i].as_ref()[start..start + x.len()];
                    combine_block(fused, row, [c], [&mut *sum]);
                    for (x, &mut sum) in x.iter_mut().zip(sum) {
                        *x = (x.scale(1.0 / c.unit) - sum).scale(factor);
                    }
                    square += square_block(fused, x);
                }
                square
            },
        )
    })
}

fn dot_slices<T: Scalar>(x: &[T], y: &[T]) -> f64 {
    let [sum] = reduce(x.len(), 1, &|range, sums: &mut [f64; 1]| {
        sums[0] = vectorised(
            #[inline(always)]
            |fused| dot_pair(fused, &x[range.clone()], &y[range.clone()]),
        );
    });
    sum
}

/// V = Q·Y for the rows of Q and the columns of Y, and the lower triangle of VᵀV.
fn rotate_rows<B: Stored, T: Scalar>(
    rows: &[Vec<T>],
    columns: &[Vec<f64>],
) -> (Vec<Vec<B>>, Vec<f64>) {
    let dim = rows.first().map_or(0, Vec::len);
    let weights: Vec<Weights<'_>> = columns.iter().map(|c| Weights::new::<T>(c)).collect();
    let mut out: Vec<Vec<B>> = columns.iter().map(|_| vec![B::store(0.0); dim]).collect();
    let gram = sum_blocks(&mut out, rows.len(), columns.len(), |start, parts, gram| {
        let end = start + parts[0].len();
        rotate_block(|i| &rows[i][start..end], &weights, parts, gram);
    });
    (out, gram)
}

/// The same where the first rows become those of V.
fn rotate_in_place<T: Scalar>(rows: &mut [Vec<T>], columns: &[Vec<f64>]) -> Vec<f64> {
    let (m, k) = (rows.len(), columns.len());
    let weights: Vec<Weights<'_>> = columns.iter().map(|c| Weights::new::<T>(c)).collect();
    sum_blocks(rows, m, k, |_, parts, gram| {
        let len = parts[0].len();
        let mut out = vec![T::ZERO; k * len];
        let mut columns: Vec<&mut [T]> = out.chunks_mut(len).collect();
        rotate_block(|i: usize| &*parts[i], &weights, &mut columns, gram);
        for (part, column) in parts.iter_mut().zip(columns) {
            part.copy_from_slice(column);
        }
    })
}

/// Walks all rows together, in short blocks, and adds up the k×k matrices that `leaf` adds to, given a block's start and
/// its part of every row; `cost` vectors are read.
fn sum_blocks<T: Stored>(
    rows: &mut [Vec<T>],
    cost: usize,
    k: usize,
    leaf: impl Fn(usize, &mut [&mut [T]], &mut [f64]) + Sync,
) -> Vec<f64> {
    let dim = rows.first().map_or(0, Vec::len);
    let mut blocks: Vec<Vec<&mut [T]>> = Vec::new();
    blocks.resize_with(dim.div_ceil(BLOCK), || Vec::with_capacity(rows.len()));
    for row in rows {
        for (block, part) in blocks.iter_mut().zip(row.chunks_mut(BLOCK)) {
            block.push(part);
        }
    }
    let one_block = |(index, parts): (usize, &mut Vec<&mut [T]>)| {
        let mut sums = vec![0.0; k * k];
        let len = parts[0].len();
        for start in (0..len).step_by(SHORT) {
            let range = start..len.min(start + SHORT);
            let short = parts.iter_mut().map(|part| &mut part[range.clone()]);
            leaf(
                index * BLOCK + start,
                &mut short.collect::<Vec<_>>(),
                &mut sums,
            );
        }
        sums
    };
    let sums: Vec<Vec<f64>> = if dim * cost > SERIAL {
        blocks.par_iter_mut().enumerate().map(one_block).collect()
    } else {
        blocks.iter_mut().enumerate().map(one_block).collect()
    };
    let mut total = vec![0.0; k * k];
    for sums in sums {
        total
            .iter_mut()
            .zip(sums)
            .for_each(|(total, x)| *total += x);
    }
    total
}

/// One short block of V = Q·Y, and its share of VᵀV, taken while it is in cache.
fn rotate_block<'a, B: Stored, T: Scalar>(
    row: impl Fn(usize) -> &'a [T],
    weights: &[Weights<'_>],
    out: &mut [&mut [B]],
    gram: &mut [f64],
) {
    let k = weights.len();
    vectorised(
        #[inline(always)]
        |fused| {
            for (parts, weights) in out.chunks_mut(5).zip(weights.chunks(5)) {
                if let &[a, b, c, d, e] = weights {
                    combine_columns(fused, &row, [a, b, c, d, e], parts);
                    continue;
                }
                for (parts, &one) in parts.chunks_mut(1).zip(weights) {
                    combine_columns(fused, &row, [one], parts);
                }
            }
            for (i, x) in out.iter().enumerate() {
                let lower = &mut gram[i * k..=i * k + i];
                dot_block::<1, B, B, T>(fused, |j| &*out[j], [&**x], [lower]);
            }
        },
    );
}

/// partₚ ← Σᵢ cₚᵢ·rowᵢ on one block, each row read once for all P.
#[inline(always)]
fn combine_columns<'a, const P: usize, B: Stored, T: Scalar>(
    fused: bool,
    row: impl Fn(usize) -> &'a [T],
    c: [Weights<'_>; P],
    parts: &mut [&mut [B]],
) {
    let len = parts[0].len();
    let mut sums = [const { Aligned::<SHORT, T>::ZERO }; P];
    combine_block(fused, row, c, sums.each_mut().map(|sum| sum.first(len)));
    for ((part, sum), c) in parts.iter_mut().zip(&mut sums).zip(c) {
        for (entry, sum) in part.iter_mut().zip(sum.first(len)) {
            *entry = B::store(sum.load() * c.unit);
        }
    }
}

/// The matrix whose lower triangle is given, row by row.
fn symmetric(mut lower: Vec<f64>, k: usize) -> Vec<f64> {
    for i in 0..k {
        for j in 0..i {
            lower[j * k + i] = lower[i * k + j];
        }
    }
    lower
}

/// The middle pass of a step, and the last one where the base is linear; all of it where there is no basis.
fn step_rows<E: Elementwise, T: Scalar, B: Stored>(
    rows: &[Vec<B>],
    coefficients: &E::Coefficients,
    split: &Split<'_, HostBasis<T>>,
    block: StepBlock<'_, T>,
) -> Moved {
    let cost = rows.len() + E::STATE + 2;
    if rows.is_empty() || E::LINEAR {
        let [square, non_finite] = step_parts::<2, T>(block, cost, &|part, sums| {
            *sums = if rows.is_empty() {
                plain_part::<E, T>(coefficients, split, part)
            } else {
                linear_part::<E, T, B>(rows, coefficients, split, part)
            };
        });
        return Moved {
            complement_norm: split.norm_unit * square.sqrt(),
            finite: non_finite == 0.0,
        };
    }
    let StepBlock {
        start,
        gradient,
        parameters,
        direction,
        state,
    } = block;
    // On the stack, so that a step of the usual k allocates nothing.
    let (mut few, mut many) = ([0.0; 2 * GROUP], Vec::new());
    let memory = if rows.len() <= GROUP {
        &mut few[..2 * rows.len()]
    } else {
        many.resize(2 * rows.len(), 0.0);
        &mut many[..]
    };
    let (projection, along) = memory.split_at_mut(rows.len());
    let (mut square, mut non_finite) = (0.0, 0.0);
    let mut state = Some(state);
    for (group, projection) in rows.chunks(GROUP).zip(projection.chunks_mut(GROUP)) {
        let sums = if let Some(state) = state.take() {
            let block = StepBlock {
                start,
                gradient,
                parameters: &mut *parameters,
                direction: &mut *direction,
                state,
            };
            step_parts::<{ GROUP + 2 }, T>(block, cost, &|part, sums| {
                complement_part::<E, T, B>(rows, group, coefficients, split, part, sums);
            })
        } else {
            let direction = &*direction;
            reduce(direction.len(), cost, &|range, sums| {
                vectorised(
                    #[inline(always)]
                    |fused| {
                        let x = &direction[range.clone()];
                        let row = |i: usize| &group[i][range.clone()];
                        dot_block::<1, B, T, T>(fused, row, [x], [&mut sums[..group.len()]]);
                    },
                );
            })
        };
        projection.copy_from_slice(&sums[..group.len()]);
        square += sums[GROUP];
        non_finite += sums[GROUP + 1];
    }
    let inside = split.along_basis(projection, along);
    non_finite += finish(rows, along, split, direction, parameters);
    Moved {
        complement_norm: split.norm_unit * (square - inside).max(0.0).sqrt(),
        finite: non_finite == 0.0,
    }
}

/// θ ← (1 − decay)θ − s·d_b − V·along; returns 0 where θ is finite.
fn finish<T: Scalar, B: Stored>(
    rows: &[Vec<B>],
    along: &[f64],
    split: &Split<'_, HostBasis<T>>,
    direction: &[T],
    parameters: &mut [T],
) -> f64 {
    let along = Weights::new::<T>(along);
    let (keep, scale) = (1.0 - split.decay, split.scale);
    let len = block(rows.len());
    update(
        parameters,
        rows.len() + 2,
        Order::Forward,
        &|start, parameters| {
            vectorised(
                #[inline(always)]
                |fused| {
                    let mut sum = Aligned::<BLOCK, T>::ZERO;
                    let mut found = 0.0;
                    for (i, parameters) in parameters.chunks_mut(len).enumerate() {
                        let start = start + i * len;
                        let range = start..start + parameters.len();
                        let sum = sum.first(parameters.len());
                        combine_block(fused, |i| &rows[i][range.clone()], [along], [&mut *sum]);
                        let direction = &direction[range.clone()];
                        for (i, p) in parameters.iter_mut().enumerate() {
                            let move_by = direction[i].scale(scale) + sum[i].scale(along.unit);
                            *p = p.scale(keep) - move_by;
                        }
                        found += non_finite(parameters);
                    }
                    found
                },
            )
        },
    )
}

/// Whether the finiteness of an elementwise base's state isn't implied: a linear base's state is part of its direction,
/// and of one that keeps squares the optimizer bounds the gradient.
const fn checks_state<E: Elementwise>() -> bool {
    E::STATE > 0 && !E::LINEAR && !E::SQUARES
}

/// 0 where all state vectors of the block are finite.
#[inline(always)]
fn non_finite_state<E: Elementwise, T: Scalar>(state: &[&mut [T]; MAX_STATE]) -> f64 {
    if checks_state::<E>() {
        state[..E::STATE].iter().map(|slot| non_finite(slot)).sum()
    } else {
        0.0
    }
}

/// A whole step of the base alone on one part; returns ‖d_b‖², and 0 where parameters and state are finite.
#[inline(always)]
fn plain_part<E: Elementwise, T: Scalar>(
    coefficients: &E::Coefficients,
    split: &Split<'_, HostBasis<T>>,
    mut part: StepBlock<'_, T>,
) -> [f64; 2] {
    let (gamma, keep, scale) = (split.gradient_scale, 1.0 - split.decay, split.scale);
    vectorised(
        #[inline(always)]
        |fused| {
            let mut direction = Aligned::<SHORT, T>::ZERO;
            let (mut square, mut found) = (0.0, 0.0);
            let mut rest = part.reborrow();
            while let Some(front) = rest.next_block(SHORT) {
                let n = front.gradient.len();
                let direction = direction.first(n);
                let (gradient, parameters) = (front.gradient, &mut front.parameters[..n]);
                let mut state = front.state;
                let clipped = |i: usize| gradient[i].scale(gamma);
                let place = |i: usize, d: T| {
                    parameters[i] = parameters[i].scale(keep) - d.scale(scale);
                };
                apply_rule::<E, T>(
                    coefficients,
                    clipped,
                    reborrowed(&mut state),
                    direction,
                    place,
                );
                square += square_in_units(fused, direction, split.norm_unit);
                found += non_finite(parameters) + non_finite_state::<E, T>(&state);
            }
            [square, found]
        },
    )
}

/// A whole step on one part for a linear base, whose direction has no part in the subspace; returns ‖d_b‖², and 0 where
/// the parameters are finite.
#[inline(always)]
fn linear_part<E: Elementwise, T: Scalar, B: Stored>(
    rows: &[Vec<B>],
    coefficients: &E::Coefficients,
    split: &Split<'_, HostBasis<T>>,
    mut part: StepBlock<'_, T>,
) -> [f64; 2] {
    let gamma = split.gradient_scale;
    let (keep, scale) = (1.0 - split.decay, split.scale);
    let c = Weights::new::<T>(split.coefficients);
    let newton = Weights::new::<T>(split.subspace_step);
    vectorised(
        #[inline(always)]
        |fused| {
            let mut direction = Aligned::<BLOCK, T>::ZERO;
            let (mut sum, mut along) = (Aligned::<BLOCK, T>::ZERO, Aligned::<BLOCK, T>::ZERO);
            let (mut square, mut found) = (0.0, 0.0);
            let mut rest = part.reborrow();
            while let Some(front) = rest.next_block(block(rows.len())) {
                let n = front.gradient.len();
                let range = front.start..front.start + n;
                let direction = direction.first(n);
                let (gradient, parameters) = (front.gradient, &mut front.parameters[..n]);
                let (sum, along) = (sum.first(n), along.first(n));
                let row = |i: usize| &rows[i][range.clone()];
                combine_block(fused, row, [c, newton], [&mut *sum, &mut *along]);
                let complement = complement(gradient, gamma, sum, c.unit);
                let place = |i: usize, d: T| {
                    // θ is rounded once.
                    let move_by = d.scale(scale) + along[i].scale(newton.unit);
                    parameters[i] = parameters[i].scale(keep) - move_by;
                };
                apply_rule::<E, T>(coefficients, complement, front.state, direction, place);
                square += square_in_units(fused, direction, split.norm_unit);
                found += non_finite(parameters);
            }
            [square, found]
        },
    )
}

/// g₂, d_b and the part's share of Vᵀd_b and ‖d_b‖² for a base that is not linear; the last sum is 0 where its state is
/// finite.
#[inline(always)]
fn complement_part<E: Elementwise, T: Scalar, B: Stored>(
    rows: &[Vec<B>],
    group: &[Vec<B>],
    coefficients: &E::Coefficients,
    split: &Split<'_, HostBasis<T>>,
    mut part: StepBlock<'_, T>,
    sums: &mut [f64; GROUP + 2],
) {
    let gamma = split.gradient_scale;
    let c = Weights::new::<T>(split.coefficients);
    vectorised(
        #[inline(always)]
        |fused| {
            let mut sum = Aligned::<BLOCK, T>::ZERO;
            let mut rest = part.reborrow();
            while let Some(front) = rest.next_block(block(rows.len())) {
                let n = front.gradient.len();
                let range = front.start..front.start + n;
                let mut state = front.state;
                let sum = sum.first(n);
                let row = |i: usize| &rows[i][range.clone()];
                combine_block(fused, row, [c], [&mut *sum]);
                let complement = complement(front.gradient, gamma, sum, c.unit);
                apply_rule::<E, T>(
                    coefficients,
                    complement,
                    reborrowed(&mut state),
                    front.direction,
                    |_, _| {},
                );
                let direction = &*front.direction;
                let row = |i: usize| &group[i][range.clone()];
                dot_block::<1, B, T, T>(fused, row, [direction], [&mut sums[..group.len()]]);
                sums[GROUP] += square_in_units(fused, direction, split.norm_unit);
                sums[GROUP + 1] += non_finite_state::<E, T>(&state);
            }
        },
    );
}

impl<T: Scalar> Space for Host<T> {
    type Vector = [T];
    type Owned = Vec<T>;
    type Basis = HostBasis<T>;

    fn dim(&self) -> usize {
        self.dim
    }
    fn epsilon(&self) -> f64 {
        T::EPSILON
    }
    fn max_value(&self) -> f64 {
        T::MAX
    }
    fn min_positive(&self) -> f64 {
        T::MIN_POSITIVE
    }
    fn check(&self, what: &'static str, x: &[T]) -> Result<(), Error> {
        if x.len() == self.dim {
            return Ok(());
        }
        Err(Error::DimensionMismatch {
            what,
            expected: self.dim,
            found: x.len(),
        })
    }
    fn zeros(&self) -> Vec<T> {
        vec![T::ZERO; self.dim]
    }
    fn normal(&self, seed: u64) -> Vec<T> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let entry = |_| T::store(StandardNormal.sample(&mut random));
        (0..self.dim).map(entry).collect()
    }
    fn dot(&self, x: &[T], y: &[T]) -> f64 {
        dot_slices(x, y)
    }
    fn max_abs(&self, x: &[T]) -> f64 {
        let part = |x: &[T]| match non_finite(x) == 0.0 {
            true => x.iter().fold(0.0, |m: f64, x| m.max(x.load().abs())),
            false => f64::INFINITY,
        };
        if x.len() > SERIAL {
            x.par_chunks(BLOCK).map(part).reduce(|| 0.0, f64::max)
        } else {
            part(x)
        }
    }
    fn combine(&self, a: f64, x: &[T], b: f64, y: &mut [T]) {
        update(y, 2, Order::Forward, &|start, y| {
            let x = &x[start..start + y.len()];
            if b == 0.0 {
                // y may hold anything, NaN too.
                y.iter_mut().zip(x).for_each(|(y, x)| *y = x.scale(a));
            } else {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = y.scale(b) + x.scale(a);
                }
            }
            0.0
        });
    }
    fn clamp(&self, limit: f64, x: &[T], y: &mut [T]) {
        update(y, 2, Order::Forward, &|start, y| {
            for (y, x) in y.iter_mut().zip(&x[start..]) {
                *y = T::store(x.load().clamp(-limit, limit));
            }
            0.0
        });
    }

    fn size(&self, basis: &HostBasis<T>) -> usize {
        with_rows!(basis, rows => rows.len())
    }
    fn copy_column(&self, basis: &HostBasis<T>, index: usize, x: &mut [T]) {
        with_rows!(basis, rows => for (x, entry) in x.iter_mut().zip(&rows[index]) {
            *x = T::store(entry.load());
        })
    }
    fn project(&self, basis: &HostBasis<T>, x: &[T], c: &mut [f64]) -> f64 {
        with_rows!(basis, rows => project_rows(rows, x, &[], c, &mut []))
    }
    fn subtract(&self, basis: &HostBasis<T>, c: &[f64], x: &mut [T]) -> f64 {
        with_rows!(basis, rows => subtract_rows(rows, c, 1.0, x))
    }

    fn project_pair(
        &self,
        vectors: &[Vec<T>],
        x: &[T],
        y: &[T],
        c: &mut [f64],
        d: &mut [f64],
    ) -> f64 {
        project_rows(vectors, x, y, c, d)
    }
    fn subtract_scaled(&self, vectors: &[&[T]], c: &[f64], a: f64, x: &mut [T]) -> f64 {
        subtract_rows(vectors, c, a, x)
    }
    fn rotate(&self, vectors: &mut Vec<Vec<T>>, columns: &[Vec<f64>]) -> (HostBasis<T>, Vec<f64>) {
        let k = columns.len();
        let (rows, lower) = match self.storage {
            Storage::Full => {
                let gram = rotate_in_place(vectors, columns);
                (Rows::Full(vectors.drain(..k).collect()), gram)
            }
            Storage::Single => {
                let (rows, gram) = rotate_rows(vectors, columns);
                (Rows::Single(rows), gram)
            }
            Storage::Bf16 => {
                let (rows, gram) = rotate_rows(vectors, columns);
                (Rows::Bf16(rows), gram)
            }
        };
        (HostBasis(rows), symmetric(lower, k))
    }
    fn release(&self, basis: HostBasis<T>) -> Vec<Vec<T>> {
        match basis.0 {
            Rows::Full(rows) => rows,
            Rows::Single(_) | Rows::Bf16(_) => Vec::new(),
        }
    }

    fn elementwise_step<E: Elementwise>(
        &self,
        coefficients: &E::Coefficients,
        state: &mut [Vec<T>],
        gradient: &[T],
        split: &Split<'_, HostBasis<T>>,
        parameters: &mut [T],
        direction: &mut Vec<T>,
    ) -> Moved {
        let mut slots: [&mut [T]; MAX_STATE] = Default::default();
        for (slot, vector) in slots.iter_mut().zip(state) {
            *slot = vector;
        }
        let block = StepBlock {
            start: 0,
            gradient,
            parameters,
            direction,
            state: slots,
        };
        match split.basis {
            Some(basis) => {
                with_rows!(basis, rows => step_rows::<E, T, _>(rows, coefficients, split, block))
            }
            None => step_rows::<E, T, T>(&[], coefficients, split, block),
        }
    }

    fn export(&self, x: &[T]) -> Array {
        Array::from_rows(&[x])
    }
    fn import(&self, array: &Array) -> Result<Vec<T>, Error> {
        let mut rows = array.to_rows(self.dim)?;
        match (rows.len(), rows.pop()) {
            (1, Some(row)) => Ok(row),
            (found, _) => Err(Error::Checkpoint(format!(
                "{found} vectors where one belongs"
            ))),
        }
    }
    fn export_basis(&self, basis: &HostBasis<T>) -> Array {
        with_rows!(basis, rows => Array::from_rows(rows))
    }
    fn import_basis(&self, array: &Array) -> Result<HostBasis<T>, Error> {
        Ok(HostBasis(match self.storage {
            Storage::Full => Rows::Full(array.to_rows(self.dim)?),
            Storage::Single => Rows::Single(array.to_rows(self.dim)?),
            Storage::Bf16 => Rows::Bf16(array.to_rows(self.dim)?),
        }))
    }
}
