//! Where the solver's Hessian-vector products come from.

use argmin::core::Error;

/// A problem with exact Hessian-vector products, which argmin has no trait for.
pub trait HessianProduct {
    /// ∇²f(x)·v.
    ///
    /// # Errors
    /// The problem's own.
    fn hessian_product(&self, x: &[f64], v: &[f64]) -> Result<Vec<f64>, Error>;
}

/// Products are guarded difference quotients of gradients: see [`fosi::operator::DifferenceQuotient`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotients;

/// Products are those of [`HessianProduct`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exact;
