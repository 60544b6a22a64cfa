//! Minimising a function given with its gradient.

mod checks;
mod estimation;
mod hessian;
mod lbfgs;
mod line_search;
mod metric;
mod minimum;
mod objective;
mod options;
mod solver;
pub mod with_base;

pub use estimation::Count;
pub use minimum::{Curvature, Estimation, Evaluated, Minimum, Status};
pub use objective::Objective;
pub use options::{Callback, Iterate, Options};
pub use solver::minimize;
