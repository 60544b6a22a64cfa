//! The eigenpairs of the mean, as numbers.

/// The pairs of H̄, leading ones first, and the last refresh's own leading pairs.
#[derive(Debug)]
pub(crate) struct Pairs {
    /// The diagonal of M.
    pub(crate) eigenvalues: Vec<f64>,
    /// The single estimates' bounds on their residual norms, averaged with the same weights as the pairs.
    pub(crate) residuals: Vec<f64>,
    /// The last refresh's eigenvalues.
    pub(crate) last_eigenvalues: Vec<f64>,
    /// The inner products of the columns of [W V_last], row by row.
    pub(crate) gram: Vec<f64>,
}

impl Pairs {
    /// The number of columns of [W V_last].
    pub(super) fn size(&self) -> usize {
        self.eigenvalues.len() + self.last_eigenvalues.len()
    }

    /// Whether the Gram matrix can be that of unit vectors, each rounded to any precision of storage.
    pub(crate) fn are_of_unit_vectors(&self) -> bool {
        let size = self.size();
        let entry = |(at, value): (usize, &f64)| match at / size == at % size {
            true => (value - 1.0).abs() < 0.1,
            false => value.abs() < 1.1,
        };
        self.gram.iter().enumerate().all(entry)
    }

    /// Row i of the Gram matrix.
    pub(super) fn gram_row(&self, i: usize) -> &[f64] {
        &self.gram[i * self.size()..][..self.size()]
    }
}

/// Which of the ascending eigenvalues are kept, and in what order.
pub(super) struct Order {
    /// The k largest in descending order, the ℓ smallest in ascending order, then the next k largest and the next ℓ
    /// smallest.
    pub(super) indices: Vec<usize>,
    pub(super) leading: usize,
    /// How many of the leading ones belong to the k largest.
    pub(super) largest: usize,
}

pub(super) fn leading_first(count: usize, k: usize, l: usize) -> Order {
    let largest = k.min(count);
    let smallest = l.min(count - largest);
    let further_largest = k.min(count - largest - smallest);
    let further_smallest = l.min(count - largest - smallest - further_largest);
    let top = |from: usize, to: usize| (from..to).map(move |i| count - 1 - i);
    let indices = top(0, largest)
        .chain(0..smallest)
        .chain(top(largest, largest + further_largest))
        .chain(smallest..smallest + further_smallest);
    Order {
        indices: indices.collect(),
        leading: largest + smallest,
        largest,
    }
}
