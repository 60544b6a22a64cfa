//! The methods that a study compares, derived from its options.

use super::error::PaysError;
use super::kept::KeptRuns;
use super::method::{Method, Standing};
use super::refused::{self, refuse};
use super::result::{Comparison, Entry};
use super::saving::LENGTHS;
use super::search::Grid;
use super::variant::Variant;
use crate::config::{
    ConfigError, LearningRateSchedule, List, Resolved, TaskName, TrainConfig, TrainOptions,
    TrainingLength, no_repeats,
};
use crate::optimizers::{Family, OptimizerName};

/// Base optimizers at four lengths, and variants of FOSI around each at one length.
#[derive(Clone, Debug)]
pub struct Study {
    /// The common settings.
    pub config: TrainConfig,
    /// S, the number of FOSI's steps.
    pub steps: u64,
    /// The seeds; the searches use the first.
    pub seeds: Vec<u64>,
    /// The ratio of neighbouring learning rates.
    pub factor: f64,
    /// The names and options of the variants.
    pub variants: Vec<(String, String)>,
    groups: Vec<Group>,
}

/// A base optimizer and the methods compared with it.
#[derive(Clone, Debug)]
struct Group {
    base: Family,
    /// The base at the four lengths.
    lengths: Vec<Method>,
    variants: Vec<Method>,
}

/// With fewer steps, the lengths would be too close.
const LEAST_STEPS: usize = 20;

impl Study {
    /// A study from layers of `fosi train` options, the lowest first. The default learning-rate schedule is a cosine.
    ///
    /// # Errors
    /// [`PaysError`]: invalid, missing or ineffective options.
    pub fn new(
        task: TaskName,
        layers: &[TrainOptions],
        bases: &[Family],
        variants: &[Variant],
        factor: f64,
    ) -> Result<Self, PaysError> {
        no_repeats("bases", bases)?;
        let names: Vec<&str> = variants.iter().map(|v| v.name.as_str()).collect();
        no_repeats("variant", &names)?;
        refuse(layers, &refused::PAYS)?;
        variants.iter().try_for_each(check_variant)?;
        let cosine = TrainOptions {
            schedule: Some(LearningRateSchedule::Cosine),
            ..TrainOptions::default()
        };
        let layers: Vec<TrainOptions> = std::iter::once(cosine).chain(layers.to_vec()).collect();
        let config = resolve(task, &layers, bases, &[true, false])?;
        let steps = match config.length {
            TrainingLength::Steps(steps) => steps,
            TrainingLength::Epochs(_) => return Err(PaysError::NoSteps),
        };
        if steps < LEAST_STEPS {
            let least = LEAST_STEPS;
            return Err(PaysError::TooFewSteps { steps, least });
        }
        let mut study = Self {
            steps: steps as u64,
            seeds: config.seeds.clone(),
            factor,
            config,
            variants: variants
                .iter()
                .map(|variant| (variant.name.clone(), variant.words.clone()))
                .collect(),
            groups: Vec::new(),
        };
        let without: Vec<TrainOptions> = layers.iter().map(TrainOptions::without_fosi).collect();
        let plain = resolve(task, &without, bases, &[false])?;
        let mut kinds = Vec::new();
        for variant in variants {
            let layers = [layers.as_slice(), std::slice::from_ref(&variant.options)].concat();
            let config = resolve(task, &layers, bases, &[true]);
            let config = config.map_err(|source| PaysError::Variant {
                name: variant.name.clone(),
                source: Box::new(source),
            })?;
            kinds.push((variant.name.as_str(), config));
        }
        let groups = bases.iter().map(|&base| study.group(base, &plain, &kinds));
        study.groups = groups.collect();
        Ok(study)
    }

    fn group(&self, base: Family, plain: &TrainConfig, kinds: &[(&str, TrainConfig)]) -> Group {
        let grid = Grid {
            centre: self.config.lr.get(base),
            factor: self.factor,
        };
        let length = |share: f64| Method {
            name: base.to_string(),
            optimizer: OptimizerName::plain(base),
            steps: (self.steps as f64 * share).round() as u64,
            config: plain.clone(),
            grid,
        };
        let variant = |(name, config): &(&str, TrainConfig)| Method {
            name: (*name).to_owned(),
            optimizer: OptimizerName::fosi(base),
            steps: self.steps,
            config: config.clone(),
            grid,
        };
        Group {
            base,
            lengths: LENGTHS.into_iter().map(length).collect(),
            variants: kinds.iter().map(variant).collect(),
        }
    }

    /// All methods.
    pub fn methods(&self) -> impl Iterator<Item = &Method> {
        self.groups
            .iter()
            .flat_map(|group| group.lengths.iter().chain(&group.variants))
    }

    /// The settings of the next runs, in any order; empty if all runs exist.
    ///
    /// # Errors
    /// If a file is damaged.
    pub fn missing(&self, kept: &KeptRuns) -> Result<Vec<TrainConfig>, PaysError> {
        let mut missing = Vec::new();
        for method in self.methods() {
            if let Standing::Missing(settings) = method.standing(&self.seeds, kept)? {
                missing.extend(settings);
            }
        }
        Ok(missing)
    }

    /// The comparisons for each base, from the existing runs.
    ///
    /// # Errors
    /// If a file is damaged.
    pub fn comparisons(&self, kept: &KeptRuns) -> Result<Vec<Comparison>, PaysError> {
        let entries = |methods: &[Method]| -> Result<Vec<Entry>, PaysError> {
            let entries = methods.iter().map(|method| self.entry(method, kept));
            entries.collect()
        };
        let comparison = |group: &Group| {
            Ok(Comparison {
                base: group.base,
                lengths: entries(&group.lengths)?,
                variants: entries(&group.variants)?,
            })
        };
        self.groups.iter().map(comparison).collect()
    }

    fn entry(&self, method: &Method, kept: &KeptRuns) -> Result<Entry, PaysError> {
        let outcome = match method.standing(&self.seeds, kept)? {
            Standing::Complete(outcome) => Some(*outcome),
            Standing::Missing(_) => None,
        };
        Ok(Entry {
            name: method.name.clone(),
            steps: method.steps,
            outcome,
        })
    }

    /// The name of the study's table and figure files.
    pub fn name(&self) -> String {
        let TrainConfig {
            task,
            data,
            schedule,
            ..
        } = self.config;
        format!("{task}-{data}-{schedule}-{}", self.steps)
    }
}

/// The settings with only the bases (`false`), inside FOSI (`true`), or both.
fn resolve(
    task: TaskName,
    layers: &[TrainOptions],
    bases: &[Family],
    fosi: &[bool],
) -> Result<TrainConfig, ConfigError> {
    let both = |&base: &Family| fosi.iter().map(move |&fosi| OptimizerName::new(base, fosi));
    let optimizers = TrainOptions {
        optimizers: Some(List(bases.iter().flat_map(both).collect())),
        ..TrainOptions::default()
    };
    let layers = [layers, &[optimizers]].concat();
    Resolved::new(task, &layers).map(|resolved| resolved.config)
}

fn check_variant(variant: &Variant) -> Result<(), PaysError> {
    match variant.options.given_beside_fosi().into_iter().next() {
        Some(option) => Err(PaysError::NotFosi {
            name: variant.name.clone(),
            option,
        }),
        None => Ok(()),
    }
}
