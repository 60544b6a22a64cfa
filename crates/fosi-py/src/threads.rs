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

/// Called before a computation. A forked process lacks the threads of rayon's pool, which stay with the parent; waiting for
/// them would never end. In a forked process this thread therefore joins a new pool, once and for good.
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
