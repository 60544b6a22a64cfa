//! Plain text as a sequence of characters: each one predicts the next.

use std::path::{Path, PathBuf};

use super::TextError;
use crate::data::DataError;
use crate::data::file::{first_file, read_file};
use crate::files::BYTE_ORDER_MARK;

/// Characters of a vocabulary: the ASCII codes 0 to 127.
pub const CHARACTERS: usize = 128;
/// What takes the place of a character that isn't ASCII, where asked for.
const REPLACEMENT: u8 = b'?';
/// Of ten characters, how many train.
const TRAIN_TENTHS: usize = 9;

/// What to do with characters that aren't ASCII.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonAscii {
    /// The first one is an error.
    #[default]
    Refuse,
    /// Each becomes a question mark (as does each byte that is no UTF-8), and they are counted.
    Replace,
}

/// Sequences of equal length, cut one after another from a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequences {
    codes: Vec<u8>,
    length: usize,
}

/// A few sequences, each character with the one that follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceBatch {
    /// size×length ASCII codes.
    pub inputs: Vec<u8>,
    /// size×length ASCII codes: for each input the character after it.
    pub targets: Vec<u8>,
    /// Characters of a sequence.
    pub length: usize,
}

/// A text in two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSplit {
    /// The first nine tenths.
    pub train: Sequences,
    /// The last tenth.
    pub validation: Sequences,
    /// Characters replaced; 0 unless [`NonAscii::Replace`] was asked for.
    pub replaced: usize,
}

impl Sequences {
    /// Number of sequences: with c characters and length L, ⌊(c − 1)/L⌋. Sequence i reads the characters iL to
    /// iL + L − 1 and predicts iL + 1 to iL + L; what is left at the end is dropped.
    pub fn len(&self) -> usize {
        self.codes.len().saturating_sub(1) / self.length
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Characters of a sequence, L.
    pub fn sequence_length(&self) -> usize {
        self.length
    }

    /// The characters from which the sequences are cut.
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// The sequences `indices`, in that order.
    ///
    /// # Panics
    /// When an index is not below [`len`](Self::len).
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

/// The sequences of `length` characters of a text: a file, or `input.txt` in a folder or in its `tinyshakespeare`.
/// The first nine tenths of the characters train, the rest validates.
///
/// # Errors
/// [`DataError`] with the file's name when it is missing, holds a byte that isn't ASCII (unless these are to be
/// replaced), or when one of the parts is shorter than `length + 1`.
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

/// `place` itself where it is a file, else the `input.txt` in it.
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

/// The ASCII codes of a text file, without the byte-order mark that it may start with, and how many characters were
/// replaced.
///
/// # Errors
/// [`DataError`] with the file's name when it is unreadable or, unless they are to be replaced, holds other bytes.
pub fn read_text(path: &Path, non_ascii: NonAscii) -> Result<(Vec<u8>, usize), DataError> {
    let mut bytes = read_file(path)?;
    // A byte-order mark says how the text is stored and is no part of it.
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
