//! Minimising a function given with its gradient: without a learning rate ([`minimize()`]), or with FOSI around a
//! base optimizer ([`with_base`]).
//!
//! [`minimize()`] is L-BFGS with a line search on top of the *spectral metric* H₀ = V|Λ|⁻¹Vᵀ + γ(I − VVᵀ): the eigenpairs (V, Λ)
//! that FOSI estimates with Lanczos take the place of the multiple of the identity from which L-BFGS starts.
//!
//! | What | Where |
//! |---|---|
//! | the function and its products | [`Objective`], `hessian.rs` |
//! | H₀ and γ | `metric.rs` |
//! | the two-loop recursion | `lbfgs.rs` |
//! | the line search | `line_search.rs` |
//! | when to estimate, which pairs to take | `estimation.rs`, [`Count`] |
//! | the loop | [`Minimizer`], `descent.rs` |
//! | the curvature along the way | `curvature.rs` |
//! | when to stop; what was spent and found | `stopping.rs`; `history.rs` |
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
