//! The preparation of a task, which takes from moments to hours: reading data, computing features. It reports progress
//! and can be interrupted.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use fosi::communicator::Communicator;

use super::TaskError;
use crate::interrupt::Interrupt;

/// A progress callback; the argument is the number of pieces finished since the last call.
pub type Advance = Box<dyn Fn(u64) + Sync>;

/// Creates a progress callback, given the operation's name and its number of pieces.
pub type MakeProgress<'a> = dyn Fn(&'static str, u64) -> Advance + 'a;

/// How completely a task is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Completely: it can be trained.
    Whole,
    /// For a dry run's report: the model, the number of examples and the cost of a gradient. Examples are counted but
    /// not read; random ones replace them.
    Outline,
}

/// The interrupt and the progress display for a task's preparation.
pub struct Preparation<'a> {
    /// The interrupt, which is checked several times per second.
    pub interrupt: &'a Interrupt,
    /// Creates the progress callbacks.
    pub progress: &'a MakeProgress<'a>,
    /// The processes that train together, if there are several.
    pub communicator: Option<&'a Arc<dyn Communicator>>,
}

impl fmt::Debug for Preparation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preparation")
            .field("interrupt", self.interrupt)
            .finish_non_exhaustive()
    }
}

/// The time between two checks for an interrupt.
const PATIENCE: Duration = Duration::from_millis(50);

impl Preparation<'_> {
    /// Returns an error once the interrupt is requested; `kept` describes what is kept for the next start.
    pub(super) fn check(
        &self,
        doing: &'static str,
        kept: impl Fn() -> String,
    ) -> Result<(), TaskError> {
        match self.interrupt.requested() {
            true => Err(TaskError::Interrupted {
                doing,
                kept: kept(),
            }),
            false => Ok(()),
        }
    }

    /// The result of `work`, which runs on its own thread and cannot be interrupted: on an interrupt, the thread ends
    /// with the program.
    pub(super) fn wait<T, E>(
        &self,
        doing: &'static str,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, TaskError>
    where
        T: Send + 'static,
        E: Into<TaskError> + Send + 'static,
    {
        self.check(doing, || "nothing is lost".to_owned())?;
        let thread = Builder::new().name("preparation".to_owned()).spawn(work);
        let thread = thread.map_err(TaskError::other)?;
        while !thread.is_finished() {
            self.check(doing, || "nothing is lost".to_owned())?;
            std::thread::sleep(PATIENCE);
        }
        match thread.join() {
            Ok(outcome) => outcome.map_err(Into::into),
            Err(panic) => resume_unwind(panic),
        }
    }
}
