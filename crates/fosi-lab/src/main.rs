//! The program `fosi`.

use std::cell::Cell;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::process::exit;

use clap::Parser;
use fosi_lab::cli::{Cli, Command};
use fosi_lab::commands::{self, CommandError};
use fosi_lab::config::TrainConfig;
use fosi_lab::interrupt::Interrupt;
use fosi_lab::progress;
use fosi_lab::tasks::{self, Opening, Preparation, TaskError};
use fosi_lab::train::Workload;

fn main() {
    let outcome = match Cli::parse().command_or_default() {
        Command::Train(command) => {
            let interrupt = listen("ending after this step; Ctrl-C again ends at once");
            let open = |config: &TrainConfig, opening| workload(config, opening, &interrupt);
            commands::train(
                &command,
                &open,
                progress::on_stderr().as_mut(),
                &interrupt,
                &mut stdout(),
            )
        }
        Command::Compare(command) => commands::compare(&command, &mut stdout()),
        Command::Table(command) => commands::table(&command, &mut stdout()),
        Command::Figure(command) => commands::figure(&command, &mut stdout()),
        Command::Verdict(command) => commands::verdict(&command, &mut stdout()),
        Command::Report(command) => {
            let interrupt = listen("ending; the page stays as it is");
            commands::report(&command, &interrupt, &mut stdout())
        }
        Command::Data(command) => commands::data(&command, &mut stdout()),
        Command::Quadratic(command) => {
            let interrupt = listen("ending; what is done is kept. Ctrl-C again ends at once");
            commands::quadratic(
                &command,
                &progress::ticks_on_stderr,
                &interrupt,
                &mut stdout(),
            )
        }
        Command::Study(command) => {
            let interrupt = listen(
                "ending after this step; the runs made so far are kept. Ctrl-C again ends at once",
            );
            if command.is_worker() {
                end_with_standard_input(&interrupt);
            }
            let threads_set = Cell::new(false);
            let make_workload = |config: &TrainConfig, opening| {
                if !threads_set.replace(true) {
                    set_threads(config)?;
                }
                open(config, opening, &interrupt)
            };
            let surroundings = commands::Surroundings {
                make_workload: &make_workload,
                make_observer: match command.makes_several() {
                    true => &progress::nowhere,
                    false => &progress::run_on_stderr,
                },
                notice: &say,
                interrupt: &interrupt,
            };
            commands::study(&command, &surroundings, &mut stdout())
        }
        Command::Spectrum(command) => {
            let interrupt = listen("ending; what is measured is kept. Ctrl-C again ends at once");
            let open = |config: &TrainConfig, opening| workload(config, opening, &interrupt);
            commands::spectrum(&command, &open, &say, &interrupt, &mut stdout())
        }
        Command::Solve(command) => {
            let interrupt =
                listen("ending; the runs made so far are kept. Ctrl-C again ends at once");
            let watch = &progress::solver_on_stderr;
            commands::solve(&command, &say, watch, &interrupt, &mut stdout())
        }
    };
    exit(outcome.unwrap_or_else(|error| match &error {
        CommandError::Output(closed) if closed.kind() == ErrorKind::BrokenPipe => BROKEN_PIPE,
        _ => {
            say(&format!("error: {error}"));
            error.exit_status()
        }
    }));
}

/// Ends a worker when the process that started it closes the pipe or ends.
fn end_with_standard_input(interrupt: &Interrupt) {
    let interrupt = interrupt.clone();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        interrupt.request();
    });
}

/// The exit status of a program whose output is not read, by the convention of shells: 128 + SIGPIPE.
const BROKEN_PIPE: i32 = 141;

/// Prints a line to standard error; failures are ignored.
fn say(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// If the system does not permit a handler, Ctrl-C ends the program, which keeps what was written.
fn listen(notice: &'static str) -> Interrupt {
    Interrupt::on_ctrl_c(move || say(&format!("\n{notice}"))).unwrap_or_default()
}

/// Opens the task's model and data, with the run's number of threads.
fn workload(
    config: &TrainConfig,
    opening: Opening,
    interrupt: &Interrupt,
) -> Result<Box<dyn Workload>, TaskError> {
    set_threads(config)?;
    open(config, opening, interrupt)
}

/// Sets the number of threads once per process.
fn set_threads(config: &TrainConfig) -> Result<(), TaskError> {
    let Some(threads) = config.threads else {
        return Ok(());
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build_global()
        .map_err(|e| TaskError::Other(Box::new(e)))
}

fn open(
    config: &TrainConfig,
    opening: Opening,
    interrupt: &Interrupt,
) -> Result<Box<dyn Workload>, TaskError> {
    let preparation = Preparation {
        interrupt,
        progress: &progress::preparation_on_stderr,
    };
    tasks::open(config, opening, &preparation)
}
