//! The weight γ of a refresh, by prediction.

use serde::{Deserialize, Serialize};

use super::joint::{Span, add};
use super::pairs::{Pairs, leading_first};
use crate::error::LanczosError;
use crate::ranks::Ranks;
use crate::spectrum::Ritz;

/// The factor by which the odds γ/(1−γ) change, and the bounds of γ.
const CHANGE: f64 = 1.4;
const LEAST_WEIGHT: f64 = 0.1;
/// Below 1: at γ = 1 nothing of the earlier refreshes would be left to compare with.
const MOST_WEIGHT: f64 = 0.9;

/// The state of the weight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The number of refreshes averaged in H̄.
    pub(crate) count: u64,
    /// γ by prediction.
    pub(crate) weight: f64,
}

impl State {
    /// The state after the first refresh. The weight has no effect: the mean is that refresh.
    pub(super) const FIRST: Self = Self {
        count: 1,
        weight: 0.5,
    };

    /// The state after another refresh, on whose batch the previous one's odds should have been `factor` times as large.
    pub(super) fn after(self, factor: f64) -> Self {
        let odds = factor * self.weight / (1.0 - self.weight);
        Self {
            count: self.count + 1,
            weight: (odds / (1.0 + odds)).clamp(LEAST_WEIGHT, MOST_WEIGHT),
        }
    }

    /// The weight γ of the last refresh; `fixed` is the settings' weight, if there is one.
    pub(super) fn last_weight(&self, fixed: Option<f64>) -> f64 {
        fixed.unwrap_or(self.weight).max(1.0 / self.count as f64)
    }

    /// Whether a run can reach this state.
    pub(crate) fn is_possible(&self) -> bool {
        const MOST: u64 = 1 << 53;
        (1..=MOST).contains(&self.count) && (LEAST_WEIGHT..=MOST_WEIGHT).contains(&self.weight)
    }
}

/// The mean before a refresh and what the refresh found, for comparing the mean with others on the refresh's batch.
pub(super) struct Prediction<'a> {
    pub(super) state: State,
    pub(super) pairs: &'a Pairs,
    /// Qᵀ[W V_last], column by column.
    pub(super) columns: &'a [Vec<f64>],
    /// The number of leading columns of W, and how many of these belong to the k largest.
    pub(super) leading: usize,
    pub(super) largest: usize,
    pub(super) ritz: &'a Ritz,
    pub(super) ranks: &'a Ranks,
}

impl Prediction<'_> {
    /// The state after the refresh.
    pub(super) fn next_state(&self) -> Result<State, LanczosError> {
        match self.state.count {
            1 => Ok(self.second_state()),
            _ => Ok(self.state.after(self.change_of_odds()?)),
        }
    }

    /// The state after the second refresh, which has no earlier mean to compare with. Both estimates enter alike, but for
    /// the factor a in [0, 1] that makes a times the first one, in its leading pairs, closest to the new batch's Hessian:
    /// γ = 1/(1 + a). Noise in the first estimate and changes of the loss since then both lower a.
    fn second_state(&self) -> State {
        let pairs = &self.pairs.eigenvalues[..self.leading];
        // In units of the largest |λ|, since squares of tiny or huge numbers leave the range of f64.
        let unit = pairs.iter().fold(0.0_f64, |m, value| m.max(value.abs()));
        let (mut along, mut size) = (0.0, 0.0);
        for (value, column) in pairs.iter().zip(self.columns) {
            along += value / unit * (self.ritz.curvature(column) / unit);
            size += value / unit * (value / unit);
        }
        let confirmed = if unit > 0.0 { along / size } else { 1.0 };
        State {
            count: 2,
            weight: (1.0 / (1.0 + confirmed.clamp(0.0, 1.0))).clamp(LEAST_WEIGHT, MOST_WEIGHT),
        }
    }

    /// The factor by which the odds γ/(1−γ) change: the one of CHANGE, 1 and 1/CHANGE that, applied to the last
    /// refresh's odds, makes the mean's leading pairs capture the largest part of the new batch's curvature.
    fn change_of_odds(&self) -> Result<f64, LanczosError> {
        let weight = self.state.last_weight(None);
        let leading = &self.columns[..self.leading];
        let pairs = self.pairs;
        let size = pairs.size();
        let gram = faer::Mat::from_fn(size, size, |i, j| pairs.gram_row(i.max(j))[i.min(j)]);
        let span = Span::of(&gram, self.ranks)?;
        let mut best = (1.0, self.ritz.total_curvature(leading, self.largest));
        for factor in [CHANGE, 1.0 / CHANGE] {
            let curvature = self.curvature_with(&span, weight * (factor - 1.0))?;
            if curvature > best.1 {
                best = (factor, curvature);
            }
        }
        Ok(best.0)
    }

    /// The new batch's curvature along the leading pairs of H̄ + change·V_last Λ V_lastᵀ, where `span` is that of
    /// [W V_last]. With change = (f − 1)·γ this is, up to a factor and to what truncation left out, the mean in which the
    /// last refresh, of weight γ, had f times its odds γ/(1−γ).
    fn curvature_with(&self, span: &Span, change: f64) -> Result<f64, LanczosError> {
        let pairs = self.pairs;
        let last = pairs.last_eigenvalues.iter().map(|value| change * value);
        let diagonal: Vec<f64> = pairs.eigenvalues.iter().copied().chain(last).collect();
        let found = span.eigenpairs(&diagonal, self.ranks)?;
        let smallest = self.leading - self.largest;
        let order = leading_first(found.values.len(), self.largest, smallest);
        let projection = |&pair: &usize| {
            let mut out = vec![0.0; self.ritz.values.len()];
            for (y, column) in found.vectors[pair].iter().zip(self.columns) {
                add(&mut out, *y, column);
            }
            out
        };
        let leading: Vec<Vec<f64>> = order.indices[..order.leading]
            .iter()
            .map(projection)
            .collect();
        Ok(self.ritz.total_curvature(&leading, order.largest))
    }
}
