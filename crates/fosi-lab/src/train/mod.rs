//! The training loop: all optimizers of a run in turn, with epochs, evaluation, timing, failures and interruption.

mod log;
mod observer;
mod run;
mod spectrum;
mod training;
mod workload;

pub use observer::{Observer, Start};
pub use run::{resume, run};
pub use spectrum::{MeasuredSpectrum, SpectrumPlan};
pub use workload::{
    Cost, CurvaturePlan, Evaluation, GradientCost, HeldCurvature, Sample, StepError, TrainEvent,
    Trainer, Workload,
};
