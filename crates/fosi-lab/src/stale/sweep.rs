//! The runs of a sweep over T and D.

use std::path::PathBuf;

use crate::config::{List, Resolved, TaskName, TrainConfig, TrainOptions, no_repeats};
use crate::optimizers::OptimizerName;
use crate::pays::refused::{self, refuse};
use crate::pays::{KeptRuns, PaysError, Record};

/// The parameters of a sweep.
#[derive(Clone, Debug)]
pub struct SweepPlan {
    /// The optimizer with FOSI.
    pub optimizer: OptimizerName,
    /// T: intervals between estimations, in steps.
    pub intervals: Vec<usize>,
    /// D: delays, in steps; an estimation takes the Hessian at the parameters from D steps before.
    pub delays: Vec<usize>,
}

/// FOSI at each T with each D ≤ T, and its base alone, with every seed.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The common settings.
    pub config: TrainConfig,
    /// The parameters of the sweep.
    pub plan: SweepPlan,
    places: Vec<Place>,
}

/// One pair of T and D, or the base alone.
#[derive(Clone, Debug)]
pub struct Place {
    /// T and D; `None` for the base.
    pub swept: Option<(usize, usize)>,
    /// One run for each seed.
    settings: Vec<TrainConfig>,
}

impl Sweep {
    /// A sweep from layers of `fosi train` options, the lowest first.
    ///
    /// # Errors
    /// [`PaysError`]: invalid or ineffective options.
    pub fn new(
        task: TaskName,
        layers: &[TrainOptions],
        plan: SweepPlan,
    ) -> Result<Self, PaysError> {
        no_repeats("intervals", &plan.intervals)?;
        no_repeats("delays", &plan.delays)?;
        refuse(layers, &refused::STALE)?;
        let with = |options: TrainOptions, optimizer: OptimizerName, layers: &[TrainOptions]| {
            let own = TrainOptions {
                optimizers: Some(List(vec![optimizer])),
                ..options
            };
            let layers = [layers, &[own]].concat();
            Resolved::new(task, &layers).map(|resolved| resolved.config)
        };
        let config = with(TrainOptions::default(), plan.optimizer, layers)?;
        let mut places = Vec::new();
        for &interval in &plan.intervals {
            for &delay in plan.delays.iter().filter(|delay| **delay <= interval) {
                let swept = TrainOptions {
                    interval: Some(interval),
                    refresh_delay: Some(delay),
                    ..TrainOptions::default()
                };
                let config = with(swept, plan.optimizer, layers)?;
                places.push(Place::new(Some((interval, delay)), &config));
            }
        }
        let without: Vec<TrainOptions> = layers.iter().map(TrainOptions::without_fosi).collect();
        let base = OptimizerName::plain(plan.optimizer.family);
        let plain = with(TrainOptions::default(), base, &without)?;
        places.push(Place::new(None, &plain));
        Ok(Self {
            config,
            plan,
            places,
        })
    }

    /// All pairs of T and D, then the base.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The settings of the missing runs.
    ///
    /// # Errors
    /// If a file is damaged.
    pub fn missing(&self, kept: &KeptRuns) -> Result<Vec<TrainConfig>, PaysError> {
        let mut missing = Vec::new();
        for settings in self.places.iter().flat_map(|place| &place.settings) {
            if kept.find(settings)?.is_none() {
                missing.push(settings.clone());
            }
        }
        Ok(missing)
    }

    /// Checks the settings that depend on the number of training examples.
    ///
    /// # Errors
    /// Those of [`TrainConfig::check_against`].
    pub fn check_against(&self, examples: usize) -> Result<(), PaysError> {
        Ok(self.config.check_against(examples)?)
    }
}

impl Place {
    fn new(swept: Option<(usize, usize)>, config: &TrainConfig) -> Self {
        let of_seed = |&seed: &u64| TrainConfig {
            seeds: vec![seed],
            out: PathBuf::new(),
            name: None,
            ..config.clone()
        };
        Self {
            swept,
            settings: config.seeds.iter().map(of_seed).collect(),
        }
    }

    /// The existing runs, one per seed.
    ///
    /// # Errors
    /// If a file is damaged.
    pub fn runs(&self, kept: &KeptRuns) -> Result<Vec<Record>, PaysError> {
        let found = self.settings.iter().map(|settings| kept.find(settings));
        found.filter_map(Result::transpose).collect()
    }
}
