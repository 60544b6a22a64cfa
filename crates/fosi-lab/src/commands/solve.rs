//! `fosi solve`.

use std::io::Write;

use super::CommandError;
use super::output::{make_folder, write_figure};
use crate::cli::SolveCommand;
use crate::config::no_repeats;
use crate::interrupt::Interrupt;
use crate::problems;
use crate::runs::replace_file;
use crate::solve::{Report, Study};

/// `fosi solve`: minimises the problem with each solver from each start, writes the curves and a figure, prints the table.
///
/// # Errors
/// [`CommandError`] for an unknown problem, repeated solvers or seeds, or where a file can't be written.
pub fn solve(
    command: &SolveCommand,
    notice: &dyn Fn(&str),
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    interrupt.heed();
    let Some(name) = &command.problem else {
        for name in problems::names() {
            writeln!(out, "{name}")?;
        }
        return Ok(0);
    };
    no_repeats("solvers", &command.solvers)?;
    no_repeats("seed", &command.seeds)?;
    let study = Study {
        problem: problems::named(name)?,
        solvers: command.solvers.clone(),
        seeds: command.seeds.clone(),
        budget: command.budget,
        memory: command.memory,
    };
    make_folder(&command.out)?;
    let solutions = study.run(interrupt, |solution| {
        let minimum = &solution.minimum;
        notice(&format!(
            "{}, seed {}: f = {:.3e} after {} gradients and {} products in {:.1} s",
            solution.solver,
            solution.seed,
            minimum.best.value,
            minimum.gradients,
            minimum.products,
            minimum.seconds
        ));
    })?;
    let report = Report::new(&study, &solutions);
    let file = name.replace(':', "-");
    let curves = command.out.join(format!("{file}.csv"));
    replace_file(&curves, report.curves.as_bytes())?;
    write_figure(&command.out, &file, &report.figure)?;
    let problem = &study.problem;
    writeln!(
        out,
        "{}: {}, n = {}\n",
        problem.name, problem.summary, problem.dim
    )?;
    writeln!(out, "{}\n", report.text)?;
    let folder = command.out.display();
    writeln!(out, "{file}.csv, {file}.svg and {file}.png are in {folder}")?;
    match interrupt.requested() {
        true => Ok(crate::interrupt::EXIT_STATUS),
        false => Ok(0),
    }
}
