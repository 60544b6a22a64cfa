//! The running mean of the refreshes' Hessians, kept at low rank.
//!
//! A refresh estimates the Hessian of one batch, whose noise perturbs the eigenvectors; the leading subspace of the
//! full loss is stable. The mean over refreshes, H̄ ← (1−γ)H̄ + γVΛVᵀ, averages the noise out and costs no product. The
//! paper has no averaging; it uses the pairs of one batch.

mod joint;
mod krylov;
mod pairs;
mod weight;

use joint::{Combination, Joint, Span};
pub(crate) use pairs::Pairs;
use pairs::leading_first;
use weight::Prediction;
pub(crate) use weight::State;

use crate::error::{Error, LanczosError, require};
use crate::lanczos::Workspace;
use crate::space::Space;
use crate::spectrum::{Ritz, Spectrum, SpectrumParams};

/// Whether the step uses the spectrum of the last refresh or of a mean over refreshes.
///
/// The mean is H̄ = WMWᵀ of rank r = 2(k+ℓ). A refresh finds r Ritz pairs (V, Λ) and sets H̄ ← (1−γ)H̄ + γVΛVᵀ,
/// truncated to rank r by Rayleigh–Ritz in the span of both. The step uses the k largest and ℓ smallest pairs (λ̄, v̄)
/// of H̄, with u = 1/max{|λ̄|, |d|}. Here d is v̄ᵀHv̄ within the refresh's Krylov space: in a direction that is new to
/// the mean, λ̄ is only γλ. The scale s comes from the last refresh alone. Averaging stores r vectors besides the k+ℓ
/// of the basis. A refresh that resolves no pair ends the mean; the next one starts a new one.
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
    /// γ by prediction, always between 0.1 and 0.9. The second refresh has γ = 1/(1 + a), where a in [0, 1] makes a
    /// times the first estimate, in its leading pairs, closest to the new batch's Hessian. Each later one compares three
    /// means by the new batch's curvature along their leading pairs (the sum over the k largest minus the sum over the
    /// ℓ smallest): H̄ in use, and what it would be if the previous refresh had entered with 1.4 times or 1/1.4 times
    /// its odds γ/(1−γ). The odds change by that factor if one of the two alternatives captures more than H̄. The new
    /// Krylov space gives all of this without a further product.
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

    /// The given weight, if there is one.
    fn fixed(self) -> Option<f64> {
        match self {
            Self::Fixed(weight) => Some(weight),
            Self::Off | Self::Predicted => None,
        }
    }
}

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

/// The mean before a refresh as the refresh's Lanczos run sees it.
struct Comparison {
    /// QᵀW, column by column.
    old: Vec<Vec<f64>>,
    /// The state of the weight after the refresh.
    state: State,
    captured_by_last: Option<f64>,
}

impl Comparison {
    /// At the first refresh there is no mean.
    const FIRST: Self = Self {
        old: Vec::new(),
        state: State::FIRST,
        captured_by_last: None,
    };
}

impl<S: Space> Before<'_, S> {
    fn compare(
        &self,
        averaging: Averaging,
        params: &SpectrumParams,
        space: &S,
        ritz: &Ritz,
        workspace: &Workspace<S>,
    ) -> Result<Comparison, LanczosError> {
        let m = workspace.vectors.len();
        let cross = |basis: &S::Basis| columns_of(space.cross(&workspace.vectors, basis), m);
        let (average, spectrum) = (self.average, self.spectrum);
        let mut columns = cross(&spectrum.basis);
        columns.extend(cross(&average.further));
        let rank = columns.len();
        columns.extend(cross(&average.last));
        let own = ritz.extreme(params.largest, params.smallest);
        // Sums over different numbers of pairs can't be compared.
        let last = (columns.len() - rank, average.last_largest);
        let comparable = last == (own.len(), params.largest.min(own.len()));
        let captured_by_last = comparable.then(|| {
            let captured = ritz.total_curvature(&columns[rank..], average.last_largest);
            ritz.share_of(&own, params.largest, captured)
        });
        let prediction = Prediction {
            state: average.state,
            pairs: &average.pairs,
            columns: &columns,
            leading: spectrum.eigenvalues.len(),
            largest: spectrum.largest,
            ritz,
            ranks: space.ranks(),
        };
        let state = match averaging {
            Averaging::Predicted => prediction.next_state()?,
            Averaging::Off | Averaging::Fixed(_) => average.state.after(1.0),
        };
        columns.truncate(rank);
        Ok(Comparison {
            old: columns,
            state,
            captured_by_last: captured_by_last.flatten(),
        })
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
        let (k, l) = (params.largest, params.smallest);
        let compared = match before {
            Some(before) => before.compare(averaging, params, space, ritz, workspace)?,
            None => Comparison::FIRST,
        };
        let Comparison { old, state, .. } = &compared;
        let weight = state.last_weight(averaging.fixed());
        let new = ritz.extreme(2 * k, 2 * l);
        let joint = Joint {
            ritz,
            pairs: before.map(|before| &before.average.pairs),
            old,
            new: &new,
            weight,
        };
        let found =
            Span::of(&joint.gram(), space.ranks())?.eigenpairs(&joint.diagonal(), space.ranks())?;
        let order = leading_first(found.values.len(), k, l);
        let leading = order.leading;
        let picked: Vec<Combination> = order
            .indices
            .iter()
            .map(|&i| joint.combination(&found.vectors[i]))
            .collect();
        let own = ritz.extreme(k, l);
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
            state: *state,
            weight,
            captured_by_last: compared.captured_by_last,
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

/// The columns of a matrix with m rows, given in column-major order.
fn columns_of(entries: Vec<f64>, m: usize) -> Vec<Vec<f64>> {
    entries.chunks(m.max(1)).map(<[f64]>::to_vec).collect()
}
