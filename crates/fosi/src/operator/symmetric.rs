//! The interface to a Hessian.

use std::marker::PhantomData;

use crate::error::{BoxError, Error};
use crate::space::Space;

/// A symmetric operator on the space `S`: a Hessian, as a rule.
///
/// Only [`apply`](Self::apply) is required. The other methods are for approximate products: Lanczos sees from
/// the products alone whether they are symmetric, and asks again where they are not.
pub trait SymmetricOperator<S: Space> {
    /// out ← Av. Lanczos' v have unit length to 0.2 %. `out` may hold anything on entry.
    fn apply(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<(), BoxError>;

    /// The dimension n, where the operator knows it: an operator of another dimension than the space is refused
    /// before the first product.
    fn dim(&self) -> Option<usize> {
        None
    }

    /// An estimate of the rounding error of the last product, ‖out − Av‖; 0 where the rounding of v and out is all
    /// there is. A product, and an eigenvalue, below it counts as zero.
    fn noise(&self) -> f64 {
        0.0
    }

    /// Computes the last product in another way, say with a smaller difference step; `Ok(false)`, with `out`
    /// unchanged, where there is no other way. The way that was tried last is the one that was accepted when
    /// the next product is asked for.
    fn retry(&mut self, _v: &S::Vector, _out: &mut S::Vector) -> Result<bool, BoxError> {
        Ok(false)
    }

    /// Moves to a nearby point, where a loss with an exact tie at its kink has a second derivative;
    /// `Ok(false)` where that isn't possible or has been done already.
    fn shift(&mut self) -> Result<bool, BoxError> {
        Ok(false)
    }

    /// out ← Av at the point before a [`shift`](Self::shift), averaged over a small interval along v; `Ok(false)`, with
    /// `out` unchanged, where there was no shift. What was estimated at the shifted point is checked against it.
    fn apply_before_shift(
        &mut self,
        _v: &S::Vector,
        _out: &mut S::Vector,
    ) -> Result<bool, BoxError> {
        Ok(false)
    }

    /// out ← a vector for Lanczos to start from, where it may [end early](crate::FosiConfig::lanczos_tolerance): the
    /// gradient at the point, as a rule. `Ok(false)`, with `out` unchanged, where the operator has none. Asked for before
    /// the first product.
    fn start_vector(&mut self, _out: &mut S::Vector) -> Result<bool, BoxError> {
        Ok(false)
    }

    /// The asymmetry, relative to the largest α and β of the Lanczos run, above which a product is refused.
    fn tolerance(&self) -> f64 {
        1e-2
    }
}

impl<S: Space, O: SymmetricOperator<S> + ?Sized> SymmetricOperator<S> for &mut O {
    fn apply(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<(), BoxError> {
        (**self).apply(v, out)
    }
    fn dim(&self) -> Option<usize> {
        (**self).dim()
    }
    fn noise(&self) -> f64 {
        (**self).noise()
    }
    fn retry(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<bool, BoxError> {
        (**self).retry(v, out)
    }
    fn shift(&mut self) -> Result<bool, BoxError> {
        (**self).shift()
    }
    fn apply_before_shift(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<bool, BoxError> {
        (**self).apply_before_shift(v, out)
    }
    fn start_vector(&mut self, out: &mut S::Vector) -> Result<bool, BoxError> {
        (**self).start_vector(out)
    }
    fn tolerance(&self) -> f64 {
        (**self).tolerance()
    }
}

/// An error unless an operator's dimension is the space's.
pub(crate) fn check_dim(expected: usize, found: usize) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::DimensionMismatch {
        what: "the operator",
        expected,
        found,
    })
}

/// An operator from a closure that writes the exact product: see [`from_fn`].
#[derive(Debug, Clone)]
pub struct FromFn<S, F> {
    product: F,
    space: PhantomData<S>,
}

/// An operator from a closure that computes exact products, out ← Av.
///
/// ```
/// use fosi::{Host, operator::{self, SymmetricOperator}};
///
/// let mut diagonal = operator::from_fn::<Host<f64>, _>(|v: &[f64], out: &mut [f64]| {
///     out[0] = 3.0 * v[0];
///     out[1] = 2.0 * v[1];
/// });
/// let mut out = [0.0; 2];
/// diagonal.apply(&[1.0, 1.0], &mut out).unwrap();
/// assert_eq!(out, [3.0, 2.0]);
/// ```
pub fn from_fn<S: Space, F: FnMut(&S::Vector, &mut S::Vector)>(product: F) -> FromFn<S, F> {
    FromFn {
        product,
        space: PhantomData,
    }
}

impl<S: Space, F: FnMut(&S::Vector, &mut S::Vector)> SymmetricOperator<S> for FromFn<S, F> {
    fn apply(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<(), BoxError> {
        (self.product)(v, out);
        Ok(())
    }
}

/// An operator that counts its products, retries among them.
#[derive(Debug, Clone)]
pub struct Counted<O> {
    /// The operator itself.
    pub operator: O,
    /// Products so far, retries included.
    pub products: u64,
    /// Products that were computed again.
    pub retries: u64,
}

impl<O> Counted<O> {
    /// Counts the products of `operator` from zero.
    pub fn new(operator: O) -> Self {
        Self {
            operator,
            products: 0,
            retries: 0,
        }
    }
}

impl<S: Space, O: SymmetricOperator<S>> SymmetricOperator<S> for Counted<O> {
    fn apply(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<(), BoxError> {
        self.products += 1;
        self.operator.apply(v, out)
    }
    fn dim(&self) -> Option<usize> {
        self.operator.dim()
    }
    fn noise(&self) -> f64 {
        self.operator.noise()
    }
    fn retry(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<bool, BoxError> {
        let again = self.operator.retry(v, out)?;
        self.products += u64::from(again);
        self.retries += u64::from(again);
        Ok(again)
    }
    fn shift(&mut self) -> Result<bool, BoxError> {
        self.operator.shift()
    }
    fn apply_before_shift(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<bool, BoxError> {
        self.operator.apply_before_shift(v, out)
    }
    fn start_vector(&mut self, out: &mut S::Vector) -> Result<bool, BoxError> {
        self.operator.start_vector(out)
    }
    fn tolerance(&self) -> f64 {
        self.operator.tolerance()
    }
}
