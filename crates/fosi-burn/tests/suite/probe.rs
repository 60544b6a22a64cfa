//! The results of a probe, against dense Hessians of a second implementation.

use crate::common::device;
use crate::common::exact::{Activation, Perceptron};
use crate::common::network::{Network, classification};
use faer::{Mat, Side};
use fosi_burn::{FlatLayout, OptimizerError, probe};

const PAIRS: usize = 10;

fn perceptron(salt: u64) -> Perceptron {
    // 43 parameters, so that 40 Lanczos steps capture nearly all of the Hessian.
    let (x, labels) = classification(24, 4, 3, salt);
    Perceptron {
        widths: vec![4, 5, 3],
        activation: Activation::Tanh,
        norm: false,
        bias: true,
        patches: 1,
        x,
        labels,
    }
}

/// The Hessian of a batch's loss, its eigenvalues in descending order and its eigenvectors in the same order.
struct Dense {
    hessian: Mat<f64>,
    eigenvalues: Vec<f64>,
    eigenvectors: Mat<f64>,
}

impl Dense {
    fn of(batch: &Perceptron, theta: &[f64]) -> Self {
        let n = theta.len();
        let mut hessian = Mat::zeros(n, n);
        for j in 0..n {
            let mut unit = vec![0.0; n];
            unit[j] = 1.0;
            for (i, value) in batch.hessian_product(theta, &unit).into_iter().enumerate() {
                hessian[(i, j)] = value;
            }
        }
        let pairs = hessian.self_adjoint_eigen(Side::Lower).unwrap();
        let values = pairs.S().column_vector();
        Self {
            eigenvalues: (0..n).rev().map(|i| values[i]).collect(),
            eigenvectors: pairs.U().reverse_cols().to_owned(),
            hessian,
        }
    }

    /// The curvature along the leading directions of another batch, divided by that along its own.
    fn captured_by(&self, other: &Self) -> f64 {
        let along = |i: usize| {
            let v = other.eigenvectors.col(i);
            v.transpose() * &self.hessian * v
        };
        (0..PAIRS).map(along).sum::<f64>() / self.eigenvalues[..PAIRS].iter().sum::<f64>()
    }
}

#[test]
fn a_probe_finds_what_dense_hessians_have() {
    let batches = [1, 2, 3].map(perceptron);
    let network = Network::new(&batches[0], 0.1, 7, &device());
    let losses: Vec<_> = batches
        .iter()
        .map(|batch| move |network: &Network| network.loss(batch))
        .collect();
    let found = probe(&network, &losses).unwrap();

    let layout = FlatLayout::of(&network).unwrap();
    let theta: Vec<f64> = layout.parameters(&network).unwrap();
    let dense = batches.each_ref().map(|batch| Dense::of(batch, &theta));
    assert_eq!((found.parameters, found.batches.len()), (theta.len(), 3));
    for (at, (found, dense)) in found.batches.iter().zip(&dense).enumerate() {
        let largest = dense.eigenvalues[0];
        assert_eq!(found.eigenvalues.len(), PAIRS);
        let pairs = found.eigenvalues.iter().zip(&found.residuals);
        for ((found, residual), exact) in pairs.zip(&dense.eigenvalues) {
            let off = (found - exact).abs();
            assert!(off < residual + 1e-4 * largest, "{found} {exact}");
        }
        let next = found.next_eigenvalue.unwrap();
        assert!(
            (next - dense.eigenvalues[PAIRS]).abs() < 1e-3 * largest,
            "{next}"
        );
        let gradient = batches[at].gradient(&theta);
        let norm: f64 = gradient.iter().map(|g| g * g).sum();
        let along = |i: usize| -> f64 {
            let v = dense.eigenvectors.col(i);
            gradient.iter().enumerate().map(|(row, g)| v[row] * g).sum()
        };
        let share = (0..PAIRS).map(|i| along(i).powi(2)).sum::<f64>() / norm;
        let found_share = found.gradient_share.unwrap();
        assert!((found_share - share).abs() < 1e-3, "{found_share} {share}");
    }
    assert_eq!(found.batches[0].captured_by_last, None);
    for at in [1, 2] {
        let exact = dense[at].captured_by(&dense[at - 1]);
        let captured = found.batches[at].captured_by_last.unwrap();
        // The Krylov space holds nearly all of the batch's curvature.
        assert!((captured - exact).abs() < 0.02, "{captured} {exact}");
        assert!(exact < 0.9, "these batches have noise: {exact}");
    }
    let mut largest = dense.each_ref().map(|dense| dense.eigenvalues[0]);
    largest.sort_by(f64::total_cmp);
    assert!((found.largest_eigenvalue().unwrap() / largest[1] - 1.0).abs() < 1e-4);
    let gap = found.gap().unwrap();
    assert!(gap > 3.0, "{gap}");
    assert!(found.product_cost() > 0.0);
}

#[test]
fn without_a_loss_or_with_one_that_is_unfit_there_is_an_error() {
    let batch = perceptron(1);
    let network = Network::new(&batch, 0.1, 7, &device());
    let none: [fn(&Network) -> burn::tensor::Tensor<1>; 0] = [];
    let error = probe(&network, &none).unwrap_err().to_string();
    assert!(error.contains("the number of losses"), "{error}");
    let detached = |_: &Network| burn::tensor::Tensor::<1>::ones([1], &device());
    let error = probe(&network, &[detached]).unwrap_err();
    assert!(matches!(error, OptimizerError::Bridge(_)), "{error}");
}
