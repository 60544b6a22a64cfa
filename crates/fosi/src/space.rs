//! Arithmetic on ℝⁿ, wherever its vectors live.
//!
//! The algorithms of this crate are written once, against [`Space`]. [`Host`] keeps vectors in slices of
//! `f32` or `f64` on the CPU; an accelerator's tensors can be another space.

pub mod host;
mod kernels;

use std::borrow::{Borrow, BorrowMut};

use crate::base::Elementwise;
use crate::checkpoint::Array;
use crate::error::Error;

pub use host::{Host, HostBasis, Storage};
pub use kernels::{Scalar, Stored};

/// What the numbers of a vector can hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FloatLimits {
    /// The unit roundoff.
    pub epsilon: f64,
    /// The smallest positive normal value.
    pub min_positive: f64,
    /// The largest finite value.
    pub max: f64,
}

/// A sum of squares below this may have lost terms to underflow.
const SMALLEST_SQUARE: f64 = 1e-280;

/// 2ᵉ·x for an integer e: exact where the result is a normal number, also where 2ᵉ alone overflows.
pub(crate) fn times_power_of_two(x: f64, exponent: f64) -> f64 {
    let half = (exponent / 2.0).trunc();
    x * half.exp2() * (exponent - half).exp2()
}

/// ‖c‖ of some numbers, without over- or underflow; NaN or infinite where one is.
pub(crate) fn norm(c: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = c.clone().fold(0.0, |m: f64, x| m.max(x.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return c.fold(largest, |norm, x| norm + 0.0 * x);
    }
    let square: f64 = c.map(|x| (x / largest).powi(2)).sum();
    largest * square.sqrt()
}

/// The vector space ℝⁿ with the few operations that FOSI needs.
///
/// Scalars cross this boundary as `f64`, and reductions accumulate in `f64` or better than the vectors'
/// own precision where the space can. Vectors and bases given to a method belong to the same space;
/// lengths are checked once, by [`Space::check`], where user input enters.
pub trait Space {
    /// A vector as it is borrowed: `[f32]` on the host.
    type Vector: ?Sized;
    /// A vector as it is owned: `Vec<f32>` on the host.
    type Owned: BorrowMut<Self::Vector>;
    /// k vectors that are kept between refreshes, seen as the columns of an n×k matrix V.
    type Basis;

    /// The dimension n.
    fn dim(&self) -> usize;
    /// The unit roundoff of a vector's entries.
    fn epsilon(&self) -> f64;
    /// The largest finite value of a vector's entry.
    fn max_value(&self) -> f64;
    /// The smallest positive normal value of a vector's entry. A positive setting below it may count as zero.
    fn min_positive(&self) -> f64;
    /// The three of them.
    fn limits(&self) -> FloatLimits {
        FloatLimits {
            epsilon: self.epsilon(),
            min_positive: self.min_positive(),
            max: self.max_value(),
        }
    }
    /// An error unless `x` has n entries.
    fn check(&self, what: &'static str, x: &Self::Vector) -> Result<(), Error>;
    /// The zero vector.
    fn zeros(&self) -> Self::Owned;
    /// A vector of independent standard normal entries; the same seed gives the same vector.
    fn normal(&self, seed: u64) -> Self::Owned;
    /// ⟨x, y⟩.
    fn dot(&self, x: &Self::Vector, y: &Self::Vector) -> f64;
    /// ‖x‖∞, not finite where an entry isn't: one pass over x.
    fn max_abs(&self, x: &Self::Vector) -> f64;
    /// ‖x‖, which neither overflows nor underflows where it is representable itself.
    fn norm(&self, x: &Self::Vector) -> f64 {
        self.norm_of_square(x, self.dot(x, x))
    }
    /// ‖x‖, given ‖x‖² as [`dot`](Self::dot) or [`project`](Self::project) computed it. Where the square over- or
    /// underflowed, the norm is computed again from x/2ᵉ with 2ᵉ about ‖x‖∞.
    fn norm_of_square(&self, x: &Self::Vector, square: f64) -> f64 {
        if square.is_finite() && square >= SMALLEST_SQUARE {
            return square.sqrt();
        }
        let largest = self.max_abs(x);
        if largest == 0.0 || !largest.is_finite() {
            return largest;
        }
        let exponent = largest.log2().floor();
        let mut scaled = self.zeros();
        let y = scaled.borrow_mut();
        self.combine(1.0, x, 0.0, y);
        self.scale_by_power(-exponent, y);
        let y = scaled.borrow();
        times_power_of_two(self.dot(y, y).sqrt(), exponent)
    }
    /// x ← 2ᵉ·x for an integer e.
    fn scale_by_power(&self, exponent: f64, x: &mut Self::Vector) {
        // Two factors: 2ᵉ alone may overflow where 2ᵉ·x doesn't, and a factor must be a normal number of x's precision.
        let mut left = exponent;
        let most = self.max_value().log2().floor() - 1.0;
        while left != 0.0 {
            let part = left.clamp(-most, most);
            self.subtract_scaled(&[], &[], part.exp2(), x);
            left -= part;
        }
    }
    /// y ← a·x + b·y.
    fn combine(&self, a: f64, x: &Self::Vector, b: f64, y: &mut Self::Vector);
    /// y ← x with every entry clamped to [−limit, limit]. NaN stays NaN.
    fn clamp(&self, limit: f64, x: &Self::Vector, y: &mut Self::Vector);

    /// The number k of vectors in the basis.
    fn size(&self, basis: &Self::Basis) -> usize;
    /// x ← the vector with the given index, counted from 0.
    fn copy_column(&self, basis: &Self::Basis, index: usize, x: &mut Self::Vector);
    /// The vector with the given index.
    fn column(&self, basis: &Self::Basis, index: usize) -> Self::Owned {
        let mut x = self.zeros();
        self.copy_column(basis, index, x.borrow_mut());
        x
    }
    /// c ← Vᵀx, and returns ‖x‖²: one pass over V.
    fn project(&self, basis: &Self::Basis, x: &Self::Vector, c: &mut [f64]) -> f64;
    /// x ← x − Vc, and returns the new ‖x‖²: one pass over V.
    fn subtract(&self, basis: &Self::Basis, c: &[f64], x: &mut Self::Vector) -> f64;

    /// c ← Qᵀx and d ← Qᵀy for the vectors Q, and returns ‖x‖²: one pass over Q.
    fn project_pair(
        &self,
        vectors: &[Self::Owned],
        x: &Self::Vector,
        y: &Self::Vector,
        c: &mut [f64],
        d: &mut [f64],
    ) -> f64;
    /// x ← a(x − Qc) for the vectors Q, and returns the new ‖x‖²: one pass over Q, or over x alone where Q is empty.
    fn subtract_scaled(
        &self,
        vectors: &[&Self::Vector],
        c: &[f64],
        a: f64,
        x: &mut Self::Vector,
    ) -> f64;
    /// The kept basis V = Q·Y, in the space's storage precision, and VᵀV of what is stored, row by row; Y is given column
    /// by column (as many numbers each as there are vectors, at most as many columns). V may take some of the vectors'
    /// memory; of those that are left the entries mean nothing any more.
    fn rotate(
        &self,
        vectors: &mut Vec<Self::Owned>,
        columns: &[Vec<f64>],
    ) -> (Self::Basis, Vec<f64>);
    /// Memory for vectors from a basis that is no longer needed.
    fn release(&self, _basis: Self::Basis) -> Vec<Self::Owned> {
        Vec::new()
    }

    /// One step of an elementwise base in the complement of V, and FOSI's update with it: see [`Split`].
    fn elementwise_step<E: Elementwise>(
        &self,
        coefficients: &E::Coefficients,
        state: &mut [Self::Owned],
        gradient: &Self::Vector,
        split: &Split<'_, Self::Basis>,
        parameters: &mut Self::Vector,
        direction: &mut Self::Owned,
    ) -> Moved;

    /// A vector's entries, to be stored.
    fn export(&self, x: &Self::Vector) -> Array;
    /// A stored vector.
    fn import(&self, array: &Array) -> Result<Self::Owned, Error>;
    /// A basis's entries in its own storage precision, vector after vector.
    fn export_basis(&self, basis: &Self::Basis) -> Array;
    /// A stored basis.
    fn import_basis(&self, array: &Array) -> Result<Self::Basis, Error>;
}

/// How one step is split between the subspace of V and its complement (paper, Algorithm 2).
///
/// With the clipped gradient γg and c = (VᵀV)⁻¹Vᵀ(γg), the complement's gradient is g₂ = γg − Vc. The base
/// turns it into d_b, whose own part in the subspace has the coefficients e = (VᵀV)⁻¹Vᵀd_b. The update is
///
/// θ ← (1 − decay)·θ − s·d_b + V(s·e − subspace_step).
#[derive(Debug)]
pub struct Split<'a, B> {
    /// V; `None` before the first refresh.
    pub basis: Option<&'a B>,
    /// (VᵀV)⁻¹, row by row; close to the identity, exactly so only without rounding.
    pub gram_inverse: &'a [f64],
    /// c.
    pub coefficients: &'a [f64],
    /// α·u⊙c̄, the scaled Newton step's coefficients.
    pub subspace_step: &'a [f64],
    /// γ, the clipping factor of the gradient; 1 without clipping.
    pub gradient_scale: f64,
    /// s, the factor on the base's direction.
    pub scale: f64,
    /// η·λ of decoupled weight decay; 0 without.
    pub decay: f64,
    /// A power of two, 1 but for steps so long or short that their squares would over- or underflow: the unit in which norms
    /// are summed.
    pub norm_unit: f64,
}

impl<B> Split<'_, B> {
    /// The whole space is the base's: no basis, no clipping, no decay.
    pub const NONE: Self = Self {
        basis: None,
        gram_inverse: &[],
        coefficients: &[],
        subspace_step: &[],
        gradient_scale: 1.0,
        scale: 1.0,
        decay: 0.0,
        norm_unit: 1.0,
    };

    /// What is subtracted along V given p = Vᵀd_b: s·(VᵀV)⁻¹p with the sign that removes d_b's part, and the
    /// Newton step. Written to `out`; returns ‖V(VᵀV)⁻¹p‖² in units of `norm_unit`².
    pub fn along_basis(&self, projection: &[f64], out: &mut [f64]) -> f64 {
        let k = projection.len();
        let mut norm = 0.0;
        for i in 0..k {
            let row = &self.gram_inverse[i * k..(i + 1) * k];
            let e: f64 = row.iter().zip(projection).map(|(a, b)| a * b).sum();
            norm += (e / self.norm_unit) * (projection[i] / self.norm_unit);
            out[i] = self.subspace_step[i] - self.scale * e;
        }
        norm
    }
}

/// What a step has moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    /// ‖d_b − Ve‖: the length of the base's direction within the complement, before the factor s.
    pub complement_norm: f64,
    /// Whether all parameters are finite after the step, and all state vectors.
    pub finite: bool,
}
