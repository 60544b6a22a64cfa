//! Calls of Python functions from a computation that runs without the interpreter's lock.

use fosi::error::BoxError;
use pyo3::{PyErr, PyResult, Python};

/// The way to Python, until a function there raises an exception.
#[derive(Debug, Default)]
pub struct Callbacks {
    exception: Option<PyErr>,
}

impl Callbacks {
    /// Takes the lock and calls Python. After the first exception, of which a signal such as Ctrl-C is one, nothing is
    /// called any more: every call fails at once, so that the computation ends.
    ///
    /// # Errors
    /// After an exception; the exception itself is [kept](Self::into_exception).
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

    /// The same.
    pub fn into_exception(self) -> Option<PyErr> {
        self.exception
    }
}

const RAISED: &str = "a Python function raised an exception";
