//! Whether FOSI pays, judged from runs.

mod evidence;
mod judgement;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::optimizers::OptimizerName;
use crate::runs::Run;
use crate::summary::summarize;

pub use judgement::Judgement;

/// Whether FOSI around a base pays, and the supporting measurements.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The optimizer with FOSI.
    pub optimizer: OptimizerName,
    /// Whether it pays.
    pub judgement: Judgement,
    /// The judgement with its numbers.
    pub sentence: String,
    /// The reasons from the measurements, and what to run for more; one sentence each.
    pub reasons: Vec<String>,
}

impl fmt::Display for Verdict {
    /// Writes the sentence, and the reasons below it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sentence)?;
        for reason in &self.reasons {
            write!(f, "\n- {reason}")?;
        }
        Ok(())
    }
}

/// A verdict for each optimizer with FOSI, in the order of the runs, which must use the same data.
///
/// The criterion is the lowest training loss of the base, at the best of its learning rates if there are several
/// (`--lr-grid`): FOSI [pays](Judgement::Pays) if it reaches that loss in fewer seconds than the base with every one of
/// at least three seeds.
#[must_use]
pub fn verdicts(runs: &[Run]) -> Vec<Verdict> {
    let entries = summarize(runs);
    let with_fosi = entries.iter().filter(|entry| entry.optimizer.fosi);
    with_fosi
        .filter_map(|entry| {
            let run = runs.iter().find(|run| run.record.name == entry.run)?;
            let label = match runs.len() {
                1 => entry.optimizer.to_string(),
                _ => format!("{} in {}", entry.optimizer, entry.run),
            };
            let judged = judgement::judge(entry, &label, &run.record.config);
            let mut reasons = judged.reasons;
            reasons.extend(evidence::evidence(entry, &entries, run));
            Some(Verdict {
                optimizer: entry.optimizer,
                judgement: judged.judgement,
                sentence: judged.sentence,
                reasons,
            })
        })
        .collect()
}
