//! FOSI against its base at the best of several learning rates: a gain that a retuned base also achieves is not FOSI's.

use super::series::{Reach, Series, reach_of};
use super::{Measure, Spread};
use crate::optimizers::OptimizerName;

/// The base at the best of its learning rates, and when an optimizer reached its best value.
#[derive(Clone, Debug, PartialEq)]
pub struct BestBase {
    /// The base with the factor on its learning rate.
    pub optimizer: OptimizerName,
    /// Its best value.
    pub best: Spread,
    /// When the optimizer reached it.
    pub reach: Reach,
}

/// `None` if the base ran with only one learning rate, or not with the same seeds.
///
/// The best rate is the one with the best median over the seeds of the best value; of equal ones, the first.
pub(super) fn best_base(measure: Measure, group: &[&Series], all: &[Series]) -> Option<BestBase> {
    let first = group.first()?;
    let plain = OptimizerName::plain(first.optimizer.family);
    let mut rates: Vec<OptimizerName> = Vec::new();
    for series in all.iter().filter(|series| series.run == first.run) {
        let varied = series.optimizer.at_rate(plain.rate) == plain;
        if varied && !rates.contains(&series.optimizer) {
            rates.push(series.optimizer);
        }
    }
    if rates.len() < 2 {
        return None;
    }
    let of_rate = |rate: OptimizerName, seed: u64| {
        let fits = |s: &&Series| (s.run, s.optimizer, s.seed) == (first.run, rate, seed);
        let series = all.iter().find(fits)?;
        measure.best(&series.rows)
    };
    let best_of = |rate| Spread::of(group.iter().filter_map(|s| Some(of_rate(rate, s.seed)?.1)));
    let optimizer = rates.into_iter().reduce(|best, rate| {
        let (old, new) = (best_of(best).median, best_of(rate).median);
        match old.is_nan() || !(new.is_nan() || measure.reaches(old, new)) {
            true => rate,
            false => best,
        }
    })?;
    let reached = group
        .iter()
        .filter_map(|series| Some((*series, of_rate(optimizer, series.seed)?)));
    Some(BestBase {
        optimizer,
        best: best_of(optimizer),
        reach: reach_of(measure, reached)?,
    })
}
