//! Where the results of a training go: the run's folder, its record, and who watches.

use fosi::Interventions;
use fosi::timing::{OverheadStatus, Timing};

use super::Observer;
use crate::config::{Algorithm, RefreshSchedule};
use crate::optimizers::OptimizerName;
use crate::runs::{EventFile, MetricsRow, RefreshOutcome, RefreshRecord, Run, RunError, RunFolder};

/// Where a training's results go.
pub(super) struct Log<'a> {
    pub(super) folder: &'a mut RunFolder,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) run: &'a mut Run,
    /// The event file of the training, where one is written.
    pub(super) events: Option<EventFile>,
    /// Checkpoints written so far.
    pub(super) checkpoints: &'a mut u64,
    /// Optimizers after this one.
    pub(super) others: usize,
}

impl Log<'_> {
    /// Records an epoch, and tells the observer.
    pub(super) fn epoch(&mut self, row: MetricsRow) -> Result<(), RunError> {
        self.folder.append(&row)?;
        self.write_events(&row)?;
        self.run.rows.push(row);
        self.observer.epoch(&row);
        Ok(())
    }

    /// An epoch's refreshes and its row, for TensorBoard.
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

    /// Records a refresh, and tells the observer where it was refused.
    pub(super) fn refreshed(&mut self, refresh: RefreshRecord) {
        let record = &mut self.run.record;
        if let RefreshOutcome::Refused { reason } = &refresh.outcome {
            let of = (refresh.optimizer, refresh.seed);
            let spectrum = record.spectrum_before(of, refresh.step).is_some();
            self.observer.refused(&refresh, reason, spectrum);
        }
        record.refreshes.push(refresh);
    }

    /// Notes what the safeguards have done for an optimizer that is over.
    pub(super) fn note_interventions(&mut self, of: (OptimizerName, u64), done: Interventions) {
        let note = interventions_note(of, self.run.record.config.algorithm, done);
        if let Some(note) = note {
            self.note(note);
        }
    }

    /// Adds a note, once in a run.
    fn note(&mut self, note: String) {
        let notes = &mut self.run.record.notes;
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Notes, once in a run, that no interval keeps the overhead.
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

/// A note on the safeguards that have acted; `None` where none has.
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
            "at step {step} the gradient had grown outside of the subspace"
        ));
    }
    if parts.is_empty() {
        return None;
    }
    let (directions, rate) = match algorithm {
        Algorithm::Guarded => (
            "such directions are left to the base",
            "from there on the base's rate isn't scaled",
        ),
        Algorithm::Paper => (
            "--algorithm guarded would have left such directions to the base",
            "--algorithm guarded wouldn't have scaled the base's rate from there on",
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

/// A note where FOSI's steps alone exceed the overhead. It names no optimizer, so that a run has it once.
fn overhead_note(overhead: f64) -> String {
    format!(
        "no interval keeps --overhead {overhead}: even without refreshes, steps with FOSI take {overhead} times as long as \
         the base's or longer. Refreshes make FOSI's own steps {overhead} times as long instead; the measured times are \
         in run.json"
    )
}
