//! Minimisation of a function with a given gradient: without a learning rate ([`minimize()`]), or with FOSI around a
//! base optimizer ([`with_base`]).
//!
//! [`minimize()`] is L-BFGS with a line search and the *spectral metric* H₀ = V|Λ|⁻¹Vᵀ + γ(I − VVᵀ) as its initial
//! inverse metric, where plain L-BFGS has a multiple of the identity. FOSI estimates the eigenpairs (V, Λ) with
//! Lanczos.
//!
//! | What | Where |
//! |---|---|
//! | the function and its products | [`Objective`], `hessian.rs` |
//! | H₀ and γ | `metric.rs` |
//! | the two-loop recursion | `lbfgs.rs` |
//! | the line search | `line_search.rs` |
//! | when to estimate, which pairs to take | `estimation.rs`, [`Count`] |
//! | the loop | [`Minimizer`], `descent.rs` |
//! | the spectrum during the run, and saddles | `curvature.rs` |
//! | when to stop; costs and results | `stopping.rs`; `history.rs` |
//! | saving and resuming | `saved.rs` |

mod checks;
mod curvature;
mod descent;
mod estimation;
mod hessian;
mod history;
mod lbfgs;
mod line_search;
mod metric;
mod minimizer;
mod minimum;
mod objective;
mod options;
mod saved;
mod stopping;
pub mod with_base;

pub use estimation::Count;
pub use minimizer::{Minimizer, minimize};
pub use minimum::{Curvature, Estimation, Evaluated, FailedEstimation, Minimum, Status};
pub use objective::Objective;
pub use options::Options;
