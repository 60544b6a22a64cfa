//! Text as sequences of characters, in which each character predicts the next.

use std::path::{Path, PathBuf};

use super::TextError;
use crate::data::DataError;
use crate::data::file::{first_file, read_file};
use crate::files::BYTE_ORDER_MARK;

/// The size of the vocabulary: the ASCII codes 0 to 127.
pub const CHARACTERS: usize = 128;
/// The replacement for characters that are not ASCII, if requested.
const REPLACEMENT: u8 = b'?';
/// The number of tenths of the characters for training.
const TRAIN_TENTHS: usize = 9;

/// What to do with characters that are not ASCII.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonAscii {
    /// Report the first one as an error.
    #[default]
    Refuse,
    /// Replace each (and each byte that is not UTF-8) by a question mark, and count them.
    Replace,
}

/// Consecutive sequences of equal length from a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequences {
    codes: Vec<u8>,
    length: usize,
}

/// A few sequences, with the character that follows each character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceBatch {
    /// size×length ASCII codes.
    pub inputs: Vec<u8>,
    /// size×length ASCII codes: the character that follows each input.
    pub targets: Vec<u8>,
    /// Characters per sequence.
    pub length: usize,
}

/// A text in two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSplit {
    /// The first nine tenths.
    pub train: Sequences,
    /// The last tenth.
    pub validation: Sequences,
    /// The number of replaced characters; 0 unless [`NonAscii::Replace`] was requested.
    pub replaced: usize,
}

impl Sequences {
    /// The number of sequences: ⌊(c − 1)/L⌋ for c characters and length L. Sequence i reads the characters iL to iL + L
    /// − 1 and predicts iL + 1 to iL + L; remaining characters at the end are dropped.
    pub fn len(&self) -> usize {
        self.codes.len().saturating_sub(1) / self.length
    }

    /// Whether there are no sequences.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number L of characters per sequence.
    pub fn sequence_length(&self) -> usize {
        self.length
    }

    /// The characters of all sequences.
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// The sequences `indices`, in this order.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len).
    pub fn gather(&self, indices: &[u32]) -> SequenceBatch {
        let size = indices.len() * self.length;
        let (mut inputs, mut targets) = (Vec::with_capacity(size), Vec::with_capacity(size));
        for &index in indices {
            let start = index as usize * self.length;
            inputs.extend_from_slice(&self.codes[start..start + self.length]);
            targets.extend_from_slice(&self.codes[start + 1..start + 1 + self.length]);
        }
        SequenceBatch {
            inputs,
            targets,
            length: self.length,
        }
    }
}

/// The sequences of `length` characters in a text: a file, or `input.txt` in a folder or in its subfolder
/// `tinyshakespeare`. The first nine tenths of the characters are for training, the rest for validation.
///
/// # Errors
/// [`DataError`] with the file's name if it is missing, contains a byte that is not ASCII (unless these are replaced),
/// or if a part is shorter than `length + 1`.
pub fn text_sequences(
    place: &Path,
    length: usize,
    non_ascii: NonAscii,
) -> Result<TextSplit, DataError> {
    if length == 0 {
        return Err(TextError::Length { given: length }.into());
    }
    let path = find_text(place)?;
    let (mut codes, replaced) = read_text(&path, non_ascii)?;
    let validation = codes.split_off(codes.len() * TRAIN_TENTHS / 10);
    let cut = |codes: Vec<u8>, part| {
        let sequences = Sequences { codes, length };
        if sequences.is_empty() {
            return Err(TextError::TooShort {
                path: path.clone(),
                part,
                found: sequences.codes.len(),
                length,
            });
        }
        Ok(sequences)
    };
    Ok(TextSplit {
        train: cut(codes, "training")?,
        validation: cut(validation, "validation")?,
        replaced,
    })
}

/// `place` if it is a file, otherwise the `input.txt` in it.
///
/// # Errors
/// [`TextError::Missing`].
pub fn find_text(place: &Path) -> Result<PathBuf, DataError> {
    let looked_in = [
        place.to_owned(),
        place.join("input.txt"),
        place.join("tinyshakespeare").join("input.txt"),
    ];
    let found = first_file(looked_in.clone())?;
    found.ok_or_else(|| {
        let looked_in = looked_in.to_vec();
        TextError::Missing { looked_in }.into()
    })
}

/// The ASCII codes of a text file without a byte-order mark, and the number of replaced characters.
///
/// # Errors
/// [`DataError`] with the file's name if it is unreadable or contains other bytes, unless these are replaced.
pub fn read_text(path: &Path, non_ascii: NonAscii) -> Result<(Vec<u8>, usize), DataError> {
    let mut bytes = read_file(path)?;
    // A byte-order mark states the encoding and is not part of the text.
    let marked = match bytes.starts_with(BYTE_ORDER_MARK.as_bytes()) {
        true => bytes.drain(..BYTE_ORDER_MARK.len()).len(),
        false => 0,
    };
    let Some(offset) = bytes.iter().position(|byte| !byte.is_ascii()) else {
        return Ok((bytes, 0));
    };
    if non_ascii == NonAscii::Refuse {
        return Err(TextError::NotAscii {
            path: path.to_owned(),
            offset: marked + offset,
            line: 1 + bytes[..offset].iter().filter(|&&b| b == b'\n').count(),
            byte: bytes[offset],
        }
        .into());
    }
    let mut replaced = 0;
    let code = |character: char| {
        u8::try_from(character)
            .ok()
            .filter(u8::is_ascii)
            .unwrap_or_else(|| {
                replaced += 1;
                REPLACEMENT
            })
    };
    let codes = String::from_utf8_lossy(&bytes).chars().map(code).collect();
    Ok((codes, replaced))
}
