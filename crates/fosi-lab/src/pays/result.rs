//! The comparison of a base optimizer with FOSI around it.

use super::method::Outcome;
use super::record::Record;
use super::saving::{Bounded, BoundedSpread, End, falls, steps_to};
use crate::optimizers::Family;
use crate::summary::Spread;

/// A base at four lengths, and variants of FOSI around it.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The base.
    pub base: Family,
    /// The base with [`LENGTHS`](super::LENGTHS) times S steps, in this order.
    pub lengths: Vec<Entry>,
    /// FOSI with S steps.
    pub variants: Vec<Entry>,
}

/// A method and its result.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name in tables and figures.
    pub name: String,
    /// The number of steps in its runs.
    pub steps: u64,
    /// `None` if runs are missing.
    pub outcome: Option<Outcome>,
}

impl Entry {
    /// Its runs, one per seed.
    pub fn runs(&self) -> &[Record] {
        match &self.outcome {
            Some(outcome) => &outcome.runs,
            None => &[],
        }
    }

    /// The spread of a number over its runs; `None` without values.
    pub fn spread(&self, of: impl Fn(&Record) -> Option<f64>) -> Option<Spread> {
        let spread = Spread::of(self.runs().iter().filter_map(of));
        (!spread.median.is_nan()).then_some(spread)
    }
}

/// FOSI's saving relative to its base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saving {
    /// S′/S − 1.
    pub steps: Option<BoundedSpread>,
    /// The base's seconds for S′ steps divided by FOSI's for S, minus 1.
    pub seconds: Option<BoundedSpread>,
}

impl Comparison {
    /// The saving of a variant, computed per seed from runs with the same initial parameters and batches.
    pub fn saving(&self, variant: &Entry) -> Saving {
        let (mut steps, mut seconds) = (Vec::new(), Vec::new());
        for run in variant.runs() {
            let base = self.base_runs(run);
            let Some(reached) = steps_to(run.loss(), &ends(&base)) else {
                continue;
            };
            steps.push(reached.map(|reached| reached / variant.steps as f64 - 1.0));
            seconds.extend(seconds_saved(reached, &base, run));
        }
        Saving {
            steps: BoundedSpread::of(steps),
            seconds: BoundedSpread::of(seconds),
        }
    }

    /// The base with as many steps as FOSI.
    pub(super) fn with_equal_steps(&self) -> Option<&Entry> {
        let steps = self.variants.first()?.steps;
        self.lengths.iter().find(|entry| entry.steps == steps)
    }

    /// Whether the base's median loss decreases from each length to the next.
    pub fn falls(&self) -> bool {
        let loss = |entry: &Entry| entry.spread(|run| Some(run.loss()));
        let end = |entry: &Entry| {
            Some(End {
                steps: entry.steps,
                loss: loss(entry)?.median,
            })
        };
        falls(&self.lengths.iter().filter_map(end).collect::<Vec<_>>())
    }

    /// The base's runs with the seed of `run`, in ascending order of steps; empty if one is missing.
    fn base_runs(&self, run: &Record) -> Vec<&Record> {
        let of_seed = |entry: &'_ Entry| {
            let runs = entry.runs().iter();
            let mut own = runs
                .enumerate()
                .filter(|(_, other)| other.settings.seeds == run.settings.seeds);
            own.next().map(|(index, _)| index)
        };
        let found: Option<Vec<&Record>> = self
            .lengths
            .iter()
            .map(|entry| of_seed(entry).map(|index| &entry.runs()[index]))
            .collect();
        found.unwrap_or_default()
    }
}

fn ends(base: &[&Record]) -> Vec<End> {
    let end = |run: &&Record| End {
        steps: run.settings.length.steps(1),
        loss: run.loss(),
    };
    base.iter().map(end).collect()
}

/// The base's time per step is the mean over all its runs.
fn seconds_saved(reached: Bounded, base: &[&Record], fosi: &Record) -> Option<Bounded> {
    let (steps, seconds) = base.iter().fold((0, 0.0), |(steps, seconds), run| {
        (steps + run.steps, seconds + run.seconds)
    });
    let own = fosi.seconds;
    let measured = fosi.diverged.is_none() && steps > 0 && own > 0.0;
    measured.then(|| reached.map(|reached| reached * seconds / steps as f64 / own - 1.0))
}
