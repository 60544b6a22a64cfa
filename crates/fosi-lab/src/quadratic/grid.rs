//! Figures 7 and 8: the functions f_{b,ζ}, condition number against rotation (B.2.1).
//!
//! FOSI-Adam ends lower than Adam by medians over bases, but not in every basis: on 118 functions, ζ from 30 to 84, it
//! is worse in one at least. There both leave nearly all of f along the ζ/2 smallest eigenvalues, where neither gets
//! on, since each coordinate's second moment remembers the large gradients that the rotation mixes in: f ends near
//! what it was along them at the start, moved up or down as the basis has it. So it is in the public implementation's
//! one draw, where FOSI-Adam is worse on 45 functions: at most 1.44 times, at b = 1.158, ζ = 30, with 0.0077 against
//! Adam's 0.0053 and 0.0068 at the start.

use std::ops::RangeInclusive;

use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::claim::{better_than_bases, claims_text, exceptions_csv};
use super::descent::{compare, sees_axes};
use super::report::{curves_panel, legend, log_axis, short, table};
use super::{Claim, Convention, Descent, OPTIMIZERS, Outcome, Pieces, Quadratic, Report, Setup};
use crate::optimizers::{Family, OptimizerName};
use crate::plot::{Cell, ColorScale, HeatMap, Sheet};

/// n of all functions.
const DIMENSION: usize = 100;
/// The functions whose curves Figure 8 shows.
const CURVES: [(f64, usize); 4] = [(1.12, 90), (1.16, 90), (1.12, 50), (1.16, 50)];

/// b of the grid: 1.10 to 1.13 by 0.01, then to 1.17 by 0.002.
pub fn growths() -> Vec<f64> {
    let coarse = (110..114).map(|b| f64::from(b) / 100.0);
    let fine = (570..=585).map(|b| f64::from(b) / 500.0);
    coarse.chain(fine).collect()
}

/// ζ of the grid: 0, where the Hessian is diagonal, to 20 by 2, to 80 by 10, to 100 by 2.
pub fn rotations() -> Vec<usize> {
    let low = (0..20).step_by(2);
    let middle = (20..80).step_by(10);
    let high = (80..=100).step_by(2);
    low.chain(middle).chain(high).collect()
}

/// f_{b,ζ} without its rotation: eigenvalues 0.001·b^i, the smallest first, for i = 0…99 or, as in the text, 1…100.
pub fn function(b: f64, convention: Convention) -> Quadratic {
    let first = match convention {
        Convention::Code => 0,
        Convention::Text => 1,
    };
    let exponents = first..first + DIMENSION as i32;
    Quadratic::new(exponents.map(|i| 1e-3 * b.powi(i)).collect())
}

/// f_{b,ζ}: eigenvectors are the axes, but for the ζ/2 smallest and the ζ/2 largest eigenvalues, whose axes are turned
/// by a random rotation of their common space.
pub fn turned(f: &Quadratic, zeta: usize, seed: u64, convention: Convention) -> Quadratic {
    f.turned_within(&block(zeta), seed, convention)
}

/// The places of the ζ/2 smallest and the ζ/2 largest eigenvalues.
pub fn block(zeta: usize) -> Vec<usize> {
    let half = zeta / 2;
    (0..half).chain(DIMENSION - half..DIMENSION).collect()
}

/// Up to this ζ all the turned large eigenvalues are among the k = 10 that FOSI takes out, and it ends alike in all
/// bases.
const SAME_IN_ALL_BASES: usize = 20;

const EXCEPTIONS: &str = "\
FOSI-Adam's exceptions: both end with f almost wholly along the ζ/2 smallest eigenvalues, where neither gets far from the
start and the basis decides which is lower. All of them are in figure7-exceptions.csv.";

/// How each optimizer did on one function.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Entry {
    /// b.
    pub b: f64,
    /// ζ.
    pub zeta: usize,
    /// f at the start.
    pub f0: f64,
    /// In the order of [`OPTIMIZERS`].
    pub outcomes: Vec<Outcome>,
    /// FOSI-Adam with bias correction in the subspace, the library's default.
    pub corrected: Outcome,
}

/// The experiment's outcome: b by b, ζ by ζ.
#[derive(Clone, Debug)]
pub struct Grid {
    /// What was followed.
    pub convention: Convention,
    /// One for each function.
    pub entries: Vec<Entry>,
}

/// Number of pieces of a run, each followed by a tick.
pub fn ticks() -> u64 {
    (growths().len() * rotations().len()) as u64
}

/// Runs 200 steps of each optimizer on each function, Adam and FOSI-Adam in several random bases.
///
/// # Errors
/// Where Lanczos fails.
pub fn run(setup: Setup, pieces: &Pieces) -> Result<Grid, fosi::Error> {
    Ok(Grid {
        convention: setup.convention,
        entries: on_each(pieces, |b, zeta| run_one(b, zeta, setup))?,
    })
}

/// The results of `run` on each function, b by b, ζ by ζ; each is a piece.
pub(super) fn on_each<T: Serialize + DeserializeOwned + Send>(
    pieces: &Pieces,
    run: impl Fn(f64, usize) -> Result<T, fosi::Error> + Sync,
) -> Result<Vec<T>, fosi::Error> {
    let functions: Vec<(f64, usize)> = growths()
        .into_iter()
        .flat_map(|b| rotations().into_iter().map(move |zeta| (b, zeta)))
        .collect();
    let piece = |&(b, zeta): &(f64, usize)| pieces.piece(name(b, zeta), || run(b, zeta));
    functions.par_iter().map(piece).collect()
}

/// f_{b,ζ} in each of the setup's bases; without a rotation there is one.
pub(super) fn in_bases(b: f64, zeta: usize, setup: Setup) -> Vec<Quadratic> {
    let f = function(b, setup.convention);
    let bases = if zeta == 0 { 1 } else { setup.bases };
    (0..bases)
        .map(|seed| turned(&f, zeta, seed, setup.convention))
        .collect()
}

/// The name of f_{b,ζ}.
pub(super) fn name(b: f64, zeta: usize) -> String {
    format!("b={b} ζ={zeta}")
}

/// A picture of one value per function, in the order of [`on_each`].
pub(super) fn map(title: String, values: Vec<f64>, scale: ColorScale) -> Cell {
    Cell::HeatMap(HeatMap {
        title,
        x_label: "b".to_owned(),
        y_label: "ζ".to_owned(),
        xs: growths(),
        ys: rotations().into_iter().map(|zeta| zeta as f64).collect(),
        values,
        scale,
    })
}

/// Runs the optimizers on f_{b,ζ}.
///
/// # Errors
/// Where Lanczos fails.
pub fn run_one(b: f64, zeta: usize, setup: Setup) -> Result<Entry, fosi::Error> {
    let convention = setup.convention;
    let f = function(b, convention);
    let bases = in_bases(b, zeta, setup);
    let outcomes = compare(&bases, f.extremes(), convention)?;
    let rate = Descent::paper_rate(Family::Adam, f.extremes());
    let corrected = Descent {
        bias_correction: true,
        convention,
        ..Descent::new(OptimizerName::fosi(Family::Adam), rate)
    };
    let corrected = corrected.run_in(&bases)?;
    let f0 = f.value_at_start();
    Ok(Entry {
        b,
        zeta,
        f0,
        outcomes,
        corrected,
    })
}

impl Grid {
    /// Files, figures and text.
    pub fn report(&self) -> Report {
        let claims = self.claims();
        let exceptions = exceptions_csv(&claims);
        let claims = claims_text(&claims);
        Report {
            tables: vec![
                ("figure7.csv".to_owned(), self.csv()),
                ("figure7-exceptions.csv".to_owned(), exceptions),
            ],
            figures: vec![
                ("figure7".to_owned(), self.maps()),
                ("figure8".to_owned(), self.curves()),
            ],
            text: format!(
                "Figures 7 and 8: f after 200 steps on f_(b,ζ); medians over random bases for Adam and FOSI-Adam\n{}\n\n{}\n\n{claims}\n{EXCEPTIONS}\n{}",
                self.convention.sentence(),
                self.table(),
                self.corrected_text()
            ),
        }
    }

    /// The paper's statements about these functions.
    pub fn claims(&self) -> Vec<Claim> {
        let outcomes = self.entries.iter().map(|e| (e.name(), &e.outcomes[..]));
        let mut claims = better_than_bases(outcomes);
        claims.extend(self.median_claim());
        for optimizer in OPTIMIZERS {
            claims.push(self.rotation_claim(optimizer));
        }
        claims
    }

    /// FOSI-Adam against Adam by medians, as the paper's figure compares them.
    fn median_claim(&self) -> Option<Claim> {
        let [.., adam, fosi_adam] = OPTIMIZERS;
        let ratio = |e: &Entry| Some((e.name(), e.median(fosi_adam)? / e.median(adam)?));
        let cases: Vec<(String, f64)> = self.entries.iter().map(ratio).collect::<Option<_>>()?;
        Some(Claim::check(
            "fosi-adam ends lower than adam, by medians over bases",
            &cases,
            |(_, ratio)| *ratio < 1.0,
            |(name, ratio)| format!("{name} ({ratio:.2}×)"),
        ))
    }

    /// Turning changes nothing where eigenvalues alone count; for the others, how much ζ = 100 raises f over ζ = 2.
    fn rotation_claim(&self, optimizer: OptimizerName) -> Claim {
        let zetas = rotations();
        let (first, last) = (zetas[0], zetas[zetas.len() - 1]);
        let cases: Vec<(f64, f64, f64)> = growths()
            .into_iter()
            .map(|b| {
                let own = || self.entries.iter().filter(move |e| e.b == b);
                let values = own().filter_map(|e| e.median(optimizer));
                let ends = values.fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
                let at = |zeta| {
                    own()
                        .find(|e| e.zeta == zeta)
                        .and_then(|e| e.median(optimizer))
                };
                let growth = at(last).unwrap_or(f64::NAN) / at(first).unwrap_or(f64::NAN);
                (b, ends.1 / ends.0 - 1.0, growth)
            })
            .collect();
        if sees_axes(optimizer) {
            let growths = cases.iter().map(|c| c.2);
            let (low, high) =
                growths.fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
            return Claim::check(
                format!(
                    "{optimizer} is hurt by rotation (f at ζ = {last} over f at ζ = {first}: {}–{}), for each b",
                    short(low),
                    short(high)
                ),
                &cases,
                |(_, _, growth)| *growth > 1.0,
                |(b, _, growth)| format!("b={b} ({growth:.2}×)"),
            );
        }
        Claim::check(
            format!(
                "{optimizer} is unchanged by rotation (f within 1e-6 over all ζ, relatively), for each b"
            ),
            &cases,
            |(_, spread, _)| *spread < 1e-6,
            |(b, spread, _)| format!("b={b} ({spread:.1e})"),
        )
    }

    /// What bias correction in the subspace would change, by medians.
    fn corrected_text(&self) -> String {
        let fosi_adam = OptimizerName::fosi(Family::Adam);
        let range = |zetas: RangeInclusive<usize>| {
            let own = self.entries.iter().filter(|e| zetas.contains(&e.zeta));
            let ratios =
                own.map(|e| e.corrected.median() / e.median(fosi_adam).unwrap_or(f64::NAN));
            let (low, high) =
                ratios.fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
            format!("{low:.4}–{high:.4}")
        };
        format!(
            "{fosi_adam} is the paper's, without bias correction of the Newton step's momentum. With it, the library's\n\
             default, f is {} times as high for ζ up to {SAME_IN_ALL_BASES} and {} times for larger ζ: what is left in the\n\
             Newton step's subspace differs, and that is next to nothing where the complement keeps more.",
            range(0..=SAME_IN_ALL_BASES),
            range(SAME_IN_ALL_BASES + 1..=DIMENSION),
        )
    }

    fn csv(&self) -> String {
        let mut text = "b,zeta,optimizer,f200\n".to_owned();
        for e in &self.entries {
            for o in &e.outcomes {
                text += &format!("{},{},{},{}\n", e.b, e.zeta, o.optimizer, o.median());
            }
        }
        text
    }

    /// The corners of the grid and the functions of Figure 8.
    fn table(&self) -> String {
        let corners = [(1.1, 2), (1.1, 100), (1.17, 2), (1.17, 100)];
        let shown = CURVES.iter().chain(&corners);
        let names = OPTIMIZERS.map(|o| o.to_string());
        let mut header = vec!["b, ζ"];
        header.extend(names.iter().map(String::as_str));
        let row = |e: &Entry| {
            let mut row = vec![e.name()];
            row.extend(e.outcomes.iter().map(|o| short(o.median())));
            row
        };
        table(&header, shown.filter_map(|at| self.entry(*at)).map(row))
    }

    fn entry(&self, (b, zeta): (f64, usize)) -> Option<&Entry> {
        self.entries.iter().find(|e| e.b == b && e.zeta == zeta)
    }

    fn maps(&self) -> Sheet {
        let scale = ColorScale::logarithmic(1e-4, 1e3);
        let map = |optimizer: OptimizerName| {
            let value = |e: &Entry| e.median(optimizer).unwrap_or(f64::NAN);
            let values = self.entries.iter().map(value).collect();
            map(optimizer.to_string(), values, scale)
        };
        Sheet {
            title: "f after 200 steps over condition number (b) and rotation (ζ)".to_owned(),
            legend: Vec::new(),
            cells: OPTIMIZERS.into_iter().map(map).collect(),
            columns: 2,
            cell: (460, 290),
            bar: Some((scale, "f after 200 steps".to_owned())),
        }
    }

    fn curves(&self) -> Sheet {
        let shown: Vec<&Entry> = CURVES.iter().filter_map(|at| self.entry(*at)).collect();
        let panel = |e: &&Entry| {
            let values = e.outcomes.iter().flat_map(|o| o.curve.iter().copied());
            Cell::Panel(curves_panel(
                format!("b = {}, ζ = {}", e.b, e.zeta),
                &e.outcomes,
                log_axis(values),
            ))
        };
        Sheet {
            title: "f(θ) on four of the functions".to_owned(),
            legend: legend(),
            cells: shown.iter().map(panel).collect(),
            columns: 2,
            cell: (500, 340),
            bar: None,
        }
    }
}

impl Entry {
    fn name(&self) -> String {
        name(self.b, self.zeta)
    }

    /// The median of f after the last step.
    pub fn median(&self, optimizer: OptimizerName) -> Option<f64> {
        self.outcomes
            .iter()
            .find(|o| o.optimizer == optimizer)
            .map(Outcome::median)
    }
}
