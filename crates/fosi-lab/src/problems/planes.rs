//! Matrices of plain or dual numbers. Values and tangents are stored separately, so that products are matrix products.

use std::hint::black_box;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::dual::{Dual, Scalar};

/// A column-major matrix with its tangent, which is empty for plain numbers.
#[derive(Debug, Default)]
pub(super) struct Planes {
    pub rows: usize,
    pub value: Vec<f64>,
    pub tangent: Vec<f64>,
}

impl Planes {
    pub fn resize<S: Scalar>(&mut self, rows: usize, columns: usize) {
        self.rows = rows;
        self.value.resize(rows * columns, 0.0);
        self.tangent
            .resize(if S::DUAL { rows * columns } else { 0 }, 0.0);
    }

    /// The entry as a dual number, with tangent 0 for plain numbers.
    pub fn dual(&self, index: usize) -> Dual {
        Dual {
            value: self.value[index],
            tangent: self.tangent.get(index).copied().unwrap_or_default(),
        }
    }

    /// Overwrites an entry; for plain numbers the tangent is dropped.
    pub fn set_dual(&mut self, index: usize, number: Dual) {
        self.value[index] = number.value;
        if let Some(tangent) = self.tangent.get_mut(index) {
            *tangent = number.tangent;
        }
    }

    /// Consecutive entries of a column.
    pub fn lane(&self, start: usize, len: usize) -> Lane<'_> {
        let all = Lane {
            value: &self.value,
            tangent: &self.tangent,
        };
        all.part(start, len)
    }

    pub fn lane_mut(&mut self, start: usize, len: usize) -> LaneMut<'_> {
        LaneMut {
            value: &mut self.value[start..start + len],
            tangent: self.tangent.get_mut(start..start + len).unwrap_or_default(),
        }
    }

    pub fn view(&self) -> View<'_> {
        View {
            value: matrix(&self.value, self.rows),
            tangent: matrix(&self.tangent, self.rows),
        }
    }
}

/// Consecutive entries; the tangents of plain numbers are empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane<'a> {
    pub value: &'a [f64],
    pub tangent: &'a [f64],
}

impl<'a> Lane<'a> {
    pub fn part(self, start: usize, len: usize) -> Self {
        Self {
            value: &self.value[start..start + len],
            tangent: self.tangent.get(start..start + len).unwrap_or_default(),
        }
    }

    #[inline]
    pub fn get<S: Scalar>(&self, index: usize) -> S {
        let tangent = if S::DUAL { self.tangent[index] } else { 0.0 };
        S::new(self.value[index], tangent)
    }
}

/// Consecutive mutable entries.
#[derive(Debug)]
pub(super) struct LaneMut<'a> {
    pub value: &'a mut [f64],
    pub tangent: &'a mut [f64],
}

impl<'a> LaneMut<'a> {
    pub fn split_at(self, at: usize) -> (Self, Self) {
        let (value, other_value) = self.value.split_at_mut(at);
        let (tangent, other_tangent) = self.tangent.split_at_mut(at.min(self.tangent.len()));
        let other = Self {
            value: other_value,
            tangent: other_tangent,
        };
        (Self { value, tangent }, other)
    }

    pub fn part(&mut self, start: usize, len: usize) -> LaneMut<'_> {
        LaneMut {
            value: &mut self.value[start..start + len],
            tangent: self.tangent.get_mut(start..start + len).unwrap_or_default(),
        }
    }

    #[inline]
    pub fn get<S: Scalar>(&self, index: usize) -> S {
        let tangent = if S::DUAL { self.tangent[index] } else { 0.0 };
        S::new(self.value[index], tangent)
    }

    #[inline]
    pub fn set<S: Scalar>(&mut self, index: usize, number: S) {
        self.value[index] = number.value();
        if S::DUAL {
            self.tangent[index] = number.tangent();
        }
    }
}

/// A matrix and its tangent, which have the same shape. The tangent of plain numbers is not read.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub value: MatRef<'a, f64>,
    pub tangent: MatRef<'a, f64>,
}

impl View<'_> {
    pub fn transpose(self) -> Self {
        Self {
            value: self.value.transpose(),
            tangent: self.tangent.transpose(),
        }
    }
}

pub(super) fn matrix(columns: &[f64], rows: usize) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(columns, rows, columns.len() / rows)
}

fn matrix_mut(columns: &mut [f64], rows: usize) -> MatMut<'_, f64> {
    let count = columns.len() / rows;
    MatMut::from_column_major_slice_mut(columns, rows, count)
}

/// out ← AB.
pub(super) fn product_value(out: &mut [f64], a: View<'_>, b: View<'_>) {
    let out = matrix_mut(out, a.value.nrows());
    matmul(out, Accum::Replace, a.value, b.value, 1.0, Par::Seq);
    clean_registers();
}

/// out ← ȦB + AḂ, the tangent of AB.
pub(super) fn product_tangent(out: &mut [f64], a: View<'_>, b: View<'_>) {
    let mut out = matrix_mut(out, a.value.nrows());
    let first = out.as_mut();
    matmul(first, Accum::Replace, a.tangent, b.value, 1.0, Par::Seq);
    matmul(out, Accum::Add, a.value, b.tangent, 1.0, Par::Seq);
    clean_registers();
}

/// faer's kernels leave the upper halves of the vector registers in use. Until these are cleared, the standard
/// library's `exp` takes 120 ns instead of 8 (AMD EPYC). A fill that is long enough to call the C library clears them.
fn clean_registers() {
    black_box(&mut [0.0; 256]).fill(0.0);
}
