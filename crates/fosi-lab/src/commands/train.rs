//! `fosi train`.

use std::io::Write;
use std::path::Path;

use super::CommandError;
use super::report::report;
use crate::cli::TrainCommand;
use crate::config::{Resolved, TaskName, TrainConfig, TrainOptions};
use crate::dry_run::describe;
use crate::interrupt::Interrupt;
use crate::runs::{Run, RunFolder, RunLock, RunStatus, check_writable};
use crate::tasks::{Opening, TaskError};
use crate::train::{self, Observer, Workload};

/// Reads the data and sets up the model of a configuration.
pub type MakeWorkload<'a> =
    dyn Fn(&TrainConfig, Opening) -> Result<Box<dyn Workload>, TaskError> + 'a;

/// `fosi train`: checks everything, trains, writes the run's folder and prints the table. The exit status is 0; 1 if no
/// optimizer finished; [`EXIT_STATUS`](crate::interrupt::EXIT_STATUS) after Ctrl-C.
///
/// # Errors
/// [`CommandError`]; invalid input is detected before anything is written.
pub fn train(
    command: &TrainCommand,
    make_workload: &MakeWorkload,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    if let Some(folder) = &command.resume {
        return resume(folder, make_workload, observer, interrupt, out);
    }
    let layers = command.options.with_file(command.config.as_deref())?;
    for notice in layers.iter().filter_map(TrainOptions::old_spellings) {
        observer.notice(&notice);
    }
    let settings = Resolved::new(command.task.unwrap_or(TaskName::Lr), &layers)?;
    let config = &settings.config;
    interrupt.heed();
    if command.dry_run {
        return dry_run(&settings, make_workload, out);
    }
    match &config.name {
        Some(name) => RunFolder::check_free(&config.out, name)?,
        None => check_writable(&config.out)?,
    }
    let workload = make_workload(config, Opening::Whole)?;
    settings.check_against(workload.data().train)?;
    let mut folder = match &config.name {
        Some(name) => RunFolder::create(&config.out, name)?,
        None => RunFolder::create_numbered(&config.out, &Run::default_name(config))?,
    };
    let run = train::run(workload.as_ref(), config, &mut folder, observer, interrupt)?;
    report(&run, folder.path(), interrupt, out)
}

/// `fosi train --dry-run`: prints the settings and FOSI's cost in memory and time.
fn dry_run(
    settings: &Resolved,
    make_workload: &MakeWorkload,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    let config = &settings.config;
    let workload = make_workload(config, Opening::Outline)?;
    let data = workload.data();
    settings.check_against(data.train)?;
    let gradient = workload.gradient_cost()?;
    write!(
        out,
        "{}",
        describe(config, &workload.model(), &data, gradient)
    )?;
    let steps = config.steps_per_epoch(data.train);
    for note in workload.notes().into_iter().chain(config.idle_note(steps)) {
        writeln!(out, "{note}.")?;
    }
    Ok(0)
}

/// `fosi train --resume`: resumes a run that was cut off or interrupted. A finished run is only reported.
fn resume(
    folder: &Path,
    make_workload: &MakeWorkload,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    interrupt.heed();
    let old = Run::read_record(folder)?;
    if old.status == RunStatus::Finished {
        writeln!(out, "The run in {} is finished.", folder.display())?;
        return report(&Run::read(folder)?, folder, interrupt, out);
    }
    let lock = RunLock::take(folder)?;
    // Its owner may have finished the run before the lock was taken.
    let old = Run::read_record(folder)?;
    if old.status == RunStatus::Finished {
        return resume(folder, make_workload, observer, interrupt, out);
    }
    let workload = make_workload(&old.config, Opening::Whole)?;
    if !workload.data().is_same_as(&old.data) || workload.model() != old.model {
        return Err(CommandError::ChangedData {
            run: folder.to_owned(),
        });
    }
    let run = train::resume(workload.as_ref(), lock, observer, interrupt)?;
    report(&run, folder, interrupt, out)
}
