//! The extreme eigenpairs of a symmetric operator (the paper's ESE, Algorithm 1).

use std::borrow::{Borrow, BorrowMut};

use faer::Side;

use crate::conditioning::Conditioning;
use crate::error::{Error, LanczosError, require};
use crate::float::times_power_of_two;
use crate::lanczos::{
    LanczosInfo, LanczosParams, Projected, Start, Workspace, lanczos, probe_steps,
};
use crate::non_exhaustive::NonExhaustive;
use crate::operator::{SymmetricOperator, check_dim};
use crate::ranks::Ranks;
use crate::scaling::Extremes;
use crate::space::Space;

/// Which eigenpairs are estimated, and with how many products.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpectrumParams {
    /// k: the number of algebraically largest eigenvalues.
    pub largest: usize,
    /// ℓ: the number of algebraically smallest eigenvalues.
    pub smallest: usize,
    /// m: Lanczos steps, at least k+ℓ. `None`: max{4(k+ℓ), ⌈2 ln n⌉} (paper, §3.2).
    pub lanczos_steps: Option<usize>,
    /// Stops before m steps once ‖Hv̂ − λ̂v̂‖ ≤ tolerance·|λ̂| for all k+ℓ pairs; default `None`: always m steps.
    pub tolerance: Option<f64>,
    /// Whether max{4, ⌊0.15·m⌋} more steps from another start vector look for copies of repeated eigenvalues that one
    /// start vector cannot find; default true. The paper has no such probe.
    pub probe: bool,
    /// Seed of the start vector.
    pub seed: u64,
    #[doc(hidden)]
    pub non_exhaustive: NonExhaustive,
}

impl Default for SpectrumParams {
    /// The paper's k = 10, ℓ = 0.
    fn default() -> Self {
        Self {
            largest: 10,
            smallest: 0,
            lanczos_steps: None,
            tolerance: None,
            probe: true,
            seed: 0,
            non_exhaustive: NonExhaustive::default(),
        }
    }
}

impl SpectrumParams {
    /// m in a space of dimension n: [`lanczos_steps`](Self::lanczos_steps), or max{4(k+ℓ), ⌈2 ln n⌉} (paper, §3.2);
    /// at most n.
    pub fn steps(&self, dim: usize) -> usize {
        let default = || {
            let logarithm = (2.0 * (dim.max(1) as f64).ln()).ceil() as usize;
            (4 * (self.largest + self.smallest)).max(logarithm)
        };
        self.lanczos_steps.unwrap_or_else(default).min(dim)
    }

    /// The number of probe steps in a space of dimension n.
    pub fn probe_steps(&self, dim: usize) -> usize {
        let steps = self.steps(dim);
        let wanted = if self.probe { probe_steps(steps) } else { 0 };
        wanted.min(dim - steps)
    }

    /// The number of products per estimation in a space of dimension n, Lanczos steps and probe, without retries; with
    /// a [`tolerance`](Self::tolerance), the maximum.
    pub fn products(&self, dim: usize) -> usize {
        self.steps(dim) + self.probe_steps(dim)
    }

    /// # Errors
    /// [`Error::InvalidSetting`] unless 1 ≤ k+ℓ ≤ m ≤ 10,000 and the tolerance is positive and finite.
    pub fn validate(&self) -> Result<(), Error> {
        let pairs = self.largest.saturating_add(self.smallest);
        let given = format!("{} + {}", self.largest, self.smallest);
        let within = (1..=MOST_PAIRS).contains(&pairs);
        require(
            within,
            "largest + smallest (k + ℓ)",
            given,
            "from 1 to 10,000",
        )?;
        let tolerance = self.tolerance.unwrap_or(1.0);
        let allowed = tolerance > 0.0 && tolerance.is_finite();
        require(
            allowed,
            "lanczos_tolerance",
            tolerance,
            "positive and finite",
        )?;
        match self.lanczos_steps {
            Some(m) => require(
                (pairs..=MOST_PAIRS).contains(&m),
                "lanczos_steps (m)",
                m,
                "at least largest + smallest (k + ℓ), at most 10,000",
            ),
            None => Ok(()),
        }
    }
}

/// Far beyond any use; prevents overflow in products of settings.
pub(crate) const MOST_PAIRS: usize = 10_000;

/// Extreme eigenpairs: k largest in descending order, then ℓ smallest in ascending order.
///
/// Contains fewer pairs where the dimension is below k+ℓ, and never the same pair twice.
#[non_exhaustive]
pub struct Spectrum<S: Space> {
    /// λ̂ of each pair.
    pub eigenvalues: Vec<f64>,
    /// Bounds on ‖Av̂ − λ̂v̂‖ of each pair, up to rounding. Of a [mean over refreshes](crate::Averaging): the weighted
    /// means of the single estimates' bounds, without the differences between batches.
    pub residuals: Vec<f64>,
    /// The number of pairs, at the front, that belong to the k largest.
    pub largest: usize,
    /// V̂: the eigenvectors, orthonormal to rounding.
    pub basis: S::Basis,
    /// (V̂ᵀV̂)⁻¹, row by row.
    pub gram_inverse: Vec<f64>,
    /// The least of the k largest and the greatest of the ℓ smallest Ritz values of the run.
    pub(crate) last_of_largest: Option<f64>,
    pub(crate) last_of_smallest: Option<f64>,
    /// The largest Ritz value of the run.
    pub maximum: f64,
    /// The smallest Ritz value of the run, an estimate of λ_n from above.
    pub minimum: f64,
    /// An upper bound λ̂ + ‖Av̂ − λ̂v̂‖ on the largest eigenvalue that only the probe found. Where it exceeds λ̂ₖ, the
    /// complement may contain further copies of that eigenvalue.
    pub missed: Option<f64>,
    /// The absolute error below which eigenvalues are not resolved: the larger of [`LanczosInfo::noise`] and ten
    /// rounding errors of the largest |Ritz value|.
    pub noise: f64,
    /// The Lanczos run's counts and errors.
    pub info: LanczosInfo,
}

impl<S: Space> std::fmt::Debug for Spectrum<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spectrum")
            .field("eigenvalues", &self.eigenvalues)
            .field("residuals", &self.residuals)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl<S: Space> Spectrum<S> {
    /// The ends of the spectrum for learning-rate scaling. `strong_convexity`, if given, replaces the estimate of μ. L₂
    /// is the larger of λ_k and [`missed`](Self::missed).
    pub fn extremes(&self, strong_convexity: Option<f64>) -> Extremes {
        let smallest = strong_convexity.unwrap_or(self.minimum).max(0.0);
        let largest = self.maximum.max(0.0);
        Extremes {
            largest,
            smallest,
            largest_left: self
                .last_of_largest
                .unwrap_or(largest)
                .max(self.missed.unwrap_or(0.0))
                .max(0.0),
            smallest_left: self.last_of_smallest.map_or(smallest, |last| last.max(0.0)),
        }
    }

    /// 1/u = max{|λ̂|, floor·max|λ̂|} of each pair; the Newton step divides by it.
    pub fn damped_curvature(&self, floor: f64) -> Vec<f64> {
        let size = max_abs(&self.eigenvalues);
        let damped = |x: &f64| x.abs().max(floor * size);
        self.eigenvalues.iter().map(damped).collect()
    }

    /// Whether |λ̂| exceeds the sum of its residual and the noise, for each pair: λ̂ is then certainly not 0, apart from
    /// differences between batches if the pair is one of a mean.
    pub fn resolved(&self) -> Vec<bool> {
        let pairs = self.eigenvalues.iter().zip(&self.residuals);
        pairs
            .map(|(x, residual)| x.abs() > residual + self.noise)
            .collect()
    }
}

fn max_abs(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, x| m.max(x.abs()))
}

/// Estimates the extreme eigenpairs of `operator`.
///
/// ```
/// use fosi::{Host, operator::DenseMatrix, spectrum::{SpectrumParams, estimate}};
///
/// let space = Host::<f64>::new(2);
/// let mut matrix = DenseMatrix::new(2, vec![2.0, 1.0, 1.0, 2.0])?;
/// let params = SpectrumParams { largest: 1, smallest: 1, ..SpectrumParams::default() };
/// let spectrum = estimate(&space, &mut matrix, &params)?;
/// assert!((spectrum.eigenvalues[0] - 3.0).abs() < 1e-12);
/// assert!((spectrum.eigenvalues[1] - 1.0).abs() < 1e-12);
/// # Ok::<(), fosi::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidSetting`] for invalid parameters, `Error::DimensionMismatch` for an operator of another dimension,
/// [`Error::Lanczos`] where the iteration fails.
pub fn estimate<S: Space>(
    space: &S,
    operator: &mut impl SymmetricOperator<S>,
    params: &SpectrumParams,
) -> Result<Spectrum<S>, Error> {
    params.validate()?;
    if let Some(found) = operator.dim() {
        check_dim(space.dim(), found)?;
    }
    let n = space.dim();
    let mut workspace = Workspace::new(space, params.products(n));
    let ritz = ritz_pairs(space, operator, params, &Start::Random, &mut workspace)?;
    let chosen = ritz.extreme(params.largest, params.smallest);
    Ok(ritz.spectrum(space, &mut workspace, &chosen, params.largest))
}

/// The Lanczos run from `start` and the Ritz pairs of QᵀHQ (Algorithm 1 without the selection). Leaves Q in the
/// workspace. `params` must be valid.
pub(crate) fn ritz_pairs<S: Space>(
    space: &S,
    operator: &mut impl SymmetricOperator<S>,
    params: &SpectrumParams,
    start: &Start<'_, S::Vector>,
    workspace: &mut Workspace<S>,
) -> Result<Ritz, LanczosError> {
    let lanczos_params = LanczosParams {
        steps: params.steps(space.dim()),
        probe: params.probe,
        seed: params.seed,
    };
    let enough = |projected: &Projected| match params.tolerance {
        Some(tolerance) => is_converged(projected, params, tolerance, space.ranks()),
        None => false,
    };
    let projected = lanczos(space, operator, &lanczos_params, start, workspace, &enough)?;
    let ritz = Ritz::of(space, projected)?;
    if ritz.projected.info.shifted {
        let first = ritz.extreme(params.largest, params.smallest);
        ritz.confirm_shifted(space, operator, workspace, &first)?;
    }
    Ok(ritz)
}

/// Whether the residuals of the wanted pairs are below the tolerance, relative to |θ|.
fn is_converged(
    projected: &Projected,
    params: &SpectrumParams,
    tolerance: f64,
    ranks: &Ranks,
) -> bool {
    let m = projected.gram.size();
    let pairs = params.largest + params.smallest;
    // The check costs m³ operations, so long runs do it less often.
    if m < pairs || !m.is_multiple_of(m / CHECKS + 1) {
        return false;
    }
    let Ok(ritz) = RitzPairs::of(projected, ranks) else {
        return false;
    };
    extreme(m, params.largest, params.smallest)
        .all(|i| ritz.residual(i, projected) <= tolerance * ritz.values[i].abs())
}

/// Up to this many steps, every step checks for convergence.
const CHECKS: usize = 64;

/// The indices of the k largest of m ascending values in descending order, then of the ℓ smallest.
fn extreme(m: usize, largest: usize, smallest: usize) -> impl Iterator<Item = usize> {
    let largest = largest.min(m);
    (m - largest..m).rev().chain(0..smallest.min(m - largest))
}

/// Like [`estimate`], but keeps the pairs whose indices `choose` returns, in that order; `Spectrum::largest` is their
/// number.
pub(crate) fn estimate_chosen<S: Space>(
    space: &S,
    operator: &mut impl SymmetricOperator<S>,
    params: &SpectrumParams,
    workspace: &mut Workspace<S>,
    choose: impl FnOnce(&Ritz) -> Vec<usize>,
) -> Result<Spectrum<S>, LanczosError> {
    let ritz = ritz_pairs(space, operator, params, &Start::Random, workspace)?;
    let chosen = choose(&ritz);
    let count = chosen.len();
    Ok(ritz.spectrum(space, workspace, &chosen, count))
}

/// The Ritz pairs of a run whose vectors Q are in the workspace, in ascending order of θ.
pub(crate) struct Ritz {
    pub(crate) projected: Projected,
    pairs: RitzPairs,
    /// θ.
    pub(crate) values: Vec<f64>,
    /// Bounds on the residual norms.
    pub(crate) residuals: Vec<f64>,
    /// See [`Spectrum::noise`].
    pub(crate) noise: f64,
}

impl Ritz {
    fn of<S: Space>(space: &S, projected: Projected) -> Result<Self, LanczosError> {
        let pairs = RitzPairs::of(&projected, space.ranks())?;
        let in_units = |value: f64| times_power_of_two(value, projected.exponent);
        let values: Vec<f64> = pairs.values.iter().map(|&value| in_units(value)).collect();
        let residual = |i| in_units(pairs.residual(i, &projected));
        let residuals: Vec<f64> = (0..values.len()).map(residual).collect();
        let rounding = ROUNDINGS * space.epsilon() * max_abs(&values);
        let noise = projected.info.noise.max(rounding);
        Ok(Self {
            projected,
            pairs,
            values,
            residuals,
            noise,
        })
    }

    /// The indices of the k largest pairs in descending order, then of the ℓ smallest in ascending order.
    pub(crate) fn extreme(&self, largest: usize, smallest: usize) -> Vec<usize> {
        extreme(self.values.len(), largest, smallest).collect()
    }

    /// The largest θ after the k largest.
    pub(crate) fn next_largest(&self, largest: usize) -> Option<f64> {
        let before = self.values.len().checked_sub(largest + 1)?;
        self.values.get(before).copied()
    }

    /// λ₁, λ_{k+1}, λ_{n−ℓ} and λ_n by the Ritz values; `strong_convexity`, if given and positive, replaces λ_n, and
    /// λ_{n−ℓ} for ℓ = 0.
    pub(crate) fn conditioning(
        &self,
        largest: usize,
        smallest: usize,
        strong_convexity: Option<f64>,
    ) -> Option<Conditioning> {
        let given = strong_convexity.filter(|mu| *mu > 0.0);
        let last_ritz = *self.values.first()?;
        let lambda_n = given.unwrap_or(last_ritz);
        let last = match smallest {
            0 => lambda_n,
            count => *self.values.get(count)?,
        };
        let next = self.next_largest(largest)?;
        Conditioning::new(*self.values.last()?, next, last.min(next), lambda_n)
    }

    /// y of the pair (θ, Qy).
    pub(crate) fn column(&self, i: usize) -> &[f64] {
        self.pairs.vectors.col_as_slice(i)
    }

    /// ⟨q₁, Qy⟩²/⟨q₁, q₁⟩ of each pair: the share of ‖q₁‖² along its Ritz vector. The weights sum to one.
    pub(crate) fn weights(&self) -> Vec<f64> {
        let gram = &self.projected.gram;
        let weight = |i| {
            let terms = self.column(i).iter().enumerate();
            let along: f64 = terms.map(|(j, y)| gram.entry(0, j) * y).sum();
            along * along / gram.entry(0, 0)
        };
        (0..self.values.len()).map(weight).collect()
    }

    /// xᵀ(QᵀHQ)x.
    pub(crate) fn quadratic_form(&self, x: &[f64]) -> f64 {
        let row = |(i, row): (usize, &Vec<f64>)| {
            let (before, diagonal) = row.split_at(i);
            let off: f64 = before.iter().zip(x).map(|(a, x)| a * x).sum();
            x[i] * (2.0 * off + diagonal[0] * x[i])
        };
        let form = self.projected.matrix.iter().enumerate().map(row).sum();
        times_power_of_two(form, self.projected.exponent)
    }

    /// The spectrum of the chosen pairs, of which at most the first `largest` belong to the k largest.
    pub(crate) fn spectrum<S: Space>(
        self,
        space: &S,
        workspace: &mut Workspace<S>,
        chosen: &[usize],
        largest: usize,
    ) -> Spectrum<S> {
        let columns: Vec<Vec<f64>> = chosen.iter().map(|&i| self.column(i).to_vec()).collect();
        let (basis, gram) = space.rotate(&mut workspace.vectors, &columns);
        let take = |values: &[f64]| chosen.iter().map(|&i| values[i]).collect();
        let (eigenvalues, residuals) = (take(&self.values), take(&self.residuals));
        self.spectrum_with(space, eigenvalues, residuals, largest, basis, &gram)
    }

    /// The spectrum of the given pairs; this run provides the extreme Ritz values, the noise and the counts.
    /// `last_of_largest` and `last_of_smallest` are this run's k-th largest and ℓ-th smallest Ritz values, where k and
    /// ℓ count the given pairs.
    pub(crate) fn spectrum_with<S: Space>(
        self,
        space: &S,
        eigenvalues: Vec<f64>,
        residuals: Vec<f64>,
        largest: usize,
        basis: S::Basis,
        gram: &[f64],
    ) -> Spectrum<S> {
        let largest = largest.min(eigenvalues.len());
        let smallest = eigenvalues.len() - largest;
        let m = self.values.len();
        let last = |count: usize, i: usize| (count > 0 && count <= m).then(|| self.values[i]);
        Spectrum {
            last_of_largest: last(largest, m.saturating_sub(largest)),
            last_of_smallest: last(smallest, smallest.saturating_sub(1)),
            gram_inverse: inverse(gram, eigenvalues.len(), space.ranks()),
            eigenvalues,
            residuals,
            largest,
            basis,
            maximum: self.values.last().copied().unwrap_or(0.0),
            minimum: self.values.first().copied().unwrap_or(0.0),
            missed: self
                .pairs
                .missed(&self.projected)
                .map(|i| self.values[i] + self.residuals[i]),
            noise: self.noise,
            info: self.projected.info,
        }
    }

    /// Refuses pairs from a shifted point unless, along the first `chosen` Ritz vector, the curvature at the original
    /// point is within a factor of two of θ.
    fn confirm_shifted<S: Space>(
        &self,
        space: &S,
        operator: &mut impl SymmetricOperator<S>,
        workspace: &Workspace<S>,
        chosen: &[usize],
    ) -> Result<(), LanczosError> {
        let Some(&first) = chosen.first() else {
            return Ok(());
        };
        let shifted = self.values[first];
        let step = self.projected.info.products;
        let failed = |source| LanczosError::Operator { step, source };
        let (mut v, mut out) = (space.zeros(), space.zeros());
        let vectors: Vec<&S::Vector> = workspace.vectors.iter().map(Borrow::borrow).collect();
        let negative: Vec<f64> = self.column(first).iter().map(|y| -y).collect();
        space.subtract_scaled(&vectors, &negative, 1.0, v.borrow_mut());
        let (v, out): (&S::Vector, &mut S::Vector) = (v.borrow(), out.borrow_mut());
        if !operator.apply_before_shift(v, out).map_err(failed)? {
            return Ok(());
        }
        let found = space.dot(v, out) / space.dot(v, v);
        let ratio = found / shifted;
        if (0.5..=2.0).contains(&ratio) || shifted.abs() <= self.noise {
            return Ok(());
        }
        Err(LanczosError::Shifted { shifted, found })
    }
}

/// The error of a Ritz value, in rounding errors of the largest |Ritz value|.
const ROUNDINGS: f64 = 10.0;

/// θ and y of the Ritz pairs (θ, Qy), in ascending order of θ.
struct RitzPairs {
    values: Vec<f64>,
    /// y in the columns.
    vectors: faer::Mat<f64>,
}

impl RitzPairs {
    /// With QᵀQ = LLᵀ, (θ, Lᵀy) are the eigenpairs of L⁻¹·QᵀAQ·L⁻ᵀ.
    fn of(projected: &Projected, ranks: &Ranks) -> Result<Self, LanczosError> {
        let (gram, lower) = (&projected.gram, &projected.matrix);
        let m = gram.size();
        let mut matrix = faer::Mat::from_fn(m, m, |i, j| lower[i.max(j)][i.min(j)]);
        solve_columns(&mut matrix, |x| gram.forward(x));
        matrix = matrix.transpose().to_owned();
        solve_columns(&mut matrix, |x| gram.forward(x));
        let (values, mut vectors) = eigenpairs(&matrix, ranks)?;
        solve_columns(&mut vectors, |x| gram.backward(x));
        Ok(Self { values, vectors })
    }

    /// The largest Ritz pair that lies mostly in the probe's vectors, so that the steps before the probe missed it.
    fn missed(&self, projected: &Projected) -> Option<usize> {
        let square = |y: &[f64]| y.iter().map(|y| y * y).sum::<f64>();
        (0..self.values.len()).rev().find(|&i| {
            let (before, probe) = self
                .vectors
                .col_as_slice(i)
                .split_at(projected.before_probe);
            square(probe) > square(before)
        })
    }

    /// A bound on ‖Av̂ − λ̂v̂‖: the products' residual norms, weighted by |y|.
    fn residual(&self, i: usize, projected: &Projected) -> f64 {
        let vector = self.vectors.col_as_slice(i);
        let terms = vector.iter().zip(&projected.residual_norms);
        terms.map(|(y, norm)| (y * norm).abs()).sum()
    }
}

/// The eigenvalues of a symmetric matrix in ascending order, and its eigenvectors in the columns. All ranks use rank 0's,
/// since the eigensolver rounds differently on other processors.
pub(crate) fn eigenpairs(
    matrix: &faer::Mat<f64>,
    ranks: &Ranks,
) -> Result<(Vec<f64>, faer::Mat<f64>), LanczosError> {
    let size = matrix.nrows();
    if size == 0 {
        // The eigensolver panics on an empty matrix.
        return Ok((Vec::new(), faer::Mat::new()));
    }
    let own = matrix.self_adjoint_eigen(Side::Lower).map(|pairs| {
        let values = pairs.S().column_vector().iter().copied().collect();
        (values, pairs.U().to_owned())
    });
    let own = own.map_err(|_| LanczosError::Eigensolver { size });
    match ranks.size() {
        1 => own,
        _ => those_of_rank_0(own, size, ranks),
    }
}

/// Rank 0's eigenpairs, or its error.
fn those_of_rank_0(
    own: Result<(Vec<f64>, faer::Mat<f64>), LanczosError>,
    size: usize,
    ranks: &Ranks,
) -> Result<(Vec<f64>, faer::Mat<f64>), LanczosError> {
    // Whether the solver succeeded, the eigenvalues and the eigenvectors.
    let mut found = vec![0.0; 1 + size + size * size];
    if let Ok((own_values, own_vectors)) = &own {
        found[0] = 1.0;
        let (values, vectors) = found[1..].split_at_mut(size);
        values.copy_from_slice(own_values);
        for (at, entry) in vectors.iter_mut().enumerate() {
            *entry = own_vectors[(at % size, at / size)];
        }
    }
    ranks.agree(&mut found);
    if found[0] == 0.0 {
        return Err(LanczosError::Eigensolver { size });
    }
    let (values, vectors) = found[1..].split_at(size);
    let vectors = faer::Mat::from_fn(size, size, |i, j| vectors[j * size + i]);
    Ok((values.to_vec(), vectors))
}

/// Applies `solve` to each column of an m×m matrix.
fn solve_columns(matrix: &mut faer::Mat<f64>, solve: impl Fn(&mut [f64])) {
    for j in 0..matrix.ncols() {
        solve(matrix.col_as_slice_mut(j));
    }
}

impl<S: Space> Spectrum<S> {
    /// The inverse Gram matrix of the kept pairs, with zero rows and columns for the others. All ranks use rank 0's.
    pub(crate) fn gram_inverse_of(&self, kept: &[bool], ranks: &Ranks) -> Vec<f64> {
        let k = self.eigenvalues.len();
        let indices: Vec<usize> = (0..k).filter(|&i| kept[i]).collect();
        if indices.len() == k {
            return self.gram_inverse.clone();
        }
        let gram = inverse(&self.gram_inverse, k, ranks);
        let count = indices.len();
        let part = indices
            .iter()
            .flat_map(|i| indices.iter().map(move |j| i * k + j));
        let part: Vec<f64> = part.map(|at| gram[at]).collect();
        let part = inverse(&part, count, ranks);
        let mut out = vec![0.0; k * k];
        for (a, i) in indices.iter().enumerate() {
            for (b, j) in indices.iter().enumerate() {
                out[i * k + j] = part[a * count + b];
            }
        }
        out
    }
}

/// The inverse of a symmetric k×k matrix, both row by row. All ranks use rank 0's, as for [`eigenpairs`].
fn inverse(gram: &[f64], k: usize, ranks: &Ranks) -> Vec<f64> {
    use faer::linalg::solvers::DenseSolveCore;
    if k == 0 {
        return Vec::new();
    }
    let matrix = faer::Mat::from_fn(k, k, |i, j| gram[i * k + j]);
    let inverse = matrix.partial_piv_lu().inverse();
    let mut inverse: Vec<f64> = (0..k * k).map(|i| inverse[(i / k, i % k)]).collect();
    ranks.agree(&mut inverse);
    inverse
}
