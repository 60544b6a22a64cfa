//! The program `fosi`, alone or on several processes.

use std::cell::Cell;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::sync::Arc;

use clap::Parser;
use fosi::communicator::Communicator;

use crate::cli::{Cli, Command};
use crate::commands::{self, CommandError};
use crate::config::TrainConfig;
use crate::interrupt::Interrupt;
use crate::parallel::{self, Leader};
use crate::progress;
use crate::tasks::{self, Advance, Opening, Preparation, TaskError};
use crate::train::Workload;

/// Runs the program with the arguments of the command line, and returns its exit status.
pub fn run() -> i32 {
    command().map_or_else(|status| status, |command| run_command(command, None))
}

/// The command line's command, or the exit status after a message: of a wrong command line, or help that was asked for.
/// Returns in every case, since the ranks of a job must not exit on their own.
fn command() -> Result<Command, i32> {
    let cli = Cli::try_parse().map_err(|error| {
        let _ = error.print();
        error.exit_code()
    })?;
    Ok(cli.command_or_default())
}

/// Like [`run`], on one of several processes that were started with the same arguments: rank 0 runs the program, and the
/// others take their shares of its training. Only `fosi train` runs on several processes.
pub fn run_on(communicator: &Arc<dyn Communicator>) -> i32 {
    if communicator.size() == 1 {
        return run();
    }
    if communicator.rank() > 0 {
        let interrupt = Interrupt::new();
        let open =
            |config: &TrainConfig| workload(config, Opening::Whole, &interrupt, Some(communicator));
        parallel::follow(communicator, open, TaskError::OtherProcess);
        return 0;
    }
    let status = match command() {
        Ok(command @ Command::Train(_)) => run_command(command, Some(communicator)),
        Ok(_) => {
            say(
                "error: only `fosi train` runs on several processes; start one process for the other commands",
            );
            USAGE
        }
        Err(status) => status,
    };
    parallel::end(&**communicator);
    status
}

/// The exit status after a wrong command line.
const USAGE: i32 = 2;

fn run_command(command: Command, communicator: Option<&Arc<dyn Communicator>>) -> i32 {
    let outcome = match command {
        Command::Train(command) => {
            // Of several processes, the launcher ends all at once.
            let interrupt = match communicator {
                None => listen("ending after this step; Ctrl-C again ends at once"),
                Some(_) => listen("the job ends; with --checkpoint-every it can be resumed"),
            };
            let open = |config: &TrainConfig, opening| match communicator {
                Some(communicator) if opening == Opening::Whole => {
                    lead(config, &interrupt, communicator)
                }
                _ => workload(config, opening, &interrupt, None),
            };
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
                open(config, opening, &interrupt, None)
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
            let open = |config: &TrainConfig, opening| workload(config, opening, &interrupt, None);
            commands::spectrum(&command, &open, &say, &interrupt, &mut stdout())
        }
        Command::Solve(command) => {
            let interrupt =
                listen("ending; the runs made so far are kept. Ctrl-C again ends at once");
            let watch = &progress::solver_on_stderr;
            commands::solve(&command, &say, watch, &interrupt, &mut stdout())
        }
    };
    outcome.unwrap_or_else(|error| match &error {
        CommandError::Output(closed) if closed.kind() == ErrorKind::BrokenPipe => BROKEN_PIPE,
        _ => {
            say(&format!("error: {error}"));
            error.exit_status()
        }
    })
}

/// Opens the task's model and data on all processes.
fn lead(
    config: &TrainConfig,
    interrupt: &Interrupt,
    communicator: &Arc<dyn Communicator>,
) -> Result<Box<dyn Workload>, TaskError> {
    let open = || workload(config, Opening::Whole, interrupt, Some(communicator));
    let communicator = Arc::clone(communicator);
    let leader = Leader::open(config, communicator, open, TaskError::OtherProcess)?;
    Ok(Box::new(leader))
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
    communicator: Option<&Arc<dyn Communicator>>,
) -> Result<Box<dyn Workload>, TaskError> {
    set_threads(config)?;
    open(config, opening, interrupt, communicator)
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
    communicator: Option<&Arc<dyn Communicator>>,
) -> Result<Box<dyn Workload>, TaskError> {
    // The display is rank 0's.
    let shown = communicator.is_none_or(|communicator| communicator.rank() == 0);
    let silent = |_: &'static str, _: u64| -> Advance { Box::new(|_| ()) };
    let preparation = Preparation {
        interrupt,
        progress: match shown {
            true => &progress::preparation_on_stderr,
            false => &silent,
        },
        communicator,
    };
    tasks::open(config, opening, &preparation)
}
