//! The inner products of a growing list of vectors.

/// G = QᵀQ for vectors Q that are nearly orthonormal, with its Cholesky factor L, G = LLᵀ.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Gram {
    rows: Vec<Vec<f64>>,
    factor: Vec<Vec<f64>>,
}

impl Gram {
    /// Number of vectors.
    pub fn size(&self) -> usize {
        self.rows.len()
    }

    /// ⟨qᵢ, qⱼ⟩.
    pub fn entry(&self, i: usize, j: usize) -> f64 {
        self.rows[i.max(j)][i.min(j)]
    }

    /// Sets row i, of i numbers ⟨qᵢ, q₁⟩ … ⟨qᵢ, qᵢ⟩, and drops all rows after it.
    pub(super) fn set_last(&mut self, row: Vec<f64>) {
        let last = row.len() - 1;
        self.rows.truncate(last);
        self.factor.truncate(last);
        let mut factor = row.clone();
        self.forward(&mut factor[..last]);
        let inside: f64 = factor[..last].iter().map(|x| x * x).sum();
        let square = row[last] - inside;
        // A zero vector is orthogonal to all others.
        factor[last] = if square > 0.0 { square.sqrt() } else { 1.0 };
        self.factor.push(factor);
        self.rows.push(row);
    }

    /// x ← L⁻¹x.
    pub(crate) fn forward(&self, x: &mut [f64]) {
        for (i, row) in self.factor.iter().enumerate().take(x.len()) {
            let known: f64 = row[..i].iter().zip(&*x).map(|(l, x)| l * x).sum();
            x[i] = (x[i] - known) / row[i];
        }
    }

    /// x ← L⁻ᵀx.
    pub(crate) fn backward(&self, x: &mut [f64]) {
        for (i, row) in self.factor.iter().enumerate().take(x.len()).rev() {
            let (left, right) = x.split_at_mut(i);
            right[0] /= row[i];
            left.iter_mut()
                .zip(row)
                .for_each(|(x, l)| *x -= l * right[0]);
        }
    }

    /// x ← G⁻¹x.
    pub(crate) fn solve(&self, x: &mut [f64]) {
        self.forward(x);
        self.backward(x);
    }
}

#[cfg(test)]
mod tests {
    use super::Gram;

    /// Rows of G for three vectors that are far from orthogonal.
    fn gram() -> Gram {
        let mut gram = Gram::default();
        // Set twice, as for a product that is measured again.
        gram.set_last(vec![7.0]);
        gram.set_last(vec![1.0]);
        gram.set_last(vec![0.5, 2.0]);
        gram.set_last(vec![-0.25, 0.125, 1.5]);
        gram
    }

    #[test]
    fn solving_undoes_the_product() {
        let gram = gram();
        let expected = [0.3, -0.7, 1.1];
        let row = |i| (0..3).map(|j| gram.entry(i, j) * expected[j]).sum::<f64>();
        let mut x: Vec<f64> = (0..3).map(row).collect();
        gram.solve(&mut x);
        for (x, expected) in x.iter().zip(expected) {
            assert!((x - expected).abs() < 1e-14, "{x} {expected}");
        }
    }

    #[test]
    fn the_factor_whitens() {
        // L⁻¹GL⁻ᵀ = I: apply L⁻¹ to the columns of G, then to the rows of the result.
        let gram = gram();
        let column = |j: usize| {
            let mut x: Vec<f64> = (0..3).map(|i| gram.entry(i, j)).collect();
            gram.forward(&mut x);
            x
        };
        let left: Vec<Vec<f64>> = (0..3).map(column).collect();
        for i in 0..3 {
            let mut row: Vec<f64> = left.iter().map(|column| column[i]).collect();
            gram.forward(&mut row);
            for (j, entry) in row.iter().enumerate() {
                let expected = f64::from(i == j);
                assert!((entry - expected).abs() < 1e-14, "{i} {j}: {entry}");
            }
        }
    }

    #[test]
    fn a_vector_of_zeros_keeps_the_rest_finite() {
        let mut gram = Gram::default();
        gram.set_last(vec![1.0]);
        gram.set_last(vec![0.0, 0.0]);
        let mut x = [2.0, 0.0];
        gram.solve(&mut x);
        assert_eq!(x, [2.0, 0.0]);
    }
}
