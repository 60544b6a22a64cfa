//! Calls to Python functions from a computation that runs without the interpreter's lock.

use fosi::error::BoxError;
use pyo3::{PyErr, PyResult, Python};

/// Calls Python functions until one raises an exception.
#[derive(Debug, Default)]
pub struct Callbacks {
    exception: Option<PyErr>,
}

impl Callbacks {
    /// Takes the lock and calls Python. After the first exception (a signal such as Ctrl-C counts as one) nothing is
    /// called any more: every further call fails at once, so that the computation ends.
    ///
    /// # Errors
    /// If this or an earlier call raised an exception; [`into_exception`](Self::into_exception) returns it.
    pub fn call<R>(&mut self, call: impl FnOnce(Python<'_>) -> PyResult<R>) -> Result<R, BoxError> {
        if self.exception.is_some() {
            return Err(RAISED.into());
        }
        let result = Python::attach(|py| {
            py.check_signals()?;
            call(py)
        });
        result.map_err(|exception| {
            self.exception = Some(exception);
            RAISED.into()
        })
    }

    /// The exception that ended the computation, if one did.
    pub fn exception(&self) -> Option<&PyErr> {
        self.exception.as_ref()
    }

    /// The exception that ended the computation, if one did, by value.
    pub fn into_exception(self) -> Option<PyErr> {
        self.exception
    }
}

const RAISED: &str = "a Python function raised an exception";
