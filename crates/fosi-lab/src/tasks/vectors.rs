//! The pixels of the digits or MNIST: the data of logistic regression and of the deep autoencoder.

use super::{Preparation, TaskError};
use crate::config::TrainConfig;
use crate::data::{DataName, DatasetSplit, digits, draw, mnist};

/// Reads the run's data set, with the requested number of training examples.
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
