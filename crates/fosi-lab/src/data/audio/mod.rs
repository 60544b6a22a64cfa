//! Sound as log-mel patches: WAV files, spoken digits by name, AudioSet by lists.

mod audioset;
mod clips;
mod error;
mod fsdd;
mod log_mel;
mod mel;
mod resample;
mod table;
mod wav;

use super::{Damaged, DataError};

pub use audioset::{AudioSetFiles, ClassList};
pub use clips::{AudioSplit, Clip, ClipLength, Clips, PatchBatch, Patches};
pub use error::AudioError;
pub use fsdd::{Recording, fsdd, fsdd_recordings};
pub use log_mel::{BANDS, FRAMES, LogMel, PATCH_SAMPLES, RATE};
pub use mel::MelFilters;
pub use resample::resample;
pub use wav::{Sound, WavError, read_wav};
