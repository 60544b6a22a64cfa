//! The function to minimise.

use std::borrow::{Borrow, BorrowMut};

use super::hessian::{Quotient, quotient_in_groups, quotient_in_one_unit};
use crate::error::{BoxError, Error, require};
use crate::space::{Host, Scalar, Space};

type Evaluate<'a, V> = Box<dyn FnMut(&V, &mut V) -> Result<f64, BoxError> + 'a>;
type Product<'a, V> = Box<dyn FnMut(&V, &V, &mut V) -> Result<(), BoxError> + 'a>;

/// A function on the space `S` with its gradient and, where there is one, its Hessian-vector product.
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
    /// The function of `dim` variables in f64 that, at x, returns f(x) and writes ∇f(x). Hessian products are guarded
    /// difference quotients of the gradient, whose steps follow the magnitude of each variable: see
    /// [`DifferenceQuotient`](crate::operator::DifferenceQuotient).
    pub fn new(
        dim: usize,
        evaluate: impl FnMut(&[f64], &mut [f64]) -> Result<f64, BoxError> + 'a,
    ) -> Self {
        Self::on_host(Host::new(dim), evaluate)
    }
}

impl<'a, T: Scalar> Objective<'a, Host<T>> {
    /// As [`new`](Objective::new), in `f32` or `f64`.
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
    /// The function on any space, such as vectors on a device. The steps of difference quotients follow the largest
    /// variable alone: where there are no exact products, variables should be of like magnitude.
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

    /// With exact products: writes H(x)·v, given x and v.
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
    /// Where the start isn't in the space, or f or ∇f there isn't finite; the function's own.
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
