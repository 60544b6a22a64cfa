//! Arithmetic on ℝⁿ, wherever its vectors live.
//!
//! The algorithms of this crate are written once, for any [`Space`]. [`Host`] keeps vectors in slices of `f32` or `f64`
//! on the CPU; tensors on an accelerator can be another space.

mod array;
mod distributed;
mod host;
mod kernels;
mod vectors;

pub use crate::float::FloatLimits;
pub use array::Array;
pub use distributed::Distributed;
pub(crate) use distributed::{check_total, check_weight};
pub use host::{Host, HostBasis, Storage};
pub use kernels::{ElementType, Scalar, Stored};
pub use vectors::Space;
