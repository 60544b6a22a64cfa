//! `fosi study curvature`.

use std::io::Write;

use super::CommandError;
use super::output::{make_folder, write_figure};
use super::surroundings::Surroundings;
use crate::cli::CurvatureCommand;
use crate::config::{List, Resolved, TrainOptions, TrainingLength};
use crate::curvature::{Path, Row, csv, picture, table};
use crate::runs::replace_file;
use crate::tasks::Opening;

/// Trains, compares the estimates during training, and writes `curvature.csv` and the figure.
pub(super) fn curvature(
    command: &CurvatureCommand,
    surroundings: &Surroundings<'_>,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    let path = path(command)?;
    let interrupt = surroundings.interrupt;
    interrupt.heed();
    let folder = path.config.out.clone();
    make_folder(&folder)?;
    let workload = (surroundings.make_workload)(&path.config, Opening::Whole)?;
    let examples = workload.data().train;
    let path = Path {
        large: command
            .large
            .unwrap_or(CurvatureCommand::LARGE.min(examples)),
        ..path
    };
    path.check_against(examples)?;
    let mut rows: Vec<Row> = Vec::new();
    let mut on_row = |row: Row| {
        let Row {
            step,
            estimate,
            captured,
            eigenvalue_ratio,
        } = &row;
        (surroundings.notice)(&format!(
            "step {step}: {estimate} captures {captured:.3}, its eigenvalues are {eigenvalue_ratio:.3} times the true ones"
        ));
        rows.push(row);
    };
    let followed = path.follow(workload.as_ref(), interrupt, &mut on_row);
    // Writes partial results, too.
    if !rows.is_empty() {
        replace_file(&folder.join("curvature.csv"), csv(&rows).as_bytes())?;
        write_figure(&folder, "curvature", &picture(&path, &rows))?;
        writeln!(out, "{}", table(&rows))?;
        let files = "curvature.csv, curvature.svg and curvature.png";
        writeln!(out, "{files} are in {}", folder.display())?;
    }
    followed?;
    Ok(0)
}

fn path(command: &CurvatureCommand) -> Result<Path, CommandError> {
    let last = command.at.iter().copied().max().unwrap_or_default();
    let lowest = TrainOptions {
        out: Some("curvature".into()),
        // With --at 0, the check of --at reports the error, not that of --steps.
        steps: Some(last.max(1) as usize),
        ..TrainOptions::default()
    };
    let mut layers = vec![lowest];
    layers.extend(command.options.with_file(command.config.as_deref())?);
    layers.push(TrainOptions {
        optimizers: Some(List(vec![command.optimizer])),
        ..TrainOptions::default()
    });
    let mut config = Resolved::new(command.task, &layers)?.config;
    if let TrainingLength::Epochs(_) = config.length {
        config.length = TrainingLength::Steps(last as usize);
    }
    Ok(Path {
        config,
        optimizer: command.optimizer,
        at: command.at.clone(),
        samples: command.samples.clone(),
        large: CurvatureCommand::LARGE,
    })
}
