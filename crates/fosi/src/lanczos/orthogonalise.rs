//! Partial reorthogonalisation of a product against Q, with a second pass where digits are lost.

use super::{DEPENDENT, Product, Run};
use crate::operator::SymmetricOperator;
use crate::space::Space;

/// A residual w − Qc below this fraction of ‖w‖ has lost digits to cancellation: its norm is measured, and it may need
/// a second orthogonalisation.
const SECOND_PASS: f64 = 0.05;
/// A residual whose norm is at most this many rounding errors of the product is a breakdown, not a new direction.
const BREAKDOWN: f64 = 10.0;

/// The result of orthogonalising a product.
pub(super) enum Orthogonalised {
    /// A new direction of norm β; `product` holds it normalised.
    Direction(f64),
    /// Only rounding, of this norm, remains: the span of Q is invariant.
    Breakdown(f64),
}

impl<S: Space, O: SymmetricOperator<S>> Run<'_, S, O> {
    /// w ← (w − Qc)/β, without the negligible coefficients.
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

    /// The same for a residual so small that digits were lost: subtracts all of c, measures the residual and, if
    /// necessary, orthogonalises it again.
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

    /// Whether the residual is large enough that its norm is accurate and it is orthogonal to Q up to rounding.
    fn is_residual_known(&self, product: &Product) -> bool {
        product.residual_norm > self.floor(product).max(SECOND_PASS * product.norm)
    }

    /// The norm up to which a residual is not a new direction.
    fn floor(&self, product: &Product) -> f64 {
        let rounding = BREAKDOWN * self.space.epsilon() * self.largest_entry.max(product.norm);
        rounding.max(product.noise)
    }

    fn remember(&mut self, mut coefficients: Vec<(usize, f64)>, beta: f64) {
        coefficients.push((self.workspace.vectors.len(), beta));
        self.recurrence.push(Some(coefficients));
    }
}
