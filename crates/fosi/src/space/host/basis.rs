//! Projections on basis vectors, their combinations, and rotations.

use half::bf16;
use rayon::prelude::*;

use crate::space::kernels::{
    Aligned, Scalar, Stored, Weights, combine_block, dot_block, dot_pair, square_block, vectorised,
};

use super::walk::{BLOCK, GROUP, Order, SERIAL, SHORT, reduce, update};

/// The precision in which the kept basis V is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Storage {
    /// The vectors' own precision.
    #[default]
    Full,
    /// `f32` for `f64` vectors: half the memory.
    Single,
    /// `bf16`: half the memory of `f32`. Projections remain accurate to the vectors' rounding, since they use the
    /// inverse Gram matrix of the rounded basis; the subspace itself is rotated by about 0.1°.
    Bf16,
}

/// A kept basis on the host, stored vector by vector.
#[derive(Debug, Clone)]
pub struct HostBasis<T>(pub(super) Rows<T>);

#[derive(Debug, Clone)]
pub(super) enum Rows<T> {
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
pub(super) use with_rows;

/// Vᵀx, ‖x‖² and, if given a y, Vᵀy for rows of one precision.
pub(super) fn project_rows<B: Stored, T: Scalar>(
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

/// x ← a(x − Vc) for rows of one precision; returns the new ‖x‖².
pub(super) fn subtract_rows<B: Stored, T: Scalar>(
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

pub(super) fn dot_slices<T: Scalar>(x: &[T], y: &[T]) -> f64 {
    let [sum] = reduce(x.len(), 1, &|range, sums: &mut [f64; 1]| {
        sums[0] = vectorised(
            #[inline(always)]
            |fused| dot_pair(fused, &x[range.clone()], &y[range.clone()]),
        );
    });
    sum
}

/// V = Q·Y for the rows of Q and the columns of Y, and the lower triangle of VᵀV.
pub(super) fn rotate_rows<B: Stored, T: Scalar>(
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

/// The same in place: the first rows become those of V.
pub(super) fn rotate_in_place<T: Scalar>(rows: &mut [Vec<T>], columns: &[Vec<f64>]) -> Vec<f64> {
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

/// Walks all rows together in short blocks and sums the k×k matrices that `leaf` accumulates from each block's start
/// and parts of the rows; `cost` vectors are read.
pub(super) fn sum_blocks<T: Stored>(
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
    let sums = if dim * cost > SERIAL {
        blocks.par_iter_mut().enumerate().map(one_block).collect()
    } else {
        blocks.iter_mut().enumerate().map(one_block).collect()
    };
    add_up(sums, k * k)
}

/// One short block of V = Q·Y and its contribution to VᵀV, computed while the block is in cache.
pub(super) fn rotate_block<'a, B: Stored, T: Scalar>(
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
pub(super) fn combine_columns<'a, const P: usize, B: Stored, T: Scalar>(
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

/// A row in the vectors' precision.
pub(super) fn load_row<B: Stored, T: Scalar>(row: &[B]) -> Vec<T> {
    row.iter().map(|entry| T::store(entry.load())).collect()
}

/// QᵀV for the rows of Q and V, one column after another: one pass over both.
pub(super) fn cross_rows<B: Stored, T: Scalar>(vectors: &[Vec<T>], rows: &[Vec<B>]) -> Vec<f64> {
    let (m, k) = (vectors.len(), rows.len());
    let dim = rows.first().map_or(0, Vec::len);
    let one_block = |block: usize| {
        let mut sums = vec![0.0; m * k];
        let end = dim.min((block + 1) * BLOCK);
        for start in (block * BLOCK..end).step_by(SHORT) {
            let range = start..end.min(start + SHORT);
            vectorised(
                #[inline(always)]
                |fused| {
                    for (row, sums) in rows.iter().zip(sums.chunks_exact_mut(m)) {
                        let vector = |j: usize| &vectors[j][range.clone()];
                        dot_block::<1, T, B, T>(fused, vector, [&row[range.clone()]], [sums]);
                    }
                },
            );
        }
        sums
    };
    let blocks = dim.div_ceil(BLOCK);
    let sums = if dim * (m + k) > SERIAL {
        (0..blocks).into_par_iter().map(one_block).collect()
    } else {
        (0..blocks).map(one_block).collect()
    };
    add_up(sums, m * k)
}

/// The sum over the blocks, in their order.
fn add_up(sums: Vec<Vec<f64>>, len: usize) -> Vec<f64> {
    let mut total = vec![0.0; len];
    for sums in sums {
        total
            .iter_mut()
            .zip(sums)
            .for_each(|(total, x)| *total += x);
    }
    total
}

/// The matrix whose lower triangle is given, row by row.
pub(super) fn symmetric(mut lower: Vec<f64>, k: usize) -> Vec<f64> {
    for i in 0..k {
        for j in 0..i {
            lower[j * k + i] = lower[i * k + j];
        }
    }
    lower
}
