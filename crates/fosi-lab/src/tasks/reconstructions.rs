//! The sample of an autoencoder: images above their reconstructions.

use std::io::Cursor;

use burn::tensor::Tensor;
use image::{ImageFormat, RgbImage};

use crate::train::{Sample, StepError};

/// The number of images in the picture, and the factor of their enlargement.
pub(super) const COUNT: usize = 12;
const ENLARGED: u32 = 3;

/// The picture of images and their reconstructions, both count×channels×side×side with values in [0, 1] and one or
/// three channels.
pub(super) fn picture(images: Tensor<4>, reconstructions: Tensor<4>) -> Result<Sample, StepError> {
    let [count, channels, side, _] = images.dims();
    let plane = side * side;
    let side = side as u32;
    let mut strip = RgbImage::new(count as u32 * side * ENLARGED, 2 * side * ENLARGED);
    for (row, images) in [images, reconstructions].into_iter().enumerate() {
        let values: Vec<f32> = images.into_data().try_to_vec().map_err(StepError::other)?;
        for (x, y, pixel) in strip.enumerate_pixels_mut() {
            let (x, y) = (x / ENLARGED, y / ENLARGED);
            if y / side != row as u32 {
                continue;
            }
            let image = (x / side) as usize;
            let at = (y % side * side + x % side) as usize;
            for (colour, byte) in pixel.0.iter_mut().enumerate() {
                // A grey image uses its channel for each colour.
                let channel = channels * image + colour.min(channels - 1);
                *byte = (values[channel * plane + at] * 255.0).round() as u8;
            }
        }
    }
    let mut bytes = Cursor::new(Vec::new());
    strip
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(StepError::other)?;
    Ok(Sample {
        name: "reconstructions",
        extension: "png",
        bytes: bytes.into_inner(),
    })
}
