//! Quadratic functions with given eigenvalues, in their own axes or turned.

use faer::Mat;
use fosi::operator::SymmetricOperator;
use fosi::{Host, Space};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Convention;

/// f(θ) = ½ Σ λᵢ (qᵢᵀθ)², with its start.
///
/// Without eigenvectors qᵢ is the i-th axis: enough for optimizers that see eigenvalues alone. With them, products cost
/// 2nr for r eigenvectors, so terms too small to be seen beside the largest can be left out (see
/// [`Quadratic::turned`]).
#[derive(Clone, Debug)]
pub struct Quadratic {
    eigenvalues: Vec<f64>,
    start: Vec<f64>,
    eigenvectors: Option<Mat<f64>>,
}

/// A term whose eigenvalue is below this share of the largest changes no digit of a product.
const INVISIBLE: f64 = 1e-18;

impl Quadratic {
    /// In its own axes, with the paper's start: coordinates ½, the second 1.
    pub fn new(eigenvalues: Vec<f64>) -> Self {
        let start = (0..eigenvalues.len())
            .map(|i| if i == 1 { 1.0 } else { 0.5 })
            .collect();
        Self {
            eigenvalues,
            start,
            eigenvectors: None,
        }
    }

    /// In its own axes, with a start of one's own.
    pub fn starting_at(eigenvalues: Vec<f64>, start: Vec<f64>) -> Self {
        Self {
            eigenvalues,
            start,
            eigenvectors: None,
        }
    }

    /// Turned so that its eigenvectors are a random orthonormal basis of this convention.
    ///
    /// Only those eigenvectors are made whose terms can be seen beside the largest in double precision; the start's
    /// part along the others is left out as well, since it changes neither values nor gradients.
    pub fn turned(&self, seed: u64, convention: Convention) -> Self {
        let size = self
            .eigenvalues
            .iter()
            .fold(0.0, |m: f64, l| m.max(l.abs()));
        let kept: Vec<usize> = (0..self.dim())
            .filter(|&i| self.eigenvalues[i].abs() > INVISIBLE * size)
            .collect();
        let q = random_orthonormal(self.dim(), kept.len(), seed, convention);
        self.with_eigenvectors(&kept, q)
    }

    /// Turned within the space of the axes in `block` by a random orthonormal matrix of this convention; the other axes stay
    /// eigenvectors.
    pub fn turned_within(&self, block: &[usize], seed: u64, convention: Convention) -> Self {
        let inner = random_orthonormal(block.len(), block.len(), seed, convention);
        self.turned_by(block, &inner)
    }

    /// Turned within the space of the axes in `block`: axis j of the block becomes column j of the orthonormal `inner`.
    pub fn turned_by(&self, block: &[usize], inner: &Mat<f64>) -> Self {
        let n = self.dim();
        let mut q = Mat::identity(n, n);
        for (j, &column) in block.iter().enumerate() {
            for (i, &row) in block.iter().enumerate() {
                q[(row, column)] = inner[(i, j)];
            }
        }
        self.with_eigenvectors(&(0..n).collect::<Vec<_>>(), q)
    }

    fn with_eigenvectors(&self, kept: &[usize], q: Mat<f64>) -> Self {
        let mut start = vec![0.0; self.dim()];
        for (j, &i) in kept.iter().enumerate() {
            for (x, q) in start.iter_mut().zip(column(&q, j)) {
                *x += self.start[i] * q;
            }
        }
        Self {
            eigenvalues: kept.iter().map(|&i| self.eigenvalues[i]).collect(),
            start,
            eigenvectors: Some(q),
        }
    }

    /// n.
    pub fn dim(&self) -> usize {
        self.start.len()
    }

    /// λ, in the order given.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.eigenvalues
    }

    /// The largest and the smallest eigenvalue.
    pub fn extremes(&self) -> (f64, f64) {
        let start = (f64::NEG_INFINITY, f64::INFINITY);
        let widen = |(high, low): (f64, f64), l: &f64| (high.max(*l), low.min(*l));
        self.eigenvalues.iter().fold(start, widen)
    }

    /// θ₀.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// f(θ₀).
    pub fn value_at_start(&self) -> f64 {
        self.gradient(&self.start, &mut vec![0.0; self.dim()])
    }

    /// out ← Hθ, the gradient at θ; returns f(θ).
    pub fn gradient(&self, theta: &[f64], out: &mut [f64]) -> f64 {
        let Some(q) = &self.eigenvectors else {
            let mut twice = 0.0;
            for ((out, lambda), x) in out.iter_mut().zip(&self.eigenvalues).zip(theta) {
                *out = lambda * x;
                twice += *out * x;
            }
            return 0.5 * twice;
        };
        out.fill(0.0);
        let mut twice = 0.0;
        for (j, lambda) in self.eigenvalues.iter().enumerate() {
            let q = column(q, j);
            let x = dot(q, theta);
            let weight = lambda * x;
            twice += weight * x;
            for (out, q) in out.iter_mut().zip(q) {
                *out += weight * q;
            }
        }
        0.5 * twice
    }
}

/// The Hessian.
impl SymmetricOperator<Host<f64>> for &Quadratic {
    fn apply(&mut self, v: &[f64], out: &mut [f64]) -> Result<(), fosi::error::BoxError> {
        self.gradient(v, out);
        Ok(())
    }
}

/// n×k with orthonormal columns, as the convention draws its eigenvectors.
fn random_orthonormal(n: usize, k: usize, seed: u64, convention: Convention) -> Mat<f64> {
    match convention {
        _ if n == 0 => Mat::zeros(0, 0),
        Convention::Code => uniform_orthonormal(n, k, seed),
        Convention::Text => eigenvectors_of_uniform_entries(n, k, seed),
    }
}

/// The eigenvectors of k eigenvalues of a symmetric n×n matrix with entries of U(0, 1), the largest eigenvalue first.
fn eigenvectors_of_uniform_entries(n: usize, k: usize, seed: u64) -> Mat<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut matrix = Mat::<f64>::zeros(n, n);
    for i in 0..n {
        for j in 0..=i {
            let entry: f64 = random.random();
            matrix[(i, j)] = entry;
            matrix[(j, i)] = entry;
        }
    }
    match matrix.self_adjoint_eigen(faer::Side::Lower) {
        Ok(eigen) => Mat::from_fn(n, k, |i, j| eigen.U()[(i, n - 1 - j)]),
        // It converges for finite entries.
        Err(_) => Mat::identity(n, k),
    }
}

/// n×k with orthonormal columns, uniform over all such matrices: the Q of normal entries' QR decomposition, with the
/// signs that make R's diagonal positive.
fn uniform_orthonormal(n: usize, k: usize, seed: u64) -> Mat<f64> {
    let normal = Host::<f64>::new(n * k).normal(seed);
    let qr = Mat::from_fn(n, k, |i, j| normal[j * n + i]).qr();
    let mut q = qr.compute_thin_Q();
    for j in 0..k {
        if qr.R()[(j, j)] < 0.0 {
            q.col_mut(j).iter_mut().for_each(|q| *q = -*q);
        }
    }
    q
}

fn column(q: &Mat<f64>, j: usize) -> &[f64] {
    q.col_as_slice(j)
}

/// ⟨a, b⟩ in eight running sums, which the compiler can keep in vector registers.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_blocks, b_blocks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a_blocks.remainder().iter().zip(b_blocks.remainder());
    let rest: f64 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in a_blocks.zip(b_blocks) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The turned function's Hessian, by n products.
    fn hessian(f: &Quadratic) -> Mat<f64> {
        let n = f.dim();
        let mut h = Mat::zeros(n, n);
        for j in 0..n {
            let mut axis = vec![0.0; n];
            axis[j] = 1.0;
            let mut out = vec![0.0; n];
            f.gradient(&axis, &mut out);
            (0..n).for_each(|i| h[(i, j)] = out[i]);
        }
        h
    }

    #[test]
    fn turning_keeps_eigenvalues_and_the_value_at_the_start() {
        let f = Quadratic::new(vec![9.0, 4.0, 1.0, 0.5, 0.25]);
        let both = [Convention::Code, Convention::Text];
        let turned = both.map(|c| [f.turned(3, c), f.turned_within(&[0, 1, 4], 3, c)]);
        for turned in turned.into_iter().flatten() {
            let h = hessian(&turned);
            let eigenvalues = h.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
            for (found, expected) in eigenvalues.iter().zip([0.25, 0.5, 1.0, 4.0, 9.0]) {
                assert!((found - expected).abs() < 1e-13, "{found} {expected}");
            }
            assert!((turned.value_at_start() - f.value_at_start()).abs() < 1e-13);
            assert!(h[(0, 1)].abs() > 0.1);
        }
        let block = hessian(&f.turned_within(&[0, 1, 4], 3, Convention::Code));
        assert_eq!(block[(2, 2)], 1.0);
        assert_eq!((0..5).map(|i| block[(i, 2)]).sum::<f64>(), 1.0);
    }

    #[test]
    fn invisible_terms_are_left_out() {
        let f = Quadratic::new(vec![1.0, 1e-20, 0.5, 1e-30]);
        let turned = f.turned(1, Convention::Code);
        assert_eq!(turned.eigenvalues(), [1.0, 0.5]);
        assert_eq!(turned.dim(), 4);
        assert!((turned.value_at_start() - f.value_at_start()).abs() < 1e-15);
    }
}
