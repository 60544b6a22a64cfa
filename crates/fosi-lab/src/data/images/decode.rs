//! One image file, decoded to red, green and blue planes.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::{DataError, ImagesError};

/// Most bytes of pixels that one byte of file can stand for: DEFLATE's limit for PNG. JPEG needs at least a bit for
/// each component's block (so at most 1,024).
const LARGEST_EXPANSION: u64 = 1032;
/// PNG and JPEG headers are longer than what a few pixels need.
const SLACK: u64 = 4096;

/// Planes of one image.
pub(super) struct Planes {
    pub path: PathBuf,
    pub width: usize,
    pub height: usize,
    /// 3×height×width.
    pub pixels: Vec<u8>,
}

/// Decodes a JPEG or PNG (told apart by content), scaled to `size` where one is given.
///
/// Memory is bounded by a multiple of the file's length, whatever its header claims.
pub(super) fn decode(path: &Path, size: Option<(usize, usize)>) -> Result<Planes, DataError> {
    let bytes = fs::read(path).map_err(|source| DataError::Read {
        path: path.to_owned(),
        source,
    })?;
    let damaged = |source: image::ImageError| ImagesError::Damaged {
        path: path.to_owned(),
        source,
    };
    let reader = ImageReader::new(Cursor::new(&bytes))
        .with_guessed_format()
        .map_err(|source| damaged(source.into()))?;
    // The decoder fills what is missing with grey and calls it success.
    if reader.format() == Some(ImageFormat::Jpeg) && !has_end_marker(&bytes) {
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

/// Whether an end-of-image marker follows the last start of a scan. Neither marker can occur inside compressed data,
/// and a thumbnail in the header has both before the picture's own scan.
fn has_end_marker(bytes: &[u8]) -> bool {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    match (last([0xff, 0xda]), last([0xff, 0xd9])) {
        (Some(scan), Some(end)) => end > scan,
        // Without a scan the decoder itself refuses.
        (scan, _) => scan.is_none(),
    }
}
