//! The tables of a study, as Markdown.

use super::record::Record;
use super::result::{Comparison, Entry};
use super::saving::{Bounded, BoundedSpread};
use super::study::Study;
use crate::summary::Spread;

/// A study's tables.
#[derive(Clone, Debug)]
pub struct Report {
    /// Title, tables, notes.
    pub text: String,
}

impl Report {
    /// The report on a study's results.
    pub fn new(study: &Study, comparisons: &[Comparison]) -> Self {
        let mut text = title(study, comparisons);
        for comparison in comparisons {
            text.push_str(&format!("\n{}", table(comparison)));
        }
        text.push_str(&format!("\n{}\n", explanation(study, comparisons)));
        for note in notes(comparisons) {
            text.push_str(&format!("\n{note}\n"));
        }
        Self { text }
    }
}

fn entries(comparison: &Comparison) -> impl Iterator<Item = &Entry> {
    comparison.lengths.iter().chain(&comparison.variants)
}

fn records(comparisons: &[Comparison]) -> impl Iterator<Item = &Record> {
    let entries = comparisons.iter().flat_map(entries);
    entries.flat_map(|entry| entry.runs())
}

fn title(study: &Study, comparisons: &[Comparison]) -> String {
    let config = &study.config;
    let (steps, schedule, batch) = (study.steps, config.schedule, config.batch);
    let seeds: Vec<String> = study.seeds.iter().map(u64::to_string).collect();
    let mut text = format!("{} on {}", config.task, config.data);
    if let Some(run) = records(comparisons).next() {
        let (model, n, train) = (&run.model.name, run.model.parameters, run.data.train);
        text = format!("{text}: {model}, {n} parameters, {train} training examples");
    }
    let text = format!(
        "{text}; batch {batch}, S = {steps}, schedule {schedule}, seed {}.\n",
        seeds.join(",")
    );
    let given = study.variants.iter().filter(|(_, words)| !words.is_empty());
    let variants = given.map(|(name, words)| format!("{name}: `{words}`.\n"));
    text + &variants.collect::<String>()
}

/// One base's table.
fn table(comparison: &Comparison) -> String {
    let of_classes = entries(comparison)
        .flat_map(Entry::runs)
        .any(|run| run.best_valid_accuracy.is_some());
    let mut header = vec![
        "method",
        "steps",
        "learning rate",
        "training loss",
        "steps saved",
        "seconds",
        "seconds saved",
        "validation loss",
        "lowest",
    ];
    if of_classes {
        header.extend(["accuracy", "highest"]);
    }
    let mut lines = vec![
        row(header.iter().map(ToString::to_string)),
        format!("|---|{}", "---:|".repeat(header.len() - 1)),
    ];
    for entry in entries(comparison) {
        let is_variant = comparison.variants.iter().any(|v| std::ptr::eq(v, entry));
        let saving = is_variant.then(|| comparison.saving(entry));
        let bounded = |spread: Option<Option<BoundedSpread>>| match spread {
            None => String::new(),
            Some(spread) => spread.map_or_else(none, |spread| percent(&spread)),
        };
        let loss = |of: fn(&Record) -> Option<f64>| number(entry.spread(of));
        let mut cells = vec![
            entry.name.clone(),
            entry.steps.to_string(),
            rate(entry),
            loss(|run| Some(run.loss())),
            bounded(saving.map(|saving| saving.steps)),
            loss(|run| run.diverged.is_none().then_some(run.seconds)),
            bounded(saving.map(|saving| saving.seconds)),
            loss(|run| run.valid_loss),
            loss(|run| run.best_valid_loss),
        ];
        if of_classes {
            cells.push(loss(|run| run.valid_accuracy));
            cells.push(loss(|run| run.best_valid_accuracy));
        }
        lines.push(row(cells));
    }
    lines.join("\n") + "\n"
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().collect();
    format!("| {} |", cells.join(" | "))
}

fn none() -> String {
    "–".to_owned()
}

fn rate(entry: &Entry) -> String {
    let Some(outcome) = &entry.outcome else {
        return "not complete".to_owned();
    };
    let mark = if outcome.at_edge { " †" } else { "" };
    let rate = outcome.rate.map(|rate| format!("{}{mark}", digits(rate)));
    rate.unwrap_or_else(|| "diverges at each".to_owned())
}

/// The median, with the range if it is not a single number.
fn number(spread: Option<Spread>) -> String {
    let Some(Spread { median, low, high }) = spread else {
        return none();
    };
    match low == high {
        true => digits(median),
        false => format!("{} ({}–{})", digits(median), digits(low), digits(high)),
    }
}

/// A number with four significant digits.
pub(super) fn digits(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "∞".to_owned();
    }
    if size != 0.0 && !(1e-4..1e5).contains(&size) {
        return format!("{value:.3e}");
    }
    let exponent = if size == 0.0 {
        0.0
    } else {
        size.log10().floor()
    };
    let text = format!("{value:.*}", (3.0 - exponent).max(0.0) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn percent(spread: &BoundedSpread) -> String {
    let BoundedSpread { median, low, high } = spread;
    let median = median.map_or_else(none, |median| format!("{} %", share(median)));
    match low == high {
        true => median,
        false => format!("{median} ({} to {} %)", share(*low), share(*high)),
    }
}

/// A share in whole percent, with < or > for a bound.
fn share(share: Bounded) -> String {
    let percent = (100.0 * share.value()).round();
    // Avoids a minus sign before zero.
    let number = format!("{:.0}", percent + 0.0).replace('-', "−");
    match share {
        Bounded::Below(_) => format!("< {number}"),
        Bounded::Exactly(_) => number,
        Bounded::Above(_) => format!("> {number}"),
    }
}

fn explanation(study: &Study, comparisons: &[Comparison]) -> String {
    let examples = records(comparisons).next().map(|run| {
        let train = run.data.train;
        match study.config.eval_examples {
            Some(limit) if limit < train => format!("the first {limit} training examples"),
            _ => format!("all {train} training examples"),
        }
    });
    let examples = examples.unwrap_or_else(|| "the training examples".to_owned());
    let seeds = match study.seeds.as_slice() {
        [_] => String::new(),
        [first, ..] => format!(
            " Rates are chosen with seed {first}; numbers are medians over the seeds, with the least and the greatest."
        ),
        [] => String::new(),
    };
    format!(
        "\
Training loss: mean over {examples} after the last step, in evaluation mode. Each row is at the best of its
learning rates. Steps saved: S′/S − 1, where the base reaches FOSI's loss in S′ steps with its own schedule, interpolated in the
logarithm of the loss between its four lengths; seconds saved: its seconds for S′ over FOSI's for S, minus 1. < and >: outside
of these lengths, not extrapolated. Seconds are of training, with refreshes, without evaluation.{seeds}"
    )
}

fn notes(comparisons: &[Comparison]) -> Vec<String> {
    let mut notes = Vec::new();
    for comparison in comparisons {
        let base = comparison.base;
        if !comparison.falls() {
            notes.push(format!(
                "{base}: a longer run ends at a higher or the same loss; S′ is where the base first reaches FOSI's loss."
            ));
        }
        for entry in entries(comparison) {
            notes.extend(entry_notes(&base.to_string(), entry));
        }
    }
    if entries_at_edge(comparisons) {
        notes.push(
            "† The best learning rate is at the edge of the grid: a better one may lie beyond it."
                .to_owned(),
        );
    }
    notes.extend(machine_notes(comparisons));
    notes
}

fn entries_at_edge(comparisons: &[Comparison]) -> bool {
    let outcomes = comparisons.iter().flat_map(entries);
    let mut outcomes = outcomes.filter_map(|entry| entry.outcome.as_ref());
    outcomes.any(|outcome| outcome.at_edge)
}

/// Notes on a method: runs that diverged, spectra that were refused or never estimated.
fn entry_notes(base: &str, entry: &Entry) -> Vec<String> {
    let name = match entry.name == base {
        true => format!("{base}, {} steps", entry.steps),
        false => format!("{} around {base}", entry.name),
    };
    let mut notes = Vec::new();
    let runs = entry.runs();
    if let Some(run) = runs.iter().find(|run| run.diverged.is_some()) {
        let count = runs.iter().filter(|run| run.diverged.is_some()).count();
        let reason = run.diverged.as_deref().unwrap_or_default();
        notes.push(format!(
            "{name}: {count} of {} runs diverged and count as an infinite loss; the first: {reason}.",
            runs.len()
        ));
    }
    let fosi = runs.iter().filter(|run| run.settings.has_fosi());
    let fosi: Vec<&Record> = fosi.filter(|run| run.diverged.is_none()).collect();
    if !fosi.is_empty() && fosi.iter().all(|run| run.refreshes == 0) {
        notes.push(format!(
            "{name}: no spectrum was estimated, its steps are the base's; see --warmup, --interval and --overhead."
        ));
    }
    let refused: usize = fosi.iter().map(|run| run.refused).sum();
    if refused > 0 {
        let all: usize = fosi.iter().map(|run| run.refused + run.refreshes).sum();
        notes.push(format!(
            "{name}: {refused} of {all} refreshes were refused."
        ));
    }
    notes
}

/// Notes on what makes seconds or results less comparable: concurrent runs, several machines, several versions.
fn machine_notes(comparisons: &[Comparison]) -> Vec<String> {
    let mut notes = Vec::new();
    let jobs = records(comparisons).map(|run| run.jobs).max().unwrap_or(1);
    if jobs > 1 {
        notes.push(format!(
            "Seconds come from a loaded machine: up to {jobs} runs were made at once."
        ));
    }
    let distinct = |of: fn(&Record) -> String| {
        let mut texts: Vec<String> = records(comparisons).map(of).collect();
        texts.sort();
        texts.dedup();
        texts
    };
    let machines = distinct(|run| format!("{} ({} cores)", run.machine.cpu, run.machine.cores));
    if machines.len() > 1 {
        notes.push(format!(
            "Seconds come from several machines and are not comparable: {}.",
            machines.join(", ")
        ));
    }
    let versions = distinct(|run| run.version.clone());
    if versions.len() > 1 {
        notes.push(format!(
            "The runs come from several versions of the program: {}.",
            versions.join(", ")
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.1, "0.1"),
            (0.023_414, "0.02341"),
            (1.614_2, "1.614"),
            (13.709_9, "13.71"),
            (1437.3, "1437"),
            (1.234_56e-5, "1.235e-5"),
            (f64::INFINITY, "∞"),
        ] {
            assert_eq!(digits(value), text);
        }
    }

    #[test]
    fn shares_are_percents_with_their_bounds() {
        use Bounded::{Above, Below, Exactly};
        let spread = |values: &[Bounded]| percent(&BoundedSpread::of(values.to_vec()).unwrap());
        assert_eq!(spread(&[Exactly(0.123)]), "12 %");
        assert_eq!(spread(&[Exactly(-0.001)]), "0 %");
        assert_eq!(spread(&[Below(-0.2)]), "< −20 %");
        let several = [Exactly(0.1), Exactly(-0.03), Above(0.5)];
        assert_eq!(spread(&several), "10 % (−3 to > 50 %)");
        assert_eq!(spread(&[Below(-0.2), Above(0.5)]), "– (< −20 to > 50 %)");
    }
}
