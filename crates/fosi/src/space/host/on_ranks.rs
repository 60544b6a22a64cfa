//! Vectors on the ranks of a communicator, whole or in shards.

use std::ops::Range;
use std::sync::Arc;

use crate::communicator::Communicator;
use crate::error::{BoxError, Error, require};
use crate::ranks::Ranks;
use crate::space::array::Array;
use crate::space::kernels::{Scalar, Stored};

use super::Host;
use super::basis::load_row;

impl<T: Scalar> Host<T> {
    /// Every rank has whole vectors and computes the same with them.
    pub fn replicated(mut self, communicator: Arc<dyn Communicator>) -> Self {
        self.ranks = Ranks::replicated(communicator);
        self
    }

    /// Every rank has a [`shard`](crate::communicator::shard) of every vector.
    pub fn sharded(mut self, communicator: Arc<dyn Communicator>) -> Self {
        self.ranks = Ranks::sharded(communicator);
        self
    }

    /// The same space on other ranks.
    pub fn with_ranks(mut self, ranks: Ranks) -> Self {
        self.ranks = ranks;
        self
    }

    /// This rank's entries of a whole vector.
    pub fn range(&self) -> Range<usize> {
        self.ranks.range(self.dim)
    }

    /// This rank's part of a whole vector: its shard, or all of it.
    ///
    /// # Panics
    /// If the vector does not have n entries.
    pub fn own<'a>(&self, whole: &'a [T]) -> &'a [T] {
        assert_eq!(whole.len(), self.dim, "a whole vector has n entries");
        &whole[self.range()]
    }

    /// The same, mutable.
    ///
    /// # Panics
    /// If the vector does not have n entries.
    pub fn own_mut<'a>(&self, whole: &'a mut [T]) -> &'a mut [T] {
        assert_eq!(whole.len(), self.dim, "a whole vector has n entries");
        &mut whole[self.range()]
    }

    /// The means Σ wᵣxᵣ/Σ wᵣ over the ranks of the gradients, in place, and of the values, returned; `weight` is wᵣ, the
    /// number of examples in this rank's share of the batch. Only [`own`](Self::own) of the gradient is specified
    /// afterwards. With one rank both are unchanged.
    ///
    /// `value` is the loss, or an error, with which all ranks fail together. The gradient of a rank with weight 0 is not
    /// read.
    ///
    /// # Errors
    /// [`Error::User`] with this rank's error, [`Error::OtherRank`] where another has failed,
    /// [`Error::DimensionMismatch`] for a gradient without n entries, [`Error::InvalidSetting`] for a weight that is
    /// negative or not finite, and where all weights are 0.
    pub fn average(
        &self,
        weight: f64,
        value: Result<f64, BoxError>,
        gradient: &mut [T],
    ) -> Result<f64, Error> {
        let checked = self.check_share(weight, gradient);
        if self.ranks.size() == 1 {
            checked?;
            return value.map_err(Error::User);
        }
        let mut nothing = Vec::new();
        let whole = if gradient.len() == self.dim {
            gradient
        } else {
            nothing.resize(self.dim, T::ZERO);
            &mut nothing[..]
        };
        let value = checked.and_then(|()| value.map_err(Error::User));
        let (value, failure) = match value {
            Ok(value) => (value, None),
            Err(error) => (0.0, Some(error)),
        };
        let failed = failure.is_some();
        let weight = if failed { 0.0 } else { weight };
        let mut beside = [
            if weight > 0.0 { weight * value } else { 0.0 },
            weight,
            f64::from(failed),
        ];
        weigh(weight, whole);
        self.ranks.reduce(T::numbers(whole), &mut beside);
        let [value, total, failures] = beside;
        if failures > 0.0 {
            let other = self.ranks.tell(failure.as_ref().map(ToString::to_string));
            return Err(failure.unwrap_or(other));
        }
        check_total(total)?;
        self.own_mut(whole)
            .iter_mut()
            .for_each(|x| *x = x.scale(1.0 / total));
        Ok(value / total)
    }

    fn check_share(&self, weight: f64, gradient: &[T]) -> Result<(), Error> {
        check_weight(weight)?;
        match gradient.len() == self.dim {
            true => Ok(()),
            false => Err(Error::DimensionMismatch {
                what: "the gradient",
                expected: self.dim,
                found: gradient.len(),
            }),
        }
    }

    /// Completes a whole vector of which every rank has its own part. Does nothing if vectors are whole.
    pub fn gather(&self, whole: &mut [T]) {
        if self.ranks.is_sharded()
            && let Some(communicator) = self.ranks.communicator()
        {
            communicator.all_gather(T::numbers(whole));
        }
    }

    /// A whole vector ← rank 0's.
    pub fn broadcast(&self, whole: &mut [T]) {
        if let Some(communicator) = self.ranks.communicator() {
            communicator.broadcast(T::numbers(whole));
        }
    }

    /// The whole vector of which `own` is this rank's part.
    pub fn whole(&self, own: &[T]) -> Vec<T> {
        let mut whole = vec![T::ZERO; self.dim];
        whole[self.range()].copy_from_slice(own);
        self.gather(&mut whole);
        whole
    }

    /// The whole rows of a basis, in their own precision.
    pub(super) fn export_rows<B: Stored>(&self, rows: &[Vec<B>]) -> Array {
        if !self.ranks.is_sharded() {
            return Array::from_rows(rows);
        }
        let whole = |row: &Vec<B>| {
            // T is at least as wide as B, so neither conversion rounds.
            let whole: Vec<T> = self.whole(&load_row(row));
            whole.iter().map(|x| B::store(x.load())).collect::<Vec<B>>()
        };
        Array::from_rows(&rows.iter().map(whole).collect::<Vec<_>>())
    }
}

/// An error unless a rank's weight is at least 0 and finite.
pub(crate) fn check_weight(weight: f64) -> Result<(), Error> {
    let allowed = weight >= 0.0 && weight.is_finite();
    let range = "at least 0 and finite";
    require(allowed, "the weight of a rank", weight, range)
}

/// An error unless the sum of the ranks' weights is positive.
pub(crate) fn check_total(total: f64) -> Result<(), Error> {
    let allowed = "positive on one rank at least";
    require(total > 0.0, "the weight of the batch", total, allowed)
}

/// x ← weight·x; for the weight 0 x may hold anything, even NaN.
pub(crate) fn weigh<T: Scalar>(weight: f64, x: &mut [T]) {
    if weight == 0.0 {
        x.fill(T::ZERO);
    } else if weight != 1.0 {
        x.iter_mut().for_each(|x| *x = x.scale(weight));
    }
}
