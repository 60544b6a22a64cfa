//! The solver's threads after a fork.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::{PyResult, pyfunction};

/// Whether this process was forked from one that had loaded this module.
static FORKED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether this thread has joined a pool of its own.
    static JOINED: Cell<bool> = const { Cell::new(false) };
}

/// Called in the child after a fork.
#[pyfunction]
pub fn after_fork() {
    FORKED.store(true, Ordering::Relaxed);
    JOINED.set(false);
}

/// Before a computation: in a forked process the threads of rayon's pool are missing, for they stay with the parent, and
/// who waits for them waits for ever. There this thread joins a new pool, once and for good.
pub fn join_pool() -> PyResult<()> {
    if !FORKED.load(Ordering::Relaxed) || JOINED.get() {
        return Ok(());
    }
    let pool = rayon::ThreadPoolBuilder::new().use_current_thread();
    match pool.build() {
        Ok(pool) => {
            std::mem::forget(pool);
            JOINED.set(true);
            Ok(())
        }
        Err(error) => {
            let message = format!("this forked process can't start threads of its own: {error}");
            Err(PyRuntimeError::new_err(message))
        }
    }
}
