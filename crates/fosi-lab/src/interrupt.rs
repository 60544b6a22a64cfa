//! Ctrl-C: the first asks the run to end, the second ends the program immediately.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status of a program ended by Ctrl-C, by the convention of shells: 128 + SIGINT.
pub const EXIT_STATUS: i32 = 130;

/// Whether the user has asked the run to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<State>);

#[derive(Debug, Default)]
struct State {
    requested: AtomicBool,
    heeded: AtomicBool,
}

impl Interrupt {
    /// Without a request; only [`request`](Self::request) can set one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens for Ctrl-C and for the system's termination request. The first signal calls `notice` and sets the flag;
    /// the second, or a first one before [`heed`](Self::heed), ends the program with [`EXIT_STATUS`].
    ///
    /// # Errors
    /// If the system refuses, or if this process already listens.
    pub fn on_ctrl_c(notice: impl Fn() + Send + 'static) -> Result<Self, ctrlc::Error> {
        let interrupt = Self::new();
        let state = Arc::clone(&interrupt.0);
        ctrlc::set_handler(move || {
            let heeded = state.heeded.load(Ordering::Relaxed);
            if state.requested.swap(true, Ordering::Relaxed) || !heeded {
                std::process::exit(EXIT_STATUS);
            }
            notice();
        })?;
        Ok(interrupt)
    }

    /// Declares that [`requested`](Self::requested) is checked from now on. Operations before this call may block for
    /// ever, such as reading settings from a pipe, and have no results to save.
    pub fn heed(&self) {
        self.0.heeded.store(true, Ordering::Relaxed);
    }

    /// Asks the run to end.
    pub fn request(&self) {
        self.0.requested.store(true, Ordering::Relaxed);
    }

    /// Whether the run should end.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.0.requested.load(Ordering::Relaxed)
    }
}
