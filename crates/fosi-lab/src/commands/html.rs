//! `fosi report`: the page about one or several runs.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::CommandError;
use super::output::make_folder;
use crate::cli::ReportCommand;
use crate::html::{PageOptions, page};
use crate::interrupt::{EXIT_STATUS, Interrupt};
use crate::runs::{Run, RunStatus, read_runs, replace_file};

/// Time between two looks at the runs' files.
const LOOK: Duration = Duration::from_secs(1);
/// Time between two looks at the interrupt.
const PULSE: Duration = Duration::from_millis(50);
/// After this time a browser loads a page again whose run goes on.
const RELOAD: Duration = Duration::from_secs(3);
/// Looks at files that can't be read, one after the other, before it is an error: a row may be half written.
const PATIENCE: usize = 5;

/// `fosi report`: writes the page about runs. With `--watch` it writes it again whenever a run's files have changed,
/// until no run goes on; the exit status after Ctrl-C is then [`EXIT_STATUS`].
///
/// # Errors
/// [`CommandError`] when a run can't be read, or the page can't be written; before anything is written.
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
        let runs = read_runs(&command.runs)?;
        write_page(&command.out, &runs, PageOptions::default())?;
        writeln!(out, "The page is {}", command.out.display())?;
        return Ok(0);
    }
    interrupt.heed();
    watch(command, interrupt, out)
}

fn watch(
    command: &ReportCommand,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    let options = PageOptions {
        reload: Some(RELOAD),
    };
    let mut seen = None;
    let mut unreadable = 0;
    while !interrupt.requested() {
        // Before the files are read: what changes meanwhile is seen the next time.
        let stamps: Vec<_> = command.runs.iter().map(|run| Run::stamp(run)).collect();
        if seen.as_ref() != Some(&stamps) {
            match read_runs(&command.runs) {
                Ok(runs) => {
                    write_page(&command.out, &runs, options)?;
                    if runs
                        .iter()
                        .all(|run| run.record.status != RunStatus::Running)
                    {
                        writeln!(out, "The page is {}; no run goes on", command.out.display())?;
                        return Ok(0);
                    }
                    if seen.is_none() {
                        let page = command.out.display();
                        writeln!(
                            out,
                            "The page is {page}; it follows the runs until they end, or Ctrl-C"
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

/// Until the next look, or an interrupt.
fn pause(interrupt: &Interrupt) {
    let mut left = LOOK;
    while !left.is_zero() && !interrupt.requested() {
        std::thread::sleep(PULSE);
        left = left.saturating_sub(PULSE);
    }
}

/// Writes the page about runs; a file that is there is replaced at once.
pub(super) fn write_page(
    path: &Path,
    runs: &[Run],
    options: PageOptions,
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
