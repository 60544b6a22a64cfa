//! Vectors on the ranks of a communicator, whole or in shards.

use std::ops::Range;
use std::sync::Arc;

use crate::communicator::Communicator;
use crate::error::{Error, require_len};
use crate::ranks::Ranks;
use crate::space::array::Array;
use crate::space::distributed::Distributed;
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

impl<T: Scalar> Distributed for Host<T> {
    fn with_ranks(mut self, ranks: Ranks) -> Self {
        self.ranks = ranks;
        self
    }
    fn check_whole(&self, what: &'static str, x: &[T]) -> Result<(), Error> {
        require_len(what, self.dim, x.len())
    }
    fn whole_zeros(&self) -> Vec<T> {
        vec![T::ZERO; self.dim]
    }
    fn with_own<R>(&self, whole: &[T], work: impl FnOnce(&[T]) -> R) -> R {
        work(self.own(whole))
    }
    fn with_own_mut<R>(&self, whole: &mut [T], work: impl FnOnce(&mut [T]) -> R) -> R {
        work(self.own_mut(whole))
    }
    fn scale(&self, a: f64, x: &mut [T]) {
        x.iter_mut().for_each(|x| *x = x.scale(a));
    }

    fn reduce(&self, weight: f64, whole: &mut [T], beside: &mut [f64]) {
        weigh(weight, whole);
        self.ranks.reduce(T::numbers(whole), beside);
    }
    fn gather(&self, whole: &mut [T]) {
        if self.ranks.is_sharded()
            && let Some(communicator) = self.ranks.communicator()
        {
            communicator.all_gather(T::numbers(whole));
        }
    }
    fn broadcast(&self, whole: &mut [T]) {
        if let Some(communicator) = self.ranks.communicator() {
            communicator.broadcast(T::numbers(whole));
        }
    }
}

/// x ← weight·x; for the weight 0 x may hold anything, even NaN.
fn weigh<T: Scalar>(weight: f64, x: &mut [T]) {
    if weight == 0.0 {
        x.fill(T::ZERO);
    } else if weight != 1.0 {
        x.iter_mut().for_each(|x| *x = x.scale(weight));
    }
}
