//! Data sets: what they are, where they come from, and the order in which training sees them.

mod audio;
mod batches;
mod check;
mod colour_counts;
mod colour_split;
mod digits;
mod error;
mod file;
mod idx;
mod images;
mod mnist;
mod prefetch;
mod text;

use serde::{Deserialize, Serialize};

pub use audio::{
    AudioError, AudioSetFiles, AudioSplit, BANDS, ClassList, Clip, ClipLength, Clips, FRAMES,
    LogMel, MelFilters, PATCH_SAMPLES, PatchBatch, Patches, RATE, Recording, Sound, WavError, fsdd,
    fsdd_recordings, read_wav, resample,
};
pub use batches::{Batches, draw};
pub use check::{Finding, State, check};
pub use colour_counts::ColourCounts;
pub use colour_split::ColourSplit;
pub use digits::digits;
pub use error::DataError;
pub use idx::{IdxImages, read_images, read_labels};
pub use images::{
    CIFAR10_CLASSES, CifarFiles, Damaged, ImageSplit, Images, ImagesError, class_folders,
    colour_images, read_cifar10_file,
};
pub use mnist::mnist;
pub use prefetch::Prefetch;
pub use text::{
    CHARACTERS, NonAscii, SequenceBatch, Sequences, TextError, TextSplit, find_text, read_text,
    text_sequences,
};

use crate::names::{UnknownName, known_name};

/// n feature vectors of the same length, each with a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Name for reports, such as `digits`.
    pub name: String,
    /// n×dim, row by row, scaled to \[0, 1\].
    pub features: Vec<f32>,
    /// n classes, each below `classes`.
    pub labels: Vec<u8>,
    /// Length of one feature vector.
    pub dim: usize,
    /// Number of classes.
    pub classes: usize,
}

impl Dataset {
    /// Number of examples, n.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The examples `indices`, in that order.
    ///
    /// # Panics
    /// When an index is not below [`len`](Self::len).
    pub fn gather(&self, indices: &[u32]) -> Batch {
        let mut features = Vec::with_capacity(indices.len() * self.dim);
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            let index = index as usize;
            features.extend_from_slice(&self.features[index * self.dim..(index + 1) * self.dim]);
            labels.push(self.labels[index]);
        }
        Batch { features, labels }
    }

    /// The examples `indices` as a data set.
    ///
    /// # Panics
    /// When an index is not below [`len`](Self::len).
    pub fn subset(&self, indices: &[u32]) -> Self {
        let Batch { features, labels } = self.gather(indices);
        Self {
            features,
            labels,
            ..self.clone_header()
        }
    }

    fn clone_header(&self) -> Self {
        Self {
            name: self.name.clone(),
            features: Vec::new(),
            labels: Vec::new(),
            dim: self.dim,
            classes: self.classes,
        }
    }
}

/// A few examples, copied out of a data set so that a framework can take them over.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// size×dim, row by row.
    pub features: Vec<f32>,
    /// One class an example.
    pub labels: Vec<u8>,
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the optimizers see.
    Train,
    /// What they never see.
    Validation,
}

/// A data set in two parts, of the same features and classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// What the optimizers see.
    pub train: Dataset,
    /// What they never see.
    pub validation: Dataset,
}

/// The data sets that the program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DataName {
    /// The embedded UCI digits: 1,437 training and 360 validation images of 8×8.
    Digits,
    /// MNIST from a folder: 60,000 training images of 28×28; the 10,000 test images validate.
    Mnist,
    /// CIFAR-10 from a folder: of its 50,000 training images of 32×32 in colour 5,000 validate.
    Cifar10,
    /// A text, such as Tiny Shakespeare: its last tenth validates.
    Tinyshakespeare,
    /// The Free Spoken Digit Dataset: recordings 0 to 4 of each digit and speaker validate.
    Fsdd,
    /// AudioSet, or any sounds in its layout.
    Audioset,
}

impl DataName {
    const ALL: [Self; 6] = [
        Self::Digits,
        Self::Mnist,
        Self::Cifar10,
        Self::Tinyshakespeare,
        Self::Fsdd,
        Self::Audioset,
    ];
    const NAMES: [&str; 6] = [
        "digits",
        "mnist",
        "cifar10",
        "tinyshakespeare",
        "fsdd",
        "audioset",
    ];
}

impl std::fmt::Display for DataName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(Self::NAMES[*self as usize])
    }
}

impl std::str::FromStr for DataName {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let known = known_name("data set", name, &Self::NAMES)?;
        let found = Self::ALL.into_iter().find(|data| data.to_string() == known);
        Ok(found.unwrap_or(Self::Digits))
    }
}

impl TryFrom<String> for DataName {
    type Error = UnknownName;

    fn try_from(name: String) -> Result<Self, UnknownName> {
        name.parse()
    }
}

impl From<DataName> for String {
    fn from(name: DataName) -> Self {
        name.to_string()
    }
}
