//! Whether FOSI pays, from what runs have measured.

mod evidence;
mod judgement;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::optimizers::OptimizerName;
use crate::runs::Run;
use crate::summary::summarize;

pub use judgement::Judgement;

/// Whether FOSI around a base pays, and the measurements that this rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The optimizer with FOSI.
    pub optimizer: OptimizerName,
    /// Whether it pays.
    pub judgement: Judgement,
    /// The judgement with its numbers.
    pub sentence: String,
    /// Why, from what was measured, and what would tell more; a sentence each.
    pub reasons: Vec<String>,
}

impl fmt::Display for Verdict {
    /// The sentence, and below it the reasons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sentence)?;
        for reason in &self.reasons {
            write!(f, "\n- {reason}")?;
        }
        Ok(())
    }
}

/// A verdict on each optimizer with FOSI, in the order in which they ran. The runs are on the same data.
///
/// What counts is the lowest training loss of the base, at the best of its learning rates where it ran with several
/// (`--lr-grid`): FOSI [pays](Judgement::Pays) where it reaches that loss in fewer seconds than the base with every seed,
/// of at least three.
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
