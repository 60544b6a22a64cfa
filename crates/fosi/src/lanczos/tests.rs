//! Tests of the basis that a run builds; `tests/suite/spectrum.rs` tests the eigenpairs.

use super::*;
use crate::operator::{self, DenseMatrix};
use crate::space::{Host, Scalar};

/// diag(λ).
fn diagonal<T: Scalar>(eigenvalues: &[f64]) -> impl SymmetricOperator<Host<T>> {
    operator::from_fn::<Host<T>, _>(move |v: &[T], out: &mut [T]| {
        for ((out, v), lambda) in out.iter_mut().zip(v).zip(eigenvalues) {
            *out = v.scale(*lambda);
        }
    })
}

fn params(steps: usize, seed: u64) -> LanczosParams {
    LanczosParams {
        steps,
        probe: false,
        seed,
    }
}

/// The smallest and the largest eigenvalue of QᵀQ after m steps on diag(λ).
fn conditioning<T: Scalar>(eigenvalues: &[f64], m: usize) -> (f64, f64) {
    let n = eigenvalues.len();
    let space = Host::<T>::new(n);
    let mut workspace = Workspace::new(&space, m);
    let mut operator = diagonal::<T>(eigenvalues);
    let projected = lanczos(
        &space,
        &mut operator,
        &params(m, 3),
        &Start::Random,
        &mut workspace,
        &|_| false,
    )
    .unwrap();
    let gram = faer::Mat::from_fn(m, m, |i, j| projected.gram.entry(i, j));
    // The Gram matrix of the run is that of its vectors.
    let last = m - 1;
    for i in 0..m {
        let (a, b) = (&workspace.vectors[i], &workspace.vectors[last]);
        let found = projected.gram.entry(i, last);
        assert!((space.dot(a, b) - found).abs() < 1e-6, "{i}: {found}");
    }
    let values = gram.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
    (values[0], values[last])
}

#[test]
fn vectors_stay_independent_however_long_the_run() {
    for m in [40, 200, 600] {
        let hyperbola: Vec<f64> = (1..=600).map(|i| 1.0 / f64::from(i)).collect();
        let decades: Vec<f64> = (0..600)
            .map(|i| 10_f64.powf(-f64::from(i) / 60.0))
            .collect();
        let even: Vec<f64> = (0..600).map(f64::from).collect();
        for eigenvalues in [&hyperbola, &decades, &even] {
            for (low, high) in [
                conditioning::<f32>(eigenvalues, m),
                conditioning::<f64>(eigenvalues, m),
            ] {
                assert!(low > 0.8 && high < 1.2, "m = {m}: {low} to {high}");
            }
        }
    }
}

#[test]
fn a_workspace_serves_another_dimension() {
    let mut workspace = Workspace::new(&Host::<f64>::new(10), 5);
    for n in [10, 20, 3, 20] {
        let space = Host::<f64>::new(n);
        let eigenvalues: Vec<f64> = (0..n).map(|i| i as f64).collect();
        let mut operator = diagonal::<f64>(&eigenvalues);
        let projected = lanczos(
            &space,
            &mut operator,
            &params(n, 0),
            &Start::Random,
            &mut workspace,
            &|_| false,
        )
        .unwrap();
        assert_eq!(workspace.vectors.len(), n);
        // Q is close enough to orthonormal that the traces agree to a few percent.
        let trace: f64 = (0..n).map(|i| projected.matrix[i][i]).sum();
        let expected: f64 = eigenvalues.iter().sum();
        assert!((trace / expected - 1.0).abs() < 0.05, "n = {n}: {trace}");
    }
}

#[test]
fn an_operator_of_another_dimension_is_refused_before_a_product() {
    let space = Host::<f64>::new(2);
    let mut three = DenseMatrix::new(3, vec![1.0; 9]).unwrap();
    let mut workspace = Workspace::new(&space, 2);
    let error = lanczos(
        &space,
        &mut three,
        &params(2, 0),
        &Start::Random,
        &mut workspace,
        &|_| false,
    )
    .unwrap_err();
    assert!(
        matches!(error, LanczosError::Operator { step: 1, .. }),
        "{error}"
    );
}
