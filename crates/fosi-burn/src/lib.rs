//! FOSI for [Burn](https://burn.dev): a flat view of any module, gradients for curvature in double precision,
//! and a drop-in optimizer.

mod burn_base;
mod error;
mod fingerprint;
mod flat;
mod gradient;
mod module_space;
mod optimizer;
mod precision;
mod replica;
mod tensor_space;

pub use burn_base::BurnBase;
pub use error::BridgeError;
pub use flat::{FlatLayout, Slot};
pub use gradient::{backward, value_and_gradient};
pub use module_space::ModuleSpace;
pub use optimizer::{FosiOptimizer, OptimizerError, RefreshAttempt, TrainStep};
pub use precision::{Precision, float_dtype, like_module};
pub use replica::Replica;
pub use tensor_space::{TensorBasis, TensorSpace};
