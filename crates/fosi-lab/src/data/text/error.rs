//! Errors in a text.

use std::path::PathBuf;

use thiserror::Error;

use crate::files::join_paths;

/// Text that cannot be used; the message names the file, what was found and what is allowed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TextError {
    /// There is no text.
    #[error(
        "no text at {}: give a text file, or a folder with input.txt",
        join_paths(looked_in)
    )]
    Missing {
        /// The searched places.
        looked_in: Vec<PathBuf>,
    },
    /// The text contains a byte above 127.
    #[error(
        "{}: byte {offset} (line {line}) is 0x{byte:02x}; allowed are the ASCII codes 0 to 127; \
         convert the text, or replace other characters with --skip-damaged",
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
    /// A part has less than one sequence and its following character.
    #[error(
        "{} is too short: its {part} part has {found} characters, but one sequence of {length} needs {}",
        path.display(), length.saturating_add(1)
    )]
    TooShort {
        /// The file.
        path: PathBuf,
        /// `training` (the first nine tenths) or `validation` (the last tenth).
        part: &'static str,
        /// The number of its characters.
        found: usize,
        /// The number of characters per sequence.
        length: usize,
    },
    /// The sequence length is 0.
    #[error("a sequence has {given} characters; at least 1 is needed")]
    Length {
        /// The given length.
        given: usize,
    },
}
