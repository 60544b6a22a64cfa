//! One side of a comparison: an optimizer for a number of steps, at its best learning rate.

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
    /// Its name in tables and figures.
    pub name: String,
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// The number of steps, at which the schedule ends.
    pub steps: u64,
    /// Its settings, except for learning rate, seed and length.
    pub config: TrainConfig,
    /// The grid of its learning rates.
    pub grid: Grid,
}

/// The state of a method's runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// The settings of the next runs, in any order.
    Missing(Vec<TrainConfig>),
    /// All runs exist.
    Complete(Box<Outcome>),
}

/// The result of a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The best learning rate; `None` if training diverged at every rate.
    pub rate: Option<f64>,
    /// Whether the best rate is at the grid's edge, so that a better one may lie beyond.
    pub at_edge: bool,
    /// Its runs, one per seed, at the best rate or, without one, at the grid's centre.
    pub runs: Vec<Record>,
    /// All learning rates of the search in ascending order, each with its loss; ∞ if training diverged.
    pub tried: Vec<(f64, f64)>,
}

impl Method {
    /// The state of the method's runs, determined by repeating the search on the existing runs.
    ///
    /// # Errors
    /// If a file is damaged.
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

    /// Checks the settings that depend on the number of training examples.
    ///
    /// # Errors
    /// Those of [`TrainConfig::check_against`].
    pub fn check_against(&self, examples: usize) -> Result<(), ConfigError> {
        self.settings(0, 0).check_against(examples)
    }

    /// The settings of one run; settings without influence on the result are the same for all runs.
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
