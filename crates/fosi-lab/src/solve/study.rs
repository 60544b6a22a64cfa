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

/// A problem with its solvers, start points and budget.
#[derive(Debug)]
pub struct Study<'a> {
    /// The problem.
    pub problem: &'a Problem,
    /// The solvers.
    pub solvers: &'a [Solver],
    /// The seeds of the start points and of Lanczos's start vectors.
    pub seeds: &'a [u64],
    /// The budget per run.
    pub budget: Budget,
    /// The number of L-BFGS pairs.
    pub memory: usize,
    /// The folder of the runs.
    pub folder: RunsFolder,
}

/// A newly made run.
#[derive(Debug)]
pub struct Made {
    /// The run.
    pub run: Run,
    /// The network's solution at the lowest f, for networks with a known solution.
    pub solution: Option<Solution>,
}

/// A stored run that is not comparable with a study's.
#[derive(Debug)]
pub struct LeftOut {
    /// The run.
    pub run: Run,
    /// How its settings differ from the study's.
    pub difference: String,
}

impl Study<'_> {
    /// All pairs of solver and seed, solver by solver.
    pub fn pairs(&self) -> impl Iterator<Item = (Solver, u64)> {
        let of_solver = |&solver: &Solver| self.seeds.iter().map(move |&seed| (solver, seed));
        self.solvers.iter().flat_map(of_solver)
    }

    /// The stored run of a solver from a seed's start point, if this version made it with the same settings and it was
    /// not interrupted.
    ///
    /// # Errors
    /// If a file is damaged.
    pub fn kept(&self, solver: Solver, seed: u64) -> Result<Option<Run>, SolveError> {
        let kept = self.folder.find(&solver.to_string(), seed)?;
        Ok(kept.filter(|run| {
            self.difference(&run.record).is_none() && run.record.stopped != Stopped::Interrupted
        }))
    }

    /// Makes a run without storing it.
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
        // The solver may have mistaken the meter's error for an error of the function.
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

    /// The comparable stored runs: those with the study's budget and, for this program's solvers, with its memory and
    /// this version. This program's solvers come first, in their order, then others by name. The second part contains
    /// the other runs.
    ///
    /// # Errors
    /// If a file is damaged.
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

    /// How a stored run differs from the study: in its budget or, for this program's solvers, in memory or version.
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

/// The position of a solver in tables; solvers of other programs come last.
pub(super) fn rank(solver: &str) -> usize {
    solver
        .parse::<Solver>()
        .map_or(usize::MAX, |known| known as usize)
}
