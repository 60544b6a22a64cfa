//! The paper's task AC: what is heard in a second of sound.

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};

use super::{Score, Task, TaskError, left_out};
use crate::config::{HvpMode, TrainConfig};
use crate::data::{
    AudioSetFiles, BANDS, Clips, Damaged, DataError, DataName, FRAMES, Part, Patches, draw, fsdd,
};
use crate::models::mobilenet::{MobileNet, MobileNetConfig};
use crate::runs::DataDescription;

pub(super) struct SoundClassification {
    config: MobileNetConfig,
    mode: HvpMode,
    name: String,
    train: Patches,
    validation: Patches,
    notes: Vec<String>,
}

impl SoundClassification {
    pub(super) fn open(config: &TrainConfig) -> Result<Self, TaskError> {
        let Some(directory) = &config.data_dir else {
            return Err(DataError::NoDirectory { data: config.data }.into());
        };
        let damaged = match config.skip_damaged {
            true => Damaged::Skip,
            false => Damaged::Refuse,
        };
        let split = match config.data {
            DataName::Audioset => AudioSetFiles::find(directory)?.read(damaged)?,
            _ => fsdd(directory)?,
        };
        let decode = |clips: &Clips, limit: Option<usize>| {
            let drawn = draw(clips.len(), limit.unwrap_or(usize::MAX));
            clips.decode(&drawn, damaged)
        };
        let started = Instant::now();
        let train = decode(&split.train, config.examples)?;
        let validation = decode(&split.validation, None)?;
        let mut notes = vec![format!(
            "{} clips decoded to {} patches in {:.2} s",
            split.train.len() + split.validation.len(),
            train.len() + validation.len(),
            started.elapsed().as_secs_f64()
        )];
        let skipped = split.skipped.iter().chain(&train.skipped);
        notes.extend(left_out(skipped.chain(&validation.skipped)));
        Ok(Self {
            config: MobileNetConfig {
                width: config.width,
                classes: train.classes,
            },
            mode: config.hvp_mode,
            name: config.data.to_string(),
            train,
            validation,
            notes,
        })
    }

    fn part(&self, part: Part) -> &Patches {
        match part {
            Part::Train => &self.train,
            Part::Validation => &self.validation,
        }
    }
}

impl Task for SoundClassification {
    type Model = MobileNet;
    /// Patches, batch×1×frames×bands, and their classes, batch×classes.
    type Batch = (Tensor<4>, Tensor<2>);

    fn name(&self) -> String {
        let MobileNetConfig { width, classes } = self.config;
        format!("MobileNetV1 of width {width}, {classes} classes")
    }

    fn data(&self) -> DataDescription {
        DataDescription {
            name: self.name.clone(),
            train: self.train.len(),
            validation: self.validation.len(),
            shape: vec![FRAMES, BANDS],
            classes: self.config.classes,
        }
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn init(&self, seed: u64, device: &Device) -> MobileNet {
        self.config.init(seed, device)
    }

    fn batch(&self, part: Part, indices: &[u32], device: &Device) -> Self::Batch {
        let batch = self.part(part).gather(indices);
        let count = indices.len();
        let patches = TensorData::new(batch.features, [count, 1, FRAMES, BANDS]);
        let targets = TensorData::new(batch.targets, [count, batch.classes]);
        (
            Tensor::from_data(patches, device),
            Tensor::from_data(targets, device),
        )
    }

    fn loss(&self, model: &MobileNet, (patches, targets): &Self::Batch) -> Tensor<1> {
        model.loss(patches.clone(), targets.clone())
    }

    fn curvature_loss(&self, model: &MobileNet, batch: &Self::Batch) -> Tensor<1> {
        match self.mode {
            HvpMode::Train => self.loss(model, batch),
            HvpMode::Eval => self.loss(&model.clone().with_batch_statistics(false), batch),
        }
    }

    /// Right where the class with the highest score is one of those heard.
    fn score(&self, model: &MobileNet, (patches, targets): &Self::Batch) -> Score {
        let scores = model.forward(patches.clone());
        let right = targets.clone().gather(1, scores.clone().argmax(1)).mean();
        Score {
            loss: MobileNet::cross_entropy(scores, targets.clone()),
            accuracy: Some(right),
        }
    }

    fn evaluation_batch(&self) -> usize {
        128
    }
}
