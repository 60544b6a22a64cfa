//! Errors of the commands.

use std::path::PathBuf;

use thiserror::Error;

use crate::config::ConfigError;
use crate::curvature::CurvatureError;
use crate::html::HtmlError;
use crate::interrupt;
use crate::pays::PaysError;
use crate::plot::PlotError;
use crate::problems::ProblemError;
use crate::runs::RunError;
use crate::solve::SolveError;
use crate::spectrum::SpectrumError;
use crate::tasks::TaskError;
use crate::train::StepError;

/// An error that ends a command.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An error in a task's data or model.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// An error in a run's folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// An error in a dry run's measurements.
    #[error(transparent)]
    Step(#[from] StepError),
    /// An error in a figure.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// An error in an HTML page.
    #[error(transparent)]
    Html(#[from] HtmlError),
    /// The page's path is a folder.
    #[error(
        "{} is a folder, but the page needs a file name: give --out {}",
        path.display(),
        path.join("report.html").display()
    )]
    PageIsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// An error in a minimisation problem.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// An error in the study of what FOSI saves.
    #[error(transparent)]
    Pays(Box<PaysError>),
    /// An error in the study of curvature.
    #[error(transparent)]
    Curvature(Box<CurvatureError>),
    /// An error in the measurement of spectra.
    #[error(transparent)]
    Spectrum(Box<SpectrumError>),
    /// An error in the runs of solvers.
    #[error(transparent)]
    Solve(#[from] SolveError),
    /// An error of an optimizer on a quadratic, or of a spectral density.
    #[error(transparent)]
    Optimizer(#[from] fosi::Error),
    /// The runs were trained on different data and cannot be compared.
    #[error(
        "`{first}` was trained on {first_data}, `{other}` on {other_data}: compare runs on the same data"
    )]
    DifferentData {
        /// The name of a run.
        first: String,
        /// Its data set.
        first_data: String,
        /// The name of another run.
        other: String,
        /// Its data set.
        other_data: String,
    },
    /// The data or the model changed since the run started.
    #[error(
        "the data or the model of {} has changed since it started: restore its data, or start another run",
        run.display()
    )]
    ChangedData {
        /// The run's folder.
        run: PathBuf,
    },
    /// The user interrupted an experiment on quadratics.
    #[error(
        "interrupted in {name}: {done} of {ticks} pieces are kept in {}, and the same command resumes from there",
        part.display()
    )]
    Interrupted {
        /// The experiment.
        name: &'static str,
        /// The number of finished pieces.
        done: usize,
        /// The number of all pieces.
        ticks: u64,
        /// The file that stores them.
        part: PathBuf,
    },
    /// An option was given for an experiment that depends neither on the basis nor on the convention.
    #[error(
        "--{option} has no effect on this experiment: it is for spectrum, grid, rates, diagonal and all; leave it out"
    )]
    NoBases {
        /// The option.
        option: &'static str,
    },
    /// No run has an optimizer with FOSI to judge.
    #[error(
        "no run has finished an epoch with FOSI: there is nothing to judge. Train with an optimizer fosi-… and its base"
    )]
    NoFosi,
    /// No run has results to draw.
    #[error("no run has finished an epoch: there is nothing to draw")]
    NoEpoch,
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
}

// Boxed, because they are much larger than the other variants.
impl From<PaysError> for CommandError {
    fn from(error: PaysError) -> Self {
        Self::Pays(Box::new(error))
    }
}

impl From<CurvatureError> for CommandError {
    fn from(error: CurvatureError) -> Self {
        Self::Curvature(Box::new(error))
    }
}

impl From<SpectrumError> for CommandError {
    fn from(error: SpectrumError) -> Self {
        Self::Spectrum(Box::new(error))
    }
}

impl CommandError {
    /// The exit status: 2 for invalid user input, 1 for failures of the machine.
    pub fn exit_status(&self) -> i32 {
        match self {
            Self::Task(TaskError::Interrupted { .. }) | Self::Interrupted { .. } => {
                interrupt::EXIT_STATUS
            }
            Self::Pays(error) => match error.as_ref() {
                PaysError::Write(_) => 1,
                _ => 2,
            },
            Self::Curvature(error) => match error.as_ref() {
                CurvatureError::Step(StepError::Interrupted) => interrupt::EXIT_STATUS,
                CurvatureError::Step(_) => 1,
                _ => 2,
            },
            Self::Spectrum(error) => match error.as_ref() {
                SpectrumError::Step(StepError::Interrupted) => interrupt::EXIT_STATUS,
                SpectrumError::Step(_) => 1,
                _ => 2,
            },
            Self::Task(TaskError::Other(_) | TaskError::Folder(RunError::Write { .. })) => 1,
            Self::Config(_)
            | Self::Task(_)
            | Self::Problem(_)
            | Self::DifferentData { .. }
            | Self::NoBases { .. }
            | Self::NoEpoch
            | Self::NoFosi
            | Self::PageIsFolder { .. }
            | Self::ChangedData { .. } => 2,
            Self::Run(RunError::Write { .. } | RunError::Lock { .. })
            | Self::Solve(SolveError::Write(_)) => 1,
            Self::Run(_) | Self::Solve(_) => 2,
            Self::Plot(_)
            | Self::Html(_)
            | Self::Optimizer(_)
            | Self::Output(_)
            | Self::Step(_) => 1,
        }
    }
}
