//! A study's table, curves and figure.

use comfy_table::{CellAlignment, ContentArrangement, Table};
use plotters::style::RGBColor;

use super::{Solution, Solver, Study};
use crate::plot::{Axis, Cell, Line, LineStyle, Panel, Sheet};
use crate::summary::STYLE;

/// A study in the forms in which it is printed and written.
#[derive(Clone, Debug)]
pub struct Report {
    /// The table.
    pub text: String,
    /// Solver, seed, cost, seconds and value after each step, as CSV.
    pub curves: String,
    /// The value against cost and against seconds.
    pub figure: Sheet,
}

impl Report {
    /// Of a study's runs.
    pub fn new(study: &Study, solutions: &[Solution]) -> Self {
        Self {
            text: table(solutions),
            curves: curves(solutions),
            figure: figure(study, solutions),
        }
    }
}

fn table(solutions: &[Solution]) -> String {
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
    for solution in solutions {
        let minimum = &solution.minimum;
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let status = match solution.solved_at {
            Some(_) => "solved".to_owned(),
            None => minimum.status.to_string(),
        };
        table.add_row([
            solution.solver.to_string(),
            solution.seed.to_string(),
            format!("{:.3e}", minimum.best.value),
            format!("{:.1e}", minimum.best.gradient_norm),
            minimum.cost.to_string(),
            minimum.estimations.len().to_string(),
            or_none(solution.solved_at.map(|cost| cost.to_string())),
            or_none(solution.relative_error.map(|error| format!("{error:.1e}"))),
            format!("{:.2}", minimum.seconds),
            status,
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(8) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

fn curves(solutions: &[Solution]) -> String {
    let mut csv = String::from("solver,seed,cost,seconds,value\n");
    for solution in solutions {
        for (cost, seconds, value) in &solution.curve {
            let (solver, seed) = (solution.solver, solution.seed);
            csv.push_str(&format!("{solver},{seed},{cost},{seconds:.6},{value:e}\n"));
        }
    }
    csv
}

/// Colours told apart by the colour-blind (Okabe and Ito): solid with estimations, dashed without.
fn style(solver: Solver) -> LineStyle {
    match solver {
        Solver::Fosi => LineStyle {
            color: RGBColor(0, 114, 178),
            dashed: false,
        },
        Solver::Lbfgs => LineStyle {
            color: RGBColor(213, 94, 0),
            dashed: true,
        },
    }
}

fn figure(study: &Study, solutions: &[Solution]) -> Sheet {
    // A logarithmic axis shows f, or f − f* where the minimum is known.
    let minimum = study.problem.minima.first().copied().unwrap_or(0.0);
    let panel = |label: &str, x: fn(&(u64, f64, f64)) -> f64| {
        let line = |solution: &Solution| Line {
            points: lowest_so_far(solution, minimum, x),
            band: Vec::new(),
            style: style(solution.solver),
        };
        let lines: Vec<Line> = solutions.iter().map(line).collect();
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
    let mut legend: Vec<(String, LineStyle)> = Vec::new();
    for &solver in &study.solvers {
        legend.push((solver.to_string(), style(solver)));
    }
    Sheet {
        title: study.problem.summary.to_owned(),
        legend,
        cells: vec![
            panel("gradients and Hessian-vector products", |point| {
                point.0 as f64
            }),
            panel("seconds", |point| point.1),
        ],
        columns: 2,
        cell: (480, 360),
        bar: None,
    }
}

/// The lowest f − `minimum` so far, at each step that lowers it.
fn lowest_so_far(
    solution: &Solution,
    minimum: f64,
    x: fn(&(u64, f64, f64)) -> f64,
) -> Vec<(f64, f64)> {
    let mut lowest = f64::INFINITY;
    let mut points = Vec::new();
    for point in &solution.curve {
        let value = point.2 - minimum;
        if value > 0.0 && value < lowest {
            lowest = value;
            points.push((x(point), value));
        }
    }
    if let (Some(&(_, value)), Some(end)) = (points.last(), solution.curve.last()) {
        points.push((x(end), value));
    }
    points
}
