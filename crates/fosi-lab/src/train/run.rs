//! A run: all optimizers with all seeds, in turn.

use super::log::Log;
use super::training::Training;
use super::{Observer, Workload};
use crate::config::TrainConfig;
use crate::interrupt::Interrupt;
use crate::optimizers::OptimizerName;
use crate::runs::{
    Checkpoint, EventFile, Run, RunError, RunFolder, RunLock, RunRecord, RunStatus, Versions,
};

/// Trains every optimizer with every seed, writes `metrics.csv` and `run.json` during training, and writes checkpoints
/// if the settings ask for them.
///
/// If an optimizer fails, the failure is recorded and the others continue. An interruption ends the run after the
/// current step and keeps its results. Training time excludes evaluation and checkpoints.
///
/// # Errors
/// [`RunError`] if the folder cannot be written.
pub fn run(
    workload: &dyn Workload,
    config: &TrainConfig,
    folder: &mut RunFolder,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
) -> Result<Run, RunError> {
    let name = folder
        .path()
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut record = RunRecord::start(&name, config, workload.model(), workload.data());
    record.notes = workload.notes();
    let steps = config.steps_per_epoch(record.data.train);
    record.notes.extend(config.idle_note(steps));
    let run = Run {
        record,
        rows: Vec::new(),
    };
    train_all(workload, run, None, folder, observer, interrupt)
}

/// Resumes the run in a locked folder from its newest valid checkpoint, or from the start if there is none.
///
/// # Errors
/// [`RunError`] if the folder cannot be read or written, or if all its checkpoints are damaged.
pub fn resume(
    workload: &dyn Workload,
    lock: RunLock,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
) -> Result<Run, RunError> {
    let newest = Checkpoint::read_newest(lock.folder())?;
    let (checkpoint, damaged) = newest.map_or((None, Vec::new()), |(c, d)| (Some(c), d));
    let rows = checkpoint.as_ref().map_or(0, |c| c.header.rows);
    let (mut folder, mut run) = RunFolder::reopen(lock, rows)?;
    let (refreshes, failures) = match &checkpoint {
        Some(Checkpoint { header, .. }) => (header.refreshes.clone(), header.failures.clone()),
        None => (Vec::new(), Vec::new()),
    };
    run.record.refreshes = refreshes;
    run.record.failures = failures;
    run.record.resume();
    let notes = damaged.iter().map(ToString::to_string);
    run.record.notes.extend(notes);
    let here = Versions::here();
    if here != run.record.versions {
        let note = format!(
            "The run started with {} and was resumed with {here}",
            run.record.versions
        );
        run.record.notes.push(note);
    }
    train_all(workload, run, checkpoint, &mut folder, observer, interrupt)
}

/// Trains each unfinished pair of optimizer and seed, the first from its checkpoint if there is one.
fn train_all(
    workload: &dyn Workload,
    mut run: Run,
    mut checkpoint: Option<Checkpoint>,
    folder: &mut RunFolder,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
) -> Result<Run, RunError> {
    let config = run.record.config.clone();
    folder.write_record(&run.record)?;
    let optimizers = config.all_optimizers();
    let pairs = config.seeds.iter().flat_map(|&seed| {
        let pair = move |&optimizer| (optimizer, seed);
        optimizers.iter().map(pair)
    });
    let pairs: Vec<(OptimizerName, u64)> = pairs.collect();
    let first = match &checkpoint {
        Some(Checkpoint { header, .. }) => {
            let pair = (header.optimizer, header.seed);
            let place = pairs.iter().position(|other| *other == pair);
            place.ok_or_else(|| RunError::OtherRun {
                path: folder.path().to_owned(),
                found: format!("{} with seed {}", pair.0, pair.1),
            })?
        }
        None => 0,
    };
    let mut checkpoints = checkpoint.as_ref().map_or(0, |c| c.header.number + 1);
    for (index, &(optimizer, seed)) in pairs.iter().enumerate().skip(first) {
        if interrupt.requested() {
            break;
        }
        let events = match config.tensorboard {
            true => Some(EventFile::create(folder.path(), optimizer, seed)?),
            false => None,
        };
        let mut log = Log {
            folder,
            observer,
            run: &mut run,
            events,
            checkpoints: &mut checkpoints,
            others: pairs.len() - index - 1,
        };
        let examples = log.run.record.data.train;
        let training = Training::new((optimizer, seed), &config, examples, interrupt);
        let failure = training.run(workload, checkpoint.take(), &mut log)?;
        run.record.failures.extend(failure);
        folder.write_record(&run.record)?;
    }

    run.record.finish(match interrupt.requested() {
        true => RunStatus::Interrupted,
        false => RunStatus::Finished,
    });
    folder.write_record(&run.record)?;
    Ok(run)
}
