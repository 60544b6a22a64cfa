//! `metrics.csv`: a row an epoch, optimizer and seed.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::RunError;
use crate::optimizers::OptimizerName;

/// What one optimizer has reached at the end of one epoch. The fields are the columns, in their order.
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
    /// Learning rate of the last of them.
    pub learning_rate: f64,
    /// Mean loss over the training data, or over as many examples of it as the run evaluates.
    pub train_loss: f64,
    /// Mean loss over the validation data.
    pub valid_loss: f64,
    /// Share of the validation data that is classified rightly; empty where the task isn't to classify.
    pub valid_accuracy: Option<f64>,
    /// Seconds of training since the start, refreshes included, evaluation left out.
    pub train_seconds: f64,
    /// Of these, seconds in refreshes of the spectrum.
    pub refresh_seconds: f64,
    /// Gradients computed since the start, those inside Hessian-vector products left out.
    pub gradients: u64,
    /// Hessian-vector products computed since the start.
    pub products: u64,
}

impl MetricsRow {
    /// The columns' names, in their order.
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

    /// Reads rows as [`RunFolder`](super::RunFolder) writes them; `path` is for messages.
    ///
    /// # Errors
    /// [`RunError::Metrics`] with the line: other columns, a value of the wrong kind, a number that isn't finite.
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
            // Of a blank line that has spaces, a field is left.
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

/// The line of a record, whose position is that of the end of line before it, of `\r\n` its second half.
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
