//! `fosi report`: an HTML page about one or several runs.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::CommandError;
use super::output::make_folder;
use crate::cli::ReportCommand;
use crate::html::{PageOptions, page};
use crate::interrupt::{EXIT_STATUS, Interrupt};
use crate::runs::{Run, RunStatus, read_runs, read_whole_runs, replace_file};

/// Time between two checks of the runs' files.
const LOOK: Duration = Duration::from_secs(1);
/// Time between two checks for an interrupt.
const PULSE: Duration = Duration::from_millis(50);
/// Time after which a browser reloads the page of an unfinished run.
const RELOAD: Duration = Duration::from_secs(3);
/// Consecutive failures to read the files before an error is reported: a row may be half written.
const PATIENCE: usize = 5;

/// `fosi report`: writes the page about runs. Damaged runs are left out, which page and output say, and the exit status
/// is then 1. With `--watch` it rewrites the page whenever the runs' files change,
/// until all runs are over; after Ctrl-C the exit status is [`EXIT_STATUS`].
///
/// # Errors
/// [`CommandError`] if a run cannot be read or the page cannot be written, before anything is written.
pub fn report(
    command: &ReportCommand,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    if command.out.is_dir() {
        let path = command.out.clone();
        return Err(CommandError::PageIsFolder { path });
    }
    if !command.watch {
        return write_once(command, out);
    }
    interrupt.heed();
    watch(command, interrupt, out)
}

fn write_once(command: &ReportCommand, out: &mut dyn Write) -> Result<i32, CommandError> {
    let (runs, damaged) = read_whole_runs(&command.runs)?;
    let left_out: Vec<String> = damaged.iter().map(ToString::to_string).collect();
    let options = PageOptions {
        left_out: &left_out,
        ..PageOptions::default()
    };
    write_page(&command.out, &runs, options)?;
    for reason in &left_out {
        writeln!(out, "A run is left out: {reason}")?;
    }
    writeln!(out, "The page is {}", command.out.display())?;
    Ok(i32::from(!left_out.is_empty()))
}

fn watch(
    command: &ReportCommand,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    let options = PageOptions {
        reload: Some(RELOAD),
        ..PageOptions::default()
    };
    let mut seen = None;
    let mut unreadable = 0;
    while !interrupt.requested() {
        // The stamps are taken before the files are read, so that the next check detects changes in between.
        let stamps: Vec<_> = command.runs.iter().map(|run| Run::stamp(run)).collect();
        if seen.as_ref() != Some(&stamps) {
            match read_runs(&command.runs) {
                Ok(runs) => {
                    write_page(&command.out, &runs, options)?;
                    if runs
                        .iter()
                        .all(|run| run.record.status != RunStatus::Running)
                    {
                        writeln!(
                            out,
                            "The page is {}; no run is in progress",
                            command.out.display()
                        )?;
                        return Ok(0);
                    }
                    if seen.is_none() {
                        let page = command.out.display();
                        writeln!(
                            out,
                            "The page is {page}; it is updated until the runs end or Ctrl-C is pressed"
                        )?;
                    }
                    (seen, unreadable) = (Some(stamps), 0);
                }
                Err(error) if seen.is_none() || unreadable == PATIENCE => return Err(error.into()),
                Err(_) => unreadable += 1,
            }
        }
        pause(interrupt);
    }
    Ok(EXIT_STATUS)
}

/// Waits until the next check or an interrupt.
fn pause(interrupt: &Interrupt) {
    let mut left = LOOK;
    while !left.is_zero() && !interrupt.requested() {
        std::thread::sleep(PULSE);
        left = left.saturating_sub(PULSE);
    }
}

/// Writes the page about runs and atomically replaces an existing file.
pub(super) fn write_page(
    path: &Path,
    runs: &[Run],
    options: PageOptions<'_>,
) -> Result<(), CommandError> {
    let text = page(runs, options)?;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        make_folder(folder)?;
    }
    replace_file(path, text.as_bytes())?;
    Ok(())
}
