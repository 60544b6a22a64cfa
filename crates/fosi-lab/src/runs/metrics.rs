//! `metrics.csv`: one row per epoch, optimizer and seed.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::RunError;
use crate::optimizers::OptimizerName;

/// The results of one optimizer at the end of one epoch. The fields are the columns, in order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricsRow {
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// The run's seed.
    pub seed: u64,
    /// Epoch, from 1.
    pub epoch: u64,
    /// Steps taken since the start.
    pub step: u64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// Mean loss over the training data, or over the evaluated examples of it.
    pub train_loss: f64,
    /// Mean loss over the validation data.
    pub valid_loss: f64,
    /// The fraction of correctly classified validation examples; empty if the task is not classification.
    pub valid_accuracy: Option<f64>,
    /// Seconds of training since the start, including refreshes but not evaluation.
    pub train_seconds: f64,
    /// Seconds in refreshes of the spectrum, which `train_seconds` includes.
    pub refresh_seconds: f64,
    /// Gradients computed since the start, without those inside Hessian-vector products.
    pub gradients: u64,
    /// Hessian-vector products computed since the start.
    pub products: u64,
}

impl MetricsRow {
    /// The names of the columns, in order.
    pub const COLUMNS: [&str; 12] = [
        "optimizer",
        "seed",
        "epoch",
        "step",
        "learning_rate",
        "train_loss",
        "valid_loss",
        "valid_accuracy",
        "train_seconds",
        "refresh_seconds",
        "gradients",
        "products",
    ];

    /// Reads rows written by [`RunFolder`](super::RunFolder); `path` is used in messages.
    ///
    /// # Errors
    /// [`RunError::Metrics`] with the line for other columns, a value of the wrong type, or a number that is not
    /// finite.
    pub fn read_all(mut input: impl Read, path: &Path) -> Result<Vec<Self>, RunError> {
        let mut bytes = Vec::new();
        input
            .read_to_end(&mut bytes)
            .map_err(|source| RunError::Read {
                path: path.to_owned(),
                source,
            })?;
        let damaged = |line, reason: String| RunError::Metrics {
            path: path.to_owned(),
            line,
            reason,
        };
        let csv_error =
            |error: csv::Error| damaged(line_of(&bytes, error.position()), error.to_string());
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .flexible(true)
            .from_reader(bytes.as_slice());
        let header = reader.headers().map_err(csv_error)?.clone();
        if &header != Self::COLUMNS.as_slice() {
            let expected = Self::COLUMNS.join(",");
            return Err(damaged(1, format!("the columns must be {expected}")));
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(csv_error)?;
            // The reader parses a blank line with spaces as an empty field.
            if record.iter().all(str::is_empty) {
                continue;
            }
            let line = || line_of(&bytes, record.position());
            if record.len() != header.len() {
                let (found, expected) = (record.len(), header.len());
                return Err(damaged(
                    line(),
                    format!("it has {found} fields, not {expected}"),
                ));
            }
            let row: Self = record.deserialize(Some(&header)).map_err(csv_error)?;
            if !row.is_finite() {
                return Err(damaged(line(), "a number isn't finite".to_owned()));
            }
            rows.push(row);
        }
        Ok(rows)
    }

    fn is_finite(&self) -> bool {
        [
            self.learning_rate,
            self.train_loss,
            self.valid_loss,
            self.valid_accuracy.unwrap_or(0.0),
            self.train_seconds,
            self.refresh_seconds,
        ]
        .iter()
        .all(|value| value.is_finite())
    }
}

/// The line of a record. The record's position is that of the preceding line end or, for `\r\n`, of its second byte.
fn line_of(bytes: &[u8], position: Option<&csv::Position>) -> u64 {
    let before = position.map_or(0, |position| position.byte() as usize);
    let ends = bytes.iter().skip(before);
    let start = before
        + ends
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
    let ended = bytes.iter().take(start).filter(|byte| **byte == b'\n');
    1 + ended.count() as u64
}
