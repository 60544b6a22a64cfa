//! Errors in a WAV file.

use thiserror::Error;

/// A WAV file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WavError {
    /// The file has another format or less than a header.
    #[error(
        "it starts with {found:02x?}{}, but a WAV file starts with `RIFF` (or `RF64`), four bytes of length and `WAVE`{}",
        format.map(|name| format!(" as {name} does")).unwrap_or_default(),
        format.map_or("", |_| "; convert it, as with `ffmpeg -i IN OUT.wav`"),
    )]
    NotWav {
        /// The first bytes, at most twelve.
        found: Vec<u8>,
        /// The sound format that starts with these bytes.
        format: Option<&'static str>,
    },
    /// The file ends, or its samples start, before a required chunk.
    #[error("it has no `{id}` chunk{}", if *id == "fmt " { " before its samples" } else { "" })]
    Lacking {
        /// The chunk.
        id: &'static str,
    },
    /// The file ends inside a chunk.
    #[error("it is truncated: its `{id}` chunk states {expected} bytes, but there are {found}")]
    Truncated {
        /// The chunk.
        id: String,
        /// The stated number of bytes.
        expected: u64,
        /// The number of bytes up to the end of the file.
        found: usize,
    },
    /// A chunk is too short.
    #[error("its `{id}` chunk has {found} bytes instead of {expected}")]
    ShortChunk {
        /// The chunk.
        id: &'static str,
        /// Its length.
        found: usize,
        /// The required number of bytes; for a `fmt ` chunk it depends on the format.
        expected: usize,
    },
    /// The samples are compressed or of an unsupported kind.
    #[error(
        "its samples have format 0x{tag:04x} with {bits} bits; allowed are integers of 1 to 32 bits (0x0001) and \
         floats of 32 or 64 bits (0x0003)"
    )]
    Encoding {
        /// The format's tag.
        tag: u16,
        /// Bits per sample.
        bits: u16,
    },
    /// The extensible format is not a registered one.
    #[error(
        "its extensible format names the sub-format {found:02x?}, which is not a registered one"
    )]
    SubFormat {
        /// The sub-format's GUID.
        found: [u8; 16],
    },
    /// The frame size contradicts the channels.
    #[error(
        "its header contradicts itself: a frame of {frame} bytes is not {channels} samples of {bits} bits, {valid} of \
         them valid"
    )]
    Frame {
        /// Bytes per frame.
        frame: u16,
        /// Samples per frame.
        channels: u16,
        /// Bits per sample.
        bits: u16,
        /// The number of valid bits.
        valid: u16,
    },
    /// The samples end inside a frame.
    #[error("its {found} bytes of samples are not a whole number of frames of {frame} bytes")]
    CutFrame {
        /// The number of bytes of samples.
        found: usize,
        /// Bytes per frame.
        frame: usize,
    },
    /// The decoder's error.
    #[error("its samples cannot be decoded: {0}")]
    Decoder(String),
}

/// The first bytes of other sound formats.
const OTHERS: [(&[u8], &str); 9] = [
    (b"riff\x2e\x91\xcf\x11", "a Wave64 file"),
    (b"RIFX", "a big-endian WAV file"),
    (b"FORM", "an AIFF file"),
    (b"fLaC", "a FLAC file"),
    (b"OggS", "an Ogg file"),
    (b"ID3", "an MP3 file"),
    (b"\xff\xfb", "an MP3 file"),
    (b"caff", "a Core Audio file"),
    (b".snd", "an AU file"),
];

impl WavError {
    /// The error for a file that is not a WAV file, by its first bytes.
    pub(super) fn not_wav(bytes: &[u8]) -> Self {
        let other = OTHERS.iter().find(|(start, _)| bytes.starts_with(start));
        Self::NotWav {
            found: bytes[..bytes.len().min(12)].to_vec(),
            format: other.map(|(_, name)| *name),
        }
    }
}
