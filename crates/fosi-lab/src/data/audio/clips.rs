//! Clips: WAV files with their classes, decoded when asked.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::log_mel::{BANDS, FRAMES, LogMel, PATCH_SAMPLES, RATE};
use super::{Damaged, DataError, read_wav, resample};

/// A WAV file and what is heard in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// The file.
    pub path: PathBuf,
    /// Its classes, ascending, each an index into the class names.
    pub labels: Vec<u16>,
}

/// How much of a clip is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipLength {
    /// One patch: zeros fill up what is shorter than its 0.975 s, what is longer is cut.
    OnePatch,
    /// As many whole patches as the clip fills; one, with zeros at its end, where it fills none.
    Whole,
}

/// Clips of the same classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clips {
    /// The clips.
    pub clips: Vec<Clip>,
    /// Names of the classes, in the order of the labels.
    pub class_names: Vec<String>,
    /// How much of each is used.
    pub length: ClipLength,
}

/// Clips to train and clips to validate, of the same classes.
#[derive(Debug)]
pub struct AudioSplit {
    /// What the optimizers see.
    pub train: Clips,
    /// What they never see.
    pub validation: Clips,
    /// Clips left out because there is no file, with the reason; empty unless damaged ones were to be skipped.
    pub skipped: Vec<DataError>,
}

/// Log-mel patches with the classes of the clips that they come from.
#[derive(Debug)]
pub struct Patches {
    /// n×96×64.
    pub features: Vec<f32>,
    /// For each patch, its classes, ascending.
    pub labels: Vec<Vec<u16>>,
    /// Number of classes.
    pub classes: usize,
    /// Files left out, with the reason; empty unless damaged files were to be skipped.
    pub skipped: Vec<DataError>,
}

/// A few patches, copied out so that a framework can take them over.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchBatch {
    /// size×96×64.
    pub features: Vec<f32>,
    /// size×classes: 1 where the class is heard, 0 elsewhere.
    pub targets: Vec<f32>,
    /// Number of classes.
    pub classes: usize,
}

impl Clips {
    /// Number of clips.
    pub fn len(&self) -> usize {
        self.clips.len()
    }

    /// Whether there is no clip.
    pub fn is_empty(&self) -> bool {
        self.clips.is_empty()
    }

    /// Decodes the clips `indices` on all threads; the patches come in that order, whatever the number of threads.
    ///
    /// # Errors
    /// [`DataError`] with the name of the first file that can't be decoded, unless `damaged` says to skip it.
    ///
    /// # Panics
    /// When an index is not below [`len`](Self::len).
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

    /// Decodes all clips, as [`decode`](Self::decode) does.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
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
    /// Number of patches.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no patch.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The patches `indices`, in that order.
    ///
    /// # Panics
    /// When an index is not below [`len`](Self::len).
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
