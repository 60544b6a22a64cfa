//! The paper's experiments on quadratic functions, where every claim can be checked against exact eigenvalues.
//!
//! | module | figure | functions |
//! |---|---|---|
//! | [`spectrum`] | 3 | one large eigenvalue above a falling spectrum |
//! | [`condition`] | 4 | ten eigenvalues near each other, the rest far below: FOSI worsens the condition number and wins |
//! | [`grid`] | 7, 8 | f_{b,ζ}: condition number against rotation |
//! | [`diagonal`] | – | those of Figure 7, with AdaHessian |
//! | [`rates`] | 9 | one function over learning rates and momenta |
//! | [`illustrate`] | 1 | two dimensions, step by step |
//!
//! All of them run the library's own optimizers and Lanczos. Gradient descent, Heavy-Ball and their FOSI forms depend
//! on eigenvalues and start alone; Adam depends on the eigenvectors as well, so its values are medians over random
//! ones.

mod claim;
pub mod condition;
mod descent;
pub mod diagonal;
pub mod grid;
pub mod illustrate;
mod pieces;
mod problem;
pub mod rates;
mod report;
mod setup;
pub mod spectrum;

pub use claim::Claim;
pub use descent::{Descent, OPTIMIZERS, Outcome};
pub use pieces::Pieces;
pub use problem::Quadratic;
pub use report::{Report, Tick};
pub use setup::{Convention, Setup};
