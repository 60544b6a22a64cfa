//! What can be wrong with a text.

use std::path::PathBuf;

use thiserror::Error;

use crate::files::join_paths;

/// Text that cannot be used; the message names the file, what was found and what is allowed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TextError {
    /// No text where one is looked for.
    #[error(
        "no text at {}: give a text file, or a folder that holds input.txt",
        join_paths(looked_in)
    )]
    Missing {
        /// Where it was looked for.
        looked_in: Vec<PathBuf>,
    },
    /// A byte above 127.
    #[error(
        "{}: byte {offset} (line {line}) is 0x{byte:02x}, allowed are the ASCII codes 0 to 127; \
         convert the text, or have other characters replaced with --skip-damaged",
        path.display()
    )]
    NotAscii {
        /// The file.
        path: PathBuf,
        /// The byte's position, from 0.
        offset: usize,
        /// Its line, from 1.
        line: usize,
        /// The byte.
        byte: u8,
    },
    /// Not one sequence with the character after it.
    #[error(
        "{} is too short: its {part} part has {found} characters, one sequence of {length} needs {}",
        path.display(), length.saturating_add(1)
    )]
    TooShort {
        /// The file.
        path: PathBuf,
        /// `training` (the first nine tenths) or `validation` (the last tenth).
        part: &'static str,
        /// Its number of characters.
        found: usize,
        /// Characters of a sequence.
        length: usize,
    },
    /// Sequences of no character.
    #[error("a sequence has {given} characters; at least 1 is needed")]
    Length {
        /// The length asked for.
        given: usize,
    },
}
