//! The output at the end of a run: curves, page, table and failures.

use std::io::Write;
use std::path::Path;

use super::CommandError;
use super::html::write_page;
use super::output::write_figure;
use crate::curves::Curves;
use crate::html::PageOptions;
use crate::interrupt::{self, Interrupt};
use crate::runs::{Checkpoint, Failure, Run, RunError};
use crate::summary::{render, summarize};

/// The name of a run's page in its folder.
const PAGE: &str = "report.html";

/// Draws and prints a run and writes its page; returns the exit status.
pub(super) fn report(
    run: &Run,
    folder: &Path,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    // Prints the table even if a figure or the page cannot be written.
    let drawn = write_curves(run, folder);
    let runs = std::slice::from_ref(run);
    let written = write_page(&folder.join(PAGE), runs, PageOptions::default());
    print_run(run, folder, drawn.as_ref().is_ok_and(|drawn| *drawn), out)?;
    if written.is_ok() {
        writeln!(
            out,
            "The page about the run is {}",
            folder.join(PAGE).display()
        )?;
    }
    drawn?;
    written?;

    let config = &run.record.config;
    let failed = run.record.failures.len() == config.all_optimizers().len() * config.seeds.len();
    Ok(match (interrupt.requested(), failed) {
        (true, _) => interrupt::EXIT_STATUS,
        (false, true) => 1,
        (false, false) => 0,
    })
}

/// Draws the curves; `false` if there is nothing to draw.
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
    writeln!(out, "{failure}.")?;
    if let Some(spectrum) = failure.spectrum() {
        writeln!(out, "  {spectrum}.")?;
    }
    if let Some(file) = &failure.state {
        return writeln!(out, "  Its last good state is in {file}.");
    }
    if let Some(reason) = &failure.state_error {
        writeln!(out, "  Its state wasn't saved: {reason}.")?;
    }
    let newest = Checkpoint::read_newest(folder).ok().flatten();
    let own = |(checkpoint, _): &(Checkpoint, Vec<RunError>)| {
        let header = &checkpoint.header;
        (header.optimizer, header.seed) == (failure.optimizer, failure.seed)
    };
    match newest.filter(own) {
        Some((Checkpoint { header, .. }, _)) => {
            let step = header.step;
            writeln!(out, "  Its newest checkpoint is of step {step}.")
        }
        None => Ok(()),
    }
}
