//! The paper's headline: the best optimizer with FOSI against the best base, and the mean of the ratios of its tables.

use serde::Serialize;

use super::series::{Reach, Series, reach_of, series};
use super::{Measure, Spread};
use crate::config::TaskName;
use crate::optimizers::{OptimizerName, RateFactor};
use crate::runs::Run;

/// The best optimizer with FOSI against the best base of a run, at the run's learning rates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Headline {
    /// The run's name.
    pub run: String,
    /// The task.
    pub task: TaskName,
    /// The measure: the task's validation metric.
    pub measure: &'static str,
    /// The base with the best value (median over the seeds).
    pub base: OptimizerName,
    /// The optimizer with FOSI that reaches this value in the fewest seconds (median over the seeds).
    pub fosi: OptimizerName,
    /// FOSI's seconds divided by the base's.
    pub second_ratio: f64,
    /// FOSI's steps divided by the base's.
    pub step_ratio: f64,
}

impl Headline {
    /// `None` if the run has no base, no optimizer with FOSI, or none with a seed of the base.
    pub(super) fn of(run: &Run) -> Option<Self> {
        let measure = run.record.config.task.validation_measure();
        let all = series(std::slice::from_ref(run));
        let own_rate = |name: &OptimizerName| name.rate == RateFactor::ONE;
        let base = best_base_of(measure, &all, own_rate)?;
        let with_fosi = names(&all, |name| name.fosi && own_rate(name));
        let reached = |name: OptimizerName| Some((name, reach(measure, name, base, &all)?));
        let reaches = with_fosi.into_iter().filter_map(reached);
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

/// The base without FOSI that has the best value, among those that `fits` accepts; `None` if none has one.
pub(super) fn best_base_of(
    measure: Measure,
    all: &[Series],
    fits: impl Fn(&OptimizerName) -> bool,
) -> Option<OptimizerName> {
    let value = |name| best_of(measure, name, all);
    let bases = names(all, |name| {
        !name.fosi && name.family.is_base() && fits(name)
    });
    let with_value = bases.into_iter().filter(|name| !value(*name).is_nan());
    with_value.reduce(
        |best, other| match measure.reaches(value(best), value(other)) {
            true => best,
            false => other,
        },
    )
}

/// The optimizers that `fits` accepts, in the order in which they ran.
fn names(all: &[Series], fits: impl Fn(&OptimizerName) -> bool) -> Vec<OptimizerName> {
    let mut names = Vec::new();
    for series in all {
        if fits(&series.optimizer) && !names.contains(&series.optimizer) {
            names.push(series.optimizer);
        }
    }
    names
}

/// An optimizer's best value (median over the seeds).
fn best_of(measure: Measure, name: OptimizerName, all: &[Series]) -> f64 {
    let own = all.iter().filter(|series| series.optimizer == name);
    Spread::of(own.filter_map(|series| Some(measure.best(&series.rows)?.1))).median
}

/// When an optimizer reached the best value of `base`, per seed.
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

/// The mean of the finite ratios, and the number of infinite ones; `None` without a finite one.
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
