//! `fosi quadratic`.

use std::io::Write;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use super::CommandError;
use super::output::{make_folder, write_figure};
use crate::cli::{Experiment, QuadraticCommand};
use crate::interrupt::Interrupt;
use crate::quadratic::{
    Pieces, Report, Setup, Tick, condition, diagonal, grid, illustrate, rates, spectrum,
};
use crate::runs::replace_file;

/// Creates the progress callback for an experiment, given its name and its number of pieces.
pub type MakeTick<'a> = dyn Fn(&'static str, u64) -> Box<Tick<'static>> + 'a;

/// `fosi quadratic`: runs the experiment, writes its data and figures, and prints its table.
///
/// # Errors
/// [`CommandError`] if a file cannot be written.
pub fn quadratic(
    command: &QuadraticCommand,
    progress: &MakeTick,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<i32, CommandError> {
    interrupt.heed();
    let folder = &command.out;
    let given = [
        ("bases", command.bases.is_some()),
        ("as", command.convention.is_some()),
    ];
    if let Some((option, _)) = given.into_iter().find(|(_, given)| *given)
        && !command.experiment.has_bases()
    {
        return Err(CommandError::NoBases { option });
    }
    let setup = Setup {
        bases: command.bases.unwrap_or(QuadraticCommand::BASES),
        convention: command.convention.unwrap_or_default(),
    };
    make_folder(folder)?;
    for (index, study) in studies(command.experiment).iter().enumerate() {
        let report = run_on_thread(study, setup, folder, progress, interrupt)?;
        for (name, text) in &report.tables {
            replace_file(&folder.join(name), text.as_bytes())?;
        }
        for (name, figure) in &report.figures {
            write_figure(folder, name, figure)?;
        }
        let gap = if index > 0 { "\n" } else { "" };
        writeln!(out, "{gap}{}", report.text)?;
    }
    writeln!(out, "\nData and figures are in {}", folder.display())?;
    Ok(0)
}

/// An experiment.
struct Study {
    name: &'static str,
    /// The number of pieces.
    ticks: fn() -> u64,
    /// Runs the experiment with this setup, if it depends on it.
    run: fn(Setup, &Pieces) -> Result<Report, fosi::Error>,
}

const ILLUSTRATE: Study = Study {
    name: "illustrate",
    ticks: illustrate::ticks,
    run: |_, pieces| Ok(illustrate::run(pieces)?.report()),
};
const SPECTRUM: Study = Study {
    name: "spectrum",
    ticks: spectrum::ticks,
    run: |setup, pieces| Ok(spectrum::run(setup, pieces)?.report()),
};
const CONDITION: Study = Study {
    name: "condition",
    ticks: condition::ticks,
    run: |_, pieces| Ok(condition::run(pieces)?.report()),
};
const GRID: Study = Study {
    name: "grid",
    ticks: grid::ticks,
    run: |setup, pieces| Ok(grid::run(setup, pieces)?.report()),
};
const RATES: Study = Study {
    name: "rates",
    ticks: rates::ticks,
    run: |setup, pieces| Ok(rates::run(setup, pieces)?.report()),
};
const DIAGONAL: Study = Study {
    name: "diagonal",
    ticks: grid::ticks,
    run: |setup, pieces| Ok(diagonal::run(setup, pieces)?.report()),
};

fn studies(experiment: Experiment) -> &'static [Study] {
    match experiment {
        Experiment::Illustrate => &[ILLUSTRATE],
        Experiment::Spectrum => &[SPECTRUM],
        Experiment::Condition => &[CONDITION],
        Experiment::Grid => &[GRID],
        Experiment::Rates => &[RATES],
        Experiment::Diagonal => &[DIAGONAL],
        Experiment::All => &[ILLUSTRATE, SPECTRUM, CONDITION, GRID, RATES, DIAGONAL],
    }
}

/// The time between two writes of finished pieces; below, the time between two checks for an interrupt.
const PIECES_PAUSE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_millis(50);

/// Runs an experiment on its own thread, so that an interrupt takes effect immediately: the finished pieces are saved
/// in the folder for the next start, and the thread ends with the program.
fn run_on_thread(
    study: &Study,
    setup: Setup,
    folder: &Path,
    progress: &MakeTick,
    interrupt: &Interrupt,
) -> Result<Report, CommandError> {
    let (name, ticks, run) = (study.name, (study.ticks)(), study.run);
    let part = folder.join(format!("{name}.part.json"));
    let tick = progress(name, ticks);
    let pieces = Arc::new(Pieces::from_file(&part, setup, tick));
    let own = Arc::clone(&pieces);
    let thread = Builder::new()
        .name(name.to_owned())
        .spawn(move || run(setup, &own))?;
    let mut written = Instant::now();
    while !thread.is_finished() {
        let interrupted = interrupt.requested();
        if interrupted || written.elapsed() >= PIECES_PAUSE {
            let done = pieces.save(&part, setup)?;
            written = Instant::now();
            if interrupted {
                return Err(CommandError::Interrupted {
                    name,
                    done,
                    ticks,
                    part,
                });
            }
        }
        std::thread::sleep(PATIENCE);
    }
    let report = thread.join().unwrap_or_else(|panic| resume_unwind(panic))?;
    // A leftover file is harmless.
    let _ = std::fs::remove_file(&part);
    Ok(report)
}
