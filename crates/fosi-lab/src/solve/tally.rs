//! The number of runs that each solver solved.

use super::record::Run;
use super::solver::Solver;

/// `solved A of B …` for each solver, with fosi last; B counts the runs on problems with a known minimum. Empty if
/// there are none.
pub fn tally(runs: &[&Run]) -> String {
    let mut solvers: Vec<&str> = Vec::new();
    for run in runs {
        if !solvers.contains(&run.record.solver.as_str()) {
            solvers.push(&run.record.solver);
        }
    }
    let fosi = Solver::Fosi.to_string();
    solvers.sort_by_key(|solver| *solver == fosi);
    let count = |solver: &str| {
        let of_solver = runs.iter().filter(|run| run.record.solver == solver);
        let solved = of_solver
            .clone()
            .filter(|run| run.record.solved_at.is_some());
        (solved.count(), of_solver.count())
    };
    let mut text = String::new();
    for solver in solvers {
        let (solved, all) = count(solver);
        let name = match solver == fosi {
            true => String::new(),
            false => format!("{solver}: "),
        };
        text.push_str(&format!(
            "{name}solved {solved} of {all} runs with a known minimum"
        ));
        text.push_str(if solver == fosi { " (fosi)\n" } else { "\n" });
    }
    text
}
