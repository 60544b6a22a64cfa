//! A step of an elementwise base, fused with the split. Three passes over V, or two for a linear base.

use crate::elementwise::{Elementwise, MAX_STATE};
use crate::ranks::Ranks;
use crate::space::kernels::{
    Aligned, Scalar, Stored, Weights, combine_block, dot_block, non_finite, square_in_units,
    vectorised,
};
use crate::split::{Moved, Split};

use super::basis::HostBasis;
use super::walk::{BLOCK, GROUP, Order, SERIAL, SHORT, block, middle, part, reduce, update};

/// The slices that an elementwise step walks together.
pub(super) struct StepBlock<'a, T> {
    pub(super) start: usize,
    pub(super) gradient: &'a [T],
    pub(super) parameters: &'a mut [T],
    pub(super) direction: &'a mut [T],
    pub(super) state: [&'a mut [T]; MAX_STATE],
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

    /// Splits off the first block of at most this length; `None` if nothing is left.
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

/// Walks the parts backwards, since the previous pass went forwards, and adds up the sums of `leaf`.
pub(super) fn step_parts<const K: usize, T: Scalar>(
    block: StepBlock<'_, T>,
    cost: usize,
    leaf: &(impl Fn(StepBlock<'_, T>, &mut [f64; K]) + Sync),
) -> [f64; K] {
    let part = part(block.gradient.len(), cost);
    step_range(block, part, cost, leaf)
}

pub(super) fn step_range<const K: usize, T: Scalar>(
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

/// Applies the base's rule to one block: `complement` gives g₂; d_b is written to `direction` and passed to `place`.
#[inline(always)]
pub(super) fn apply_rule<E: Elementwise, T: Scalar>(
    coefficients: &E::Coefficients,
    complement: impl Fn(usize) -> T,
    mut state: [&mut [T]; MAX_STATE],
    direction: &mut [T],
    mut place: impl FnMut(usize, T),
) {
    let n = direction.len();
    // Taken rather than reborrowed: only then LLVM knows that the slices do not overlap, and vectorises.
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
pub(super) fn reborrowed<'a, T>(state: &'a mut [&mut [T]; MAX_STATE]) -> [&'a mut [T]; MAX_STATE] {
    state.each_mut().map(|slot| &mut **slot)
}

/// g₂ = γg − Vc at an entry of a block, given Vc/unit.
#[inline(always)]
pub(super) fn complement<T: Scalar>(
    gradient: &[T],
    gamma: f64,
    sum: &[T],
    unit: f64,
) -> impl Fn(usize) -> T {
    let sum = &sum[..gradient.len()];
    move |i| (gradient[i].scale(gamma / unit) - sum[i]).scale(unit)
}

/// The middle pass of a step. For a linear base it is the last pass; without a basis it is the whole step.
pub(super) fn step_rows<E: Elementwise, T: Scalar, B: Stored>(
    rows: &[Vec<B>],
    coefficients: &E::Coefficients,
    split: &Split<'_, HostBasis<T>>,
    ranks: &Ranks,
    block: StepBlock<'_, T>,
) -> Moved {
    let cost = rows.len() + E::STATE + 2;
    if rows.is_empty() || E::LINEAR {
        let mut sums = step_parts::<2, T>(block, cost, &|part, sums| {
            *sums = if rows.is_empty() {
                plain_part::<E, T>(coefficients, split, part)
            } else {
                linear_part::<E, T, B>(rows, coefficients, split, part)
            };
        });
        ranks.sum(&mut sums);
        let [square, non_finite] = sums;
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
    // On the stack, so that a step with the usual k does not allocate.
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
    square = ranks.sum_with(projection, &mut [], square);
    let inside = split.subspace_update(projection, along);
    non_finite += finish(rows, along, split, direction, parameters);
    non_finite = ranks.sum_with(&mut [], &mut [], non_finite);
    Moved {
        complement_norm: split.norm_unit * (square - inside).max(0.0).sqrt(),
        finite: non_finite == 0.0,
    }
}

/// θ ← (1 − decay)θ − s·d_b − V·along; returns 0 if θ is finite.
pub(super) fn finish<T: Scalar, B: Stored>(
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

/// Whether the state of an elementwise base needs its own check for finiteness. A linear base's state is part of its
/// direction; for a base that keeps squares, the optimizer bounds the gradient.
pub(super) const fn checks_state<E: Elementwise>() -> bool {
    E::STATE > 0 && !E::LINEAR && !E::SQUARES
}

/// 0 if all state vectors of the block are finite.
#[inline(always)]
pub(super) fn non_finite_state<E: Elementwise, T: Scalar>(state: &[&mut [T]; MAX_STATE]) -> f64 {
    if checks_state::<E>() {
        state[..E::STATE].iter().map(|slot| non_finite(slot)).sum()
    } else {
        0.0
    }
}

/// A whole step of the base alone on one part; returns ‖d_b‖², and 0 if parameters and state are finite.
#[inline(always)]
pub(super) fn plain_part<E: Elementwise, T: Scalar>(
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

/// A whole step on one part for a linear base, whose direction has no component in the subspace; returns ‖d_b‖², and 0
/// if the parameters are finite.
#[inline(always)]
pub(super) fn linear_part<E: Elementwise, T: Scalar, B: Stored>(
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

/// g₂, d_b and the part's contribution to Vᵀd_b and ‖d_b‖² for a nonlinear base; the last sum is 0 if its state is
/// finite.
#[inline(always)]
pub(super) fn complement_part<E: Elementwise, T: Scalar, B: Stored>(
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
