//! When to estimate the spectrum, and which of its eigenpairs to use.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::spectrum::Ritz;

/// How many eigenpairs the metric uses. Pairs with |θ| at most the residual plus the noise are never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Count {
    /// The k pairs with the largest |θ|.
    Fixed(usize),
    /// The resolved pairs, at most this many with the largest θ: pairs whose residual is below 5 % of θ and whose θ
    /// exceeds the absolute value of the most negative Ritz value. If Lanczos spans the whole space, all pairs, without
    /// a limit.
    Resolved(usize),
}

/// A pair counts as resolved if its residual is below this fraction of θ.
const RESOLVED: f64 = 0.05;

impl Count {
    /// The indices of the pairs to use, by descending |θ|.
    pub(super) fn choose(self, ritz: &Ritz, dim: usize) -> Vec<usize> {
        let values = &ritz.values;
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&i, &j| values[j].abs().total_cmp(&values[i].abs()));
        let known = |&i: &usize| values[i].abs() > ritz.residuals[i] + ritz.noise;
        match self {
            Self::Fixed(k) => {
                order.truncate(k);
                order.retain(known);
            }
            Self::Resolved(_) if values.len() == dim => order.retain(known),
            Self::Resolved(most) => {
                let negative = values.iter().fold(0.0, |least: f64, &x| least.min(x)).abs();
                order.retain(|&i| values[i] > negative && ritz.residuals[i] < RESOLVED * values[i]);
                order.retain(known);
                order.truncate(most);
            }
        }
        order
    }
}

/// Bounds on the window, in units of cost (gradients and exact products), over which progress is measured.
const WINDOW: std::ops::RangeInclusive<u64> = 10..=50;
/// The window and the wait before the first estimation are this many times as long as an estimation, up to their upper
/// bounds.
const OUTLAST: u64 = 3;
/// The maximum wait before the first estimation, in units.
const LONGEST_WAIT: u64 = 60;
/// The maximum number of doublings of the wait.
const MOST_PATIENCE: u32 = 6;

/// Decides when an estimation is worth its cost. Let p(a, b) be the mean decrease of the log per unit from a to b. An
/// estimation is due if p(now − window, now) < p(start of the last estimation, now), where the latter includes the
/// units of that estimation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct EstimationRule {
    /// Units over which progress is measured.
    window: u64,
    /// (units, log of the measure), oldest first; the first entry is the newest that is at least `window` units old, if
    /// there is one.
    history: VecDeque<(u64, f64)>,
    /// Units and log of the measure at the start of the last estimation.
    began: Option<(u64, f64)>,
    /// The number of units from which the next estimation may start.
    earliest: u64,
    /// Progress per unit before the last estimation.
    before: f64,
    /// The number of times that the wait was doubled because estimations did not pay.
    patience: u32,
}

impl EstimationRule {
    /// A rule for estimations of `products` products each. The first starts after `wait` units; default min{60,
    /// 3·products}.
    pub(super) fn new(wait: Option<u64>, products: usize) -> Self {
        let few = (products as u64).saturating_mul(OUTLAST);
        Self {
            window: few.clamp(*WINDOW.start(), *WINDOW.end()),
            history: VecDeque::new(),
            began: None,
            earliest: wait.unwrap_or(few.min(LONGEST_WAIT)),
            before: 0.0,
            patience: 0,
        }
    }

    /// Whether a run can reach this state after `units`.
    pub(super) fn is_possible(&self, units: u64) -> bool {
        let past = |(then, measure): &(u64, f64)| *then <= units && measure.is_finite();
        let ordered = self.history.iter().is_sorted_by_key(|(then, _)| *then);
        let possible = self.history.iter().chain(&self.began).all(past);
        ordered && possible && self.patience <= MOST_PATIENCE && WINDOW.contains(&self.window)
    }

    /// Continues with other settings; the wait only concerns the first estimation.
    pub(super) fn resume(&mut self, wait: Option<u64>, products: usize) {
        let fresh = Self::new(wait, products);
        if self.began.is_none() {
            self.earliest = fresh.earliest;
        }
        self.window = fresh.window;
    }

    /// Records the log of the measure after `units`. The measure is f − [`lower_bound`](super::Options::lower_bound)
    /// or, without a bound, ‖∇f‖².
    pub(super) fn observe(&mut self, units: u64, measure: f64) {
        self.history.push_back((units, measure));
        while self
            .history
            .get(1)
            .is_some_and(|(then, _)| then + self.window <= units)
        {
            self.history.pop_front();
        }
    }

    /// Progress per unit over the window.
    fn recent(&self) -> f64 {
        rate(self.history.front(), self.history.back())
    }

    /// Whether an estimation is due now.
    pub(super) fn is_due(&self) -> bool {
        let Some(&(units, _)) = self.history.back() else {
            return false;
        };
        if units < self.earliest {
            return false;
        }
        match &self.began {
            None => true,
            began => self.recent() < rate(began.as_ref(), self.history.back()),
        }
    }

    /// Records the start of an estimation.
    pub(super) fn begin(&mut self) {
        let gained = rate(self.began.as_ref(), self.history.back());
        // The last estimation did not pay if the function fell more slowly than before it.
        self.patience = match self.began.is_some() && gained < self.before {
            true => (self.patience + 1).min(MOST_PATIENCE),
            false => 0,
        };
        self.before = self.recent();
        self.began = self.history.back().copied();
    }

    /// Records the end, after `units`, of an estimation that cost `cost` units.
    pub(super) fn end(&mut self, units: u64, cost: u64) {
        self.earliest = units.saturating_add(cost.max(self.window) << self.patience);
    }
}

/// The decrease per unit from one observation to another; 0 without observations.
fn rate(from: Option<&(u64, f64)>, to: Option<&(u64, f64)>) -> f64 {
    match (from, to) {
        (Some((then, before)), Some((now, after))) if now > then => {
            (before - after) / (now - then) as f64
        }
        _ => 0.0,
    }
}
