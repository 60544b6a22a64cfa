//! The panels with a study's results: what FOSI saves, and the validation losses, with their ranges over the seeds.

use super::result::{Comparison, Entry};
use super::saving::{Bounded, BoundedSpread};
use crate::plot::{Axis, Line, LineStyle, Panel};

/// The steps and seconds saved by each variant, in per cent. A bound is drawn at its value.
pub(super) fn savings(comparison: &Comparison, legend: &[(String, LineStyle)]) -> Panel {
    const PLACES: [&str; 2] = ["steps saved", "seconds saved"];
    let variants = comparison.variants.iter().zip(&legend[1..]);
    let columns: Vec<Column> = variants
        .map(|(entry, (_, style))| {
            let saving = comparison.saving(entry);
            Column {
                ranges: [saving.steps, saving.seconds].map(|spread| spread.map(percents)),
                style: *style,
            }
        })
        .collect();
    let mut lines = marks(&columns);
    let ends = || lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y);
    let (low, high) = (ends().fold(0.0, f64::min), ends().fold(0.0, f64::max));
    let zero = Line {
        points: vec![(-0.5, 0.0), (1.5, 0.0)],
        band: Vec::new(),
        style: legend[0].1,
    };
    lines.insert(0, zero);
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
            ranges: validation_losses(entry),
            style: LineStyle {
                dashed: false,
                ..*style
            },
        })
        .collect();
    let lines = marks(&columns);
    let ends = || lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y);
    let (low, high) = (
        ends().fold(f64::INFINITY, f64::min),
        ends().fold(0.0, f64::max),
    );
    Panel {
        title: comparison.base.to_string(),
        x_label: "at the best rates for the training loss".to_owned(),
        y_label: "validation loss".to_owned(),
        x: Axis::categories(&PLACES),
        y: match low <= high {
            true => Axis::logarithmic(low, high).padded(0.1),
            false => Axis::linear(0.0, 1.0),
        },
        lines,
    }
}

/// The least, median and greatest value of one method at both places.
struct Column {
    ranges: [Option<Range>; 2],
    style: LineStyle,
}

struct Range {
    low: f64,
    median: Option<f64>,
    high: f64,
}

fn percents(spread: BoundedSpread) -> Range {
    let percent = |bound: Bounded| 100.0 * bound.value();
    let median = spread.median.map(percent);
    // A lower bound sorts above numbers that exceed its value.
    let values = [percent(spread.low), percent(spread.high)].into_iter();
    let values = values.chain(median);
    Range {
        low: values.clone().fold(f64::INFINITY, f64::min),
        median,
        high: values.fold(f64::NEG_INFINITY, f64::max),
    }
}

fn validation_losses(entry: &Entry) -> [Option<Range>; 2] {
    let last = entry.spread(|run| run.valid_loss);
    let best = entry.spread(|run| run.best_valid_loss);
    [last, best].map(|spread| {
        spread.map(|spread| Range {
            low: spread.low,
            median: Some(spread.median),
            high: spread.high,
        })
    })
}

/// At each place one mark per method, side by side: a vertical line over the range, a bar at the median.
fn marks(columns: &[Column]) -> Vec<Line> {
    let width = 0.8 / columns.len().max(1) as f64;
    let mut lines = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        for (place, range) in column.ranges.iter().enumerate() {
            let Some(range) = range else { continue };
            let x = place as f64 - 0.4 + (index as f64 + 0.5) * width;
            let line = |points: [(f64, f64); 2]| Line {
                points: points.into(),
                band: Vec::new(),
                style: column.style,
            };
            lines.push(line([(x, range.low), (x, range.high)]));
            if let Some(median) = range.median {
                let half = 0.3 * width;
                lines.push(line([(x - half, median), (x + half, median)]));
            }
        }
    }
    lines
}
