//! Moré, Garbow and Hillstrom, *Testing unconstrained optimization software*, ACM TOMS 7 (1981): sums of squares.

mod data;
mod fixed;
mod variable;

use super::Problem;
use super::dual::Dual;
use super::function::Function;
use super::tape::{Tape, Var};

type Residuals = for<'t> fn(&[Var<'t>]) -> Vec<Var<'t>>;

/// A function of the set: f = Σ rᵢ², with the paper's start.
#[derive(Clone, Copy)]
pub(super) struct Definition {
    pub name: &'static str,
    pub summary: &'static str,
    residuals: Residuals,
    start: fn() -> Vec<f64>,
    /// The values of f at the known local minima, the lowest first. Nonzero values from the paper are refined by
    /// Newton's method, because its six digits cannot resolve a relative gap of 1e-8.
    minima: &'static [f64],
}

/// The functions in the paper's order.
pub(super) fn definitions() -> impl Iterator<Item = Definition> {
    fixed::DEFINITIONS.into_iter().chain(variable::DEFINITIONS)
}

impl Definition {
    pub fn problem(self) -> Problem {
        let start = (self.start)();
        let residuals = self.residuals;
        let function = move || -> Box<dyn Function> { Box::new(SumOfSquares::new(residuals)) };
        Problem::new(self.name, self.summary, start.len(), function)
            .starting_at(move |_seed| start.clone())
            .with_minima(self.minima.to_vec())
    }
}

struct SumOfSquares {
    residuals: Residuals,
    tape: Tape,
    adjoints: Vec<Dual>,
}

impl SumOfSquares {
    fn new(residuals: Residuals) -> Self {
        Self {
            residuals,
            tape: Tape::default(),
            adjoints: Vec::new(),
        }
    }

    /// f at x; leaves its derivatives in `adjoints`.
    fn differentiate(&mut self, x: impl Iterator<Item = Dual>) -> f64 {
        self.tape.clear();
        let x: Vec<Var<'_>> = x.map(|x| self.tape.variable(x)).collect();
        let residuals = (self.residuals)(&x);
        let f = residuals.iter().map(|r| r.value().value.powi(2)).sum();
        let weighted = residuals.into_iter().map(|r| (r, r.value() * 2.0));
        self.tape.reverse(weighted, &mut self.adjoints);
        f
    }
}

impl Function for SumOfSquares {
    fn gradient(&mut self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let f = self.differentiate(x.iter().map(|&x| Dual::constant(x)));
        for (g, adjoint) in gradient.iter_mut().zip(&self.adjoints) {
            *g = adjoint.value;
        }
        f
    }

    fn product(&mut self, x: &[f64], v: &[f64], out: &mut [f64]) {
        let pairs = x.iter().zip(v);
        self.differentiate(pairs.map(|(&value, &tangent)| Dual { value, tangent }));
        for (out, adjoint) in out.iter_mut().zip(&self.adjoints) {
            *out = adjoint.tangent;
        }
    }
}
