//! The program `fosi` on several processes: `mpirun -n 4 fosi-mpi train lr`.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::filter::LevelFilter;

fn main() {
    // Shows the warnings about collectives that wait long.
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr)
        .init();
    let job = match fosi_mpi::start() {
        Ok(job) => job,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(1)
        }
    };
    job.abort_on_panic();
    let status = fosi_lab::program::run_on(&job.communicator());
    // MPI ends in an orderly way before the process does.
    drop(job);
    std::process::exit(status)
}
