//! The runs on a problem.

use std::cell::RefCell;

use super::budget::Budget;
use super::error::SolveError;
use super::folder::RunsFolder;
use super::meter::{Meter, Metered, Watch};
use super::record::{Record, Run, Stopped};
use super::solver::{Ending, Solver, SolverOptions};
use crate::interrupt::Interrupt;
use crate::problems::{Problem, Solution};
use crate::runs::Versions;

/// A problem, the solvers and starts that it is given to, and what each may cost.
#[derive(Debug)]
pub struct Study<'a> {
    /// What is minimised.
    pub problem: &'a Problem,
    /// By what.
    pub solvers: &'a [Solver],
    /// Seeds of the starts, and of Lanczos' vectors.
    pub seeds: &'a [u64],
    /// What a run may cost.
    pub budget: Budget,
    /// Pairs of L-BFGS.
    pub memory: usize,
    /// Where the runs are kept.
    pub folder: RunsFolder,
}

/// A run that was just made.
#[derive(Debug)]
pub struct Made {
    /// The run.
    pub run: Run,
    /// The network's solution where f was lowest, for networks with a known solution.
    pub solution: Option<Solution>,
}

/// A kept run that can't be compared with a study's.
#[derive(Debug)]
pub struct LeftOut {
    /// The run.
    pub run: Run,
    /// What of it is not as in the study.
    pub difference: String,
}

impl Study<'_> {
    /// Solvers and seeds, solver by solver.
    pub fn pairs(&self) -> impl Iterator<Item = (Solver, u64)> {
        let of_solver = |&solver: &Solver| self.seeds.iter().map(move |&seed| (solver, seed));
        self.solvers.iter().flat_map(of_solver)
    }

    /// The kept run of a solver from a seed's start, if this version made it with the same settings to its end.
    ///
    /// # Errors
    /// Of a damaged file.
    pub fn kept(&self, solver: Solver, seed: u64) -> Result<Option<Run>, SolveError> {
        let kept = self.folder.find(&solver.to_string(), seed)?;
        Ok(kept.filter(|run| {
            self.difference(&run.record).is_none() && run.record.stopped != Stopped::Interrupted
        }))
    }

    /// Makes a run; nothing is kept.
    pub fn make(
        &self,
        solver: Solver,
        seed: u64,
        interrupt: &Interrupt,
        watch: &Watch<'_>,
    ) -> Made {
        let start = self.problem.start(seed);
        let meter = Meter::new(self.problem, &start, self.budget, interrupt, watch);
        let meter = RefCell::new(meter);
        let options = SolverOptions {
            memory: self.memory,
            seed,
        };
        let ending = solver.minimize(&meter, &start, options);
        self.made(solver, seed, meter.into_inner().finish(), ending)
    }

    fn made(&self, solver: Solver, seed: u64, metered: Metered, ending: Ending) -> Made {
        // The solver may have taken the meter's error for another one of the function's.
        let (stopped, reason) = match metered.stop {
            Some(stop) => (stop.into(), stop.to_string()),
            None => (ending.stopped, ending.reason),
        };
        let parameters = metered.best.parameters;
        let solution = parameters.and_then(|x| self.problem.solution(&x));
        let record = Record {
            format: Record::FORMAT,
            solver: solver.to_string(),
            seed,
            problem: self.problem.name.to_owned(),
            n: self.problem.dim,
            budget: self.budget,
            memory: solver.has_memory().then_some(self.memory),
            value: metered.best.value,
            gradient_norm: metered.best.gradient_norm,
            cost: metered.gradients + metered.products,
            gradients: metered.gradients,
            products: metered.products,
            estimations: ending.estimations,
            solved_at: metered.solved_at,
            relative_error: solution.as_ref().map(Solution::relative_error),
            seconds: metered.seconds,
            stopped,
            reason,
            version: Versions::here().to_string(),
        };
        let curve = metered.curve;
        Made {
            run: Run { record, curve },
            solution,
        }
    }

    /// The kept runs that can be compared: with the study's budget and, if the solver is one of this program's, its
    /// memory and this version. First this program's solvers, in their order, then others by name. The second part is
    /// the other runs.
    ///
    /// # Errors
    /// Of a damaged file.
    pub fn comparable(&self) -> Result<(Vec<Run>, Vec<LeftOut>), SolveError> {
        let (mut runs, mut others) = (Vec::new(), Vec::new());
        for run in self.folder.all()? {
            match self.difference(&run.record) {
                None => runs.push(run),
                Some(difference) => others.push(LeftOut { run, difference }),
            }
        }
        runs.sort_by_key(|run| {
            let name = run.record.solver.clone();
            (rank(&name), name, run.record.seed)
        });
        Ok((runs, others))
    }

    /// What of a kept run differs from the study's: its budget, or for solvers of this program the memory or version.
    fn difference(&self, record: &Record) -> Option<String> {
        let own = record.solver.parse::<Solver>().ok();
        let memory = |solver: Solver| solver.has_memory().then_some(self.memory);
        let version = &record.version;
        match own {
            _ if record.budget != self.budget => Some(format!("a budget of {}", record.budget)),
            Some(solver) if record.memory != memory(solver) => {
                let pairs = record.memory.unwrap_or(0);
                Some(format!("a memory of {pairs} pairs"))
            }
            Some(_) if *version != Versions::here().to_string() => Some(version.clone()),
            _ => None,
        }
    }
}

/// The place of a solver in tables; others than this program's come last.
pub(super) fn rank(solver: &str) -> usize {
    solver
        .parse::<Solver>()
        .map_or(usize::MAX, |known| known as usize)
}
