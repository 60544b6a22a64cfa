//! Images in memory.

use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::data::DataError;

/// n images of one size, as bytes: a quarter of the memory of `f32`, to which only batches are converted.
///
/// ```
/// use fosi_lab::data::Images;
///
/// let images = Images {
///     width: 2,
///     height: 1,
///     channels: 3,
///     pixels: vec![0, 255, 51, 51, 102, 204],
///     labels: vec![1],
///     class_names: vec!["cat".into(), "dog".into()],
/// };
/// // (x/255 − 1/2)/(1/2) maps bytes to [−1, 1].
/// let scaled = images.normalized([0.5; 3], [0.5; 3]);
/// assert_eq!(scaled[..2], [-1.0, 1.0]);
/// assert_eq!(images.resized(4, 2).pixels.len(), 3 * 2 * 4);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Pixel columns of an image.
    pub width: usize,
    /// Pixel rows of an image.
    pub height: usize,
    /// The number of colours, 3: red, green, blue.
    pub channels: usize,
    /// n×channels×height×width bytes.
    pub pixels: Vec<u8>,
    /// n classes, each an index into `class_names`.
    pub labels: Vec<u8>,
    /// The names of the classes, in the order of the labels.
    pub class_names: Vec<String>,
}

/// Training and test images of one size, with the same classes.
#[derive(Debug)]
pub struct ImageSplit {
    /// The images for training, of which some may be held out for validation.
    pub train: Images,
    /// The published test images.
    pub test: Images,
    /// Errors of skipped files; empty unless damaged files are skipped.
    pub skipped: Vec<DataError>,
}

impl Images {
    /// The number n of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Bytes of one image: channels×height×width.
    pub fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The images `indices`, in this order.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len).
    pub fn gather(&self, indices: &[u32]) -> Self {
        let length = self.image_len();
        let mut pixels = Vec::with_capacity(indices.len() * length);
        for &index in indices {
            let start = index as usize * length;
            pixels.extend_from_slice(&self.pixels[start..start + length]);
        }
        Self {
            pixels,
            labels: indices.iter().map(|&i| self.labels[i as usize]).collect(),
            class_names: self.class_names.clone(),
            ..*self
        }
    }

    /// Splits the images into two parts: all but `held_out` images, and `held_out` images drawn by `seed` (all if there
    /// are no more).
    pub fn hold_out(&self, held_out: usize, seed: u64) -> (Self, Self) {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let (rest, drawn) = order.split_at(self.len().saturating_sub(held_out));
        (self.gather(rest), self.gather(drawn))
    }

    /// The images scaled to another size, by bilinear interpolation (over a wider triangle when shrinking).
    pub fn resized(&self, width: usize, height: usize) -> Self {
        let (from, to) = (self.width * self.height, width * height);
        let mut pixels = vec![0; self.len() * self.channels * to];
        if from > 0 && to > 0 {
            let planes = pixels.par_chunks_exact_mut(to);
            let sources = self.pixels.par_chunks_exact(from);
            planes.zip(sources).for_each(|(plane, source)| {
                let size = (self.width as u32, self.height as u32);
                // This cannot fail: the chunk has exactly this length.
                if let Some(source) = ImageBuffer::<Luma<u8>, _>::from_raw(size.0, size.1, source) {
                    let scaled = resize(&source, width as u32, height as u32, FilterType::Triangle);
                    plane.copy_from_slice(&scaled);
                }
            });
        }
        Self {
            width,
            height,
            pixels,
            labels: self.labels.clone(),
            class_names: self.class_names.clone(),
            ..*self
        }
    }

    /// (x/255 − mean)/deviation for every byte x, with the values of its colour: n×channels×height×width.
    pub fn normalized(&self, mean: [f32; 3], deviation: [f32; 3]) -> Vec<f32> {
        let plane = (self.width * self.height).max(1);
        let planes = self.pixels.chunks(plane).enumerate();
        let mut scaled = Vec::with_capacity(self.pixels.len());
        for (index, plane) in planes {
            let colour = index % self.channels;
            let (mean, deviation) = (mean[colour], deviation[colour]);
            scaled.extend(
                plane
                    .iter()
                    .map(|&x| (f32::from(x) / 255.0 - mean) / deviation),
            );
        }
        scaled
    }
}
