//! A run in a study's folder.

use serde::{Deserialize, Serialize};

use crate::config::TrainConfig;
use crate::runs::{DataDescription, Machine, MetricsRow, ModelDescription, RefreshOutcome, Run};

/// One run of one optimizer with one learning rate and one seed: its settings and results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The version of this format.
    pub format: u64,
    /// Every setting.
    pub settings: TrainConfig,
    /// The program's version.
    pub version: String,
    /// The machine that measured the seconds.
    pub machine: Machine,
    /// The number of runs that the study made concurrently.
    pub jobs: usize,
    /// The model.
    pub model: ModelDescription,
    /// The data set.
    pub data: DataDescription,
    /// Steps taken.
    pub steps: u64,
    /// Mean loss over the training data, or over the evaluated examples of it, after the last step; `None` if training
    /// diverged.
    pub train_loss: Option<f64>,
    /// The mean loss over the validation data.
    pub valid_loss: Option<f64>,
    /// The lowest validation loss at the end of an epoch.
    pub best_valid_loss: Option<f64>,
    /// The fraction of correctly classified validation examples after the last step, if the task is classification.
    pub valid_accuracy: Option<f64>,
    /// The highest validation accuracy at the end of an epoch.
    pub best_valid_accuracy: Option<f64>,
    /// Seconds of training, including refreshes but not evaluation.
    pub seconds: f64,
    /// Seconds in refreshes, which `seconds` includes.
    pub refresh_seconds: f64,
    /// Hessian-vector products.
    pub products: u64,
    /// Accepted refreshes.
    pub refreshes: usize,
    /// Refused refreshes.
    pub refused: usize,
    /// The reason why training ended early; `None` if it did not.
    pub diverged: Option<String>,
}

impl Record {
    /// The version of the format.
    pub const FORMAT: u64 = 1;

    /// The record of an uninterrupted run of one optimizer with one seed.
    pub fn of(run: &Run, settings: &TrainConfig, jobs: usize) -> Self {
        let Run { record, rows } = run;
        let failure = record.failures.first();
        let last = rows.last();
        let end = last.filter(|_| failure.is_none());
        let best = |of: fn(&MetricsRow) -> Option<f64>, better: fn(f64, f64) -> f64| {
            rows.iter().filter_map(of).reduce(better)
        };
        let refreshes = record.refreshes.iter();
        let accepted = refreshes
            .filter(|refresh| matches!(refresh.outcome, RefreshOutcome::Accepted { .. }))
            .count();
        Self {
            format: Self::FORMAT,
            settings: settings.clone(),
            version: record.versions.to_string(),
            machine: record.machine.clone(),
            jobs,
            model: record.model.clone(),
            data: record.data.clone(),
            steps: failure.map_or(last.map_or(0, |row| row.step), |failure| failure.step),
            train_loss: end.map(|row| row.train_loss),
            valid_loss: end.map(|row| row.valid_loss),
            best_valid_loss: best(|row| Some(row.valid_loss), f64::min),
            valid_accuracy: end.and_then(|row| row.valid_accuracy),
            best_valid_accuracy: best(|row| row.valid_accuracy, f64::max),
            seconds: last.map_or(0.0, |row| row.train_seconds),
            refresh_seconds: last.map_or(0.0, |row| row.refresh_seconds),
            products: last.map_or(0, |row| row.products),
            refreshes: accepted,
            refused: record.refreshes.len() - accepted,
            diverged: failure.map(|failure| failure.reason.clone()),
        }
    }

    /// The final training loss; ∞ if training diverged.
    pub fn loss(&self) -> f64 {
        self.train_loss.unwrap_or(f64::INFINITY)
    }
}
