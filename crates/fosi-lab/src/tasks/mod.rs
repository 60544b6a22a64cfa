//! The paper's five tasks and a deep autoencoder: data, models and losses. [`open`] sets up a run's task.

mod autoencoding;
mod bases;
mod checksum;
mod classification;
mod curvature;
mod curvature_batch;
mod deep_autoencoding;
mod device;
mod error;
mod features;
mod language;
mod open;
mod placeholder;
mod preparation;
mod reconstructions;
mod refresh_delay;
mod rival;
mod share;
mod sound;
mod spectrum;
mod subject;
mod task;
mod trainer;
mod vectors;
mod workload;

use error::left_out;
use task::{Score, Task};

pub use error::TaskError;
pub use open::open;
pub use preparation::{Advance, MakeProgress, Opening, Preparation};
