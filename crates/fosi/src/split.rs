//! The split of a step between the subspace of V and its complement (paper, Algorithm 2).

/// How one step is split between the subspace of V and its complement (paper, Algorithm 2).
///
/// With the clipped gradient γg and c = (VᵀV)⁻¹Vᵀ(γg), the complement's gradient is g₂ = γg − Vc. The base maps it to
/// d_b, whose component in the subspace has the coefficients e = (VᵀV)⁻¹Vᵀd_b. The update is
///
/// θ ← (1 − decay)·θ − s·d_b + V(s·e − subspace_step).
#[derive(Debug)]
pub struct Split<'a, B> {
    /// V; `None` before the first refresh.
    pub basis: Option<&'a B>,
    /// (VᵀV)⁻¹, row by row; the identity up to rounding, with zero rows and columns for the directions that the base
    /// takes.
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
    /// The unit in which norms are summed: a power of two, and 1 unless the step is so large or small that squares
    /// would over- or underflow.
    pub norm_unit: f64,
}

impl<B> Split<'_, B> {
    /// The base takes the whole space: no basis, no clipping, no decay.
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

    /// Writes αu⊙c̄ − s·e to `out`, with e = (VᵀV)⁻¹p for the `projection` p = Vᵀd_b. The step subtracts V·out in
    /// addition to s·d_b. Returns ‖Ve‖² in units of `norm_unit`².
    pub fn subspace_update(&self, projection: &[f64], out: &mut [f64]) -> f64 {
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

/// The result of a base's step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    /// ‖d_b − Ve‖: the norm of the base's direction within the complement, without the factor s.
    pub complement_norm: f64,
    /// Whether all parameters and state vectors are finite after the step.
    pub finite: bool,
}
