//! The paper's headline: the best optimizer with FOSI against the best base, and the mean of the ratios of its tables.

use serde::Serialize;

use super::series::{Reach, Series, reach_of, series};
use super::{Measure, Spread};
use crate::config::TaskName;
use crate::optimizers::{OptimizerName, RateFactor};
use crate::runs::Run;

/// The best optimizer with FOSI against the best base of a run, at the run's own learning rates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Headline {
    /// The run's name.
    pub run: String,
    /// The task.
    pub task: TaskName,
    /// What is measured: the task's validation metric.
    pub measure: &'static str,
    /// The base with the best value, median over the seeds.
    pub base: OptimizerName,
    /// The optimizer with FOSI that reaches this value in the fewest seconds, median over the seeds.
    pub fosi: OptimizerName,
    /// Its seconds over the base's.
    pub second_ratio: f64,
    /// Its steps over the base's.
    pub step_ratio: f64,
}

impl Headline {
    /// `None` where no base or no optimizer with FOSI ran, or none of these with a seed of the base's.
    pub(super) fn of(run: &Run) -> Option<Self> {
        let measure = run.record.config.task.validation_measure();
        let all = series(std::slice::from_ref(run));
        let own_rate = |series: &&Series| series.optimizer.rate == RateFactor::ONE;
        let named = |fosi: bool| {
            let mut names: Vec<OptimizerName> = Vec::new();
            for series in all.iter().filter(own_rate) {
                if series.optimizer.fosi == fosi && !names.contains(&series.optimizer) {
                    names.push(series.optimizer);
                }
            }
            names
        };
        let base = named(false).into_iter().reduce(|best, other| {
            let value = |name| best_of(measure, name, &all);
            match measure.reaches(value(best), value(other)) {
                true => best,
                false => other,
            }
        })?;
        let reached = |name: OptimizerName| Some((name, reach(measure, name, base, &all)?));
        let reaches = named(true).into_iter().filter_map(reached);
        let (fosi, reach) =
            reaches.reduce(
                |best, other| match other.1.seconds.median < best.1.seconds.median {
                    true => other,
                    false => best,
                },
            )?;
        Some(Self {
            run: run.record.name.clone(),
            task: run.record.config.task,
            measure: measure.name(),
            base,
            fosi,
            second_ratio: reach.second_ratio.median,
            step_ratio: reach.step_ratio.median,
        })
    }
}

/// An optimizer's best value, median over the seeds.
pub(super) fn best_of(measure: Measure, name: OptimizerName, all: &[Series]) -> f64 {
    let own = all.iter().filter(|series| series.optimizer == name);
    Spread::of(own.filter_map(|series| Some(measure.best(&series.rows)?.1))).median
}

/// When an optimizer reached the best value of `base`, seed by seed.
pub(super) fn reach(
    measure: Measure,
    name: OptimizerName,
    base: OptimizerName,
    all: &[Series],
) -> Option<Reach> {
    let own = all.iter().filter(|series| series.optimizer == name);
    let targets = own.filter_map(|series| {
        let fits = |other: &&Series| (other.optimizer, other.seed) == (base, series.seed);
        let base = all.iter().find(fits)?;
        Some((series, measure.best(&base.rows)?))
    });
    reach_of(measure, targets)
}

/// The mean of the ratios that are finite, and how many aren't; `None` without a finite one.
pub(super) fn mean_ratio(ratios: impl Iterator<Item = f64>) -> Option<(f64, usize)> {
    let (mut sum, mut count, mut infinite) = (0.0, 0, 0);
    for ratio in ratios {
        match ratio.is_finite() {
            true => (sum, count) = (sum + ratio, count + 1),
            false => infinite += 1,
        }
    }
    (count > 0).then(|| (sum / f64::from(count), infinite))
}
