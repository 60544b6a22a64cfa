//! A run as a study keeps it.

use serde::{Deserialize, Serialize};

use crate::config::TrainConfig;
use crate::runs::{DataDescription, Machine, MetricsRow, ModelDescription, RefreshOutcome, Run};

/// One run of one optimizer with one learning rate and one seed: its settings and what it came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of this format.
    pub format: u64,
    /// Every setting.
    pub settings: TrainConfig,
    /// The program.
    pub version: String,
    /// Where the seconds were measured.
    pub machine: Machine,
    /// Runs that the study made at the same time.
    pub jobs: usize,
    /// What was trained.
    pub model: ModelDescription,
    /// On what.
    pub data: DataDescription,
    /// Steps taken.
    pub steps: u64,
    /// Mean loss over the training data, or as many examples of it as the run evaluates, after the last step; none where
    /// the training diverged.
    pub train_loss: Option<f64>,
    /// The same over the validation data.
    pub valid_loss: Option<f64>,
    /// The lowest at the end of any epoch.
    pub best_valid_loss: Option<f64>,
    /// Share of the validation data that is classified rightly after the last step, where the task is to classify.
    pub valid_accuracy: Option<f64>,
    /// The highest at the end of any epoch.
    pub best_valid_accuracy: Option<f64>,
    /// Seconds of training, refreshes included, evaluation left out.
    pub seconds: f64,
    /// Of these, seconds in refreshes.
    pub refresh_seconds: f64,
    /// Hessian-vector products.
    pub products: u64,
    /// Refreshes, those that were refused left out.
    pub refreshes: usize,
    /// Refreshes that were refused.
    pub refused: usize,
    /// Why the training ended before its end; none where it didn't.
    pub diverged: Option<String>,
}

impl Record {
    /// Version of the format.
    pub const FORMAT: u64 = 1;

    /// Of a run of one optimizer with one seed that wasn't interrupted.
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

    /// The training loss at the end; ∞ where the training diverged.
    pub fn loss(&self) -> f64 {
        self.train_loss.unwrap_or(f64::INFINITY)
    }
}
