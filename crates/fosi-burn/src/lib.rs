//! FOSI for [Burn](https://burn.dev): an optimizer for any module, flat views of modules, and gradients in double
//! precision for curvature.
//!
//! [`FosiOptimizer`] takes training steps; [`minimize()`] minimises the loss on all data without a learning rate.
//! [`FlatLayout`] converts a module's parameters and gradients to flat vectors and back, [`Replica`] computes a loss's
//! gradients on a copy of the module, [`BurnBase`] wraps any optimizer of Burn as a base, and [`TensorSpace`] keeps the
//! vectors on a device. [`Hessian`] estimates properties of the loss's Hessian: extreme eigenpairs, the density of the
//! eigenvalues, trace and Frobenius norm. [`probe()`] measures the curvature that FOSI would find, without training.
//! With the feature `train`, `FosiStrategy` trains in Burn's `SupervisedTraining`.
//!
//! Modules import only modules to their left: `error`, `precision`, `flat`, `quiet`, `record` ← `randomness` ←
//! `gradient`, `fingerprint`, `buffers` ← `replica`, `tensor_space` ← `tensor_gradient` ← `module_space` ← `burn_base`,
//! `report` ← `products` ← `hessian`, `optimizer`, `minimize` ← `probe`, `train`.

mod buffers;
mod burn_base;
mod error;
mod fingerprint;
mod flat;
mod gradient;
mod hessian;
mod minimize;
mod module_space;
mod optimizer;
mod precision;
mod probe;
mod products;
mod quiet;
mod randomness;
mod record;
mod replica;
mod report;
mod tensor_gradient;
mod tensor_space;
#[cfg(feature = "train")]
mod train;

pub use fosi;

pub use burn_base::BurnBase;
pub use error::{BridgeError, OptimizerError};
pub use flat::{FlatLayout, FlatVector, Slot};
pub use gradient::{backward, value_and_gradient};
pub use hessian::Hessian;
pub use minimize::{Minimum, minimize, minimize_mean};
pub use module_space::ModuleSpace;
pub use optimizer::FosiOptimizer;
pub use precision::{Precision, float_dtype, like_module};
pub use probe::{Probe, ProbedBatch, probe};
pub use replica::Replica;
pub use report::{Check, GradientStep, RefreshAttempt, RefreshProgress, TrainingStep};
pub use tensor_space::{TensorBasis, TensorSpace};
#[cfg(feature = "train")]
pub use train::FosiStrategy;
