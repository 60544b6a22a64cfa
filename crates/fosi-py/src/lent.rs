//! The array in which a vector is passed to a Python function.

use numpy::{PyArray1, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::arrays::Number;

/// An array that is passed to a Python function again and again, as long as the function doesn't keep it. If the function
/// keeps the array, or something that shares its memory, the next call gets a new array. So a vector is passed in one
/// copy, without an allocation, and an array that the function has kept never changes.
#[derive(Debug, Default)]
pub struct Lent {
    lent: Option<(Py<PyAny>, Count)>,
}

/// A reference count, as returned by `sys.getrefcount`.
type Count = isize;

impl Lent {
    /// An array with these entries.
    pub fn fill<'py, T: Number>(
        &mut self,
        py: Python<'py>,
        entries: &[T],
    ) -> PyResult<Bound<'py, PyArray1<T>>> {
        if let Some(array) = self.free(py, entries.len())? {
            let mut memory = array.try_readwrite()?;
            memory.as_slice_mut()?.copy_from_slice(entries);
            return Ok(array);
        }
        let array = PyArray1::from_slice(py, entries).into_any().unbind();
        // The count while this is the only reference.
        let alone = references(py, &array)?;
        let (array, _) = self.lent.insert((array, alone));
        Ok(array.bind(py).cast::<PyArray1<T>>()?.clone())
    }

    /// The array of the previous call, if nothing else refers to it and it is unchanged in type, shape and access.
    fn free<'py, T: Number>(
        &self,
        py: Python<'py>,
        len: usize,
    ) -> PyResult<Option<Bound<'py, PyArray1<T>>>> {
        let Some((array, alone)) = &self.lent else {
            return Ok(None);
        };
        // Views, and everything else that shares its memory, hold a reference to it.
        if references(py, array)? != *alone {
            return Ok(None);
        }
        // The function may have changed its type, its shape or its write permission.
        let Ok(array) = array.bind(py).cast::<PyArray1<T>>() else {
            return Ok(None);
        };
        let unchanged = array.len() == len && array.is_c_contiguous();
        let usable = unchanged && array.try_readwrite().is_ok();
        Ok(usable.then(|| array.clone()))
    }
}

fn references(py: Python<'_>, array: &Py<PyAny>) -> PyResult<Count> {
    static GETREFCOUNT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let count = GETREFCOUNT.import(py, "sys", "getrefcount")?;
    count.call1((array,))?.extract()
}
