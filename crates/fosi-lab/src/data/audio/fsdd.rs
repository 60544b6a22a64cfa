//! The Free Spoken Digit Dataset (Jackson and others, CC BY-SA 4.0): recordings whose names state their content.

use std::fs;
use std::path::{Path, PathBuf};

use super::{AudioError, AudioSplit, Clip, ClipLength, Clips, DataError};

/// The number of indices for validation, per digit and speaker.
const HELD_OUT: u32 = 5;
const DIGITS: u8 = 10;

/// A recording of a spoken digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recording {
    /// The digit, 0 to 9.
    pub digit: u8,
    /// The speaker.
    pub speaker: String,
    /// The number among this speaker's recordings of this digit, from 0.
    pub index: u32,
    /// The file.
    pub path: PathBuf,
}

/// The spoken digits in `directory`, its `recordings` or its `fsdd/recordings`.
///
/// By the data set's convention, recordings with index 0 to 4 are for validation, the others for training. Each gives
/// one patch: shorter recordings are padded with zeros, longer ones are cut. Only the names are read, without decoding.
///
/// [`DataError`] if there is no recording, if all belong to one part, or with the name of a WAV file that is not named
/// `{digit}_{speaker}_{index}.wav`.
/// called `{digit}_{speaker}_{index}.wav`.
pub fn fsdd(directory: &Path) -> Result<AudioSplit, DataError> {
    let recordings = fsdd_recordings(directory)?;
    let folder = recordings.first().and_then(|first| first.path.parent());
    let folder = folder.unwrap_or(directory).to_owned();
    let (held_out, rest): (Vec<Recording>, Vec<Recording>) =
        recordings.into_iter().partition(|r| r.index < HELD_OUT);
    let part = |recordings: Vec<Recording>, purpose| {
        if recordings.is_empty() {
            let directory = folder.clone();
            return Err(AudioError::EmptyPart { directory, purpose });
        }
        let clip = |recording: Recording| Clip {
            path: recording.path,
            labels: vec![u16::from(recording.digit)],
        };
        Ok(Clips {
            clips: recordings.into_iter().map(clip).collect(),
            class_names: (0..DIGITS).map(|digit| digit.to_string()).collect(),
            length: ClipLength::OnePatch,
        })
    };
    Ok(AudioSplit {
        train: part(rest, "train")?,
        validation: part(held_out, "validate")?,
        skipped: Vec::new(),
    })
}

/// The recordings of [`fsdd`], sorted by digit, speaker and index. Hidden files and files other than `.wav` are
/// ignored.
///
/// # Errors
/// Those of [`fsdd`].
pub fn fsdd_recordings(directory: &Path) -> Result<Vec<Recording>, DataError> {
    let folders = [
        directory.to_owned(),
        directory.join("recordings"),
        directory.join("fsdd").join("recordings"),
    ];
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let files = wav_files(folder)?;
        // In a folder of other WAV files, the names are not errors.
        if files.iter().all(|path| parse(path).is_none()) {
            continue;
        }
        let recordings = files.iter().map(|path| {
            parse(path).ok_or_else(|| AudioError::RecordingName { path: path.clone() })
        });
        let mut recordings = recordings.collect::<Result<Vec<_>, _>>()?;
        recordings.sort();
        return Ok(recordings);
    }
    Err(AudioError::NoRecordings {
        looked_in: folders.to_vec(),
    }
    .into())
}

fn wav_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let read_error = |source| DataError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(read_error)? {
        let path = entry.map_err(read_error)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let is_wav = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("wav"));
        if is_wav && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Parses the name `{digit}_{speaker}_{index}.wav`.
fn parse(path: &Path) -> Option<Recording> {
    // A speaker's name need not be UTF-8; the path keeps it.
    let stem = path.file_stem()?.to_string_lossy();
    let (digit, rest) = stem.split_once('_')?;
    let (speaker, index) = rest.rsplit_once('_')?;
    let index = index.parse().ok()?;
    let &[digit @ b'0'..=b'9'] = digit.as_bytes() else {
        return None;
    };
    (!speaker.is_empty()).then(|| Recording {
        digit: digit - b'0',
        speaker: speaker.to_owned(),
        index,
        path: path.to_owned(),
    })
}
