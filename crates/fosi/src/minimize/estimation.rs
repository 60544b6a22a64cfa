//! When to estimate the spectrum, and which of its eigenpairs to take.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::spectrum::Ritz;

/// How many eigenpairs the metric takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Count {
    /// The k of largest |θ|.
    Fixed(usize),
    /// Every pair that Lanczos has resolved, at most this many of largest |θ|: its residual is below 5 % of |θ|, and
    /// |θ| exceeds that of the most negative Ritz value.
    Resolved(usize),
}

/// A pair counts as resolved where its residual is below this share of |θ|.
const RESOLVED: f64 = 0.05;

impl Count {
    /// The indices of the pairs to take, by descending |θ|.
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

/// Units (gradients, and products at their cost) over which progress is measured, at least and at most.
const WINDOW: std::ops::RangeInclusive<u64> = 10..=50;
/// The window and the wait for the first estimation are so many times as long as an estimation, where that takes few
/// products.
const OUTLAST: u64 = 3;
/// Units before the first estimation at most.
const LONGEST_WAIT: u64 = 60;
/// Times that the wait is doubled at most.
const MOST_PATIENCE: u32 = 6;

/// Decides when an estimation is worth its cost. With p(a, b) the mean decrease of the log per unit from a to b, it
/// is due where p(now − window, now) < p(beginning of the last estimation, now), the units of that estimation among
/// them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct EstimationRule {
    /// Units over which progress is measured.
    window: u64,
    /// (units, log of the measure), oldest first; the first is at least `window` units old, where there is such a one.
    history: VecDeque<(u64, f64)>,
    /// Where the last estimation began.
    began: Option<(u64, f64)>,
    /// The least units at which the next one may begin.
    earliest: u64,
    /// Progress per unit before the last estimation.
    before: f64,
    /// Times that the wait was doubled, since estimations did not pay.
    patience: u32,
}

impl EstimationRule {
    /// An estimation takes so many `products`; the first one begins after `wait` units, by default a few times as many.
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

    /// Whether a run of so many units can have come to this.
    pub(super) fn is_possible(&self, units: u64) -> bool {
        let past = |(then, measure): &(u64, f64)| *then <= units && measure.is_finite();
        let ordered = self.history.iter().is_sorted_by_key(|(then, _)| *then);
        let possible = self.history.iter().chain(&self.began).all(past);
        ordered && possible && self.patience <= MOST_PATIENCE && WINDOW.contains(&self.window)
    }

    /// Goes on with other settings; the wait counts for the first estimation alone.
    pub(super) fn resume(&mut self, wait: Option<u64>, products: usize) {
        let fresh = Self::new(wait, products);
        if self.began.is_none() {
            self.earliest = fresh.earliest;
        }
        self.window = fresh.window;
    }

    /// Takes in the log of the measure, f − [`lower_bound`](super::Options::lower_bound) or, without one, ‖∇f‖²,
    /// after `units`.
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

    /// Whether to estimate now.
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

    /// An estimation begins.
    pub(super) fn begin(&mut self) {
        let gained = rate(self.began.as_ref(), self.history.back());
        // The last one did not pay where the function fell more slowly than without it.
        self.patience = match self.began.is_some() && gained < self.before {
            true => (self.patience + 1).min(MOST_PATIENCE),
            false => 0,
        };
        self.before = self.recent();
        self.began = self.history.back().copied();
    }

    /// An estimation of `cost` units ended after `units`.
    pub(super) fn end(&mut self, units: u64, cost: u64) {
        self.earliest = units.saturating_add(cost.max(self.window) << self.patience);
    }
}

/// The decrease per unit from one observation to another; 0 where there is none.
fn rate(from: Option<&(u64, f64)>, to: Option<&(u64, f64)>) -> f64 {
    match (from, to) {
        (Some((then, before)), Some((now, after))) if now > then => {
            (before - after) / (now - then) as f64
        }
        _ => 0.0,
    }
}
