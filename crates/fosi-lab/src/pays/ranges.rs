//! The panels with a study's results: what FOSI saves, and the validation losses, with their ranges over the seeds.

use super::result::Comparison;
use super::saving::{Bounded, BoundedSpread};
use crate::plot::{Axis, Line, LineStyle, Panel};
use crate::summary::Spread;

/// The steps and seconds saved by each variant, in per cent. A bound is drawn at its value.
pub(super) fn savings(comparison: &Comparison, legend: &[(String, LineStyle)]) -> Panel {
    const PLACES: [&str; 2] = ["steps saved", "seconds saved"];
    let variants = comparison.variants.iter().zip(&legend[1..]);
    let columns: Vec<Column> = variants
        .map(|(entry, (_, style))| {
            let saving = comparison.saving(entry);
            Column {
                spreads: [saving.steps, saving.seconds].map(|spread| spread.map(percents)),
                style: *style,
            }
        })
        .collect();
    let mut lines = marks(&columns);
    let zero = Line {
        points: vec![(-0.5, 0.0), (1.5, 0.0)],
        band: Vec::new(),
        style: legend[0].1,
    };
    lines.insert(0, zero);
    let (low, high) = heights(&lines);
    Panel {
        title: comparison.base.to_string(),
        x_label: "of FOSI; bounds at their values".to_owned(),
        y_label: "saved (%)".to_owned(),
        x: Axis::categories(&PLACES),
        y: Axis::linear(low, high).padded(0.1),
        lines,
    }
}

/// The validation losses of the base and of FOSI, both with S steps.
pub(super) fn validation(comparison: &Comparison, legend: &[(String, LineStyle)]) -> Panel {
    const PLACES: [&str; 2] = ["after the last step", "lowest of any epoch"];
    let shown = comparison.with_equal_steps().into_iter();
    let columns: Vec<Column> = shown
        .chain(&comparison.variants)
        .zip(legend)
        .map(|(entry, (_, style))| Column {
            spreads: [
                entry.spread(|run| run.valid_loss),
                entry.spread(|run| run.best_valid_loss),
            ],
            style: LineStyle {
                dashed: false,
                ..*style
            },
        })
        .collect();
    let lines = marks(&columns);
    let (low, high) = heights(&lines);
    Panel {
        title: comparison.base.to_string(),
        x_label: "at the best rates for the training loss".to_owned(),
        y_label: "validation loss".to_owned(),
        x: Axis::categories(&PLACES),
        y: Axis::logarithmic(low, high).padded(0.1),
        lines,
    }
}

/// The values of one method at both places.
struct Column {
    spreads: [Option<Spread>; 2],
    style: LineStyle,
}

/// In per cent; the median is NaN if there is none.
fn percents(spread: BoundedSpread) -> Spread {
    let percent = |bound: Bounded| 100.0 * bound.value();
    let median = spread.median.map(percent);
    // A lower bound sorts above numbers that exceed its value.
    let ends = [percent(spread.low), percent(spread.high)];
    let (low, high) = range(ends.into_iter().chain(median));
    Spread {
        median: median.unwrap_or(f64::NAN),
        low,
        high,
    }
}

/// The least and the greatest y of the lines.
fn heights(lines: &[Line]) -> (f64, f64) {
    range(lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y))
}

/// The least and the greatest value; 0.1 and 1 without any.
pub(super) fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let ends = values.fold(None, |ends: Option<(f64, f64)>, value| {
        let (low, high) = ends.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    });
    ends.unwrap_or((0.1, 1.0))
}

/// At each place one mark per method, side by side: a vertical line over the range, a bar at the median.
fn marks(columns: &[Column]) -> Vec<Line> {
    let width = 0.8 / columns.len().max(1) as f64;
    let mut lines = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        for (place, spread) in column.spreads.iter().enumerate() {
            let Some(spread) = spread else { continue };
            let x = place as f64 - 0.4 + (index as f64 + 0.5) * width;
            let line = |points: [(f64, f64); 2]| Line {
                points: points.into(),
                band: Vec::new(),
                style: column.style,
            };
            lines.push(line([(x, spread.low), (x, spread.high)]));
            if !spread.median.is_nan() {
                let half = 0.3 * width;
                lines.push(line([(x - half, spread.median), (x + half, spread.median)]));
            }
        }
    }
    lines
}
