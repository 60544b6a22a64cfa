//! WAV files to one channel of samples.
//!
//! The samples are decoded by Symphonia. The chunks around them are read here ([`container`]), because Symphonia's
//! reader takes a padding byte after odd `LIST` chunks twice, refuses `fact` chunks of other than four bytes, 20-bit
//! samples and the lengths that streams leave behind, misreads 24 bits in 32 without an extensible header, and
//! panics on damaged counts of channels.

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

/// Bytes decoded at once: what they become stays in the cache.
const PIECE: usize = 1 << 16;

/// One channel of sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// Samples; those of integer formats are scaled to \[−1, 1).
    pub samples: Vec<f32>,
}

/// Reads a WAV file of integers of 1 to 32 bits or floats of 32 or 64. Several channels become their mean. RF64 and
/// BW64, the forms for more than 4 GB, are read too.
///
/// Integers that have fewer bits than are stored fill the upper ones, as the format says. Where the length of the
/// samples was never written (0, 0xFFFFFFFF, or what SoX and arecord put there), they go on to the end of the file,
/// but for a frame that isn't whole. Chunks beside `fmt ` and `data` are passed over.
///
/// Memory use is bounded by what the file holds, whatever its header claims.
///
/// # Errors
/// [`DataError`] with the file's name when it is unreadable, of another format, truncated or empty, claims a rate
/// outside 1,000 to 384,000 samples a second, or holds a sample that isn't finite.
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

/// The mean over each frame's channels.
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
        // f64 because it holds integers of 32 bits exactly, and their mean too.
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
