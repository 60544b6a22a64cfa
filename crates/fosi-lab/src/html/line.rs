//! The lines of the curves, one per run and optimizer.

use super::style::Style;
use crate::curves::{Epoch, epochs_of};
use crate::optimizers::{Family, RateFactor};
use crate::runs::Run;
use crate::summary::{Measure, Spread};

/// The maximum number of points of all lines in a section, which keeps the page small.
const POINTS: usize = 2400;

/// An optimizer of a run over its epochs.
pub(super) struct CurveLine {
    /// The optimizer, after its run's name if there are several runs.
    pub(super) label: String,
    pub(super) style: Style,
    pub(super) epochs: Vec<Epoch>,
}

impl CurveLine {
    /// The last epoch's value as text; a dash if missing.
    pub(super) fn last(&self, measure: Measure) -> String {
        let last = self
            .epochs
            .last()
            .map(|epoch| epoch.measures[measure as usize]);
        last.map_or_else(|| "–".to_owned(), |spread| median(&spread))
    }
}

/// The lines of one group's runs.
pub(super) struct CurveLines {
    pub(super) lines: Vec<CurveLine>,
    /// The lines contain every `every`-th epoch and the last.
    pub(super) every: usize,
    /// Whether optimizers at other learning rates are omitted.
    pub(super) varied: bool,
}

impl CurveLines {
    pub(super) fn of(runs: &[Run]) -> Self {
        let mut lines = Vec::new();
        let mut bases: Vec<(usize, Family)> = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            for (optimizer, epochs) in epochs_of(run) {
                let base = (index, optimizer.family);
                let place = bases.iter().position(|other| *other == base);
                let place = place.unwrap_or_else(|| {
                    bases.push(base);
                    bases.len() - 1
                });
                let (label, style) = match runs.len() {
                    1 => (optimizer.to_string(), Style::of(optimizer)),
                    _ => (
                        format!("{} {optimizer}", run.record.name),
                        Style::numbered(place, optimizer.fosi),
                    ),
                };
                lines.push(CurveLine {
                    label,
                    style,
                    epochs,
                });
            }
        }
        let longest = lines.iter().map(|line| line.epochs.len()).max();
        let every = (longest.unwrap_or(0) * lines.len()).div_ceil(POINTS).max(1);
        for line in &mut lines {
            thin(&mut line.epochs, every);
        }
        let rows = || runs.iter().flat_map(|run| &run.rows);
        Self {
            lines,
            every,
            varied: rows().any(|row| row.optimizer.rate != RateFactor::ONE),
        }
    }

    /// The measures with a value on any line, losses first.
    pub(super) fn measures(&self) -> Vec<Measure> {
        let has = |measure: &Measure| {
            let mut epochs = self.lines.iter().flat_map(|line| &line.epochs);
            epochs.any(|epoch| !epoch.measures[*measure as usize].median.is_nan())
        };
        let all = [
            Measure::TrainingLoss,
            Measure::ValidationLoss,
            Measure::ValidationAccuracy,
        ];
        all.into_iter().filter(has).collect()
    }
}

/// Keeps every `every`-th item, counted from the last.
pub(super) fn thin<T>(items: &mut Vec<T>, every: usize) {
    let mut left = items.len();
    items.retain(|_| {
        left -= 1;
        left.is_multiple_of(every)
    });
}

/// A median as text.
fn median(spread: &Spread) -> String {
    number(spread.median)
}

/// A median as text, with the least and the greatest value if they differ.
pub(super) fn spread(spread: &Spread) -> String {
    match spread.low == spread.high {
        true => median(spread),
        false => format!(
            "{} ({}–{})",
            median(spread),
            number(spread.low),
            number(spread.high)
        ),
    }
}

/// The number with four decimals or, if these would lose precision, four significant digits.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size.is_nan() => "–".to_owned(),
        size if size == 0.0 || (1e-3..1e6).contains(&size) => format!("{value:.4}"),
        _ => format!("{value:.3e}"),
    }
}
