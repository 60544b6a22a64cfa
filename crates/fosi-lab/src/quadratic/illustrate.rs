//! Figure 1: FOSI's step in two dimensions, in the whole and in both subspaces.

use fosi::base::GradientDescent;
use fosi::{Fosi, FosiConfig, Host, NewtonRate, Schedule};
use plotters::style::RGBColor;

use super::report::{short, table};
use super::{Pieces, Report};
use crate::plot::{Axis, Cell, Line, LineStyle, Panel, Sheet};

/// Eigenvalues; the first one's eigenvector is (1, 1)/√2, the second one's (−1, 1)/√2.
const EIGENVALUES: [f64; 2] = [4.0, 1.0];
/// θ₀.
const START: [f64; 2] = [0.3, -0.9];
/// η of gradient descent in the second eigenvector's direction.
const LEARNING_RATE: f64 = 0.3;
const STEPS: usize = 7;

/// The experiment's outcome: the path of FOSI with gradient descent, k = 1, α = 1.
#[derive(Clone, Debug)]
pub struct Illustration {
    /// θ at each step.
    pub path: Vec<[f64; 2]>,
}

/// Number of pieces of a run, each followed by a tick.
pub fn ticks() -> u64 {
    1
}

fn hessian() -> [[f64; 2]; 2] {
    let [a, b] = EIGENVALUES;
    [
        [0.5 * (a + b), 0.5 * (a - b)],
        [0.5 * (a - b), 0.5 * (a + b)],
    ]
}

fn product(theta: &[f64]) -> [f64; 2] {
    hessian().map(|row| row[0] * theta[0] + row[1] * theta[1])
}

/// Runs seven steps.
///
/// # Errors
/// Where Lanczos fails.
pub fn run(pieces: &Pieces) -> Result<Illustration, fosi::Error> {
    let path = pieces.piece("path".to_owned(), path)?;
    Ok(Illustration { path })
}

/// θ at each of seven steps.
fn path() -> Result<Vec<[f64; 2]>, fosi::Error> {
    let config = FosiConfig {
        // As in the paper's figures.
        safeguards: false,
        largest: 1,
        newton_rate: NewtonRate::Constant(1.0),
        scale_limit: 1.0,
        schedule: Schedule::Every {
            warmup: 0,
            interval: u64::MAX,
        },
        ..FosiConfig::quadratic()
    };
    let mut optimizer = Fosi::new(Host::<f64>::new(2), GradientDescent, config)?;
    let mut operator =
        fosi::operator::from_fn(|v: &[f64], out: &mut [f64]| out.copy_from_slice(&product(v)));
    optimizer.refresh(&mut operator)?;
    let mut theta = START;
    let mut path = vec![theta];
    for _ in 0..STEPS {
        let gradient = product(&theta);
        optimizer.step(LEARNING_RATE, &mut theta, &gradient)?;
        path.push(theta);
    }
    Ok(path)
}

/// The part of f in an eigenvector's direction: both, the first (Newton), the second (base).
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Whole,
    Newton,
    Base,
}

/// Coordinates in the eigenvectors.
fn coordinates([x, y]: [f64; 2]) -> [f64; 2] {
    [(x + y) / 2f64.sqrt(), (y - x) / 2f64.sqrt()]
}

fn from_coordinates([u, w]: [f64; 2]) -> [f64; 2] {
    [(u - w) / 2f64.sqrt(), (u + w) / 2f64.sqrt()]
}

fn value(theta: [f64; 2], part: Part) -> f64 {
    let [u, w] = coordinates(theta);
    let newton = 0.5 * EIGENVALUES[0] * u * u;
    let base = 0.5 * EIGENVALUES[1] * w * w;
    match part {
        Part::Whole => newton + base,
        Part::Newton => newton,
        Part::Base => base,
    }
}

const CONTOUR: LineStyle = LineStyle {
    color: RGBColor(205, 205, 205),
    dashed: false,
};
const STEP: LineStyle = LineStyle {
    color: RGBColor(0, 0, 0),
    dashed: false,
};
const NEWTON: LineStyle = LineStyle {
    color: RGBColor(213, 94, 0),
    dashed: false,
};
const BASE: LineStyle = LineStyle {
    color: RGBColor(0, 114, 178),
    dashed: false,
};

impl Illustration {
    /// Files, figure and text.
    pub fn report(&self) -> Report {
        let rows = self.path.iter().enumerate();
        let mut csv = "step,theta1,theta2,f,f1,f2\n".to_owned();
        for (step, theta) in rows.clone() {
            let [f, f1, f2] =
                [Part::Whole, Part::Newton, Part::Base].map(|part| value(*theta, part));
            csv += &format!("{step},{},{},{f},{f1},{f2}\n", theta[0], theta[1]);
        }
        let values = table(
            &["step", "θ₁", "θ₂", "f", "f₁", "f₂"],
            rows.map(|(step, theta)| {
                let parts =
                    [Part::Whole, Part::Newton, Part::Base].map(|part| short(value(*theta, part)));
                let mut row = vec![step.to_string(), short(theta[0]), short(theta[1])];
                row.extend(parts);
                row
            }),
        );
        Report {
            tables: vec![("figure1.csv".to_owned(), csv)],
            figures: vec![("figure1".to_owned(), self.sheet())],
            text: format!(
                "Figure 1: FOSI with gradient descent in two dimensions, k = 1, α = 1, η = {LEARNING_RATE}\n\n{values}"
            ),
        }
    }

    fn sheet(&self) -> Sheet {
        let panel = |title: &str, part: Part| {
            let mut lines = contours(part);
            lines.extend(self.arrows(part));
            Cell::Panel(Panel {
                title: title.to_owned(),
                x_label: "θ₁".to_owned(),
                y_label: "θ₂".to_owned(),
                x: Axis::linear(X.0, X.1),
                y: Axis::linear(Y.0, Y.1),
                lines,
            })
        };
        Sheet {
            title: "One function, two orthogonal problems".to_owned(),
            legend: vec![
                ("step".to_owned(), STEP),
                ("d₁: Newton".to_owned(), NEWTON),
                ("d₂: base".to_owned(), BASE),
                ("level of f, f₁, f₂".to_owned(), CONTOUR),
            ],
            cells: vec![
                panel("f = f₁ + f₂", Part::Whole),
                panel("f₁", Part::Newton),
                panel("f₂", Part::Base),
            ],
            columns: 3,
            cell: (420, 428),
            bar: None,
        }
    }

    /// Each step as d₁ + d₂: in the whole their sum, in a subspace its own part from where the other one left off.
    fn arrows(&self, part: Part) -> Vec<Line> {
        let arrow = |pair: &[[f64; 2]]| {
            let (from, to) = (coordinates(pair[0]), coordinates(pair[1]));
            let (newton, base) = ([to[0], from[1]], [from[0], to[1]]);
            let legs = match part {
                Part::Whole => vec![(from, to, STEP)],
                Part::Newton => vec![(from, newton, NEWTON), (newton, to, BASE)],
                Part::Base => vec![(from, base, BASE), (base, to, NEWTON)],
            };
            legs.into_iter()
                .flat_map(|(a, b, style)| {
                    draw_arrow(from_coordinates(a), from_coordinates(b), style)
                })
                .collect::<Vec<_>>()
        };
        self.path.windows(2).flat_map(arrow).collect()
    }
}

const X: (f64, f64) = (-0.5, 1.0);
const Y: (f64, f64) = (-1.05, 0.45);

/// A shaft and an open head; nothing where the step is too short to be seen.
fn draw_arrow(from: [f64; 2], to: [f64; 2], style: LineStyle) -> Vec<Line> {
    let along = [to[0] - from[0], to[1] - from[1]];
    let length = along[0].hypot(along[1]);
    if length < 0.004 {
        return Vec::new();
    }
    let size = 0.05_f64.min(0.5 * length) / length;
    let side = |turn: f64| {
        let back = [to[0] - size * along[0], to[1] - size * along[1]];
        (
            back[0] - 0.5 * turn * size * along[1],
            back[1] + 0.5 * turn * size * along[0],
        )
    };
    let tip = (to[0], to[1]);
    let line = |points: Vec<(f64, f64)>| Line {
        points,
        band: Vec::new(),
        style,
    };
    vec![
        line(vec![(from[0], from[1]), tip]),
        line(vec![side(1.0), tip, side(-1.0)]),
    ]
}

/// Levels of f or of one part, inside the panel.
fn contours(part: Part) -> Vec<Line> {
    let inside = |p: &(f64, f64)| (X.0..=X.1).contains(&p.0) && (Y.0..=Y.1).contains(&p.1);
    let mut lines = Vec::new();
    for level in (1..=12).map(|i| 0.02 * f64::from(i * i)) {
        let [a, b] = EIGENVALUES.map(|lambda| (2.0 * level / lambda).sqrt());
        let curves: Vec<Vec<[f64; 2]>> = match part {
            Part::Whole => {
                let angle = |i: i32| std::f64::consts::TAU * f64::from(i) / 720.0;
                vec![
                    (0..=720)
                        .map(|i| [a * angle(i).cos(), b * angle(i).sin()])
                        .collect(),
                ]
            }
            Part::Newton => [a, -a]
                .map(|u| (-400..=400).map(|i| [u, 0.005 * f64::from(i)]).collect())
                .to_vec(),
            Part::Base => [b, -b]
                .map(|w| (-400..=400).map(|i| [0.005 * f64::from(i), w]).collect())
                .to_vec(),
        };
        for curve in curves {
            let points: Vec<(f64, f64)> = curve
                .into_iter()
                .map(from_coordinates)
                .map(|[x, y]| (x, y))
                .collect();
            let runs = points.chunk_by(|p, q| inside(p) == inside(q));
            let seen = runs.filter(|run| inside(&run[0]) && run.len() > 1);
            lines.extend(seen.map(|run| Line {
                points: run.to_vec(),
                band: Vec::new(),
                style: CONTOUR,
            }));
        }
    }
    lines
}
