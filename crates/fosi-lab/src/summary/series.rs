//! The rows of one optimizer with one seed, and when they reach a target.

use super::{Measure, Spread};
use crate::optimizers::OptimizerName;
use crate::runs::{MetricsRow, Run};

/// One optimizer with one seed.
pub(super) struct Series<'a> {
    pub(super) run: usize,
    pub(super) optimizer: OptimizerName,
    pub(super) seed: u64,
    pub(super) rows: Vec<MetricsRow>,
    pub(super) name: &'a str,
}

/// The rows of all runs, one entry per run, optimizer and seed.
pub(super) fn series(runs: &[Run]) -> Vec<Series<'_>> {
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

/// The [base](OptimizerName::base) of a series with the same seed: from its own run, otherwise from another.
pub(super) fn base_of<'a>(series: &'a Series, all: &'a [Series<'a>]) -> Option<&'a Series<'a>> {
    let base = series.optimizer.base();
    let fits = |other: &&Series| other.optimizer == base && other.seed == series.seed;
    let mut candidates = all.iter().filter(fits);
    let own = candidates.clone().find(|other| other.run == series.run);
    own.or_else(|| candidates.next())
}

/// When an optimizer reached its base's best value; ∞ if it never did.
#[derive(Clone, Debug, PartialEq)]
pub struct Reach {
    /// Steps to the end of the first epoch that reached it.
    pub steps: Spread,
    /// These steps divided by the base's.
    pub step_ratio: Spread,
    /// Training seconds up to the same point, including refreshes.
    pub seconds: Spread,
    /// These seconds divided by the base's.
    pub second_ratio: Spread,
}

/// When each series reached its target, over the seeds; `None` without any series.
pub(super) fn reach_of<'a>(
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
