//! The mean of several operators: the Hessian averaged over batches.

use std::borrow::{Borrow, BorrowMut};

use super::symmetric::{SymmetricOperator, check_dim};
use crate::error::{BoxError, Error, require};
use crate::space::Space;

/// The mean of operators, (1/b)·ΣAᵢ.
///
/// The curvature of one batch overfits that batch; the mean over several batches is closer to the curvature of the full
/// loss.
#[derive(Debug)]
pub struct Mean<S: Space, O> {
    space: S,
    operators: Vec<O>,
    products: Vec<S::Owned>,
}

impl<S: Space, O: SymmetricOperator<S>> Mean<S, O> {
    /// The mean of at least one operator.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] without operators, [`Error::DimensionMismatch`] for an operator that reports a
    /// dimension other than the space's.
    pub fn new(space: S, operators: Vec<O>) -> Result<Self, Error> {
        let count = operators.len();
        require(count > 0, "the number of operators", count, "at least 1")?;
        for found in operators.iter().filter_map(O::dim) {
            check_dim(space.dim(), found)?;
        }
        let products = operators.iter().map(|_| space.zeros()).collect();
        Ok(Self {
            space,
            operators,
            products,
        })
    }

    /// The operators, in their order.
    pub fn into_inner(self) -> Vec<O> {
        self.operators
    }

    fn average(&self, out: &mut S::Vector) {
        let weight = 1.0 / self.products.len() as f64;
        for (i, product) in self.products.iter().enumerate() {
            let keep = if i == 0 { 0.0 } else { 1.0 };
            self.space.axpby(weight, product.borrow(), keep, out);
        }
    }
}

impl<S: Space, O: SymmetricOperator<S>> SymmetricOperator<S> for Mean<S, O> {
    fn dim(&self) -> Option<usize> {
        Some(self.space.dim())
    }
    fn noise(&self) -> f64 {
        let sum: f64 = self.operators.iter().map(O::noise).sum();
        sum / self.operators.len() as f64
    }
    fn apply(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<(), BoxError> {
        for (operator, product) in self.operators.iter_mut().zip(&mut self.products) {
            operator.apply(v, product.borrow_mut())?;
        }
        self.average(out);
        Ok(())
    }
    fn retry(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<bool, BoxError> {
        let mut any = false;
        for (operator, product) in self.operators.iter_mut().zip(&mut self.products) {
            any |= operator.retry(v, product.borrow_mut())?;
        }
        if any {
            self.average(out);
        }
        Ok(any)
    }
    fn shift(&mut self) -> Result<bool, BoxError> {
        let mut any = false;
        for operator in &mut self.operators {
            any |= operator.shift()?;
        }
        Ok(any)
    }
    fn apply_before_shift(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<bool, BoxError> {
        let mut any = false;
        for (operator, product) in self.operators.iter_mut().zip(&mut self.products) {
            let product = product.borrow_mut();
            if operator.apply_before_shift(v, product)? {
                any = true;
            } else {
                operator.apply(v, product)?;
            }
        }
        if any {
            self.average(out);
        }
        Ok(any)
    }
    fn start_vector(&mut self, out: &mut S::Vector) -> Result<bool, BoxError> {
        for (operator, start) in self.operators.iter_mut().zip(&mut self.products) {
            if !operator.start_vector(start.borrow_mut())? {
                return Ok(false);
            }
        }
        self.average(out);
        Ok(true)
    }
    fn tolerance(&self) -> f64 {
        let tolerances = self.operators.iter().map(O::tolerance);
        tolerances.fold(0.0, f64::max)
    }
}
