//! The runs of a study.

use std::time::Instant;

use fosi::minimize::{Minimizer, Minimum, Options, Status};

use crate::interrupt::Interrupt;
use crate::names::named;
use crate::problems::Problem;

named! {
    "solver",
    /// What minimises.
    #[derive(strum::EnumIter)]
    pub enum Solver {
        /// L-BFGS on top of the spectral metric: [`fosi::minimize()`].
        Fosi,
        /// The same without estimations: plain L-BFGS with the same line search.
        Lbfgs,
    }
}

/// A problem, the solvers and starts that it is given to, and what each may cost.
#[derive(Debug)]
pub struct Study {
    /// What is minimised.
    pub problem: Problem,
    /// By what.
    pub solvers: Vec<Solver>,
    /// Seeds of the starts, and of Lanczos' vectors.
    pub seeds: Vec<u64>,
    /// Gradients and products of a run, at most.
    pub budget: u64,
    /// Pairs of L-BFGS.
    pub memory: usize,
}

/// One solver's run from one start.
#[derive(Debug)]
pub struct Solution {
    /// The solver.
    pub solver: Solver,
    /// The start's seed.
    pub seed: u64,
    /// Cost, seconds and value after each step, the start first.
    pub curve: Vec<(u64, f64, f64)>,
    /// Cost at which the problem counted as solved; `None` where it never did, or has no known minimum.
    pub solved_at: Option<u64>,
    /// ‖u − u*‖/‖u*‖ at the end, for networks with a known solution.
    pub relative_error: Option<f64>,
    /// What the solver says.
    pub minimum: Minimum,
}

impl Study {
    /// Makes the runs one after the other; `after` sees each. Where the user interrupts, those made so far remain.
    ///
    /// # Errors
    /// What the solver refuses.
    pub fn run(
        &self,
        interrupt: &Interrupt,
        mut after: impl FnMut(&Solution),
    ) -> Result<Vec<Solution>, fosi::Error> {
        let mut solutions = Vec::new();
        for &solver in &self.solvers {
            for &seed in &self.seeds {
                if interrupt.requested() {
                    return Ok(solutions);
                }
                let solution = self.solve(solver, seed, interrupt)?;
                after(&solution);
                solutions.push(solution);
            }
        }
        Ok(solutions)
    }

    fn solve(
        &self,
        solver: Solver,
        seed: u64,
        interrupt: &Interrupt,
    ) -> Result<Solution, fosi::Error> {
        let problem = &self.problem;
        let start = problem.start(seed);
        let mut gradient = vec![0.0; problem.dim];
        let first = problem.function().gradient(&start, &mut gradient);
        let mut curve = vec![(1, 0.0, first)];
        let mut solved_at = None;
        let started = Instant::now();
        let mut options = Options {
            gradient_norm: 0.0,
            max_cost: self.budget,
            memory: self.memory,
            lower_bound: problem.nonnegative.then_some(0.0),
            check_gradient: false,
            seed,
            ..Options::default()
        };
        if solver == Solver::Lbfgs {
            options.first_estimation = Some(u64::MAX);
        }
        let mut objective = problem.objective();
        let mut run = Minimizer::new(&mut objective, &start, options)?;
        let status = loop {
            if let Some(status) = run.step(&mut objective) {
                break status;
            }
            let seconds = started.elapsed().as_secs_f64();
            curve.push((run.cost(), seconds, run.value()));
            if problem.solved(first, run.value()) == Some(true) {
                solved_at = Some(run.cost());
                break Status::Stopped;
            }
            if interrupt.requested() {
                break Status::Stopped;
            }
        };
        let minimum = run.finish(status);
        let relative_error = problem.relative_error(&minimum.best.parameters);
        Ok(Solution {
            solver,
            seed,
            curve,
            solved_at,
            relative_error,
            minimum,
        })
    }
}
