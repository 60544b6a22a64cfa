//! `fosi study stale`.

use std::io::Write;

use super::CommandError;
use super::maker::Maker;
use super::output::{make_folder, write_figure};
use super::surroundings::Surroundings;
use crate::cli::StaleCommand;
use crate::config::TrainOptions;
use crate::interrupt;
use crate::pays::KeptRuns;
use crate::runs::replace_file;
use crate::stale::{Row, Sweep, SweepPlan, csv, picture, table};

/// Makes the missing runs and writes `stale.csv`, `stale.md` and the figure.
pub(super) fn stale(
    command: &StaleCommand,
    surroundings: &Surroundings<'_>,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    let sweep = sweep(command)?;
    let folder = sweep.config.out.clone();
    surroundings.interrupt.heed();
    make_folder(&folder)?;
    let maker = Maker {
        runs: &sweep,
        kept: KeptRuns::new(&folder),
        jobs: 1,
        surroundings,
    };
    maker.make_all()?;
    let mut rows: Vec<Row<'_>> = Vec::new();
    for place in sweep.places() {
        let runs = place.runs(&maker.kept)?;
        if !runs.is_empty() {
            rows.push((place, runs));
        }
    }
    let text = table(&sweep, &rows);
    replace_file(&folder.join("stale.md"), text.as_bytes())?;
    replace_file(&folder.join("stale.csv"), csv(&rows).as_bytes())?;
    let drawn = picture(&sweep, &rows);
    if let Some(figure) = &drawn {
        write_figure(&folder, "stale", figure)?;
    }
    let files = match drawn {
        Some(_) => "stale.md, stale.csv, stale.svg and stale.png",
        None => "stale.md and stale.csv",
    };
    writeln!(out, "{text}\n{files} are in {}", folder.display())?;
    match surroundings.interrupt.requested() {
        true => Ok(interrupt::EXIT_STATUS),
        false => Ok(0),
    }
}

fn sweep(command: &StaleCommand) -> Result<Sweep, CommandError> {
    let lowest = TrainOptions {
        out: Some("stale".into()),
        ..TrainOptions::default()
    };
    let mut layers = vec![lowest];
    layers.extend(command.options.with_file(command.config.as_deref())?);
    let plan = SweepPlan {
        optimizer: command.optimizer,
        intervals: command.intervals.clone(),
        delays: command.delays.clone(),
    };
    Ok(Sweep::new(command.task, &layers, plan)?)
}
