//! `fosi._fosi.spectrum`.

use fosi::error::BoxError;
use fosi::operator::SymmetricOperator;
use fosi::spectrum::{Spectrum, SpectrumParams, estimate};
use fosi::{Error, Host, Space};
use pyo3::prelude::*;

use crate::arrays::{Number, array, check_memory, copy_vector, rows};
use crate::callbacks::Callbacks;
use crate::errors::exception;
use crate::lent::Lent;
use crate::threads::join_pool;

/// The settings of an estimation; Python passes all of them.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub struct Settings {
    k: usize,
    smallest: usize,
    lanczos_steps: Option<usize>,
    tolerance: Option<f64>,
    probe: bool,
    seed: u64,
    return_eigenvectors: bool,
}

impl Settings {
    fn params(&self) -> SpectrumParams {
        SpectrumParams {
            largest: self.k,
            smallest: self.smallest,
            lanczos_steps: self.lanczos_steps,
            tolerance: self.tolerance,
            probe: self.probe,
            seed: self.seed,
            ..SpectrumParams::default()
        }
    }
}

/// The result, a dictionary in Python.
#[derive(Debug, IntoPyObject)]
pub struct Found {
    eigenvalues: Py<PyAny>,
    residuals: Py<PyAny>,
    /// One per row.
    eigenvectors: Option<Py<PyAny>>,
    minimum: f64,
    maximum: f64,
    missed: Option<f64>,
    noise: f64,
    products: usize,
}

/// The extreme eigenpairs of the symmetric operator v ↦ product(v) in `dim` dimensions, in f32 if `single`, otherwise in
/// f64.
#[pyfunction]
pub fn spectrum(
    py: Python<'_>,
    product: Py<PyAny>,
    dim: usize,
    single: bool,
    settings: Settings,
) -> PyResult<Found> {
    match single {
        true => of::<f32>(py, product, dim, &settings),
        false => of::<f64>(py, product, dim, &settings),
    }
}

fn of<T: Number>(
    py: Python<'_>,
    product: Py<PyAny>,
    dim: usize,
    settings: &Settings,
) -> PyResult<Found> {
    let (space, params) = (Host::<T>::new(dim), settings.params());
    params.validate().map_err(exception)?;
    check_memory::<T>(params.steps(dim), dim)?;
    let estimated = estimated(py, product, |operator| estimate(&space, operator, &params))?;
    let Spectrum {
        eigenvalues,
        residuals,
        basis,
        maximum,
        minimum,
        missed,
        noise,
        info,
        ..
    } = estimated;
    let eigenvectors = match settings.return_eigenvectors {
        true => Some(rows(py, space.take_vectors(basis), dim)?),
        false => None,
    };
    Ok(Found {
        eigenvalues: array(py, eigenvalues),
        residuals: array(py, residuals),
        eigenvectors,
        minimum,
        maximum,
        missed,
        noise,
        products: info.products,
    })
}

/// The result of a computation with the operator v ↦ product(v), which runs without the interpreter's lock.
///
/// # Errors
/// The exception that the product raised, otherwise the computation's own error.
pub fn estimated<R: Send>(
    py: Python<'_>,
    product: Py<PyAny>,
    compute: impl FnOnce(&mut Product) -> Result<R, Error> + Send,
) -> PyResult<R> {
    let mut operator = Product {
        product,
        lent: Lent::default(),
        callbacks: Callbacks::default(),
    };
    join_pool()?;
    let result = py.detach(|| compute(&mut operator));
    match operator.callbacks.into_exception() {
        Some(raised) => Err(raised),
        None => result.map_err(exception),
    }
}

/// A Python function v ↦ Av.
#[derive(Debug)]
pub struct Product {
    product: Py<PyAny>,
    lent: Lent,
    callbacks: Callbacks,
}

impl<T: Number> SymmetricOperator<Host<T>> for Product {
    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<(), BoxError> {
        let (product, lent) = (&self.product, &mut self.lent);
        self.callbacks.call(|py| {
            let found = product.bind(py).call1((lent.fill(py, v)?,))?;
            copy_vector(&found, "the product", out)
        })
    }
}
