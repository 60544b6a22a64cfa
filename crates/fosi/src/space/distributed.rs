//! Spaces whose vectors may be on several ranks, whole or in shards.

use std::borrow::BorrowMut;

use super::vectors::Space;
use crate::error::{BoxError, Error, require};
use crate::ranks::Ranks;

/// A space that can distribute its vectors over the ranks of a communicator.
///
/// The user's own vectors, parameters and gradient, are whole on every rank. The optimizer's are whole or a shard; a
/// rank's *part* of a whole vector is accordingly all of it or its shard. [`axpby`](Space::axpby) must work on both.
pub trait Distributed: Space + Clone {
    /// The same space on other ranks.
    fn with_ranks(self, ranks: Ranks) -> Self;
    /// An error unless `x` has n entries.
    ///
    /// # Errors
    /// [`Error::DimensionMismatch`].
    fn check_whole(&self, what: &'static str, x: &Self::Vector) -> Result<(), Error>;
    /// The zero vector with all n entries.
    fn whole_zeros(&self) -> Self::Owned;
    /// The result of `work` on this rank's part of a whole vector.
    fn with_own<R>(&self, whole: &Self::Vector, work: impl FnOnce(&Self::Vector) -> R) -> R;
    /// The same, where `work` changes the part.
    fn with_own_mut<R>(
        &self,
        whole: &mut Self::Vector,
        work: impl FnOnce(&mut Self::Vector) -> R,
    ) -> R;
    /// x ← a·x, for a vector of any length.
    fn scale(&self, a: f64, x: &mut Self::Vector);

    /// This rank's part of whole vectors ← Σ wᵣxᵣ over the ranks, and `beside` ← Σ over the ranks. The vector of a rank
    /// with weight 0 is not read. The other parts are unspecified afterwards.
    fn reduce(&self, weight: f64, whole: &mut Self::Vector, beside: &mut [f64]);
    /// Completes a whole vector of which every rank has its own part. Does nothing if vectors are whole.
    fn gather(&self, whole: &mut Self::Vector);
    /// A whole vector ← rank 0's.
    fn broadcast(&self, whole: &mut Self::Vector);

    /// A copy of this rank's part of a whole vector.
    fn own_part(&self, whole: &Self::Vector) -> Self::Owned {
        let mut part = self.zeros();
        self.copy_own(whole, part.borrow_mut());
        part
    }
    /// own ← this rank's part of a whole vector.
    fn copy_own(&self, whole: &Self::Vector, own: &mut Self::Vector) {
        self.with_own(whole, |part| self.axpby(1.0, part, 0.0, own));
    }
    /// whole ← the whole vector of which `own` is this rank's part.
    fn gather_from(&self, own: &Self::Vector, whole: &mut Self::Vector) {
        self.with_own_mut(whole, |part| self.axpby(1.0, own, 0.0, part));
        self.gather(whole);
    }
    /// The whole vector of which `own` is this rank's part.
    fn whole(&self, own: &Self::Vector) -> Self::Owned {
        let mut whole = self.whole_zeros();
        self.gather_from(own, whole.borrow_mut());
        whole
    }

    /// The means Σ wᵣxᵣ/Σ wᵣ over the ranks of the gradients, in place, and of the values, returned; `weight` is wᵣ, the
    /// number of examples in this rank's share of the batch. Only this rank's part of the gradient is specified
    /// afterwards. With one rank both are unchanged.
    ///
    /// `value` is the loss, or an error, with which all ranks fail together. The gradient of a rank with weight 0 is not
    /// read.
    ///
    /// # Errors
    /// [`Error::User`] with this rank's error, [`Error::OtherRank`] where another has failed,
    /// [`Error::DimensionMismatch`] for a gradient without n entries, [`Error::InvalidSetting`] for a weight that is
    /// negative or not finite, and where all weights are 0.
    fn average(
        &self,
        weight: f64,
        value: Result<f64, BoxError>,
        gradient: &mut Self::Vector,
    ) -> Result<f64, Error> {
        let fits = self.check_whole("the gradient", gradient);
        let mut nothing = None;
        let whole = match &fits {
            Ok(()) => gradient,
            // Takes part in the collective all the same.
            Err(_) => nothing.insert(self.whole_zeros()).borrow_mut(),
        };
        let checked = check_weight(weight).and(fits);
        if self.ranks().size() == 1 {
            checked?;
            return value.map_err(Error::User);
        }
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
        self.reduce(weight, whole, &mut beside);
        let [value, total, failures] = beside;
        if failures > 0.0 {
            let other = self.ranks().tell(failure.as_ref().map(ToString::to_string));
            return Err(failure.unwrap_or(other));
        }
        check_total(total)?;
        self.with_own_mut(whole, |part| self.scale(1.0 / total, part));
        Ok(value / total)
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
