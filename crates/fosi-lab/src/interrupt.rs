//! Ctrl-C: once asks the run to end, twice ends the program at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit status of a program ended by Ctrl-C, as shells have it: 128 + SIGINT.
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
    /// Nobody has asked yet, and only [`request`](Self::request) can.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens for Ctrl-C (and for the system's request to end). The first one calls `notice` and sets the flag; the
    /// second one ends the program with [`EXIT_STATUS`], and so does the first one before [`heed`](Self::heed).
    ///
    /// # Errors
    /// When the system refuses, or when something in this process listens already.
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

    /// Promises to look at [`requested`](Self::requested) from now on. What comes before may wait for ever, as for
    /// settings from a pipe, and has nothing to keep.
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
