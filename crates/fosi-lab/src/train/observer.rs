//! Who watches a run.

use crate::optimizers::OptimizerName;
use crate::runs::{Failure, MetricsRow, RefreshRecord};

/// Who watches a run: progress bars, or a test.
pub trait Observer {
    /// An optimizer starts, or resumes.
    fn started(&mut self, start: &Start);
    /// Something takes longer than a step, or (`None`) is over.
    fn busy(&mut self, with: Option<&'static str>);
    /// It has taken a step; `loss` is the batch's before it.
    fn stepped(&mut self, loss: f64);
    /// It has finished an epoch.
    fn epoch(&mut self, row: &MetricsRow);
    /// A refresh was refused; `spectrum`: whether there is an older one, which stays.
    fn refused(&mut self, refresh: &RefreshRecord, reason: &str, spectrum: bool);
    /// It was stopped; `others` are still to come.
    fn failed(&mut self, failure: &Failure, others: usize);
    /// It is over, whatever the reason.
    fn ended(&mut self);
    /// Something about the run as a whole.
    fn notice(&mut self, text: &str);
}

/// The start of an optimizer, or where it resumes.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// Its seed.
    pub seed: u64,
    /// Passes over the training data, of which the last may be cut short.
    pub epochs: u64,
    /// Steps to the end, from the first on.
    pub steps: u64,
    /// Steps taken before the run was cut off.
    pub taken: u64,
}
