//! A run's folder: `metrics.csv`, `run.json` and the figures.

mod checkpoint;
mod error;
mod events;
mod folder;
mod lock;
mod machine;
mod metrics;
mod record;
mod several;

pub use checkpoint::{Checkpoint, CheckpointHeader, TrainerState};
pub use error::RunError;
pub use events::EventFile;
pub use folder::{Run, RunFolder, RunStamp, weights_file};
pub(crate) use folder::{check_writable, replace_file};
pub use lock::RunLock;
pub use machine::{Machine, peak_memory};
pub use metrics::MetricsRow;
pub use record::{
    DataDescription, Failure, MemoryRecord, ModelDescription, RefreshOutcome, RefreshRecord,
    RunRecord, RunStatus, Versions,
};
pub use several::{read_runs, read_whole_runs};
