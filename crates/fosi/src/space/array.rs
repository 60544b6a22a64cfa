//! Vectors in their stored form.

use super::kernels::{ElementType, Stored};
use crate::error::Error;

/// Vectors of equal length and element type in their stored form.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub(crate) element: ElementType,
    /// Number of vectors, and number of entries of each.
    pub(crate) shape: [usize; 2],
    /// All entries, little-endian.
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
        let row = |bytes: &[u8]| bytes.chunks_exact(size_of::<T>()).map(T::read).collect();
        Ok(self
            .bytes
            .chunks_exact(dim * size_of::<T>())
            .map(row)
            .collect())
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
