//! Vectors in their stored form.

use std::ops::Range;

use super::kernels::{ElementType, Stored};
use crate::error::Error;

/// Vectors of equal length and element type in their stored form.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub(crate) element: ElementType,
    /// Number of vectors, and number of entries of each.
    pub(crate) shape: [usize; 2],
    /// The entries of each vector that are here: all of them, except when a rank reads its shard of a file.
    pub(crate) part: Range<usize>,
    /// These entries, little-endian.
    pub(crate) bytes: Vec<u8>,
}

impl Array {
    /// Stores the vectors without conversion.
    pub fn from_rows<T: Stored>(rows: &[impl AsRef<[T]>]) -> Self {
        let dim = rows.first().map_or(0, |row| row.as_ref().len());
        let mut bytes = Vec::with_capacity(rows.len() * dim * size_of::<T>());
        for row in rows {
            row.as_ref()
                .iter()
                .for_each(|entry| entry.write(&mut bytes));
        }
        Self {
            element: T::TYPE,
            shape: [rows.len(), dim],
            part: 0..dim,
            bytes,
        }
    }

    /// The number of vectors.
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// Whether there is no vector.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of the vectors, with its type.
    pub(crate) fn row(&self, index: usize) -> Self {
        let size = self.bytes.len() / self.shape[0].max(1);
        Self {
            element: self.element,
            shape: [1, self.shape[1]],
            part: self.part.clone(),
            bytes: self.bytes[index * size..(index + 1) * size].to_vec(),
        }
    }

    /// The vectors, of any length.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where the type differs.
    pub fn into_rows<T: Stored>(self) -> Result<Vec<Vec<T>>, Error> {
        self.to_rows(self.shape[1])
    }

    /// The vectors, each of `dim` entries of type `T`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where the type or the length differs.
    pub fn to_rows<T: Stored>(&self, dim: usize) -> Result<Vec<Vec<T>>, Error> {
        self.to_parts(dim, 0..dim)
    }

    /// The entries within `part` of the vectors, each of `dim` entries of type `T`. They must be among those that are
    /// here.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where the type or the length differs.
    pub(crate) fn to_parts<T: Stored>(
        &self,
        dim: usize,
        part: Range<usize>,
    ) -> Result<Vec<Vec<T>>, Error> {
        let [rows, found] = self.shape;
        if rows > 0 && found != dim {
            let message = format!("its vectors have {found} entries, the optimizer's {dim}");
            return Err(Error::Checkpoint(message));
        }
        if self.element != T::TYPE {
            let message = format!(
                "its vectors are {:?}, the optimizer's {:?}",
                self.element,
                T::TYPE
            );
            return Err(Error::Checkpoint(message));
        }
        if rows == 0 {
            return Ok(Vec::new());
        }
        if dim == 0 {
            // Empty vectors take no bytes, so a large number of them must not allocate memory.
            let many = || Error::Checkpoint(format!("it claims {rows} empty vectors"));
            return (rows == 1).then(|| vec![Vec::new()]).ok_or_else(many);
        }
        if part.is_empty() {
            return Ok(vec![Vec::new(); rows]);
        }
        let size = size_of::<T>();
        let first = part.start - self.part.start;
        let part = first * size..(first + part.len()) * size;
        let row = |bytes: &[u8]| {
            bytes[part.clone()]
                .chunks_exact(size)
                .map(T::read)
                .collect()
        };
        let held = self.part.len() * size;
        Ok(self.bytes.chunks_exact(held).map(row).collect())
    }

    /// The only vector, of `dim` finite numbers.
    pub(crate) fn to_finite_row(&self, name: &str, dim: usize) -> Result<Vec<f64>, Error> {
        match self.to_rows::<f64>(dim)?.as_slice() {
            [row] if row.iter().all(|x| x.is_finite()) => Ok(row.clone()),
            _ => {
                let message = format!("array {name:?} is not one vector of finite numbers");
                Err(Error::Checkpoint(message))
            }
        }
    }
}
