//! A method that uses only the Hessian's diagonal, on the functions of Figure 7: the paper (§5) says that such methods suffer where
//! the Hessian is ill-conditioned and not diagonal.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::claim::claims_text;
use super::report::{short, table};
use super::{Claim, Convention, Descent, Outcome, Pieces, Report, Setup, grid};
use crate::optimizers::{Family, OptimizerName};
use crate::plot::{ColorScale, Sheet};

/// The method that uses only the diagonal.
pub const DIAGONAL: OptimizerName = OptimizerName::plain(Family::AdaHessian);
/// Its learning rates, of which each function gets the best; 1 is a Newton step where the Hessian is diagonal.
pub const LEARNING_RATES: [f64; 7] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
/// The optimizers beside it, at the paper's learning rates.
pub const BESIDE: [OptimizerName; 4] = [
    OptimizerName::plain(Family::Adam),
    OptimizerName::fosi(Family::Adam),
    OptimizerName::plain(Family::HeavyBall),
    OptimizerName::fosi(Family::HeavyBall),
];
/// The rows of the table.
const SHOWN: ([f64; 2], [usize; 6]) = ([1.1, 1.17], [0, 2, 10, 20, 50, 100]);

/// How the optimizers did on one function.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Entry {
    /// b.
    pub b: f64,
    /// ζ.
    pub zeta: usize,
    /// AdaHessian's learning rate: the one with the lowest f after 200 steps, by the median over bases.
    pub learning_rate: f64,
    /// AdaHessian's outcome, then those of [`BESIDE`].
    pub outcomes: Vec<Outcome>,
}

/// The experiment's outcome: b by b, ζ by ζ.
#[derive(Clone, Debug)]
pub struct Diagonal {
    /// What was followed.
    pub convention: Convention,
    /// One for each function.
    pub entries: Vec<Entry>,
}

/// Runs 200 steps of each optimizer on each function, those that depend on the eigenvectors in several random bases.
///
/// # Errors
/// Where Lanczos fails.
pub fn run(setup: Setup, pieces: &Pieces) -> Result<Diagonal, fosi::Error> {
    Ok(Diagonal {
        convention: setup.convention,
        entries: grid::on_each(pieces, |b, zeta| run_one(b, zeta, setup))?,
    })
}

/// Runs the optimizers on f_{b,ζ}.
///
/// # Errors
/// Where Lanczos fails.
pub fn run_one(b: f64, zeta: usize, setup: Setup) -> Result<Entry, fosi::Error> {
    let convention = setup.convention;
    let f = grid::function(b, convention);
    let bases = grid::in_bases(b, zeta, setup);
    let run = |optimizer, rate| {
        let descent = Descent {
            convention,
            ..Descent::new(optimizer, rate)
        };
        descent.run_in(&bases)
    };
    let [first, others @ ..] = LEARNING_RATES;
    let (mut learning_rate, mut own) = (first, run(DIAGONAL, first)?);
    for rate in others {
        let outcome = run(DIAGONAL, rate)?;
        if outcome.median() < own.median() {
            (learning_rate, own) = (rate, outcome);
        }
    }
    let beside = BESIDE.map(|o| run(o, Descent::paper_rate(o.family, f.extremes())));
    let outcomes = std::iter::once(Ok(own)).chain(beside);
    Ok(Entry {
        b,
        zeta,
        learning_rate,
        outcomes: outcomes.collect::<Result<_, fosi::Error>>()?,
    })
}

impl Diagonal {
    /// Files, figure and text.
    pub fn report(&self) -> Report {
        let claims = claims_text(&self.claims());
        Report {
            tables: vec![("diagonal.csv".to_owned(), self.csv())],
            figures: vec![("diagonal".to_owned(), self.maps())],
            text: format!(
                "A method that uses only the Hessian's diagonal: f after 200 steps on f_(b,ζ), medians over random bases; {DIAGONAL} at \
                 the best of seven η from 0.01 to 10 for each function, the others at the paper's rates\n{}\n\n{}\n\n{claims}",
                self.convention.sentence(),
                self.table()
            ),
        }
    }

    /// Where the Hessian is diagonal, and what a rotation changes.
    pub fn claims(&self) -> Vec<Claim> {
        let [_, fosi_adam, _, fosi_hb] = BESIDE;
        let ratios = |other: OptimizerName, zetas: RangeInclusive<usize>| -> Vec<(String, f64)> {
            let ratio = |e: &Entry| Some((e.name(), e.median(DIAGONAL)? / e.median(other)?));
            let own = self.entries.iter().filter(|e| zetas.contains(&e.zeta));
            own.filter_map(ratio).collect()
        };
        let describe = |(name, ratio): &(String, f64)| format!("{name} ({ratio:.2}×)");
        vec![
            Claim::check(
                format!(
                    "{DIAGONAL} ends lower than {fosi_hb} where the Hessian is diagonal (ζ = 0), for each b"
                ),
                &ratios(fosi_hb, 0..=0),
                |(_, ratio)| *ratio < 1.0,
                describe,
            ),
            Claim::check(
                format!("{fosi_adam} ends lower than {DIAGONAL} where it is not (ζ ≥ 2)"),
                &ratios(fosi_adam, 2..=100),
                |(_, ratio)| *ratio > 1.0,
                describe,
            ),
            Claim::check(
                format!(
                    "{fosi_hb} ends lower than {DIAGONAL} where half of it or more is turned (ζ ≥ 50)"
                ),
                &ratios(fosi_hb, 50..=100),
                |(_, ratio)| *ratio > 1.0,
                describe,
            ),
        ]
    }

    fn csv(&self) -> String {
        let mut text = "b,zeta,optimizer,learning_rate,f200\n".to_owned();
        for e in &self.entries {
            for o in &e.outcomes {
                let extremes = grid::function(e.b, self.convention).extremes();
                let rate = match o.optimizer == DIAGONAL {
                    true => e.learning_rate,
                    false => Descent::paper_rate(o.optimizer.family, extremes),
                };
                text += &format!("{},{},{},{rate},{}\n", e.b, e.zeta, o.optimizer, o.median());
            }
        }
        text
    }

    fn table(&self) -> String {
        let names = BESIDE.map(|o| o.to_string());
        let own = DIAGONAL.to_string();
        let mut header = vec!["b, ζ", &own, "at η"];
        header.extend(names.iter().map(String::as_str));
        let (growths, rotations) = SHOWN;
        let shown = |e: &&Entry| growths.contains(&e.b) && rotations.contains(&e.zeta);
        let row = |e: &Entry| {
            let mut row = vec![e.name()];
            row.extend(e.outcomes.iter().map(|o| short(o.median())));
            row.insert(2, short(e.learning_rate));
            row
        };
        table(&header, self.entries.iter().filter(shown).map(row))
    }

    fn maps(&self) -> Sheet {
        let scale = ColorScale::logarithmic(1e-8, 1e3);
        let map = |optimizer: OptimizerName| {
            let value = |e: &Entry| e.median(optimizer).unwrap_or(f64::NAN);
            let values = self.entries.iter().map(value).collect();
            grid::map(optimizer.to_string(), values, scale)
        };
        let [adam, fosi_adam, _, fosi_hb] = BESIDE;
        Sheet {
            title: "f after 200 steps: a method that uses only the Hessian's diagonal".to_owned(),
            legend: Vec::new(),
            cells: [DIAGONAL, fosi_hb, adam, fosi_adam].map(map).into(),
            columns: 2,
            cell: (460, 290),
            bar: Some((scale, "f after 200 steps".to_owned())),
        }
    }
}

impl Entry {
    fn name(&self) -> String {
        grid::name(self.b, self.zeta)
    }

    /// The median of f after the last step.
    pub fn median(&self, optimizer: OptimizerName) -> Option<f64> {
        let own = self.outcomes.iter().find(|o| o.optimizer == optimizer);
        own.map(Outcome::median)
    }
}
