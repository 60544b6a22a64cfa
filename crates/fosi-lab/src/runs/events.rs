//! TensorBoard event files: the scalars of a training run, as protocol buffers in records with checksums.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::{Message, Oneof};

use super::{MetricsRow, RefreshOutcome, RefreshRecord, RunError};
use crate::optimizers::OptimizerName;

/// The file name prefix that TensorBoard requires.
const PREFIX: &str = "events.out.tfevents";
/// The version in a file's first record.
const VERSION: &str = "brain.Event:2";

/// The event file of one optimizer with one seed, in the run's subfolder `tensorboard/OPTIMIZER-SEED`.
///
/// A resumed training run starts another file in the same folder, as TensorBoard expects.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Creates a file in a run's folder.
    ///
    /// # Errors
    /// [`RunError::Write`].
    pub fn create(run: &Path, optimizer: OptimizerName, seed: u64) -> Result<Self, RunError> {
        let folder = run.join("tensorboard").join(format!("{optimizer}-{seed}"));
        let failed = |path: &Path, source| RunError::Write {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))?;
        let mut number = 1;
        loop {
            // TensorBoard reads the files in the order of their names.
            let path = folder.join(format!("{PREFIX}.{number:04}.fosi"));
            match File::create_new(&path) {
                Ok(file) => {
                    let mut events = Self { path, file };
                    events.write(0, Content::FileVersion(VERSION.to_owned()))?;
                    return Ok(events);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(source) => return Err(failed(&path, source)),
            }
        }
    }

    /// Writes an epoch's losses, accuracy, learning rate and cost, named like the columns of `metrics.csv`.
    ///
    /// # Errors
    /// [`RunError::Write`].
    pub fn epoch(&mut self, row: &MetricsRow) -> Result<(), RunError> {
        let mut values = vec![
            Value::new("train_loss", row.train_loss),
            Value::new("valid_loss", row.valid_loss),
            Value::new("learning_rate", row.learning_rate),
            Value::new("train_seconds", row.train_seconds),
            Value::new("refresh_seconds", row.refresh_seconds),
            Value::new("gradients", row.gradients as f64),
            Value::new("products", row.products as f64),
        ];
        values.extend(
            row.valid_accuracy
                .map(|accuracy| Value::new("valid_accuracy", accuracy)),
        );
        self.write(row.step, Content::Summary(Summary { values }))
    }

    /// Writes a refresh's eigenvalues, with the largest as `eigenvalue/1`, and the scale s; nothing if it was refused.
    ///
    /// # Errors
    /// [`RunError::Write`].
    pub fn refresh(&mut self, refresh: &RefreshRecord) -> Result<(), RunError> {
        let RefreshOutcome::Accepted {
            eigenvalues, scale, ..
        } = &refresh.outcome
        else {
            return Ok(());
        };
        let eigenvalue =
            |(i, value): (usize, &f64)| Value::new(&format!("eigenvalue/{}", i + 1), *value);
        let mut values: Vec<Value> = eigenvalues.iter().enumerate().map(eigenvalue).collect();
        values.push(Value::new("scale", *scale));
        self.write(refresh.step, Content::Summary(Summary { values }))
    }

    fn write(&mut self, step: u64, content: Content) -> Result<(), RunError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let event = Event {
            wall_time: since.map_or(0.0, |since| since.as_secs_f64()),
            step: step as i64,
            content: Some(content),
        };
        let written = self.file.write_all(&record(&event.encode_to_vec()));
        written.map_err(|source| RunError::Write {
            path: self.path.clone(),
            source,
        })
    }
}

/// A record: the length and its checksum, then the bytes and theirs, in little-endian order.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [
        &length[..],
        &checksum(&length).to_le_bytes(),
        bytes,
        &checksum(bytes).to_le_bytes(),
    ]
    .concat()
}

/// CRC-32C, rotated and offset, because a CRC of data that contains CRCs would be weak.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xA282_EAD8)
}

/// The message `tensorflow.Event`, reduced to the used fields.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "Content", tags = "3, 5")]
    content: Option<Content>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Content {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
}

/// The message `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

/// The message `tensorflow.Summary.Value` with one number.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    // Zeros are written, too.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

impl Value {
    fn new(tag: &str, value: f64) -> Self {
        Self {
            tag: tag.to_owned(),
            simple_value: Some(value as f32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_format() {
        // The CRC-32C of "123456789" is E3069283 (RFC 3720), here rotated by 15 bits and offset.
        let expected = 0xE306_9283_u32.rotate_right(15).wrapping_add(0xA282_EAD8);
        assert_eq!(checksum(b"123456789"), expected);
        let framed = record(b"abc");
        assert_eq!(framed.len(), 8 + 4 + 3 + 4);
        assert_eq!(framed[..8], 3_u64.to_le_bytes());
    }

    #[test]
    fn a_resumed_training_begins_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let optimizer = "fosi-hb".parse().unwrap();
        for number in 1..=2 {
            EventFile::create(folder.path(), optimizer, 3).unwrap();
            let own = folder.path().join("tensorboard/fosi-hb-3");
            assert_eq!(fs::read_dir(own).unwrap().count(), number);
        }
    }
}
