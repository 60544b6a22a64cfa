//! What can be wrong with a run's settings.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{DeviceName, LearningRateSchedule, TaskName};
use crate::data::DataName;
use crate::names::UnknownName;
use crate::optimizers::Family;

/// Settings that cannot be used; the message says what was given, what is allowed and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The configuration file can't be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The configuration file isn't TOML, or a value in it is of the wrong kind.
    #[error("in the configuration file {}: {}", path.display(), reason.trim_end())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says, with line and column.
        reason: String,
    },
    /// A key in the configuration file that is no option.
    #[error("in the configuration file {}: {name}", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key, and the one that was perhaps meant.
        name: UnknownName,
    },
    /// A value in the configuration file that is well-formed and not allowed.
    #[error("in the configuration file {}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<ConfigError>,
    },
    /// The layers don't make a whole.
    #[error("the settings can't be merged: {reason}")]
    Merge {
        /// What the merging library says.
        reason: String,
    },
    /// A data set of another task.
    #[error(
        "task {task} isn't trained on {data}: allowed is {}",
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
    /// A device that the program was built without.
    #[error(
        "this program was built without {device}: build it with --features {device}, or leave --device out"
    )]
    NotBuilt {
        /// The device given.
        device: DeviceName,
    },
    /// K-FAC for a recurrent network.
    #[error(
        "kfac has no blocks for the recurrent layers of lm, as in the paper: leave it out of --optimizers"
    )]
    NoKfac,
    /// All checkpoints are to be kept of a run that writes none.
    #[error(
        "--keep-checkpoints all keeps nothing: the run writes no checkpoints. Add --checkpoint-every STEPS"
    )]
    NothingKept,
    /// A delay of refreshes that is longer than their interval, or in a run whose interval follows from measured times.
    #[error("--refresh-delay {delay} needs --interval STEPS with at least {delay} steps")]
    LongDelay {
        /// The delay given.
        delay: usize,
    },
    /// A delay of refreshes in a run that writes checkpoints.
    #[error(
        "--refresh-delay keeps parameters that a checkpoint doesn't hold: leave --checkpoint-every out"
    )]
    DelayWithCheckpoints,
    /// An option that another task has.
    #[error("--{option} is for {}, not for {task}: leave it out", allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "))]
    OtherTask {
        /// The option.
        option: &'static str,
        /// The task.
        task: TaskName,
        /// The tasks that have it.
        allowed: &'static [TaskName],
    },
    /// An option that none of the run's optimizers has.
    #[error(
        "{given} has no effect: it is for {optimizers}, and --optimizers is {}; leave it out, or add such an optimizer",
        running.join(",")
    )]
    NoEffect {
        /// The option, and for a value of one base optimizer that one.
        given: String,
        /// The optimizers that have it.
        optimizers: String,
        /// The optimizers that run.
        running: Vec<String>,
    },
    /// A folder of data for the embedded digits, which need none.
    #[error(
        "--data-dir {} is given, but the run trains on the embedded digits: add --data mnist, or leave --data-dir out",
        folder.display()
    )]
    EmbeddedData {
        /// The folder given.
        folder: PathBuf,
    },
    /// Damaged examples are to be left out of data that is read whole.
    #[error(
        "--skip-damaged has no effect on {data}, which is read whole or not at all: leave it out"
    )]
    NothingToSkip {
        /// The data set.
        data: DataName,
    },
    /// k = ℓ = 0.
    #[error("--k 0 with --l 0 leaves FOSI no direction: k + l must be at least 1")]
    NoPairs,
    /// Fewer Lanczos steps than eigenpairs asked for.
    #[error(
        "--m {m} is too few Lanczos steps for --k {k} and --l {l}: at least {} are needed; \
         leave --m out for 4(k+l)",
        k.saturating_add(*l)
    )]
    TooFewLanczosSteps {
        /// Lanczos steps given.
        m: usize,
        /// Largest eigenpairs asked for.
        k: usize,
        /// Smallest eigenpairs asked for.
        l: usize,
    },
    /// More eigenpairs than the algorithm takes.
    #[error("--k {k} with --l {l} asks for too many eigenpairs: k + l must be {allowed}")]
    TooManyPairs {
        /// Largest eigenpairs asked for.
        k: usize,
        /// Smallest eigenpairs asked for.
        l: usize,
        /// How many may be.
        allowed: &'static str,
    },
    /// More Lanczos steps than the algorithm takes.
    #[error("--m {m} is too many Lanczos steps: allowed is {allowed}; leave --m out for 4(k+l)")]
    TooManyLanczosSteps {
        /// Lanczos steps given.
        m: usize,
        /// How many may be.
        allowed: &'static str,
    },
    /// A count that must not be zero.
    #[error("--{option} is 0: at least 1 is needed")]
    Zero {
        /// The option.
        option: &'static str,
    },
    /// A count that the machine can't serve.
    #[error("--{option} is {value}: at most {most} are allowed")]
    TooMany {
        /// The option.
        option: &'static str,
        /// The count given.
        value: usize,
        /// How many may be.
        most: usize,
    },
    /// A number outside its range, infinite or not a number.
    #[error("--{option} is {}{}: allowed is {allowed}", short(*.value), of_base(.base))]
    Rate {
        /// The option.
        option: &'static str,
        /// The base optimizer for which it was given, where others have another.
        base: Option<Family>,
        /// The number given.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// `--interval` together with `--overhead`.
    #[error(
        "--interval {interval} and --overhead {overhead} contradict each other: both set how often the \
         spectrum is estimated; give one of them"
    )]
    TwoSchedules {
        /// The interval given.
        interval: usize,
        /// The overhead given.
        overhead: f64,
    },
    /// `--epochs` together with `--steps`.
    #[error(
        "--epochs {epochs} and --steps {steps} contradict each other: both set how long the run is; give one of them"
    )]
    TwoLengths {
        /// The epochs given.
        epochs: usize,
        /// The steps given.
        steps: usize,
    },
    /// A warm-up of the learning rate that is longer than the run, or that leaves a falling rate no step.
    #[error(
        "--warmup-rate {warmup} is too long for --schedule {schedule} in a run of {steps} steps: at most {most} are \
         allowed"
    )]
    WarmupRateTooLong {
        /// Steps of warm-up given.
        warmup: usize,
        /// The schedule after it.
        schedule: LearningRateSchedule,
        /// Steps of the run.
        steps: u64,
        /// Steps that warm-up may have.
        most: u64,
    },
    /// A batch larger than the data.
    #[error("--{option} {batch} is larger than the training data: at most {examples} examples")]
    BatchTooLarge {
        /// `batch` or `curvature-batch`.
        option: &'static str,
        /// The batch size given.
        batch: usize,
        /// Training examples there are.
        examples: usize,
    },
    /// A list with nothing in it.
    #[error("--{option} is an empty list: name at least one")]
    EmptyList {
        /// The option.
        option: &'static str,
    },
    /// A list that names something twice.
    #[error("--{option} names {value} twice: name each once")]
    Repeated {
        /// The option.
        option: &'static str,
        /// What is named twice.
        value: String,
    },
    /// A path that `run.json` can't hold.
    #[error(
        "--{option} {} is no text in UTF-8, as run.json needs it: give a link with another name, or rename it",
        path.display()
    )]
    NotUtf8 {
        /// The option.
        option: &'static str,
        /// The path given.
        path: PathBuf,
    },
    /// A path with a character that ends every path.
    #[error("--{option} holds a NUL character, which no path can: leave it out")]
    NulInPath {
        /// The option.
        option: &'static str,
    },
    /// A run name that isn't the name of one folder.
    #[error(
        "--name `{}` is no folder's name: allowed is one name of at most 255 bytes, other than . and .., without /, \\ \
         and control characters",
        name.escape_debug()
    )]
    Name {
        /// The name given.
        name: String,
    },
}

impl ConfigError {
    /// The settings at fault, by their places in a [`TrainConfig`](super::TrainConfig).
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

    /// The error, with the file in which the value stands.
    pub fn in_file(self, path: &Path) -> Self {
        Self::InFile {
            path: path.to_owned(),
            source: Box::new(self),
        }
    }
}

/// A number as people write it: 1e39 and not forty digits.
fn short(value: f64) -> String {
    match value == 0.0 || (1e-5..1e16).contains(&value.abs()) {
        true => value.to_string(),
        false => format!("{value:e}"),
    }
}

fn of_base(base: &Option<Family>) -> String {
    base.map_or_else(String::new, |base| format!(" for {base}"))
}
