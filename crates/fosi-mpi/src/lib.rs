//! FOSI on several processes, each a rank of MPI.
//!
//! [`start`] joins the job that `mpirun -n P program` has started, and [`Job::run`] gives the program's work the
//! [`Communicator`] that is the argument of
//! [`Fosi::data_parallel`](fosi::Fosi::data_parallel) and [`Fosi::sharded`](fosi::Fosi::sharded), and of the methods of
//! the same names of `fosi_burn::FosiOptimizer`.
//!
//! ```no_run
//! use fosi::{Fosi, FosiConfig, Host, base::HeavyBall};
//!
//! // An error or a panic in the closure ends the job on all ranks.
//! fosi_mpi::start()?.run(|communicator| {
//!     let mut x = vec![0.0; 1000];
//!     let optimizer = Fosi::new(Host::<f64>::new(1000), HeavyBall::default(), FosiConfig::default())?;
//!     let optimizer = optimizer.sharded(communicator, &mut x)?;
//!     Ok::<(), fosi::Error>(())
//! });
//! # Ok::<(), fosi_mpi::StartError>(())
//! ```
//!
//! The page `docs/mpi.md` of the project describes how to run on a cluster, the costs and the tests. The feature `program`
//! builds the program `fosi` for `mpirun`.

mod collectives;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use fosi::communicator::Communicator;
use mpi::Threading;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::Communicator as _;

pub use collectives::Mpi;

/// This process's membership in an MPI job, from [`start`] until it is dropped. No collective may be called afterwards.
pub struct Job {
    communicator: Arc<Mpi>,
    _universe: Universe,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Job").field(&self.communicator).finish()
    }
}

/// The reasons why a process cannot join a job.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// MPI is already running in this process.
    #[error("MPI is already running in this process: start it once and share the communicator")]
    Running,
    /// This MPI allows calls from a single thread only.
    #[error(
        "this MPI allows calls from its first thread only: install one that supports threads (MPI_THREAD_SERIALIZED)"
    )]
    Threads,
}

/// The waiting time after which a collective logs a warning.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts MPI. A process that `mpirun` has not started is a job of one rank.
///
/// A collective that waits for other ranks logs a `tracing` warning after each minute, with the collective's name and the
/// optimizer's step.
///
/// # Errors
/// [`StartError`].
pub fn start() -> Result<Job, StartError> {
    start_with_patience(PATIENCE)
}

/// Like [`start`], with another time instead of the minute.
///
/// # Errors
/// [`StartError`].
pub fn start_with_patience(patience: Duration) -> Result<Job, StartError> {
    let started = mpi::initialize_with_threading(Threading::Serialized);
    let (universe, threading) = started.ok_or(StartError::Running)?;
    if threading < Threading::Serialized {
        return Err(StartError::Threads);
    }
    Ok(Job {
        communicator: Arc::new(Mpi::world(patience)),
        _universe: universe,
    })
}

impl Job {
    /// All ranks of the job.
    pub fn communicator(&self) -> Arc<dyn Communicator> {
        self.communicator.clone()
    }

    /// Runs the program's work on this rank, and returns its result. A panic in it ends the job on all ranks, and so does
    /// an error, with its message: a rank that only returned would leave the others waiting in a collective.
    ///
    /// # Panics
    /// If `work` returns an error; the panic's message is the error's.
    pub fn run<T, E: std::fmt::Display>(
        self,
        work: impl FnOnce(Arc<dyn Communicator>) -> Result<T, E>,
    ) -> T {
        self.abort_on_panic();
        match work(self.communicator()) {
            Ok(done) => done,
            Err(error) => panic!("{error}"),
        }
    }

    /// Makes a panic in any thread of this process end the job, after the current panic hook, which usually prints a
    /// message. Call it before an optimizer of `fosi_burn` is put on the ranks: panics that it catches then do not end the job.
    pub fn abort_on_panic(&self) {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            SimpleCommunicator::world().abort(PANICKED);
        }));
    }
}

/// The exit status of a process that has panicked.
const PANICKED: i32 = 101;
