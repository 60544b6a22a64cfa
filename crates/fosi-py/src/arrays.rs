//! Conversion of numbers and vectors from and to Python.

use numpy::{
    Element, PyArray1, PyArray2, PyArrayDescrMethods, PyArrayMethods, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyFloat;

/// The entries of vectors: f32 or f64.
pub trait Number: fosi::space::Scalar + Element {}

impl Number for f32 {}
impl Number for f64 {}

/// Converts what a function returned to a number: anything with one entry.
///
/// # Errors
/// TypeError for anything else.
pub fn number(given: &Bound<'_, PyAny>, what: &str) -> PyResult<f64> {
    if given.is_instance_of::<PyFloat>() {
        return given.extract();
    }
    // Arrays of numpy and JAX, and numpy's other scalars.
    let item = given.call_method0(intern!(given.py(), "item"));
    let number = item.as_ref().unwrap_or(given).extract::<f64>();
    number.map_err(|_| {
        let message = format!(
            "{what} must return a real number, but returned {}",
            text(given)
        );
        PyTypeError::new_err(message)
    })
}

/// Copies a vector that a function returned to `out`: in one pass if it is an array of the same type, otherwise through
/// numpy's conversion.
///
/// # Errors
/// TypeError for anything but an array of real numbers, ValueError for a shape other than that of the variables.
pub fn copy_vector<T: Number>(given: &Bound<'_, PyAny>, what: &str, out: &mut [T]) -> PyResult<()> {
    if let Ok(array) = given.cast::<PyArray1<T>>()
        && array.len() == out.len()
    {
        return copy_entries(array, out);
    }
    let array = real_array(given, what)?;
    let (n, shape) = (out.len(), array.shape());
    // As in scipy, a single number is accepted for one variable.
    if shape != [n] && !(n == 1 && array.len() == 1) {
        let message = format!(
            "{what} must be an array of {n} numbers in one dimension, but has the shape {shape:?}"
        );
        return Err(PyValueError::new_err(message));
    }
    let py = given.py();
    let flat = array.call_method1(intern!(py, "reshape"), (n,))?;
    if let Ok(flat) = flat.cast::<PyArray1<T>>() {
        return copy_entries(flat, out);
    }
    let converted = flat.call_method1(intern!(py, "astype"), (numpy::dtype::<T>(py),))?;
    copy_entries(converted.cast::<PyArray1<T>>()?, out)
}

fn copy_entries<T: Number>(array: &Bound<'_, PyArray1<T>>, out: &mut [T]) -> PyResult<()> {
    let array = array.try_readonly()?;
    match array.as_slice() {
        Ok(entries) => out.copy_from_slice(entries),
        Err(_) => {
            let entries = array.as_array();
            out.iter_mut().zip(entries).for_each(|(out, x)| *out = *x);
        }
    }
    Ok(())
}

/// Converts to an array with numpy; an error if its entries are not real numbers.
fn real_array<'py>(given: &Bound<'py, PyAny>, what: &str) -> PyResult<Bound<'py, PyUntypedArray>> {
    let numpy = given.py().import(intern!(given.py(), "numpy"))?;
    let array = numpy.call_method1(intern!(given.py(), "asarray"), (given,))?;
    let array = array.cast_into::<PyUntypedArray>()?;
    let kind = array.dtype().kind();
    if !b"fiub".contains(&kind) {
        let message = format!(
            "{what} must be an array of real numbers, but is {}",
            text(given)
        );
        return Err(PyTypeError::new_err(message));
    }
    Ok(array)
}

/// The object's `repr`, shortened.
fn text(object: &Bound<'_, PyAny>) -> String {
    const LONGEST: usize = 60;
    let text = object
        .repr()
        .map_or_else(|_| "an object".to_owned(), |text| text.to_string());
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Vectors as the rows of an array. They are freed one by one, so that memory holds them little more than once.
pub fn rows<T: Number>(py: Python<'_>, vectors: Vec<Vec<T>>, dim: usize) -> PyResult<Py<PyAny>> {
    let array = PyArray2::<T>::zeros(py, [vectors.len(), dim], false);
    let mut memory = array.try_readwrite()?;
    // A chunk can't have length 0.
    let rows = memory.as_slice_mut()?.chunks_exact_mut(dim.max(1));
    rows.zip(vectors)
        .for_each(|(row, vector)| row.copy_from_slice(&vector));
    drop(memory);
    Ok(array.into_any().unbind())
}

/// Turns a vector into an array without copying it.
pub fn array<T: Number>(py: Python<'_>, vector: Vec<T>) -> Py<PyAny> {
    PyArray1::from_vec(py, vector).into_any().unbind()
}

/// Refuses a computation whose vectors don't fit in memory; without this check the process would be aborted.
///
/// # Errors
/// MemoryError.
pub fn check_memory<T: Number>(vectors: usize, dim: usize) -> PyResult<()> {
    let numbers = vectors.checked_mul(dim);
    let reserved = numbers.map(|numbers| Vec::<T>::new().try_reserve_exact(numbers));
    if let Some(Ok(())) = reserved {
        return Ok(());
    }
    let message = format!(
        "there is no memory for {vectors} vectors of {dim} numbers, one per Lanczos step: use fewer Lanczos steps"
    );
    Err(PyMemoryError::new_err(message))
}
