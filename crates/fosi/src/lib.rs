//! FOSI: hybrid first- and second-order optimization (Sivan, Gabel, Schuster, ICLR 2024).
//!
//! FOSI wraps any first-order optimizer. Now and then it estimates a few extreme eigenpairs of the loss's Hessian
//! with Lanczos; in the space that they span it takes a scaled Newton step, and in the orthogonal complement the
//! base optimizer goes on as before, facing a better-conditioned problem.
//!
//! There are two ways in. [`minimize()`] minimises a function given with its gradient:
//!
//! ```
//! use fosi::{FosiConfig, Rate, Schedule, base::HeavyBall, minimize::{Objective, Options, minimize}};
//!
//! // Rosenbrock's valley.
//! let rosenbrock = Objective::new(2, |x: &[f64], g: &mut [f64]| {
//!     let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
//!     g[0] = -2.0 * a - 400.0 * x[0] * b;
//!     g[1] = 200.0 * b;
//!     Ok(a * a + 100.0 * b * b)
//! });
//! let schedule = Schedule::Every { warmup: 0, interval: 1 };
//! let config = FosiConfig { largest: 1, newton_rate: Rate::Constant(0.5), schedule, ..FosiConfig::default() };
//! let options = Options { max_steps: 2000, ..Options::default() };
//! let minimum = minimize(rosenbrock, &[-1.2, 1.0], HeavyBall::new(0.5), 2e-2, config, options)?;
//! assert!((minimum.parameters[0] - 1.0).abs() < 1e-4, "{minimum:?}");
//! # Ok::<(), fosi::Error>(())
//! ```
//!
//! In a training loop of one's own, [`Fosi`] is three calls: [`due`](Fosi::due), [`refresh`](Fosi::refresh) with the
//! Hessian as a [`SymmetricOperator`](operator::SymmetricOperator), and [`step`](Fosi::step).
//!
//! # From the paper's letters to names
//!
//! | paper | here |
//! |---|---|
//! | θ, g, H | parameters, gradient, Hessian |
//! | k, ℓ, m | `largest`, `smallest`, `lanczos_steps` |
//! | V̂, λ̂, u | `basis`, `eigenvalues`, `inverse_curvature` |
//! | α, η, c | `newton_rate`, `learning_rate`, `scale_limit` |
//! | T, W, ρ | `interval`, `warmup`, `overhead` |
//! | τ₁, τ₂, τ₃ | `base_step`, `fosi_step`, `refresh` |

pub mod base;
pub mod checkpoint;
pub mod error;
pub mod lanczos;
pub mod minimize;
pub mod operator;
pub mod optimizer;
mod safeguard;
pub mod scaling;
pub mod schedule;
pub mod space;
pub mod spectrum;
mod subspace;
pub mod timing;

pub use error::Error;
pub use minimize::minimize;
pub use optimizer::{Clipping, Fosi, FosiConfig, Refresh, StepReport};
pub use safeguard::Interventions;
pub use schedule::{Rate, Schedule};
pub use space::{Host, Space, Storage};
