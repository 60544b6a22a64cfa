//! The results of each optimizer in one or more runs.

use super::best_base::{BestBase, best_base};
use super::series::{Reach, Series, base_of, reach_of, series};
use super::{Measure, Refusals, Spread};
use crate::optimizers::OptimizerName;
use crate::runs::{MetricsRow, Run};

/// The results of one optimizer over its seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The run's name.
    pub run: String,
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// The number of seeds.
    pub seeds: usize,
    /// Whether it was stopped before the end with any seed.
    pub stopped: bool,
    /// Its refused refreshes; `None` without any.
    pub refusals: Option<Refusals>,
    /// The results by each measure of [`Measure::ALL`].
    pub standings: [Standing; 3],
    /// Its total cost.
    pub totals: Totals,
}

impl Entry {
    /// Whether the measure at `index` of [`Measure::ALL`] has a value.
    pub(super) fn has(&self, index: usize) -> bool {
        !self.standings[index].best.median.is_nan()
    }
}

/// The results of one optimizer by one measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The best value.
    pub best: Spread,
    /// The epoch of the best value, or the first such epoch.
    pub epoch: Spread,
    /// The value after the last epoch.
    pub last: Spread,
    /// When it reached the base's best value; `None` if the base did not run with the same seed.
    pub reach: Option<Reach>,
    /// The same for its base at the best of several learning rates; `None` if the base ran with one.
    pub best_base: Option<BestBase>,
}

/// The cost of an optimizer up to its last epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    /// Steps.
    pub steps: Spread,
    /// Seconds of training, including refreshes.
    pub seconds: Spread,
    /// Seconds per epoch, extrapolated to a whole epoch if the last is incomplete.
    pub epoch_seconds: Spread,
    /// Seconds in refreshes.
    pub refresh_seconds: Spread,
    /// Gradients.
    pub gradients: Spread,
    /// Hessian-vector products.
    pub products: Spread,
}

/// The entries for all runs and optimizers, in the order of their runs.
///
/// An optimizer's base comes from its own run or, for comparisons of several runs, from another one, always with the
/// same seed.
#[must_use]
pub fn summarize(runs: &[Run]) -> Vec<Entry> {
    let all = series(runs);
    let mut entries: Vec<Entry> = Vec::new();
    let mut seen: Vec<(usize, OptimizerName)> = Vec::new();
    for first in &all {
        let key = (first.run, first.optimizer);
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let group: Vec<&Series> = all.iter().filter(|s| (s.run, s.optimizer) == key).collect();
        entries.push(entry(&group, &all, &runs[first.run]));
    }
    entries
}

fn entry(group: &[&Series], all: &[Series], run: &Run) -> Entry {
    let failures = &run.record.failures;
    Entry {
        run: group[0].name.to_owned(),
        optimizer: group[0].optimizer,
        seeds: group.len(),
        stopped: failures
            .iter()
            .any(|failure| failure.optimizer == group[0].optimizer),
        refusals: Refusals::of(group[0].optimizer, &run.record),
        standings: Measure::ALL.map(|measure| standing(measure, group, all)),
        totals: totals(group, run),
    }
}

fn standing(measure: Measure, group: &[&Series], all: &[Series]) -> Standing {
    let bests: Vec<(&MetricsRow, f64)> =
        group.iter().filter_map(|s| measure.best(&s.rows)).collect();
    let reached = group.iter().filter_map(|series| {
        let base = base_of(series, all)?;
        Some((*series, measure.best(&base.rows)?))
    });
    Standing {
        best: Spread::of(bests.iter().map(|(_, value)| *value)),
        epoch: Spread::of(bests.iter().map(|(row, _)| row.epoch as f64)),
        last: Spread::of(group.iter().filter_map(|s| measure.of(s.rows.last()?))),
        reach: reach_of(measure, reached),
        best_base: best_base(measure, group, all),
    }
}

fn totals(group: &[&Series], run: &Run) -> Totals {
    let lasts = || group.iter().filter_map(|s| s.rows.last());
    let last = |value: fn(&MetricsRow) -> f64| Spread::of(lasts().map(value));
    let epochs = |row: &MetricsRow| run.record.epochs_after(row.step);
    Totals {
        steps: last(|row| row.step as f64),
        seconds: last(|row| row.train_seconds),
        epoch_seconds: Spread::of(lasts().map(|row| row.train_seconds / epochs(row))),
        refresh_seconds: last(|row| row.refresh_seconds),
        gradients: last(|row| row.gradients as f64),
        products: last(|row| row.products as f64),
    }
}
