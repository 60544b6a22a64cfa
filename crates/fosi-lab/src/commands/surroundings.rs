//! The callbacks and handles that a study needs from the program.

use std::fmt;

use super::train::MakeWorkload;
use crate::interrupt::Interrupt;
use crate::train::Observer;

/// Creates the observer of the run of this name.
pub type MakeObserver<'a> = dyn Fn(String) -> Box<dyn Observer> + 'a;

/// The callbacks and handles that a study needs from the program.
pub struct Surroundings<'a> {
    /// Opens a task.
    pub make_workload: &'a MakeWorkload<'a>,
    /// Creates a run's observer.
    pub make_observer: &'a MakeObserver<'a>,
    /// Prints a line.
    pub notice: &'a dyn Fn(&str),
    /// The interrupt by Ctrl-C.
    pub interrupt: &'a Interrupt,
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("interrupt", self.interrupt)
            .finish_non_exhaustive()
    }
}
