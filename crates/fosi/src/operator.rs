//! Symmetric linear operators v ↦ Av, given by their products.

mod dense;
mod difference;
mod mean;
mod reduced;
mod symmetric;

pub use dense::DenseMatrix;
pub use difference::{
    DifferenceQuotient, GradientOracle, HostGradient, StepSizes, magnitude_group,
};
pub use mean::Mean;
pub use reduced::Reduced;
pub(crate) use symmetric::check_dim;
pub use symmetric::{Counted, FromFn, SymmetricOperator, from_fn};
