//! The table and the figure of one problem's runs.

use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::meter::Point;
use super::record::Run;
use super::style::styles;
use crate::plot::{Axis, Cell, Line, LineStyle, Panel, Sheet};
use crate::problems::Problem;
use crate::summary::STYLE;

/// The runs on a problem, as they are printed and written.
#[derive(Clone, Debug)]
pub struct Report {
    /// The table.
    pub text: String,
    /// The values against cost and against seconds.
    pub figure: Sheet,
}

impl Report {
    /// The report on runs on `problem`, in their order.
    pub fn new(problem: &Problem, runs: &[Run]) -> Self {
        Self {
            text: table(runs),
            figure: figure(problem, runs),
        }
    }
}

fn table(runs: &[Run]) -> String {
    let mut table = Table::new();
    let header = [
        "solver",
        "seed",
        "f",
        "‖∇f‖",
        "cost",
        "estimations",
        "solved at",
        "error",
        "seconds",
        "why it stopped",
    ];
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.to_vec());
    for Run { record, .. } in runs {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        table.add_row([
            record.solver.clone(),
            record.seed.to_string(),
            format!("{:.3e}", record.value),
            format!("{:.1e}", record.gradient_norm),
            record.cost.to_string(),
            record.estimations.to_string(),
            or_none(record.solved_at.map(|cost| cost.to_string())),
            or_none(record.relative_error.map(|error| format!("{error:.1e}"))),
            format!("{:.2}", record.seconds),
            record.reason.clone(),
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(8) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

fn figure(problem: &Problem, runs: &[Run]) -> Sheet {
    // The logarithmic axis shows f, or f − f* if the minimum is known.
    let minimum = problem.minima.first().copied().unwrap_or(0.0);
    let mut solvers: Vec<String> = runs.iter().map(|run| run.record.solver.clone()).collect();
    solvers.dedup();
    let legend = styles(&solvers);
    let style = |solver: &str| {
        let of_solver = legend.iter().find(|(name, _)| name == solver);
        of_solver.map_or(LineStyle::PLAIN, |(_, style)| *style)
    };
    let panel = |label: &str, x: fn(&Point) -> f64| {
        let line = |run: &Run| Line {
            points: above(run, minimum, x),
            band: Vec::new(),
            style: style(&run.record.solver),
        };
        let lines: Vec<Line> = runs.iter().map(line).collect();
        let points = || lines.iter().flat_map(|line| &line.points);
        let (left, right) =
            points().fold((f64::MAX, 0.0_f64), |(l, r), p| (l.min(p.0), r.max(p.0)));
        let (low, high) = points().fold((f64::MAX, 0.0_f64), |(l, h), p| (l.min(p.1), h.max(p.1)));
        Cell::Panel(Panel {
            title: String::new(),
            x_label: label.to_owned(),
            y_label: if minimum == 0.0 { "f" } else { "f − f*" }.to_owned(),
            x: Axis::linear(left.min(right), right),
            y: Axis::logarithmic(low.min(high), high.max(f64::MIN_POSITIVE)).padded(0.04),
            lines,
        })
    };
    Sheet {
        title: problem.summary.to_owned(),
        cells: vec![
            panel("gradients and Hessian-vector products", |point| {
                point.cost as f64
            }),
            panel("seconds", |point| point.seconds),
        ],
        legend,
        columns: 2,
        cell: (480, 360),
        bar: None,
    }
}

/// f − `minimum` along a run, while it is positive.
fn above(run: &Run, minimum: f64, x: fn(&Point) -> f64) -> Vec<(f64, f64)> {
    let points = run
        .curve
        .iter()
        .map(|point| (x(point), point.value - minimum));
    points.filter(|(_, value)| *value > 0.0).collect()
}
