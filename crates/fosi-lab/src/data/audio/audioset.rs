//! AudioSet (Gemmeke et al. 2017) and data sets with its layout: WAV files, a list of classes, lists of clips.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::table::{columns, line_error, rows};
use super::{AudioError, AudioSplit, Clip, ClipLength, Clips, Damaged, DataError};
use crate::data::file::{first_file, read_text_file};

const CLASS_LIST: &str = "class_labels_indices.csv";
const TRAIN_LISTS: [&str; 3] = [
    "train.csv",
    "balanced_train_segments.csv",
    "unbalanced_train_segments.csv",
];
const VALIDATION_LISTS: [&str; 3] = ["validation.csv", "eval.csv", "eval_segments.csv"];
const ONLY_LIST: &str = "labels.csv";
/// In a single list, every tenth clip is for validation.
const HELD_OUT: usize = 10;
/// Labels have 16 bits.
const MOST_CLASSES: usize = 1 << 16;

/// The classes of AudioSet's `class_labels_indices.csv`, with columns `index`, `mid` and `display_name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassList {
    /// Display names, in the order of the indices.
    pub names: Vec<String>,
    /// Machine identifiers (such as `/m/09x0r`), with which clips name their classes.
    labels: HashMap<String, u16>,
}

impl ClassList {
    /// Reads the list. Indices count from 0 without a gap; mids are unique.
    ///
    /// # Errors
    /// [`DataError`] with the file's name and line.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let text = read_text_file(path)?;
        let rows = columns(path, &text, ["index", "mid", "display_name"], |found| {
            format!("the columns are `{found}`, but they must be `index,mid,display_name`")
        })?;
        let (mut names, mut labels) = (Vec::new(), HashMap::new());
        for (line, [index, mid, name]) in rows {
            let count = names.len();
            if index != count.to_string() || count == MOST_CLASSES {
                let reason = format!("the index is `{index}` instead of {count}");
                return Err(line_error(path, line, reason));
            }
            if labels.insert(mid.clone(), count as u16).is_some() {
                let reason = format!("the mid `{mid}` occurs twice");
                return Err(line_error(path, line, reason));
            }
            names.push(name);
        }
        if names.is_empty() {
            let path = path.to_owned();
            return Err(DataError::Empty {
                path,
                what: "classes",
            });
        }
        Ok(Self { names, labels })
    }
}

/// The lists of a folder with AudioSet's layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioSetFiles {
    /// The folder of the lists.
    pub directory: PathBuf,
    train: PathBuf,
    /// `None` if every tenth clip of the only list is for validation.
    validation: Option<PathBuf>,
}

impl AudioSetFiles {
    /// Finds the lists in `directory` or `directory/audioset`, whichever contains `class_labels_indices.csv`.
    ///
    /// The training clips are listed in the first existing file of `train.csv`, `balanced_train_segments.csv` and
    /// `unbalanced_train_segments.csv`, the validation clips in `validation.csv`, `eval.csv` or `eval_segments.csv`.
    /// Alternatively, `labels.csv` lists all clips, and its clips 10, 20, … are for validation.
    ///
    /// # Errors
    /// [`AudioError::MissingList`].
    pub fn find(directory: &Path) -> Result<Self, DataError> {
        let folders = [directory.to_owned(), directory.join("audioset")];
        let missing = |names: &[&str], looked_in: &[PathBuf]| AudioError::MissingList {
            name: names.join(" or "),
            looked_in: looked_in.to_vec(),
        };
        let classes = first_file(folders.iter().map(|folder| folder.join(CLASS_LIST)))?;
        let folder = folders
            .iter()
            .find(|folder| classes.as_deref().and_then(Path::parent) == Some(folder.as_path()));
        let folder = folder.ok_or_else(|| missing(&[CLASS_LIST], &folders))?;
        let first = |names: &[&str]| first_file(names.iter().map(|name| folder.join(name)));
        let here = std::slice::from_ref(folder);
        let (train, validation) = match (first(&TRAIN_LISTS)?, first(&[ONLY_LIST])?) {
            (Some(train), _) => {
                let list = first(&VALIDATION_LISTS)?;
                (
                    train,
                    Some(list.ok_or_else(|| missing(&VALIDATION_LISTS, here))?),
                )
            }
            (None, Some(only)) => (only, None),
            (None, None) => {
                let names = [&[ONLY_LIST], &TRAIN_LISTS[..]].concat();
                return Err(missing(&names, here).into());
            }
        };
        Ok(Self {
            directory: folder.clone(),
            train,
            validation,
        })
    }

    /// Reads the lists and finds their WAV files, without decoding them.
    ///
    /// A list is either the publishers' (lines `YTID, start, end, "mid,mid,…"` after comments that start with `#`) or a
    /// CSV with the columns `file` and `labels` (mids, separated by commas inside quotes). The files of `NAME.csv` are
    /// in `NAME/`, `wav/`, `audio/` or next to the list. A segment's file is named `YTID.wav`, `YTID_START.wav` or
    /// `YTID_START_END.wav`, with times as in the list or in milliseconds, optionally with a leading `Y`.
    ///
    /// # Errors
    /// [`DataError`] with the list's name and line for unknown classes, malformed lines and, unless `damaged` says to
    /// skip them, clips without a file.
    pub fn read(&self, damaged: Damaged) -> Result<AudioSplit, DataError> {
        let classes = ClassList::read(&self.directory.join(CLASS_LIST))?;
        let mut skipped = Vec::new();
        let mut read = |path: &Path| self.clips(path, &classes, damaged, &mut skipped);
        let (train, validation) = match &self.validation {
            Some(validation) => (read(&self.train)?, read(validation)?),
            None => {
                let all = read(&self.train)?.into_iter().enumerate();
                let (held_out, rest): (Vec<_>, Vec<_>) =
                    all.partition(|(index, _)| index % HELD_OUT == HELD_OUT - 1);
                let clips = |part: Vec<(usize, Clip)>| part.into_iter().map(|(_, c)| c).collect();
                (clips(rest), clips(held_out))
            }
        };
        let part = |clips: Vec<Clip>, path: &Path, what| {
            if clips.is_empty() {
                let path = path.to_owned();
                return Err(DataError::Empty { path, what });
            }
            Ok(Clips {
                clips,
                class_names: classes.names.clone(),
                length: ClipLength::Whole,
            })
        };
        let validation_list = self.validation.as_ref().unwrap_or(&self.train);
        Ok(AudioSplit {
            train: part(train, &self.train, "clips to train")?,
            validation: part(validation, validation_list, "clips to validate")?,
            skipped,
        })
    }

    fn clips(
        &self,
        list: &Path,
        classes: &ClassList,
        damaged: Damaged,
        skipped: &mut Vec<DataError>,
    ) -> Result<Vec<Clip>, DataError> {
        let folders = self.wav_folders(list);
        let mut clips = Vec::new();
        for row in read_rows(list)? {
            let labels = row.labels(list, classes)?;
            let paths = folders
                .iter()
                .flat_map(|folder| row.files.iter().map(|file| folder.join(file)));
            match (first_file(paths)?, damaged) {
                (Some(path), _) => clips.push(Clip { path, labels }),
                (None, damaged) => {
                    let error = AudioError::NoClip {
                        path: list.to_owned(),
                        line: row.line,
                        clip: row.clip,
                        looked_in: folders.to_vec(),
                    };
                    match damaged {
                        Damaged::Refuse => return Err(error.into()),
                        Damaged::Skip => skipped.push(error.into()),
                    }
                }
            }
        }
        Ok(clips)
    }

    fn wav_folders(&self, list: &Path) -> Vec<PathBuf> {
        let stem = list.file_stem().unwrap_or_default();
        let folders = [Path::new(stem), Path::new("wav"), Path::new("audio")];
        folders
            .iter()
            .map(|folder| self.directory.join(folder))
            .filter(|folder| folder.is_dir())
            .chain([self.directory.clone()])
            .collect()
    }
}

/// A clip in a list.
struct Row {
    line: u64,
    clip: String,
    /// The possible names of its file.
    files: Vec<String>,
    mids: Vec<String>,
}

impl Row {
    fn labels(&self, list: &Path, classes: &ClassList) -> Result<Vec<u16>, DataError> {
        let mut labels = Vec::with_capacity(self.mids.len());
        for mid in &self.mids {
            let label = classes.labels.get(mid);
            labels.push(*label.ok_or_else(|| AudioError::UnknownLabel {
                path: list.to_owned(),
                line: self.line,
                label: mid.clone(),
            })?);
        }
        labels.sort_unstable();
        labels.dedup();
        Ok(labels)
    }
}

fn read_rows(list: &Path) -> Result<Vec<Row>, DataError> {
    let text = read_text_file(list)?;
    // Spreadsheets quote comments that contain commas.
    let first = text.trim_start().trim_start_matches('"');
    let rows = match first.starts_with('#') {
        true => segments(list, &text)?,
        false => files_and_labels(list, &text)?,
    };
    if rows.is_empty() {
        let path = list.to_owned();
        return Err(DataError::Empty {
            path,
            what: "clips",
        });
    }
    Ok(rows)
}

/// Rows `YTID, start, end, "mid,mid,…"`. The publishers put a space before the quote, so a CSV reader treats it as a
/// letter and every mid as a field; a program that rewrote the list may have quoted every field.
fn segments(list: &Path, text: &str) -> Result<Vec<Row>, DataError> {
    let mut segments = Vec::new();
    for row in rows(list, text, Some(b'#'))? {
        let fields: Vec<&str> = row.fields.iter().collect();
        if fields[0].starts_with('#') {
            continue;
        }
        let segment = match fields[..] {
            [id, start, end, ref mids @ ..] if !mids.is_empty() => start
                .parse()
                .ok()
                .zip(end.parse().ok())
                .map(|seconds| (id, (start, end), seconds, mids)),
            _ => None,
        };
        let Some((id, times, seconds, mids)) = segment else {
            let found = fields.join(",");
            let reason = format!("found `{found}`, expected `YTID, start, end, \"mid,mid\"`");
            return Err(line_error(list, row.line, reason));
        };
        segments.push(Row {
            line: row.line,
            clip: id.to_owned(),
            files: segment_files(id, times, seconds),
            mids: split_mids(&mids.join(",")),
        });
    }
    Ok(segments)
}

fn segment_files(id: &str, (start, end): (&str, &str), (from, to): (f64, f64)) -> Vec<String> {
    let [from, to] = [from, to].map(|seconds| (1000.0 * seconds).round());
    let names = [
        format!("{id}.wav"),
        format!("{id}_{start}.wav"),
        format!("{id}_{from}.wav"),
        format!("{id}_{start}_{end}.wav"),
        format!("{id}_{from}_{to}.wav"),
    ];
    let prefixed: Vec<String> = names.iter().map(|name| format!("Y{name}")).collect();
    names.into_iter().chain(prefixed).collect()
}

/// Rows with the columns `file` and `labels`.
fn files_and_labels(list: &Path, text: &str) -> Result<Vec<Row>, DataError> {
    let rows = columns(list, text, ["file", "labels"], |found| {
        format!(
            "starts with `{found}`; it must start with the columns `file,labels`, or with a comment (#) \
             as the publishers' lists of segments do"
        )
    })?;
    let row = |(line, [file, labels]): (u64, [String; 2])| Row {
        line,
        clip: file.clone(),
        files: vec![file],
        mids: split_mids(&labels),
    };
    Ok(rows.into_iter().map(row).collect())
}

fn split_mids(text: &str) -> Vec<String> {
    let around = |letter: char| letter == '"' || letter.is_whitespace();
    let mids = text.split(',').map(|mid| mid.trim_matches(around));
    mids.filter(|mid| !mid.is_empty())
        .map(str::to_owned)
        .collect()
}
