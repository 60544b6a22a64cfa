//! The container of a WAV file: RIFF chunks, of which `fmt ` describes the samples' format and `data` contains them.
//!
//! Sources: Microsoft and IBM, *Multimedia Programming Interface and Data Specifications 1.0* (1991); Microsoft,
//! *Multiple Channel Audio Data and WAVE Files* (2001), for `WAVE_FORMAT_EXTENSIBLE`; EBU Tech 3306 (2009) and ITU-R
//! BS.2088 (2019) for RF64 and BW64, whose `ds64` chunk holds the lengths that 32 bits can't.

use super::WavError;

/// The tag of a format whose sub-format is stored separately.
const EXTENSIBLE: u16 = 0xfffe;
const INTEGER: u16 = 1;
const FLOAT: u16 = 3;
/// The size of the oldest `fmt ` chunk in bytes.
const FORMAT: usize = 16;
/// The size of the extensible `fmt ` chunk in bytes.
const EXTENSIBLE_FORMAT: usize = 40;
/// The bytes after the tag in the GUID of a registered sub-format.
const REGISTERED: [u8; 14] = [
    0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71,
];
/// The length that SoX writes for samples when it cannot seek back, rounded down to whole frames.
const SOX_STREAM: u64 = 0x7fff_f000;
/// The length that ALSA's `arecord` writes in this case, without rounding.
const ARECORD_STREAM: u64 = 0x7fff_ff00;
/// The length that most other programs write in this case; a 64-bit length may truly have this value.
const UNKNOWN: u64 = 0xffff_ffff;
/// The bytes of `ds64` before its table of other chunks' lengths.
const WIDE_LENGTHS: usize = 24;

/// The encoding of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Little-endian two's complement, or unsigned around 128 for one byte. Valid bits, if fewer than stored, are the
    /// upper ones.
    Integer,
    /// IEEE 754, little-endian.
    Float,
}

/// The content of `fmt `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub encoding: Encoding,
    pub channels: u16,
    /// Frames per second.
    pub rate: u32,
    /// Bytes per sample: 1 to 4, or 4 or 8 for floats.
    pub sample_bytes: usize,
}

/// A WAV file's format and its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Container<'a> {
    pub format: Format,
    /// The samples, as whole frames.
    pub data: &'a [u8],
}

impl<'a> Container<'a> {
    /// Finds the format and the samples among a file's chunks.
    ///
    /// The length stated by `RIFF` is not used for chunks, which state their own, because many writers set it
    /// incorrectly.
    pub fn read(bytes: &'a [u8]) -> Result<Self, WavError> {
        let mut lengths = Lengths::of_header(bytes)?;
        let mut format = None;
        let mut at = 12;
        while let Some(header) = bytes.get(at..at + 8) {
            let (id, length) = (&header[..4], u32_at(header, 4));
            let content = &bytes[at + 8..];
            if id == b"data" {
                let format: Format = format.ok_or(WavError::Lacking { id: "fmt " })?;
                let length = lengths.of_data(length)?;
                let streamed = is_streamed(length, lengths.riff, bytes.len(), format.frame_bytes());
                let data = match streamed {
                    true => whole_frames(content, format.frame_bytes()),
                    false => samples(content, length, format.frame_bytes())?,
                };
                return Ok(Self { format, data });
            }
            let (content, after) = split_chunk(id, length, content)?;
            match id {
                b"fmt " => format = Some(Format::read(content)?),
                b"ds64" if lengths.wide => lengths.read_wide(content)?,
                _ => {}
            }
            at = bytes.len() - after.len();
        }
        let id = format.map_or("fmt ", |_| "data");
        Err(WavError::Lacking { id })
    }
}

/// The lengths of the file and of its samples, which may have 64 bits.
struct Lengths {
    /// The number of bytes after the first eight, as stated by the header or `ds64`.
    riff: u64,
    /// Whether the file is RF64 or BW64: then `ds64` contains lengths that are 0xFFFFFFFF elsewhere.
    wide: bool,
    /// The number of bytes of samples, as stated by `ds64`.
    data: Option<u64>,
}

impl Lengths {
    fn of_header(bytes: &[u8]) -> Result<Self, WavError> {
        let wide = match bytes.first_chunk::<12>().map(|h| (&h[..4], &h[8..])) {
            Some((b"RIFF", b"WAVE")) => false,
            Some((b"RF64" | b"BW64", b"WAVE")) => true,
            _ => return Err(WavError::not_wav(bytes)),
        };
        Ok(Self {
            riff: u64::from(u32_at(bytes, 4)),
            wide,
            data: None,
        })
    }

    fn read_wide(&mut self, chunk: &[u8]) -> Result<(), WavError> {
        require("ds64", chunk, WIDE_LENGTHS)?;
        self.riff = u64_at(chunk, 0);
        self.data = Some(u64_at(chunk, 8));
        Ok(())
    }

    /// The number of bytes of samples, given the `length` in the `data` chunk.
    fn of_data(&self, length: u32) -> Result<u64, WavError> {
        match (self.wide, length) {
            (true, u32::MAX) => self.data.ok_or(WavError::Lacking { id: "ds64" }),
            _ => Ok(u64::from(length)),
        }
    }
}

/// The content of a chunk and the bytes after it.
fn split_chunk<'a>(
    id: &[u8],
    length: u32,
    bytes: &'a [u8],
) -> Result<(&'a [u8], &'a [u8]), WavError> {
    let split = bytes.split_at_checked(length as usize);
    let (content, after) = split.ok_or_else(|| WavError::Truncated {
        id: id.escape_ascii().to_string(),
        expected: u64::from(length),
        found: bytes.len(),
    })?;
    // Odd content is followed by a padding byte. Some writers omit it, so that the next chunk's name follows directly.
    let padding = usize::from(
        length % 2 == 1
            && after
                .first()
                .is_some_and(|byte| !byte.is_ascii_alphanumeric()),
    );
    Ok((content, &after[padding..]))
}

/// Whether the samples extend to the end of the file because their length, unknown at the start, was never written.
fn is_streamed(length: u64, riff: u64, file: usize, frame: usize) -> bool {
    match length {
        UNKNOWN | u64::MAX | ARECORD_STREAM => true,
        // A file without samples also states 0, but with a correct total length.
        0 => riff.checked_add(8) != Some(file as u64),
        length => length == SOX_STREAM - SOX_STREAM % frame as u64,
    }
}

/// The bytes without an incomplete frame or a padding byte.
fn whole_frames(bytes: &[u8], frame: usize) -> &[u8] {
    &bytes[..bytes.len() - bytes.len() % frame]
}

/// The first `length` bytes, which must be whole frames.
fn samples(bytes: &[u8], length: u64, frame: usize) -> Result<&[u8], WavError> {
    let data = usize::try_from(length)
        .ok()
        .and_then(|end| bytes.get(..end));
    let Some(data) = data else {
        return Err(WavError::Truncated {
            id: "data".to_owned(),
            expected: length,
            found: bytes.len(),
        });
    };
    match data.len() % frame {
        0 => Ok(data),
        _ => Err(WavError::CutFrame {
            found: data.len(),
            frame,
        }),
    }
}

impl Format {
    /// Bytes per frame (one sample per channel): at least 1.
    pub fn frame_bytes(self) -> usize {
        self.sample_bytes * usize::from(self.channels)
    }

    /// Reads the content of `fmt `, which has 16, 18 or 40 bytes; further bytes are ignored.
    fn read(chunk: &[u8]) -> Result<Self, WavError> {
        require("fmt ", chunk, FORMAT)?;
        let (channels, rate) = (u16_at(chunk, 2), u32_at(chunk, 4));
        let (frame, bits) = (u16_at(chunk, 12), u16_at(chunk, 14));
        let (tag, valid) = match u16_at(chunk, 0) {
            EXTENSIBLE => sub_format(chunk)?,
            tag => (tag, bits),
        };
        let encoding = match (tag, bits) {
            (INTEGER, 1..=32) => Encoding::Integer,
            (FLOAT, 32 | 64) => Encoding::Float,
            (tag, bits) => return Err(WavError::Encoding { tag, bits }),
        };
        let contradiction = WavError::Frame {
            frame,
            channels,
            bits,
            valid,
        };
        let sample_bytes = frame.checked_div(channels).unwrap_or(0);
        let fits = sample_bytes * channels == frame && valid.div_ceil(8) <= sample_bytes;
        let stored = match (encoding, sample_bytes) {
            // The usual container for 24 bits in memory; other formats of this size have invalid headers.
            (Encoding::Integer, 4) => bits > 16,
            (Encoding::Integer, 1..=3) => bits.div_ceil(8) == sample_bytes,
            (Encoding::Float, 4 | 8) => bits == 8 * sample_bytes,
            _ => false,
        };
        if channels == 0 || !fits || !stored {
            return Err(contradiction);
        }
        Ok(Self {
            encoding,
            channels,
            rate,
            sample_bytes: usize::from(sample_bytes),
        })
    }
}

/// The tag and the valid bits of an extensible format. Its own statement of its size is ignored, because the chunk has
/// a size.
fn sub_format(chunk: &[u8]) -> Result<(u16, u16), WavError> {
    require("fmt ", chunk, EXTENSIBLE_FORMAT)?;
    if chunk[26..EXTENSIBLE_FORMAT] != REGISTERED {
        let mut found = [0; 16];
        found.copy_from_slice(&chunk[24..EXTENSIBLE_FORMAT]);
        return Err(WavError::SubFormat { found });
    }
    Ok((u16_at(chunk, 24), u16_at(chunk, 18)))
}

fn require(id: &'static str, chunk: &[u8], expected: usize) -> Result<(), WavError> {
    match chunk.len() {
        found if found < expected => Err(WavError::ShortChunk {
            id,
            found,
            expected,
        }),
        _ => Ok(()),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
