//! FOSI: hybrid first- and second-order optimization (Sivan, Gabel, Schuster, ICLR 2024).
//!
//! FOSI wraps any first-order optimizer. From time to time it estimates a few extreme eigenpairs of the loss's Hessian
//! with Lanczos. In the subspace that they span it takes a scaled Newton step; in the orthogonal complement the base
//! optimizer continues as before, on a better-conditioned problem.
//!
//! There are two entry points. [`minimize()`] minimises a function with a given gradient, without a learning rate:
//!
//! ```
//! use fosi::minimize::{Objective, Options, minimize};
//!
//! // Rosenbrock's valley.
//! let rosenbrock = Objective::new(2, |x: &[f64], g: &mut [f64]| {
//!     let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
//!     g[0] = -2.0 * a - 400.0 * x[0] * b;
//!     g[1] = 200.0 * b;
//!     Ok(a * a + 100.0 * b * b)
//! });
//! let minimum = minimize(rosenbrock, &[-1.2, 1.0], Options::default())?;
//! assert!((minimum.best.parameters[0] - 1.0).abs() < 1e-6, "{minimum:?}");
//! # Ok::<(), fosi::Error>(())
//! ```
//!
//! In your own training loop, [`Fosi`] takes three calls: [`due`](Fosi::due), [`refresh`](Fosi::refresh) with the
//! Hessian as a [`SymmetricOperator`](operator::SymmetricOperator), and [`step`](Fosi::step).
//!
//! Several processes share one optimizer through a [`Communicator`](communicator::Communicator). Each takes a share of
//! the batch ([`Fosi::data_parallel`]) and, optionally, a shard of every vector ([`Fosi::sharded`]).
//!
//! # The algorithm
//!
//! One step t of the paper's Algorithm 2 for the loss f at θ, with the base optimizer's learning rate η:
//!
//! ```text
//! at t = W and T steps after each try:  V, λ ← extreme eigenpairs of ∇²f(θ);  s   Fosi::refresh
//! g  ← ∇f(θ), clipped: γ ∇f(θ), or entry by entry
//! c  ← (VᵀV)⁻¹Vᵀg                                                                  the gradient along V
//! c̄  ← β c̄ + c                                                                     momentum; each base has its rule
//! d_b ← base(g − Vc)                                                               the base, in the complement
//! e  ← (VᵀV)⁻¹Vᵀd_b                                                                its part along V
//! θ  ← θ − s·(d_b − Ve) − α V(u ⊙ c̄)                                               base step and Newton step
//! ```
//!
//! V has orthonormal columns, so VᵀV is the identity up to rounding. With gradient descent as the base this is θ ← θ −
//! P⁻¹g with the inverse preconditioner of Lemma 1,
//!
//! ```text
//! P⁻¹ = α V diag(u) Vᵀ + s η (I − VVᵀ),      u = 1/max{|λ|, ε·max|λ|}
//! ```
//!
//! which `tests/suite/theory.rs` compares with dense matrices.
//!
//! | paper | name | file |
//! |---|---|---|
//! | θ, g, H = ∇²f | parameters, gradient, Hessian | |
//! | k, ℓ, m | `largest`, `smallest`, `lanczos_steps` | `config.rs`, `spectrum.rs` |
//! | Algorithm 1 (ESE): V̂, λ̂ | [`spectrum::estimate`], `basis`, `eigenvalues` | `spectrum.rs` |
//! | Lanczos | `lanczos` | `lanczos.rs` |
//! | Hv by differences | [`operator::DifferenceQuotient`] | `operator/difference.rs` |
//! | its guard by symmetry | `Run::product`, `measure` | `lanczos.rs` |
//! | Algorithm 2, a step | [`Fosi::step`], [`split::Split`] | `optimizer/step.rs`, `subspace.rs`, `split.rs`; θ is written in `base.rs`, on the CPU in `space/host/step.rs` |
//! | Algorithm 2, UpdatePreconditioner | [`Fosi::refresh`] | `optimizer/refresh.rs` |
//! | c, c̄; e | `coefficients`, `momentum`; in [`split::Split::subspace_update`] | `subspace.rs`; `split.rs` |
//! | §3.4: the momentum of both parts | [`base::Momentum`]; split in [`Fosi::refresh`] | `momentum.rs`, `optimizer/refresh.rs` |
//! | d_b | `direction` | `base.rs`, `elementwise.rs` |
//! | u, ε | `damped_curvature` = 1/u, `curvature_floor` | `spectrum.rs`, `config.rs` |
//! | α, η | [`NewtonRate`], `learning_rate` | `newton_rate.rs`, `optimizer/step.rs` |
//! | not in the paper: q, φ of the adaptive α | [`NewtonRate::adaptive`] | `signal.rs` |
//! | not in the paper: H̄ = WMWᵀ, γ of the mean | [`Averaging`] | `averaging.rs` |
//! | §3.6: s, and its limit, also c | `scale`, `scale_limit` | `scaling.rs` |
//! | γ of clipping | `gradient_scale` ([`Clipping`]) | `config.rs`, `optimizer/step.rs` |
//! | T, W, ρ, eq. 6 | `interval`, `warmup`, `overhead` | `schedule.rs` |
//! | τ₁, τ₂, τ₃ | `base_step`, `fosi_step`, `refresh` | `timing.rs` |
//! | not in the paper: φ(t), tr H, ‖H‖_F² | [`density::estimate`], [`trace::estimate`] | `density.rs`, `trace.rs` |
//! | not in the paper: H₀ and its γ; when to estimate | [`mod@minimize`] | `minimize/metric.rs`; `minimize/estimation.rs` |
//!
//! Modules import only modules to their left or in their own group: `error`, `float`, `scaling`, `momentum`,
//! `update_rule`, `elementwise`, `split`, `sampling`, [`communicator`] ← `ranks` ← [`space`] ← [`operator`],
//! [`mod@base`], `schedule`, `newton_rate` ← `lanczos` ← [`spectrum`] ← [`trace`] ← [`density`], `averaging` ←
//! `safeguard`, `signal`, `subspace`, [`timing`], `config` ← `optimizer` ← [`checkpoint`] ← [`mod@minimize`]. The
//! safeguards (`safeguard.rs`) are not from the paper.
//!
//! The paper: H. Sivan, M. Gabel, A. Schuster, *FOSI: Hybrid First and Second Order Optimization*, ICLR 2024,
//! [arXiv:2302.08484](https://arxiv.org/abs/2302.08484), [doi:10.48550/arXiv.2302.08484](https://doi.org/10.48550/arXiv.2302.08484).

mod averaging;
pub mod base;
pub mod checkpoint;
pub mod communicator;
mod conditioning;
mod config;
pub mod density;
mod elementwise;
pub mod error;
mod float;
mod lanczos;
pub mod minimize;
mod momentum;
mod newton_rate;
mod non_exhaustive;
pub mod operator;
mod optimizer;
mod ranks;
mod report;
mod safeguard;
mod sampling;
pub mod scaling;
pub mod schedule;
mod signal;
pub mod space;
pub mod spectrum;
pub mod split;
mod subspace;
pub mod timing;
pub mod trace;
mod update_rule;

pub use averaging::Averaging;
pub use conditioning::{Conditioning, Lemma4};
pub use config::{Clipping, FosiConfig};
pub use error::Error;
pub use lanczos::LanczosInfo;
pub use minimize::minimize;
pub use newton_rate::NewtonRate;
#[doc(hidden)]
pub use non_exhaustive::NonExhaustive;
pub use optimizer::Fosi;
pub use ranks::Ranks;
pub use report::{Refresh, StepReport};
pub use safeguard::Interventions;
pub use sampling::SampleMean;
pub use schedule::{Rate, Schedule};
pub use space::{Distributed, Host, Space, Storage};
