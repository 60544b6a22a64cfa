//! Functions to minimise to convergence, without batches: the set of Moré, Garbow and Hillstrom, physics-informed
//! networks, networks and kernels on the embedded digits, and large quadratics.
//!
//! | names | problem | n |
//! |---|---|---|
//! | `mgh:rosenbrock` … | sums of squares with published minima | 2 to 100 |
//! | `poisson1d`, `poisson2d`, `poisson2d-wide` | physics-informed networks: Poisson | 1,153; 2,241; 19,761 |
//! | `helmholtz`, `burgers`, `convection`, `allen-cahn` | physics-informed networks: other equations | 2,241 |
//! | `digits-mlp`, `digits-autoencoder` | tanh networks on the embedded digits | 7,510; 4,744 |
//! | `logistic`, `kernel-ridge` | convex and ill-conditioned, on the embedded digits | 650; 500 |
//! | `quadratic:10`, `quadratic:1000` | ten outliers above a bulk with this condition number | 1,000,000 |
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

mod digits;
mod dual;
mod error;
mod function;
mod head;
mod kernel;
mod mgh;
mod network;
mod pass;
mod pinn;
mod planes;
mod problem;
mod quadratic;
mod solution;
mod tanh;
mod tape;

pub use error::ProblemError;
pub use function::Function;
pub use problem::Problem;
pub use solution::Solution;

use crate::data::DataError;
use crate::names::UnknownName;

/// The names and summaries of the quadratics, with the condition number of their bulk.
const QUADRATICS: [(&str, &str, f64); 2] = [
    (
        "quadratic:10",
        "a quadratic, ten outliers and a bulk of condition 10",
        10.0,
    ),
    (
        "quadratic:1000",
        "a quadratic, ten outliers and a bulk of condition 1000",
        1000.0,
    ),
];

/// A problem's name and its constructor.
type Entry = (&'static str, Box<dyn Fn() -> Result<Problem, DataError>>);

fn entries() -> Vec<Entry> {
    let mgh = mgh::definitions().map(|definition| -> Entry {
        (definition.name, Box::new(move || Ok(definition.problem())))
    });
    let pinns = pinn::EQUATIONS
        .iter()
        .map(|equation| -> Entry { (equation.name, Box::new(|| Ok(equation.problem()))) });
    let networks: [Entry; 4] = [
        ("digits-mlp", Box::new(digits::mlp)),
        ("digits-autoencoder", Box::new(digits::autoencoder)),
        ("logistic", Box::new(digits::logistic)),
        ("kernel-ridge", Box::new(kernel::ridge)),
    ];
    let quadratics = QUADRATICS.map(|(name, summary, condition)| -> Entry {
        let make = move || Ok(quadratic::outliers(name, summary, condition));
        (name, Box::new(make))
    });
    mgh.chain(pinns).chain(networks).chain(quadratics).collect()
}

/// The names of all problems.
pub fn names() -> Vec<&'static str> {
    entries().into_iter().map(|(name, _)| name).collect()
}

/// All problems. Each is created on demand, because some contain a kernel matrix or a million numbers.
pub fn all() -> impl Iterator<Item = Result<Problem, DataError>> {
    entries().into_iter().map(|(_, make)| make())
}

/// The names of groups of problems.
pub const GROUPS: [&str; 3] = ["mgh", "pinn", "all"];

/// The names of the problems selected by their own names or by those of [`GROUPS`]: each once, in the given order.
///
/// # Errors
/// [`UnknownName`].
pub fn select(given: &[impl AsRef<str>]) -> Result<Vec<&'static str>, UnknownName> {
    let mut selected = Vec::new();
    for name in given {
        let name = name.as_ref();
        let chosen: Vec<&str> = match name {
            "mgh" => mgh::definitions()
                .map(|definition| definition.name)
                .collect(),
            "pinn" => pinn::EQUATIONS
                .iter()
                .map(|equation| equation.name)
                .collect(),
            "all" => names(),
            single => names()
                .into_iter()
                .filter(|known| *known == single)
                .collect(),
        };
        if chosen.is_empty() {
            let known = [names(), GROUPS.to_vec()].concat();
            return Err(UnknownName::new("problem", name, &known));
        }
        let new = chosen.into_iter().filter(|name| !selected.contains(name));
        let new: Vec<&str> = new.collect();
        selected.extend(new);
    }
    Ok(selected)
}

/// The problem of this name.
///
/// # Errors
/// [`ProblemError::Name`] if there is none; [`ProblemError::Data`] if the embedded data are damaged.
pub fn named(name: &str) -> Result<Problem, ProblemError> {
    let found = entries().into_iter().find(|(known, _)| *known == name);
    match found {
        Some((_, make)) => Ok(make()?),
        None => Err(UnknownName::new("problem", name, &names()).into()),
    }
}
