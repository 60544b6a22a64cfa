//! Why a command ends without doing its work.

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

/// Why a command ended without doing its work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A task's data or model.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A run's folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// What a dry run measures.
    #[error(transparent)]
    Step(#[from] StepError),
    /// A figure.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A page.
    #[error(transparent)]
    Html(#[from] HtmlError),
    /// A folder where a page is to be written.
    #[error("{} is a folder, and the page is a file: name it, as in --out {}", path.display(), path.join("report.html").display())]
    PageIsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A problem to minimise.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// A study of what FOSI saves.
    #[error(transparent)]
    Pays(Box<PaysError>),
    /// A study of curvature.
    #[error(transparent)]
    Curvature(Box<CurvatureError>),
    /// Spectra along a run.
    #[error(transparent)]
    Spectrum(Box<SpectrumError>),
    /// Runs of solvers.
    #[error(transparent)]
    Solve(#[from] SolveError),
    /// An optimizer on a quadratic, or a spectral density.
    #[error(transparent)]
    Optimizer(#[from] fosi::Error),
    /// Runs that say nothing about each other.
    #[error(
        "`{first}` was trained on {first_data}, `{other}` on {other_data}: compare runs on the same data"
    )]
    DifferentData {
        /// Name of a run.
        first: String,
        /// Its data set.
        first_data: String,
        /// Name of another run.
        other: String,
        /// Its data set.
        other_data: String,
    },
    /// The data or the model isn't what the run began with.
    #[error(
        "the data or the model of {} has changed since it began: give it back its data, or begin another run",
        run.display()
    )]
    ChangedData {
        /// The run's folder.
        run: PathBuf,
    },
    /// The user ended an experiment on quadratics.
    #[error(
        "interrupted in {name}: {done} of {ticks} pieces are kept in {}, and the same command goes on there",
        part.display()
    )]
    Interrupted {
        /// The experiment.
        name: &'static str,
        /// Pieces done.
        done: usize,
        /// Pieces in all.
        ticks: u64,
        /// Where they are kept.
        part: PathBuf,
    },
    /// An option for an experiment that depends neither on the eigenvectors nor on the convention.
    #[error(
        "--{option} has no effect on this experiment: it is for spectrum, grid, rates and all; leave it out"
    )]
    NoBases {
        /// The option.
        option: &'static str,
    },
    /// No optimizer to judge.
    #[error(
        "no run has finished an epoch with FOSI: there is nothing to judge. Train with an optimizer fosi-… and its base"
    )]
    NoFosi,
    /// Nothing to draw.
    #[error("no run has finished an epoch: there is nothing to draw")]
    NoEpoch,
    /// Standard output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
}

// Boxed, since they are larger than all others.
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
    /// 2 where what the user gave is at fault, 1 where the machine is.
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
