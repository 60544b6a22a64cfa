//! `fosi study`.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::CommandError;
use super::curvature::curvature;
use super::output::{make_folder, write_figure};
use super::train::MakeWorkload;
use super::workers::Workers;
use crate::cli::{PaysCommand, StudyCommand, StudySubcommand};
use crate::config::{TrainConfig, TrainOptions};
use crate::interrupt::{self, Interrupt};
use crate::pays::{Claim, KeptRuns, PaysError, Record, Report, Study, Variant, picture};
use crate::runs::{RunFolder, RunStatus, replace_file};
use crate::tasks::Opening;
use crate::train::{self, Observer, Workload};

/// Makes what watches the run of this name.
pub type MakeObserver<'a> = dyn Fn(String) -> Box<dyn Observer> + 'a;

/// What a study needs of the program around it.
pub struct Surroundings<'a> {
    /// Opens a task.
    pub make_workload: &'a MakeWorkload<'a>,
    /// Watches a run.
    pub make_observer: &'a MakeObserver<'a>,
    /// Says a line.
    pub notice: &'a dyn Fn(&str),
    /// Ctrl-C.
    pub interrupt: &'a Interrupt,
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("interrupt", self.interrupt)
            .finish_non_exhaustive()
    }
}

/// Between two looks for a run that another process has left or finished.
const PATIENCE: Duration = Duration::from_millis(200);

/// `fosi study`: makes the runs that aren't kept yet, and prints and draws what they say.
///
/// # Errors
/// [`CommandError`] for options that are wrong, data that can't be read or has changed, a damaged run, or where a file
/// can't be written.
pub fn study(
    command: &StudyCommand,
    surroundings: &Surroundings<'_>,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    match &command.command {
        StudySubcommand::Pays(command) => pays(command, surroundings, out),
        StudySubcommand::Curvature(command) => curvature(command, surroundings, out),
    }
}

fn pays(
    command: &PaysCommand,
    surroundings: &Surroundings<'_>,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    let mut layers = Vec::new();
    if let Some(path) = &command.config {
        layers.push(TrainOptions::from_file(path)?);
    }
    layers.push(command.options.clone());
    let variants = match command.variants.as_slice() {
        [] => vec![Variant::plain()],
        given => given.to_vec(),
    };
    let (bases, factor) = (&command.bases, command.grid_factor);
    let study = Study::new(command.task, &layers, bases, &variants, factor)?;
    let given = layers.iter().rev().find_map(|layer| layer.out.clone());
    let folder = given.unwrap_or_else(|| "pays".into());
    let interrupt = surroundings.interrupt;
    interrupt.heed();
    make_folder(&folder)?;
    let maker = Maker {
        study: &study,
        kept: KeptRuns::new(&folder),
        jobs: command.jobs,
        surroundings,
    };
    let missing = maker.study.missing(&maker.kept)?.len();
    let workers = match missing > 0 && !command.worker {
        true => Workers::start(command.jobs - 1)?,
        false => Workers::none(),
    };
    maker.make_all()?;
    workers.finish();
    if !command.worker {
        report(&study, &maker.kept, &folder, out)?;
    }
    match interrupt.requested() {
        true => Ok(interrupt::EXIT_STATUS),
        false => Ok(0),
    }
}

/// Writes the table and the picture, and prints the table.
fn report(
    study: &Study,
    kept: &KeptRuns,
    folder: &Path,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let comparisons = study.comparisons(kept)?;
    let text = Report::new(study, &comparisons).text;
    let name = study.name();
    replace_file(&folder.join(format!("{name}.md")), text.as_bytes())?;
    let drawn = picture(study, &comparisons);
    if let Some(figure) = &drawn {
        write_figure(folder, &name, figure)?;
    }
    let picture = match drawn {
        Some(_) => format!(", the picture in {name}.svg and {name}.png"),
        None => String::new(),
    };
    let table = folder.join(format!("{name}.md"));
    writeln!(out, "{text}\nThe table is in {}{picture}", table.display())?;
    Ok(())
}

/// Makes runs.
struct Maker<'a> {
    study: &'a Study,
    kept: KeptRuns,
    jobs: usize,
    surroundings: &'a Surroundings<'a>,
}

impl Maker<'_> {
    /// Makes runs until none is missing, or an interrupt.
    fn make_all(&self) -> Result<(), CommandError> {
        let mut opened: Vec<(TrainConfig, Box<dyn Workload>)> = Vec::new();
        while !self.surroundings.interrupt.requested() {
            let missing = self.study.missing(&self.kept)?;
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

    /// The first run that no other process makes.
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

    /// Opens a task, and checks that kept runs were made on its data.
    fn open(&self, settings: &TrainConfig) -> Result<Box<dyn Workload>, CommandError> {
        let workload = (self.surroundings.make_workload)(settings, Opening::Whole)?;
        let data = workload.data();
        for method in self.study.methods() {
            method.check_against(data.train)?;
        }
        match self.kept.made_on_other(&data) {
            Some(path) => Err(PaysError::ChangedData { path }.into()),
            None => Ok(workload),
        }
    }

    /// Makes one run and keeps it; one that is interrupted leaves nothing.
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
    let steps = settings.length.steps(1);
    let seed = settings.seeds.first().copied().unwrap_or_default();
    format!("{name}, {steps} steps, rate {rate:.3e}, seed {seed}")
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
