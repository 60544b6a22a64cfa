//! The summary as tables of text, for a terminal and for a page.

use super::{Entry, Measure, Spread};

/// A table of the summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryTable {
    /// The title, printed above the labels of the rows.
    pub title: &'static str,
    /// The names of the columns after the labels; a name may have two lines.
    pub header: Vec<&'static str>,
    /// The rows. Over several seeds, a cell has a second line with the least and the greatest value.
    pub rows: Vec<SummaryRow>,
}

/// A row of a table of the summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRow {
    /// The optimizer, with its run's name if there are several runs, and a mark if it was stopped.
    pub label: String,
    /// One cell per column.
    pub cells: Vec<String>,
}

/// The tables at the end of a run: for each measure, the best value and when the base's best was reached; then the
/// costs.
#[must_use]
pub fn tables(entries: &[Entry]) -> Vec<SummaryTable> {
    let measures = Measure::ALL.iter().enumerate();
    let mut tables: Vec<SummaryTable> = measures
        .filter(|(index, _)| entries.iter().any(|entry| entry.has(*index)))
        .map(|(index, measure)| of_measure(*measure, index, entries))
        .collect();
    tables.extend(of_best_base(entries));
    tables.push(of_cost(entries));
    tables
}

/// The notes below the tables.
#[must_use]
pub fn notes(entries: &[Entry]) -> Vec<String> {
    let notes = [
        seeds_note(entries),
        stopped_note(entries),
        refusal_notes(entries),
    ];
    notes.into_iter().flatten().collect()
}

fn of_measure(measure: Measure, index: usize, entries: &[Entry]) -> SummaryTable {
    let (title, best, decimals) = match measure {
        Measure::ValidationAccuracy => ("Validation accuracy", "highest", 4),
        Measure::ValidationLoss => ("Validation loss", "lowest", 4),
        Measure::TrainingLoss => ("Training loss", "lowest", 4),
    };
    let header = [
        best,
        "at epoch",
        "steps to\nbase's best",
        "ratio\nto base",
        "seconds to\nbase's best",
        "ratio\nto base",
    ];
    let rows = entries.iter().map(|entry| {
        let standing = &entry.standings[index];
        let mut cells = vec![spread(&standing.best, decimals), spread(&standing.epoch, 0)];
        match &standing.reach {
            Some(reach) => cells.extend([
                spread(&reach.steps, 0),
                spread(&reach.step_ratio, 2),
                spread(&reach.seconds, 2),
                spread(&reach.second_ratio, 2),
            ]),
            None => cells.extend(std::iter::repeat_n("no base".to_owned(), 4)),
        }
        cells
    });
    table(title, &header, entries, rows)
}

/// FOSI against its base at the best of several learning rates; `None` if every base had one rate.
fn of_best_base(entries: &[Entry]) -> Option<SummaryTable> {
    let mut labelled = Vec::new();
    for entry in entries.iter().filter(|entry| entry.optimizer.fosi) {
        for (measure, standing) in Measure::ALL.iter().zip(&entry.standings) {
            let Some(best) = &standing.best_base else {
                continue;
            };
            if best.best.median.is_nan() {
                continue;
            }
            let name = format!("{}, {}", label(entry, entries), measure.name());
            let cells = vec![
                best.optimizer.to_string(),
                spread(&best.best, 4),
                spread(&best.reach.step_ratio, 2),
                spread(&best.reach.second_ratio, 2),
            ];
            labelled.push((name, cells));
        }
    }
    let header = [
        "base at its\nbest rate",
        "best",
        "ratio\nof steps",
        "ratio\nof seconds",
    ];
    let title = "Against the best learning rate";
    (!labelled.is_empty()).then(|| self::labelled(title, &header, labelled))
}

fn of_cost(entries: &[Entry]) -> SummaryTable {
    let header = [
        "steps",
        "training\nseconds",
        "seconds\nper epoch",
        "seconds in\nrefreshes",
        "gradients",
        "products",
    ];
    let rows = entries.iter().map(|entry| {
        let totals = &entry.totals;
        vec![
            spread(&totals.steps, 0),
            spread(&totals.seconds, 2),
            spread(&totals.epoch_seconds, 3),
            spread(&totals.refresh_seconds, 2),
            spread(&totals.gradients, 0),
            spread(&totals.products, 0),
        ]
    });
    table("Cost", &header, entries, rows)
}

fn table(
    title: &'static str,
    header: &[&'static str],
    entries: &[Entry],
    rows: impl Iterator<Item = Vec<String>>,
) -> SummaryTable {
    let labels = entries.iter().map(|entry| label(entry, entries));
    labelled(title, header, labels.zip(rows))
}

fn labelled(
    title: &'static str,
    header: &[&'static str],
    rows: impl IntoIterator<Item = (String, Vec<String>)>,
) -> SummaryTable {
    let row = |(label, cells)| SummaryRow { label, cells };
    SummaryTable {
        title,
        header: header.to_vec(),
        rows: rows.into_iter().map(row).collect(),
    }
}

/// The optimizer, with a mark if it was stopped.
fn label(entry: &Entry, entries: &[Entry]) -> String {
    let mark = if entry.stopped { " †" } else { "" };
    format!("{}{mark}", name(entry, entries))
}

/// The optimizer, after the run's name if there are several runs.
fn name(entry: &Entry, entries: &[Entry]) -> String {
    match entries.iter().all(|other| other.run == entry.run) {
        true => entry.optimizer.to_string(),
        false => format!("{} {}", entry.run, entry.optimizer),
    }
}

/// The median and, on a second line, the range if it is not a single number.
fn spread(spread: &Spread, decimals: usize) -> String {
    let median = match spread.median {
        value if value.is_nan() => return "–".to_owned(),
        value if value.is_infinite() => "not reached".to_owned(),
        value => number(value, decimals),
    };
    let ends = [spread.low, spread.high].map(|value| match value.is_infinite() {
        true => "∞".to_owned(),
        false => number(value, decimals),
    });
    if ends[0] == ends[1] {
        return median;
    }
    format!("{median}\n{}–{}", ends[0], ends[1])
}

/// Limits the digits of an exploded loss.
fn number(value: f64, decimals: usize) -> String {
    match value.abs() < 1e7 {
        true => format!("{value:.decimals$}"),
        false => format!("{value:.3e}"),
    }
}

fn seeds_note(entries: &[Entry]) -> Option<String> {
    let most = entries.iter().map(|entry| entry.seeds).max()?;
    (most > 1).then(|| {
        format!("Medians over {most} seeds, with the least and the greatest value; ∞: not reached with some seed.")
    })
}

fn stopped_note(entries: &[Entry]) -> Option<String> {
    let stopped = entries.iter().any(|entry| entry.stopped);
    stopped.then(|| "† stopped before the end: its best is that of the epochs before.".to_owned())
}

/// A line for each optimizer with refused refreshes.
pub(super) fn refusal_notes(entries: &[Entry]) -> Option<String> {
    let note = |entry: &Entry| {
        let refusals = entry.refusals.as_ref()?;
        Some(refusals.note(&name(entry, entries)))
    };
    let notes: Vec<String> = entries.iter().filter_map(note).collect();
    (!notes.is_empty()).then(|| notes.join("\n"))
}
