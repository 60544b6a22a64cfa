//! The destinations of a training run's results: the run's folder, its record and the observer.

use fosi::Interventions;
use fosi::timing::{OverheadStatus, Timing};

use super::Observer;
use crate::config::{Algorithm, RefreshSchedule};
use crate::optimizers::OptimizerName;
use crate::runs::{EventFile, MetricsRow, RefreshOutcome, RefreshRecord, Run, RunError, RunFolder};

/// The destinations of a training run's results.
pub(super) struct Log<'a> {
    pub(super) folder: &'a mut RunFolder,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) run: &'a mut Run,
    /// The event file of this optimizer and seed, if TensorBoard is on.
    pub(super) events: Option<EventFile>,
    /// The number of checkpoints written.
    pub(super) checkpoints: &'a mut u64,
    /// The number of optimizers that follow.
    pub(super) others: usize,
}

impl Log<'_> {
    /// Records an epoch and notifies the observer.
    pub(super) fn epoch(&mut self, row: MetricsRow) -> Result<(), RunError> {
        self.folder.append(&row)?;
        self.write_events(&row)?;
        self.run.rows.push(row);
        self.observer.epoch(&row);
        Ok(())
    }

    /// Writes an epoch's refreshes and its row for TensorBoard.
    fn write_events(&mut self, row: &MetricsRow) -> Result<(), RunError> {
        let Some(events) = &mut self.events else {
            return Ok(());
        };
        let of = (row.optimizer, row.seed);
        let last = self.run.rows.last();
        let last = last.filter(|last| (last.optimizer, last.seed) == of);
        let steps = last.map_or(0, |last| last.step)..row.step;
        for refresh in &self.run.record.refreshes {
            if (refresh.optimizer, refresh.seed) == of && steps.contains(&refresh.step) {
                events.refresh(refresh)?;
            }
        }
        events.epoch(row)
    }

    /// Records a refresh and notifies the observer if it was refused.
    pub(super) fn refreshed(&mut self, refresh: RefreshRecord) {
        let record = &mut self.run.record;
        if let RefreshOutcome::Refused { reason } = &refresh.outcome {
            let of = (refresh.optimizer, refresh.seed);
            let spectrum = record.spectrum_before(of, refresh.step).is_some();
            self.observer.refused(&refresh, reason, spectrum);
        }
        record.refreshes.push(refresh);
    }

    /// Adds a note on the interventions of the safeguards for a finished optimizer.
    pub(super) fn note_interventions(&mut self, of: (OptimizerName, u64), done: Interventions) {
        let note = interventions_note(of, self.run.record.config.algorithm, done);
        if let Some(note) = note {
            self.note(note);
        }
    }

    /// Adds a note unless the run already has it.
    fn note(&mut self, note: String) {
        let notes = &mut self.run.record.notes;
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Notes once per run that no interval keeps the overhead.
    pub(super) fn note_overhead(&mut self, timing: Option<Timing>) {
        let RefreshSchedule::Overhead(overhead) = self.run.record.config.refreshes else {
            return;
        };
        if timing.is_none_or(|timing| timing.overhead != OverheadStatus::Unattainable) {
            return;
        }
        self.note(overhead_note(overhead));
    }
}

/// A note on the interventions of the safeguards; `None` without any.
fn interventions_note(
    (optimizer, seed): (OptimizerName, u64),
    algorithm: Algorithm,
    done: Interventions,
) -> Option<String> {
    let Interventions {
        unresolved,
        overshot,
        grew,
        ..
    } = done;
    let mut parts = Vec::new();
    if unresolved > 0 {
        parts.push(format!("{unresolved} pairs were not resolved"));
    }
    if overshot > 0 {
        parts.push(format!("{overshot} directions overshot"));
    }
    if let Some(step) = grew {
        parts.push(format!(
            "at step {step} the gradient outside the subspace had grown"
        ));
    }
    if parts.is_empty() {
        return None;
    }
    let (directions, rate) = match algorithm {
        Algorithm::Guarded => (
            "the base steps along such directions",
            "from then on, the base's rate is not scaled",
        ),
        Algorithm::Paper => (
            "--algorithm guarded would have the base step along such directions",
            "--algorithm guarded would not have scaled the base's rate from then on",
        ),
    };
    let consequences = [
        (unresolved > 0 || overshot > 0).then_some(directions),
        grew.map(|_| rate),
    ];
    let consequences: Vec<&str> = consequences.into_iter().flatten().collect();
    Some(format!(
        "{optimizer}, seed {seed}: {}; {}",
        parts.join(", "),
        consequences.join("; ")
    ))
}

/// A note for steps with FOSI that exceed the overhead by themselves. It names no optimizer, so that a run has it once.
fn overhead_note(overhead: f64) -> String {
    format!(
        "no interval keeps --overhead {overhead}: even without refreshes, steps with FOSI take at least {overhead} \
         times as long as the base's. Instead, the interval makes refreshes lengthen FOSI's own steps to {overhead} \
         times; run.json contains the measured times"
    )
}
