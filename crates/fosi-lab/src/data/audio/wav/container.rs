//! The container of a WAV file: RIFF chunks, of which `fmt ` says how samples are stored and `data` holds them.
//!
//! Sources: Microsoft and IBM, *Multimedia Programming Interface and Data Specifications 1.0* (1991); Microsoft,
//! *Multiple Channel Audio Data and WAVE Files* (2001), for `WAVE_FORMAT_EXTENSIBLE`; EBU Tech 3306 (2009) and ITU-R
//! BS.2088 (2019) for RF64 and BW64, whose `ds64` chunk holds the lengths that 32 bits can't.

use super::WavError;

/// The tag under which the format proper follows as a sub-format.
const EXTENSIBLE: u16 = 0xfffe;
const INTEGER: u16 = 1;
const FLOAT: u16 = 3;
/// Bytes of the oldest `fmt ` chunk.
const FORMAT: usize = 16;
/// Bytes of the extensible one.
const EXTENSIBLE_FORMAT: usize = 40;
/// What follows the tag in the GUID of a registered sub-format.
const REGISTERED: [u8; 14] = [
    0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71,
];
/// The length that SoX gives samples where it can't go back to write theirs; it rounds it down to whole frames.
const SOX_STREAM: u64 = 0x7fff_f000;
/// The same of ALSA's `arecord`, which doesn't round.
const ARECORD_STREAM: u64 = 0x7fff_ff00;
/// The length that most others leave; in 64 bits it may be a true one.
const UNKNOWN: u64 = 0xffff_ffff;
/// Bytes of `ds64` before its table of other chunks' lengths.
const WIDE_LENGTHS: usize = 24;

/// How a sample is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Little-endian two's complement, one byte: unsigned around 128. Fewer valid bits than stored are the upper ones.
    Integer,
    /// IEEE 754, little-endian.
    Float,
}

/// What `fmt ` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub encoding: Encoding,
    pub channels: u16,
    /// Frames a second.
    pub rate: u32,
    /// Bytes that a sample takes: 1 to 4, of floats 4 or 8.
    pub sample_bytes: usize,
}

/// A WAV file's format and its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Container<'a> {
    pub format: Format,
    /// Whole frames.
    pub data: &'a [u8],
}

impl<'a> Container<'a> {
    /// Finds format and samples among a file's chunks.
    ///
    /// The length that `RIFF` states decides nothing where chunks have theirs: many writers leave it wrong.
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

/// The lengths of the file and of its samples, where they have 64 bits.
struct Lengths {
    /// Bytes after the first eight, as the header or `ds64` says.
    riff: u64,
    /// Whether the file is RF64 or BW64: where a length is 0xFFFFFFFF there, `ds64` has it.
    wide: bool,
    /// Bytes of samples, as `ds64` says.
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

    /// Bytes of samples, of which the `data` chunk says `length`.
    fn of_data(&self, length: u32) -> Result<u64, WavError> {
        match (self.wide, length) {
            (true, u32::MAX) => self.data.ok_or(WavError::Lacking { id: "ds64" }),
            _ => Ok(u64::from(length)),
        }
    }
}

/// A chunk's content, and what follows it.
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
    // A byte follows odd content. Some writers forget it, and the next chunk's name is there.
    let padding = usize::from(
        length % 2 == 1
            && after
                .first()
                .is_some_and(|byte| !byte.is_ascii_alphanumeric()),
    );
    Ok((content, &after[padding..]))
}

/// Whether samples go on to the end of the file: their length was never written, as it wasn't known when they began.
fn is_streamed(length: u64, riff: u64, file: usize, frame: usize) -> bool {
    match length {
        UNKNOWN | u64::MAX | ARECORD_STREAM => true,
        // A file without samples says 0 too, but then it states its own length rightly.
        0 => riff.checked_add(8) != Some(file as u64),
        length => length == SOX_STREAM - SOX_STREAM % frame as u64,
    }
}

/// The bytes but for a frame that was begun, or a byte of padding.
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
    /// Bytes of a frame, a sample a channel: at least 1.
    pub fn frame_bytes(self) -> usize {
        self.sample_bytes * usize::from(self.channels)
    }

    /// Reads the content of `fmt `, whose three forms have 16, 18 and 40 bytes; longer ones are cut.
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
            // The usual container of 24 bits in memory; others as large are headers gone wrong.
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

/// Tag and valid bits of an extensible format. The size that it states of itself is passed over: the chunk has one.
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
