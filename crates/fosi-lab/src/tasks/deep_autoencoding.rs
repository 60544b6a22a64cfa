//! The task AE on grey images: a deep autoencoder on the digits or MNIST. The paper does not have this task.

use burn::tensor::{Device, Tensor, TensorData};
use fosi_burn::like_module;
use fosi_rivals::{Prediction, Recorder};

use super::checksum::Checksum;
use super::{Preparation, Score, Task, TaskError, reconstructions, vectors};
use crate::config::TrainConfig;
use crate::data::{DatasetSplit, Part};
use crate::interrupt::Interrupt;
use crate::models::deep_autoencoder::{DeepAutoencoder, DeepAutoencoderConfig};
use crate::runs::DataDescription;
use crate::train::{Sample, StepError};

pub(super) struct DeepAutoencoding {
    config: DeepAutoencoderConfig,
    split: DatasetSplit,
}

impl DeepAutoencoding {
    pub(super) fn open(config: &TrainConfig, preparation: &Preparation) -> Result<Self, TaskError> {
        let split = vectors::read(config, preparation)?;
        let whole = DeepAutoencoderConfig::default();
        Ok(Self {
            config: DeepAutoencoderConfig {
                inputs: split.train.dim,
                hidden: config.scaled(whole.hidden),
                code: config.scaled(whole.code),
            },
            split,
        })
    }
}

impl Task for DeepAutoencoding {
    type Model = DeepAutoencoder;
    type Batch = Tensor<2>;

    fn name(&self) -> String {
        let DeepAutoencoderConfig {
            inputs,
            hidden,
            code,
        } = self.config;
        format!("deep autoencoder, layers {inputs}-{hidden}-{code}-{hidden}-{inputs}")
    }

    fn data(&self) -> DataDescription {
        DataDescription {
            name: self.split.train.name.clone(),
            train: self.split.train.len(),
            validation: self.split.validation.len(),
            shape: vec![self.split.train.dim],
            classes: 0,
            checksum: String::new(),
        }
    }

    fn checksum(&self) -> String {
        let parts = [&self.split.train, &self.split.validation];
        Checksum::of(parts, Checksum::dataset)
    }

    fn init(&self, seed: u64, device: &Device) -> DeepAutoencoder {
        self.config.init(seed, device)
    }

    fn batch(&self, part: Part, indices: &[u32], device: &Device) -> Tensor<2> {
        let data = match part {
            Part::Train => &self.split.train,
            Part::Validation => &self.split.validation,
        };
        let features = data.gather(indices).features;
        let shape = [indices.len(), data.dim];
        Tensor::from_data(TensorData::new(features, shape), device)
    }

    fn loss(&self, model: &DeepAutoencoder, batch: &Tensor<2>) -> Tensor<1> {
        model.loss(batch.clone())
    }

    fn predict(
        &self,
        model: &DeepAutoencoder,
        batch: &Tensor<2>,
        recorder: &mut Recorder,
    ) -> Option<Prediction> {
        let outputs = model.recorded(like_module(batch.clone(), model), recorder);
        Some(Prediction::squared_error(outputs))
    }

    fn score(&self, model: &DeepAutoencoder, batch: &Tensor<2>) -> Score {
        Score {
            loss: model.loss(batch.clone()),
            accuracy: None,
        }
    }

    fn evaluation_batch(&self) -> usize {
        1024
    }

    /// Draws the first validation images above their reconstructions, if the images are square.
    fn sample(
        &self,
        model: &DeepAutoencoder,
        device: &Device,
        _interrupt: &Interrupt,
    ) -> Result<Option<Sample>, StepError> {
        let side = self.config.inputs.isqrt();
        if side * side != self.config.inputs {
            return Ok(None);
        }
        let count = self.split.validation.len().min(reconstructions::COUNT);
        let indices: Vec<u32> = (0..count as u32).collect();
        let images = self.batch(Part::Validation, &indices, device);
        let square = |images: Tensor<2>| images.reshape([count, 1, side, side]);
        let reconstructed = square(model.forward(images.clone()));
        reconstructions::picture(square(images), reconstructed).map(Some)
    }
}
