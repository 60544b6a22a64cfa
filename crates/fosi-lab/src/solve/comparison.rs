//! A comparison of solvers over several problems.

use super::record::Run;
use super::solver::Solver;
use super::study::rank;
use super::style::styles;
use super::tally::tally;
use crate::plot::{Axis, Cell, Line, Panel, Sheet};
use crate::problems::Problem;
use crate::summary::Spread;

/// A problem and its runs.
#[derive(Clone, Debug)]
pub struct ComparedProblem {
    name: &'static str,
    n: usize,
    known_minimum: bool,
    runs: Vec<Run>,
}

impl ComparedProblem {
    /// The problem with its runs.
    pub fn new(problem: &Problem, runs: Vec<Run>) -> Self {
        Self {
            name: problem.name,
            n: problem.dim,
            known_minimum: !problem.minima.is_empty(),
            runs,
        }
    }

    fn of(&self, solver: &str) -> impl Iterator<Item = &Run> {
        self.runs
            .iter()
            .filter(move |run| run.record.solver == solver)
    }

    /// The median over a solver's runs of the cost given by `cost`; infinite if half of them have none.
    fn cost(&self, solver: &str, cost: impl Fn(&Run) -> Option<u64>) -> Option<f64> {
        let cost = |run| cost(run).map_or(f64::INFINITY, |cost| cost as f64);
        median(self.of(solver).map(cost).collect())
    }

    fn cost_to_solved(&self, solver: &str) -> Option<f64> {
        self.cost(solver, |run| run.record.solved_at)
    }

    fn end_value(&self, solver: &str) -> Option<f64> {
        median(self.of(solver).map(|run| run.record.value).collect())
    }

    /// A solver's cost divided by the best other solver's: the cost to solve the problem or, without a known minimum,
    /// to reach the lowest final median f of the others. `None` if neither gets there.
    fn ratio(&self, solver: &str, others: &[&str]) -> Option<f64> {
        let least = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::min);
        let (own, other) = match self.known_minimum {
            true => (
                self.cost_to_solved(solver)?,
                least(&mut others.iter().filter_map(|other| self.cost_to_solved(other)))?,
            ),
            false => {
                let ends = &mut others.iter().filter_map(|other| self.end_value(other));
                let target = least(ends)?;
                let to_target = |run: &Run| run.cost_to(target);
                let costs = &mut others
                    .iter()
                    .filter_map(|other| self.cost(other, to_target));
                (self.cost(solver, to_target)?, least(costs)?)
            }
        };
        (own.is_finite() || other.is_finite()).then_some(own / other)
    }
}

/// The median; `None` without values.
fn median(values: Vec<f64>) -> Option<f64> {
    (!values.is_empty()).then(|| Spread::of(values).median)
}

/// Runs of several solvers on several problems.
#[derive(Clone, Debug)]
pub struct Comparison {
    problems: Vec<ComparedProblem>,
    /// The solvers in the order of the columns.
    solvers: Vec<String>,
}

impl Comparison {
    /// The comparison over these problems.
    pub fn new(problems: Vec<ComparedProblem>) -> Self {
        let mut solvers: Vec<String> = Vec::new();
        for run in problems.iter().flat_map(|problem| &problem.runs) {
            if !solvers.contains(&run.record.solver) {
                solvers.push(run.record.solver.clone());
            }
        }
        solvers.sort_by_key(|solver| (rank(solver), solver.clone()));
        Self { problems, solvers }
    }

    /// The table, ratios and counts in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n{EXPLANATION}\n", self.table());
        for known_minimum in [true, false] {
            text.push_str(&self.ratios(known_minimum));
        }
        let runs: Vec<&Run> = self.known().flat_map(|problem| &problem.runs).collect();
        format!("{text}\n{}", tally(&runs))
    }

    fn known(&self) -> impl Iterator<Item = &ComparedProblem> {
        self.problems.iter().filter(|problem| problem.known_minimum)
    }

    /// The solvers that fosi is compared with; `None` if fosi or others are missing.
    fn others(&self) -> Option<Vec<&str>> {
        let fosi = Solver::Fosi.to_string();
        let others = self.solvers.iter().filter(|solver| **solver != fosi);
        let others: Vec<&str> = others.map(String::as_str).collect();
        (self.solvers.contains(&fosi) && !others.is_empty()).then_some(others)
    }

    fn table(&self) -> String {
        let others = self.others();
        let fosi = Solver::Fosi.to_string();
        let mut text = format!("| problem | n | {} |", self.solvers.join(" | "));
        let mut rule = "|---|---:|".to_owned() + &"---:|".repeat(self.solvers.len());
        if others.is_some() {
            text.push_str(" ratio |");
            rule.push_str("---:|");
        }
        text = format!("{text}\n{rule}\n");
        for problem in &self.problems {
            text.push_str(&format!("| {} | {} |", problem.name, problem.n));
            for solver in &self.solvers {
                let cell = match problem.known_minimum {
                    true => problem.cost_to_solved(solver).map(cost_text),
                    false => problem
                        .end_value(solver)
                        .map(|value| format!("{value:.1e}")),
                };
                text.push_str(&format!(" {} |", cell.unwrap_or_default()));
            }
            if let Some(others) = &others {
                let ratio = problem
                    .ratio(&fosi, others)
                    .map(|ratio| format!("{ratio:.2}"));
                text.push_str(&format!(" {} |", ratio.unwrap_or_default()));
            }
            text.push('\n');
        }
        text
    }

    /// The median of fosi's ratios over the problems with a known minimum, or over those without.
    fn ratios(&self, known_minimum: bool) -> String {
        let Some(others) = self.others() else {
            return String::new();
        };
        let fosi = Solver::Fosi.to_string();
        let problems = self.problems.iter();
        let chosen = problems.filter(|problem| problem.known_minimum == known_minimum);
        let ratios: Vec<f64> = chosen.filter_map(|p| p.ratio(&fosi, &others)).collect();
        let count = ratios.len();
        let Some(ratio) = median(ratios) else {
            return String::new();
        };
        let which = match known_minimum {
            true => "a known minimum, to solved",
            false => "no known minimum, to the lowest median f at the end among the others",
        };
        format!(
            "\nfosi's cost over that of the best other solver: median {ratio:.2} of {count} problems with {which}.\n"
        )
    }

    /// The performance profile of Dolan and Moré (2002) over the problems with a known minimum: for each solver, the
    /// share of problems that it solves at a cost of at most τ times the lowest, against τ. A problem without a run of
    /// the solver counts as unsolved. `None` if no problem was solved.
    pub fn profile(&self) -> Option<Sheet> {
        let mut ratios: Vec<Vec<f64>> = vec![Vec::new(); self.solvers.len()];
        let mut count = 0;
        for problem in self.known() {
            let cost = |solver: &String| problem.cost_to_solved(solver).unwrap_or(f64::INFINITY);
            let costs: Vec<f64> = self.solvers.iter().map(cost).collect();
            let lowest = costs.iter().copied().fold(f64::INFINITY, f64::min);
            for (ratios, cost) in ratios.iter_mut().zip(costs) {
                if cost.is_finite() {
                    ratios.push(cost / lowest);
                }
            }
            count += 1;
        }
        let largest = ratios.iter().flatten().copied().reduce(f64::max)?;
        let legend = styles(&self.solvers);
        let line = |(mut ratios, (_, style)): (Vec<f64>, &(String, _))| {
            ratios.sort_by(f64::total_cmp);
            Line {
                points: steps(&ratios, count, largest),
                band: Vec::new(),
                style: *style,
            }
        };
        let panel = Panel {
            title: String::new(),
            x_label: "cost over the lowest cost of all solvers, τ".to_owned(),
            y_label: "share of the problems solved".to_owned(),
            x: Axis::logarithmic(1.0, largest.max(2.0)),
            y: Axis::linear(0.0, 1.0).padded(0.02),
            lines: ratios.into_iter().zip(&legend).map(line).collect(),
        };
        Some(Sheet {
            title: format!("Performance profile over {count} problems"),
            legend,
            cells: vec![Cell::Panel(panel)],
            columns: 1,
            cell: (760, 440),
            bar: None,
        })
    }
}

/// The share of `count` with a ratio of at most τ, as a step function from τ = 1 to `largest`.
fn steps(ratios: &[f64], count: usize, largest: f64) -> Vec<(f64, f64)> {
    let share = |solved: usize| solved as f64 / count as f64;
    let mut points = vec![(1.0, 0.0)];
    for (solved, &ratio) in ratios.iter().enumerate() {
        points.extend([(ratio, share(solved)), (ratio, share(solved + 1))]);
    }
    points.push((largest, share(ratios.len())));
    points
}

fn cost_text(cost: f64) -> String {
    match cost.is_finite() {
        true => format!("{cost:.0}"),
        false => "–".to_owned(),
    }
}

const EXPLANATION: &str = "\
Whole numbers: median cost, gradients and Hessian-vector products, to the relative gap that counts as solved; – where half
of the runs don't get there. Powers of ten: median f at the end, where no minimum is known. Empty: not run. Ratio: fosi's
cost over that of the best other solver, to the same value; inf where fosi doesn't get there, 0 where only fosi does.";
