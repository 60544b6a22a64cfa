//! The program `fosi`.

use std::error::Error;
use std::io::stdout;
use std::process::exit;

use clap::Parser;
use fosi_lab::cli::{Cli, Command};
use fosi_lab::commands::{self, CommandError};
use fosi_lab::config::TrainConfig;
use fosi_lab::data::Split;
use fosi_lab::interrupt::Interrupt;
use fosi_lab::logistic_regression::LogisticRegression;
use fosi_lab::progress;
use fosi_lab::train::Workbench;

fn main() {
    let outcome = match Cli::parse().command_or_default() {
        Command::Train(command) => commands::train(
            &command,
            &workbench,
            progress::on_stderr().as_mut(),
            &listen(),
            &mut stdout(),
        ),
        Command::Compare(command) => commands::compare(&command, &mut stdout()),
        Command::Quadratic(command) => {
            let progress =
                |name, ticks| -> Box<dyn Fn() + Sync> { progress::ticks_on_stderr(name, ticks) };
            commands::quadratic(&command, &progress, &mut stdout())
        }
    };
    exit(outcome.unwrap_or_else(|error: CommandError| {
        eprintln!("error: {error}");
        error.exit_status()
    }));
}

/// A system that doesn't let us listen to Ctrl-C lets it end the program, which keeps what was written.
fn listen() -> Interrupt {
    let notice = || eprintln!("\nending after this step; Ctrl-C again ends at once");
    Interrupt::on_ctrl_c(notice).unwrap_or_default()
}

/// The task's model on the data, with as many threads as the run asks for.
fn workbench(
    config: &TrainConfig,
    split: &Split,
) -> Result<Box<dyn Workbench>, Box<dyn Error + Send + Sync>> {
    if let Some(threads) = config.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build_global()?;
    }
    Ok(Box::new(LogisticRegression::new(config, split)))
}
