//! `run.json`: what was run, where, and what happened.

use fosi::timing::Timing;
use serde::{Deserialize, Serialize};

use super::Machine;
use crate::config::TrainConfig;
use crate::data::Part;
use crate::optimizers::OptimizerName;

/// A whole run, as `run.json` holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this format.
    pub format: u64,
    /// The run's name, which is its folder's.
    pub name: String,
    /// How far the run came.
    pub status: RunStatus,
    /// Start, RFC 3339, UTC.
    pub started: String,
    /// End, RFC 3339, UTC.
    pub finished: Option<String>,
    /// Every setting.
    pub config: TrainConfig,
    /// What was trained.
    pub model: ModelDescription,
    /// What it was trained on.
    pub data: DataDescription,
    /// How data and model came about: times, files left out.
    pub notes: Vec<String>,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The program's parts.
    pub versions: Versions,
    /// Where the times were measured.
    pub machine: Machine,
    /// Every estimation of a spectrum.
    pub refreshes: Vec<RefreshRecord>,
    /// Every optimizer that was stopped.
    pub failures: Vec<Failure>,
    /// Memory of each optimizer with each seed that came to its end.
    #[serde(default)]
    pub memory: Vec<MemoryRecord>,
}

impl RunRecord {
    /// The format that this program writes and reads.
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

    /// Notes an optimizer's memory, in place of what a resumed run had noted of it.
    pub fn note_memory(&mut self, memory: MemoryRecord) {
        let of = |other: &MemoryRecord| (other.optimizer, other.seed);
        self.memory.retain(|other| of(other) != of(&memory));
        self.memory.push(memory);
    }

    /// The newest spectrum that an optimizer adopted before `step`: its eigenvalues and the scale.
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

    /// Passes over the training data that so many steps are, with the part of one that was cut short.
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

/// The time, RFC 3339 to the second, UTC.
pub(super) fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// Not over.
    Running,
    /// Over, with every optimizer tried.
    Finished,
    /// Ended by Ctrl-C.
    Interrupted,
    /// Ended without a word, as by a kill or a power cut: the file says that it is running, and no process trains it.
    CutOff,
}

/// What is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelDescription {
    /// For people, such as `logistic regression, 784 inputs, 10 classes`.
    pub name: String,
    /// Number n of parameters.
    pub parameters: usize,
}

/// What a model is trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataDescription {
    /// The data set's name.
    pub name: String,
    /// Training examples.
    pub train: usize,
    /// Validation examples.
    pub validation: usize,
    /// Lengths of an example's axes, such as 3, 32, 32 for a colour image.
    pub shape: Vec<usize>,
    /// Number of classes; 0 where there are none.
    pub classes: usize,
    /// SHA-256 of all examples, in hexadecimal digits.
    pub checksum: String,
}

impl DataDescription {
    /// Whether both are the same data, as far as their descriptions tell: a checksum that is missing fits any.
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

    /// Examples of a part.
    pub fn examples(&self, part: Part) -> usize {
        match part {
            Part::Train => self.train,
            Part::Validation => self.validation,
        }
    }
}

/// Versions of the program and of what it was built with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Versions {
    /// This program.
    pub fosi: String,
    /// The commit that it was built from, with `-modified` where files differed from it; empty where it was built
    /// outside its repository.
    pub commit: String,
    /// `release`, or `debug` where assertions are on and times mean little.
    pub profile: String,
    /// Burn.
    pub burn: String,
    /// The compiler.
    pub rustc: String,
    /// Instruction sets that the compiler could take for granted.
    pub target_features: String,
}

impl Versions {
    /// The version of Burn in `Cargo.lock`.
    const BURN: &str = "0.22.1";

    /// Of this program.
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

/// What an optimizer kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryRecord {
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// The run's seed.
    pub seed: u64,
    /// Bytes of the state that it keeps from step to step, as a checkpoint holds it: momenta, eigenvectors, factors.
    pub state: u64,
    /// The most bytes that the process had resident by then, model, data and earlier optimizers included: the optimizer's own
    /// where it ran alone. `None` where the system doesn't say.
    pub peak: Option<u64>,
}

/// One estimation of the spectrum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefreshRecord {
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// The run's seed.
    pub seed: u64,
    /// Steps taken before it.
    pub step: u64,
    /// Hessian-vector products that it computed.
    pub products: u64,
    /// Seconds that it took.
    pub seconds: f64,
    /// Steps to the next one, T; none where it isn't known yet. With `--overhead` it follows from measured times, and
    /// changes with them until the next one is due.
    pub interval: Option<u64>,
    /// r: what a product cost in steps; none where the schedule doesn't ask for it, or it isn't known yet.
    pub product_cost: Option<f64>,
    /// The measured times from which T follows, and whether it keeps the overhead; none where the schedule measures
    /// none.
    pub timing: Option<Timing>,
    /// What came of it.
    pub outcome: RefreshOutcome,
}

/// What came of an estimation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefreshOutcome {
    /// A new spectrum.
    Accepted {
        /// Eigenvalues, the largest first.
        eigenvalues: Vec<f64>,
        /// ‖Hv − λv‖ of each pair, as Lanczos bounds it.
        residuals: Vec<f64>,
        /// Products computed again with another step, because those before weren't symmetric.
        retries: usize,
        /// The largest asymmetry of an accepted product, relative to the largest α and β.
        asymmetry: Option<f64>,
        /// Whether the operator had to be moved off an exact tie.
        shifted: bool,
        /// Factor s on the base optimizer's direction from here on.
        scale: f64,
        /// The largest eigenvalue after the k largest, where there is one: see [`fosi::Refresh::next_eigenvalue`].
        #[serde(default)]
        next_eigenvalue: Option<f64>,
        /// Share of this batch's curvature that the refresh before holds: see [`fosi::Refresh::captured_by_last`].
        #[serde(default)]
        captured_by_last: Option<f64>,
        /// The interval that Lemma 4 gives for α at the learning rate of the step that follows, and whether α lies in it: see
        /// [`fosi::Refresh::lemma_4`]. `None` where the lemma does not apply.
        #[serde(default)]
        lemma_4: Option<(f64, f64, bool)>,
    },
    /// Refused; the old spectrum stayed.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

/// An optimizer that was stopped before the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// The run's seed.
    pub seed: u64,
    /// Epoch in which it was stopped, from 1.
    pub epoch: u64,
    /// Steps that it had taken.
    pub step: u64,
    /// Why.
    pub reason: String,
    /// Eigenvalues of the newest spectrum, the largest first; empty where there was none.
    pub eigenvalues: Vec<f64>,
    /// Factor s on the base optimizer's direction at the time; 1 where there was no spectrum.
    pub scale: f64,
    /// File in the run's folder that holds the last good state of model and optimizer; none where there is no such
    /// state.
    pub state: Option<String>,
    /// Why there is no such state, where it was looked for.
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
    /// A sentence about the newest spectrum; none where there was none.
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
