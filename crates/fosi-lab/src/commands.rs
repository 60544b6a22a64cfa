//! What each command does, from the command line to the exit status.

use std::io::Write;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::cli::{
    CompareCommand, DataCommand, DataSubcommand, Experiment, FigureCommand, QuadraticCommand,
    TableCommand, TableFormat, TrainCommand,
};
use crate::config::{ConfigError, TaskName, TrainConfig, TrainOptions};
use crate::curves::{Curves, paper_figures};
use crate::data::{Batches, Finding, State, check};
use crate::interrupt::{self, Interrupt};
use crate::plot::{Figure, PlotError, to_png, to_svg};
use crate::quadratic::{Pieces, Report, Tick, condition, grid, illustrate, rates, spectrum};
use crate::runs::{
    Checkpoint, Failure, Run, RunError, RunFolder, RunLock, RunStatus, check_writable, read_runs,
    replace_file,
};
use crate::summary::{PaperTables, render, summarize};
use crate::tasks::{Opening, TaskError};
use crate::train::{self, Observer, StepError, Workbench};

/// Real pixels of a PNG to a nominal one.
const PNG_RESOLUTION: u32 = 2;

/// Why a command ended without doing its work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A task's data or model.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A run's folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// What a dry run measures.
    #[error(transparent)]
    Step(#[from] StepError),
    /// A figure.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// An optimizer on a quadratic.
    #[error(transparent)]
    Optimizer(#[from] fosi::Error),
    /// Runs that say nothing about each other.
    #[error(
        "`{first}` was trained on {first_data}, `{other}` on {other_data}: compare runs on the same data"
    )]
    DifferentData {
        /// Name of a run.
        first: String,
        /// Its data set.
        first_data: String,
        /// Name of another run.
        other: String,
        /// Its data set.
        other_data: String,
    },
    /// The data or the model isn't what the run began with.
    #[error(
        "the data or the model of {} has changed since it began: give it back its data, or begin another run",
        run.display()
    )]
    ChangedData {
        /// The run's folder.
        run: PathBuf,
    },
    /// The user ended an experiment on quadratics.
    #[error(
        "interrupted in {name}: {done} of {ticks} pieces are kept in {}, and the same command goes on there",
        part.display()
    )]
    Interrupted {
        /// The experiment.
        name: &'static str,
        /// Pieces done.
        done: usize,
        /// Pieces in all.
        ticks: u64,
        /// Where they are kept.
        part: PathBuf,
    },
    /// `--bases` for an experiment that depends on no basis.
    #[error(
        "--bases has no effect: it is for spectrum, grid, rates and all, whose Adam sees eigenvectors; leave it out"
    )]
    NoBases,
    /// Nothing to draw.
    #[error("no run has finished an epoch: there is nothing to draw")]
    NoEpoch,
    /// Standard output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl CommandError {
    /// 2 where what the user gave is at fault, 1 where the machine is.
    pub fn exit_status(&self) -> i32 {
        match self {
            Self::Task(TaskError::Interrupted { .. }) | Self::Interrupted { .. } => {
                interrupt::EXIT_STATUS
            }
            Self::Task(TaskError::Other(_) | TaskError::Folder(RunError::Write { .. })) => 1,
            Self::Config(_)
            | Self::Task(_)
            | Self::DifferentData { .. }
            | Self::NoBases
            | Self::NoEpoch
            | Self::ChangedData { .. } => 2,
            Self::Run(RunError::Write { .. } | RunError::Lock { .. }) => 1,
            Self::Run(_) => 2,
            Self::Plot(_) | Self::Optimizer(_) | Self::Output(_) | Self::Step(_) => 1,
        }
    }
}

/// Reads the data and sets up the model that a configuration asks for.
pub type MakeWorkbench<'a> =
    dyn Fn(&TrainConfig, Opening) -> Result<Box<dyn Workbench>, TaskError> + 'a;

/// `fosi train`: checks everything, trains, writes the run's folder, prints the table. The exit status: 0; 1 when no
/// optimizer came to the end; [`interrupt::EXIT_STATUS`] after Ctrl-C.
///
/// # Errors
/// [`CommandError`]; bad input is found before anything is written.
pub fn train(
    command: &TrainCommand,
    make_workbench: &MakeWorkbench,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    if let Some(folder) = &command.resume {
        return resume(folder, make_workbench, observer, interrupt, out);
    }
    let file = match &command.config {
        Some(path) => Some((path.as_path(), TrainOptions::from_file(path)?)),
        None => None,
    };
    let config = settings(command, file.as_ref())?;
    interrupt.heed();
    if !command.dry_run {
        match &config.name {
            Some(name) => RunFolder::check_free(&config.out, name)?,
            None => check_writable(&config.out)?,
        }
    }
    let opening = match command.dry_run {
        true => Opening::Outline,
        false => Opening::Whole,
    };
    let workbench = make_workbench(&config, opening)?;
    let data = workbench.data();
    config
        .check_against(data.train)
        .map_err(|error| match &file {
            Some((path, options)) if options.batch == Some(config.batch) => error.in_file(path),
            _ => error,
        })?;

    if command.dry_run {
        let gradient = workbench.gradient_cost()?;
        write!(
            out,
            "{}",
            config.describe(&workbench.model(), &data, gradient)
        )?;
        let steps = Batches::new(data.train, config.batch, 0).per_epoch();
        for note in workbench.notes().into_iter().chain(config.idle_note(steps)) {
            writeln!(out, "{note}.")?;
        }
        return Ok(0);
    }

    let mut folder = match &config.name {
        Some(name) => RunFolder::create(&config.out, name)?,
        None => RunFolder::create_numbered(&config.out, &Run::default_name(&config))?,
    };
    let run = train::run(
        workbench.as_ref(),
        &config,
        &mut folder,
        observer,
        interrupt,
    )?;
    report(&run, folder.path(), interrupt, out)
}

/// The settings of a command, with its file.
fn settings(
    command: &TrainCommand,
    file: Option<&(&Path, TrainOptions)>,
) -> Result<TrainConfig, ConfigError> {
    let task = command.task.unwrap_or(TaskName::Lr);
    match file {
        Some((path, options)) => {
            TrainConfig::resolve_with_file(task, (path, options), &command.options)
        }
        None => TrainConfig::resolve(task, std::slice::from_ref(&command.options)),
    }
}

/// `fosi train --resume`: goes on with a run that was cut off or interrupted. A finished one is only reported.
fn resume(
    folder: &Path,
    make_workbench: &MakeWorkbench,
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
    // Until the lock was taken, its owner may have finished the run.
    let old = Run::read_record(folder)?;
    if old.status == RunStatus::Finished {
        return resume(folder, make_workbench, observer, interrupt, out);
    }
    let workbench = make_workbench(&old.config, Opening::Whole)?;
    if !workbench.data().is_same_as(&old.data) || workbench.model() != old.model {
        return Err(CommandError::ChangedData {
            run: folder.to_owned(),
        });
    }
    let run = train::resume(workbench.as_ref(), lock, observer, interrupt)?;
    report(&run, folder, interrupt, out)
}

/// Draws and prints a run; the exit status.
fn report(
    run: &Run,
    folder: &Path,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    // The table is worth printing even where a figure can't be written.
    let drawn = write_curves(run, folder);
    print_run(run, folder, drawn.as_ref().is_ok_and(|drawn| *drawn), out)?;
    drawn?;

    let config = &run.record.config;
    let failed = run.record.failures.len() == config.all_optimizers().len() * config.seeds.len();
    Ok(match (interrupt.requested(), failed) {
        (true, _) => interrupt::EXIT_STATUS,
        (false, true) => 1,
        (false, false) => 0,
    })
}

/// `fosi compare`: prints the table over several runs.
///
/// # Errors
/// [`CommandError`] when a run can't be read, or when they were trained on different data.
pub fn compare(command: &CompareCommand, out: &mut dyn Write) -> Result<i32, CommandError> {
    let runs = read_runs(&command.runs)?;
    let different = runs
        .iter()
        .find(|run| !run.record.data.is_same_as(&runs[0].record.data));
    if let Some(other) = different {
        return Err(CommandError::DifferentData {
            first: runs[0].record.name.clone(),
            first_data: runs[0].record.data.identity(),
            other: other.record.name.clone(),
            other_data: other.record.data.identity(),
        });
    }
    writeln!(out, "{}", render(&summarize(&runs)))?;
    Ok(0)
}

/// `fosi table`: prints the paper's Tables 1 and 2.
///
/// # Errors
/// [`CommandError`] when a run can't be read.
pub fn table(command: &TableCommand, out: &mut dyn Write) -> Result<i32, CommandError> {
    let tables = PaperTables::of(&read_runs(&command.runs)?);
    match command.format {
        TableFormat::Markdown => write!(out, "{}", tables.markdown())?,
        TableFormat::Csv => write!(out, "{}", tables.csv().map_err(std::io::Error::other)?)?,
    }
    Ok(0)
}

/// `fosi figure`: draws the paper's Figures 2 and 5.
///
/// # Errors
/// [`CommandError`] when a run can't be read or holds no epoch, or a file can't be written.
pub fn figure(command: &FigureCommand, out: &mut dyn Write) -> Result<i32, CommandError> {
    let runs = read_runs(&command.runs)?;
    let figures = paper_figures(&runs).ok_or(CommandError::NoEpoch)?;
    make_folder(&command.out)?;
    for (name, sheet) in &figures {
        write_figure(&command.out, name, sheet)?;
    }
    writeln!(out, "figure2 and figure5 are in {}", command.out.display())?;
    Ok(0)
}

/// `fosi data check`: says what a folder holds. The exit status: 0; 2 where there is no data set, or a damaged one.
///
/// # Errors
/// [`CommandError`] when nothing can be printed.
pub fn data(command: &DataCommand, out: &mut dyn Write) -> Result<i32, CommandError> {
    let DataSubcommand::Check { directory } = &command.command;
    let mut status = 2;
    let mut damaged = false;
    for Finding { data, state } in check(directory) {
        let text = match state {
            State::Absent(_) => "not there".to_owned(),
            State::Whole { contents, differs } => {
                status = 0;
                let note = differs.map(|differs| format!(" ({differs})"));
                format!("whole: {contents}{}", note.unwrap_or_default())
            }
            State::Damaged(error) => {
                damaged = true;
                format!("damaged: {error}")
            }
        };
        writeln!(out, "{data:16} {text}")?;
    }
    Ok(if damaged { 2 } else { status })
}

fn make_folder(folder: &Path) -> Result<(), RunError> {
    check_writable(folder)?;
    std::fs::create_dir_all(folder).map_err(|source| RunError::Write {
        path: folder.to_owned(),
        source,
    })
}

/// As SVG and PNG.
fn write_figure(folder: &Path, name: &str, figure: &impl Figure) -> Result<(), CommandError> {
    let svg = to_svg(figure)?;
    replace_file(&folder.join(format!("{name}.svg")), svg.as_bytes())?;
    let png = to_png(figure, PNG_RESOLUTION)?;
    replace_file(&folder.join(format!("{name}.png")), &png)?;
    Ok(())
}

/// Answers an experiment's name and its number of ticks with what to call at each.
pub type MakeTick<'a> = dyn Fn(&'static str, u64) -> Box<Tick<'static>> + 'a;

/// `fosi quadratic`: runs the experiment, writes its data and figures, prints its table.
///
/// # Errors
/// [`CommandError`] when a file can't be written.
pub fn quadratic(
    command: &QuadraticCommand,
    progress: &MakeTick,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    interrupt.heed();
    let folder = &command.out;
    let bases = match (command.bases, command.experiment.has_bases()) {
        (Some(_), false) => return Err(CommandError::NoBases),
        (given, _) => given.unwrap_or(QuadraticCommand::BASES),
    };
    make_folder(folder)?;
    let all = [
        Experiment::Illustrate,
        Experiment::Spectrum,
        Experiment::Condition,
        Experiment::Grid,
        Experiment::Rates,
    ];
    let chosen = match &command.experiment {
        Experiment::All => &all[..],
        one => std::slice::from_ref(one),
    };
    for (index, experiment) in chosen.iter().enumerate() {
        let report = run_quadratic(*experiment, bases, folder, progress, interrupt)?;
        for (name, text) in &report.tables {
            replace_file(&folder.join(name), text.as_bytes())?;
        }
        for (name, figure) in &report.figures {
            write_figure(folder, name, figure)?;
        }
        let gap = if index > 0 { "\n" } else { "" };
        writeln!(out, "{gap}{}", report.text)?;
    }
    writeln!(out, "\nData and figures are in {}", folder.display())?;
    Ok(0)
}

/// Between two writes of pieces, and how often the interrupt is looked at.
const PIECES_PAUSE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_millis(50);

/// Runs an experiment on a thread of its own, so that an interrupt has effect at once: what is done of it then lies in the
/// folder, for the next start, and the thread is left behind, for the program to end with.
fn run_quadratic(
    experiment: Experiment,
    bases: u64,
    folder: &Path,
    progress: &MakeTick,
    interrupt: &Interrupt,
) -> Result<Report, CommandError> {
    let (name, ticks) = named(experiment);
    let part = folder.join(format!("{name}.part.json"));
    let tick = progress(name, ticks);
    let pieces = Arc::new(Pieces::from_file(&part, bases, tick));
    let own = Arc::clone(&pieces);
    let thread = Builder::new()
        .name(name.to_owned())
        .spawn(move || report_on(experiment, bases, &own))?;
    let mut written = Instant::now();
    while !thread.is_finished() {
        let interrupted = interrupt.requested();
        if interrupted || written.elapsed() >= PIECES_PAUSE {
            let done = pieces.save(&part, bases)?;
            written = Instant::now();
            if interrupted {
                return Err(CommandError::Interrupted {
                    name,
                    done,
                    ticks,
                    part,
                });
            }
        }
        std::thread::sleep(PATIENCE);
    }
    let report = thread.join().unwrap_or_else(|panic| resume_unwind(panic))?;
    // One too many does no harm.
    let _ = std::fs::remove_file(&part);
    Ok(report)
}

/// An experiment's name and number of pieces.
fn named(experiment: Experiment) -> (&'static str, u64) {
    match experiment {
        Experiment::Spectrum => ("spectrum", spectrum::ticks()),
        Experiment::Condition => ("condition", condition::ticks()),
        Experiment::Grid => ("grid", grid::ticks()),
        Experiment::Rates => ("rates", rates::ticks()),
        Experiment::Illustrate | Experiment::All => ("illustrate", illustrate::ticks()),
    }
}

fn report_on(experiment: Experiment, bases: u64, pieces: &Pieces) -> Result<Report, fosi::Error> {
    Ok(match experiment {
        Experiment::Spectrum => spectrum::run(bases, pieces)?.report(),
        Experiment::Condition => condition::run(pieces)?.report(),
        Experiment::Grid => grid::run(bases, pieces)?.report(),
        Experiment::Rates => rates::run(bases, pieces)?.report(),
        Experiment::Illustrate | Experiment::All => illustrate::run(pieces)?.report(),
    })
}

/// Whether there was anything to draw.
fn write_curves(run: &Run, folder: &Path) -> Result<bool, CommandError> {
    let curves = Curves::of(run);
    if let Some(curves) = &curves {
        write_figure(folder, "curves", curves)?;
    }
    Ok(curves.is_some())
}

fn print_run(run: &Run, folder: &Path, drawn: bool, out: &mut dyn Write) -> std::io::Result<()> {
    if run.rows.is_empty() {
        writeln!(out, "No epoch was finished.")?;
    } else {
        writeln!(out, "{}", render(&summarize(std::slice::from_ref(run))))?;
    }
    writeln!(out)?;
    for note in &run.record.notes {
        writeln!(out, "{note}.")?;
    }
    for failure in &run.record.failures {
        print_failure(failure, folder, out)?;
    }
    let files = match drawn {
        true => "metrics.csv, run.json, curves.svg and curves.png",
        false => "metrics.csv and run.json",
    };
    writeln!(out, "{files} are in {}", folder.display())
}

fn print_failure(failure: &Failure, folder: &Path, out: &mut dyn Write) -> std::io::Result<()> {
    let Failure {
        optimizer,
        seed,
        epoch,
        step,
        reason,
        ..
    } = failure;
    writeln!(
        out,
        "{optimizer} (seed {seed}) was stopped in epoch {epoch} after step {step}: {reason}."
    )?;
    if let Some(largest) = failure.eigenvalues.iter().copied().reduce(f64::max) {
        let scale = failure.scale;
        writeln!(
            out,
            "  Its newest spectrum had eigenvalues up to {largest:.4e}; s was {scale:.3}."
        )?;
    }
    if let Some(file) = &failure.state {
        return writeln!(out, "  Its last good state is in {file}.");
    }
    if let Some(reason) = &failure.state_error {
        writeln!(out, "  Its state wasn't saved: {reason}.")?;
    }
    let newest = Checkpoint::read_newest(folder).ok().flatten();
    let own = |(checkpoint, _): &(Checkpoint, Vec<RunError>)| {
        let progress = &checkpoint.progress;
        (progress.optimizer, progress.seed) == (*optimizer, *seed)
    };
    match newest.filter(own) {
        Some((Checkpoint { progress, .. }, _)) => {
            let step = progress.step;
            writeln!(out, "  Its newest checkpoint is of step {step}.")
        }
        None => Ok(()),
    }
}
