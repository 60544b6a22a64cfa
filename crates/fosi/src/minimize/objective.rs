//! The function to minimise.

use std::borrow::{Borrow, BorrowMut};

use super::hessian::{Quotient, quotient_in_groups, quotient_in_one_unit};
use crate::error::{BoxError, Error, require};
use crate::space::{Host, Scalar, Space};

type Evaluate<'a, V> = Box<dyn FnMut(&V, &mut V) -> Result<f64, BoxError> + 'a>;
type Product<'a, V> = Box<dyn FnMut(&V, &V, &mut V) -> Result<(), BoxError> + 'a>;

/// A function on the space `S` with its gradient and, optionally, its Hessian-vector product.
pub struct Objective<'a, S: Space = Host<f64>> {
    pub(super) space: S,
    pub(super) evaluate: Evaluate<'a, S::Vector>,
    pub(super) product: Option<Product<'a, S::Vector>>,
    pub(super) quotient: Quotient<S>,
}

impl<S: Space> std::fmt::Debug for Objective<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objective")
            .field("dim", &self.space.dim())
            .field("has_product", &self.product.is_some())
            .finish_non_exhaustive()
    }
}

impl<'a> Objective<'a> {
    /// A function of `dim` variables in f64. `evaluate` returns f(x) and writes ∇f(x). Hessian-vector products are
    /// guarded difference quotients of the gradient, with steps relative to the magnitude of each variable; see
    /// [`DifferenceQuotient`](crate::operator::DifferenceQuotient).
    pub fn new(
        dim: usize,
        evaluate: impl FnMut(&[f64], &mut [f64]) -> Result<f64, BoxError> + 'a,
    ) -> Self {
        Self::on_host(Host::new(dim), evaluate)
    }
}

impl<'a, T: Scalar> Objective<'a, Host<T>> {
    /// Like [`new`](Objective::new), in `f32` or `f64`.
    pub fn on_host(
        space: Host<T>,
        evaluate: impl FnMut(&[T], &mut [T]) -> Result<f64, BoxError> + 'a,
    ) -> Self {
        Self {
            quotient: quotient_in_groups,
            ..Self::in_space(space, evaluate)
        }
    }
}

impl<'a, S: Space> Objective<'a, S> {
    /// A function on any space, such as vectors on a device. The steps of difference quotients are relative to the
    /// largest variable only, so without exact products the variables should have similar magnitudes.
    pub fn in_space(
        space: S,
        evaluate: impl FnMut(&S::Vector, &mut S::Vector) -> Result<f64, BoxError> + 'a,
    ) -> Self {
        Self {
            space,
            evaluate: Box::new(evaluate),
            product: None,
            quotient: quotient_in_one_unit,
        }
    }

    /// Adds exact products: `product` gets x and v and writes H(x)·v.
    pub fn with_product(
        mut self,
        product: impl FnMut(&S::Vector, &S::Vector, &mut S::Vector) -> Result<(), BoxError> + 'a,
    ) -> Self {
        self.product = Some(Box::new(product));
        self
    }

    /// f, ∇f and ‖∇f‖ at the start.
    ///
    /// # Errors
    /// If the start has the wrong dimension or f or ∇f is not finite there, and errors of the function.
    pub(super) fn evaluate_start(
        &mut self,
        start: &S::Vector,
    ) -> Result<(f64, S::Owned, f64), Error> {
        let dim = self.space.dim();
        require(dim > 0, "the number of variables", dim, "at least 1")?;
        self.space.check("the start", start)?;
        let mut gradient = self.space.zeros();
        let value = (self.evaluate)(start, gradient.borrow_mut()).map_err(Error::User)?;
        let gradient_norm = self.space.norm(gradient.borrow());
        if !(value.is_finite() && gradient_norm.is_finite()) {
            return Err(Error::NonFiniteStart {
                value,
                gradient_norm,
            });
        }
        Ok((value, gradient, gradient_norm))
    }

    /// The space of x.
    pub fn space(&self) -> &S {
        &self.space
    }

    /// Whether there are exact products.
    pub fn has_product(&self) -> bool {
        self.product.is_some()
    }
}
