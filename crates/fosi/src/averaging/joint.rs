//! Rayleigh–Ritz in the joint span of the mean's vectors and a refresh's Ritz vectors.

use super::pairs::Pairs;
use crate::error::LanczosError;
use crate::ranks::Ranks;
use crate::spectrum::{Ritz, eigenpairs};

/// The span of B = [W V]: the old columns of W and the refresh's Ritz vectors V = QY.
pub(super) struct Joint<'a> {
    pub(super) ritz: &'a Ritz,
    /// The old pairs, if there are any.
    pub(super) pairs: Option<&'a Pairs>,
    /// QᵀW, column by column.
    pub(super) old: &'a [Vec<f64>],
    /// The refresh's Ritz pairs.
    pub(super) new: &'a [usize],
    /// γ.
    pub(super) weight: f64,
}

/// Eigenvalues in ascending order, and their vectors as combinations of B's columns.
pub(super) struct Eigenpairs {
    pub(super) values: Vec<f64>,
    pub(super) vectors: Vec<Vec<f64>>,
}

/// A vector x = By.
pub(super) struct Combination {
    /// Coefficients of the columns of W and of Q.
    pub(super) weights: Vec<f64>,
    /// Qᵀx.
    pub(super) projection: Vec<f64>,
    pub(super) residual: f64,
}

/// Eigenvalues of BᵀB below this, relative to the largest, belong to directions that two columns share to within
/// about 0.4°.
const SHARED: f64 = 1e-5;

/// The span of B's columns, given BᵀB = UΣUᵀ.
pub(super) struct Span {
    /// The columns of UΣ^{-1/2}: an orthonormal basis Z of the span, as combinations of B's columns.
    basis: Vec<Vec<f64>>,
    /// The columns of BᵀZ = UΣ^{1/2}.
    projected: Vec<Vec<f64>>,
}

impl Span {
    pub(super) fn of(gram: &faer::Mat<f64>, ranks: &Ranks) -> Result<Self, LanczosError> {
        let (sigma, u) = eigenpairs(gram, ranks)?;
        let least = SHARED * sigma.last().copied().unwrap_or(0.0);
        let kept = sigma
            .iter()
            .enumerate()
            .filter(|(_, sigma)| **sigma > least);
        let times = |i: usize, factor: f64| u.col_as_slice(i).iter().map(|u| factor * u).collect();
        let (basis, projected) = kept
            .map(|(i, sigma)| (times(i, 1.0 / sigma.sqrt()), times(i, sigma.sqrt())))
            .unzip();
        Ok(Self { basis, projected })
    }

    /// The eigenpairs of BDBᵀ in the span, given the diagonal of D: those of ZᵀBDBᵀZ.
    pub(super) fn eigenpairs(
        &self,
        diagonal: &[f64],
        ranks: &Ranks,
    ) -> Result<Eigenpairs, LanczosError> {
        let size = self.basis.len();
        let scaled: Vec<Vec<f64>> = self
            .projected
            .iter()
            .map(|column| column.iter().zip(diagonal).map(|(x, d)| x * d).collect())
            .collect();
        let entry = |i: usize, j: usize| dot(&scaled[i.max(j)], &self.projected[i.min(j)]);
        let (values, z) = eigenpairs(&faer::Mat::from_fn(size, size, entry), ranks)?;
        let vector = |column: usize| {
            let mut out = vec![0.0; diagonal.len()];
            for (basis, z) in self.basis.iter().zip(z.col_as_slice(column)) {
                add(&mut out, *z, basis);
            }
            out
        };
        let vectors = (0..size).map(vector).collect();
        Ok(Eigenpairs { values, vectors })
    }
}

impl Joint<'_> {
    /// BᵀB.
    pub(super) fn gram(&self) -> faer::Mat<f64> {
        let (w, ritz) = (self.old.len(), self.ritz);
        let new: Vec<Vec<f64>> = self
            .new
            .iter()
            .map(|&i| self.ritz.gram_times(ritz.column(i)))
            .collect();
        let entry = |i: usize, j: usize| match (i < w, j < w) {
            (true, true) => self.pairs.map_or(0.0, |pairs| pairs.gram_row(i)[j]),
            (true, false) => dot(&self.old[i], ritz.column(self.new[j - w])),
            (false, true) => dot(&self.old[j], ritz.column(self.new[i - w])),
            (false, false) => dot(ritz.column(self.new[i - w]), &new[j - w]),
        };
        let size = w + self.new.len();
        faer::Mat::from_fn(size, size, |i, j| entry(i.max(j), i.min(j)))
    }

    /// D of BDBᵀ = (1−γ)WMWᵀ + γVΛVᵀ.
    pub(super) fn diagonal(&self) -> Vec<f64> {
        let old = self.pairs.map_or(&[][..], |pairs| &pairs.eigenvalues);
        let old = old.iter().map(|value| (1.0 - self.weight) * value);
        let ritz = self.ritz;
        old.chain(self.new.iter().map(|&i| self.weight * ritz.values[i]))
            .collect()
    }

    /// x = By.
    pub(super) fn combination(&self, y: &[f64]) -> Combination {
        let ritz = self.ritz;
        let (of_old, of_new) = y.split_at(self.old.len());
        let mut krylov = vec![0.0; ritz.values.len()];
        for (&i, y) in self.new.iter().zip(of_new) {
            add(&mut krylov, *y, ritz.column(i));
        }
        let mut projection = self.ritz.gram_times(&krylov);
        for (column, y) in self.old.iter().zip(of_old) {
            add(&mut projection, *y, column);
        }
        let residual = self.residual(of_old, &krylov, &projection);
        let mut weights = of_old.to_vec();
        weights.append(&mut krylov);
        Combination {
            weights,
            projection,
            residual,
        }
    }

    /// The residual bounds of the columns of W and V along x, weighted as in H̄.
    fn residual(&self, of_old: &[f64], krylov: &[f64], projection: &[f64]) -> f64 {
        let ritz = self.ritz;
        let new: f64 = self
            .new
            .iter()
            .map(|&i| dot(ritz.column(i), projection).abs() * ritz.residuals[i])
            .sum();
        let Some(pairs) = self.pairs else { return new };
        let w = of_old.len();
        let along = |i: usize| dot(&pairs.gram_row(i)[..w], of_old) + dot(&self.old[i], krylov);
        let old: f64 = (0..w).map(|i| along(i).abs() * pairs.residuals[i]).sum();
        (1.0 - self.weight) * old + self.weight * new
    }
}

pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// out ← out + a·x.
pub(super) fn add(out: &mut [f64], a: f64, x: &[f64]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out += a * x);
}
