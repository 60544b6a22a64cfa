//! A network's solution beside the exact one.

use super::record::Record;
use super::style::styles;
use crate::plot::{Axis, Cell, ColorScale, HeatMap, Line, LineStyle, Panel, Sheet};
use crate::problems::Solution;

/// In two dimensions, every STRIDE-th point of the grid is drawn.
const STRIDE: usize = 2;

/// Two curves in one dimension or two heat maps in two, titled with the relative L2 error.
pub fn picture(record: &Record, solution: &Solution) -> Sheet {
    let Record {
        problem,
        solver,
        seed,
        ..
    } = record;
    let error = solution.relative_error();
    let title = format!("{problem} by {solver}, seed {seed}: relative L2 error {error:.1e}");
    match solution.axes.as_slice() {
        [x, y] => heat_maps(title, solution, x, y),
        axes => curves(
            title,
            solver,
            solution,
            axes.first().map_or(&[], Vec::as_slice),
        ),
    }
}

/// The least and the greatest number of several lists.
fn range<'a>(numbers: impl IntoIterator<Item = &'a f64>) -> (f64, f64) {
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    numbers
        .into_iter()
        .fold(ends, |(low, high), &u| (low.min(u), high.max(u)))
}

fn curves(title: String, solver: &str, solution: &Solution, x: &[f64]) -> Sheet {
    let line = |u: &[f64], style: LineStyle| Line {
        points: x.iter().copied().zip(u.iter().copied()).collect(),
        band: Vec::new(),
        style,
    };
    let mut legend = styles(&[solver.to_owned()]);
    legend.push(("exact".to_owned(), LineStyle::PLAIN));
    for ((_, style), dashed) in legend.iter_mut().zip([false, true]) {
        style.dashed = dashed;
    }
    let (left, right) = range(x);
    let (low, high) = range(solution.network.iter().chain(&solution.exact));
    let panel = Panel {
        title: String::new(),
        x_label: "x".to_owned(),
        y_label: "u".to_owned(),
        x: Axis::linear(left, right),
        y: Axis::linear(low, high).padded(0.05),
        lines: vec![
            line(&solution.network, legend[0].1),
            line(&solution.exact, legend[1].1),
        ],
    };
    Sheet {
        title,
        legend,
        cells: vec![Cell::Panel(panel)],
        columns: 1,
        cell: (640, 400),
        bar: None,
    }
}

fn heat_maps(title: String, solution: &Solution, x: &[f64], y: &[f64]) -> Sheet {
    // The exact solution determines the colour scale, because a wrong solution may have any values.
    let (low, high) = range(&solution.exact);
    let scale = ColorScale::linear(low, high);
    let thin = |axis: &[f64]| -> Vec<f64> { axis.iter().copied().step_by(STRIDE).collect() };
    let map = |name: &str, u: &[f64]| {
        let at = |i: usize| {
            let column = (0..y.len()).step_by(STRIDE);
            column.map(move |j| u[i + j * x.len()])
        };
        Cell::HeatMap(HeatMap {
            title: name.to_owned(),
            x_label: "first input".to_owned(),
            y_label: "second input".to_owned(),
            xs: thin(x),
            ys: thin(y),
            values: (0..x.len()).step_by(STRIDE).flat_map(at).collect(),
            scale,
        })
    };
    Sheet {
        title,
        legend: Vec::new(),
        cells: vec![
            map("network", &solution.network),
            map("exact", &solution.exact),
        ],
        columns: 2,
        cell: (420, 360),
        bar: Some((scale, "u".to_owned())),
    }
}
