//! Minimising a problem of [`problems`](crate::problems) with several solvers: what each reaches at what cost.

mod report;
mod run;

pub use report::Report;
pub use run::{Solution, Solver, Study};
