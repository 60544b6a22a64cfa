//! Resampling of sound.

use std::error::Error;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

use super::{AudioError, Sound};

/// The minimum number of frames per block of the resampler, which is also the length of its filter.
const CHUNK: usize = 1024;

/// `sound` at `rate` samples per second: ⌈n·rate/rate₀⌉ samples of the band-limited signal, aligned in time.
///
/// Frequencies above half the lower rate are removed (the filter starts slightly below).
///
/// # Errors
/// [`AudioError::Resample`] if one of the rates is 0.
pub fn resample(sound: &Sound, rate: u32) -> Result<Sound, AudioError> {
    if sound.rate == rate || sound.samples.is_empty() {
        let samples = sound.samples.clone();
        return Ok(Sound { rate, samples });
    }
    let samples = convert(&sound.samples, sound.rate as usize, rate as usize);
    match samples {
        Ok(samples) => Ok(Sound { rate, samples }),
        Err(source) => Err(AudioError::Resample {
            from: sound.rate,
            to: rate,
            source,
        }),
    }
}

fn convert(
    samples: &[f32],
    from: usize,
    to: usize,
) -> Result<Vec<f32>, Box<dyn Error + Send + Sync>> {
    // The resampler's blocks are multiples of the smallest blocks whose lengths have the ratio of the rates. An odd
    // multiple can have an odd length, whose filter is centred between samples and delays the sound by half a sample.
    let smallest = (from / gcd(from, to).max(1)).max(1);
    let block = CHUNK.div_ceil(smallest).next_multiple_of(2) * smallest;
    let mut resampler = Fft::<f32>::new(from, to, block, 1, FixedSync::Both)?;
    let input = InterleavedSlice::new(samples, 1, samples.len())?;
    let output = resampler.process_all(&input, samples.len(), None)?;
    Ok(output.take_data())
}

fn gcd(a: usize, b: usize) -> usize {
    match b {
        0 => a,
        b => gcd(b, a % b),
    }
}
