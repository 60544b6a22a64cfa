//! The interface to a Hessian.

use std::marker::PhantomData;

use crate::error::{BoxError, Error, require_len};
use crate::space::Space;

/// A symmetric operator on the space `S`, usually a Hessian.
///
/// Only [`apply`](Self::apply) is required. The other methods serve approximate products: Lanczos checks the symmetry
/// of the products and asks for another try where it fails.
pub trait SymmetricOperator<S: Space> {
    /// out ← Av. Lanczos passes v of unit norm to within 0.2 %. `out` may hold anything on entry.
    fn apply(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<(), BoxError>;

    /// The dimension n, if the operator knows it. An operator whose dimension differs from the space's is refused
    /// before the first product.
    fn dim(&self) -> Option<usize> {
        None
    }

    /// An estimate of the error ‖out − Av‖ of the last product; 0 for an operator without error beyond the rounding of
    /// v and out. Products and eigenvalues below it count as zero.
    fn noise(&self) -> f64 {
        0.0
    }

    /// Computes the last product in another way, such as with a smaller difference step; `Ok(false)`, with `out`
    /// unchanged, if there is no other way. The next call of [`apply`](Self::apply) means that the last try was
    /// accepted.
    fn retry(&mut self, _v: &S::Vector, _out: &mut S::Vector) -> Result<bool, BoxError> {
        Ok(false)
    }

    /// Moves to a nearby point at which a loss with an exact tie at a kink has a second derivative; `Ok(false)` if that
    /// is impossible or has already been done.
    fn shift(&mut self) -> Result<bool, BoxError> {
        Ok(false)
    }

    /// out ← Av at the point before a [`shift`](Self::shift), averaged over a small interval along v; `Ok(false)`, with
    /// `out` unchanged, if there was no shift. It validates the estimate at the shifted point.
    fn apply_before_shift(
        &mut self,
        _v: &S::Vector,
        _out: &mut S::Vector,
    ) -> Result<bool, BoxError> {
        Ok(false)
    }

    /// out ← a start vector for a Lanczos run that may [end early](crate::FosiConfig::lanczos_tolerance), usually the
    /// gradient at the point. `Ok(false)`, with `out` unchanged, if the operator has none. Called before the first
    /// product.
    fn start_vector(&mut self, _out: &mut S::Vector) -> Result<bool, BoxError> {
        Ok(false)
    }

    /// The asymmetry, relative to the largest |α| and β of the Lanczos run, above which a product is refused; default
    /// 0.01.
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

/// An error unless the operator's dimension is that of the space.
pub(crate) fn check_dim(expected: usize, found: usize) -> Result<(), Error> {
    require_len("the operator", expected, found)
}

/// An operator from a closure that computes exact products; see [`from_fn`].
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

/// An operator that counts its products, retries included.
#[derive(Debug, Clone)]
pub struct Counted<O> {
    /// The wrapped operator.
    pub operator: O,
    /// Products computed so far, retries included.
    pub products: u64,
    /// Retries so far.
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
