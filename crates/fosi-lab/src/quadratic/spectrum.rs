//! Figure 3: FOSI does not feel the largest eigenvalue.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::claim::{better_than_bases, claims_text};
use super::descent::compare;
use super::report::{curves_panel, legend, log_axis, short, table};
use super::{Claim, Convention, OPTIMIZERS, Outcome, Pieces, Quadratic, Report, Setup};
use crate::optimizers::{Family, OptimizerName};
use crate::plot::{Cell, Sheet};

/// n of the functions.
pub const DIMENSIONS: [usize; 2] = [100, 1500];
/// λ₁ of the functions.
pub const LARGEST: [f64; 5] = [5.0, 10.0, 20.0, 50.0, 200.0];

/// How each optimizer did on one function.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Entry {
    /// n.
    pub n: usize,
    /// λ₁.
    pub lambda1: f64,
    /// f at the start.
    pub f0: f64,
    /// In the order of [`OPTIMIZERS`].
    pub outcomes: Vec<Outcome>,
}

/// The experiment's outcome: n by n, λ₁ by λ₁.
#[derive(Clone, Debug)]
pub struct Spectrum {
    /// What was followed.
    pub convention: Convention,
    /// One for each function.
    pub entries: Vec<Entry>,
}

/// Eigenvalues λ₁, and λᵢ = 1.5^−(i−2) for i ≥ 2; the largest first.
pub fn function(n: usize, lambda1: f64) -> Quadratic {
    let tail = (0..n.saturating_sub(1)).map(|i| 1.5_f64.powi(-(i as i32)));
    Quadratic::new(std::iter::once(lambda1).chain(tail).collect())
}

/// Number of pieces of a run, each followed by a tick.
pub fn ticks() -> u64 {
    (DIMENSIONS.len() * LARGEST.len()) as u64
}

/// Runs 200 steps of each optimizer on each function, Adam and FOSI-Adam in several random bases.
///
/// # Errors
/// Where Lanczos fails.
pub fn run(setup: Setup, pieces: &Pieces) -> Result<Spectrum, fosi::Error> {
    let functions: Vec<(usize, f64)> = DIMENSIONS
        .iter()
        .flat_map(|&n| LARGEST.map(|lambda1| (n, lambda1)))
        .collect();
    let entry = |&(n, lambda1): &(usize, f64)| {
        pieces.piece(format!("n={n} λ₁={lambda1}"), || {
            run_one(n, lambda1, setup)
        })
    };
    let entries = functions
        .par_iter()
        .map(entry)
        .collect::<Result<_, fosi::Error>>()?;
    let convention = setup.convention;
    Ok(Spectrum {
        convention,
        entries,
    })
}

/// Runs the optimizers on one function.
fn run_one(n: usize, lambda1: f64, setup: Setup) -> Result<Entry, fosi::Error> {
    let f = function(n, lambda1);
    let convention = setup.convention;
    let turned: Vec<Quadratic> = (0..setup.bases)
        .into_par_iter()
        .map(|seed| f.turned(seed, convention))
        .collect();
    Ok(Entry {
        n,
        lambda1,
        f0: f.value_at_start(),
        outcomes: compare(&turned, f.extremes(), convention)?,
    })
}

impl Spectrum {
    /// Files, figure and text.
    pub fn report(&self) -> Report {
        let claims = claims_text(&self.claims());
        Report {
            tables: vec![("figure3.csv".to_owned(), self.csv())],
            figures: vec![("figure3".to_owned(), self.sheet())],
            text: format!(
                "Figure 3: f after 200 steps; medians over {} random bases for Adam and FOSI-Adam\n{}\n\n{}\n\n{claims}",
                self.bases(),
                self.convention.sentence(),
                self.table()
            ),
        }
    }

    /// The paper's statements about these functions.
    pub fn claims(&self) -> Vec<Claim> {
        let outcomes = self.entries.iter().map(|e| (e.name(), &e.outcomes[..]));
        let mut claims = better_than_bases(outcomes);
        for base in [Family::GradientDescent, Family::HeavyBall] {
            let optimizer = OptimizerName::fosi(base);
            let spread = |n: usize| {
                let own = self.entries.iter().filter(|e| e.n == n);
                let values = own
                    .filter_map(|e| e.outcome(optimizer))
                    .map(Outcome::median);
                let (low, high) =
                    values.fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
                (n, high / low - 1.0)
            };
            claims.push(Claim::check(
                format!("{optimizer} does not feel λ₁ (f within 1e-4 from λ₁ = 5 to 200, relatively), for each n"),
                &DIMENSIONS.map(spread),
                |(_, spread)| *spread < 1e-4,
                |(n, spread)| format!("n={n}: {spread:.1e}"),
            ));
        }
        claims
    }

    fn bases(&self) -> usize {
        let counts = self
            .entries
            .iter()
            .flat_map(|e| e.outcomes.iter().map(|o| o.last.len()));
        counts.max().unwrap_or(0)
    }

    fn csv(&self) -> String {
        let mut text = "n,lambda1,optimizer,f0,f200\n".to_owned();
        for e in &self.entries {
            for o in &e.outcomes {
                let (n, lambda1, f0) = (e.n, e.lambda1, e.f0);
                text += &format!("{n},{lambda1},{},{f0},{}\n", o.optimizer, o.median());
            }
        }
        text
    }

    fn table(&self) -> String {
        let names = OPTIMIZERS.map(|o| o.to_string());
        let mut header = vec!["n", "λ₁"];
        header.extend(names.iter().map(String::as_str));
        table(
            &header,
            self.entries.iter().map(|e| {
                let mut row = vec![e.n.to_string(), e.lambda1.to_string()];
                row.extend(e.outcomes.iter().map(|o| short(o.median())));
                row
            }),
        )
    }

    fn sheet(&self) -> Sheet {
        let y_of = |n: usize| {
            let own = self.entries.iter().filter(move |e| e.n == n);
            log_axis(own.flat_map(|e| e.outcomes.iter().flat_map(|o| o.curve.iter().copied())))
        };
        let panel = |e: &Entry| {
            Cell::Panel(curves_panel(
                format!("n = {}, λ₁ = {}", e.n, e.lambda1),
                &e.outcomes,
                y_of(e.n),
            ))
        };
        Sheet {
            title: "f(θ) on quadratics with one large eigenvalue".to_owned(),
            legend: legend(),
            cells: self.entries.iter().map(panel).collect(),
            columns: LARGEST.len(),
            cell: (300, 300),
            bar: None,
        }
    }
}

impl Entry {
    fn name(&self) -> String {
        format!("n={} λ₁={}", self.n, self.lambda1)
    }

    fn outcome(&self, optimizer: OptimizerName) -> Option<&Outcome> {
        self.outcomes.iter().find(|o| o.optimizer == optimizer)
    }
}
