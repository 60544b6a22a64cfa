//! What FOSI saved: how soon each optimizer reaches the best that its base optimizer reaches, as in the paper's
//! Tables 1 and 2.

mod best_base;
mod paper;
mod refusals;
mod spread;
mod text;

pub use best_base::BestBase;
pub use paper::{PaperTables, TableRow};
pub use refusals::Refusals;
pub use spread::Spread;
pub(crate) use text::STYLE;
pub use text::render;

use crate::optimizers::OptimizerName;
use crate::runs::{MetricsRow, Run};

/// A column of the metrics in which one optimizer can be better than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Validation accuracy; the most is best. The paper's Table 1.
    ValidationAccuracy,
    /// Validation loss; the least is best.
    ValidationLoss,
    /// Training loss; the least is best. The paper's Table 2.
    TrainingLoss,
}

impl Measure {
    /// All measures, in the order of reports.
    pub const ALL: [Self; 3] = [
        Self::ValidationAccuracy,
        Self::ValidationLoss,
        Self::TrainingLoss,
    ];

    /// Its value in a row; `None` where the task has no accuracy.
    pub fn of(self, row: &MetricsRow) -> Option<f64> {
        match self {
            Self::ValidationAccuracy => row.valid_accuracy,
            Self::ValidationLoss => Some(row.valid_loss),
            Self::TrainingLoss => Some(row.train_loss),
        }
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::ValidationAccuracy => "validation accuracy",
            Self::ValidationLoss => "validation loss",
            Self::TrainingLoss => "training loss",
        }
    }

    fn reaches(self, value: f64, target: f64) -> bool {
        match self {
            Self::ValidationAccuracy => value >= target,
            Self::ValidationLoss | Self::TrainingLoss => value <= target,
        }
    }

    /// The first of the rows with the best value, and the value.
    fn best(self, rows: &[MetricsRow]) -> Option<(&MetricsRow, f64)> {
        rows.iter()
            .filter_map(|row| Some((row, self.of(row)?)))
            .reduce(|best, row| match self.reaches(best.1, row.1) {
                true => best,
                false => row,
            })
    }
}

/// How one optimizer did, over its seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The run's name.
    pub run: String,
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// Number of seeds.
    pub seeds: usize,
    /// Whether it was stopped before the end with any seed.
    pub stopped: bool,
    /// Its refreshes that were refused; none where none was.
    pub refusals: Option<Refusals>,
    /// Per measure of [`Measure::ALL`].
    pub standings: [Standing; 3],
    /// What it cost to the end.
    pub totals: Totals,
}

impl Entry {
    /// Whether the measure at `index` of [`Measure::ALL`] has a value.
    fn has(&self, index: usize) -> bool {
        !self.standings[index].best.median.is_nan()
    }
}

/// How one optimizer did by one measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The best value.
    pub best: Spread,
    /// Epoch of the best value, the first one if there are several.
    pub epoch: Spread,
    /// When it reached the base's best; `None` where the base didn't run with the same seed.
    pub reach: Option<Reach>,
    /// The same for its base at the best of several learning rates; `None` where it ran with one.
    pub best_base: Option<BestBase>,
}

/// When an optimizer reached its base's best value; ∞ where it never did.
#[derive(Clone, Debug, PartialEq)]
pub struct Reach {
    /// Steps to the end of the first epoch that reached it.
    pub steps: Spread,
    /// These steps over the base's own.
    pub step_ratio: Spread,
    /// Training seconds to the same moment, refreshes included.
    pub seconds: Spread,
    /// These seconds over the base's own.
    pub second_ratio: Spread,
}

/// What an optimizer cost to its last epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    /// Steps.
    pub steps: Spread,
    /// Training seconds, refreshes included.
    pub seconds: Spread,
    /// Seconds an epoch.
    pub epoch_seconds: Spread,
    /// Seconds in refreshes.
    pub refresh_seconds: Spread,
    /// Gradients.
    pub gradients: Spread,
    /// Hessian-vector products.
    pub products: Spread,
}

/// One optimizer with one seed.
struct Series<'a> {
    run: usize,
    optimizer: OptimizerName,
    seed: u64,
    rows: Vec<MetricsRow>,
    name: &'a str,
}

/// One entry for each run and optimizer, in the order in which they ran.
///
/// An optimizer's base is looked for in its own run and then, for comparisons over several runs, in the others; always
/// with the same seed.
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

fn series(runs: &[Run]) -> Vec<Series<'_>> {
    let mut all: Vec<Series> = Vec::new();
    for (run, source) in runs.iter().enumerate() {
        for row in &source.rows {
            let key = (run, row.optimizer, row.seed);
            match all.iter_mut().find(|s| (s.run, s.optimizer, s.seed) == key) {
                Some(series) => series.rows.push(*row),
                None => all.push(Series {
                    run,
                    optimizer: row.optimizer,
                    seed: row.seed,
                    rows: vec![*row],
                    name: &source.record.name,
                }),
            }
        }
    }
    all
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
        totals: totals(group),
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
        reach: reach_of(measure, reached),
        best_base: best_base::best_base(measure, group, all),
    }
}

/// When each series reached its target, over the seeds; `None` where there is none.
fn reach_of<'a>(
    measure: Measure,
    targets: impl Iterator<Item = (&'a Series<'a>, (&'a MetricsRow, f64))>,
) -> Option<Reach> {
    let reached: Vec<[f64; 4]> = targets
        .map(|(series, target)| reach(measure, series, target))
        .collect();
    let over_seeds = |column: usize| Spread::of(reached.iter().map(|values| values[column]));
    (!reached.is_empty()).then(|| Reach {
        steps: over_seeds(0),
        step_ratio: over_seeds(1),
        seconds: over_seeds(2),
        second_ratio: over_seeds(3),
    })
}

fn base_of<'a>(series: &'a Series, all: &'a [Series<'a>]) -> Option<&'a Series<'a>> {
    let base = OptimizerName::plain(series.optimizer.base);
    let fits = |other: &&Series| other.optimizer == base && other.seed == series.seed;
    let mut candidates = all.iter().filter(fits);
    let own = candidates.clone().find(|other| other.run == series.run);
    own.or_else(|| candidates.next())
}

/// Steps, their ratio, seconds, their ratio.
fn reach(measure: Measure, series: &Series, (target, goal): (&MetricsRow, f64)) -> [f64; 4] {
    let first = series.rows.iter().find(|row| {
        measure
            .of(row)
            .is_some_and(|value| measure.reaches(value, goal))
    });
    match first {
        None => [f64::INFINITY; 4],
        Some(row) => [
            row.step as f64,
            row.step as f64 / target.step as f64,
            row.train_seconds,
            row.train_seconds / target.train_seconds,
        ],
    }
}

fn totals(group: &[&Series]) -> Totals {
    let last = |value: fn(&MetricsRow) -> f64| {
        Spread::of(group.iter().filter_map(|s| s.rows.last()).map(value))
    };
    Totals {
        steps: last(|row| row.step as f64),
        seconds: last(|row| row.train_seconds),
        epoch_seconds: last(|row| row.train_seconds / row.epoch as f64),
        refresh_seconds: last(|row| row.refresh_seconds),
        gradients: last(|row| row.gradients as f64),
        products: last(|row| row.products as f64),
    }
}

#[cfg(test)]
mod tests;
