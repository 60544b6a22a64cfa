//! The interface of a function.

/// f with its gradient and its Hessian-vector products, both exact.
///
/// The methods take `&mut self` to reuse memory. Slices have the problem's dimension.
pub trait Function: Send {
    /// Writes ∇f(x) and returns f(x).
    fn gradient(&mut self, x: &[f64], gradient: &mut [f64]) -> f64;

    /// Writes ∇²f(x)·v.
    fn product(&mut self, x: &[f64], v: &[f64], out: &mut [f64]);
}
