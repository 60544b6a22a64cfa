//! Arithmetic on ℝⁿ, wherever its vectors live.
//!
//! The algorithms of this crate are written once, against [`Space`]. [`Host`] keeps vectors in slices of
//! `f32` or `f64` on the CPU; an accelerator's tensors can be another space.

pub mod host;
mod kernels;

use std::borrow::BorrowMut;

use crate::base::Elementwise;
use crate::checkpoint::Array;
use crate::error::Error;

pub use host::{Host, HostBasis, Storage};
pub use kernels::{Scalar, Stored};

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
    /// An error unless `x` has n entries.
    fn check(&self, what: &'static str, x: &Self::Vector) -> Result<(), Error>;
    /// The zero vector.
    fn zeros(&self) -> Self::Owned;
    /// A vector of independent standard normal entries; the same seed gives the same vector.
    fn normal(&self, seed: u64) -> Self::Owned;
    /// ⟨x, y⟩.
    fn dot(&self, x: &Self::Vector, y: &Self::Vector) -> f64;
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
    };

    /// What is subtracted along V given p = Vᵀd_b: s·(VᵀV)⁻¹p with the sign that removes d_b's part, and the
    /// Newton step. Written to `out`; returns ‖V(VᵀV)⁻¹p‖².
    pub fn along_basis(&self, projection: &[f64], out: &mut [f64]) -> f64 {
        let k = projection.len();
        let mut norm = 0.0;
        for i in 0..k {
            let row = &self.gram_inverse[i * k..(i + 1) * k];
            let e: f64 = row.iter().zip(projection).map(|(a, b)| a * b).sum();
            norm += e * projection[i];
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
}
