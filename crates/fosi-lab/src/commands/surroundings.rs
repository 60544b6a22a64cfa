//! What studies need of the program around them.

use std::fmt;

use super::train::MakeWorkload;
use crate::interrupt::Interrupt;
use crate::train::Observer;

/// Makes what watches the run of this name.
pub type MakeObserver<'a> = dyn Fn(String) -> Box<dyn Observer> + 'a;

/// What a study needs of the program around it.
pub struct Surroundings<'a> {
    /// Opens a task.
    pub make_workload: &'a MakeWorkload<'a>,
    /// Watches a run.
    pub make_observer: &'a MakeObserver<'a>,
    /// Says a line.
    pub notice: &'a dyn Fn(&str),
    /// Ctrl-C.
    pub interrupt: &'a Interrupt,
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("interrupt", self.interrupt)
            .finish_non_exhaustive()
    }
}
