//! Decodes one image file into red, green and blue planes.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::ImagesError;
use crate::data::DataError;
use crate::data::file::read_file;

/// The maximum number of pixel bytes per byte of a file: DEFLATE's limit for PNG. JPEG needs at least one bit per block
/// of a component, which limits it to 1,024.
const LARGEST_EXPANSION: u64 = 1032;
/// An allowance for tiny images, whose files consist mostly of PNG or JPEG headers.
const SLACK: u64 = 4096;

/// The planes of one image.
pub(super) struct Planes {
    pub path: PathBuf,
    pub width: usize,
    pub height: usize,
    /// 3×height×width.
    pub pixels: Vec<u8>,
}

/// Decodes a JPEG or PNG file, detected by content, and scales it to `size` if given.
///
/// Memory use is bounded by a multiple of the file's size, whatever its header states.
pub(super) fn decode(path: &Path, size: Option<(usize, usize)>) -> Result<Planes, DataError> {
    let bytes = read_file(path)?;
    let damaged = |source: image::ImageError| ImagesError::Damaged {
        path: path.to_owned(),
        source,
    };
    let reader = ImageReader::new(Cursor::new(&bytes))
        .with_guessed_format()
        .map_err(|source| damaged(source.into()))?;
    // The decoder fills missing data with grey and reports success.
    if reader.format() == Some(ImageFormat::Jpeg) && !reaches_end(&bytes) {
        return Err(ImagesError::CutJpeg {
            path: path.to_owned(),
        }
        .into());
    }
    let decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if decoder.total_bytes() > SLACK + LARGEST_EXPANSION * bytes.len() as u64 {
        return Err(ImagesError::Claim {
            path: path.to_owned(),
            width,
            height,
            bytes: bytes.len(),
        }
        .into());
    }
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    if let Some((width, height)) = size
        && (width as u32, height as u32) != (picture.width(), picture.height())
    {
        picture = picture.resize_exact(width as u32, height as u32, FilterType::Triangle);
    }
    let picture = picture.into_rgb8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let colour = |channel: usize| picture.as_raw().iter().skip(channel).step_by(3);
    let pixels = (0..3).flat_map(colour).copied().collect();
    Ok(Planes {
        path: path.to_owned(),
        width,
        height,
        pixels,
    })
}

/// Whether a JPEG's markers lead to its end-of-image marker; data after it, such as a camera's, is not part of the
/// image.
///
/// Segments state their lengths, so that markers of a thumbnail inside a segment are skipped. The compressed data after
/// a start of scan extends to the next marker other than a restart (ITU-T T.81, B.1.1).
fn reaches_end(bytes: &[u8]) -> bool {
    const START_OF_IMAGE: u8 = 0xd8;
    const END_OF_IMAGE: u8 = 0xd9;
    let mut at = 0;
    while let Some((marker, after)) = next_marker(bytes, at) {
        at = match marker {
            END_OF_IMAGE => return true,
            // Markers without a segment: temporary use, restarts, and start of image.
            0x01 | 0xd0..=START_OF_IMAGE => after,
            _ => match bytes.get(after..after + 2) {
                Some(length) => after + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return false,
            },
        };
    }
    false
}

/// The next marker from `at` on, and the position after it. After 0xff, 0 denotes a byte of compressed data and 0xff
/// padding.
fn next_marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(at..)?;
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff);
    let found = at + rest.windows(2).position(is_marker)?;
    Some((bytes[found + 1], found + 2))
}
