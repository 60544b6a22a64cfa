//! Observers of a run.

use crate::optimizers::OptimizerName;
use crate::runs::{Failure, MetricsRow, RefreshRecord};

/// An observer of a run: progress bars, or a test.
pub trait Observer {
    /// An optimizer starts or resumes.
    fn started(&mut self, start: &Start);
    /// An operation that takes longer than a step has started or, with `None`, is over.
    fn busy(&mut self, with: Option<&'static str>);
    /// The optimizer has taken a step; `loss` is the batch's loss before it.
    fn stepped(&mut self, loss: f64);
    /// The optimizer has finished an epoch.
    fn epoch(&mut self, row: &MetricsRow);
    /// A refresh was refused; `spectrum` tells whether an older spectrum stays in use.
    fn refused(&mut self, refresh: &RefreshRecord, reason: &str, spectrum: bool);
    /// The optimizer was stopped; `others` optimizers follow.
    fn failed(&mut self, failure: &Failure, others: usize);
    /// The optimizer has ended, for whatever reason.
    fn ended(&mut self);
    /// A message about the whole run.
    fn notice(&mut self, text: &str);
}

/// The start of an optimizer, or the point where it resumes.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// Its seed.
    pub seed: u64,
    /// The number of epochs; the last may be incomplete.
    pub epochs: u64,
    /// The total number of steps, counted from the first.
    pub steps: u64,
    /// The number of steps taken before the run was resumed.
    pub taken: u64,
}
