//! The paper's tasks LR and TL: a linear layer with softmax over feature vectors. LR uses pixels, TL the constant
//! features of a frozen network.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use fosi_burn::like_module;
use fosi_rivals::{Prediction, Recorder};

use super::checksum::Checksum;
use super::features::{self, Features};
use super::{Preparation, Score, Task, TaskError, placeholder, vectors};
use crate::config::TrainConfig;
use crate::data::{DatasetSplit, Part};
use crate::models::resnet18::FEATURES;
use crate::runs::DataDescription;

/// One linear layer, which computes the scores of the classes.
#[derive(Module, Debug)]
pub(crate) struct Classifier {
    linear: Linear,
}

/// Feature vectors with their classes, and the task's name.
pub(super) struct Classification {
    name: String,
    data: DataDescription,
    split: DatasetSplit,
    checksum: String,
    notes: Vec<String>,
}

impl Classification {
    /// LR: the pixels of the digits or MNIST.
    pub(super) fn vectors(
        config: &TrainConfig,
        preparation: &Preparation,
    ) -> Result<Self, TaskError> {
        let split = vectors::read(config, preparation)?;
        let counts = [split.train.len(), split.validation.len()];
        let (dim, classes) = (split.train.dim, split.train.classes);
        let name = format!("logistic regression, {dim} inputs, {classes} classes");
        Ok(Self::on(name, split, counts))
    }

    /// TL: the pooled features of the CIFAR-10 images.
    pub(super) fn features(
        config: &TrainConfig,
        preparation: &Preparation,
    ) -> Result<Self, TaskError> {
        let Features {
            split,
            checksum,
            notes,
        } = features::of_cifar10(config, preparation)?;
        let counts = [split.train.len(), split.validation.len()];
        Ok(Self {
            checksum,
            notes,
            ..Self::on(transfer(split.train.classes), split, counts)
        })
    }

    /// TL with random features; the images are only counted.
    pub(super) fn outline(config: &TrainConfig) -> Result<Self, TaskError> {
        let (counts, notes) = features::outline(config)?;
        let name = config.data.to_string();
        let vectors = |count| placeholder::vectors(&name, count, FEATURES, counts.classes);
        let split = DatasetSplit {
            train: vectors(placeholder::count(config)),
            validation: vectors(1),
        };
        let task = Self::on(
            transfer(counts.classes),
            split,
            [counts.train, counts.validation],
        );
        Ok(Self { notes, ..task })
    }

    fn on(name: String, split: DatasetSplit, [train, validation]: [usize; 2]) -> Self {
        let data = DataDescription {
            name: split.train.name.clone(),
            train,
            validation,
            shape: vec![split.train.dim],
            classes: split.train.classes,
            checksum: String::new(),
        };
        Self {
            name,
            data,
            split,
            checksum: String::new(),
            notes: Vec::new(),
        }
    }
}

fn transfer(classes: usize) -> String {
    format!("ResNet-18 frozen, dense layer {FEATURES} to {classes}")
}

impl Task for Classification {
    type Model = Classifier;
    type Batch = (Tensor<2>, Tensor<1, Int>);

    fn name(&self) -> String {
        self.name.clone()
    }

    fn data(&self) -> DataDescription {
        self.data.clone()
    }

    fn checksum(&self) -> String {
        match self.checksum.as_str() {
            "" => Checksum::of(
                [&self.split.train, &self.split.validation],
                Checksum::dataset,
            ),
            // The checksum covers images and weights, because features may differ between machines.
            known => known.to_owned(),
        }
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn init(&self, _seed: u64, device: &Device) -> Classifier {
        // Burn's initialisation, which uses the device's generator.
        let (dim, classes) = (self.split.train.dim, self.split.train.classes);
        Classifier {
            linear: LinearConfig::new(dim, classes).init(device),
        }
    }

    fn batch(&self, part: Part, indices: &[u32], device: &Device) -> Self::Batch {
        let data = match part {
            Part::Train => &self.split.train,
            Part::Validation => &self.split.validation,
        };
        let batch = data.gather(indices);
        let labels: Vec<i64> = batch.labels.into_iter().map(i64::from).collect();
        let count = indices.len();
        (
            Tensor::from_data(TensorData::new(batch.features, [count, data.dim]), device),
            Tensor::from_data(TensorData::new(labels, [count]), device),
        )
    }

    fn loss(&self, model: &Classifier, (features, labels): &Self::Batch) -> Tensor<1> {
        let scores = model.linear.forward(like_module(features.clone(), model));
        cross_entropy(scores, labels)
    }

    fn predict(
        &self,
        model: &Classifier,
        (features, _): &Self::Batch,
        recorder: &mut Recorder,
    ) -> Option<Prediction> {
        let features = like_module(features.clone(), model);
        Some(Prediction::softmax(
            recorder.linear(&model.linear, features),
        ))
    }

    fn score(&self, model: &Classifier, (features, labels): &Self::Batch) -> Score {
        let scores = model.linear.forward(features.clone());
        let right = scores.clone().argmax(1).reshape([-1]).equal(labels.clone());
        Score {
            loss: cross_entropy(scores, labels),
            accuracy: Some(right.float().mean()),
        }
    }

    fn evaluation_batch(&self) -> usize {
        4096
    }
}

fn cross_entropy(scores: Tensor<2>, labels: &Tensor<1, Int>) -> Tensor<1> {
    let loss = CrossEntropyLossConfig::new().init(&scores.device());
    loss.forward(scores, labels.clone())
}
