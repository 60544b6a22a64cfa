//! The function to minimise.

use std::borrow::{Borrow, BorrowMut};

use super::hessian::{Quotient, quotient_in_groups, quotient_in_one_unit};
use crate::error::{BoxError, Error, require};
use crate::space::{Distributed, Host, Scalar, Space};

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

impl<'a, T: Scalar> Objective<'a, Host<T>> {
    /// The mean Σ wᵣfᵣ/Σ wᵣ over the [ranks](Host::replicated) of a space. `evaluate` computes this rank's fᵣ, for
    /// example the loss of its share of the data, and the gradient, with whole vectors; `weight` is wᵣ. An error on one
    /// rank is an error on all. If the space has its vectors in shards, start and minimum are this rank's
    /// [part](Host::own), and the steps of difference quotients follow only the largest variable, as in
    /// [`in_space`](Self::in_space).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use fosi::{Host, communicator::Communicator, minimize::{Minimum, Objective, Options, minimize}};
    ///
    /// # fn run(communicator: Arc<dyn Communicator>) -> Result<Minimum, fosi::Error> {
    /// let space = Host::<f64>::new(2).sharded(communicator);
    /// let start = space.own(&[-1.2, 1.0]).to_vec();
    /// let examples = 32.0;
    /// let mean = Objective::on_ranks(space, examples, |x: &[f64], g: &mut [f64]| {
    ///     let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
    ///     (g[0], g[1]) = (-2.0 * a - 400.0 * x[0] * b, 200.0 * b);
    ///     Ok(a * a + 100.0 * b * b)
    /// });
    /// minimize(mean, &start, Options::default())
    /// # }
    /// ```
    pub fn on_ranks(
        space: Host<T>,
        weight: f64,
        mut evaluate: impl FnMut(&[T], &mut [T]) -> Result<f64, BoxError> + 'a,
    ) -> Self {
        let ranks = space.clone();
        let mut point = vec![T::ZERO; space.dim()];
        let mut gradient = point.clone();
        let mean = move |x: &[T], g: &mut [T]| {
            ranks.gather_from(x, &mut point);
            let value = match weight > 0.0 {
                true => evaluate(&point, &mut gradient),
                false => Ok(0.0),
            };
            let value = ranks.average(weight, value, &mut gradient)?;
            ranks.copy_own(&gradient, g);
            Ok(value)
        };
        match space.ranks().is_sharded() {
            true => Self::in_space(space, mean),
            false => Self::on_host(space, mean),
        }
    }

    /// Exact products for a mean [on ranks](Self::on_ranks): `product` writes Hᵣ(x)·v of this rank's function, with whole
    /// vectors.
    pub fn with_product_on_ranks(
        self,
        weight: f64,
        mut product: impl FnMut(&[T], &[T], &mut [T]) -> Result<(), BoxError> + 'a,
    ) -> Self {
        let ranks = self.space.clone();
        let zeros = vec![T::ZERO; ranks.dim()];
        let (mut point, mut direction, mut found) = (zeros.clone(), zeros.clone(), zeros);
        self.with_product(move |x: &[T], v: &[T], out: &mut [T]| {
            for (whole, part) in [(&mut point, x), (&mut direction, v)] {
                ranks.gather_from(part, whole);
            }
            let done = match weight > 0.0 {
                true => product(&point, &direction, &mut found),
                false => Ok(()),
            };
            ranks.average(weight, done.map(|()| 0.0), &mut found)?;
            ranks.copy_own(&found, out);
            Ok(())
        })
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

    /// An error unless a run can begin at this start.
    pub(super) fn check_dimension(&self, start: &S::Vector) -> Result<(), Error> {
        let dim = self.space.dim();
        require(dim > 0, "the number of variables", dim, "at least 1")?;
        self.space.check("the start", start)
    }

    /// f, ∇f and ‖∇f‖ at the start.
    ///
    /// # Errors
    /// If the start has the wrong dimension or f or ∇f is not finite there, and errors of the function.
    pub(super) fn evaluate_start(
        &mut self,
        start: &S::Vector,
    ) -> Result<(f64, S::Owned, f64), Error> {
        self.check_dimension(start)?;
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
