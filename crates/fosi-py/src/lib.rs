//! The native part of the Python package `fosi`. It runs the algorithms of the crate `fosi` without the interpreter's lock
//! and calls Python functions from them.
//!
//! | task | file |
//! |---|---|
//! | calls to Python functions from a computation | `callbacks.rs` |
//! | conversion of numbers and vectors | `arrays.rs`, `lent.rs` |
//! | errors as exceptions | `errors.rs` |
//! | threads of a forked process | `threads.rs` |
//! | the functions that Python calls | `minimize.rs`, `spectrum.rs`, `density.rs` |
//!
//! The Python part (`python/fosi`) follows the conventions of scipy and JAX, and checks the arguments. Only it is meant to
//! call the functions here.

mod arrays;
mod callbacks;
mod density;
mod errors;
mod lent;
mod minimize;
mod spectrum;
mod threads;

/// The module `fosi._fosi`.
#[pyo3::pymodule]
mod _fosi {
    #[pymodule_export]
    use crate::density::density;
    #[pymodule_export]
    use crate::errors::LanczosError;
    #[pymodule_export]
    use crate::minimize::minimize;
    #[pymodule_export]
    use crate::spectrum::spectrum;
    #[pymodule_export]
    use crate::threads::after_fork;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
