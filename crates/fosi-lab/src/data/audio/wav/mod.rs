//! Reads WAV files into one channel of samples.
//!
//! Symphonia decodes the samples. The chunks around them are read here ([`container`]), because Symphonia's reader
//! skips the padding byte after odd `LIST` chunks twice, refuses `fact` chunks of other than four bytes, 20-bit samples
//! and the lengths that streams leave behind, misreads 24 bits in 32 without an extensible header, and panics on
//! damaged channel counts.

mod container;
mod error;

use std::path::Path;

use symphonia_codec_pcm::PcmDecoder;
use symphonia_core::audio::Channels;
use symphonia_core::codecs::audio::well_known::{
    CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64LE, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24LE,
    CODEC_ID_PCM_S32LE, CODEC_ID_PCM_U8,
};
use symphonia_core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
};
use symphonia_core::errors::Error;
use symphonia_core::packet::PacketRef;
use symphonia_core::units::{Duration, Timestamp};

use super::error::{HIGHEST_RATE, LOWEST_RATE};
use super::{AudioError, DataError};
use crate::data::file::read_file;
use container::{Container, Encoding, Format};

pub use error::WavError;

/// Bytes decoded at once, so that the result stays in the cache.
const PIECE: usize = 1 << 16;

/// One channel of sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Samples per second.
    pub rate: u32,
    /// Samples; integers are scaled to \[−1, 1).
    pub samples: Vec<f32>,
}

/// Reads a WAV file of 1- to 32-bit integers or 32- or 64-bit floats, and averages the channels. RF64 and BW64, the
/// formats for more than 4 GB, are supported.
///
/// Integers with fewer bits than stored occupy the upper bits, as the format specifies. If the length of the samples
/// was never written (0, 0xFFFFFFFF, or the values of SoX and arecord), they extend to the end of the file, without an
/// incomplete frame. Chunks other than `fmt ` and `data` are ignored.
///
/// Memory use is bounded by the file's size, whatever its header states.
///
/// # Errors
/// [`DataError`] with the file's name if it is unreadable, of another format, truncated or empty, states a rate outside
/// 1,000 to 384,000 samples per second, or contains a non-finite sample.
pub fn read_wav(path: &Path) -> Result<Sound, DataError> {
    let bytes = read_file(path)?;
    let damaged = |source| AudioError::Damaged {
        path: path.to_owned(),
        source,
    };
    let Container { format, data } = Container::read(&bytes).map_err(damaged)?;
    let rate = format.rate;
    if !(LOWEST_RATE..=HIGHEST_RATE).contains(&rate) {
        let path = path.to_owned();
        return Err(AudioError::Rate { path, found: rate }.into());
    }
    if data.is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
            what: "samples",
        });
    }
    let samples = decode(format, data)
        .map_err(|error| WavError::Decoder(error.to_string()))
        .map_err(damaged)?;
    match samples.iter().position(|sample| !sample.is_finite()) {
        None => Ok(Sound { rate, samples }),
        Some(index) => Err(AudioError::NotFinite {
            path: path.to_owned(),
            index,
        }
        .into()),
    }
}

/// The mean over the channels of each frame.
fn decode(format: Format, data: &[u8]) -> Result<Vec<f32>, Error> {
    let (channels, frame) = (format.channels, format.frame_bytes());
    let mut parameters = AudioCodecParameters::new();
    parameters
        .for_codec(codec(format))
        .with_sample_rate(format.rate)
        .with_channels(Channels::Discrete(channels));
    let mut decoder = PcmDecoder::try_new(&parameters, &AudioDecoderOptions::default())?;
    let mut frames = Vec::with_capacity(data.len() / frame);
    let mut samples: Vec<f64> = Vec::new();
    for piece in data.chunks((PIECE / frame).max(1) * frame) {
        let packet = PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, piece);
        // Uses f64, which represents 32-bit integers and their mean exactly.
        decoder
            .decode_ref(&packet)?
            .copy_to_vec_interleaved(&mut samples);
        let mean = |frame: &[f64]| (frame.iter().sum::<f64>() / f64::from(channels)) as f32;
        frames.extend(samples.chunks_exact(usize::from(channels)).map(mean));
    }
    Ok(frames)
}

fn codec(format: Format) -> AudioCodecId {
    match (format.encoding, format.sample_bytes) {
        (Encoding::Float, 4) => CODEC_ID_PCM_F32LE,
        (Encoding::Float, _) => CODEC_ID_PCM_F64LE,
        (Encoding::Integer, 1) => CODEC_ID_PCM_U8,
        (Encoding::Integer, 2) => CODEC_ID_PCM_S16LE,
        (Encoding::Integer, 3) => CODEC_ID_PCM_S24LE,
        (Encoding::Integer, _) => CODEC_ID_PCM_S32LE,
    }
}
