//! Curvature along given directions, by a refresh's Lanczos run.

use crate::spectrum::Ritz;

/// The Hessian of the refresh's batch within its Krylov space: QᵀHQ and G = QᵀQ.
impl Ritz {
    /// xᵀQG⁻¹(QᵀHQ)G⁻¹Qᵀx, the curvature along x's part in the span of Q, given Qᵀx.
    pub(super) fn curvature(&self, projection: &[f64]) -> f64 {
        let mut x = projection.to_vec();
        self.projected.gram.solve(&mut x);
        self.quadratic_form(&x)
    }

    /// The curvature summed over the first `largest` columns minus that over the others.
    pub(super) fn total_curvature(&self, columns: &[Vec<f64>], largest: usize) -> f64 {
        let signed = |(i, column): (usize, &Vec<f64>)| {
            let sign = if i < largest { 1.0 } else { -1.0 };
            sign * self.curvature(column)
        };
        columns.iter().enumerate().map(signed).sum()
    }

    /// `curvature` divided by the total along the pairs `own`: the sum over the first `largest` minus that over the
    /// others. `None` if the total is not positive.
    pub(super) fn share_of(&self, own: &[usize], largest: usize, curvature: f64) -> Option<f64> {
        let signed = |(i, &pair): (usize, &usize)| {
            let sign = if i < largest { 1.0 } else { -1.0 };
            sign * self.values[pair]
        };
        let whole: f64 = own.iter().enumerate().map(signed).sum();
        (whole > 0.0).then(|| curvature / whole)
    }

    /// Gy for G = QᵀQ.
    pub(super) fn gram_times(&self, y: &[f64]) -> Vec<f64> {
        let gram = &self.projected.gram;
        let row = |i: usize| {
            y.iter()
                .enumerate()
                .map(|(j, y)| gram.entry(i, j) * y)
                .sum()
        };
        (0..y.len()).map(row).collect()
    }
}
