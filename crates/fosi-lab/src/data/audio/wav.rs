//! WAV files to one channel of samples.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use hound::{SampleFormat, WavReader};

use super::{AudioError, DataError};

/// Lowest rate accepted, in samples a second.
pub(super) const LOWEST_RATE: u32 = 1_000;
/// Highest rate accepted, in samples a second.
pub(super) const HIGHEST_RATE: u32 = 384_000;

/// One channel of sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// Samples; those of integer formats are scaled to \[−1, 1).
    pub samples: Vec<f32>,
}

/// Reads a WAV file of integers (8, 16, 24 or 32 bits) or 32-bit floats. Several channels become their mean.
///
/// Memory use is bounded by what the file holds, whatever its header claims.
///
/// # Errors
/// [`DataError`] with the file's name when it is unreadable, of another format, truncated or empty, claims a rate
/// outside 1,000 to 384,000 samples a second, or holds a sample that isn't finite.
pub fn read_wav(path: &Path) -> Result<Sound, DataError> {
    let file = File::open(path).map_err(|source| DataError::Read {
        path: path.to_owned(),
        source,
    })?;
    let damaged = |source| AudioError::Damaged {
        path: path.to_owned(),
        source,
    };
    let reader = WavReader::new(BufReader::new(file)).map_err(damaged)?;
    let spec = reader.spec();
    let rate = spec.sample_rate;
    if !(LOWEST_RATE..=HIGHEST_RATE).contains(&rate) {
        let path = path.to_owned();
        return Err(AudioError::Rate { path, found: rate }.into());
    }
    let channels = usize::from(spec.channels);
    let samples = match spec.sample_format {
        SampleFormat::Float => mono(reader.into_samples::<f32>(), channels),
        SampleFormat::Int => {
            // Exact in f64 up to the 32 bits that there can be.
            let scale = 0.5f64.powi(i32::from(spec.bits_per_sample) - 1);
            let scaled = |sample: i32| (f64::from(sample) * scale) as f32;
            let samples = reader.into_samples::<i32>().map(|s| s.map(scaled));
            mono(samples, channels)
        }
    }
    .map_err(damaged)?;
    if samples.is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
            what: "samples",
        });
    }
    match samples.iter().position(|sample| !sample.is_finite()) {
        None => Ok(Sound { rate, samples }),
        Some(index) => Err(AudioError::NotFinite {
            path: path.to_owned(),
            index,
        }
        .into()),
    }
}

/// The mean over each frame's channels.
fn mono(
    samples: impl Iterator<Item = hound::Result<f32>>,
    channels: usize,
) -> hound::Result<Vec<f32>> {
    let mut frames = Vec::new();
    let (mut sum, mut seen) = (0.0, 0);
    for sample in samples {
        sum += sample?;
        seen += 1;
        if seen == channels {
            frames.push(sum / channels as f32);
            (sum, seen) = (0.0, 0);
        }
    }
    Ok(frames)
}
