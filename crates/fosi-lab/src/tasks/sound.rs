//! The paper's task AC: classifying what is heard in about a second of sound.

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use fosi_burn::like_module;
use fosi_rivals::{Prediction, Recorder};

use super::checksum::Checksum;
use super::{Preparation, Score, Task, TaskError, left_out, placeholder};
use crate::config::{HvpMode, TrainConfig};
use crate::data::{
    AudioSetFiles, AudioSplit, BANDS, ClipLength, Clips, Damaged, DataError, DataName, FRAMES,
    Part, Patches, draw, fsdd,
};
use crate::models::mobilenet::{MobileNet, MobileNetConfig};
use crate::runs::DataDescription;

pub(super) struct SoundClassification {
    config: MobileNetConfig,
    mode: HvpMode,
    data: DataDescription,
    train: Patches,
    validation: Patches,
    notes: Vec<String>,
}

/// Clips per decoding batch: few enough to check for an interrupt several times per second.
const DECODED: usize = 32;

impl SoundClassification {
    pub(super) fn open(config: &TrainConfig, preparation: &Preparation) -> Result<Self, TaskError> {
        let own = config.clone();
        let split = preparation.wait("reading the lists of clips", move || clips(&own))?;
        let started = Instant::now();
        let train = decode(&split.train, config.examples, config.damaged(), preparation)?;
        let validation = decode(&split.validation, None, config.damaged(), preparation)?;
        let mut notes = vec![format!(
            "{} clips decoded to {} patches in {:.2} s",
            split.train.len() + split.validation.len(),
            train.len() + validation.len(),
            started.elapsed().as_secs_f64()
        )];
        let skipped = split.skipped.iter().chain(&train.skipped);
        notes.extend(left_out(skipped.chain(&validation.skipped)));
        let counts = [train.len(), validation.len()];
        let task = Self::on(config, train, validation, counts);
        Ok(Self { notes, ..task })
    }

    /// Uses random patches in place of the clips', which are counted but not decoded.
    pub(super) fn outline(config: &TrainConfig) -> Result<Self, TaskError> {
        let split = clips(config)?;
        let classes = split.train.class_names.len();
        let limited = split.train.len().min(config.examples.unwrap_or(usize::MAX));
        let counts = [limited, split.validation.len()];
        let patches = |count| placeholder::patches(count, classes);
        let train = patches(placeholder::count(config));
        let mut notes = left_out(&split.skipped);
        if split.train.length == ClipLength::Whole {
            notes.push(
                "Examples are clips here; the number of their patches of 0.96 s is known after decoding"
                    .to_owned(),
            );
        }
        let task = Self::on(config, train, patches(1), counts);
        Ok(Self { notes, ..task })
    }

    fn on(config: &TrainConfig, train: Patches, validation: Patches, counts: [usize; 2]) -> Self {
        Self {
            config: MobileNetConfig {
                width: config.width,
                classes: train.classes,
            },
            mode: config.hvp_mode,
            data: DataDescription {
                name: config.data.to_string(),
                train: counts[0],
                validation: counts[1],
                shape: vec![FRAMES, BANDS],
                classes: train.classes,
                checksum: String::new(),
            },
            train,
            validation,
            notes: Vec::new(),
        }
    }

    fn part(&self, part: Part) -> &Patches {
        match part {
            Part::Train => &self.train,
            Part::Validation => &self.validation,
        }
    }
}

/// The clips of a run, before reading any.
fn clips(config: &TrainConfig) -> Result<AudioSplit, DataError> {
    let directory = config.data_directory()?;
    match config.data {
        DataName::Audioset => AudioSetFiles::find(directory)?.read(config.damaged()),
        _ => fsdd(directory),
    }
}

/// Decodes as many clips as `limit` allows into patches.
fn decode(
    clips: &Clips,
    limit: Option<usize>,
    damaged: Damaged,
    preparation: &Preparation,
) -> Result<Patches, TaskError> {
    let drawn = draw(clips.len(), limit.unwrap_or(usize::MAX));
    let advance = (preparation.progress)("clips", drawn.len() as u64);
    let mut all = Patches {
        features: Vec::new(),
        labels: Vec::new(),
        classes: clips.class_names.len(),
        skipped: Vec::new(),
    };
    for indices in drawn.chunks(DECODED) {
        preparation.check("decoding the clips", || "nothing is lost".to_owned())?;
        let patches = clips.decode(indices, damaged)?;
        all.features.extend(patches.features);
        all.labels.extend(patches.labels);
        all.skipped.extend(patches.skipped);
        advance(indices.len() as u64);
    }
    Ok(all)
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
        self.data.clone()
    }

    fn checksum(&self) -> String {
        Checksum::of([&self.train, &self.validation], Checksum::patches)
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

    /// The loss also averages over the classes.
    fn predict(
        &self,
        model: &MobileNet,
        (patches, _): &Self::Batch,
        recorder: &mut Recorder,
    ) -> Option<Prediction> {
        let scores = model.recorded(like_module(patches.clone(), model), recorder);
        let classes = scores.dims()[1];
        Some(Prediction::sigmoid(scores).with_weight(1.0 / classes as f64))
    }

    fn curvature_loss(&self, model: &MobileNet, batch: &Self::Batch) -> Tensor<1> {
        match self.mode {
            HvpMode::Train => self.loss(model, batch),
            HvpMode::Eval => self.loss(&model.clone().with_batch_statistics(false), batch),
        }
    }

    /// A prediction is correct if the class with the highest score is one of the clip's classes.
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
