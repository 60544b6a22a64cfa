//! Makes the runs of a study one after the other, possibly in parallel with other processes.

use std::time::Duration;

use super::CommandError;
use super::surroundings::Surroundings;
use crate::config::TrainConfig;
use crate::pays::{Claim, KeptRuns, PaysError, Record, Study};
use crate::runs::{RunFolder, RunStatus};
use crate::stale::Sweep;
use crate::tasks::Opening;
use crate::train::{self, Workload};

/// Time between two searches for a run that another process has abandoned or finished.
const PATIENCE: Duration = Duration::from_millis(200);

/// The runs of a study.
pub(super) trait Runs {
    /// The settings of the next runs, in any order; empty if all runs exist.
    fn missing(&self, kept: &KeptRuns) -> Result<Vec<TrainConfig>, PaysError>;

    /// Checks the settings that depend on the number of training examples.
    fn check_against(&self, examples: usize) -> Result<(), PaysError>;
}

impl Runs for Study {
    fn missing(&self, kept: &KeptRuns) -> Result<Vec<TrainConfig>, PaysError> {
        Study::missing(self, kept)
    }

    fn check_against(&self, examples: usize) -> Result<(), PaysError> {
        let mut methods = self.methods();
        methods.try_for_each(|method| Ok(method.check_against(examples)?))
    }
}

impl Runs for Sweep {
    fn missing(&self, kept: &KeptRuns) -> Result<Vec<TrainConfig>, PaysError> {
        Sweep::missing(self, kept)
    }

    fn check_against(&self, examples: usize) -> Result<(), PaysError> {
        Sweep::check_against(self, examples)
    }
}

/// Makes the runs of a study.
pub(super) struct Maker<'a> {
    pub(super) runs: &'a dyn Runs,
    pub(super) kept: KeptRuns,
    /// The number of processes that make runs, including this one.
    pub(super) jobs: usize,
    pub(super) surroundings: &'a Surroundings<'a>,
}

impl Maker<'_> {
    /// Makes runs until none is missing or an interrupt occurs.
    pub(super) fn make_all(&self) -> Result<(), CommandError> {
        let mut opened: Vec<(TrainConfig, Box<dyn Workload>)> = Vec::new();
        while !self.surroundings.interrupt.requested() {
            let missing = self.runs.missing(&self.kept)?;
            if missing.is_empty() {
                break;
            }
            let Some((settings, claim)) = self.claim(missing)? else {
                std::thread::sleep(PATIENCE);
                continue;
            };
            let same = |(config, _): &(TrainConfig, _)| config.has_task_of(&settings);
            let index = match opened.iter().position(same) {
                Some(index) => index,
                None => {
                    opened.push((settings.clone(), self.open(&settings)?));
                    opened.len() - 1
                }
            };
            self.make(opened[index].1.as_ref(), &settings, claim)?;
        }
        Ok(())
    }

    /// The first run that no other process is making.
    fn claim(
        &self,
        missing: Vec<TrainConfig>,
    ) -> Result<Option<(TrainConfig, Claim)>, CommandError> {
        for settings in missing {
            if let Some(claim) = self.kept.claim(&settings)? {
                return Ok(Some((settings, claim)));
            }
        }
        Ok(None)
    }

    /// Opens a task and checks that existing runs were made on its data.
    fn open(&self, settings: &TrainConfig) -> Result<Box<dyn Workload>, CommandError> {
        let workload = (self.surroundings.make_workload)(settings, Opening::Whole)?;
        let data = workload.data();
        self.runs.check_against(data.train)?;
        match self.kept.made_on_other(&data) {
            Some(path) => Err(PaysError::ChangedData { path }.into()),
            None => Ok(workload),
        }
    }

    /// Makes and stores one run; an interrupted run leaves no files.
    fn make(
        &self,
        workload: &dyn Workload,
        settings: &TrainConfig,
        claim: Claim,
    ) -> Result<(), CommandError> {
        let Surroundings {
            make_observer,
            notice,
            interrupt,
            ..
        } = self.surroundings;
        let workload = workload.with_config(settings);
        let mut folder = RunFolder::create(claim.folder(), "run")?;
        let name = name_of(settings);
        let mut observer = make_observer(name.clone());
        let run = train::run(
            workload.as_ref(),
            settings,
            &mut folder,
            observer.as_mut(),
            interrupt,
        )?;
        drop(observer);
        if run.record.status == RunStatus::Finished {
            let record = Record::of(&run, settings, self.jobs);
            claim.keep(&record)?;
            notice(&format!("{name}: {}", ending(&record)));
        }
        Ok(())
    }
}

fn name_of(settings: &TrainConfig) -> String {
    let optimizer = settings.optimizers.first();
    let (name, rate) = optimizer.map_or((String::new(), 0.0), |optimizer| {
        (optimizer.to_string(), settings.lr.get(optimizer.family))
    });
    let length = settings.length;
    let seed = settings.seeds.first().copied().unwrap_or_default();
    format!("{name}, {length}, rate {rate:.3e}, seed {seed}")
}

fn ending(record: &Record) -> String {
    match (&record.diverged, record.train_loss) {
        (None, Some(loss)) => format!("loss {loss:.4e} in {:.1} s", record.seconds),
        (reason, _) => {
            let reason = reason.as_deref().unwrap_or("no loss");
            format!("stopped after {} steps: {reason}", record.steps)
        }
    }
}
