//! Functions to minimise in full, without batches: the set of Moré, Garbow and Hillstrom, physics-informed networks,
//! networks and kernels on the embedded digits, and large quadratics.
//!
//! | names | what | n |
//! |---|---|---|
//! | `mgh:rosenbrock` … | sums of squares with published minima | 2 to 100 |
//! | `poisson1d`, `poisson2d`, `poisson2d-wide` | physics-informed networks | 1,153; 2,241; 19,761 |
//!
//! ```
//! use fosi_lab::problems;
//!
//! let problem = problems::named("mgh:watson")?;
//! assert_eq!(problem.dim, 9);
//! let objective = problem.objective();
//! let start = problem.start(0);
//! # Ok::<(), problems::ProblemError>(())
//! ```

mod dual;
mod error;
mod function;
mod head;
mod mgh;
mod network;
mod pass;
mod pinn;
mod planes;
mod problem;
mod tape;

pub use error::ProblemError;
pub use function::Function;
pub use problem::Problem;

use crate::data::DataError;
use crate::names::UnknownName;

/// A problem's name and how it is made.
type Entry = (&'static str, Box<dyn Fn() -> Result<Problem, DataError>>);

fn entries() -> Vec<Entry> {
    let mgh = mgh::definitions().map(|definition| -> Entry {
        (definition.name, Box::new(move || Ok(definition.problem())))
    });
    let pinns = pinn::EQUATIONS
        .iter()
        .map(|equation| -> Entry { (equation.name, Box::new(|| Ok(equation.problem()))) });
    mgh.chain(pinns).collect()
}

/// The names of all problems.
pub fn names() -> Vec<&'static str> {
    entries().into_iter().map(|(name, _)| name).collect()
}

/// All problems. Each is made when it is asked for: some hold a kernel matrix or a million numbers.
pub fn all() -> impl Iterator<Item = Result<Problem, DataError>> {
    entries().into_iter().map(|(_, make)| make())
}

/// The problem of this name.
///
/// # Errors
/// [`ProblemError::Name`] when there is none; [`ProblemError::Data`] when the embedded data are damaged.
pub fn named(name: &str) -> Result<Problem, ProblemError> {
    let found = entries().into_iter().find(|(known, _)| *known == name);
    match found {
        Some((_, make)) => Ok(make()?),
        None => Err(UnknownName::new("problem", name, &names()).into()),
    }
}
