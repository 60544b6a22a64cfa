//! Refused refreshes: FOSI then steps like its base, or with an old spectrum.

use crate::optimizers::OptimizerName;
use crate::runs::{RefreshOutcome, RunRecord};

/// The refused refreshes of one optimizer, over its seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// The number of refused refreshes.
    pub refused: usize,
    /// The number of all refreshes.
    pub refreshes: usize,
    /// The number of refused refreshes before any accepted one.
    pub without_spectrum: usize,
    /// The reason of the first refusal.
    pub reason: String,
}

impl Refusals {
    pub(super) fn of(optimizer: OptimizerName, record: &RunRecord) -> Option<Self> {
        let own = record.refreshes.iter().filter(|r| r.optimizer == optimizer);
        let refused = own.clone().filter_map(|refresh| match &refresh.outcome {
            RefreshOutcome::Refused { reason } => Some((refresh, reason)),
            RefreshOutcome::Accepted { .. } => None,
        });
        let (_, reason) = refused.clone().next()?;
        let without = refused.clone().filter(|(refresh, _)| {
            let of = (optimizer, refresh.seed);
            record.spectrum_before(of, refresh.step).is_none()
        });
        Some(Self {
            refused: refused.count(),
            refreshes: own.count(),
            without_spectrum: without.count(),
            reason: reason.clone(),
        })
    }

    /// A sentence about the optimizer called `label`.
    pub(super) fn note(&self, label: &str) -> String {
        let Self {
            refused,
            refreshes,
            reason,
            ..
        } = self;
        let were = if *refused == 1 { "was" } else { "were" };
        let meanwhile = match self.without_spectrum {
            0 => "it kept the old spectrum meanwhile",
            without if without == *refused => "it took the base's steps meanwhile",
            _ => "meanwhile it took the base's steps, or kept the old spectrum where there was one",
        };
        let first = if *refused == 1 { "" } else { "first: " };
        format!(
            "{refused} of {refreshes} refreshes of {label} {were} refused ({first}{reason}); {meanwhile}."
        )
    }
}
