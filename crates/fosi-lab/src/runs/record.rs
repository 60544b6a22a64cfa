//! `run.json`: the settings, environment and events of a run.

use fosi::timing::Timing;
use serde::{Deserialize, Serialize};

use super::Machine;
use crate::config::TrainConfig;
use crate::data::Part;
use crate::optimizers::OptimizerName;

/// A complete run, as stored in `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The version of this format.
    pub format: u64,
    /// The run's name and that of its folder.
    pub name: String,
    /// The run's status.
    pub status: RunStatus,
    /// The start time in UTC (RFC 3339).
    pub started: String,
    /// The end time in UTC (RFC 3339).
    pub finished: Option<String>,
    /// Every setting.
    pub config: TrainConfig,
    /// The model.
    pub model: ModelDescription,
    /// The data set.
    pub data: DataDescription,
    /// Notes about the preparation of data and model: times, omitted files.
    pub notes: Vec<String>,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The versions of the program and its parts.
    pub versions: Versions,
    /// The machine that measured the times.
    pub machine: Machine,
    /// All estimations of the spectrum.
    pub refreshes: Vec<RefreshRecord>,
    /// All optimizers that were stopped.
    pub failures: Vec<Failure>,
    /// The memory use of each optimizer and seed that finished.
    #[serde(default)]
    pub memory: Vec<MemoryRecord>,
}

impl RunRecord {
    /// The version of the format that this program reads and writes.
    pub const FORMAT: u64 = 4;

    /// The record of a run that starts now on this machine.
    pub fn start(
        name: &str,
        config: &TrainConfig,
        model: ModelDescription,
        data: DataDescription,
    ) -> Self {
        Self {
            format: Self::FORMAT,
            name: name.to_owned(),
            status: RunStatus::Running,
            started: now(),
            finished: None,
            config: config.clone(),
            model,
            data,
            notes: Vec::new(),
            command: std::env::args_os()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            versions: Versions::here(),
            machine: Machine::here(),
            refreshes: Vec::new(),
            failures: Vec::new(),
            memory: Vec::new(),
        }
    }

    /// Stores an optimizer's memory use and replaces an earlier entry of a resumed run.
    pub fn note_memory(&mut self, memory: MemoryRecord) {
        let of = |other: &MemoryRecord| (other.optimizer, other.seed);
        self.memory.retain(|other| of(other) != of(&memory));
        self.memory.push(memory);
    }

    /// The newest spectrum that an optimizer adopted before `step`: eigenvalues and scale.
    pub fn spectrum_before(
        &self,
        (optimizer, seed): (OptimizerName, u64),
        step: u64,
    ) -> Option<(&[f64], f64)> {
        let own = |refresh: &&RefreshRecord| {
            (refresh.optimizer, refresh.seed) == (optimizer, seed) && refresh.step < step
        };
        let mut older = self.refreshes.iter().rev().filter(own);
        older.find_map(|refresh| match &refresh.outcome {
            RefreshOutcome::Accepted {
                eigenvalues, scale, ..
            } => Some((eigenvalues.as_slice(), *scale)),
            RefreshOutcome::Refused { .. } => None,
        })
    }

    /// The number of epochs in this number of steps, including the fraction of an incomplete one.
    pub fn epochs_after(&self, steps: u64) -> f64 {
        let per_epoch = self.config.steps_per_epoch(self.data.train).max(1);
        steps as f64 / per_epoch as f64
    }

    /// Marks the run as running again.
    pub fn resume(&mut self) {
        self.status = RunStatus::Running;
        self.finished = None;
    }

    /// Marks the run as over.
    pub fn finish(&mut self, status: RunStatus) {
        self.status = status;
        self.finished = Some(now());
    }
}

/// The current time in UTC (RFC 3339), to the second.
pub(super) fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

/// The status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// In progress.
    Running,
    /// Over; every optimizer was tried.
    Finished,
    /// Interrupted by Ctrl-C.
    Interrupted,
    /// Ended without a record, for example by a kill or a power failure: the file's status is running, but no process
    /// trains the run.
    CutOff,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelDescription {
    /// A description, such as `logistic regression, 784 inputs, 10 classes`.
    pub name: String,
    /// The number n of parameters.
    pub parameters: usize,
}

/// A data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataDescription {
    /// The data set's name.
    pub name: String,
    /// Training examples.
    pub train: usize,
    /// Validation examples.
    pub validation: usize,
    /// The dimensions of an example, such as 3, 32, 32 for a colour image.
    pub shape: Vec<usize>,
    /// The number of classes; 0 for data without classes.
    pub classes: usize,
    /// The SHA-256 of all examples, in hexadecimal digits.
    pub checksum: String,
}

impl DataDescription {
    /// Whether both describe the same data; a missing checksum matches any.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let differ = |a: &str, b: &str| !a.is_empty() && !b.is_empty() && a != b;
        let with_own = Self {
            checksum: self.checksum.clone(),
            ..other.clone()
        };
        *self == with_own && !differ(&self.checksum, &other.checksum)
    }

    /// Name, size and the start of the checksum, for messages.
    pub fn identity(&self) -> String {
        let checksum = match self.checksum.get(..12) {
            Some(start) => format!(", SHA-256 {start}…"),
            None => String::new(),
        };
        format!(
            "{} ({} training and {} validation examples{checksum})",
            self.name, self.train, self.validation
        )
    }

    /// The number of examples in a part.
    pub fn examples(&self, part: Part) -> usize {
        match part {
            Part::Train => self.train,
            Part::Validation => self.validation,
        }
    }
}

/// The versions of the program and its build environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Versions {
    /// This program.
    pub fosi: String,
    /// The commit of the build, with `-modified` if files differed from it; empty for builds outside the repository.
    pub commit: String,
    /// `release`, or `debug`, which enables assertions and makes times meaningless.
    pub profile: String,
    /// Burn's version.
    pub burn: String,
    /// The compiler's version.
    pub rustc: String,
    /// The instruction sets that the compiler was allowed to use.
    pub target_features: String,
}

impl Versions {
    /// The version of Burn in `Cargo.lock`.
    const BURN: &str = "0.22.1";

    /// The versions of this program.
    pub fn here() -> Self {
        let debug = cfg!(debug_assertions);
        Self {
            fosi: env!("CARGO_PKG_VERSION").to_owned(),
            commit: env!("FOSI_COMMIT").to_owned(),
            profile: if debug { "debug" } else { "release" }.to_owned(),
            burn: Self::BURN.to_owned(),
            rustc: env!("FOSI_RUSTC").to_owned(),
            target_features: env!("FOSI_TARGET_FEATURES").to_owned(),
        }
    }
}

impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let commit = match self.commit.as_str() {
            "" => "of an unknown commit",
            known => known,
        };
        write!(
            f,
            "fosi {} ({}, {commit}, {})",
            self.fosi, self.profile, self.rustc
        )
    }
}

/// The memory use of an optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryRecord {
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// The run's seed.
    pub seed: u64,
    /// The size in bytes of the state kept between steps, as in a checkpoint: momenta, eigenvectors, factors.
    pub state: u64,
    /// The process's peak resident memory in bytes at the end, including model, data and earlier optimizers; it is the
    /// optimizer's own if that ran alone. `None` if the system does not report it.
    pub peak: Option<u64>,
}

/// One estimation of the spectrum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefreshRecord {
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// The run's seed.
    pub seed: u64,
    /// The number of steps before it.
    pub step: u64,
    /// The number of Hessian-vector products.
    pub products: u64,
    /// The duration in seconds.
    pub seconds: f64,
    /// The number T of steps to the next estimation; `None` if unknown. With `--overhead`, T follows from measured
    /// times and changes with them until the next estimation is due.
    pub interval: Option<u64>,
    /// r: the cost of a product, in steps; `None` if the schedule does not need it or it is unknown.
    pub product_cost: Option<f64>,
    /// The measured times that determine T, and whether T keeps the overhead; `None` if the schedule measures no times.
    pub timing: Option<Timing>,
    /// The outcome.
    pub outcome: RefreshOutcome,
}

/// The outcome of an estimation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefreshOutcome {
    /// A new spectrum.
    Accepted {
        /// Eigenvalues, the largest first.
        eigenvalues: Vec<f64>,
        /// Lanczos's bounds on ‖Hv − λv‖ for each pair.
        residuals: Vec<f64>,
        /// The number of products repeated with another difference step because the first were not symmetric.
        retries: usize,
        /// The largest asymmetry of an accepted product, relative to the largest α and β.
        asymmetry: Option<f64>,
        /// Whether the parameters were shifted to avoid an exact tie.
        shifted: bool,
        /// The new scale s of the base optimizer's direction.
        scale: f64,
        /// The largest eigenvalue below the k largest, if known; see [`fosi::Refresh::next_eigenvalue`].
        #[serde(default)]
        next_eigenvalue: Option<f64>,
        /// The share of this batch's curvature that the previous refresh captures; see
        /// [`fosi::Refresh::captured_by_last`].
        #[serde(default)]
        captured_by_last: Option<f64>,
        /// γ, the weight of this refresh in the running mean; see [`fosi::Refresh::weight`].
        #[serde(default)]
        weight: Option<f64>,
        /// The interval that Lemma 4 gives for α at the learning rate of the step that follows, and whether α lies in it: see
        /// [`fosi::Refresh::lemma_4`]. `None` where the lemma does not apply.
        #[serde(default)]
        lemma_4: Option<(f64, f64, bool)>,
    },
    /// Refused; the old spectrum stays in use.
    Refused {
        /// The reason and a remedy.
        reason: String,
    },
}

/// An optimizer that was stopped before its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// The run's seed.
    pub seed: u64,
    /// The epoch in which it was stopped, from 1.
    pub epoch: u64,
    /// The number of steps taken.
    pub step: u64,
    /// The reason.
    pub reason: String,
    /// The eigenvalues of the newest spectrum, the largest first; empty without a spectrum.
    pub eigenvalues: Vec<f64>,
    /// The scale s of the base optimizer's direction at that time; 1 without a spectrum.
    pub scale: f64,
    /// The file in the run's folder with the last good state of model and optimizer; `None` without such a state.
    pub state: Option<String>,
    /// The reason why such a state could not be saved.
    pub state_error: Option<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            optimizer,
            seed,
            epoch,
            step,
            reason,
            ..
        } = self;
        write!(
            f,
            "{optimizer} (seed {seed}) was stopped in epoch {epoch} after step {step}: {reason}"
        )
    }
}

impl Failure {
    /// A sentence about the newest spectrum; `None` without a spectrum.
    pub fn spectrum(&self) -> Option<String> {
        let largest = self.eigenvalues.iter().copied().reduce(f64::max)?;
        let scale = self.scale;
        Some(format!(
            "Its newest spectrum had eigenvalues up to {largest:.4e}; s was {scale:.3}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_of_the_build() {
        let lock = include_str!("../../../../Cargo.lock");
        let burn = format!("name = \"burn\"\nversion = \"{}\"", Versions::BURN);
        assert!(lock.contains(&burn), "Burn is no longer {}", Versions::BURN);
        assert!(Versions::here().rustc.starts_with("rustc 1."));
    }
}
