//! The distribution of a space's vectors over the ranks of a communicator, and the collectives that the algorithms use.

use std::ops::Range;
use std::sync::Arc;

use crate::communicator::{Communicator, Numbers, shard};
use crate::error::Error;

/// The ranks that share one optimizer: a single one, or several with whole vectors or with shards of them.
#[derive(Debug, Clone, Default)]
pub struct Ranks {
    group: Option<Group>,
}

#[derive(Debug, Clone)]
struct Group {
    communicator: Arc<dyn Communicator>,
    sharded: bool,
}

/// What a rank that has failed gives instead of a checksum.
const FAILED: f64 = -1.0;

/// The maximum length in bytes of an error message for the other ranks.
const MESSAGE: usize = 240;

impl Ranks {
    /// A single rank, which calls no collectives.
    pub const ALONE: Self = Self { group: None };

    /// Every rank has whole vectors.
    pub fn replicated(communicator: Arc<dyn Communicator>) -> Self {
        Self::of(communicator, false)
    }

    /// Every rank has a [`shard`] of every vector.
    pub fn sharded(communicator: Arc<dyn Communicator>) -> Self {
        Self::of(communicator, true)
    }

    fn of(communicator: Arc<dyn Communicator>, sharded: bool) -> Self {
        let group = Group {
            communicator,
            sharded,
        };
        Self {
            // With one rank every collective is the identity.
            group: (group.communicator.size() > 1).then_some(group),
        }
    }

    /// This process's rank; 0 for a single one.
    pub fn rank(&self) -> usize {
        let group = self.group.as_ref();
        group.map_or(0, |group| group.communicator.rank())
    }

    /// The number of ranks.
    pub fn size(&self) -> usize {
        let group = self.group.as_ref();
        group.map_or(1, |group| group.communicator.size())
    }

    /// Whether each rank has a shard of every vector.
    pub fn is_sharded(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.sharded)
    }

    /// This rank's entries of a vector with n entries.
    pub fn range(&self, n: usize) -> Range<usize> {
        match &self.group {
            Some(group) if group.sharded => shard(n, self.rank(), self.size()),
            _ => 0..n,
        }
    }

    /// The communicator; `None` for a single rank.
    pub fn communicator(&self) -> Option<&Arc<dyn Communicator>> {
        self.group.as_ref().map(|group| &group.communicator)
    }

    fn shards(&self) -> Option<&dyn Communicator> {
        let group = self.group.as_ref().filter(|group| group.sharded)?;
        Some(&*group.communicator)
    }

    /// numbers ← Σ over the shards; unchanged for whole vectors.
    pub fn sum(&self, numbers: &mut [f64]) {
        if let Some(communicator) = self.shards() {
            communicator.sum(Numbers::F64(&mut []), numbers);
        }
    }

    /// The same for two lists and a number in one message; returns the number's sum.
    pub fn sum_with(&self, c: &mut [f64], d: &mut [f64], number: f64) -> f64 {
        if self.shards().is_none() {
            return number;
        }
        let mut all = [&*c, &*d, &[number]].concat();
        self.sum(&mut all);
        let (first, rest) = all.split_at(c.len());
        c.copy_from_slice(first);
        d.copy_from_slice(&rest[..d.len()]);
        rest[d.len()]
    }

    /// The largest over the shards; NaN counts as ∞.
    pub fn max(&self, number: f64) -> f64 {
        match self.is_sharded() {
            true => self.max_over_all(number),
            false => number,
        }
    }

    /// The largest over the ranks, sharded or not; NaN counts as ∞.
    pub(crate) fn max_over_all(&self, number: f64) -> f64 {
        if self.size() == 1 {
            return number;
        }
        let numbers = self.gather_numbers(number);
        numbers
            .iter()
            .fold(f64::NEG_INFINITY, |max, x| match x.is_nan() {
                true => f64::INFINITY,
                false => max.max(*x),
            })
    }

    /// numbers ← those of rank 0. For numbers that depend on a clock, or on a library that rounds differently on other
    /// processors.
    pub fn agree(&self, numbers: &mut [f64]) {
        if let Some(group) = &self.group {
            group.communicator.broadcast(Numbers::F64(numbers));
        }
    }

    /// Rank 0's `holds`.
    pub fn agree_on(&self, holds: bool) -> bool {
        let mut number = [f64::from(holds)];
        self.agree(&mut number);
        number[0] != 0.0
    }

    /// The `number` of each rank.
    fn gather_numbers(&self, number: f64) -> Vec<f64> {
        let mut numbers = vec![number; self.size()];
        if let Some(group) = &self.group {
            group.communicator.all_gather(Numbers::F64(&mut numbers));
        }
        numbers
    }

    /// An error on all ranks unless all have the same checksum of `what` after `step` steps. One rank alone does not compute
    /// it.
    ///
    /// # Errors
    /// [`Error::RanksDiffer`].
    pub(crate) fn compare(
        &self,
        what: &'static str,
        step: u64,
        checksum: impl FnOnce() -> u32,
    ) -> Result<(), Error> {
        self.compare_unless_failed(Ok(()), what, step, checksum)
    }

    /// Like [`compare`](Self::compare), unless `before` is an error on some rank, which is then one on all.
    ///
    /// # Errors
    /// `before`'s own, [`Error::OtherRank`] and [`Error::RanksDiffer`].
    pub(crate) fn compare_unless_failed(
        &self,
        before: Result<(), Error>,
        what: &'static str,
        step: u64,
        checksum: impl FnOnce() -> u32,
    ) -> Result<(), Error> {
        if self.size() == 1 {
            return before;
        }
        let own = match &before {
            Ok(()) => f64::from(checksum()),
            Err(_) => FAILED,
        };
        let all = self.gather_numbers(own);
        if all.contains(&FAILED) {
            let other = self.tell(before.as_ref().err().map(ToString::to_string));
            return Err(before.err().unwrap_or(other));
        }
        match all.iter().position(|found| *found != all[0]) {
            Some(rank) => Err(Error::RanksDiffer { what, rank, step }),
            None => Ok(()),
        }
    }

    /// Whether `holds` is true on some rank.
    pub fn any(&self, holds: bool) -> bool {
        self.max_over_all(f64::from(holds)) > 0.0
    }

    /// Records the optimizer's step for messages.
    pub(crate) fn at(&self, step: u64) {
        if let Some(group) = &self.group {
            group.communicator.at(step);
        }
    }

    /// This rank's part of whole vectors ← Σ over the ranks, and `beside` ← Σ over the ranks.
    pub(crate) fn reduce(&self, numbers: Numbers<'_>, beside: &mut [f64]) {
        match &self.group {
            Some(group) if group.sharded => group.communicator.reduce_scatter(numbers, beside),
            Some(group) => group.communicator.sum(numbers, beside),
            None => {}
        }
    }

    /// numbers ← Σ over the ranks, sharded or not.
    pub(crate) fn sum_over_all(&self, numbers: &mut [f64]) {
        if let Some(group) = &self.group {
            group.communicator.sum(Numbers::F64(&mut []), numbers);
        }
    }

    /// This rank's result, unless another rank has failed. All ranks must call it; if any result is an error, all return
    /// an error.
    ///
    /// # Errors
    /// `result`'s own, and [`Error::OtherRank`].
    pub fn fail_together<R>(&self, result: Result<R, Error>) -> Result<R, Error> {
        self.fail_together_with(result, |other| other)
    }

    /// Like [`fail_together`](Self::fail_together), for errors of any type; `of_other` makes one of another rank's.
    ///
    /// # Errors
    /// `result`'s own, and that of `of_other`.
    pub fn fail_together_with<R, E: std::fmt::Display>(
        &self,
        result: Result<R, E>,
        of_other: impl FnOnce(Error) -> E,
    ) -> Result<R, E> {
        let mut failures = [f64::from(result.is_err())];
        self.sum_over_all(&mut failures);
        if self.size() == 1 || failures[0] == 0.0 {
            return result;
        }
        let own = result.err();
        let other = self.tell(own.as_ref().map(ToString::to_string));
        Err(own.unwrap_or_else(|| of_other(other)))
    }

    /// Exchanges the messages of failed ranks. All ranks must call it once they know that one has failed. Returns the message
    /// of the first failed rank.
    pub(crate) fn tell(&self, own: Option<String>) -> Error {
        let failed = own.is_some();
        let text = own.unwrap_or_default();
        let bytes = &text.as_bytes()[..text.floor_char_boundary(MESSAGE)];
        // A flag and the text.
        let mut mine = vec![0.0; MESSAGE + 1];
        mine[0] = f64::from(failed);
        mine[1..=bytes.len()]
            .iter_mut()
            .zip(bytes)
            .for_each(|(number, byte)| *number = f64::from(*byte));
        let mut all = mine.repeat(self.size());
        if let Some(group) = &self.group {
            group.communicator.all_gather(Numbers::F64(&mut all));
        }
        let rank = all.chunks(MESSAGE + 1).position(|said| said[0] != 0.0);
        let rank = rank.unwrap_or(0);
        let said = &all[rank * (MESSAGE + 1) + 1..][..MESSAGE];
        let bytes: Vec<u8> = said.iter().map(|byte| *byte as u8).collect();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(MESSAGE);
        let message = String::from_utf8_lossy(&bytes[..end]).into_owned();
        Error::OtherRank { rank, message }
    }
}

/// Adds numbers to a checksum.
pub(crate) fn hash_numbers(hasher: &mut crc32fast::Hasher, numbers: &[f64]) {
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::Ranks;

    #[test]
    fn alone_nothing_is_summed() {
        let ranks = Ranks::ALONE;
        let mut numbers = [1.5, f64::NAN];
        ranks.sum(&mut numbers);
        assert_eq!(numbers[0], 1.5);
        assert_eq!((ranks.rank(), ranks.size(), ranks.range(7)), (0, 1, 0..7));
        assert!(ranks.compare("this", 0, || 3).is_ok());
        assert!(ranks.any(true) && !ranks.any(false));
    }
}
