//! What each command does, from the command line to the exit status.

use std::io::Write;
use std::path::Path;

use thiserror::Error;

use crate::cli::{CompareCommand, Experiment, QuadraticCommand, TrainCommand};
use crate::config::{ConfigError, TrainConfig, TrainOptions};
use crate::curves::Curves;
use crate::interrupt::{self, Interrupt};
use crate::plot::{PlotError, to_png, to_svg};
use crate::quadratic::{Report, Tick, condition, grid, illustrate, rates, spectrum};
use crate::runs::{Run, RunError, RunFolder, replace_file};
use crate::summary::{render, summarize};
use crate::tasks::TaskError;
use crate::train::{self, Observer, Workbench};

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
    /// Standard output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl CommandError {
    /// 2 where what the user gave is at fault, 1 where the machine is.
    pub fn exit_status(&self) -> i32 {
        match self {
            Self::Task(TaskError::Other(_)) => 1,
            Self::Config(_) | Self::Task(_) | Self::DifferentData { .. } => 2,
            Self::Run(RunError::Write { .. }) => 1,
            Self::Run(_) => 2,
            Self::Plot(_) | Self::Optimizer(_) | Self::Output(_) => 1,
        }
    }
}

/// Reads the data and sets up the model that a configuration asks for.
pub type MakeWorkbench<'a> = dyn Fn(&TrainConfig) -> Result<Box<dyn Workbench>, TaskError> + 'a;

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
    let mut layers = Vec::new();
    if let Some(file) = &command.config {
        layers.push(TrainOptions::from_file(file)?);
    }
    layers.push(command.options.clone());
    let config = TrainConfig::resolve(command.task, &layers)?;
    let name = config
        .name
        .clone()
        .unwrap_or_else(|| Run::default_name(&config));
    if !command.dry_run {
        RunFolder::check_free(&config.out, &name)?;
    }
    let workbench = make_workbench(&config)?;
    let data = workbench.data();
    config.check_against(data.train)?;

    if command.dry_run {
        write!(out, "{}", config.describe(&workbench.model(), &data))?;
        for note in workbench.notes() {
            writeln!(out, "{note}.")?;
        }
        return Ok(0);
    }

    let mut folder = RunFolder::create(&config.out, &name)?;
    let run = train::run(
        workbench.as_ref(),
        &config,
        &mut folder,
        observer,
        interrupt,
    )?;
    // The table is worth printing even where a figure can't be written.
    let drawn = write_curves(&run, &folder);
    print_run(&run, folder.path(), out)?;
    drawn?;

    let failed = run.record.failures.len() == config.optimizers.len() * config.seeds.len();
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
    let runs = command
        .runs
        .iter()
        .map(|folder| Run::read(folder))
        .collect::<Result<Vec<Run>, RunError>>()?;
    let different = runs
        .iter()
        .find(|run| run.record.data != runs[0].record.data);
    if let Some(other) = different {
        return Err(CommandError::DifferentData {
            first: runs[0].record.name.clone(),
            first_data: runs[0].record.data.name.clone(),
            other: other.record.name.clone(),
            other_data: other.record.data.name.clone(),
        });
    }
    writeln!(out, "{}", render(&summarize(&runs)))?;
    Ok(0)
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
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    let folder = &command.out;
    std::fs::create_dir_all(folder).map_err(|source| RunError::Write {
        path: folder.clone(),
        source,
    })?;
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
        let report = run_quadratic(*experiment, command.bases, progress)?;
        for (name, text) in &report.tables {
            replace_file(&folder.join(name), text.as_bytes())?;
        }
        for (name, figure) in &report.figures {
            replace_file(
                &folder.join(format!("{name}.svg")),
                to_svg(figure)?.as_bytes(),
            )?;
            let png = to_png(figure, PNG_RESOLUTION)?;
            replace_file(&folder.join(format!("{name}.png")), &png)?;
        }
        let gap = if index > 0 { "\n" } else { "" };
        writeln!(out, "{gap}{}", report.text)?;
    }
    writeln!(out, "\nData and figures are in {}", folder.display())?;
    Ok(0)
}

fn run_quadratic(
    experiment: Experiment,
    bases: u64,
    progress: &MakeTick,
) -> Result<Report, CommandError> {
    let report = match experiment {
        Experiment::Spectrum => {
            spectrum::run(bases, &*progress("spectrum", spectrum::ticks()))?.report()
        }
        Experiment::Condition => {
            condition::run(&*progress("condition", condition::ticks()))?.report()
        }
        Experiment::Grid => grid::run(bases, &*progress("grid", grid::ticks()))?.report(),
        Experiment::Rates => rates::run(bases, &*progress("rates", rates::ticks()))?.report(),
        Experiment::Illustrate | Experiment::All => {
            illustrate::run(&*progress("illustrate", illustrate::ticks()))?.report()
        }
    };
    Ok(report)
}

fn write_curves(run: &Run, folder: &RunFolder) -> Result<(), CommandError> {
    if let Some(curves) = Curves::of(run) {
        folder.write_file("curves.svg", to_svg(&curves)?.as_bytes())?;
        folder.write_file("curves.png", &to_png(&curves, PNG_RESOLUTION)?)?;
    }
    Ok(())
}

fn print_run(run: &Run, folder: &Path, out: &mut dyn Write) -> std::io::Result<()> {
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
        writeln!(
            out,
            "{} (seed {}) was stopped in epoch {}: {}.",
            failure.optimizer, failure.seed, failure.epoch, failure.reason
        )?;
    }
    writeln!(
        out,
        "metrics.csv, run.json, curves.svg and curves.png are in {}",
        folder.display()
    )
}
