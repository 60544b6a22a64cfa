//! The paper's task LM: predicting the next character of a text.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::checksum::Checksum;
use super::{Preparation, Score, Task, TaskError};
use crate::config::TrainConfig;
use crate::data::{CHARACTERS, NonAscii, Part, SequenceBatch, Sequences, draw, text_sequences};
use crate::interrupt::Interrupt;
use crate::models::char_lstm::{CharLstm, CharLstmConfig};
use crate::runs::DataDescription;
use crate::train::{Sample, StepError};

/// The start and the length of the sampled text, and the seed for sampling.
const PROMPT: &str = "\n";
const SAMPLED: usize = 600;
const SAMPLE_SEED: u64 = 0;

pub(super) struct Language {
    config: CharLstmConfig,
    name: String,
    train: Sequences,
    validation: Sequences,
    /// The indices of the training sequences.
    chosen: Vec<u32>,
    notes: Vec<String>,
}

impl Language {
    pub(super) fn open(config: &TrainConfig, preparation: &Preparation) -> Result<Self, TaskError> {
        let place = config.data_directory()?.to_owned();
        let non_ascii = match config.skip_damaged {
            true => NonAscii::Replace,
            false => NonAscii::Refuse,
        };
        let length = config.sequence;
        let split = preparation.wait("reading the text", move || {
            text_sequences(&place, length, non_ascii)
        })?;
        let replaced = match split.replaced {
            0 => None,
            1 => Some("1 character that is not ASCII was replaced by a question mark".to_owned()),
            n => Some(format!(
                "{n} characters that are not ASCII were replaced by question marks"
            )),
        };
        Ok(Self {
            config: CharLstmConfig {
                symbols: CHARACTERS,
                hidden: config.scaled(CharLstmConfig::default().hidden),
            },
            name: config.data.to_string(),
            chosen: draw(split.train.len(), config.examples.unwrap_or(usize::MAX)),
            train: split.train,
            validation: split.validation,
            notes: replaced.into_iter().collect(),
        })
    }
}

impl Task for Language {
    type Model = CharLstm;
    type Batch = [Tensor<2, Int>; 2];

    fn name(&self) -> String {
        format!("two LSTM layers of {} over characters", self.config.hidden)
    }

    fn data(&self) -> DataDescription {
        DataDescription {
            name: self.name.clone(),
            train: self.chosen.len(),
            validation: self.validation.len(),
            shape: vec![self.train.sequence_length()],
            classes: CHARACTERS,
            checksum: String::new(),
        }
    }

    fn checksum(&self) -> String {
        let mut sum = Checksum::default();
        sum.sequences(&self.train);
        sum.sequences(&self.validation);
        for index in &self.chosen {
            sum.bytes(&index.to_le_bytes());
        }
        sum.finish()
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn init(&self, seed: u64, device: &Device) -> CharLstm {
        self.config.init(seed, device)
    }

    fn batch(&self, part: Part, indices: &[u32], device: &Device) -> Self::Batch {
        let SequenceBatch {
            inputs,
            targets,
            length,
        } = match part {
            Part::Train => {
                let indices: Vec<u32> = indices.iter().map(|&i| self.chosen[i as usize]).collect();
                self.train.gather(&indices)
            }
            Part::Validation => self.validation.gather(indices),
        };
        [inputs, targets].map(|codes| codes_tensor(&codes, [indices.len(), length], device))
    }

    fn loss(&self, model: &CharLstm, [inputs, targets]: &Self::Batch) -> Tensor<1> {
        model.loss(inputs.clone(), targets.clone())
    }

    fn score(&self, model: &CharLstm, [inputs, targets]: &Self::Batch) -> Score {
        let [batch, time] = targets.dims();
        let scores = model.forward(inputs.clone());
        let predicted = scores.clone().argmax(2).reshape([batch, time]);
        let right = predicted.equal(targets.clone()).float().mean();
        let targets = targets.clone().reshape([batch, time, 1]);
        let logarithms = burn::tensor::activation::log_softmax(scores, 2);
        Score {
            loss: logarithms.gather(2, targets).mean().neg(),
            accuracy: Some(right),
        }
    }

    fn evaluation_batch(&self) -> usize {
        128
    }

    /// Samples a text from the model, character by character.
    fn sample(
        &self,
        model: &CharLstm,
        _device: &Device,
        interrupt: &Interrupt,
    ) -> Result<Option<Sample>, StepError> {
        let mut random = ChaCha8Rng::seed_from_u64(SAMPLE_SEED);
        let mut text = Vec::with_capacity(SAMPLED);
        for character in model
            .characters(PROMPT.as_bytes(), &mut random)
            .take(SAMPLED)
        {
            text.push(character);
            if interrupt.requested() {
                return Err(StepError::Interrupted);
            }
        }
        Ok(Some(Sample {
            name: "text",
            extension: "txt",
            bytes: text,
        }))
    }
}

fn codes_tensor(codes: &[u8], shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    let codes: Vec<i64> = codes.iter().map(|&code| i64::from(code)).collect();
    Tensor::from_data(TensorData::new(codes, shape), device)
}
