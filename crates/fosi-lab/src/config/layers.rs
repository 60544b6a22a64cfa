//! Settings in layers: a file overrides the defaults, and the command line overrides the file. Each value stores its
//! layer, so that an error can name the file.

use figment::providers::Serialized;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use super::{Algorithm, ConfigError, Preset, RefreshSchedule, TaskName, TrainConfig, TrainOptions};

/// A run's merged and checked settings, with the layer of each value.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The settings.
    pub config: TrainConfig,
    layers: Figment,
}

impl Resolved {
    /// The defaults for `task`, overridden by each of `layers` in turn.
    ///
    /// # Errors
    /// [`ConfigError`] with the option, the given value, the allowed values and, if applicable, the file.
    pub fn new(task: TaskName, layers: &[TrainOptions]) -> Result<Self, ConfigError> {
        for layer in layers {
            layer.check().map_err(|error| in_file_of(layer, error))?;
        }
        let mut figment = Figment::from(Serialized::defaults(defaults(task, layers)));
        for layer in layers {
            figment = figment.merge(layer);
        }
        let config: TrainConfig = figment.extract().map_err(unmerged)?;
        let resolved = Self {
            config,
            layers: figment,
        };
        let config = &resolved.config;
        for layer in layers {
            let checked = layer.check_task(task);
            checked.map_err(|error| in_file_of(layer, error))?;
        }
        config.check().map_err(|error| resolved.with_file(error))?;
        // Checks the uppermost layer first, because a lower layer is not at fault for what it overrides.
        for layer in layers.iter().rev() {
            let checked = layer.check_optimizers(config);
            checked.map_err(|error| in_file_of(layer, error))?;
        }
        Ok(resolved)
    }

    /// Checks the settings that depend on the number of training examples.
    ///
    /// # Errors
    /// [`ConfigError::BatchTooLarge`], [`ConfigError::WarmupRateTooLong`].
    pub fn check_against(&self, examples: usize) -> Result<(), ConfigError> {
        let checked = self.config.check_against(examples);
        checked.map_err(|error| self.with_file(error))
    }

    /// Adds a file's name to the error if all settings at fault, except defaults, come from that file.
    fn with_file(&self, error: ConfigError) -> ConfigError {
        let mut file = None;
        for option in error.options() {
            let Some(metadata) = self.layers.find_metadata(&option) else {
                continue;
            };
            match metadata.source.as_ref().and_then(Source::file_path) {
                Some(path) => file = Some(path.to_owned()),
                None if metadata.name == COMMAND_LINE => return error,
                None => {}
            }
        }
        match file {
            Some(path) => error.in_file(&path),
            None => error,
        }
    }
}

/// The name of the command line's layer.
const COMMAND_LINE: &str = "command line";

impl TrainConfig {
    /// The settings of [`Resolved::new`].
    ///
    /// # Errors
    /// Those of [`Resolved::new`].
    pub fn resolve(task: TaskName, layers: &[TrainOptions]) -> Result<Self, ConfigError> {
        Resolved::new(task, layers).map(|resolved| resolved.config)
    }
}

/// The lowest layer, which depends on some choices of the other layers.
fn defaults(task: TaskName, layers: &[TrainOptions]) -> TrainConfig {
    fn uppermost<T>(layers: &[TrainOptions], of: impl Fn(&TrainOptions) -> Option<T>) -> Option<T> {
        layers.iter().rev().find_map(of)
    }
    let data = uppermost(layers, |layer| layer.data);
    let preset = uppermost(layers, |layer| layer.preset).unwrap_or_default();
    let mut config = TrainConfig::defaults(task, data, preset);
    let asked = uppermost(layers, |layer| layer.algorithm);
    let batch = uppermost(layers, |layer| layer.batch).unwrap_or(config.batch);
    config.estimate_as(asked.unwrap_or(config.algorithm), batch);
    if asked == Some(Algorithm::Paper) && preset == Preset::Small {
        // The paper's preset already has these values, with a W for each task.
        config.curvature_floor = 0.0;
        config.refreshes = RefreshSchedule::Interval(800);
        config.warmup = None;
    }
    config
}

fn in_file_of(layer: &TrainOptions, error: ConfigError) -> ConfigError {
    match &layer.file {
        Some(path) => error.in_file(path),
        None => error,
    }
}

fn unmerged(error: figment::Error) -> ConfigError {
    ConfigError::Merge {
        reason: error.to_string(),
    }
}

impl Provider for TrainOptions {
    fn metadata(&self) -> Metadata {
        match &self.file {
            Some(path) => Metadata::from("configuration file", path.as_path()),
            None => Metadata::named(COMMAND_LINE),
        }
    }

    /// The layer's values, under the names of [`TrainConfig`]'s fields.
    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut given = match Value::serialize(self)? {
            Value::Dict(_, dict) => dict,
            _ => Dict::new(),
        };
        given.retain(|_, value| !matches!(value, Value::Empty(..)));
        if let Some(limit) = given.remove("clip") {
            given.entry("scale-limit".to_owned()).or_insert(limit);
        }
        // Two options that exclude each other set the same field, so a layer with one replaces either in the layer
        // below.
        for (option, field) in [
            ("interval", "refreshes"),
            ("overhead", "refreshes"),
            ("epochs", "length"),
            ("steps", "length"),
        ] {
            if let Some(value) = given.remove(option) {
                let choice = Dict::from([
                    ("by".to_owned(), Value::from(option)),
                    ("value".to_owned(), value),
                ]);
                given.insert(field.to_owned(), choice.into());
            }
        }
        Ok(Profile::Default.collect(given))
    }
}
