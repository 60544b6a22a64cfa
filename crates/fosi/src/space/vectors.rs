//! The operations on vectors that FOSI needs.

use std::borrow::{Borrow, BorrowMut};

use super::array::Array;
use crate::elementwise::Elementwise;
use crate::error::Error;
use crate::float::{FloatLimits, times_power_of_two};
use crate::ranks::Ranks;
use crate::split::{Moved, Split};

/// A sum of squares below this may have lost terms to underflow.
const SMALLEST_SQUARE: f64 = 1e-280;

/// The vector space ℝⁿ with the operations that FOSI needs.
///
/// Scalars are `f64` at this interface. Reductions accumulate in `f64` or, where the space cannot, in a precision above
/// the vectors' own. All vectors and bases passed to a method belong to the same space; [`Space::check`] checks lengths
/// once, where user input enters.
pub trait Space {
    /// A borrowed vector, such as `[f32]` on the host.
    type Vector: ?Sized;
    /// An owned vector, such as `Vec<f32>` on the host.
    type Owned: BorrowMut<Self::Vector>;
    /// k vectors that are kept between refreshes, as the columns of an n×k matrix V.
    type Basis;

    /// The dimension n, also if each rank has a shard of every vector.
    fn dim(&self) -> usize;
    /// The ranks that share the vectors; default a single one. If they have shards, reductions are over all of them, and
    /// the numbers that a method returns or writes are the same on every rank.
    fn ranks(&self) -> &Ranks {
        &Ranks::ALONE
    }
    /// The unit roundoff of a vector's entries.
    fn epsilon(&self) -> f64;
    /// The largest finite value of a vector's entry.
    fn max_value(&self) -> f64;
    /// The smallest positive normal value of a vector's entry. A positive setting below it may count as zero.
    fn min_positive(&self) -> f64;
    /// All three limits.
    fn limits(&self) -> FloatLimits {
        FloatLimits {
            epsilon: self.epsilon(),
            min_positive: self.min_positive(),
            max: self.max_value(),
        }
    }
    /// An error unless `x` has n entries or, on ranks with shards, as many as this rank's shard.
    fn check(&self, what: &'static str, x: &Self::Vector) -> Result<(), Error>;
    /// The zero vector.
    fn zeros(&self) -> Self::Owned;
    /// A vector of independent standard normal entries, determined by the seed and equal on any number of ranks.
    fn normal(&self, seed: u64) -> Self::Owned;
    /// ⟨x, y⟩.
    fn dot(&self, x: &Self::Vector, y: &Self::Vector) -> f64;
    /// ‖x‖∞; not finite if an entry is not finite. One pass over x.
    fn max_abs(&self, x: &Self::Vector) -> f64;
    /// ‖x‖, without intermediate over- or underflow.
    fn norm(&self, x: &Self::Vector) -> f64 {
        self.norm_of_square(x, self.dot(x, x))
    }
    /// ‖x‖, given ‖x‖² as [`dot`](Self::dot) or [`project`](Self::project) computed it. If the square over- or
    /// underflowed, the norm is recomputed from x/2ᵉ with 2ᵉ ≈ ‖x‖∞.
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
        self.axpby(1.0, x, 0.0, y);
        self.scale_by_power(-exponent, y);
        let y = scaled.borrow();
        times_power_of_two(self.dot(y, y).sqrt(), exponent)
    }
    /// x ← 2ᵉ·x for an integer e.
    fn scale_by_power(&self, exponent: f64, x: &mut Self::Vector) {
        // Several factors: 2ᵉ may overflow although 2ᵉ·x does not, and each factor must be a normal number in x's
        // precision.
        let mut left = exponent;
        let most = self.max_value().log2().floor() - 1.0;
        while left != 0.0 {
            let part = left.clamp(-most, most);
            self.subtract_scaled(&[], &[], part.exp2(), x);
            left -= part;
        }
    }
    /// y ← a·x + b·y.
    fn axpby(&self, a: f64, x: &Self::Vector, b: f64, y: &mut Self::Vector);
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
    /// c ← Vᵀx; returns ‖x‖². One pass over V.
    fn project(&self, basis: &Self::Basis, x: &Self::Vector, c: &mut [f64]) -> f64;
    /// x ← x − Vc; returns the new ‖x‖². One pass over V.
    fn subtract(&self, basis: &Self::Basis, c: &[f64], x: &mut Self::Vector) -> f64;

    /// c ← Qᵀx and d ← Qᵀy for the vectors Q; returns ‖x‖². One pass over Q.
    fn project_pair(
        &self,
        vectors: &[Self::Owned],
        x: &Self::Vector,
        y: &Self::Vector,
        c: &mut [f64],
        d: &mut [f64],
    ) -> f64;
    /// x ← a(x − Qc) for the vectors Q; returns the new ‖x‖². One pass over Q, or over x if Q is empty.
    fn subtract_scaled(
        &self,
        vectors: &[&Self::Vector],
        c: &[f64],
        a: f64,
        x: &mut Self::Vector,
    ) -> f64;
    /// The kept basis V = Q·Y in the space's storage precision, and VᵀV of the stored V, row by row. Y is given column
    /// by column; each column has one number per vector of Q, and there are at most as many columns as vectors. V may
    /// take over the memory of some vectors; the remaining ones then hold arbitrary entries.
    fn rotate(
        &self,
        vectors: &mut Vec<Self::Owned>,
        columns: &[Vec<f64>],
    ) -> (Self::Basis, Vec<f64>);
    /// Releases the memory of a basis that is no longer needed, as vectors for reuse.
    fn release(&self, _basis: Self::Basis) -> Vec<Self::Owned> {
        Vec::new()
    }
    /// Removes the vectors from index `at` on from the basis and returns them.
    fn split_off(&self, basis: &mut Self::Basis, at: usize) -> Self::Basis;
    /// The basis's vectors, in the vectors' precision.
    fn take_vectors(&self, basis: Self::Basis) -> Vec<Self::Owned>;
    /// QᵀV for the vectors Q, in column-major order. Q has at least one vector.
    fn cross(&self, vectors: &[Self::Owned], basis: &Self::Basis) -> Vec<f64> {
        let mut out = vec![0.0; vectors.len() * self.size(basis)];
        let mut column = self.zeros();
        for (index, out) in out.chunks_exact_mut(vectors.len()).enumerate() {
            self.copy_column(basis, index, column.borrow_mut());
            let column = column.borrow();
            self.project_pair(vectors, column, column, out, &mut []);
        }
        out
    }

    /// One step of an elementwise base in the complement of V, with FOSI's update; see [`Split`].
    fn elementwise_step<E: Elementwise>(
        &self,
        coefficients: &E::Coefficients,
        state: &mut [Self::Owned],
        gradient: &Self::Vector,
        split: &Split<'_, Self::Basis>,
        parameters: &mut Self::Vector,
        direction: &mut Self::Owned,
    ) -> Moved;

    /// A vector in its stored form: all n entries, gathered where each rank has a shard.
    fn export(&self, x: &Self::Vector) -> Array;
    /// The vector from its stored form.
    fn import(&self, array: &Array) -> Result<Self::Owned, Error>;
    /// A basis in its stored form, in its own storage precision.
    fn export_basis(&self, basis: &Self::Basis) -> Array;
    /// A single basis vector in its stored form.
    fn export_column(&self, basis: &Self::Basis, index: usize) -> Array {
        self.export_basis(basis).row(index)
    }
    /// The basis from its stored form.
    fn import_basis(&self, array: &Array) -> Result<Self::Basis, Error>;
}
