//! The judgement: FOSI's steps and seconds to the base's lowest training loss, compared with the base's.

use crate::config::{LearningRateSchedule, TrainConfig};
use crate::optimizers::OptimizerName;
use crate::summary::{Entry, Measure, Reach, Spread};

/// The minimum number of seeds for a conclusion.
pub(super) const FEWEST_SEEDS: usize = 3;

/// Whether FOSI pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It reaches the lowest training loss of its base, at the best of several learning rates, in fewer seconds for
    /// every seed.
    Pays,
    /// It does so against the base at the same learning rate, but not against the best one.
    PaysAtThisRate,
    /// The median of its seconds is not below the base's.
    DoesNotPay,
    /// There are too few seeds, only one learning rate of the base, or seeds that disagree.
    NotEnough,
}

/// A judgement in words.
pub(super) struct Judged {
    pub(super) judgement: Judgement,
    pub(super) sentence: String,
    pub(super) reasons: Vec<String>,
}

/// How FOSI's seconds compare with the base's over the seeds.
enum Comparison {
    Fewer,
    NotFewer,
    Mixed,
}

impl Comparison {
    fn of(ratio: &Spread) -> Self {
        match (ratio.high < 1.0, ratio.median < 1.0) {
            (true, _) => Self::Fewer,
            (false, false) => Self::NotFewer,
            (false, true) => Self::Mixed,
        }
    }
}

/// The judgement on an entry, which is called `label`.
pub(super) fn judge(entry: &Entry, label: &str, config: &TrainConfig) -> Judged {
    let standing = Measure::ALL
        .iter()
        .zip(&entry.standings)
        .find(|(measure, _)| **measure == Measure::TrainingLoss)
        .map(|(_, standing)| standing);
    let fosi = entry.optimizer;
    let base = fosi.base();
    let Some(at_this_rate) = standing.and_then(|standing| standing.reach.as_ref()) else {
        return Judged {
            judgement: Judgement::NotEnough,
            sentence: format!(
                "{label}: not enough runs to say. {base} has no row with the same seeds: run both, with --optimizers {base},{fosi}."
            ),
            reasons: Vec::new(),
        };
    };
    let best = standing.and_then(|standing| standing.best_base.as_ref());
    let here = Comparison::of(&at_this_rate.second_ratio);
    let tuned = best.map(|best| Comparison::of(&best.reach.second_ratio));
    let against_best = best.map(|best| (&best.reach, best.optimizer));
    let enough = entry.seeds >= FEWEST_SEEDS;
    let (judgement, (reach, rival)) = match (enough, here, tuned) {
        (false, ..) => (
            Judgement::NotEnough,
            against_best.unwrap_or((at_this_rate, base)),
        ),
        // A tuned base is at least as fast as this one.
        (true, Comparison::NotFewer, None) => (Judgement::DoesNotPay, (at_this_rate, base)),
        (true, _, None) => (Judgement::NotEnough, (at_this_rate, base)),
        (true, here, Some(tuned)) => {
            let judgement = match (here, tuned) {
                (_, Comparison::Fewer) => Judgement::Pays,
                (Comparison::Fewer, Comparison::NotFewer) => Judgement::PaysAtThisRate,
                (_, Comparison::NotFewer) => Judgement::DoesNotPay,
                (_, Comparison::Mixed) => Judgement::NotEnough,
            };
            (judgement, against_best.unwrap_or((at_this_rate, base)))
        }
    };
    let sentence = format!(
        "{label}: {}. {}",
        phrase(judgement),
        measured(fosi, reach, rival, entry.seeds)
    );
    let mut reasons = Vec::new();
    if judgement == Judgement::PaysAtThisRate {
        let same = measured(fosi, at_this_rate, base, entry.seeds);
        reasons.push(format!("At the same learning rate: {same}"));
    }
    reasons.extend(missing(entry, best.is_some(), judgement));
    if config.schedule == LearningRateSchedule::Constant && judgement == Judgement::Pays {
        reasons.push(
            "The learning rate is constant here. A schedule removes some of the noise that FOSI damps, so that the \
             gain is often smaller with --schedule cosine; `fosi study pays` measures it against a base whose schedule \
             ends with it."
                .to_owned(),
        );
    }
    Judged {
        judgement,
        sentence,
        reasons,
    }
}

fn phrase(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Pays => "FOSI pays here",
        Judgement::PaysAtThisRate => "FOSI pays only at this learning rate",
        Judgement::DoesNotPay => "FOSI does not pay here",
        Judgement::NotEnough => "not enough runs to say",
    }
}

/// The steps and seconds to the rival's lowest training loss.
fn measured(fosi: OptimizerName, reach: &Reach, rival: OptimizerName, seeds: usize) -> String {
    let over = match seeds {
        1 => "one seed".to_owned(),
        n => format!("medians over {n} seeds, least to greatest"),
    };
    if reach.second_ratio.median == f64::INFINITY {
        return format!("{fosi} does not reach the lowest training loss of {rival} ({over}).");
    }
    format!(
        "{fosi} reaches the lowest training loss of {rival} in {} of its steps and {} of its seconds ({over}).",
        ratio(&reach.step_ratio),
        ratio(&reach.second_ratio),
    )
}

fn ratio(spread: &Spread) -> String {
    let number = |value: f64| match value.is_finite() {
        true => format!("{value:.2}"),
        false => "never".to_owned(),
    };
    let Spread { median, low, high } = *spread;
    match low == high {
        true => number(median),
        false => format!("{} ({}–{})", number(median), number(low), number(high)),
    }
}

/// The runs that are missing for a judgement.
fn missing(entry: &Entry, tuned: bool, judgement: Judgement) -> Option<String> {
    if judgement != Judgement::NotEnough {
        return None;
    }
    let mut options = Vec::new();
    if entry.seeds < FEWEST_SEEDS {
        options.push("--seeds 0,1,2");
    }
    if !tuned {
        options.push("--lr-grid");
    }
    Some(match options.as_slice() {
        [] => {
            "The seeds disagree: more of them (--seeds 0,1,2,3,4,5,6), or a longer run, would tell."
                .to_owned()
        }
        options => format!(
            "What would tell: {}, which tries {}.",
            options.join(" and "),
            match (entry.seeds < FEWEST_SEEDS, tuned) {
                (true, true) => "three starts",
                (true, false) => "three starts, and several learning rates of the base",
                (false, _) => "several learning rates of the base",
            }
        ),
    })
}
