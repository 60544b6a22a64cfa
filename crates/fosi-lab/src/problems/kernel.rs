//! Kernel ridge regression on the embedded digits.

use std::sync::Arc;

use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef, Side};

use super::{Function, Problem};
use crate::data::{DataError, Dataset, digits};

const N: usize = 500;
const RIDGE: f64 = 0.1;
/// 2σ² of the kernel. For comparison, the mean squared distance of two images, with pixels from 0 to 1, is 9.4.
const TWICE_SQUARED_WIDTH: f64 = 3.0;

/// f(α) = ½‖Kα − y‖² + ½λαᵀKα with the Gaussian kernel K of 500 images, y = 1 for odd digits and −1 for even ones, and
/// λ = 0.1.
///
/// The system is not preconditioned: its Hessian K(K + λI) squares the condition number. The start is 0; the minimum is
/// ½λyᵀ(K + λI)⁻¹y.
pub(super) fn ridge() -> Result<Problem, DataError> {
    let data = digits()?.train;
    let kernel = Arc::new(Mat::from_fn(N, N, |i, j| kernel(&data, i, j)));
    let odd = |label: &u8| if label % 2 == 1 { 1.0 } else { -1.0 };
    let targets: Arc<[f64]> = data.labels[..N].iter().map(odd).collect();
    let minima = minimum(&kernel, &targets).into_iter().collect();
    let function = move || -> Box<dyn Function> {
        Box::new(KernelRidge {
            kernel: kernel.clone(),
            targets: targets.clone(),
        })
    };
    let summary = "kernel ridge regression, Gaussian kernel of 500 of the embedded digits";
    Ok(Problem::new("kernel-ridge", summary, N, function).with_minima(minima))
}

/// exp(−‖x − x′‖²/(2σ²)).
fn kernel(data: &Dataset, i: usize, j: usize) -> f64 {
    let image = |i: usize| &data.features[i * data.dim..][..data.dim];
    let squares = image(i)
        .iter()
        .zip(image(j))
        .map(|(a, b)| f64::from(a - b).powi(2));
    (-squares.sum::<f64>() / TWICE_SQUARED_WIDTH).exp()
}

/// `None` if rounding makes K + λI indefinite, which does not happen for these data.
fn minimum(kernel: &Mat<f64>, targets: &[f64]) -> Option<f64> {
    let shifted = kernel + RIDGE * Mat::<f64>::identity(N, N);
    let targets = MatRef::from_column_major_slice(targets, N, 1);
    let solution = shifted.llt(Side::Lower).ok()?.solve(targets);
    Some(0.5 * RIDGE * (targets.transpose() * solution)[(0, 0)])
}

struct KernelRidge {
    kernel: Arc<Mat<f64>>,
    targets: Arc<[f64]>,
}

impl KernelRidge {
    fn times(&self, v: &[f64]) -> Mat<f64> {
        self.kernel.as_ref() * MatRef::from_column_major_slice(v, N, 1)
    }

    /// out ← K(u + λv).
    fn shifted(&self, u: &[f64], v: &[f64], out: &mut [f64]) {
        let sum: Vec<f64> = u.iter().zip(v).map(|(u, v)| u + RIDGE * v).collect();
        out.copy_from_slice(self.times(&sum).col_as_slice(0));
    }
}

impl Function for KernelRidge {
    fn gradient(&mut self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let fitted = self.times(x);
        let fitted = fitted.col_as_slice(0);
        let pairs = fitted.iter().zip(self.targets.iter());
        let residuals: Vec<f64> = pairs.map(|(fitted, y)| fitted - y).collect();
        self.shifted(&residuals, x, gradient);
        let squares: f64 = residuals.iter().map(|r| r * r).sum();
        let penalty: f64 = x.iter().zip(fitted).map(|(x, fitted)| x * fitted).sum();
        0.5 * squares + 0.5 * RIDGE * penalty
    }

    fn product(&mut self, _x: &[f64], v: &[f64], out: &mut [f64]) {
        self.shifted(self.times(v).col_as_slice(0), v, out);
    }
}
