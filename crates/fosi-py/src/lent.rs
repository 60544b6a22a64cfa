//! The array in which a Python function gets a vector.

use numpy::{PyArray1, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::arrays::Number;

/// An array that is lent to a Python function call after call, as long as the function doesn't keep it. What it keeps,
/// or shares the memory of, is its own from then on, and the next call gets another array: so a vector crosses in one
/// pass, without an allocation, and no array changes under its owner's hands.
#[derive(Debug, Default)]
pub struct Lent {
    lent: Option<(Py<PyAny>, Count)>,
}

/// A count of references, as `sys.getrefcount` gives it.
type Count = isize;

impl Lent {
    /// An array of these entries.
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
        // What is counted while there is no other reference than this one.
        let alone = references(py, &array)?;
        let (array, _) = self.lent.insert((array, alone));
        Ok(array.bind(py).cast::<PyArray1<T>>()?.clone())
    }

    /// The array of the call before, if nobody else refers to it and it is what it was.
    fn free<'py, T: Number>(
        &self,
        py: Python<'py>,
        len: usize,
    ) -> PyResult<Option<Bound<'py, PyArray1<T>>>> {
        let Some((array, alone)) = &self.lent else {
            return Ok(None);
        };
        // Views of it, and whatever else shares its memory, refer to it.
        if references(py, array)? != *alone {
            return Ok(None);
        }
        // The function may have changed its type, its shape or whether it may be written.
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
