//! The estimated trace and Frobenius norm against those of a dense matrix.

use fosi::error::{BoxError, LanczosError};
use fosi::operator::{self, DenseMatrix, SymmetricOperator};
use fosi::space::Scalar;
use fosi::trace::{TraceEstimate, TraceParams, estimate};
use fosi::{Error, Host, SampleMean, Space};

use crate::spectrum::with_eigenvalues;

fn params(probes: usize, seed: u64) -> TraceParams {
    TraceParams {
        probes,
        seed,
        ..TraceParams::default()
    }
}

/// An indefinite matrix whose off-diagonal entries are as large as the diagonal ones.
fn matrix(n: usize) -> DenseMatrix {
    let eigenvalues: Vec<f64> = (0..n).map(|i| (i as f64 - n as f64 / 3.0) / 10.0).collect();
    with_eigenvalues(&eigenvalues, 5)
}

/// Σ over all entries.
fn sum(a: &DenseMatrix, term: impl Fn(usize, usize, f64) -> f64) -> f64 {
    let n = a.dim();
    (0..n * n)
        .map(|at| (at / n, at % n))
        .map(|(i, j)| term(i, j, a.get(i, j)))
        .sum()
}

fn trace(a: &DenseMatrix) -> f64 {
    sum(a, |i, j, entry| if i == j { entry } else { 0.0 })
}

fn frobenius_square(a: &DenseMatrix) -> f64 {
    sum(a, |_, _, entry| entry * entry)
}

/// A².
fn square(a: &DenseMatrix) -> DenseMatrix {
    let n = a.dim();
    let entry = |at: usize| (0..n).map(|l| a.get(at / n, l) * a.get(l, at % n)).sum();
    DenseMatrix::new(n, (0..n * n).map(entry).collect()).unwrap()
}

fn within(found: SampleMean, truth: f64, errors: f64) {
    let error = found.standard_error.unwrap();
    let off = (found.mean - truth).abs();
    assert!(off <= errors * error, "{found:?} instead of {truth}");
}

#[test]
fn the_means_are_right_within_their_standard_errors_and_these_are_the_theorys() {
    let a = matrix(60);
    // The variance of zᵀAz is 2·Σ aᵢⱼ² over i ≠ j.
    let off = |a: &DenseMatrix| sum(a, |i, j, entry| if i == j { 0.0 } else { entry * entry });
    let probes = 400;
    for seed in 0..4 {
        let found = estimate(&Host::<f64>::new(60), &mut a.clone(), &params(probes, seed)).unwrap();
        within(found.trace, trace(&a), 3.0);
        within(found.frobenius_square, frobenius_square(&a), 3.0);
        for (found, variance) in [
            (found.trace, 2.0 * off(&a)),
            (found.frobenius_square, 2.0 * off(&square(&a))),
        ] {
            let expected = (variance / probes as f64).sqrt();
            let ratio = found.standard_error.unwrap() / expected;
            // The standard deviation of 400 samples is known to 1/√800 = 3.5 %.
            assert!((0.85..1.15).contains(&ratio), "{ratio}");
        }
        assert_eq!(found.products, probes);
    }
}

/// zᵀAz and ‖Az‖² for the signs of the vector that the space draws from the seed.
fn first_probe<T: Scalar>(a: &DenseMatrix, seed: u64) -> (f64, f64) {
    let n = a.dim();
    let normal = Host::<T>::new(n).normal(seed);
    let z: Vec<f64> = normal.iter().map(|x| x.load().signum()).collect();
    let product = |i: usize| (0..n).map(|j| a.get(i, j) * z[j]).sum::<f64>();
    let az: Vec<f64> = (0..n).map(product).collect();
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum();
    (dot(&z, &az), dot(&az, &az))
}

#[test]
fn a_probe_is_a_vector_of_signs() {
    fn check<T: Scalar>(tolerance: f64) {
        let a = matrix(50);
        for seed in 0..5 {
            let (form, square) = first_probe::<T>(&a, seed);
            let found = estimate(&Host::<T>::new(50), &mut a.clone(), &params(1, seed)).unwrap();
            let size = frobenius_square(&a);
            assert!((found.quadratic_forms[0] - form).abs() < tolerance * size.sqrt());
            assert!((found.squares[0] - square).abs() < tolerance * size);
            assert_eq!(found.trace.standard_error, None);
        }
    }
    check::<f64>(1e-13);
    check::<f32>(1e-5);
}

#[test]
fn the_trace_of_a_diagonal_matrix_is_exact() {
    let eigenvalues: Vec<f64> = (0..40).map(|i| f64::from(i) - 15.0).collect();
    let (sum, squares) = eigenvalues
        .iter()
        .fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    let mut diagonal = operator::from_fn::<Host<f64>, _>(move |v: &[f64], out: &mut [f64]| {
        for ((out, v), x) in out.iter_mut().zip(v).zip(&eigenvalues) {
            *out = x * v;
        }
    });
    let found = estimate(&Host::new(40), &mut diagonal, &params(3, 9)).unwrap();
    for (form, square) in found.quadratic_forms.iter().zip(&found.squares) {
        assert!((form - sum).abs() < 1e-12 * squares.sqrt(), "{form}");
        assert!((square - squares).abs() < 1e-12 * squares, "{square}");
    }
    assert!(found.trace.standard_error.unwrap() < 1e-10);
}

#[test]
fn huge_and_tiny_operators_are_scaled() {
    let a = matrix(20);
    let scaled = |factor: f64| {
        let n = a.dim();
        let entries = (0..n * n)
            .map(|at| factor * a.get(at / n, at % n))
            .collect();
        let mut scaled = DenseMatrix::new(n, entries).unwrap();
        estimate(&Host::<f64>::new(n), &mut scaled, &params(5, 1)).unwrap()
    };
    let found = scaled(1.0);
    for exponent in [-400.0, 300.0, 700.0_f64] {
        let other = scaled(exponent.exp2());
        let expected = found.trace.mean * exponent.exp2();
        assert!((other.trace.mean / expected - 1.0).abs() < 1e-12);
    }
    assert_eq!(
        scaled(700.0_f64.exp2()).frobenius_square.mean,
        f64::INFINITY
    );
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| -> TraceEstimate {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let mut reversal = operator::from_fn::<Host<f32>, _>(|v: &[f32], out: &mut [f32]| {
                for (i, (out, reversed)) in out.iter_mut().zip(v.iter().rev()).enumerate() {
                    *out = reversed + v[i] / (i + 1) as f32;
                }
            });
            estimate(&Host::new(100_000), &mut reversal, &params(3, 2)).unwrap()
        })
    };
    assert_eq!(run(1), run(4));
}

/// Every third first try is wrong, like a difference quotient across a kink; retries are right.
struct Kinked {
    exact: DenseMatrix,
    products: usize,
}

impl SymmetricOperator<Host<f64>> for Kinked {
    fn apply(&mut self, v: &[f64], out: &mut [f64]) -> Result<(), BoxError> {
        self.exact.apply(v, out)?;
        if self.products.is_multiple_of(3) {
            out[0] += 1e3;
        }
        self.products += 1;
        Ok(())
    }
    fn retry(&mut self, v: &[f64], out: &mut [f64]) -> Result<bool, BoxError> {
        self.exact.apply(v, out)?;
        Ok(true)
    }
}

#[test]
fn a_product_across_a_kink_is_repeated() {
    let mut exact = matrix(30);
    let space = Host::<f64>::new(30);
    let expected = estimate(&space, &mut exact, &params(6, 0)).unwrap();
    let mut kinked = Kinked { exact, products: 0 };
    let found = estimate(&space, &mut kinked, &params(6, 0)).unwrap();
    assert_eq!(found.quadratic_forms, expected.quadratic_forms);
    assert_eq!(found.squares, expected.squares);
    // Each probe takes two products that agree, and one more if the first is wrong.
    assert_eq!(found.products, 2 * 6 + 2);
}

#[test]
fn impossible_settings_are_refused() {
    let found = |n: usize, probes: usize, a: &DenseMatrix| {
        estimate(&Host::<f64>::new(n), &mut a.clone(), &params(probes, 0)).unwrap_err()
    };
    let a = matrix(4);
    for probes in [0, 1_000_001] {
        let error = found(4, probes, &a);
        assert!(
            matches!(
                &error,
                Error::InvalidSetting {
                    setting: "probes",
                    ..
                }
            ),
            "{error}"
        );
    }
    let error = found(5, 1, &a);
    assert!(
        matches!(
            error,
            Error::DimensionMismatch {
                expected: 5,
                found: 4,
                ..
            }
        ),
        "{error}"
    );
    let error = found(0, 1, &DenseMatrix::new(0, vec![]).unwrap());
    assert!(
        error.to_string().contains("dimension of the space is 0"),
        "{error}"
    );
}

#[test]
fn a_product_that_is_not_finite_is_a_typed_error() {
    let mut calls = 0;
    let mut bad = operator::from_fn::<Host<f64>, _>(move |v: &[f64], out: &mut [f64]| {
        out.copy_from_slice(v);
        calls += 1;
        if calls == 3 {
            out[1] = f64::NAN;
        }
    });
    let error = estimate(&Host::new(10), &mut bad, &params(5, 0)).unwrap_err();
    assert!(
        matches!(error, Error::Lanczos(LanczosError::NonFinite { step: 1 })),
        "{error}"
    );
}
