//! The running mean of the refreshes' Hessians, kept at low rank.
//!
//! A refresh estimates the Hessian of one batch, whose noise perturbs the eigenvectors; the leading subspace of the
//! full loss is stable. The mean over refreshes, H̄ ← (1−γ)H̄ + γVΛVᵀ, averages the noise out and costs no product. The
//! paper has no averaging; it uses the pairs of one batch.

use serde::{Deserialize, Serialize};

use crate::error::{Error, LanczosError, require};
use crate::lanczos::Workspace;
use crate::ranks::Ranks;
use crate::space::Space;
use crate::spectrum::{Ritz, Spectrum, SpectrumParams, eigenpairs};

/// Whether the step uses the spectrum of the last refresh or of a mean over refreshes.
///
/// The mean is H̄ = WMWᵀ of rank r = 2(k+ℓ). A refresh finds r Ritz pairs (V, Λ) and sets H̄ ← (1−γ)H̄ + γVΛVᵀ,
/// truncated to rank r by Rayleigh–Ritz in the span of both. The step uses the k largest and ℓ smallest pairs (λ̄, v̄)
/// of H̄, with u = 1/max{|λ̄|, |d|}. Here d is v̄ᵀHv̄ within the refresh's Krylov space: in a direction that is new to
/// the mean, λ̄ is only γλ. The scale s comes from the last refresh alone. Averaging stores r vectors besides the k+ℓ
/// of the basis.
///
/// At refresh t, γ is the larger of 1/t and the variant's weight.
///
/// ```
/// use fosi::{Averaging, FosiConfig};
///
/// // Without noise between the gradients there is nothing to average.
/// let config = FosiConfig { averaging: Averaging::Off, ..FosiConfig::default() };
/// config.validate()?;
/// # Ok::<(), fosi::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Averaging {
    /// The spectrum of the last refresh alone, as in the paper.
    Off,
    /// The weight γ of a refresh, above 0 and at most 1.
    Fixed(f64),
    /// γ by prediction, initially 0.5 and always between 0.1 and 0.9. Each refresh compares three means, by the new
    /// batch's curvature along their leading pairs (the sum over the k largest minus the sum over the ℓ smallest): H̄ in
    /// use, and what it would be if the previous refresh had entered with 1.4 times or 1/1.4 times its odds γ/(1−γ).
    /// The new Krylov space gives these curvatures without a further product. The odds change by that factor if one of
    /// the two alternatives captures more than H̄.
    #[default]
    Predicted,
}

impl Averaging {
    /// # Errors
    /// [`Error::InvalidSetting`] for a weight outside (0, 1].
    pub(crate) fn validate(self) -> Result<(), Error> {
        match self {
            Self::Off | Self::Predicted => Ok(()),
            Self::Fixed(weight) => {
                let allowed = weight > 0.0 && weight <= 1.0;
                require(allowed, "averaging (γ)", weight, "above 0 and at most 1")
            }
        }
    }
}

/// Predicted weight: γ at the start, the factor by which its odds change, and its bounds.
const FIRST_WEIGHT: f64 = 0.5;
const CHANGE: f64 = 1.4;
const LEAST_WEIGHT: f64 = 0.1;
/// Below 1: at γ = 1 nothing of the earlier refreshes would be left to compare with.
const MOST_WEIGHT: f64 = 0.9;

/// The mean H̄ without its leading vectors, which form the basis of the spectrum in use, and the last refresh's own
/// pairs.
pub(crate) struct Average<S: Space> {
    /// The columns of W after the leading ones.
    pub(crate) further: S::Basis,
    /// V_last: the leading Ritz vectors of the last refresh alone, and how many of them belong to the k largest.
    pub(crate) last: S::Basis,
    pub(crate) last_largest: usize,
    pub(crate) pairs: Pairs,
    pub(crate) state: State,
}

/// The pairs of H̄, leading ones first, and the last refresh's own leading pairs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pairs {
    /// The diagonal of M.
    pub(crate) eigenvalues: Vec<f64>,
    /// Bounds on ‖Hv̄ − λ̄v̄‖, averaged with the same weights as the pairs.
    pub(crate) residuals: Vec<f64>,
    /// The last refresh's eigenvalues.
    pub(crate) last_eigenvalues: Vec<f64>,
    /// The inner products of the columns of [W V_last], row by row.
    pub(crate) gram: Vec<f64>,
}

impl Pairs {
    /// The number of columns of [W V_last].
    fn size(&self) -> usize {
        self.eigenvalues.len() + self.last_eigenvalues.len()
    }

    /// Row i of the Gram matrix.
    fn gram_row(&self, i: usize) -> &[f64] {
        &self.gram[i * self.size()..][..self.size()]
    }
}

impl<S: Space> Average<S> {
    /// The curvature, in the Krylov space of `ritz`, of the leading pairs of the mean in which the last refresh had
    /// `factor` times its odds γ/(1−γ). Up to a factor, that mean is H̄ + (factor − 1)·γ·V_last Λ V_lastᵀ.
    /// `columns` = Qᵀ[W V_last].
    fn curvature_with(
        &self,
        factor: f64,
        weight: f64,
        columns: &[Vec<f64>],
        ritz: &Ritz,
        params: &SpectrumParams,
        ranks: &Ranks,
    ) -> Result<f64, LanczosError> {
        let pairs = &self.pairs;
        let size = pairs.size();
        let gram = faer::Mat::from_fn(size, size, |i, j| pairs.gram_row(i.max(j))[i.min(j)]);
        let change = weight * (factor - 1.0);
        let last = pairs.last_eigenvalues.iter().map(|value| change * value);
        let diagonal: Vec<f64> = pairs.eigenvalues.iter().copied().chain(last).collect();
        let found = rayleigh_ritz(&gram, &diagonal, ranks)?;
        let order = leading_first(found.values.len(), params.largest, params.smallest);
        let projection = |&pair: &usize| {
            let mut out = vec![0.0; ritz.values.len()];
            for (y, column) in found.vectors[pair].iter().zip(columns) {
                add(&mut out, *y, column);
            }
            out
        };
        let leading: Vec<Vec<f64>> = order.indices[..order.leading]
            .iter()
            .map(projection)
            .collect();
        Ok(ritz.total_curvature(&leading, order.largest))
    }
}

/// The state of the average.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The number of refreshes averaged in H̄.
    pub(crate) count: u64,
    /// γ by prediction.
    pub(crate) weight: f64,
}

impl State {
    /// The state after the first refresh.
    const FIRST: Self = Self {
        count: 1,
        weight: FIRST_WEIGHT,
    };

    /// The state after another refresh, on whose batch the previous one's odds should have been `factor` times as large.
    fn after(self, factor: f64) -> Self {
        let odds = factor * self.weight / (1.0 - self.weight);
        Self {
            count: self.count + 1,
            weight: (odds / (1.0 + odds)).clamp(LEAST_WEIGHT, MOST_WEIGHT),
        }
    }

    /// The weight γ of the last refresh, given that of the settings.
    fn last_weight(&self, averaging: Averaging) -> f64 {
        let given = match averaging {
            Averaging::Fixed(weight) => weight,
            Averaging::Off | Averaging::Predicted => self.weight,
        };
        given.max(1.0 / self.count as f64)
    }

    /// Whether a run can reach this state.
    pub(crate) fn is_possible(&self) -> bool {
        const MOST: u64 = 1 << 53;
        (1..=MOST).contains(&self.count) && (LEAST_WEIGHT..=MOST_WEIGHT).contains(&self.weight)
    }
}

/// The planned update of the mean: the combinations of existing vectors, not yet computed.
pub(crate) struct Merge {
    /// The columns of the new W, leading ones first, and of the refresh's own leading pairs, as combinations of the old
    /// W's columns and the Krylov vectors Q.
    columns: Vec<Vec<f64>>,
    eigenvalues: Vec<f64>,
    residuals: Vec<f64>,
    /// The eigenvalues of the refresh's own leading pairs.
    last_eigenvalues: Vec<f64>,
    /// The number of columns of W, how many of these lead, and how many leading ones belong to the k largest.
    rank: usize,
    leading: usize,
    largest: usize,
    last_largest: usize,
    /// vᵢᵀHvᵢ along the leading columns, estimated within the span of Q.
    pub(crate) curvature: Vec<f64>,
    state: State,
    /// γ of this refresh.
    pub(crate) weight: f64,
    /// See [`Refresh::captured_by_last`](crate::Refresh::captured_by_last).
    pub(crate) captured_by_last: Option<f64>,
}

/// The mean before a refresh.
pub(crate) struct Before<'a, S: Space> {
    pub(crate) average: &'a Average<S>,
    /// The spectrum in use, whose basis holds the leading columns of W.
    pub(crate) spectrum: &'a Spectrum<S>,
}

impl<S: Space> Before<'_, S> {
    /// The factor by which the odds γ/(1−γ) change: the one of CHANGE, 1 and 1/CHANGE that, applied to the last
    /// refresh's odds, lets the mean's leading pairs capture most of the new batch's curvature. `columns` = Qᵀ[W V_last].
    fn change_of_odds(
        &self,
        columns: &[Vec<f64>],
        ritz: &Ritz,
        params: &SpectrumParams,
        ranks: &Ranks,
    ) -> Result<f64, LanczosError> {
        let weight = self.average.state.last_weight(Averaging::Predicted);
        if weight >= 1.0 {
            // The mean is the last refresh, whatever its odds.
            return Ok(1.0);
        }
        let leading = &columns[..self.spectrum.eigenvalues.len()];
        let mut best = (1.0, ritz.total_curvature(leading, self.spectrum.largest));
        for factor in [CHANGE, 1.0 / CHANGE] {
            let curvature = self
                .average
                .curvature_with(factor, weight, columns, ritz, params, ranks)?;
            if curvature > best.1 {
                best = (factor, curvature);
            }
        }
        Ok(best.0)
    }
}

impl Merge {
    /// Plans how a refresh with the Ritz pairs `ritz` and the vectors Q in the workspace changes the mean. Only reads
    /// vectors.
    pub(crate) fn plan<S: Space>(
        averaging: Averaging,
        params: &SpectrumParams,
        space: &S,
        before: Option<&Before<'_, S>>,
        ritz: &Ritz,
        workspace: &Workspace<S>,
    ) -> Result<Self, LanczosError> {
        let m = workspace.vectors.len();
        let (k, l) = (params.largest, params.smallest);
        let (mut state, mut old) = (State::FIRST, Vec::new());
        let own = ritz.extreme(k, l);
        let mut captured_by_last = None;
        if let Some(before) = before {
            let cross = |basis: &S::Basis| columns_of(space.cross(&workspace.vectors, basis), m);
            old = cross(&before.spectrum.basis);
            old.extend(cross(&before.average.further));
            let rank = old.len();
            old.extend(cross(&before.average.last));
            let captured = ritz.total_curvature(&old[rank..], before.average.last_largest);
            captured_by_last = ritz.share_of(&own, k, captured);
            let factor = match averaging {
                Averaging::Predicted => before.change_of_odds(&old, ritz, params, space.ranks())?,
                Averaging::Off | Averaging::Fixed(_) => 1.0,
            };
            state = before.average.state.after(factor);
            old.truncate(rank);
        }
        let weight = state.last_weight(averaging);
        let new = ritz.extreme(2 * k, 2 * l);
        let joint = Joint {
            ritz,
            pairs: before.map(|before| &before.average.pairs),
            old: &old,
            new: &new,
            weight,
        };
        let found = rayleigh_ritz(&joint.gram(), &joint.diagonal(), space.ranks())?;
        let order = leading_first(found.values.len(), k, l);
        let leading = order.leading;
        let picked: Vec<Combination> = order
            .indices
            .iter()
            .map(|&i| joint.combination(&found.vectors[i]))
            .collect();
        let in_krylov = |i: &usize| {
            let mut column = vec![0.0; old.len()];
            column.extend_from_slice(ritz.column(*i));
            column
        };
        let weights = picked.iter().map(|one| one.weights.clone());
        Ok(Self {
            columns: weights.chain(own.iter().map(in_krylov)).collect(),
            eigenvalues: order.indices.iter().map(|&i| found.values[i]).collect(),
            residuals: picked.iter().map(|one| one.residual).collect(),
            last_eigenvalues: own.iter().map(|&i| ritz.values[i]).collect(),
            rank: picked.len(),
            leading,
            largest: order.largest,
            last_largest: k.min(own.len()),
            curvature: picked[..leading]
                .iter()
                .map(|one| ritz.curvature(&one.projection))
                .collect(),
            state,
            weight,
            captured_by_last,
        })
    }

    /// Computes the new mean and the spectrum of its leading pairs, which `ritz` completes. `old` holds the previous
    /// columns of W, leading ones first.
    pub(crate) fn apply<S: Space>(
        mut self,
        space: &S,
        old: Vec<S::Owned>,
        ritz: Ritz,
        workspace: &mut Workspace<S>,
    ) -> (Spectrum<S>, Average<S>) {
        let mut vectors = old;
        let lanczos = workspace.vectors.len();
        vectors.append(&mut workspace.vectors);
        // A rotation has at most as many columns as vectors.
        while vectors.len() < self.columns.len() {
            vectors.push(space.zeros());
        }
        for column in &mut self.columns {
            column.resize(vectors.len(), 0.0);
        }
        let (mut basis, gram) = space.rotate(&mut vectors, &self.columns);
        // A space that rotates into new memory leaves the memory of both W and Q for reuse.
        vectors.truncate(lanczos);
        workspace.recycle(vectors);
        let last = space.split_off(&mut basis, self.rank);
        let further = space.split_off(&mut basis, self.leading);
        let (size, total) = (self.leading, self.columns.len());
        let leading_gram: Vec<f64> = (0..size * size)
            .map(|at| gram[at / size * total + at % size])
            .collect();
        let leading = |values: &[f64]| values[..self.leading].to_vec();
        let spectrum = ritz.spectrum_with(
            space,
            leading(&self.eigenvalues),
            leading(&self.residuals),
            self.largest,
            basis,
            &leading_gram,
        );
        let average = Average {
            further,
            last,
            last_largest: self.last_largest,
            pairs: Pairs {
                eigenvalues: self.eigenvalues,
                residuals: self.residuals,
                last_eigenvalues: self.last_eigenvalues,
                gram,
            },
            state: self.state,
        };
        (spectrum, average)
    }
}

/// The Hessian of the refresh's batch within its Krylov space: QᵀHQ and G = QᵀQ.
impl Ritz {
    /// xᵀQG⁻¹(QᵀHQ)G⁻¹Qᵀx, the curvature along x's part in the span of Q, given Qᵀx.
    fn curvature(&self, projection: &[f64]) -> f64 {
        let mut x = projection.to_vec();
        self.projected.gram.solve(&mut x);
        self.quadratic_form(&x)
    }

    /// The curvature summed over the first `largest` columns minus that over the others.
    fn total_curvature(&self, columns: &[Vec<f64>], largest: usize) -> f64 {
        let signed = |(i, column): (usize, &Vec<f64>)| {
            let sign = if i < largest { 1.0 } else { -1.0 };
            sign * self.curvature(column)
        };
        columns.iter().enumerate().map(signed).sum()
    }

    /// `curvature` divided by the total along the pairs `own`: the sum over the first `largest` minus that over the
    /// others. `None` if the total is not positive.
    fn share_of(&self, own: &[usize], largest: usize, curvature: f64) -> Option<f64> {
        let signed = |(i, &pair): (usize, &usize)| {
            let sign = if i < largest { 1.0 } else { -1.0 };
            sign * self.values[pair]
        };
        let whole: f64 = own.iter().enumerate().map(signed).sum();
        (whole > 0.0).then(|| curvature / whole)
    }

    /// Gy for G = QᵀQ.
    fn gram_times(&self, y: &[f64]) -> Vec<f64> {
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

/// The span of B = [W V]: the old columns of W and the refresh's Ritz vectors V = QY.
struct Joint<'a> {
    ritz: &'a Ritz,
    /// The old pairs, if there are any.
    pairs: Option<&'a Pairs>,
    /// QᵀW, column by column.
    old: &'a [Vec<f64>],
    /// The refresh's Ritz pairs.
    new: &'a [usize],
    /// γ.
    weight: f64,
}

/// Eigenvalues in ascending order, and their vectors as combinations of B's columns.
struct Eigenpairs {
    values: Vec<f64>,
    vectors: Vec<Vec<f64>>,
}

/// A vector x = By.
struct Combination {
    /// Coefficients of the columns of W and of Q.
    weights: Vec<f64>,
    /// Qᵀx.
    projection: Vec<f64>,
    residual: f64,
}

/// Eigenvalues of BᵀB below this, relative to the largest, belong to directions that two columns share to within
/// about 0.2°.
const SHARED: f64 = 1e-5;

/// The eigenpairs of BDBᵀ in the span of B, given BᵀB and the diagonal of D. With BᵀB = UΣUᵀ and Z = BUΣ^{-1/2}, whose
/// columns are orthonormal, the matrix is Σ^{1/2}UᵀDUΣ^{1/2} there.
fn rayleigh_ritz(
    gram: &faer::Mat<f64>,
    diagonal: &[f64],
    ranks: &Ranks,
) -> Result<Eigenpairs, LanczosError> {
    let size = gram.nrows();
    let (sigma, u) = eigenpairs(gram, ranks)?;
    let least = SHARED * sigma.last().copied().unwrap_or(0.0);
    let kept: Vec<usize> = (0..size).filter(|&i| sigma[i] > least).collect();
    let entry = |a: usize, b: usize| {
        let (i, j) = (kept[a], kept[b]);
        let sum: f64 = (0..size).map(|p| u[(p, i)] * diagonal[p] * u[(p, j)]).sum();
        (sigma[i] * sigma[j]).sqrt() * sum
    };
    let matrix = faer::Mat::from_fn(kept.len(), kept.len(), |i, j| entry(i.max(j), i.min(j)));
    let (values, z) = eigenpairs(&matrix, ranks)?;
    let vector = |column: usize| -> Vec<f64> {
        let term = |p: usize| {
            let terms = kept.iter().enumerate();
            terms
                .map(|(a, &i)| u[(p, i)] / sigma[i].sqrt() * z[(a, column)])
                .sum()
        };
        (0..size).map(term).collect()
    };
    let vectors = (0..kept.len()).map(vector).collect();
    Ok(Eigenpairs { values, vectors })
}

impl Joint<'_> {
    /// BᵀB.
    fn gram(&self) -> faer::Mat<f64> {
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
    fn diagonal(&self) -> Vec<f64> {
        let old = self.pairs.map_or(&[][..], |pairs| &pairs.eigenvalues);
        let old = old.iter().map(|value| (1.0 - self.weight) * value);
        let ritz = self.ritz;
        old.chain(self.new.iter().map(|&i| self.weight * ritz.values[i]))
            .collect()
    }

    /// x = By.
    fn combination(&self, y: &[f64]) -> Combination {
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

    /// A bound on ‖Hx − λ̄x‖ from the residuals of the columns of W and V, weighted as in H̄.
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

/// Which of the ascending eigenvalues are kept, and in what order.
struct Order {
    /// The k largest in descending order, the ℓ smallest in ascending order, then the next k largest and the next ℓ
    /// smallest.
    indices: Vec<usize>,
    leading: usize,
    /// How many of the leading ones belong to the k largest.
    largest: usize,
}

fn leading_first(count: usize, k: usize, l: usize) -> Order {
    let largest = k.min(count);
    let smallest = l.min(count - largest);
    let further_largest = k.min(count - largest - smallest);
    let further_smallest = l.min(count - largest - smallest - further_largest);
    let top = |from: usize, to: usize| (from..to).map(move |i| count - 1 - i);
    let indices = top(0, largest)
        .chain(0..smallest)
        .chain(top(largest, largest + further_largest))
        .chain(smallest..smallest + further_smallest);
    Order {
        indices: indices.collect(),
        leading: largest + smallest,
        largest,
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// out ← out + a·x.
fn add(out: &mut [f64], a: f64, x: &[f64]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out += a * x);
}

/// The columns of a matrix with m rows, given in column-major order.
fn columns_of(entries: Vec<f64>, m: usize) -> Vec<Vec<f64>> {
    entries.chunks(m.max(1)).map(<[f64]>::to_vec).collect()
}
