//! `fosi data`.

use std::io::Write;

use super::CommandError;
use crate::cli::{DataCommand, DataSubcommand};
use crate::data::{Finding, State, check};

/// `fosi data check`: reports the data sets in a folder. The exit status is 0, or 2 if there is no data set or a
/// damaged one.
///
/// # Errors
/// [`CommandError`] if the output cannot be printed.
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
