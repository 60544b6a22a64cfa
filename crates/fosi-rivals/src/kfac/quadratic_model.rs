//! The quadratic model of the loss in two coefficients.

/// M(w) = bᵀw + ½wᵀ(A + λD)w for a step w₁Δ₁ + w₂Δ₂, with bᵢ = gᵀΔᵢ, Aᵢⱼ = ΔᵢᵀFΔⱼ and Dᵢⱼ = ΔᵢᵀΔⱼ.
#[derive(Debug, Clone, Copy)]
pub(super) struct QuadraticModel {
    pub curvature: [[f64; 2]; 2],
    pub identity: [[f64; 2]; 2],
    pub gradient: [f64; 2],
}

impl QuadraticModel {
    /// The coefficients that minimise the model, except for the `fixed` ones.
    pub fn minimum(&self, damping: f64, fixed: [Option<f64>; 2]) -> [f64; 2] {
        let entry = |i: usize, j: usize| self.curvature[i][j] + damping * self.identity[i][j];
        let (a, b, c) = (entry(0, 0), entry(0, 1), entry(1, 1));
        let [g, h] = self.gradient;
        match fixed {
            [Some(first), Some(second)] => [first, second],
            [None, Some(second)] => [-quotient(g + b * second, a), second],
            [Some(first), None] => [first, -quotient(h + b * first, c)],
            [None, None] => {
                let determinant = a * c - b * b;
                // The previous step is zero or parallel to the preconditioned gradient.
                if determinant <= f64::EPSILON * a * c {
                    return [-quotient(g, a), 0.0];
                }
                [
                    -(c * g - b * h) / determinant,
                    -(a * h - b * g) / determinant,
                ]
            }
        }
    }

    /// M(w) − M(0) without damping.
    pub fn change(&self, w: [f64; 2]) -> f64 {
        let a = &self.curvature;
        let linear = w[0] * self.gradient[0] + w[1] * self.gradient[1];
        let squares = w[0] * w[0] * a[0][0] + w[1] * w[1] * a[1][1];
        linear + 0.5 * squares + w[0] * w[1] * a[0][1]
    }
}

/// x/y, and 0 for 0/0: no gradient, no step.
fn quotient(x: f64, y: f64) -> f64 {
    if x == 0.0 && y == 0.0 { 0.0 } else { x / y }
}
