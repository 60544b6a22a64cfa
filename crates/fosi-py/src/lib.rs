//! The native part of the Python package `fosi`: it calls Python functions from the algorithms of the crate `fosi`,
//! which run without the interpreter's lock.
//!
//! | what | where |
//! |---|---|
//! | Python functions, called from a computation | `callbacks.rs` |
//! | numbers and vectors, from Python and to it | `arrays.rs`; `lent.rs` |
//! | errors as exceptions | `errors.rs` |
//! | threads of a forked process | `threads.rs` |
//! | what Python calls | `minimize.rs`, `spectrum.rs`, `density.rs` |
//!
//! The Python part (`python/fosi`) has the conventions of scipy and JAX, and checks what it is given. Nothing here is
//! meant to be called by anything else.

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
