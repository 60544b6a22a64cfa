//! The program `fosi` on several processes: `mpirun -n 4 fosi train lr`.

fn main() {
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
