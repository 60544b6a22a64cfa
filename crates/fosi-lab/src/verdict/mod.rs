//! Whether FOSI pays, judged from runs.

mod evidence;
mod judgement;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::optimizers::OptimizerName;
use crate::runs::Run;
use crate::summary::{Entry, Measure, summarize};

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

/// A verdict for each base with FOSI, in the order of the runs, which must use the same data.
///
/// The criterion is the lowest training loss of the base. If there are several learning rates (`--lr-grid`), both are at
/// the rate with the lowest training loss (median over the seeds): FOSI [pays](Judgement::Pays) if it reaches the base's
/// loss in fewer seconds than the base with every one of at least three seeds.
#[must_use]
pub fn verdicts(runs: &[Run]) -> Vec<Verdict> {
    let entries = summarize(runs);
    best_rates(&entries)
        .into_iter()
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

/// For each base with FOSI in each run, the entry with the lowest training loss; of equal ones, the first.
fn best_rates(entries: &[Entry]) -> Vec<&Entry> {
    let loss = |entry: &Entry| {
        let standing = &entry.standings[Measure::TrainingLoss as usize];
        match standing.best.median {
            loss if loss.is_nan() => f64::INFINITY,
            loss => loss,
        }
    };
    let mut best: Vec<&Entry> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.optimizer.fosi) {
        let same = |other: &&mut &Entry| {
            (&other.run, other.optimizer.family) == (&entry.run, entry.optimizer.family)
        };
        match best.iter_mut().find(same) {
            Some(known) if loss(entry) < loss(known) => *known = entry,
            Some(_) => {}
            None => best.push(entry),
        }
    }
    best
}
