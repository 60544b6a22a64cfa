//! Minimises the problems of [`problems`](crate::problems) with several solvers and compares values and costs.
//!
//! Every solver evaluates the function through a [`Meter`], which counts gradients and products, records the values
//! reached, and ends the run. Runs are stored in files, to which other programs may add theirs.

mod adam;
mod argmin_problem;
mod bfgs;
mod budget;
mod comparison;
mod error;
mod folder;
mod lbfgs_argmin;
mod meter;
mod newton_cg;
mod picture;
mod record;
mod report;
mod solver;
mod study;
mod style;
mod tally;
mod with_fosi;

pub use budget::Budget;
pub use comparison::{ComparedProblem, Comparison};
pub use error::SolveError;
pub use folder::{RunsFolder, file_name};
pub use meter::{Meter, Point, Standing, Stop, Watch};
pub use picture::picture;
pub use record::{Record, Run, Stopped};
pub use report::Report;
pub use solver::{Ending, Solver, SolverOptions};
pub use study::{LeftOut, Made, Study};
pub use tally::tally;

#[cfg(test)]
mod tests;
