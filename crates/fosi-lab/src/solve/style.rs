//! The line styles of solvers.

use plotters::style::RGBColor;

use super::solver::Solver;
use crate::plot::LineStyle;

/// The styles of the solvers in one figure, in the given order: solid with estimations and for other programs' solvers,
/// dashed otherwise, in colours that colour-blind readers can distinguish (Okabe and Ito).
pub(super) fn styles(solvers: &[String]) -> Vec<(String, LineStyle)> {
    let mut foreign = FOREIGN.iter().cycle();
    let style = |name: &String| {
        let style = match name.parse() {
            Ok(solver) => known(solver),
            Err(_) => LineStyle {
                color: foreign.next().copied().unwrap_or(RGBColor(0, 0, 0)),
                dashed: false,
            },
        };
        (name.clone(), style)
    };
    solvers.iter().map(style).collect()
}

const FOREIGN: [RGBColor; 6] = [
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(120, 120, 120),
    RGBColor(170, 160, 0),
];

fn known(solver: Solver) -> LineStyle {
    let (red, green, blue) = match solver {
        Solver::Fosi => (0, 114, 178),
        Solver::Lbfgs => (213, 94, 0),
        Solver::LbfgsArgmin => (230, 159, 0),
        Solver::NewtonCg => (0, 158, 115),
        Solver::Bfgs => (0, 0, 0),
        Solver::AdamLbfgs => (204, 121, 167),
    };
    LineStyle {
        color: RGBColor(red, green, blue),
        dashed: solver != Solver::Fosi,
    }
}
