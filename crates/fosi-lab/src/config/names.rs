//! The names of a run's choices.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, VariantNames};

use crate::data::DataName;
use crate::names::UnknownName;

/// What is trained. The variants are in the order of reports.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Display,
    EnumIter,
    EnumString,
    VariantNames,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownName, parse_err_fn = unknown_task)]
pub enum TaskName {
    /// Audio classification with a MobileNet.
    Ac,
    /// A language model over characters.
    Lm,
    /// A convolutional autoencoder on colour images.
    Ae,
    /// Transfer learning: a new layer on a frozen ResNet-18.
    Tl,
    /// Logistic regression on digits.
    Lr,
}

fn unknown_task(name: &str) -> UnknownName {
    UnknownName::new("task", name, TaskName::VARIANTS)
}

impl TaskName {
    /// The data sets that the task can be trained on, its usual one first.
    pub fn data_sets(self) -> &'static [DataName] {
        match self {
            Self::Lr => &[DataName::Digits, DataName::Mnist],
            Self::Ae | Self::Tl => &[DataName::Cifar10],
            Self::Lm => &[DataName::Tinyshakespeare],
            Self::Ac => &[DataName::Fsdd, DataName::Audioset],
        }
    }
}

/// A set of defaults.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Display,
    EnumString,
    VariantNames,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownName, parse_err_fn = unknown_preset)]
pub enum Preset {
    /// Minutes on two cores: narrower models, less data, T from ρ = 1.1.
    #[default]
    Small,
    /// The paper's model and settings.
    Paper,
}

fn unknown_preset(name: &str) -> UnknownName {
    UnknownName::new("preset", name, Preset::VARIANTS)
}

/// Which algorithm FOSI is.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Display,
    EnumString,
    VariantNames,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownName, parse_err_fn = unknown_algorithm)]
pub enum Algorithm {
    /// The paper's with the safeguards of [`fosi::FosiConfig::safeguards`].
    #[default]
    Guarded,
    /// The paper's Algorithms 1 and 2; the run's notes say where a safeguard would have acted.
    Paper,
}

fn unknown_algorithm(name: &str) -> UnknownName {
    UnknownName::new("algorithm", name, Algorithm::VARIANTS)
}

/// How Hessian-vector products are computed.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Display,
    EnumString,
    VariantNames,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownName, parse_err_fn = unknown_precision)]
pub enum HvpPrecision {
    /// Difference quotients of gradients in f64: exact to about six digits.
    #[default]
    F64,
    /// In f32: for devices without f64; unreliable with ReLU.
    F32,
}

fn unknown_precision(name: &str) -> UnknownName {
    UnknownName::new("precision", name, HvpPrecision::VARIANTS)
}

/// Whose batch norm the Hessian is taken with.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Display,
    EnumString,
    VariantNames,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownName, parse_err_fn = unknown_mode)]
pub enum HvpMode {
    /// Normalising by the batch, as in training and in the paper.
    #[default]
    Train,
    /// Normalising by the running statistics.
    Eval,
}

fn unknown_mode(name: &str) -> UnknownName {
    UnknownName::new("mode", name, HvpMode::VARIANTS)
}

/// Where models are trained.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Display,
    EnumString,
    VariantNames,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownName, parse_err_fn = unknown_device)]
pub enum DeviceName {
    /// The CPU.
    #[default]
    Cpu,
    /// An NVIDIA GPU; needs the program's feature `cuda`.
    Cuda,
    /// Any GPU, through WebGPU; needs the program's feature `wgpu`.
    Wgpu,
}

fn unknown_device(name: &str) -> UnknownName {
    UnknownName::new("device", name, DeviceName::VARIANTS)
}
