//! CIFAR-10's training images in two parts.

use super::{Damaged, DataError, ImageSplit, Images, colour_images, draw};
use crate::config::TrainConfig;

/// Of 50,000 training images, how many validate: 5,000. Of fewer, as large a share.
pub(super) const HELD_OUT_TENTH: usize = 10;
const HOLD_OUT_SEED: u64 = 0;

/// The publishers' training images: nine tenths train, a tenth validates. The test images are left alone.
#[derive(Debug)]
pub struct ColourSplit {
    /// What the optimizers see.
    pub train: Images,
    /// What they never see.
    pub validation: Images,
    /// Files left out, with the reason; empty unless damaged files were to be skipped.
    pub skipped: Vec<DataError>,
}

impl ColourSplit {
    /// Reads the images of a run, and as many training images as it asks for.
    ///
    /// # Errors
    /// [`DataError`] with the file's name when one is missing or damaged, and [`DataError::NoDirectory`].
    pub fn open(config: &TrainConfig) -> Result<Self, DataError> {
        let data = config.data;
        let directory = config.data_dir.as_deref();
        let directory = directory.ok_or(DataError::NoDirectory { data })?;
        let damaged = match config.skip_damaged {
            true => Damaged::Skip,
            false => Damaged::Refuse,
        };
        let ImageSplit {
            train: all,
            skipped,
            ..
        } = colour_images(directory, None, damaged)?;
        let (train, validation) = all.hold_out(all.len() / HELD_OUT_TENTH, HOLD_OUT_SEED);
        let train = match config.examples {
            Some(examples) => train.gather(&draw(train.len(), examples)),
            None => train,
        };
        let validation = match config.eval_examples {
            Some(examples) => validation.gather(&draw(validation.len(), examples)),
            None => validation,
        };
        Ok(Self {
            train,
            validation,
            skipped,
        })
    }
}
