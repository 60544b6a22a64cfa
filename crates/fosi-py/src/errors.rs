//! The library's errors as Python's exceptions.

use fosi::Error;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::{PyErr, create_exception};

create_exception!(
    fosi,
    LanczosError,
    PyRuntimeError,
    "The spectrum can't be estimated: a product isn't finite, or the operator isn't symmetric."
);

/// The settings whose name in Python differs from that in the library.
const OPTIONS: [(&str, &str); 7] = [
    ("gradient_norm", "gtol"),
    ("relative_gradient_norm", "gtol_rel"),
    ("value_change", "ftol"),
    ("memory", "maxcor"),
    ("largest + smallest (k + ℓ)", "k + smallest"),
    ("lanczos_steps (m)", "lanczos_steps"),
    ("lanczos_tolerance", "tolerance"),
];

/// The exception for an error: [`LanczosError`], or ValueError for wrong arguments.
pub fn exception(error: Error) -> PyErr {
    match error {
        Error::Lanczos(_) => LanczosError::new_err(error.to_string()),
        Error::InvalidSetting {
            setting,
            given,
            allowed,
        } => {
            let named = OPTIONS.iter().find(|(name, _)| *name == setting);
            let option = named.map_or(setting, |(_, option)| option);
            PyValueError::new_err(format!("{option} is {given}, but must be {allowed}"))
        }
        _ => PyValueError::new_err(error.to_string()),
    }
}
