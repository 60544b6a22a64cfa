//! `fosi compare`, `fosi verdict`, `fosi table` and `fosi figure`: reports over several runs.

use std::io::Write;
use std::path::PathBuf;

use super::CommandError;
use super::output::{make_folder, write_figure};
use crate::cli::{CompareCommand, FigureCommand, TableCommand, TableFormat, VerdictCommand};
use crate::curves::paper_figures;
use crate::runs::{Run, read_runs};
use crate::summary::{PaperTables, render, summarize};
use crate::verdict::verdicts;

/// `fosi compare`: prints the comparison table of several runs.
///
/// # Errors
/// [`CommandError`] if a run cannot be read, or if the runs were trained on different data.
pub fn compare(command: &CompareCommand, out: &mut dyn Write) -> Result<i32, CommandError> {
    let runs = read_comparable(&command.runs)?;
    writeln!(out, "{}", render(&summarize(&runs)))?;
    Ok(0)
}

/// `fosi verdict`: judges for each optimizer with FOSI whether it pays, and why.
///
/// # Errors
/// [`CommandError`] if a run cannot be read, if the runs were trained on different data, or if none uses FOSI.
pub fn verdict(command: &VerdictCommand, out: &mut dyn Write) -> Result<i32, CommandError> {
    let verdicts = verdicts(&read_comparable(&command.runs)?);
    if verdicts.is_empty() {
        return Err(CommandError::NoFosi);
    }
    for (index, verdict) in verdicts.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{verdict}")?;
    }
    Ok(0)
}

/// Reads runs and checks that they were trained on the same data.
fn read_comparable(folders: &[PathBuf]) -> Result<Vec<Run>, CommandError> {
    let runs = read_runs(folders)?;
    let different = runs
        .iter()
        .find(|run| !run.record.data.is_same_as(&runs[0].record.data));
    match different {
        Some(other) => Err(CommandError::DifferentData {
            first: runs[0].record.name.clone(),
            first_data: runs[0].record.data.identity(),
            other: other.record.name.clone(),
            other_data: other.record.data.identity(),
        }),
        None => Ok(runs),
    }
}

/// `fosi table`: prints the paper's Tables 1 and 2.
///
/// # Errors
/// [`CommandError`] if a run cannot be read.
pub fn table(command: &TableCommand, out: &mut dyn Write) -> Result<i32, CommandError> {
    let tables = PaperTables::of(&read_runs(&command.runs)?);
    match command.format {
        TableFormat::Markdown => write!(out, "{}", tables.markdown())?,
        TableFormat::Csv => write!(out, "{}", tables.csv().map_err(std::io::Error::other)?)?,
    }
    Ok(0)
}

/// `fosi figure`: draws the paper's Figures 2, 5 and 6.
///
/// # Errors
/// [`CommandError`] if a run cannot be read or has no finished epoch, or if a file cannot be written.
pub fn figure(command: &FigureCommand, out: &mut dyn Write) -> Result<i32, CommandError> {
    let runs = read_runs(&command.runs)?;
    let figures = paper_figures(&runs);
    if figures.is_empty() {
        return Err(CommandError::NoEpoch);
    }
    make_folder(&command.out)?;
    for (name, sheet) in &figures {
        write_figure(&command.out, name, sheet)?;
    }
    let names: Vec<&str> = figures.iter().map(|(name, _)| *name).collect();
    writeln!(out, "{} are in {}", names.join(", "), command.out.display())?;
    Ok(0)
}
