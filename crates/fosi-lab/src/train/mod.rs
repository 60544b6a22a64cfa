//! Training every optimizer of a run in turn: epochs, evaluation, time, failures, interruption.

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
