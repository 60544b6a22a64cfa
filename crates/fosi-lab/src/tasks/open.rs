//! Sets up the task of a run's settings.

use super::autoencoding::Autoencoding;
use super::classification::Classification;
use super::deep_autoencoding::DeepAutoencoding;
use super::device;
use super::language::Language;
use super::sound::SoundClassification;
use super::workload::BurnWorkload;
use super::{Opening, Preparation, Task, TaskError};
use crate::config::{TaskName, TrainConfig};
use crate::train::Workload;

/// Reads the data of a run's task and sets up its model, completely or as an outline.
///
/// # Errors
/// [`TaskError`] with the name of the missing or damaged file; [`TaskError::Interrupted`].
pub fn open(
    config: &TrainConfig,
    opening: Opening,
    preparation: &Preparation,
) -> Result<Box<dyn Workload>, TaskError> {
    device::check_device(config.device)?;
    match (config.task, opening) {
        (TaskName::Lr, _) => {
            let task = Classification::vectors(config, preparation)?;
            workload(task, config, opening, preparation)
        }
        (TaskName::Ae, _) if config.data.is_grey() => {
            let task = DeepAutoencoding::open(config, preparation)?;
            workload(task, config, opening, preparation)
        }
        (TaskName::Ae, Opening::Whole) => {
            let task = Autoencoding::open(config, preparation)?;
            workload(task, config, opening, preparation)
        }
        (TaskName::Ae, Opening::Outline) => {
            workload(Autoencoding::outline(config)?, config, opening, preparation)
        }
        (TaskName::Lm, _) => {
            let task = Language::open(config, preparation)?;
            workload(task, config, opening, preparation)
        }
        (TaskName::Tl, Opening::Whole) => {
            let task = Classification::features(config, preparation)?;
            workload(task, config, opening, preparation)
        }
        (TaskName::Tl, Opening::Outline) => workload(
            Classification::outline(config)?,
            config,
            opening,
            preparation,
        ),
        (TaskName::Ac, Opening::Whole) => {
            let task = SoundClassification::open(config, preparation)?;
            workload(task, config, opening, preparation)
        }
        (TaskName::Ac, Opening::Outline) => {
            let task = SoundClassification::outline(config)?;
            workload(task, config, opening, preparation)
        }
    }
}

fn workload(
    task: impl Task,
    config: &TrainConfig,
    opening: Opening,
    preparation: &Preparation,
) -> Result<Box<dyn Workload>, TaskError> {
    Ok(Box::new(BurnWorkload::new(
        task,
        config,
        opening,
        preparation,
    )?))
}
