//! What of a product is new to the vectors of Q: partial reorthogonalisation, and a second pass where digits are lost.

use super::{DEPENDENT, Product, Run};
use crate::operator::SymmetricOperator;
use crate::space::Space;

/// A residual w − Qc this much shorter than the product w has lost so many digits to cancellation that its
/// length is measured, and that it may have to be orthogonalised again.
const SECOND_PASS: f64 = 0.05;
/// A residual within this many rounding errors of the product is no new direction: a breakdown.
const BREAKDOWN: f64 = 10.0;

/// What an orthogonalisation leaves of a product.
pub(super) enum Orthogonalised {
    /// A new direction, which `product` now holds with unit length, and its length β.
    Direction(f64),
    /// Nothing but rounding of this length: the span of Q is invariant.
    Breakdown(f64),
}

impl<S: Space, O: SymmetricOperator<S>> Run<'_, S, O> {
    /// w ← (w − Qc)/β, but for what is negligible of c.
    pub(super) fn orthogonalise(&mut self, product: Product) -> Orthogonalised {
        if !self.is_residual_known(&product) {
            return self.orthogonalise_twice(product);
        }
        let beta = product.residual_norm;
        let negligible = self.negligible();
        let mut coefficients: Vec<(usize, f64)> =
            product.coefficients.into_iter().enumerate().collect();
        let last_two = coefficients.len().saturating_sub(2);
        coefficients.retain(|&(i, c)| i >= last_two || c.abs() > negligible * beta);
        self.subtract(&coefficients, 1.0 / beta);
        self.remember(coefficients, beta);
        Orthogonalised::Direction(beta)
    }

    /// The same where the residual is so short that digits were lost: all of c is subtracted, the residual is
    /// measured and where need be orthogonalised again.
    fn orthogonalise_twice(&mut self, product: Product) -> Orthogonalised {
        let floor = self.floor(&product);
        let mut coefficients: Vec<(usize, f64)> =
            product.coefficients.into_iter().enumerate().collect();
        let mut residual_norm = self.subtract(&coefficients, 1.0).sqrt();
        let mut nothing = residual_norm <= floor;
        if !nothing && residual_norm < SECOND_PASS * product.norm {
            self.projected.info.second_passes += 1;
            let again = self.coefficients();
            let shorter = self.subtract(&again, 1.0).sqrt();
            for (coefficient, (_, more)) in coefficients.iter_mut().zip(again) {
                coefficient.1 += more;
            }
            nothing = shorter <= floor || shorter < DEPENDENT * residual_norm;
            residual_norm = shorter;
        }
        if nothing {
            self.remember(coefficients, 0.0);
            return Orthogonalised::Breakdown(residual_norm);
        }
        self.subtract(&[], 1.0 / residual_norm);
        self.remember(coefficients, residual_norm);
        Orthogonalised::Direction(residual_norm)
    }

    /// The residual norm of a product whose direction does not become the next vector.
    pub(super) fn residual_norm(&mut self, product: Product, j: usize) -> f64 {
        let mut length = product.residual_norm;
        if !self.is_residual_known(&product) {
            match self.orthogonalise_twice(product) {
                Orthogonalised::Direction(found) => length = found,
                Orthogonalised::Breakdown(found) => return found,
            }
        }
        self.recurrence.truncate(j);
        self.recurrence.push(None);
        length
    }

    /// Whether enough of the product is left that its residual is known, and is orthogonal to Q to rounding.
    fn is_residual_known(&self, product: &Product) -> bool {
        product.residual_norm > self.floor(product).max(SECOND_PASS * product.norm)
    }

    /// The length below which a residual is no new direction.
    fn floor(&self, product: &Product) -> f64 {
        let rounding = BREAKDOWN * self.space.epsilon() * self.largest_entry.max(product.norm);
        rounding.max(product.noise)
    }

    fn remember(&mut self, mut coefficients: Vec<(usize, f64)>, beta: f64) {
        coefficients.push((self.workspace.vectors.len(), beta));
        self.recurrence.push(Some(coefficients));
    }
}
