//! One side of a comparison: an optimizer for so many steps, at the best of its learning rates.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::PaysError;
use super::kept::KeptRuns;
use super::record::Record;
use super::search::{Best, Grid, Next};
use crate::config::{ConfigError, PerFamily, TrainConfig, TrainingLength};
use crate::optimizers::OptimizerName;

/// An optimizer, plain or inside FOSI, for a number of steps.
#[derive(Clone, Debug)]
pub struct Method {
    /// What tables and pictures call it.
    pub name: String,
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// Steps, with the schedule's end at the last.
    pub steps: u64,
    /// Its settings, but for learning rate, seed and length.
    pub config: TrainConfig,
    /// Its learning rates.
    pub grid: Grid,
}

/// How far a method's runs are.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Runs with these settings are to be made next, in any order.
    Missing(Vec<TrainConfig>),
    /// None is missing.
    Complete(Box<Outcome>),
}

/// What a method came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The best learning rate; none where the training diverged at each.
    pub rate: Option<f64>,
    /// Whether the grid ended there, so that the best may lie beyond.
    pub at_edge: bool,
    /// Its runs, one a seed; where there is no best rate, the one at the grid's centre.
    pub runs: Vec<Record>,
    /// Every learning rate of the search in ascending order, with its loss, ∞ where the training diverged.
    pub tried: Vec<(f64, f64)>,
}

impl Method {
    /// What of the method is kept: the search is repeated on what it finds.
    ///
    /// # Errors
    /// Of a damaged file.
    pub fn standing(&self, seeds: &[u64], kept: &KeptRuns) -> Result<Standing, PaysError> {
        let first = seeds.first().copied().unwrap_or_default();
        let mut losses = BTreeMap::new();
        let best = loop {
            let places = match self.grid.next(&losses) {
                Next::Over(best) => break best,
                Next::Try(places) => places,
            };
            let mut missing = Vec::new();
            for place in places {
                let settings = self.settings(place, first);
                match kept.find(&settings)? {
                    Some(record) => {
                        losses.insert(place, record.loss());
                    }
                    None => missing.push(settings),
                }
            }
            if !missing.is_empty() {
                return Ok(Standing::Missing(missing));
            }
        };
        let (place, seeds) = match best {
            Best::Inside(place) | Best::AtEdge(place) => (place, seeds),
            Best::None => (0, seeds.get(..1).unwrap_or_default()),
        };
        let (mut runs, mut missing) = (Vec::new(), Vec::new());
        for &seed in seeds {
            let settings = self.settings(place, seed);
            match kept.find(&settings)? {
                Some(record) => runs.push(record),
                None => missing.push(settings),
            }
        }
        if !missing.is_empty() {
            return Ok(Standing::Missing(missing));
        }
        let tried = losses.iter().map(|(&i, &loss)| (self.grid.rate(i), loss));
        Ok(Standing::Complete(Box::new(Outcome {
            rate: (best != Best::None).then(|| self.grid.rate(place)),
            at_edge: matches!(best, Best::AtEdge(_)),
            runs,
            tried: tried.collect(),
        })))
    }

    /// Checks what can be checked once the data is there.
    ///
    /// # Errors
    /// As [`TrainConfig::check_against`].
    pub fn check_against(&self, examples: usize) -> Result<(), ConfigError> {
        self.settings(0, 0).check_against(examples)
    }

    /// The settings of one run: those that have no part in its result are the same for all.
    fn settings(&self, place: i32, seed: u64) -> TrainConfig {
        TrainConfig {
            optimizers: vec![self.optimizer],
            lr: PerFamily::all(self.grid.rate(place)),
            length: TrainingLength::Steps(self.steps as usize),
            seeds: vec![seed],
            out: PathBuf::new(),
            name: None,
            ..self.config.clone()
        }
    }
}
