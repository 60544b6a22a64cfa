//! ℝⁿ in slices of `f32` or `f64` on the CPU.
//!
//! Every operation processes blocks that stay in cache. rayon splits them between threads at boundaries that depend
//! only on n, and partial sums are added pairwise in that fixed order: the result does not depend on the number of
//! threads, bit for bit.

mod basis;
mod on_ranks;
mod step;
mod walk;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::array::Array;
use super::distributed::Distributed;
use super::kernels::{ElementType, Scalar, Stored, non_finite};
use super::vectors::Space;
use crate::elementwise::{Elementwise, MAX_STATE};
use crate::error::{Error, require_len};
use crate::ranks::Ranks;
use crate::split::{Moved, Split};

use basis::{
    Rows, cross_rows, dot_slices, load_row, project_rows, rotate_in_place, rotate_rows,
    subtract_rows, symmetric, with_rows,
};
use step::{StepBlock, step_rows};
use walk::{BLOCK, Order, SERIAL, update};

pub use basis::{HostBasis, Storage};

/// ℝⁿ on the CPU, with vectors `[T]`.
///
/// ```
/// use fosi::{Host, Space};
///
/// let space = Host::<f32>::new(3);
/// assert_eq!(space.dot(&[1.0, 2.0, 3.0], &[1.0, 1.0, 1.0]), 6.0);
/// ```
#[derive(Debug, Clone)]
pub struct Host<T> {
    dim: usize,
    ranks: Ranks,
    storage: Storage,
    scalar: std::marker::PhantomData<T>,
}

impl<T: Scalar> Host<T> {
    /// The space of vectors with `dim` entries.
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            ranks: Ranks::ALONE,
            storage: Storage::Full,
            scalar: std::marker::PhantomData,
        }
    }

    /// Stores kept bases in another precision; the vectors of a Lanczos run stay in full precision. A basis from a
    /// checkpoint keeps its saved precision until the next refresh.
    pub fn with_storage(mut self, storage: Storage) -> Self {
        self.storage = storage;
        self
    }

    /// The storage precision of new bases.
    pub fn storage(&self) -> Storage {
        self.storage
    }
}

impl<T: Scalar> Space for Host<T> {
    type Vector = [T];
    type Owned = Vec<T>;
    type Basis = HostBasis<T>;

    fn dim(&self) -> usize {
        self.dim
    }
    fn ranks(&self) -> &Ranks {
        &self.ranks
    }
    fn epsilon(&self) -> f64 {
        T::EPSILON
    }
    fn max_value(&self) -> f64 {
        T::MAX
    }
    fn min_positive(&self) -> f64 {
        T::MIN_POSITIVE
    }
    fn check(&self, what: &'static str, x: &[T]) -> Result<(), Error> {
        require_len(what, self.range().len(), x.len())
    }
    fn zeros(&self) -> Vec<T> {
        vec![T::ZERO; self.range().len()]
    }
    fn normal(&self, seed: u64) -> Vec<T> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let own = self.range();
        // Earlier shards' entries are drawn and dropped, since the number of random words per entry varies.
        for _ in 0..own.start {
            let _: f64 = StandardNormal.sample(&mut random);
        }
        let entry = |_| T::store(StandardNormal.sample(&mut random));
        own.map(entry).collect()
    }
    fn dot(&self, x: &[T], y: &[T]) -> f64 {
        self.ranks.sum_with(&mut [], &mut [], dot_slices(x, y))
    }
    fn max_abs(&self, x: &[T]) -> f64 {
        let part = |x: &[T]| match non_finite(x) == 0.0 {
            true => x.iter().fold(0.0, |m: f64, x| m.max(x.load().abs())),
            false => f64::INFINITY,
        };
        let largest = if x.len() > SERIAL {
            x.par_chunks(BLOCK).map(part).reduce(|| 0.0, f64::max)
        } else {
            part(x)
        };
        self.ranks.max(largest)
    }
    fn axpby(&self, a: f64, x: &[T], b: f64, y: &mut [T]) {
        update(y, 2, Order::Forward, &|start, y| {
            let x = &x[start..start + y.len()];
            if b == 0.0 {
                // y may hold anything, even NaN.
                y.iter_mut().zip(x).for_each(|(y, x)| *y = x.scale(a));
            } else {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = y.scale(b) + x.scale(a);
                }
            }
            0.0
        });
    }
    fn clamp(&self, limit: f64, x: &[T], y: &mut [T]) {
        update(y, 2, Order::Forward, &|start, y| {
            for (y, x) in y.iter_mut().zip(&x[start..]) {
                *y = T::store(x.load().clamp(-limit, limit));
            }
            0.0
        });
    }

    fn size(&self, basis: &HostBasis<T>) -> usize {
        with_rows!(basis, rows => rows.len())
    }
    fn copy_column(&self, basis: &HostBasis<T>, index: usize, x: &mut [T]) {
        with_rows!(basis, rows => for (x, entry) in x.iter_mut().zip(&rows[index]) {
            *x = T::store(entry.load());
        })
    }
    fn project(&self, basis: &HostBasis<T>, x: &[T], c: &mut [f64]) -> f64 {
        let square = with_rows!(basis, rows => project_rows(rows, x, &[], c, &mut []));
        self.ranks.sum_with(c, &mut [], square)
    }
    fn subtract(&self, basis: &HostBasis<T>, c: &[f64], x: &mut [T]) -> f64 {
        let square = with_rows!(basis, rows => subtract_rows(rows, c, 1.0, x));
        self.ranks.sum_with(&mut [], &mut [], square)
    }

    fn project_pair(
        &self,
        vectors: &[Vec<T>],
        x: &[T],
        y: &[T],
        c: &mut [f64],
        d: &mut [f64],
    ) -> f64 {
        let square = project_rows(vectors, x, y, c, d);
        self.ranks.sum_with(c, d, square)
    }
    fn subtract_scaled(&self, vectors: &[&[T]], c: &[f64], a: f64, x: &mut [T]) -> f64 {
        let square = subtract_rows(vectors, c, a, x);
        self.ranks.sum_with(&mut [], &mut [], square)
    }
    fn rotate(&self, vectors: &mut Vec<Vec<T>>, columns: &[Vec<f64>]) -> (HostBasis<T>, Vec<f64>) {
        let k = columns.len();
        let (rows, mut lower) = match self.storage {
            Storage::Full => {
                let gram = rotate_in_place(vectors, columns);
                (Rows::Full(vectors.drain(..k).collect()), gram)
            }
            Storage::Single => {
                let (rows, gram) = rotate_rows(vectors, columns);
                (Rows::Single(rows), gram)
            }
            Storage::Bf16 => {
                let (rows, gram) = rotate_rows(vectors, columns);
                (Rows::Bf16(rows), gram)
            }
        };
        self.ranks.sum(&mut lower);
        (HostBasis(rows), symmetric(lower, k))
    }
    fn release(&self, basis: HostBasis<T>) -> Vec<Vec<T>> {
        match basis.0 {
            Rows::Full(rows) => rows,
            Rows::Single(_) | Rows::Bf16(_) => Vec::new(),
        }
    }
    fn split_off(&self, basis: &mut HostBasis<T>, at: usize) -> HostBasis<T> {
        HostBasis(match &mut basis.0 {
            Rows::Full(rows) => Rows::Full(rows.split_off(at)),
            Rows::Single(rows) => Rows::Single(rows.split_off(at)),
            Rows::Bf16(rows) => Rows::Bf16(rows.split_off(at)),
        })
    }
    fn take_vectors(&self, basis: HostBasis<T>) -> Vec<Vec<T>> {
        match basis.0 {
            Rows::Full(rows) => rows,
            Rows::Single(rows) => rows.iter().map(|row| load_row(row)).collect(),
            Rows::Bf16(rows) => rows.iter().map(|row| load_row(row)).collect(),
        }
    }
    fn cross(&self, vectors: &[Vec<T>], basis: &HostBasis<T>) -> Vec<f64> {
        let mut products = with_rows!(basis, rows => cross_rows(vectors, rows));
        self.ranks.sum(&mut products);
        products
    }

    fn elementwise_step<E: Elementwise>(
        &self,
        coefficients: &E::Coefficients,
        state: &mut [Vec<T>],
        gradient: &[T],
        split: &Split<'_, HostBasis<T>>,
        parameters: &mut [T],
        direction: &mut Vec<T>,
    ) -> Moved {
        let mut slots: [&mut [T]; MAX_STATE] = Default::default();
        for (slot, vector) in slots.iter_mut().zip(state) {
            *slot = vector;
        }
        let block = StepBlock {
            start: 0,
            gradient,
            parameters,
            direction,
            state: slots,
        };
        if E::WITHOUT_BASIS {
            debug_assert!(split.basis.is_none());
            return step_rows::<E, T, T>(&[], coefficients, split, &self.ranks, block);
        }
        match split.basis {
            Some(basis) => with_rows!(basis, rows => {
                step_rows::<E, T, _>(rows, coefficients, split, &self.ranks, block)
            }),
            None => step_rows::<E, T, T>(&[], coefficients, split, &self.ranks, block),
        }
    }

    fn export(&self, x: &[T]) -> Array {
        match self.ranks.is_sharded() {
            true => Array::from_rows(&[self.whole(x)]),
            false => Array::from_rows(&[x]),
        }
    }
    fn import(&self, array: &Array) -> Result<Vec<T>, Error> {
        let mut rows = array.to_parts(self.dim, self.range())?;
        match (rows.len(), rows.pop()) {
            (1, Some(row)) => Ok(row),
            (found, _) => Err(Error::Checkpoint(format!("{found} vectors instead of one"))),
        }
    }
    fn export_basis(&self, basis: &HostBasis<T>) -> Array {
        with_rows!(basis, rows => self.export_rows(rows))
    }
    fn export_column(&self, basis: &HostBasis<T>, index: usize) -> Array {
        with_rows!(basis, rows => self.export_rows(&rows[index..=index]))
    }
    fn import_basis(&self, array: &Array) -> Result<HostBasis<T>, Error> {
        // Keeps the saved precision; the next refresh creates a basis in the space's precision.
        let own = self.range();
        Ok(HostBasis(match array.element {
            ElementType::BF16 => Rows::Bf16(array.to_parts(self.dim, own)?),
            ElementType::F32 if T::TYPE == ElementType::F64 => {
                Rows::Single(array.to_parts(self.dim, own)?)
            }
            _ => Rows::Full(array.to_parts(self.dim, own)?),
        }))
    }
}
