//! The paper's five tasks: what each trains on, and what its loss is. [`open`] makes the one that a run asks for.

mod autoencoding;
mod bench;
mod checksum;
mod classification;
mod device;
mod features;
mod language;
mod placeholder;
mod preparation;
mod sound;

use std::error::Error;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use thiserror::Error;

use crate::config::{DeviceName, TaskName, TrainConfig};
use crate::data::{DataError, Part};
use crate::interrupt::Interrupt;
use crate::models::weights::WeightsError;
use crate::runs::{DataDescription, RunError};
use crate::train::{Sample, StepError, Workbench};

use autoencoding::Autoencoding;
use bench::Bench;
use classification::Classification;
use language::Language;
use sound::SoundClassification;

pub use preparation::{Advance, MakeProgress, Opening, Preparation};

/// Data, a model and a loss: all that tells one task from another.
pub(crate) trait Task: Send + Sync + 'static {
    /// What is trained.
    type Model: Module + 'static;
    /// A few examples as tensors.
    type Batch: Send + 'static;

    /// The model in words, such as `logistic regression, 784 inputs, 10 classes`.
    fn name(&self) -> String;

    /// The data and its size.
    fn data(&self) -> DataDescription;

    /// SHA-256 of all examples, in hexadecimal digits.
    fn checksum(&self) -> String;

    /// How the data came about: times, files left out.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// A model at its starting point.
    fn init(&self, seed: u64, device: &Device) -> Self::Model;

    /// The examples `indices` of a part of the data, each below the part's size.
    fn batch(&self, part: Part, indices: &[u32], device: &Device) -> Self::Batch;

    /// Mean loss over the batch, in the model's float type.
    fn loss(&self, model: &Self::Model, batch: &Self::Batch) -> Tensor<1>;

    /// The loss whose Hessian is estimated.
    fn curvature_loss(&self, model: &Self::Model, batch: &Self::Batch) -> Tensor<1> {
        self.loss(model, batch)
    }

    /// Mean loss and accuracy over the batch, of a model off the autodiff graph.
    fn score(&self, model: &Self::Model, batch: &Self::Batch) -> Score;

    /// Examples to evaluate at once.
    fn evaluation_batch(&self) -> usize;

    /// Something to look at that shows what the model has learned; the model is off the autodiff graph. What takes long
    /// looks at the interrupt.
    fn sample(
        &self,
        _model: &Self::Model,
        _device: &Device,
        _interrupt: &Interrupt,
    ) -> Result<Option<Sample>, StepError> {
        Ok(None)
    }
}

/// How good a model is on a batch.
pub(crate) struct Score {
    /// Mean loss.
    pub(crate) loss: Tensor<1>,
    /// Share classified rightly, where the task is to classify.
    pub(crate) accuracy: Option<Tensor<1>>,
}

/// Why a task can't be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// Its data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Its weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The task needs weights, and none were named.
    #[error(
        "task tl trains on the features of a ResNet-18: name its weights with --weights FILE ({hint}), \
         or --weights random for features of random weights, which show the machinery, not transfer"
    )]
    NoWeights {
        /// Where to get them.
        hint: &'static str,
    },
    /// A device that this machine doesn't have.
    #[error(
        "there is no device for --device {device}: {reason}; there are: {}",
        available.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    NoDevice {
        /// The device given.
        device: DeviceName,
        /// What is missing.
        reason: String,
        /// The devices that there are.
        available: Vec<DeviceName>,
    },
    /// The user ended it.
    #[error("interrupted while {doing}; {kept}")]
    Interrupted {
        /// What was going on.
        doing: &'static str,
        /// What is left for the next start.
        kept: String,
    },
    /// A folder that can't be written.
    #[error(transparent)]
    Folder(#[from] RunError),
    /// Anything else.
    #[error("cannot set up the task: {0}")]
    Other(Box<dyn Error + Send + Sync>),
}

/// A note for each file that was left out.
fn left_out<'a>(skipped: impl IntoIterator<Item = &'a DataError>) -> Vec<String> {
    let note = |error| format!("Left out: {error}");
    skipped.into_iter().map(note).collect()
}

fn failed(error: impl Error + Send + Sync + 'static) -> TaskError {
    TaskError::Other(Box::new(error))
}

/// Reads the data of a run's task and sets its model up, as much of it as is asked for.
///
/// # Errors
/// [`TaskError`] with the name of the file that is missing or damaged; [`TaskError::Interrupted`].
pub fn open(
    config: &TrainConfig,
    opening: Opening,
    preparation: &Preparation,
) -> Result<Box<dyn Workbench>, TaskError> {
    device::check_device(config.device)?;
    match config.task {
        TaskName::Lr => boxed(
            Classification::vectors(config, preparation),
            config,
            opening,
            preparation,
        ),
        TaskName::Ae => {
            let task = match opening {
                Opening::Whole => Autoencoding::open(config, preparation),
                Opening::Outline => Autoencoding::outline(config),
            };
            boxed(task, config, opening, preparation)
        }
        TaskName::Lm => boxed(
            Language::open(config, preparation),
            config,
            opening,
            preparation,
        ),
        TaskName::Tl => {
            let task = match opening {
                Opening::Whole => Classification::features(config, preparation),
                Opening::Outline => Classification::outline(config),
            };
            boxed(task, config, opening, preparation)
        }
        TaskName::Ac => {
            let task = match opening {
                Opening::Whole => SoundClassification::open(config, preparation),
                Opening::Outline => SoundClassification::outline(config),
            };
            boxed(task, config, opening, preparation)
        }
    }
}

fn boxed(
    task: Result<impl Task, TaskError>,
    config: &TrainConfig,
    opening: Opening,
    preparation: &Preparation,
) -> Result<Box<dyn Workbench>, TaskError> {
    let interrupt = preparation.interrupt.clone();
    Ok(Box::new(Bench::new(task?, config, opening, interrupt)?))
}
