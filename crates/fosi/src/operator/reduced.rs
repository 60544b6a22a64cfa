//! The mean of the ranks' operators, such as the Hessian of a batch that the ranks share.

use std::borrow::{Borrow, BorrowMut};

use super::symmetric::{SymmetricOperator, check_dim};
use crate::error::{BoxError, Error};
use crate::space::{Distributed, Space, check_total, check_weight};

/// Σ wᵣAᵣ/Σ wᵣ over the ranks of a space, where Aᵣ is the operator of this rank's share of the batch, on whole vectors.
///
/// If the space has its vectors in shards, v is gathered and products are scattered; this needs two whole vectors. All
/// ranks must use it alike, as a [refresh](crate::Fosi::refresh) on all of them does. If one fails, all fail.
pub struct Reduced<S: Space, O> {
    space: S,
    /// `None` where this rank has no examples.
    operator: Option<O>,
    /// wᵣ/Σ wᵣ.
    share: f64,
    tolerance: f64,
    noise: f64,
    /// v, then the products' sum.
    whole: S::Owned,
    /// This rank's last product.
    product: S::Owned,
}

impl<S: Space + std::fmt::Debug, O> std::fmt::Debug for Reduced<S, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reduced")
            .field("space", &self.space)
            .field("share", &self.share)
            .finish_non_exhaustive()
    }
}

impl<S: Distributed, O: SymmetricOperator<S>> Reduced<S, O> {
    /// The mean over the ranks. `weight` is wᵣ, the number of this rank's examples, possibly 0. All ranks call this
    /// together; if one passes an error instead of an operator, all fail.
    ///
    /// # Errors
    /// [`Error::User`] with this rank's error and [`Error::OtherRank`] with that of another,
    /// [`Error::InvalidSetting`] for a weight that is negative or not finite, or where all are 0,
    /// [`Error::DimensionMismatch`] where an operator reports a dimension other than n.
    pub fn new(space: &S, weight: f64, operator: Result<O, BoxError>) -> Result<Self, Error> {
        let operator = check_weight(weight).and_then(|()| {
            let operator = operator.map_err(Error::User)?;
            let found = operator.dim();
            found.map_or(Ok(()), |found| check_dim(space.dim(), found))?;
            Ok(operator)
        });
        let operator = space.ranks().fail_together(operator)?;
        let mut total = [weight];
        space.ranks().sum_over_all(&mut total);
        check_total(total[0])?;
        Ok(Self {
            tolerance: space.ranks().max_over_all(operator.tolerance()),
            operator: (weight > 0.0).then_some(operator),
            share: weight / total[0],
            noise: 0.0,
            whole: space.whole_zeros(),
            product: space.whole_zeros(),
            space: space.clone(),
        })
    }

    /// This rank's operator; `None` where it has no examples.
    pub fn into_inner(self) -> Option<O> {
        self.operator
    }

    /// Gathers the whole v.
    fn gather(&mut self, v: &S::Vector) {
        self.space.gather_from(v, self.whole.borrow_mut());
    }

    /// Returns whether at least `fewest` ranks have `said` true; if so, out ← the mean of the ranks' last products.
    fn mean(
        &mut self,
        said: Result<bool, BoxError>,
        fewest: usize,
        out: &mut S::Vector,
    ) -> Result<bool, BoxError> {
        let (yes, failure) = split(said);
        let failed = failure.is_some();
        let whole: &mut S::Vector = self.whole.borrow_mut();
        self.space.axpby(1.0, self.product.borrow(), 0.0, whole);
        let noise = self.operator.as_ref().map_or(0.0, O::noise);
        let mut beside = [f64::from(yes), self.share * noise, f64::from(failed)];
        let weight = if failed { 0.0 } else { self.share };
        self.space.reduce(weight, whole, &mut beside);
        self.check(beside[2], failure)?;
        self.noise = beside[1];
        let enough = beside[0] >= fewest as f64;
        if enough {
            self.space.copy_own(self.whole.borrow(), out);
        }
        Ok(enough)
    }

    /// This rank's failure or, if it has none, another's.
    fn check(&self, failures: f64, own: Option<BoxError>) -> Result<(), BoxError> {
        if failures == 0.0 {
            return Ok(());
        }
        let ranks = self.space.ranks();
        if ranks.size() > 1 {
            let other = ranks.tell(own.as_ref().map(ToString::to_string));
            return Err(own.unwrap_or_else(|| other.into()));
        }
        own.map_or(Ok(()), Err)
    }
}

/// What a rank has said, and its failure.
fn split(said: Result<bool, BoxError>) -> (bool, Option<BoxError>) {
    match said {
        Ok(yes) => (yes, None),
        Err(error) => (false, Some(error)),
    }
}

impl<S: Distributed, O: SymmetricOperator<S>> SymmetricOperator<S> for Reduced<S, O> {
    fn dim(&self) -> Option<usize> {
        Some(self.space.dim())
    }
    fn noise(&self) -> f64 {
        self.noise
    }
    fn tolerance(&self) -> f64 {
        self.tolerance
    }
    fn apply(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<(), BoxError> {
        self.gather(v);
        let done = match &mut self.operator {
            Some(operator) => operator
                .apply(self.whole.borrow(), self.product.borrow_mut())
                .map(|()| true),
            None => Ok(true),
        };
        self.mean(done, 0, out).map(drop)
    }
    fn retry(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<bool, BoxError> {
        self.gather(v);
        // A rank without another step size keeps its last product.
        let again = match &mut self.operator {
            Some(operator) => operator.retry(self.whole.borrow(), self.product.borrow_mut()),
            None => Ok(false),
        };
        self.mean(again, 1, out)
    }
    fn shift(&mut self) -> Result<bool, BoxError> {
        let shifted = match &mut self.operator {
            Some(operator) => operator.shift(),
            None => Ok(false),
        };
        let (yes, failure) = split(shifted);
        let mut beside = [f64::from(yes), f64::from(failure.is_some())];
        self.space.ranks().sum_over_all(&mut beside);
        self.check(beside[1], failure)?;
        Ok(beside[0] > 0.0)
    }
    fn apply_before_shift(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<bool, BoxError> {
        self.gather(v);
        let before = match &mut self.operator {
            Some(operator) => {
                match operator.apply_before_shift(self.whole.borrow(), self.product.borrow_mut()) {
                    // It has not moved, so its product is that at the point.
                    Ok(false) => operator
                        .apply(self.whole.borrow(), self.product.borrow_mut())
                        .map(|()| false),
                    moved => moved,
                }
            }
            None => Ok(false),
        };
        self.mean(before, 1, out)
    }
    fn start_vector(&mut self, out: &mut S::Vector) -> Result<bool, BoxError> {
        let has = match &mut self.operator {
            Some(operator) => operator.start_vector(self.product.borrow_mut()),
            None => Ok(true),
        };
        self.mean(has, self.space.ranks().size(), out)
    }
}
