//! Inverses of damped Kronecker factors.

use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};

/// A symmetric positive semidefinite matrix, row by row.
#[derive(Debug, Clone)]
pub(super) struct Factor {
    pub size: usize,
    pub entries: Vec<f64>,
}

impl Factor {
    /// Mean of the diagonal.
    fn scale(&self) -> f64 {
        let diagonal = self.entries.iter().step_by(self.size + 1);
        diagonal.sum::<f64>() / self.size as f64
    }

    /// `c` times the identity.
    fn identity(size: usize, c: f64) -> Self {
        let mut entries = vec![0.0; size * size];
        entries.iter_mut().step_by(size + 1).for_each(|x| *x = c);
        Self { size, entries }
    }

    /// (F/scale + dI)⁻¹/c; `None` where that matrix is not positive definite.
    fn inverse(&self, scale: f64, damping: f64, c: f64) -> Option<Self> {
        let n = self.size;
        let entry = |i: usize, j: usize| {
            let damping = if i == j { damping } else { 0.0 };
            self.entries[i * n + j] / scale + damping
        };
        let inverse = Mat::from_fn(n, n, entry).llt(Side::Lower).ok()?.inverse();
        // The same triangle on both sides, so that the result is exactly symmetric.
        let entries = (0..n * n).map(|at| {
            let (i, j) = (at / n, at % n);
            inverse[(i.max(j), i.min(j))] / c
        });
        let entries: Vec<f64> = entries.collect();
        entries
            .iter()
            .all(|x| x.is_finite())
            .then_some(Self { size: n, entries })
    }
}

/// Inverses of √(ag)(A/a + √(λ/ag) I) and √(ag)(G/g + √(λ/ag) I), whose Kronecker product approximates A⊗G + λI, where
/// a and g are the means of the diagonals of A and G. This splits λ by the ratio of traces π (Martens, Grosse 2015,
/// §6.3).
///
/// As in kfac-jax, a factor of size 1 takes no part of the damping, and if A or G is zero both damped factors are √λ I.
/// `None` if a damped factor is not positive definite.
pub(super) fn damped_inverses([a, g]: &[Factor; 2], damping: f64) -> Option<[Factor; 2]> {
    let scales = [a.scale(), g.scale()];
    if !(scales[0] > 0.0 && scales[1] > 0.0) {
        let c = 1.0 / damping.sqrt();
        return c
            .is_finite()
            .then(|| [a, g].map(|factor| Factor::identity(factor.size, c)));
    }
    let c = (0.5 * (scales[0].ln() + scales[1].ln())).exp();
    if a.size == 1 && g.size == 1 {
        let c = (scales[0] * scales[1] + damping).sqrt();
        return Some([a, g].map(|_| Factor::identity(1, 1.0 / c)));
    }
    let damping = match a.size == 1 || g.size == 1 {
        true => damping / (c * c),
        false => damping.sqrt() / c,
    };
    let inverse = |factor: &Factor, scale: f64| match factor.size {
        1 => Some(Factor::identity(1, 1.0 / c)),
        _ => factor.inverse(scale, damping, c),
    };
    Some([inverse(a, scales[0])?, inverse(g, scales[1])?])
}
