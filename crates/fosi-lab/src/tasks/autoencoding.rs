//! The paper's task AE: CIFAR-10 through a convolutional autoencoder.

use burn::tensor::{Device, Tensor, TensorData};
use fosi_burn::like_module;
use fosi_rivals::{Prediction, Recorder};

use super::checksum::Checksum;
use super::features::colour_images;
use super::{Preparation, Score, Task, TaskError, left_out, placeholder, reconstructions};
use crate::config::TrainConfig;
use crate::data::{Images, Part};
use crate::interrupt::Interrupt;
use crate::models::autoencoder::{Autoencoder, AutoencoderConfig};
use crate::runs::DataDescription;
use crate::train::{Sample, StepError};

pub(super) struct Autoencoding {
    config: AutoencoderConfig,
    data: DataDescription,
    train: Images,
    validation: Images,
    notes: Vec<String>,
}

impl Autoencoding {
    pub(super) fn open(config: &TrainConfig, preparation: &Preparation) -> Result<Self, TaskError> {
        let images = colour_images(config)?;
        let split = preparation.wait("reading the images", move || images.read())?;
        let counts = [split.train.len(), split.validation.len()];
        let notes = left_out(&split.skipped);
        let task = Self::on(config, split.train, split.validation, counts);
        Ok(Self { notes, ..task })
    }

    /// Uses random images in place of the real ones, which are only counted.
    pub(super) fn outline(config: &TrainConfig) -> Result<Self, TaskError> {
        let counts = colour_images(config)?.count()?;
        let images = |count| placeholder::images(count, counts.size, counts.classes);
        let train = images(placeholder::count(config));
        Ok(Self::on(
            config,
            train,
            images(1),
            [counts.train, counts.validation],
        ))
    }

    fn on(config: &TrainConfig, train: Images, validation: Images, counts: [usize; 2]) -> Self {
        let paper = AutoencoderConfig::default();
        Self {
            config: AutoencoderConfig {
                channels: config.scaled(paper.channels),
                latent: config.scaled(paper.latent),
                side: train.width,
            },
            data: DataDescription {
                name: config.data.to_string(),
                train: counts[0],
                validation: counts[1],
                shape: vec![train.channels, train.height, train.width],
                classes: 0,
                checksum: String::new(),
            },
            train,
            validation,
            notes: Vec::new(),
        }
    }

    fn part(&self, part: Part) -> &Images {
        match part {
            Part::Train => &self.train,
            Part::Validation => &self.validation,
        }
    }
}

impl Task for Autoencoding {
    type Model = Autoencoder;
    type Batch = Tensor<4>;

    fn name(&self) -> String {
        let AutoencoderConfig {
            channels, latent, ..
        } = self.config;
        format!("convolutional autoencoder, {channels} channels, latent {latent}")
    }

    fn data(&self) -> DataDescription {
        self.data.clone()
    }

    fn checksum(&self) -> String {
        Checksum::of([&self.train, &self.validation], Checksum::images)
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn init(&self, seed: u64, device: &Device) -> Autoencoder {
        self.config.init(seed, device)
    }

    fn batch(&self, part: Part, indices: &[u32], device: &Device) -> Tensor<4> {
        let images = self.part(part).gather(indices);
        let shape = [images.len(), images.channels, images.height, images.width];
        let scaled = images.normalized([0.5; 3], [0.5; 3]);
        Tensor::from_data(TensorData::new(scaled, shape), device)
    }

    fn loss(&self, model: &Autoencoder, batch: &Tensor<4>) -> Tensor<1> {
        model.loss(batch.clone())
    }

    fn predict(
        &self,
        model: &Autoencoder,
        batch: &Tensor<4>,
        recorder: &mut Recorder,
    ) -> Option<Prediction> {
        let outputs = model.recorded(like_module(batch.clone(), model), recorder);
        Some(Prediction::squared_error(outputs))
    }

    fn score(&self, model: &Autoencoder, batch: &Tensor<4>) -> Score {
        Score {
            loss: model.loss(batch.clone()),
            accuracy: None,
        }
    }

    fn evaluation_batch(&self) -> usize {
        256
    }

    /// Draws the first validation images above their reconstructions.
    fn sample(
        &self,
        model: &Autoencoder,
        device: &Device,
        _interrupt: &Interrupt,
    ) -> Result<Option<Sample>, StepError> {
        let count = self.validation.len().min(reconstructions::COUNT);
        let indices: Vec<u32> = (0..count as u32).collect();
        let images = self.batch(Part::Validation, &indices, device);
        // From [−1, 1] to [0, 1].
        let scaled = |images: Tensor<4>| (images + 1.0) / 2.0;
        let reconstructed = scaled(model.forward(images.clone()));
        reconstructions::picture(scaled(images), reconstructed).map(Some)
    }
}
