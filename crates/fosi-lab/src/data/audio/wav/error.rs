//! What can be wrong with a WAV file.

use thiserror::Error;

/// Why a WAV file can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WavError {
    /// Another format, or less than a header.
    #[error(
        "it starts with {found:02x?}{}, a WAV file starts with `RIFF` (or `RF64`), four bytes of length and `WAVE`{}",
        format.map(|name| format!(" as {name} does")).unwrap_or_default(),
        format.map_or("", |_| "; convert it, as with `ffmpeg -i IN OUT.wav`"),
    )]
    NotWav {
        /// The first bytes, at most twelve.
        found: Vec<u8>,
        /// The format of sound that starts so.
        format: Option<&'static str>,
    },
    /// The file ends, or its samples come, before a chunk that must be there.
    #[error("it has no `{id}` chunk{}", if *id == "fmt " { " before its samples" } else { "" })]
    Lacking {
        /// The chunk.
        id: &'static str,
    },
    /// The file ends inside a chunk.
    #[error("it is truncated: its `{id}` chunk promises {expected} bytes, {found} are there")]
    Truncated {
        /// The chunk.
        id: String,
        /// Bytes promised.
        expected: u64,
        /// Bytes up to the end of the file.
        found: usize,
    },
    /// A chunk too short for what it must hold.
    #[error("its `{id}` chunk has {found} bytes, {expected} are needed")]
    ShortChunk {
        /// The chunk.
        id: &'static str,
        /// Its length.
        found: usize,
        /// Bytes needed, of a `fmt ` chunk by the format that it announces.
        expected: usize,
    },
    /// Compressed samples, or numbers of another kind.
    #[error(
        "its samples are of format 0x{tag:04x} with {bits} bits; allowed are integers of 1 to 32 bits (0x0001) and \
         floats of 32 or 64 bits (0x0003)"
    )]
    Encoding {
        /// The format's tag.
        tag: u16,
        /// Bits of a sample.
        bits: u16,
    },
    /// An extensible format that isn't one of the registered ones.
    #[error(
        "its extensible format names the sub-format {found:02x?}, which is none of the registered ones"
    )]
    SubFormat {
        /// The sub-format's GUID.
        found: [u8; 16],
    },
    /// A frame that isn't a sample a channel.
    #[error(
        "its header contradicts itself: a frame of {frame} bytes isn't {channels} samples of {bits} bits, {valid} of \
         them valid"
    )]
    Frame {
        /// Bytes of a frame.
        frame: u16,
        /// Samples of a frame.
        channels: u16,
        /// Bits of a sample.
        bits: u16,
        /// Bits of these that mean something.
        valid: u16,
    },
    /// Samples that end inside a frame.
    #[error("its {found} bytes of samples are no whole number of frames of {frame} bytes")]
    CutFrame {
        /// Bytes of samples.
        found: usize,
        /// Bytes of a frame.
        frame: usize,
    },
    /// The decoder's own reason.
    #[error("its samples can't be decoded: {0}")]
    Decoder(String),
}

/// How other formats of sound start.
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
    /// What is no WAV file, by its first bytes.
    pub(super) fn not_wav(bytes: &[u8]) -> Self {
        let other = OTHERS.iter().find(|(start, _)| bytes.starts_with(start));
        Self::NotWav {
            found: bytes[..bytes.len().min(12)].to_vec(),
            format: other.map(|(_, name)| *name),
        }
    }
}
