//! Why FOSI pays or doesn't: what its refreshes have seen of the curvature, and what they cost.

use crate::config::TrainConfig;
use crate::optimizers::{Family, OptimizerName, RateFactor};
use crate::runs::{RefreshOutcome, Run};
use crate::summary::{Entry, Measure, Spread};

/// λ₁/λ_{k+1} below which the base's problem hardly becomes better conditioned.
const SMALL_GAP: f64 = 3.0;
/// Share of its curvature limit from which on the largest eigenvalues limit the base's rate.
const NEAR_LIMIT: f64 = 0.5;
/// Share of a new batch's curvature below which estimations are mostly of the batch.
const MOSTLY_BATCH: f64 = 0.5;
/// Share of the time in refreshes from which on a longer interval is worth a try.
const COSTLY: f64 = 0.2;

/// The accepted refreshes of one optimizer, over its seeds.
struct Refreshes {
    /// λ₁ and λ_{k+1}.
    gaps: Vec<(f64, f64)>,
    largest: Vec<f64>,
    captured: Vec<f64>,
    /// Lemma 4's interval of α, and whether α lies in it.
    newton_rates: Vec<(f64, f64, bool)>,
    count: usize,
    pairs: usize,
}

impl Refreshes {
    fn of(optimizer: OptimizerName, run: &Run) -> Self {
        let mut found = Self {
            gaps: Vec::new(),
            largest: Vec::new(),
            captured: Vec::new(),
            newton_rates: Vec::new(),
            count: 0,
            pairs: run.record.config.k,
        };
        for refresh in run
            .record
            .refreshes
            .iter()
            .filter(|r| r.optimizer == optimizer)
        {
            let RefreshOutcome::Accepted {
                eigenvalues,
                next_eigenvalue,
                captured_by_last,
                lemma_4,
                ..
            } = &refresh.outcome
            else {
                continue;
            };
            let largest = eigenvalues
                .first()
                .copied()
                .filter(|largest| *largest > 0.0);
            found.largest.extend(largest);
            found
                .gaps
                .extend(largest.zip(next_eigenvalue.filter(|next| *next > 0.0)));
            found.captured.extend(captured_by_last);
            found.newton_rates.extend(lemma_4);
            found.count += 1;
        }
        found
    }
}

/// A sentence for each thing that was measured.
pub(super) fn evidence(entry: &Entry, entries: &[Entry], run: &Run) -> Vec<String> {
    let refreshes = Refreshes::of(entry.optimizer, run);
    let config = &run.record.config;
    [
        edge(entry, entries),
        gap(&refreshes),
        batch(&refreshes),
        cost(entry, entries),
        limit(entry, entries, &refreshes, config),
        lemma_4(&refreshes, config),
        validation(entry),
        overfitting(entry, entries, run),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The spectrum's gap, which bounds what the base gains.
fn gap(refreshes: &Refreshes) -> Option<String> {
    let ratios = refreshes.gaps.iter().map(|(largest, next)| largest / next);
    let gap = median(ratios)?;
    let consequence = match gap < SMALL_GAP {
        true => "so the base's problem hardly becomes better conditioned; more pairs (--k) might",
        false => "which is what the condition of the base's problem can gain",
    };
    Some(format!(
        "The largest eigenvalue is {gap:.1} times the one after the {} largest, the first that FOSI leaves to the base (median over \
         {} refreshes), {consequence}.",
        refreshes.pairs,
        refreshes.gaps.len()
    ))
}

/// How much of a batch's curvature the refresh before knew.
fn batch(refreshes: &Refreshes) -> Option<String> {
    let captured = median(refreshes.captured.iter().copied())?;
    let percent = 100.0 * captured.clamp(0.0, 1.0);
    let consequence = match captured < MOSTLY_BATCH {
        true => {
            "Most of what an estimation sees is its batch's noise, or has changed since: a larger --curvature-batch or a \
             shorter --interval would tell which"
        }
        false => "The rest is the batch's noise and what has changed in between",
    };
    Some(format!(
        "The directions of one refresh hold {percent:.0} % of the curvature that the next one finds on its own batch (median). \
         {consequence}."
    ))
}

/// What refreshes cost.
fn cost(entry: &Entry, entries: &[Entry]) -> Option<String> {
    let totals = &entry.totals;
    let share = totals.refresh_seconds.median / totals.seconds.median;
    if !(share > 0.0 && totals.products.median > 0.0) {
        return None;
    }
    let base = entry.optimizer.base();
    let base = entries.iter().find(|other| other.optimizer == base);
    let step = |entry: &Entry| entry.totals.seconds.median / entry.totals.steps.median;
    let product = totals.refresh_seconds.median / totals.products.median;
    let in_steps = match base.map(step).filter(|step| *step > 0.0) {
        Some(step) => format!(", each of {:.1} steps of the base", product / step),
        None => String::new(),
    };
    let consequence = match share > COSTLY {
        true => ". A longer --interval, a smaller --curvature-batch or --overhead would lower that",
        false => "",
    };
    Some(format!(
        "Refreshes take {:.0} % of its seconds: {:.0} Hessian-vector products{in_steps}{consequence}.",
        100.0 * share,
        totals.products.median
    ))
}

/// The base's rate against the largest with which it is stable on a quadratic of curvature λ₁ (Cohen et al. 2021, appendix B).
fn limit(
    entry: &Entry,
    entries: &[Entry],
    refreshes: &Refreshes,
    config: &TrainConfig,
) -> Option<String> {
    let base = entry.optimizer.family;
    let beta = config.momentum;
    let (limit, formula) = match base {
        Family::GradientDescent => (2.0, "2/λ₁"),
        Family::HeavyBall => (2.0 * (1.0 + beta), "2(1+β)/λ₁"),
        Family::Nesterov => (2.0 * (1.0 + beta) / (1.0 + 2.0 * beta), "2(1+β)/((1+2β)λ₁)"),
        _ => return None,
    };
    let largest = median(refreshes.largest.iter().copied())?;
    let training_loss = Measure::ALL.iter().zip(&entry.standings);
    let best = training_loss
        .filter(|(measure, _)| **measure == Measure::TrainingLoss)
        .find_map(|(_, standing)| standing.best_base.as_ref());
    let (name, which) = match best {
        Some(best) => (best.optimizer, "best"),
        None => (OptimizerName::plain(base), "only"),
    };
    let rate = config.lr.get(base) * name.rate.get();
    let share = rate * largest / limit;
    let rate = short(rate);
    let larger_tried = rates(entry, entries).any(|rate| rate > name.rate);
    let consequence = match (share < NEAR_LIMIT, larger_tried) {
        (true, true) => {
            "something other than the largest eigenvalues limits it, such as noise, and FOSI takes these away"
        }
        (true, false) => "no larger rate was tried, so it isn't known what limits it",
        (false, _) => "the largest eigenvalues limit it, and these are what FOSI takes away",
    };
    Some(format!(
        "The {which} learning rate of {base} here, {rate}, is {:.0} % of what its curvature allows ({formula}): {consequence}.",
        100.0 * share
    ))
}

/// The rates at which an entry's base ran in the entry's run.
fn rates<'a>(entry: &'a Entry, entries: &'a [Entry]) -> impl Iterator<Item = RateFactor> + 'a {
    let own = entries.iter().filter(move |other| {
        (&other.run, other.optimizer.family) == (&entry.run, entry.optimizer.family)
    });
    let plain = own.filter(|other| !other.optimizer.fosi);
    plain.map(|other| other.optimizer.rate)
}

/// That the base's best rate is the largest or the smallest that was tried, so that a better one may exist.
fn edge(entry: &Entry, entries: &[Entry]) -> Option<String> {
    let standing = &entry.standings[Measure::TrainingLoss as usize];
    let best = standing.best_base.as_ref()?.optimizer;
    let (end, other) = if rates(entry, entries).all(|rate| rate <= best.rate) {
        ("largest", "larger")
    } else if rates(entry, entries).all(|rate| rate >= best.rate) {
        ("smallest", "smaller")
    } else {
        return None;
    };
    Some(format!(
        "The best rate of the base, {best}, is the {end} that was tried: {other} factors in --lr-grid would tell whether a better \
         one exists."
    ))
}

/// Where α lies in the interval of Lemma 4, at the refreshes whose Hessian was positive definite as far as they saw it.
fn lemma_4(refreshes: &Refreshes, config: &TrainConfig) -> Option<String> {
    let intervals = &refreshes.newton_rates;
    let low = median(intervals.iter().map(|(low, ..)| *low))?;
    let high = median(intervals.iter().map(|(_, high, _)| *high))?;
    let inside = intervals.iter().filter(|(.., inside)| *inside).count();
    let (count, alpha) = (intervals.len(), config.alpha);
    let others = match refreshes.count - count {
        0 => String::new(),
        others => format!(
            " At the other {others} of {} the Hessian was not positive definite, as the lemma assumes.",
            refreshes.count
        ),
    };
    Some(format!(
        "Lemma 4 of the paper, for a base without a preconditioner, does not worsen the condition number for α from {low:.1e} to \
         {high:.1e} (medians); α = {alpha} is inside at {inside} of {count} refreshes.{others}"
    ))
}

/// What the gain is worth on other data.
fn validation(entry: &Entry) -> Option<String> {
    let accuracy = Measure::ALL
        .iter()
        .zip(&entry.standings)
        .find(|(measure, standing)| {
            **measure != Measure::TrainingLoss && !standing.best.median.is_nan()
        });
    let (measure, standing) = accuracy?;
    let (rival, reach) = match (&standing.best_base, &standing.reach) {
        (Some(best), _) => (best.optimizer, &best.reach),
        (None, Some(reach)) => (entry.optimizer.base(), reach),
        (None, None) => return None,
    };
    let Spread { median, .. } = reach.second_ratio;
    Some(match median.is_finite() {
        true => format!(
            "By the {}, it reaches the best of {rival} in {median:.2} of the seconds (median).",
            measure.name()
        ),
        false => format!(
            "By the {}, it does not reach the best of {rival} (median).",
            measure.name()
        ),
    })
}

/// When the validation loss is least, and how far it has risen at the end, beside the base's (§4.1 of the paper).
fn overfitting(entry: &Entry, entries: &[Entry], run: &Run) -> Option<String> {
    let base = entry.optimizer.base();
    let base = entries
        .iter()
        .find(|other| (other.optimizer, &other.run) == (base, &entry.run))?;
    let of = |entry: &Entry| {
        let standing = &entry.standings[Measure::ValidationLoss as usize];
        let (epoch, rise) = (
            standing.epoch.median,
            standing.last.median / standing.best.median,
        );
        rise.is_finite().then_some((epoch, rise))
    };
    let ((epoch, rise), (base_epoch, base_rise)) = (of(entry)?, of(base)?);
    let epochs = run.rows.iter().map(|row| row.epoch).max()?;
    if rise <= 1.0 && base_rise <= 1.0 {
        return None;
    }
    Some(format!(
        "Its validation loss is least after epoch {epoch:.0} of {epochs} and ends {rise:.2} times as large; that of {} is least \
         after epoch {base_epoch:.0} and ends {base_rise:.2} times as large (medians).",
        base.optimizer
    ))
}

/// To four digits, without what arithmetic adds to a number such as 0.3.
fn short(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let Spread { median, .. } = Spread::of(values);
    (!median.is_nan()).then_some(median)
}
