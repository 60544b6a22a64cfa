//! A dense symmetric matrix as an operator.

use super::symmetric::SymmetricOperator;
use crate::error::{BoxError, Error, require_len};
use crate::space::{Host, Scalar, Space};

/// A dense n×n matrix, stored row by row in `f64`; products are computed in `f64`.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseMatrix {
    dim: usize,
    entries: Vec<f64>,
}

impl DenseMatrix {
    /// The matrix with the given n² entries, row by row.
    ///
    /// # Errors
    /// [`Error::DimensionMismatch`] unless there are n² entries.
    pub fn new(dim: usize, entries: Vec<f64>) -> Result<Self, Error> {
        let expected = dim.saturating_mul(dim);
        require_len("the dense matrix", expected, entries.len())?;
        Ok(Self { dim, entries })
    }

    /// The number n of rows.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The entry in row i and column j.
    pub fn get(&self, i: usize, j: usize) -> f64 {
        self.entries[i * self.dim + j]
    }
}

impl<T: Scalar> SymmetricOperator<Host<T>> for DenseMatrix {
    fn dim(&self) -> Option<usize> {
        Some(self.dim)
    }
    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<(), BoxError> {
        let space = Host::<T>::new(self.dim);
        space.check("the vector that the matrix is applied to", v)?;
        space.check("the product's memory", out)?;
        // An empty matrix has no rows, and `chunks` refuses a size of 0.
        for (out, row) in out.iter_mut().zip(self.entries.chunks(self.dim.max(1))) {
            let sum: f64 = row.iter().zip(v).map(|(a, v)| a * v.load()).sum();
            *out = T::store(sum);
        }
        Ok(())
    }
}
