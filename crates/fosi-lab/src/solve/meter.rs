//! A problem's function with counters, a budget and a record of the values reached.

use std::time::Instant;

use thiserror::Error;

use super::budget::Budget;
use crate::interrupt::Interrupt;
use crate::problems::{Function, Problem};

/// The progress of a run at a cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Gradients and Hessian-vector products so far.
    pub cost: u64,
    /// Seconds since the start of the solver.
    pub seconds: f64,
    /// The lowest value so far.
    pub value: f64,
}

/// The reason why evaluations stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Stop {
    /// The problem counts as solved.
    #[error("solved")]
    Solved,
    /// The budget is used up.
    #[error("the budget is used up")]
    Budget,
    /// The user interrupted the run.
    #[error("interrupted")]
    Interrupted,
}

/// The progress of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// The share of the budget that is used up.
    pub share: f64,
    /// Gradients and Hessian-vector products so far.
    pub cost: u64,
    /// The lowest value so far.
    pub value: f64,
}

/// A callback after each evaluation with the run's progress.
pub type Watch<'a> = dyn Fn(Standing) + 'a;

/// A problem's function, as a solver uses it.
///
/// Every gradient and product counts, whether or not the solver uses it. Once the problem is solved, the budget is used
/// up or the user interrupts, evaluations fail, and the solver must end.
pub struct Meter<'a> {
    problem: &'a Problem,
    function: Box<dyn Function>,
    interrupt: &'a Interrupt,
    watch: &'a Watch<'a>,
    budget: Budget,
    begun: Instant,
    start: Option<Start>,
    start_value: f64,
    gradients: u64,
    products: u64,
    curve: Vec<Point>,
    best: Best,
    solved_at: Option<u64>,
    stop: Option<Stop>,
}

/// The start point with its gradient, until the solver requests it.
struct Start {
    parameters: Vec<f64>,
    gradient: Vec<f64>,
}

/// The point with the lowest value.
#[derive(Clone, Debug)]
pub(super) struct Best {
    pub value: f64,
    pub gradient_norm: f64,
    /// Stored only for networks with a known solution.
    pub parameters: Option<Vec<f64>>,
}

impl std::fmt::Debug for Meter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter")
            .field("problem", &self.problem.name)
            .field("budget", &self.budget)
            .field("gradients", &self.gradients)
            .field("products", &self.products)
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}

impl<'a> Meter<'a> {
    /// Evaluates the start point, which counts as the first gradient; the solver receives it on its first request.
    pub fn new(
        problem: &'a Problem,
        start: &[f64],
        budget: impl Into<Budget>,
        interrupt: &'a Interrupt,
        watch: &'a Watch<'a>,
    ) -> Self {
        let mut function = problem.function();
        let begun = Instant::now();
        let mut gradient = vec![0.0; problem.dim];
        let value = function.gradient(start, &mut gradient);
        let mut meter = Self {
            problem,
            function,
            interrupt,
            watch,
            budget: budget.into(),
            begun,
            start: None,
            start_value: value,
            gradients: 1,
            products: 0,
            curve: Vec::new(),
            best: Best {
                value: f64::INFINITY,
                gradient_norm: f64::INFINITY,
                parameters: None,
            },
            solved_at: None,
            stop: None,
        };
        meter.observe(start, &gradient, value);
        meter.start = Some(Start {
            parameters: start.to_vec(),
            gradient,
        });
        meter
    }

    /// n.
    pub fn dim(&self) -> usize {
        self.problem.dim
    }

    /// The problem.
    pub fn problem(&self) -> &'a Problem {
        self.problem
    }

    /// The remaining number of gradients and products, if the budget limits them.
    pub fn left(&self) -> Option<u64> {
        match self.budget {
            Budget::Cost(most) => Some(most.saturating_sub(self.cost())),
            Budget::Time(_) => None,
        }
    }

    /// The share of the budget that is used up.
    pub fn share(&self) -> f64 {
        self.budget.share(self.cost(), self.begun)
    }

    /// Gradients and products so far.
    pub fn cost(&self) -> u64 {
        self.gradients + self.products
    }

    /// The reason why the run is over, if it is.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// Writes ∇f(x) and returns f(x).
    ///
    /// # Errors
    /// [`Stop`]; then either x is the solution or nothing was evaluated.
    pub fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, Stop> {
        if let Some(start) = self.start.take()
            && start.parameters == x
        {
            gradient.copy_from_slice(&start.gradient);
            return self.stop.map_or(Ok(self.start_value), Err);
        }
        self.check()?;
        let value = self.function.gradient(x, gradient);
        self.gradients += 1;
        self.observe(x, gradient, value);
        match self.stop {
            Some(Stop::Solved) => Err(Stop::Solved),
            _ => Ok(value),
        }
    }

    /// Writes ∇²f(x)·v.
    ///
    /// # Errors
    /// [`Stop`]; then nothing was evaluated.
    pub fn product(&mut self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Stop> {
        self.check()?;
        self.function.product(x, v, out);
        self.products += 1;
        self.tell();
        Ok(())
    }

    /// Checks whether evaluations are allowed.
    ///
    /// # Errors
    /// [`Stop`] if not.
    pub fn check(&mut self) -> Result<(), Stop> {
        if self.stop.is_none() {
            self.stop = match () {
                () if self.interrupt.requested() => Some(Stop::Interrupted),
                () if self.share() >= 1.0 => Some(Stop::Budget),
                () => None,
            };
        }
        self.stop.map_or(Ok(()), Err)
    }

    fn tell(&self) {
        (self.watch)(Standing {
            share: self.share(),
            cost: self.cost(),
            value: self.best.value,
        });
    }

    fn observe(&mut self, x: &[f64], gradient: &[f64], value: f64) {
        if value < self.best.value && value.is_finite() {
            self.best.value = value;
            self.best.gradient_norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            if self.problem.has_solution() {
                let parameters = self.best.parameters.get_or_insert_default();
                parameters.clear();
                parameters.extend_from_slice(x);
            }
            self.curve.push(self.point());
            if self.problem.solved(self.start_value, value) == Some(true) {
                self.solved_at = Some(self.cost());
                self.stop = Some(Stop::Solved);
            }
        }
        self.tell();
    }

    fn point(&self) -> Point {
        Point {
            cost: self.cost(),
            seconds: self.begun.elapsed().as_secs_f64(),
            value: self.best.value,
        }
    }

    /// The result of the run.
    pub(super) fn finish(mut self) -> Metered {
        let end = self.point();
        if self.curve.last().is_none_or(|last| last.cost < end.cost) {
            self.curve.push(end);
        }
        Metered {
            curve: self.curve,
            best: self.best,
            gradients: self.gradients,
            products: self.products,
            solved_at: self.solved_at,
            seconds: end.seconds,
            stop: self.stop,
        }
    }
}

/// The result of a run, as recorded by the meter.
pub(super) struct Metered {
    pub curve: Vec<Point>,
    pub best: Best,
    pub gradients: u64,
    pub products: u64,
    pub solved_at: Option<u64>,
    pub seconds: f64,
    pub stop: Option<Stop>,
}
