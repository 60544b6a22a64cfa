//! The source of the solver's Hessian-vector products.

use std::cell::RefCell;

use argmin::core::{CostFunction, Error, Gradient, Problem};
use fosi::error::BoxError;
use fosi::minimize::Objective;

/// A problem with exact Hessian-vector products, for which argmin has no trait.
pub trait HessianProduct {
    /// ∇²f(x)·v.
    ///
    /// # Errors
    /// The problem's own.
    fn hessian_product(&self, x: &[f64], v: &[f64]) -> Result<Vec<f64>, Error>;
}

/// The conversion of a problem of type `O` to an objective: [`Quotients`] or [`Exact`].
pub trait Products<O>: sealed::Sealed {
    /// The solver's name with these products.
    const NAME: &'static str;

    /// The objective of `dim` variables. Its closures never borrow the problem at the same time.
    fn objective<'a>(dim: usize, problem: &'a RefCell<&mut Problem<O>>) -> Objective<'a>
    where
        O: 'a;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Quotients {}
    impl Sealed for super::Exact {}
}

/// Products are guarded difference quotients of gradients; see [`fosi::operator::DifferenceQuotient`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotients;

impl<O> Products<O> for Quotients
where
    O: CostFunction<Param = Vec<f64>, Output = f64>
        + Gradient<Param = Vec<f64>, Gradient = Vec<f64>>,
{
    const NAME: &'static str = "L-BFGS on the spectral metric";

    fn objective<'a>(dim: usize, problem: &'a RefCell<&mut Problem<O>>) -> Objective<'a>
    where
        O: 'a,
    {
        Objective::new(dim, |x, gradient| {
            let problem = &mut problem.borrow_mut();
            let x = x.to_vec();
            let value = problem.cost(&x)?;
            copy(&problem.gradient(&x)?, gradient, "the gradient")?;
            Ok(value)
        })
    }
}

/// Products are those of [`HessianProduct`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exact;

impl<O> Products<O> for Exact
where
    Quotients: Products<O>,
    O: HessianProduct,
{
    const NAME: &'static str = "L-BFGS on the spectral metric, exact products";

    fn objective<'a>(dim: usize, problem: &'a RefCell<&mut Problem<O>>) -> Objective<'a>
    where
        O: 'a,
    {
        Quotients::objective(dim, problem).with_product(|x, v, out| {
            let product = |problem: &O| problem.hessian_product(x, v);
            let mut problem = problem.borrow_mut();
            let product = problem.problem("hessian_product_count", product)?;
            copy(&product, out, "the Hessian-vector product")
        })
    }
}

fn copy(from: &[f64], to: &mut [f64], what: &'static str) -> Result<(), BoxError> {
    if from.len() != to.len() {
        return Err(BoxError::from(fosi::Error::DimensionMismatch {
            what,
            expected: to.len(),
            found: from.len(),
        }));
    }
    to.copy_from_slice(from);
    Ok(())
}
