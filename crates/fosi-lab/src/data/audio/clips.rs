//! Clips: WAV files with their classes, decoded on demand.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::log_mel::{BANDS, FRAMES, LogMel, PATCH_SAMPLES, RATE};
use super::{Damaged, DataError, read_wav, resample};

/// A WAV file and the classes heard in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// The file.
    pub path: PathBuf,
    /// Its classes in ascending order, as indices into the class names.
    pub labels: Vec<u16>,
}

/// The part of a clip that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipLength {
    /// One patch: shorter clips are padded with zeros to 0.975 s, longer ones are cut.
    OnePatch,
    /// All whole patches in the clip, or one padded with zeros if it is shorter than a patch.
    Whole,
}

/// Clips with a common list of classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clips {
    /// The clips.
    pub clips: Vec<Clip>,
    /// The names of the classes, in the order of the labels.
    pub class_names: Vec<String>,
    /// The part of each clip that is used.
    pub length: ClipLength,
}

/// Training and validation clips with a common list of classes.
#[derive(Debug)]
pub struct AudioSplit {
    /// The clips for training.
    pub train: Clips,
    /// The clips for validation.
    pub validation: Clips,
    /// Errors of clips that were skipped because they have no file; empty unless damaged files are skipped.
    pub skipped: Vec<DataError>,
}

/// Log-mel patches with the classes of their clips.
#[derive(Debug)]
pub struct Patches {
    /// n×96×64.
    pub features: Vec<f32>,
    /// The classes of each patch, in ascending order.
    pub labels: Vec<Vec<u16>>,
    /// The number of classes.
    pub classes: usize,
    /// Errors of skipped files; empty unless damaged files are skipped.
    pub skipped: Vec<DataError>,
}

/// A few patches, copied so that a framework can take ownership.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchBatch {
    /// size×96×64.
    pub features: Vec<f32>,
    /// size×classes: 1 if the class is heard, otherwise 0.
    pub targets: Vec<f32>,
    /// The number of classes.
    pub classes: usize,
}

impl Clips {
    /// The number of clips.
    pub fn len(&self) -> usize {
        self.clips.len()
    }

    /// Whether there are no clips.
    pub fn is_empty(&self) -> bool {
        self.clips.is_empty()
    }

    /// Decodes the clips `indices` on all threads; the order of the patches does not depend on the number of threads.
    ///
    /// # Errors
    /// [`DataError`] with the name of the first file that cannot be decoded, unless `damaged` says to skip it.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len).
    pub fn decode(&self, indices: &[u32], damaged: Damaged) -> Result<Patches, DataError> {
        let log_mel = LogMel::new();
        let decoded: Vec<Result<Vec<f32>, DataError>> = indices
            .par_iter()
            .map(|&index| {
                self.length
                    .decode(&self.clips[index as usize].path, &log_mel)
            })
            .collect();
        let mut patches = Patches {
            features: Vec::new(),
            labels: Vec::new(),
            classes: self.class_names.len(),
            skipped: Vec::new(),
        };
        for (&index, features) in indices.iter().zip(decoded) {
            match (features, damaged) {
                (Ok(features), _) => {
                    let labels = &self.clips[index as usize].labels;
                    let count = features.len() / (FRAMES * BANDS);
                    patches.labels.extend(vec![labels.clone(); count]);
                    patches.features.extend(features);
                }
                (Err(error), Damaged::Refuse) => return Err(error),
                (Err(error), Damaged::Skip) => patches.skipped.push(error),
            }
        }
        Ok(patches)
    }

    /// Decodes all clips like [`decode`](Self::decode).
    ///
    /// # Errors
    /// Those of [`decode`](Self::decode).
    pub fn decode_all(&self, damaged: Damaged) -> Result<Patches, DataError> {
        let all: Vec<u32> = (0..self.len() as u32).collect();
        self.decode(&all, damaged)
    }
}

impl ClipLength {
    /// The patches of a WAV file.
    fn decode(self, path: &Path, log_mel: &LogMel) -> Result<Vec<f32>, DataError> {
        let mut samples = resample(&read_wav(path)?, RATE)?.samples;
        if self == Self::OnePatch || samples.len() < PATCH_SAMPLES {
            samples.resize(PATCH_SAMPLES, 0.0);
        }
        Ok(log_mel.patches(&samples))
    }
}

impl Patches {
    /// The number of patches.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no patches.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The patches `indices`, in this order.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len).
    pub fn gather(&self, indices: &[u32]) -> PatchBatch {
        let size = FRAMES * BANDS;
        let mut features = Vec::with_capacity(indices.len() * size);
        let mut targets = vec![0.0; indices.len() * self.classes];
        for (row, &index) in indices.iter().enumerate() {
            let index = index as usize;
            features.extend_from_slice(&self.features[index * size..(index + 1) * size]);
            for &label in &self.labels[index] {
                targets[row * self.classes + usize::from(label)] = 1.0;
            }
        }
        PatchBatch {
            features,
            targets,
            classes: self.classes,
        }
    }
}
