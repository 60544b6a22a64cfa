//! What an experiment leaves: data, figures, a table.

use comfy_table::{CellAlignment, ContentArrangement, Table};

use crate::optimizers::OptimizerName;
use crate::plot::{Axis, Line, LineStyle, Panel, Sheet};
use crate::summary::STYLE;

use super::{OPTIMIZERS, Outcome};

/// Called after each finished piece of work, from any thread.
pub type Tick<'a> = dyn Fn() + Send + Sync + 'a;

/// The outcome of an experiment in the forms in which it is written and printed.
#[derive(Clone, Debug)]
pub struct Report {
    /// File names and their contents as CSV.
    pub tables: Vec<(String, String)>,
    /// File names, without their ending, and figures.
    pub figures: Vec<(String, Sheet)>,
    /// A short table, and the claims.
    pub text: String,
}

/// A table with a header, numbers to the right.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// Three digits, with an exponent where that is shorter.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => value.to_string(),
        size if (1e-2..1e4).contains(&size) => {
            let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
            format!("{value:.decimals$}")
        }
        _ => format!("{value:.2e}"),
    }
}

/// The legend of [`OPTIMIZERS`].
pub(super) fn legend() -> Vec<(String, LineStyle)> {
    let entry = |o: OptimizerName| (o.to_string(), LineStyle::of(o));
    OPTIMIZERS.into_iter().map(entry).collect()
}

/// A logarithmic axis over all positive finite values.
pub(super) fn log_axis(values: impl Iterator<Item = f64>) -> Axis {
    let positive = values.filter(|v| *v > 0.0 && v.is_finite());
    let (low, high) = positive.fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return Axis::logarithmic(0.1, 1.0);
    }
    Axis::logarithmic(low, high).padded(0.04)
}

/// Curves of several optimizers over steps.
pub(super) fn curves_panel(title: String, outcomes: &[Outcome], y: Axis) -> Panel {
    let line = |o: &Outcome| Line {
        points: finite(
            o.curve
                .iter()
                .enumerate()
                .map(|(step, f)| (step as f64, *f)),
        ),
        band: Vec::new(),
        style: LineStyle::of(o.optimizer),
    };
    let steps = outcomes.iter().map(|o| o.curve.len()).max().unwrap_or(1) - 1;
    Panel {
        title,
        x_label: "step".to_owned(),
        y_label: "f(θ)".to_owned(),
        x: Axis::linear(0.0, steps as f64),
        y,
        lines: outcomes.iter().map(line).collect(),
    }
}

/// Points of a line whose values may be infinite: those are moved far outside every axis.
pub(super) fn finite(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    points.map(|(x, y)| (x, y.min(1e99))).collect()
}
