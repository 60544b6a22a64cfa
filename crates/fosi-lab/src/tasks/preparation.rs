//! Preparing a task, which takes from moments to hours: reading data, computing features. It can be watched and
//! interrupted.

use std::fmt;
use std::panic::resume_unwind;
use std::thread::Builder;
use std::time::Duration;

use super::TaskError;
use crate::interrupt::Interrupt;

/// Called with the number of pieces of work that were done since the last call.
pub type Advance = Box<dyn Fn(u64) + Sync>;

/// Answers the name of a stretch of work and its number of pieces with what to call as they are done.
pub type MakeProgress<'a> = dyn Fn(&'static str, u64) -> Advance + 'a;

/// How much of a task is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// All: it can be trained.
    Whole,
    /// What a dry run reports: the model, the number of examples, what a gradient costs. Examples are counted, not
    /// read; made-up ones stand in their place.
    Outline,
}

/// Who watches a task's preparation and can end it.
pub struct Preparation<'a> {
    /// Looked at several times a second.
    pub interrupt: &'a Interrupt,
    /// Makes what is called as the work advances.
    pub progress: &'a MakeProgress<'a>,
}

impl fmt::Debug for Preparation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preparation")
            .field("interrupt", self.interrupt)
            .finish_non_exhaustive()
    }
}

/// How often the interrupt is looked at.
const PATIENCE: Duration = Duration::from_millis(50);

impl Preparation<'_> {
    /// An error once the interrupt is requested; `kept` says what is left for the next start.
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

    /// The outcome of `work`, which runs on a thread of its own and has no way to be interrupted: on an interrupt it is
    /// left behind, for the program to end with.
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
