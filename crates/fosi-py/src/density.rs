//! `fosi._fosi.density`.

use fosi::Host;
use fosi::density::{DensityParams, estimate};
use pyo3::prelude::*;

use crate::arrays::{Number, array, check_memory};
use crate::errors::exception;
use crate::spectrum::estimated;

/// The settings of an estimation; Python passes all of them.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub struct Settings {
    probes: usize,
    lanczos_steps: usize,
    seed: u64,
}

/// The result, a dictionary in Python.
#[derive(Debug, IntoPyObject)]
pub struct Found {
    /// One array for each probe.
    nodes: Vec<Py<PyAny>>,
    weights: Vec<Py<PyAny>>,
    products: usize,
}

/// The nodes and weights of the spectral density of the symmetric operator v ↦ product(v) in `dim` dimensions, in f32
/// if `single`, otherwise in f64.
#[pyfunction]
pub fn density(
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
    let space = Host::<T>::new(dim);
    let params = DensityParams {
        probes: settings.probes,
        lanczos_steps: settings.lanczos_steps,
        seed: settings.seed,
        ..DensityParams::default()
    };
    params.validate().map_err(exception)?;
    check_memory::<T>(params.lanczos_steps.min(dim), dim)?;
    let density = estimated(py, product, |operator| estimate(&space, operator, &params))?;
    let products = density.products();
    let quadratures = density.quadratures.into_iter();
    let (nodes, weights) = quadratures
        .map(|q| (array(py, q.nodes), array(py, q.weights)))
        .unzip();
    Ok(Found {
        nodes,
        weights,
        products,
    })
}
