//! `fosi solve`.

use std::io::Write;

use super::CommandError;
use super::output::{make_folder, write_figure};
use crate::cli::SolveCommand;
use crate::config::no_repeats;
use crate::interrupt::Interrupt;
use crate::problems::{self, Problem, ProblemError};
use crate::runs::replace_file;
use crate::solve::{
    ComparedProblem, Comparison, LeftOut, Made, Report, Run, RunsFolder, Study, Watch, file_name,
    picture, tally,
};

/// Creates the progress callback for the run of this name.
pub type MakeWatch<'a> = dyn Fn(String) -> Box<Watch<'static>> + 'a;

/// `fosi solve`: minimises each problem with each solver from each start point, unless the run exists. Draws the curves
/// and prints the table, or the comparison for several problems.
///
/// # Errors
/// [`CommandError`] for an unknown problem, repeated solvers or seeds, a solver that does not support the only problem,
/// a damaged run, or a file that cannot be written.
pub fn solve(
    command: &SolveCommand,
    notice: &dyn Fn(&str),
    watch: &MakeWatch<'_>,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    interrupt.heed();
    if command.problems.is_empty() {
        for name in problems::names() {
            writeln!(out, "{name}")?;
        }
        return Ok(0);
    }
    no_repeats("solvers", &command.solvers)?;
    no_repeats("seed", &command.seeds)?;
    let names = problems::select(&command.problems).map_err(ProblemError::from)?;
    match names.as_slice() {
        [name] => one(command, name, notice, watch, interrupt, out)?,
        names => several(command, names, notice, watch, interrupt, out)?,
    }
    match interrupt.requested() {
        true => Ok(crate::interrupt::EXIT_STATUS),
        false => Ok(0),
    }
}

/// Prints the table of one problem's runs.
fn one(
    command: &SolveCommand,
    name: &str,
    notice: &dyn Fn(&str),
    watch: &MakeWatch<'_>,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let problem = problems::named(name)?;
    for solver in &command.solvers {
        solver.check(problem.name, problem.dim)?;
    }
    make_folder(&command.out)?;
    let runs = run(command, &problem, notice, watch, interrupt)?;
    let (summary, n) = (problem.summary, problem.dim);
    writeln!(out, "{name}: {summary}, n = {n}\n")?;
    writeln!(out, "{}\n", Report::new(&problem, &runs).text)?;
    let (file, folder) = (file_name(name), command.out.display());
    writeln!(
        out,
        "the runs are in {folder}/{file}, their curves in {folder}/{file}.svg and {file}.png"
    )?;
    if !problem.minima.is_empty() {
        write!(out, "{}", tally(&runs.iter().collect::<Vec<_>>()))?;
    }
    Ok(())
}

/// Prints the comparison over several problems.
fn several(
    command: &SolveCommand,
    names: &[&str],
    notice: &dyn Fn(&str),
    watch: &MakeWatch<'_>,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    make_folder(&command.out)?;
    let mut compared = Vec::new();
    for name in names {
        let problem = problems::named(name)?;
        let runs = run(command, &problem, notice, watch, interrupt)?;
        compared.push(ComparedProblem::new(&problem, runs));
    }
    let comparison = Comparison::new(compared);
    let text = comparison.markdown();
    replace_file(&command.out.join("comparison.md"), text.as_bytes())?;
    if let Some(profile) = comparison.profile() {
        write_figure(&command.out, "profile", &profile)?;
    }
    write!(out, "{text}")?;
    Ok(())
}

/// Makes the missing runs, draws the curves of all runs, and returns these.
fn run(
    command: &SolveCommand,
    problem: &Problem,
    notice: &dyn Fn(&str),
    watch: &MakeWatch<'_>,
    interrupt: &Interrupt,
) -> Result<Vec<Run>, CommandError> {
    let study = Study {
        problem,
        solvers: &command.solvers,
        seeds: &command.seeds,
        budget: command.budget,
        memory: command.memory,
        folder: RunsFolder::new(&command.out, problem),
    };
    for (solver, seed) in study.pairs() {
        if interrupt.requested() {
            break;
        }
        if let Err(refused) = solver.check(problem.name, problem.dim) {
            notice(&format!("not run: {refused}"));
        } else if study.kept(solver, seed)?.is_some() {
            notice(&format!(
                "{}: {solver}, seed {seed}, is kept from an earlier start",
                problem.name
            ));
        } else {
            let name = format!("{}: {solver}, seed {seed}", problem.name);
            let made = study.make(solver, seed, interrupt, &*watch(name));
            keep(&study, &made)?;
            notice(&told(&made.run));
        }
    }
    let (runs, others) = study.comparable()?;
    for LeftOut { run, difference } in others {
        let (solver, seed) = (run.record.solver, run.record.seed);
        notice(&format!(
            "{}: {solver}, seed {seed}, was made with other settings ({difference}) and is left out",
            problem.name
        ));
    }
    if !runs.is_empty() {
        let figure = Report::new(problem, &runs).figure;
        write_figure(&command.out, &file_name(problem.name), &figure)?;
    }
    Ok(runs)
}

/// Stores a run and, for the first seed, the picture of its solution.
fn keep(study: &Study<'_>, made: &Made) -> Result<(), CommandError> {
    let record = &made.run.record;
    study.folder.keep(&made.run)?;
    if let Some(solution) = &made.solution
        && study.seeds.first() == Some(&record.seed)
    {
        let name = format!("{}-{}", record.solver, record.seed);
        write_figure(study.folder.path(), &name, &picture(record, solution))?;
    }
    Ok(())
}

fn told(run: &Run) -> String {
    let record = &run.record;
    format!(
        "{}: {}, seed {}: f = {:.3e} after {} gradients and {} products in {:.1} s: {}",
        record.problem,
        record.solver,
        record.seed,
        record.value,
        record.gradients,
        record.products,
        record.seconds,
        record.reason
    )
}
