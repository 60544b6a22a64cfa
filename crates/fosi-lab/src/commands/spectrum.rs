//! `fosi spectrum`.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::CommandError;
use super::output::{make_folder, write_figure};
use super::train::MakeWorkload;
use crate::cli::SpectrumCommand;
use crate::config::{Resolved, TaskName, TrainConfig, TrainOptions};
use crate::interrupt::Interrupt;
use crate::optimizers::OptimizerName;
use crate::runs::{Run, replace_file};
use crate::spectrum::{
    Measured, Places, SpectrumError, Survey, densities, density_csv, eigenvalues, eigenvalues_csv,
    places, spectrum_csv, table,
};
use crate::tasks::Opening;

/// The options that are allowed together with `--run`.
const BESIDE_RUN: [&str; 6] = ["k", "l", "m", "seed", "threads", "out"];

/// What is measured, and the output folder.
struct Measurement {
    config: TrainConfig,
    places: Places,
    title: String,
    out: PathBuf,
}

/// `fosi spectrum`: measures the Hessian at a model's start or along a run; writes `spectrum.csv`, `eigenvalues.csv`,
/// `density.csv` and figures, and prints the table.
///
/// # Errors
/// [`CommandError`]; invalid input is detected before the data is read. An interrupt still writes the finished
/// measurements.
pub fn spectrum(
    command: &SpectrumCommand,
    make_workload: &MakeWorkload,
    notice: &dyn Fn(&str),
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    interrupt.heed();
    let Measurement {
        config,
        places,
        title,
        out: folder,
    } = match &command.run {
        Some(run) => along(command, run, notice)?,
        None => at_start(command)?,
    };
    make_folder(&folder)?;
    let workload = make_workload(&config, Opening::Whole)?;
    let examples = workload.data().train;
    config.check_against(examples)?;
    let survey = Survey {
        seed: config.seeds.first().copied().unwrap_or_default(),
        pairs: [config.k, config.l],
        examples: command
            .large
            .unwrap_or(SpectrumCommand::LARGE.min(examples)),
        probes: command.probes,
        density_steps: command.density_steps,
        trace_probes: command.trace_probes,
        config,
    };
    survey.check_against(examples)?;
    let mut all = Vec::new();
    let mut on_measured = |measured: Measured| {
        let largest = measured.spectrum.eigenvalues.first().copied();
        let largest = largest.unwrap_or_default();
        notice(&format!(
            "{}: the largest eigenvalue is {largest:.4e}",
            measured.place
        ));
        all.push(measured);
    };
    let outcome = survey.measure(workload.as_ref(), places, interrupt, &mut on_measured);
    // Writes partial results, too.
    if !all.is_empty() {
        write(&folder, &title, &all, out)?;
    }
    outcome?;
    Ok(0)
}

fn write(
    folder: &Path,
    title: &str,
    all: &[Measured],
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    replace_file(&folder.join("spectrum.csv"), spectrum_csv(all).as_bytes())?;
    replace_file(
        &folder.join("eigenvalues.csv"),
        eigenvalues_csv(all).as_bytes(),
    )?;
    replace_file(&folder.join("density.csv"), density_csv(all)?.as_bytes())?;
    write_figure(folder, "density", &densities(title, all)?)?;
    let mut files =
        "spectrum.csv, eigenvalues.csv, density.csv and density.svg and .png".to_owned();
    if let Some(sheet) = eigenvalues(title, all) {
        write_figure(folder, "eigenvalues", &sheet)?;
        files.push_str(", eigenvalues.svg and .png");
    }
    writeln!(out, "{}", table(all))?;
    writeln!(out, "{files} are in {}", folder.display())?;
    Ok(())
}

/// The measurement at the start of a task's model.
fn at_start(command: &SpectrumCommand) -> Result<Measurement, CommandError> {
    let lowest = TrainOptions {
        out: Some("spectrum".into()),
        l: Some(SpectrumCommand::SMALLEST),
        ..TrainOptions::default()
    };
    let mut layers = vec![lowest];
    layers.extend(command.options.with_file(command.config.as_deref())?);
    let task = command.task.unwrap_or(TaskName::Lr);
    let config = Resolved::new(task, &layers)?.config;
    Ok(Measurement {
        places: Places::start(),
        title: format!("{task} on {}", config.data),
        out: config.out.clone(),
        config,
    })
}

/// The measurement along a run with one optimizer and one seed.
fn along(
    command: &SpectrumCommand,
    folder: &Path,
    notice: &dyn Fn(&str),
) -> Result<Measurement, CommandError> {
    let options = &command.options;
    let run = Run::read(folder)?;
    let mut config = run.record.config.clone();
    check_options(command, folder, &config)?;
    let seed = options.seed.as_ref().and_then(|seeds| seeds.0.first());
    let seed = seed.or(config.seeds.first()).copied().unwrap_or_default();
    let first = config.optimizers.first().copied();
    let optimizer = command.optimizer.or(first);
    let optimizer: OptimizerName = optimizer.ok_or(CommandError::NoEpoch)?;
    let places = places(folder, &run, (optimizer, seed))?;
    for damaged in &places.damaged {
        notice(&damaged.to_string());
    }
    config.seeds = vec![seed];
    config.k = options.k.unwrap_or(config.k);
    config.l = options.l.unwrap_or(SpectrumCommand::SMALLEST);
    config.m = options.m;
    config.threads = options.threads;
    config.check()?;
    let (task, data) = (config.task, config.data);
    let own = folder.join("spectrum");
    Ok(Measurement {
        places,
        title: format!("{task} on {data}, {optimizer}"),
        out: options.out.clone().unwrap_or(own),
        config,
    })
}

/// Refuses options that the run determines.
fn check_options(
    command: &SpectrumCommand,
    folder: &Path,
    config: &TrainConfig,
) -> Result<(), SpectrumError> {
    if let Some(task) = command.task.filter(|task| *task != config.task) {
        return Err(SpectrumError::OtherTask {
            run: folder.to_owned(),
            of_run: config.task.to_string(),
            given: task.to_string(),
        });
    }
    let mut given = command.options.given_names().into_iter();
    match given.find(|name| !BESIDE_RUN.contains(&name.as_str())) {
        Some(option) => Err(SpectrumError::DecidedByRun {
            option,
            allowed: BESIDE_RUN.map(|name| format!("--{name}")).join(", "),
        }),
        None => Ok(()),
    }
}
