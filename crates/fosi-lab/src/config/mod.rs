//! The settings of a training run: names, values, defaults and checks.
//!
//! A file (`--config`) overrides the defaults, and flags override the file. [`Resolved`] merges and checks them, and
//! stores the layer of each value.

mod averaging;
mod check;
mod defaults;
mod error;
mod layers;
mod learning_rate;
mod names;
mod numbers;
mod options;
mod scope;
mod settings;
mod values;

pub use averaging::Averaging;
pub(crate) use check::no_repeats;
pub use error::ConfigError;
pub use layers::Resolved;
pub use learning_rate::LearningRate;
pub use names::{
    Algorithm, CurvatureSource, DeviceName, HvpMode, HvpPrecision, KeptCheckpoints, KfacChoice,
    LearningRateSchedule, NewtonRateRule, Preset, TaskName,
};
pub use options::TrainOptions;
pub use settings::TrainConfig;
pub use values::{
    Element, FamilyValues, List, PerFamily, RefreshSchedule, TrainingLength, WeightsSource,
};

#[cfg(test)]
mod tests;
