//! The initial inverse metric of L-BFGS: the inverse Hessian in the span of the estimated eigenvectors, a multiple of
//! the identity in its complement.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::space::Space;
use crate::spectrum::Spectrum;
use crate::subspace::apply_inverse;

/// The scalars of a metric, for storage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedMetric {
    gram_inverse: Vec<f64>,
    inverse: Vec<f64>,
    scale: f64,
    measured: bool,
}

impl SavedMetric {
    pub(super) fn eigenpairs(&self) -> usize {
        self.inverse.len()
    }
}

/// H₀ = V|Λ|⁻¹Vᵀ + γ(I − VVᵀ); without a spectrum H₀ = γI.
pub(super) struct SpectralMetric<S: Space> {
    basis: Option<S::Basis>,
    /// (VᵀV)⁻¹, row by row.
    gram_inverse: Vec<f64>,
    /// 1/|λ| of each eigenvector.
    inverse: Vec<f64>,
    /// γ.
    scale: f64,
    /// Vᵀx and Vᵀy of two vectors, and (VᵀV)⁻¹Vᵀy.
    projection: Vec<f64>,
    other: Vec<f64>,
    coefficients: Vec<f64>,
    /// Whether γ has been measured.
    measured: bool,
}

impl<S: Space> SpectralMetric<S> {
    pub(super) fn identity() -> Self {
        Self {
            basis: None,
            gram_inverse: Vec::new(),
            inverse: Vec::new(),
            scale: 1.0,
            projection: Vec::new(),
            other: Vec::new(),
            coefficients: Vec::new(),
            measured: false,
        }
    }

    /// Adopts the eigenpairs, with |λ| raised to at least `floor`·max|λ|. γ stays until [`measure`](Self::measure)
    /// updates it.
    pub(super) fn set_spectrum(&mut self, spectrum: Spectrum<S>, floor: f64) {
        let curvature = spectrum.damped_curvature(floor);
        self.inverse = curvature.iter().map(|x| 1.0 / x).collect();
        self.allocate(self.inverse.len());
        self.gram_inverse = spectrum.gram_inverse;
        self.basis = (!self.inverse.is_empty()).then_some(spectrum.basis);
        if !self.measured {
            self.scale = self
                .inverse
                .iter()
                .copied()
                .reduce(f64::max)
                .unwrap_or(self.scale);
        }
    }

    pub(super) fn basis(&self) -> Option<&S::Basis> {
        self.basis.as_ref()
    }

    pub(super) fn save(&self) -> SavedMetric {
        SavedMetric {
            gram_inverse: self.gram_inverse.clone(),
            inverse: self.inverse.clone(),
            scale: self.scale,
            measured: self.measured,
        }
    }

    /// Adopts stored scalars and their basis.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where they are inconsistent.
    pub(super) fn restore(
        &mut self,
        space: &S,
        saved: SavedMetric,
        basis: Option<S::Basis>,
    ) -> Result<(), Error> {
        let k = basis.as_ref().map_or(0, |basis| space.size(basis));
        let positive = |x: &f64| *x > 0.0 && x.is_finite();
        let possible = saved.inverse.iter().all(positive) && positive(&saved.scale);
        let finite = saved.gram_inverse.iter().all(|x| x.is_finite());
        if saved.inverse.len() != k || saved.gram_inverse.len() != k * k || !possible || !finite {
            let given = saved.inverse.len();
            let message = format!(
                "its metric has {given} eigenvalues, {k} eigenvectors, or impossible numbers"
            );
            return Err(Error::Checkpoint(message));
        }
        self.allocate(k);
        self.gram_inverse = saved.gram_inverse;
        self.inverse = saved.inverse;
        self.scale = saved.scale;
        self.measured = saved.measured;
        self.basis = basis;
        Ok(())
    }

    /// Allocates memory for the coefficients of k eigenvectors.
    fn allocate(&mut self, k: usize) {
        self.projection = vec![0.0; k];
        self.other = vec![0.0; k];
        self.coefficients = vec![0.0; k];
    }

    /// The number of eigenvectors.
    pub(super) fn len(&self) -> usize {
        self.inverse.len()
    }

    pub(super) fn is_measured(&self) -> bool {
        self.measured
    }

    /// γ = s⊥ᵀy⊥/y⊥ᵀy⊥ with s⊥ = s − VVᵀs and y⊥ = y − VVᵀy, if s⊥ᵀy⊥ > 0; otherwise γ is unchanged. `curvature` is
    /// sᵀy.
    pub(super) fn measure(
        &mut self,
        space: &S,
        step: &S::Vector,
        change: &S::Vector,
        curvature: f64,
    ) {
        let (mut sy, mut yy) = (curvature, space.dot(change, change));
        if let Some(basis) = &self.basis {
            // Differences of inner products: if nearly all of s or y lies in the span of V, only rounding remains.
            let whole = (sy.abs(), yy);
            space.project(basis, step, &mut self.projection);
            space.project(basis, change, &mut self.other);
            let inside = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            apply_inverse(&self.gram_inverse, &self.other, &mut self.coefficients);
            sy -= inside(&self.projection, &self.coefficients);
            yy -= inside(&self.other, &self.coefficients);
            let rounding = 100.0 * space.epsilon();
            if yy <= rounding * whole.1 || sy.abs() <= rounding * whole.0 {
                return;
            }
        }
        let scale = sy / yy;
        if sy > 0.0 && yy > 0.0 && scale.is_finite() && scale > 0.0 {
            self.scale = scale;
            self.measured = true;
        }
    }

    /// q ← H₀q: two passes over V, or four where [rounding](Self::is_swamped) would hide the component in the span of
    /// V.
    pub(super) fn apply(&mut self, space: &S, q: &mut S::Vector) {
        let swamped = self.is_swamped(space.epsilon());
        let Some(basis) = &self.basis else {
            space.subtract_scaled(&[], &[], self.scale, q);
            return;
        };
        space.project(basis, q, &mut self.other);
        apply_inverse(&self.gram_inverse, &self.other, &mut self.coefficients);
        if !swamped {
            let terms = self.coefficients.iter_mut().zip(&self.inverse);
            terms.for_each(|(c, inverse)| *c *= 1.0 - inverse / self.scale);
            space.subtract(basis, &self.coefficients, q);
            space.subtract_scaled(&[], &[], self.scale, q);
            return;
        }
        space.subtract(basis, &self.coefficients, q);
        // Remove the rounding errors along V.
        space.project(basis, q, &mut self.projection);
        apply_inverse(&self.gram_inverse, &self.projection, &mut self.other);
        space.subtract(basis, &self.other, q);
        space.subtract_scaled(&[], &[], self.scale, q);
        let terms = self.coefficients.iter_mut().zip(&self.inverse);
        terms.for_each(|(c, inverse)| *c *= -inverse);
        space.subtract(basis, &self.coefficients, q);
    }

    /// Whether the rounding of γVVᵀq exceeds a thousandth of V|Λ|⁻¹Vᵀq along some eigenvector: ε·γ·max|λ| > 10⁻³.
    fn is_swamped(&self, epsilon: f64) -> bool {
        let least = self.inverse.iter().copied().reduce(f64::min);
        least.is_some_and(|least| epsilon * self.scale > 1e-3 * least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Array, Host, Scalar};

    /// The largest relative error of vᵢᵀH₀q for the eigenvectors v₁ and v₂, and q = v₁ + v₂.
    fn error<T: Scalar>(eigenvalues: [f64; 2], scale: f64) -> f64 {
        let n = 60;
        let space = Host::<T>::new(n);
        let norm = (n as f64).sqrt();
        let sign = |i: usize, j: usize| {
            if (i >> j).is_multiple_of(2) {
                1.0
            } else {
                -1.0
            }
        };
        let rows = [0, 1].map(|j| -> Vec<f64> { (0..n).map(|i| sign(i, j) / norm).collect() });
        let stored = rows
            .clone()
            .map(|row| -> Vec<T> { row.into_iter().map(T::of).collect() });
        let basis = space.import_basis(&Array::from_rows(&stored)).unwrap();
        let saved = SavedMetric {
            gram_inverse: vec![1.0, 0.0, 0.0, 1.0],
            inverse: eigenvalues.map(|x| 1.0 / x).to_vec(),
            scale,
            measured: true,
        };
        let mut metric = SpectralMetric::identity();
        metric.restore(&space, saved, Some(basis)).unwrap();
        let mut q: Vec<T> = (0..n).map(|i| T::of(rows[0][i] + rows[1][i])).collect();
        metric.apply(&space, &mut q);
        let along = |row: &[f64]| {
            row.iter()
                .zip(&q)
                .map(|(v, q)| v * f64::of(*q))
                .sum::<f64>()
        };
        let errors = rows.iter().zip(eigenvalues);
        errors
            .map(|(row, value)| (along(row) * value - 1.0).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn newtons_part_is_kept_however_large_the_curvature() {
        for (value, scale) in [(1e3, 1.0), (1e7, 1.0)] {
            let error = error::<f32>([value, 0.5 * value], scale);
            assert!(error < 1e-2, "{value}: {error}");
        }
        for (value, scale) in [(1e3, 1.0), (1e14, 1.0), (1e14, 100.0)] {
            let error = error::<f64>([value, 0.5 * value], scale);
            assert!(error < 1e-2, "{value}: {error}");
        }
    }

    #[test]
    fn scalars_that_do_not_fit_the_basis_are_refused() {
        let space = Host::<f64>::new(3);
        let rows = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
        let restored = |gram_inverse: &[f64], inverse: &[f64], scale| {
            let basis = space.import_basis(&Array::from_rows(&rows)).unwrap();
            let saved = SavedMetric {
                gram_inverse: gram_inverse.to_vec(),
                inverse: inverse.to_vec(),
                scale,
                measured: true,
            };
            SpectralMetric::identity().restore(&space, saved, Some(basis))
        };
        let identity = [1.0, 0.0, 0.0, 1.0];
        assert!(restored(&identity, &[0.5, 0.25], 2.0).is_ok());
        assert!(restored(&identity[..3], &[0.5, 0.25], 2.0).is_err());
        assert!(restored(&[1.0, f64::NAN, 0.0, 1.0], &[0.5, 0.25], 2.0).is_err());
        assert!(restored(&identity, &[0.5], 2.0).is_err());
        assert!(restored(&identity, &[0.5, -1.0], 2.0).is_err());
        assert!(restored(&identity, &[0.5, 0.25], 0.0).is_err());
    }
}
