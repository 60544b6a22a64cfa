//! `fosi study`.

use std::io::Write;
use std::path::Path;

use super::CommandError;
use super::curvature::curvature;
use super::maker::Maker;
use super::output::{make_folder, write_figure};
use super::stale::stale;
use super::surroundings::Surroundings;
use super::workers::Workers;
use crate::cli::{PaysCommand, StudyCommand, StudySubcommand};
use crate::interrupt;
use crate::pays::{KeptRuns, Report, Study, Variant, picture};
use crate::runs::replace_file;

/// `fosi study`: makes the missing runs, and prints and draws the results.
///
/// # Errors
/// [`CommandError`] for invalid options, data that cannot be read or has changed, a damaged run, or a file that cannot
/// be written.
pub fn study(
    command: &StudyCommand,
    surroundings: &Surroundings<'_>,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    match &command.command {
        StudySubcommand::Pays(command) => pays(command, surroundings, out),
        StudySubcommand::Curvature(command) => curvature(command, surroundings, out),
        StudySubcommand::Stale(command) => stale(command, surroundings, out),
    }
}

fn pays(
    command: &PaysCommand,
    surroundings: &Surroundings<'_>,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    let layers = command.options.with_file(command.config.as_deref())?;
    let variants = match command.variants.as_slice() {
        [] => vec![Variant::plain()],
        given => given.to_vec(),
    };
    let (bases, factor) = (&command.bases, command.grid_factor);
    let study = Study::new(command.task, &layers, bases, &variants, factor)?;
    let given = layers.iter().rev().find_map(|layer| layer.out.clone());
    let folder = given.unwrap_or_else(|| "pays".into());
    let interrupt = surroundings.interrupt;
    interrupt.heed();
    make_folder(&folder)?;
    let maker = Maker {
        runs: &study,
        kept: KeptRuns::new(&folder),
        jobs: command.jobs,
        surroundings,
    };
    let missing = study.missing(&maker.kept)?.len();
    let workers = match missing > 0 && !command.worker {
        true => Workers::start(command.jobs - 1)?,
        false => Workers::none(),
    };
    maker.make_all()?;
    workers.finish();
    if !command.worker {
        report(&study, &maker.kept, &folder, out)?;
    }
    match interrupt.requested() {
        true => Ok(interrupt::EXIT_STATUS),
        false => Ok(0),
    }
}

/// Writes the table and the figure, and prints the table.
fn report(
    study: &Study,
    kept: &KeptRuns,
    folder: &Path,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let comparisons = study.comparisons(kept)?;
    let text = Report::new(study, &comparisons).text;
    let name = study.name();
    replace_file(&folder.join(format!("{name}.md")), text.as_bytes())?;
    let drawn = picture(study, &comparisons);
    if let Some(figure) = &drawn {
        write_figure(folder, &name, figure)?;
    }
    let picture = match drawn {
        Some(_) => format!(", the picture in {name}.svg and {name}.png"),
        None => String::new(),
    };
    let table = folder.join(format!("{name}.md"));
    writeln!(out, "{text}\nThe table is in {}{picture}", table.display())?;
    Ok(())
}
