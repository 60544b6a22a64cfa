//! The digits or MNIST, pixel by pixel: the data of logistic regression and of the deep autoencoder.

use super::{Preparation, TaskError};
use crate::config::TrainConfig;
use crate::data::{DataName, DatasetSplit, digits, draw, mnist};

/// Reads the run's data set, with as many training examples as the run asks for.
pub(super) fn read(
    config: &TrainConfig,
    preparation: &Preparation,
) -> Result<DatasetSplit, TaskError> {
    let mut split = match config.data {
        DataName::Digits => digits()?,
        _ => {
            let directory = config.data_directory()?.to_owned();
            preparation.wait("reading the images", move || mnist(&directory))?
        }
    };
    if let Some(examples) = config.examples {
        split.train = split.train.subset(&draw(split.train.len(), examples));
    }
    Ok(split)
}
