//! Errors in a run's settings.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{DeviceName, LearningRateSchedule, TaskName};
use crate::data::DataName;
use crate::names::UnknownName;
use crate::optimizers::Family;

/// Settings that cannot be used. The message states the given value, the allowed values and the remedy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The configuration file can't be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The configuration file isn't TOML, or a value in it is of the wrong kind.
    #[error("in the configuration file {}: {}", path.display(), reason.trim_end())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's message, with line and column.
        reason: String,
    },
    /// A key in the configuration file is not an option.
    #[error("in the configuration file {}: {name}", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key and perhaps a suggestion.
        name: UnknownName,
    },
    /// A value in the configuration file is well-formed but not allowed.
    #[error("in the configuration file {}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// The error.
        source: Box<ConfigError>,
    },
    /// The layers cannot be merged.
    #[error("cannot merge the settings: {reason}")]
    Merge {
        /// The message of the merging library.
        reason: String,
    },
    /// The task cannot be trained on this data set.
    #[error(
        "task {task} cannot be trained on {data}: give {}",
        allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
    )]
    OtherData {
        /// The task.
        task: TaskName,
        /// The data set given.
        data: DataName,
        /// The task's data sets.
        allowed: &'static [DataName],
    },
    /// The program was built without this device.
    #[error(
        "this program was built without {device}: build it with --features {device}, or leave --device out"
    )]
    NotBuilt {
        /// The device given.
        device: DeviceName,
    },
    /// K-FAC was requested for a recurrent network.
    #[error(
        "kfac does not support the recurrent layers of lm, as in the paper: leave it out of --optimizers"
    )]
    NoKfac,
    /// All checkpoints are to be kept, but the run writes none.
    #[error(
        "--keep-checkpoints all keeps nothing: the run writes no checkpoints. Add --checkpoint-every STEPS"
    )]
    NothingKept,
    /// The delay of refreshes exceeds their interval, or the interval depends on measured times.
    #[error("--refresh-delay {delay} needs --interval STEPS with at least {delay} steps")]
    LongDelay {
        /// The delay given.
        delay: usize,
    },
    /// Refreshes are delayed in a run that writes checkpoints.
    #[error(
        "--refresh-delay needs parameters that a checkpoint does not store: leave --checkpoint-every out"
    )]
    DelayWithCheckpoints,
    /// The option belongs to other tasks.
    #[error("--{option} is for {}, not for {task}: leave it out", allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "))]
    OtherTask {
        /// The option.
        option: &'static str,
        /// The task.
        task: TaskName,
        /// The tasks that use the option.
        allowed: &'static [TaskName],
    },
    /// No optimizer of the run uses the option.
    #[error(
        "{given} has no effect: it is for {optimizers}, and --optimizers is {}; leave it out, or add such an optimizer",
        running.join(",")
    )]
    NoEffect {
        /// The option, with the base optimizer if the value is for one base.
        given: String,
        /// The optimizers that use the option.
        optimizers: String,
        /// The run's optimizers.
        running: Vec<String>,
    },
    /// A data folder is given, but the run uses the embedded digits.
    #[error(
        "--data-dir {} is given, but the run trains on the embedded digits: add --data mnist, or leave --data-dir out",
        folder.display()
    )]
    EmbeddedData {
        /// The folder given.
        folder: PathBuf,
    },
    /// Damaged examples are to be omitted from a data set that cannot be read in part.
    #[error(
        "--skip-damaged has no effect on {data}, which is read whole or not at all: leave it out"
    )]
    NothingToSkip {
        /// The data set.
        data: DataName,
    },
    /// k = ℓ = 0: no eigenpairs are requested.
    #[error("--k 0 with --l 0 leaves FOSI no direction: k + l must be at least 1")]
    NoPairs,
    /// There are fewer Lanczos steps than requested eigenpairs.
    #[error(
        "--m {m} is too few Lanczos steps for --k {k} and --l {l}: at least {} are needed; \
         leave --m out for 4(k+l)",
        k.saturating_add(*l)
    )]
    TooFewLanczosSteps {
        /// The given number of Lanczos steps.
        m: usize,
        /// The requested number of largest eigenpairs.
        k: usize,
        /// The requested number of smallest eigenpairs.
        l: usize,
    },
    /// More eigenpairs are requested than the algorithm supports.
    #[error("--k {k} with --l {l} asks for too many eigenpairs: k + l must be {allowed}")]
    TooManyPairs {
        /// The requested number of largest eigenpairs.
        k: usize,
        /// The requested number of smallest eigenpairs.
        l: usize,
        /// The allowed number.
        allowed: &'static str,
    },
    /// More Lanczos steps are requested than the algorithm supports.
    #[error("--m {m} is too many Lanczos steps: allowed is {allowed}; leave --m out for 4(k+l)")]
    TooManyLanczosSteps {
        /// The given number of Lanczos steps.
        m: usize,
        /// The allowed number.
        allowed: &'static str,
    },
    /// A count is zero.
    #[error("--{option} is 0: at least 1 is needed")]
    Zero {
        /// The option.
        option: &'static str,
    },
    /// A count exceeds the program's limit.
    #[error("--{option} is {value}: at most {most} are allowed")]
    TooMany {
        /// The option.
        option: &'static str,
        /// The given count.
        value: usize,
        /// The largest allowed count.
        most: usize,
    },
    /// A number is outside its range, infinite or NaN.
    #[error("--{option} is {}{}: it must be {allowed}", short(*.value), of_base(.base))]
    Rate {
        /// The option.
        option: &'static str,
        /// The base optimizer at fault, if the numbers of the bases differ.
        base: Option<Family>,
        /// The given number.
        value: f64,
        /// The allowed values.
        allowed: &'static str,
    },
    /// `--interval` and `--overhead` are both given.
    #[error(
        "--interval {interval} and --overhead {overhead} contradict each other: both set how often the \
         spectrum is estimated; give one of them"
    )]
    TwoSchedules {
        /// The given interval.
        interval: usize,
        /// The given overhead.
        overhead: f64,
    },
    /// `--epochs` and `--steps` are both given.
    #[error(
        "--epochs {epochs} and --steps {steps} contradict each other: both set how long the run is; give one of them"
    )]
    TwoLengths {
        /// The given number of epochs.
        epochs: usize,
        /// The given number of steps.
        steps: usize,
    },
    /// The learning rate's warm-up is longer than the run, or it leaves no step for a decreasing rate.
    #[error(
        "--warmup-rate {warmup} is too long for --schedule {schedule} in a run of {steps} steps: at most {most} are \
         allowed"
    )]
    WarmupRateTooLong {
        /// The given number of warm-up steps.
        warmup: usize,
        /// The schedule after the warm-up.
        schedule: LearningRateSchedule,
        /// The steps of the run.
        steps: u64,
        /// The largest allowed number of warm-up steps.
        most: u64,
    },
    /// The batch is larger than the data set.
    #[error("--{option} {batch} is larger than the training data: at most {examples} examples")]
    BatchTooLarge {
        /// `batch` or `curvature-batch`.
        option: &'static str,
        /// The given batch size.
        batch: usize,
        /// The number of training examples.
        examples: usize,
    },
    /// A list is empty.
    #[error("--{option} is an empty list: name at least one")]
    EmptyList {
        /// The option.
        option: &'static str,
    },
    /// A list contains a value twice.
    #[error("--{option} names {value} twice: name each once")]
    Repeated {
        /// The option.
        option: &'static str,
        /// The repeated value.
        value: String,
    },
    /// A path is not UTF-8, which `run.json` requires.
    #[error(
        "--{option} {} is not valid UTF-8, which run.json requires: rename it, or give a link with another name",
        path.display()
    )]
    NotUtf8 {
        /// The option.
        option: &'static str,
        /// The given path.
        path: PathBuf,
    },
    /// A path contains a NUL character, which would end it.
    #[error("--{option} contains a NUL character, which no path may contain: remove it")]
    NulInPath {
        /// The option.
        option: &'static str,
    },
    /// A run's name is not a valid folder name.
    #[error(
        "--name `{}` is not a folder name: it must be a name of at most 255 bytes, other than . and .., without /, \\ \
         and control characters",
        name.escape_debug()
    )]
    Name {
        /// The given name.
        name: String,
    },
}

impl ConfigError {
    /// The settings at fault, as field names of a [`TrainConfig`](super::TrainConfig).
    pub(super) fn options(&self) -> Vec<String> {
        let options: &[&str] = match self {
            Self::OtherData { .. } => &["data"],
            Self::NotBuilt { .. } => &["device"],
            Self::EmbeddedData { .. } => &["data-dir"],
            Self::NothingToSkip { .. } => &["skip-damaged"],
            Self::NoPairs | Self::TooManyPairs { .. } => &["k", "l"],
            Self::TooFewLanczosSteps { .. } => &["m", "k", "l"],
            Self::TooManyLanczosSteps { .. } => &["m"],
            Self::Name { .. } => &["name"],
            Self::NothingKept => &["keep-checkpoints"],
            Self::NoKfac => &["optimizers"],
            Self::LongDelay { .. } => &["refresh-delay", "refreshes.value"],
            Self::DelayWithCheckpoints => &["refresh-delay", "checkpoint-every"],
            Self::Zero { option: "interval" }
            | Self::Rate {
                option: "overhead", ..
            } => &["refreshes.value"],
            Self::Zero {
                option: "epochs" | "steps",
            } => &["length.value"],
            Self::WarmupRateTooLong { .. } => &["warmup-rate", "length.value"],
            Self::Rate {
                option,
                base: Some(base),
                ..
            } => return vec![format!("{option}.{base}")],
            Self::Zero { option }
            | Self::BatchTooLarge { option, .. }
            | Self::TooMany { option, .. }
            | Self::Rate { option, .. }
            | Self::EmptyList { option }
            | Self::Repeated { option, .. } => std::slice::from_ref(option),
            _ => &[],
        };
        options.iter().map(ToString::to_string).collect()
    }

    /// The error, with the file that contains the value.
    pub fn in_file(self, path: &Path) -> Self {
        Self::InFile {
            path: path.to_owned(),
            source: Box::new(self),
        }
    }
}

/// A number in short form: 1e39 instead of forty digits.
fn short(value: f64) -> String {
    match value == 0.0 || (1e-5..1e16).contains(&value.abs()) {
        true => value.to_string(),
        false => format!("{value:e}"),
    }
}

fn of_base(base: &Option<Family>) -> String {
    base.map_or_else(String::new, |base| format!(" for {base}"))
}
