//! The data sets, their files, and the order of the examples in training.

mod audio;
mod batches;
mod check;
mod dataset;
mod digits;
mod error;
mod file;
mod idx;
mod images;
mod mnist;
mod name;
mod prefetch;
mod text;

pub use audio::{
    AudioError, AudioSetFiles, AudioSplit, BANDS, ClassList, Clip, ClipLength, Clips, FRAMES,
    LogMel, MelFilters, PATCH_SAMPLES, PatchBatch, Patches, RATE, Recording, Sound, WavError, fsdd,
    fsdd_recordings, read_wav, resample,
};
pub use batches::{Batches, draw};
pub use check::{Finding, State, check};
pub use dataset::{Batch, Dataset, DatasetSplit, Part};
pub use digits::digits;
pub use error::DataError;
pub use file::Damaged;
pub use idx::{IdxImages, read_images, read_labels};
pub use images::{
    CIFAR10_CLASSES, CifarFiles, ColourCounts, ColourImages, ColourSplit, ImageSplit, Images,
    ImagesError, class_folders, colour_images, read_cifar10_file,
};
pub use mnist::mnist;
pub use name::DataName;
pub use prefetch::Prefetch;
pub use text::{
    CHARACTERS, NonAscii, SequenceBatch, Sequences, TextError, TextSplit, find_text, read_text,
    text_sequences,
};
