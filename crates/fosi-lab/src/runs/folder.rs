//! Creates, writes and reads a run's folder.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::SystemTime;

use super::record::now;
use super::{MetricsRow, RunError, RunLock, RunRecord, RunStatus};
use crate::config::TrainConfig;
use crate::files;
use crate::optimizers::OptimizerName;

const METRICS: &str = "metrics.csv";
const RECORD: &str = "run.json";

/// The folder of a run in progress.
#[derive(Debug)]
pub struct RunFolder {
    lock: RunLock,
    metrics: csv::Writer<File>,
}

impl RunFolder {
    /// Refuses a name that exists and a folder that is invalid or not writable, before the work that precedes
    /// [`create`](Self::create).
    ///
    /// # Errors
    /// [`RunError::Exists`], [`RunError::NotAFolder`], [`RunError::BrokenLink`], [`RunError::Write`].
    pub fn check_free(out: &Path, name: &str) -> Result<(), RunError> {
        check_writable(out)?;
        let path = out.join(name);
        match path.symlink_metadata() {
            Ok(_) => Err(RunError::Exists { path }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(source) => Err(write_error(&path, source)),
        }
    }

    /// Creates the locked folder `out/name` with an empty `metrics.csv`; creates `out` if it is missing.
    ///
    /// # Errors
    /// [`RunError::Exists`] if the folder exists, [`RunError::Write`] if it cannot be written; [`RunError::Lock`].
    pub fn create(out: &Path, name: &str) -> Result<Self, RunError> {
        make_folder(out)?;
        let path = out.join(name);
        fs::create_dir(&path).map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => RunError::Exists { path: path.clone() },
            _ => write_error(&path, source),
        })?;
        sync_folder(out)?;
        let lock = RunLock::take(&path)?;

        let file = path.join(METRICS);
        let opened = File::create_new(&file).map_err(|source| write_error(&file, source))?;
        let mut writer = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(opened);
        writer
            .write_record(MetricsRow::COLUMNS)
            .and_then(|()| Ok(writer.flush()?))
            .map_err(|error| write_error(&file, error.into()))?;
        Ok(Self {
            lock,
            metrics: writer,
        })
    }

    /// Like [`create`](Self::create), under the first unused name of `name`, `name-2`, `name-3`, …: runs that start in
    /// the same second have the same default name.
    ///
    /// # Errors
    /// Those of [`create`](Self::create) except [`RunError::Exists`].
    pub fn create_numbered(out: &Path, name: &str) -> Result<Self, RunError> {
        let mut number = 1;
        loop {
            let numbered = match number {
                1 => name.to_owned(),
                _ => format!("{name}-{number}"),
            };
            match Self::create(out, &numbered) {
                Err(RunError::Exists { .. }) => number += 1,
                other => return other,
            }
        }
    }

    /// Reopens the locked folder of a run that was cut off, and keeps the first `rows` rows of its `metrics.csv`.
    ///
    /// # Errors
    /// [`RunError`] with the file's name if a file is missing, damaged or not writable, or has fewer rows.
    pub fn reopen(lock: RunLock, rows: usize) -> Result<(Self, Run), RunError> {
        let path = lock.folder();
        let record = read_record(&path.join(RECORD))?;
        let file = path.join(METRICS);
        let text = files::read_text(&file).map_err(|source| read_error(&file, source))?;
        // Drops incomplete rows before parsing: the run may have been cut off while writing one.
        let lines = text.split_inclusive('\n');
        let rows_only = lines.filter(|line| !line.trim().is_empty());
        let kept: String = rows_only.take(rows + 1).collect();
        let found = MetricsRow::read_all(kept.as_bytes(), &file)?;
        if found.len() < rows || !kept.ends_with('\n') {
            return Err(RunError::Metrics {
                path: file,
                line: found.len() as u64 + 1,
                reason: format!(
                    "it has {} rows, but the checkpoint was made after {rows}",
                    found.len()
                ),
            });
        }
        replace_file(&file, kept.as_bytes())?;
        let opened = File::options().append(true).open(&file);
        let opened = opened.map_err(|source| write_error(&file, source))?;
        let folder = Self {
            lock,
            metrics: csv::WriterBuilder::new()
                .has_headers(false)
                .from_writer(opened),
        };
        Ok((
            folder,
            Run {
                record,
                rows: found,
            },
        ))
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        self.lock.folder()
    }

    /// Appends a row to `metrics.csv` and flushes it to the operating system, so that it survives a killed process.
    ///
    /// # Errors
    /// [`RunError::Write`].
    pub fn append(&mut self, row: &MetricsRow) -> Result<(), RunError> {
        self.metrics
            .serialize(row)
            .and_then(|()| Ok(self.metrics.flush()?))
            .map_err(|error| write_error(&self.path().join(METRICS), error.into()))
    }

    /// Syncs `metrics.csv` to the disk; a checkpoint requires that the rows before it are on disk.
    ///
    /// # Errors
    /// [`RunError::Write`].
    pub fn sync(&self) -> Result<(), RunError> {
        let synced = self.metrics.get_ref().sync_data();
        synced.map_err(|source| write_error(&self.path().join(METRICS), source))
    }

    /// Syncs the rows of `metrics.csv`, then replaces `run.json`.
    ///
    /// # Errors
    /// [`RunError::Write`]; the old file remains unchanged.
    pub fn write_record(&self, record: &RunRecord) -> Result<(), RunError> {
        self.sync()?;
        let mut json = serde_json::to_vec_pretty(record)
            .map_err(|error| write_error(&self.path().join(RECORD), error.into()))?;
        json.push(b'\n');
        self.write_file(RECORD, &json)
    }

    /// Atomically replaces the file `name`: writes a temporary file, syncs and renames it.
    ///
    /// # Errors
    /// [`RunError::Write`]; the old file remains unchanged.
    pub fn write_file(&self, name: &str, content: &[u8]) -> Result<(), RunError> {
        replace_file(&self.path().join(name), content)
    }
}

/// Creates a folder and its missing parents durably, so that they survive a crash.
///
/// # Errors
/// [`RunError::Write`].
fn make_folder(path: &Path) -> Result<(), RunError> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|part| !part.as_os_str().is_empty() && !part.is_dir())
        .collect();
    fs::create_dir_all(path).map_err(|source| write_error(path, source))?;
    for made in missing {
        sync_folder(made.parent().unwrap_or(made))?;
    }
    Ok(())
}

fn sync_folder(path: &Path) -> Result<(), RunError> {
    let folder = match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    };
    files::sync_folder(folder).map_err(|source| write_error(folder, source))
}

/// Refuses a path that is a file or a broken link, or that leads through one.
///
/// # Errors
/// [`RunError::NotAFolder`], [`RunError::BrokenLink`].
fn check_folder(path: &Path) -> Result<(), RunError> {
    let there = |part: &&Path| part.symlink_metadata().is_ok();
    match path.ancestors().find(there) {
        Some(part) if part.is_dir() => Ok(()),
        Some(link) if link.is_symlink() && !link.exists() => Err(RunError::BrokenLink {
            path: link.to_owned(),
        }),
        Some(file) => Err(RunError::NotAFolder {
            path: file.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Refuses a folder that cannot be written: a file, a protected folder, or a folder on a full disk. Creates no missing
/// folders.
///
/// # Errors
/// [`RunError::NotAFolder`], [`RunError::BrokenLink`], [`RunError::Write`].
pub(crate) fn check_writable(path: &Path) -> Result<(), RunError> {
    check_folder(path)?;
    let existing = path.ancestors().find(|part| part.is_dir());
    // The last ancestor of a relative path is empty and denotes the working directory.
    let existing = existing.unwrap_or(Path::new("."));
    let probe = || {
        let mut file = tempfile::NamedTempFile::new_in(existing)?;
        file.write_all(&[0; PROBE])?;
        file.as_file().sync_all()
    };
    probe().map_err(|source| write_error(path, source))
}

/// Bytes that the disk must have free before a run starts: an epoch's files of the smallest run.
const PROBE: usize = 1 << 12;

/// Atomically replaces a file; see [`fosi::checkpoint::replace`].
///
/// # Errors
/// [`RunError::Write`]; the old file remains unchanged.
pub(crate) fn replace_file(target: &Path, content: &[u8]) -> Result<(), RunError> {
    fosi::checkpoint::replace(target, content).map_err(|source| write_error(target, source))
}

fn write_error(path: &Path, source: std::io::Error) -> RunError {
    RunError::Write {
        path: path.to_owned(),
        source,
    }
}

/// The safetensors file in a run's folder with an optimizer's final parameters and buffers.
pub fn weights_file(optimizer: OptimizerName, seed: u64) -> String {
    format!("weights-{optimizer}-{seed}.safetensors")
}

/// A run, as stored in its folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The content of `run.json`.
    pub record: RunRecord,
    /// The content of `metrics.csv`.
    pub rows: Vec<MetricsRow>,
}

/// Identifies the state of a run's files; see [`Run::stamp`].
#[derive(Clone, Debug, PartialEq)]
pub struct RunStamp {
    files: [Option<(SystemTime, u64)>; 2],
    held: bool,
}

impl Run {
    /// Reads a run's folder. A run without a recorded end that no process is training is [`CutOff`](RunStatus::CutOff).
    ///
    /// # Errors
    /// [`RunError`] with the file's name if a file is missing, damaged or of another version.
    pub fn read(folder: &Path) -> Result<Self, RunError> {
        // The lock is checked before the record is read, so that a run that ends in between is read as finished.
        let held = RunLock::is_held(folder);
        let mut record = read_record(&folder.join(RECORD))?;
        if record.status == RunStatus::Running && !held {
            record.status = RunStatus::CutOff;
        }
        let path = folder.join(METRICS);
        let file = files::open(&path).map_err(|source| read_error(&path, source))?;
        let rows = MetricsRow::read_all(file, &path)?;
        Ok(Self { record, rows })
    }

    /// Reads only a run's `run.json`.
    ///
    /// # Errors
    /// [`RunError`] with the file's name if it is missing, damaged or of another version.
    pub fn read_record(folder: &Path) -> Result<RunRecord, RunError> {
        read_record(&folder.join(RECORD))
    }

    /// The modification times and lengths of a run's two files (`None` for a missing file), and whether a process is
    /// training it. Equal stamps mean an unchanged run.
    pub fn stamp(folder: &Path) -> RunStamp {
        let files = [RECORD, METRICS].map(|name| {
            let metadata = folder.join(name).metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        });
        RunStamp {
            files,
            held: RunLock::is_held(folder),
        }
    }

    /// A run's default name: task, data set and UTC time.
    pub fn default_name(config: &TrainConfig) -> String {
        let time = now().replace(['-', ':', 'Z'], "").replace('T', "-");
        format!("{}-{}-{time}", config.task, config.data)
    }
}

fn read_record(path: &Path) -> Result<RunRecord, RunError> {
    let text = files::read_text(path).map_err(|source| read_error(path, source))?;
    let damaged = |error: serde_json::Error| RunError::Record {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let value: serde_json::Value = serde_json::from_str(&text).map_err(damaged)?;
    if let Some(found) = value.get("format").and_then(serde_json::Value::as_u64)
        && found != RunRecord::FORMAT
    {
        return Err(RunError::Format {
            path: path.to_owned(),
            found,
            known: RunRecord::FORMAT,
        });
    }
    serde_json::from_str(&text).map_err(damaged)
}

fn read_error(path: &Path, source: std::io::Error) -> RunError {
    RunError::Read {
        path: path.to_owned(),
        source,
    }
}
