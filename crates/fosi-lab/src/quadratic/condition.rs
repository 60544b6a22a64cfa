//! Figure 4: a worse condition number of the whole, better ones of both subspaces (A.4).

use fosi::Lemma4;

use super::report::{curves_panel, log_axis, short, table};
use super::{Convention, Descent, Outcome, Pieces, Quadratic, Report};
use crate::optimizers::{Family, OptimizerName};
use crate::plot::{Cell, LineStyle, Sheet};

/// η.
pub const LEARNING_RATE: f64 = 1e-3;
/// α of a whole Newton step.
pub const NEWTON_RATE: f64 = 1.0;
/// k.
pub const LARGEST: usize = 9;
/// Steps.
pub const STEPS: usize = 250;

/// λ₁…λ₁₀ equally spaced from 10 down to 9, the other 90 from 0.1 down to 0.01.
pub fn function() -> Quadratic {
    let spaced = |from: f64, to: f64, count: usize| {
        (0..count).map(move |i| from + (to - from) * i as f64 / (count - 1) as f64)
    };
    Quadratic::new(spaced(10.0, 9.0, 10).chain(spaced(0.1, 0.01, 90)).collect())
}

/// Condition numbers, and whether Lemma 4 promises an improvement of the whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditioning {
    /// Of the Hessian: λ₁/λ_n.
    pub hessian: f64,
    /// Of FOSI's effective Hessian P⁻¹H, whose eigenvalues are α and ηλ_{k+1}…ηλ_n.
    pub effective: f64,
    /// Of the Hessian in the Newton step's subspace, λ₁/λ_k; FOSI makes it 1.
    pub subspace: f64,
    /// Of the Hessian in the complement, λ_{k+1}/λ_n.
    pub complement: f64,
    /// Which of the lemma's conditions holds, if one does.
    pub lemma4: Option<Lemma4>,
    /// The interval of α in which one of the conditions holds.
    pub newton_rates: (f64, f64),
}

impl Conditioning {
    /// For eigenvalues in descending order, all positive, and 0 < k < n, with ℓ = 0.
    pub fn of(eigenvalues: &[f64], k: usize, eta: f64, alpha: f64) -> Self {
        let (largest, smallest) = (eigenvalues[0], eigenvalues[eigenvalues.len() - 1]);
        let known = fosi::Conditioning {
            largest,
            next: eigenvalues[k],
            last: smallest,
            smallest,
        };
        Self {
            hessian: known.condition(),
            effective: known.effective_condition(eta, alpha),
            subspace: largest / eigenvalues[k - 1],
            complement: known.next / smallest,
            lemma4: known.lemma_4(eta, alpha),
            newton_rates: known.newton_rates(eta),
        }
    }
}

/// The experiment's outcome.
#[derive(Clone, Debug)]
pub struct Condition {
    /// gd and fosi-gd, f at each step.
    pub outcomes: Vec<Outcome>,
    /// Condition numbers.
    pub conditioning: Conditioning,
}

/// Number of pieces of a run, each followed by a tick.
pub fn ticks() -> u64 {
    2
}

/// Runs gradient descent and FOSI with it, η = 0.001 for both.
///
/// # Errors
/// Where Lanczos fails.
pub fn run(pieces: &Pieces) -> Result<Condition, fosi::Error> {
    let f = function();
    let turned = f.turned(0, Convention::Code);
    let outcome = |fosi: bool| {
        let optimizer = OptimizerName::new(Family::GradientDescent, fosi);
        let descent = Descent {
            largest: LARGEST,
            steps: STEPS,
            scale_limit: 1.0,
            ..Descent::new(optimizer, LEARNING_RATE)
        };
        let curve = pieces.piece(optimizer.to_string(), || descent.run(&turned))?;
        Ok(Outcome {
            optimizer,
            last: curve.last().copied().into_iter().collect(),
            curve,
        })
    };
    let outcomes = [false, true]
        .into_iter()
        .map(outcome)
        .collect::<Result<_, fosi::Error>>()?;
    let conditioning = Conditioning::of(f.eigenvalues(), LARGEST, LEARNING_RATE, NEWTON_RATE);
    Ok(Condition {
        outcomes,
        conditioning,
    })
}

impl Condition {
    /// Files, figure and text.
    pub fn report(&self) -> Report {
        Report {
            tables: vec![("figure4.csv".to_owned(), self.csv())],
            figures: vec![("figure4".to_owned(), self.sheet())],
            text: self.text(),
        }
    }

    fn csv(&self) -> String {
        let mut text = "optimizer,step,f\n".to_owned();
        for o in &self.outcomes {
            for (step, f) in o.curve.iter().enumerate() {
                text += &format!("{},{step},{f}\n", o.optimizer);
            }
        }
        text
    }

    fn text(&self) -> String {
        let steps = [0, 10, 50, 100, 200, 250];
        let names: Vec<String> = steps.iter().map(|s| format!("step {s}")).collect();
        let mut header = vec!["f(θ)"];
        header.extend(names.iter().map(String::as_str));
        let values = table(
            &header,
            self.outcomes.iter().map(|o| {
                let mut row = vec![o.optimizer.to_string()];
                row.extend(
                    steps
                        .iter()
                        .map(|&step| o.curve.get(step).map_or("–".to_owned(), |f| short(*f))),
                );
                row
            }),
        );
        let c = &self.conditioning;
        let conditions = table(
            &["condition number", "gd", "fosi-gd"],
            [
                ("whole space", c.hessian, c.effective),
                ("subspace of the Newton step", c.subspace, 1.0),
                ("complement", c.complement, c.complement),
            ]
            .map(|(space, gd, fosi)| vec![space.to_owned(), short(gd), short(fosi)]),
        );
        format!(
            "Figure 4: k = {LARGEST}, η = {LEARNING_RATE}, α = {NEWTON_RATE}\n\n{values}\n\n{conditions}\n\n{}",
            c.lemma4_text()
        )
    }

    fn sheet(&self) -> Sheet {
        let y = log_axis(self.outcomes.iter().flat_map(|o| o.curve.iter().copied()));
        let panel = curves_panel(String::new(), &self.outcomes, y);
        let entry = |o: &Outcome| (o.optimizer.to_string(), LineStyle::of(o.optimizer));
        Sheet {
            title: "FOSI with a worse condition number of the whole".to_owned(),
            legend: self.outcomes.iter().map(entry).collect(),
            cells: vec![Cell::Panel(panel)],
            columns: 1,
            cell: (640, 400),
            bar: None,
        }
    }
}

impl Conditioning {
    fn lemma4_text(&self) -> String {
        let mark = |case: Lemma4| {
            if self.lemma4 == Some(case) {
                "holds"
            } else {
                "does not hold"
            }
        };
        let promise = match self.lemma4 {
            Some(_) => "the effective condition number is at most the Hessian's",
            None => "no case applies: the effective condition number may be larger",
        };
        format!(
            "Lemma 4: ηλ_n ≤ α ≤ ηλ_(k+1) {}; ηλ_(k+1)·λ_n/λ₁ ≤ α < ηλ_n {}; ηλ_(k+1) < α ≤ ηλ₁ {} ({promise}). One of them \
             holds for α from {} to {}.",
            mark(Lemma4::Between),
            mark(Lemma4::Below),
            mark(Lemma4::Above),
            short(self.newton_rates.0),
            short(self.newton_rates.1),
        )
    }
}
