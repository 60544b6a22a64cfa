//! Arithmetic on ℝⁿ, wherever its vectors live.
//!
//! The algorithms of this crate are written once, for any [`Space`]. [`Host`] keeps vectors in slices of `f32` or `f64`
//! on the CPU; tensors on an accelerator can be another space.

mod array;
mod host;
mod kernels;
mod vectors;

pub use crate::float::FloatLimits;
pub use array::Array;
pub use host::{Host, HostBasis, Storage};
pub(crate) use host::{check_total, check_weight, weigh};
pub use kernels::{ElementType, Scalar, Stored};
pub use vectors::Space;
