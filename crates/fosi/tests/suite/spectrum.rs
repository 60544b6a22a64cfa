//! The estimated spectrum against a dense eigensolver.

use fosi::base::GradientDescent;
use fosi::error::LanczosError;
use fosi::operator::{
    self, Counted, DenseMatrix, DifferenceQuotient, HostGradient, Mean, SymmetricOperator,
};
use fosi::space::Scalar;
use fosi::spectrum::{Spectrum, SpectrumParams, estimate};
use fosi::{Host, Refresh, Space};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A symmetric matrix Q·diag(λ)·Qᵀ with random orthogonal Q.
pub fn with_eigenvalues(eigenvalues: &[f64], seed: u64) -> DenseMatrix {
    let n = eigenvalues.len();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let noise = faer::Mat::from_fn(n, n, |_, _| random.random_range(-1.0..1.0));
    let q = noise.qr().compute_Q();
    let scaled = faer::Mat::from_fn(n, n, |i, j| q[(i, j)] * eigenvalues[j]);
    let a = &scaled * q.transpose();
    let entries = (0..n * n)
        .map(|i| 0.5 * (a[(i / n, i % n)] + a[(i % n, i / n)]))
        .collect();
    DenseMatrix::new(n, entries).unwrap()
}

/// The matrix's eigenvalues by a dense eigensolver, ascending.
pub fn dense_eigenvalues(a: &DenseMatrix) -> Vec<f64> {
    let n = a.dim();
    let dense = faer::Mat::from_fn(n, n, |i, j| a.get(i, j));
    dense.self_adjoint_eigenvalues(faer::Side::Lower).unwrap()
}

fn size(eigenvalues: &[f64]) -> f64 {
    eigenvalues.iter().fold(0.0, |m: f64, x| m.max(x.abs()))
}

/// ‖Av̂ − λ̂v̂‖ of each pair, in f64.
fn true_residuals<T: Scalar>(a: &DenseMatrix, spectrum: &Spectrum<Host<T>>) -> Vec<f64> {
    let n = a.dim();
    let space = Host::<T>::new(n);
    let residual = |(i, lambda): (usize, &f64)| {
        let v = space.column(&spectrum.basis, i);
        let row = |r: usize| -> f64 { (0..n).map(|c| a.get(r, c) * v[c].load()).sum() };
        let square: f64 = (0..n)
            .map(|r| (row(r) - lambda * v[r].load()).powi(2))
            .sum();
        square.sqrt()
    };
    spectrum
        .eigenvalues
        .iter()
        .enumerate()
        .map(residual)
        .collect()
}

/// Asserts that every pair is an eigenpair to within its residual, residuals are true bounds, and V is orthonormal.
fn check<T: Scalar>(a: &DenseMatrix, params: &SpectrumParams) -> Spectrum<Host<T>> {
    let n = a.dim();
    let truth = dense_eigenvalues(a);
    let norm = size(&truth);
    let spectrum = estimate(&Host::<T>::new(n), &mut a.clone(), params).unwrap();
    let pairs = (params.largest + params.smallest).min(n);
    assert_eq!(spectrum.eigenvalues.len(), pairs);
    // Rounding of n products' entries and of the Ritz vectors, in the vectors' precision.
    let rounding = 1000.0 * T::EPSILON * norm;
    let residuals = true_residuals(a, &spectrum);
    for (i, (lambda, bound)) in spectrum
        .eigenvalues
        .iter()
        .zip(&spectrum.residuals)
        .enumerate()
    {
        let nearest = truth
            .iter()
            .map(|t| (t - lambda).abs())
            .fold(f64::INFINITY, f64::min);
        assert!(
            nearest <= bound + rounding,
            "λ̂_{i} = {lambda} is {nearest:e} from an eigenvalue; bound {bound:e}"
        );
        assert!(
            residuals[i] <= 10.0 * bound + rounding,
            "pair {i}: residual {:e}, bound {bound:e}",
            residuals[i]
        );
        assert!(
            bound <= &(10.0 * residuals[i] + rounding),
            "pair {i}: residual {:e}, bound {bound:e}",
            residuals[i]
        );
    }
    orthonormal(&spectrum, n);
    if params.steps(n) == n {
        let largest = truth.iter().rev().take(params.largest);
        let smallest = truth.iter().take(pairs - params.largest.min(n));
        for (lambda, expected) in spectrum.eigenvalues.iter().zip(largest.chain(smallest)) {
            assert!(
                (lambda - expected).abs() <= rounding,
                "{lambda} instead of {expected}"
            );
        }
    }
    spectrum
}

/// No eigenvalue is skipped: if the first i pairs from an end have converged to far below the gaps between the true
/// eigenvalues there, the i-th pair is the i-th eigenpair. (One start vector cannot find copies of a repeated
/// eigenvalue.)
fn check_in_order<T: Scalar>(a: &DenseMatrix, params: &SpectrumParams) {
    let (truth, spectrum) = (&dense_eigenvalues(a)[..], check::<T>(a, params));
    let rounding = 1000.0 * T::EPSILON * size(truth);
    let (largest, smallest) = spectrum.eigenvalues.split_at(spectrum.largest);
    let descending: Vec<f64> = truth.iter().rev().copied().collect();
    let residuals = spectrum.residuals.split_at(spectrum.largest);
    for (found, residuals, truth) in [
        (largest, residuals.0, &descending[..]),
        (smallest, residuals.1, truth),
    ] {
        for (i, lambda) in found.iter().enumerate() {
            let end = (i + 2).min(truth.len());
            let gaps = truth[..end]
                .windows(2)
                .map(|pair| (pair[0] - pair[1]).abs());
            let gap = gaps.fold(f64::INFINITY, f64::min);
            let worst = residuals[..=i].iter().fold(rounding, |m: f64, r| m.max(*r));
            if worst > 1e-6 * gap {
                break;
            }
            let distance = (lambda - truth[i]).abs();
            assert!(distance <= worst, "{lambda} instead of {}", truth[i]);
        }
    }
}

fn orthonormal<T: Scalar>(spectrum: &Spectrum<Host<T>>, n: usize) {
    let space = Host::<T>::new(n);
    let k = space.size(&spectrum.basis);
    let mut c = vec![0.0; k];
    for i in 0..k {
        space.project(&spectrum.basis, &space.column(&spectrum.basis, i), &mut c);
        for (j, c) in c.iter().enumerate() {
            let expected = f64::from(i == j);
            assert!(
                (c - expected).abs() < 200.0 * T::EPSILON,
                "⟨v{i},v{j}⟩ = {c}"
            );
        }
    }
}

fn params(largest: usize, smallest: usize, lanczos_steps: Option<usize>) -> SpectrumParams {
    SpectrumParams {
        largest,
        smallest,
        lanczos_steps,
        probe: false,
        seed: 7,
        ..SpectrumParams::default()
    }
}

/// A spectrum of each kind found in networks and textbooks.
fn kinds(n: usize) -> Vec<Vec<f64>> {
    let f = |i: usize| i as f64;
    vec![
        (0..n).map(|i| 1.0 + f(i)).collect(),
        (0..n).map(|i| f(i) - f(n) / 2.0).collect(),
        (0..n).map(|i| 1.5_f64.powi(2 - i as i32)).collect(),
        (0..n)
            .map(|i| if i < 4 { 10.0 - f(i) } else { 0.0 })
            .collect(),
        (0..n)
            .map(|i| if i % 3 == 0 { 5.0 } else { -2.0 + f(i % 2) })
            .collect(),
        (0..n)
            .map(|i| if i < 5 { 1.0 + 1e-4 * f(i) } else { 1e-3 })
            .collect(),
        vec![0.0; n],
        vec![2.5; n],
        (0..n).map(|i| if i == 0 { 50.0 } else { 1.0 }).collect(),
    ]
}

#[test]
fn agrees_with_the_dense_eigensolver() {
    for n in [1, 2, 3, 5, 11, 40, 100, 300] {
        for (kind, eigenvalues) in kinds(n).iter().enumerate() {
            let a = with_eigenvalues(eigenvalues, 31 * n as u64 + kind as u64);
            for (k, l) in [(1, 0), (10, 0), (0, 3), (4, 4)] {
                check_in_order::<f64>(&a, &params(k, l, None));
                check_in_order::<f32>(&a, &params(k, l, None));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]
    #[test]
    fn agrees_on_random_spectra(
        eigenvalues in prop::collection::vec(-10.0..10.0_f64, 1..120),
        k in 1..8_usize, l in 0..8_usize, extra in 0..60_usize, seed in any::<u64>(),
    ) {
        let a = with_eigenvalues(&eigenvalues, seed);
        check_in_order::<f64>(&a, &params(k, l, Some(k + l + extra)));
        check_in_order::<f32>(&a, &params(k, l, Some(k + l + extra)));
    }
}

#[test]
fn multiplicities_come_out() {
    let mut eigenvalues = vec![1.0; 200];
    eigenvalues[3] = 50.0;
    let spectrum = check::<f64>(&with_eigenvalues(&eigenvalues, 5), &params(20, 0, None));
    assert!((spectrum.eigenvalues[0] - 50.0).abs() < 1e-10);
    for lambda in &spectrum.eigenvalues[1..] {
        assert!((lambda - 1.0).abs() < 1e-10);
    }
    assert!(spectrum.info.breakdowns > 0);
}

#[test]
fn low_rank_matrices_have_no_other_eigenvalues() {
    // Without detection of the breakdown, later Ritz values would come from rounding alone.
    let mut eigenvalues = vec![0.0; 60];
    eigenvalues[..4].copy_from_slice(&[4.0, 3.0, 2.0, 1.0]);
    let spectrum = check::<f64>(&with_eigenvalues(&eigenvalues, 9), &params(10, 0, None));
    for (lambda, expected) in spectrum.eigenvalues.iter().zip([4.0, 3.0, 2.0, 1.0, 0.0]) {
        assert!((lambda - expected).abs() < 1e-12);
    }
    let rank2 = with_eigenvalues(&[7.0, 5.0, 0.0, 0.0, 0.0], 2);
    let spectrum = check::<f32>(&rank2, &params(2, 0, None));
    assert!((spectrum.eigenvalues[1] - 5.0).abs() < 1e-5);
}

#[test]
fn the_zero_operator_has_zero_eigenvalues() {
    let spectrum = check::<f64>(&with_eigenvalues(&[0.0; 30], 1), &params(3, 2, None));
    assert_eq!(spectrum.eigenvalues, [0.0; 5]);
    assert_eq!(spectrum.damped_curvature(1e-6), [0.0; 5]);
}

#[test]
fn asymmetric_operators_are_refused() {
    let mut shear = operator::from_fn::<Host<f64>, _>(|v: &[f64], out: &mut [f64]| {
        for i in 0..v.len() {
            out[i] = (i + 1) as f64 * v[i] + if i + 1 < v.len() { 3.0 * v[i + 1] } else { 0.0 };
        }
    });
    let error = estimate(&Host::new(50), &mut shear, &params(3, 0, None)).unwrap_err();
    assert!(error.to_string().contains("not symmetric"), "{error}");
}

#[test]
fn non_finite_products_name_the_step() {
    let mut calls = 0;
    let mut failing = operator::from_fn::<Host<f32>, _>(|v: &[f32], out: &mut [f32]| {
        calls += 1;
        for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
            *out = if calls == 4 && i == 2 {
                f32::NAN
            } else {
                (i + 1) as f32 * v
            };
        }
    });
    let error = estimate(&Host::new(50), &mut failing, &params(3, 0, None)).unwrap_err();
    assert!(
        error.to_string().contains("Lanczos step 4 is not finite"),
        "{error}"
    );
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let n = 100_000;
            let mut diagonal = operator::from_fn::<Host<f32>, _>(|v: &[f32], out: &mut [f32]| {
                for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
                    *out = v / (i + 1) as f32;
                }
            });
            let space = Host::<f32>::new(n);
            let spectrum = estimate(&space, &mut diagonal, &params(5, 0, None)).unwrap();
            (
                spectrum.eigenvalues.clone(),
                space.column(&spectrum.basis, 4),
            )
        })
    };
    assert_eq!(run(1), run(2));
    assert_eq!(run(1), run(5));
}

/// An operator whose first try at a product is occasionally wrong, like a difference quotient across a kink.
struct Kinked {
    exact: DenseMatrix,
    wrong_every: usize,
    applied: usize,
    repairable: bool,
}

impl SymmetricOperator<Host<f64>> for Kinked {
    fn apply(&mut self, v: &[f64], out: &mut [f64]) -> Result<(), fosi::error::BoxError> {
        self.exact.apply(v, out)?;
        self.applied += 1;
        if self.applied.is_multiple_of(self.wrong_every) {
            out[self.applied % v.len()] += 1e4;
        }
        Ok(())
    }
    fn retry(&mut self, v: &[f64], out: &mut [f64]) -> Result<bool, fosi::error::BoxError> {
        if self.repairable {
            self.exact.apply(v, out)?;
            return Ok(true);
        }
        Ok(false)
    }
}

#[test]
fn wrong_products_are_asked_for_again_or_refused() {
    let eigenvalues: Vec<f64> = (0..80).map(|i| f64::from(i).sqrt()).collect();
    let exact = with_eigenvalues(&eigenvalues, 3);
    let space = Host::<f64>::new(80);
    let truth = estimate(&space, &mut exact.clone(), &params(5, 0, None)).unwrap();
    for wrong_every in 1..12 {
        let mut kinked = Kinked {
            exact: exact.clone(),
            wrong_every,
            applied: 0,
            repairable: true,
        };
        let spectrum = estimate(&space, &mut kinked, &params(5, 0, None)).unwrap();
        for (a, b) in spectrum.eigenvalues.iter().zip(&truth.eigenvalues) {
            assert!(
                (a - b).abs() < 1e-9,
                "wrong every {wrong_every}: {a} instead of {b}"
            );
        }
        assert!(spectrum.info.retries > 0);
        kinked.repairable = false;
        assert!(estimate(&space, &mut kinked, &params(5, 0, None)).is_err());
    }
}

#[test]
fn rank_two_in_five_dimensions() {
    let rank2 = with_eigenvalues(&[7.0, 5.0, 0.0, 0.0, 0.0], 2);
    for (k, l) in [(2, 0), (2, 2), (3, 0), (5, 0), (0, 5), (4, 4)] {
        let spectrum = check::<f64>(&rank2, &params(k, l, None));
        check::<f32>(&rank2, &params(k, l, None));
        let expected = [7.0, 5.0, 0.0, 0.0, 0.0];
        for (lambda, expected) in spectrum.eigenvalues[..k].iter().zip(expected) {
            assert!((lambda - expected).abs() < 1e-13);
        }
    }
}

#[test]
fn only_vectors_that_matter_are_subtracted() {
    // Compared with m(m−1)/2 for full reorthogonalisation.
    fn share<T: Scalar>(eigenvalues: &[f64], m: usize) -> f64 {
        let mut diagonal = operator::from_fn::<Host<T>, _>(|v: &[T], out: &mut [T]| {
            for ((out, v), lambda) in out.iter_mut().zip(v).zip(eigenvalues) {
                *out = v.scale(*lambda);
            }
        });
        let space = Host::<T>::new(eigenvalues.len());
        let info = estimate(&space, &mut diagonal, &params(5, 0, Some(m)))
            .unwrap()
            .info;
        assert_eq!(info.second_passes, 0);
        info.subtracted as f64 / (m * (m - 1) / 2) as f64
    }
    let hyperbola: Vec<f64> = (1..=4000).map(|i| 1.0 / f64::from(i)).collect();
    // Nothing converges in forty steps: two vectors per step, one in the first.
    let even: Vec<f64> = (0..4000).map(f64::from).collect();
    let least = (2 * 38 + 1) as f64 / (40 * 39 / 2) as f64;
    assert_eq!(share::<f32>(&even, 40), least);
    assert_eq!(share::<f64>(&even, 40), least);
    let (single, double) = (share::<f32>(&hyperbola, 40), share::<f64>(&hyperbola, 40));
    assert!(single > least && single < 0.5, "{single}");
    assert!(double >= least && double < single, "{double}");
}

#[test]
fn a_tiny_rest_is_orthogonalised_twice() {
    let mut betas = vec![2.0; 39];
    betas[10] = 1e-4;
    let mut matrix = with_off_diagonal(&betas, 7);
    let space = Host::<f64>::new(40);
    let params = SpectrumParams {
        seed: 7,
        ..params(4, 3, Some(40))
    };
    let info = estimate(&space, &mut matrix, &params).unwrap().info;
    assert!(info.second_passes >= 1 && info.breakdowns == 0, "{info:?}");
}

#[test]
fn gaps_of_1e_12_are_no_trouble() {
    let eigenvalues: Vec<f64> = (0..60)
        .map(|i| {
            if i < 6 {
                1.0 + 1e-12 * f64::from(i)
            } else {
                0.01 * f64::from(i)
            }
        })
        .collect();
    for m in [24, 40, 60] {
        let spectrum = check::<f64>(&with_eigenvalues(&eigenvalues, 12), &params(6, 0, Some(m)));
        assert!((spectrum.eigenvalues[0] - 1.0).abs() < 1e-11);
    }
}

#[test]
fn sixteen_decades_keep_their_large_end() {
    let eigenvalues: Vec<f64> = (0..97)
        .map(|i| 10.0_f64.powf(-f64::from(i) / 6.0))
        .collect();
    let a = with_eigenvalues(&eigenvalues, 16);
    let spectrum = check::<f64>(&a, &params(10, 0, None));
    for (lambda, expected) in spectrum.eigenvalues.iter().zip(&eigenvalues) {
        assert!((lambda - expected).abs() < 1e-13, "{lambda} {expected}");
    }
    check::<f64>(&a, &params(5, 5, Some(97)));
    check::<f32>(&a, &params(10, 0, None));
}

#[test]
fn results_scale_with_the_operator() {
    for scale in [1e-30, 1e30] {
        let eigenvalues: Vec<f64> = (0..50).map(|i| scale * f64::from(i * i)).collect();
        let spectrum = check::<f32>(&with_eigenvalues(&eigenvalues, 30), &params(3, 0, Some(50)));
        assert!((spectrum.eigenvalues[0] / scale - 2401.0).abs() < 0.01);
        let u = scale / spectrum.damped_curvature(1e-6)[0];
        assert!((u * 2401.0 - 1.0).abs() < 1e-5);
    }
}

/// A matrix for which Lanczos from the given seed's start vector gives the tridiagonal matrix with these β.
fn with_off_diagonal(betas: &[f64], seed: u64) -> DenseMatrix {
    let n = betas.len() + 1;
    let start = Host::<f64>::new(n).normal(seed);
    let mut random = ChaCha8Rng::seed_from_u64(99);
    let noise = faer::Mat::from_fn(n, n, |i, j| {
        if j == 0 {
            start[i]
        } else {
            random.random_range(-1.0..1.0)
        }
    });
    let q = noise.qr().compute_Q();
    let t = faer::Mat::from_fn(n, n, |i, j| match i.abs_diff(j) {
        0 => (i % 5) as f64 - 1.0,
        1 => betas[i.min(j)],
        _ => 0.0,
    });
    let a = &q * &t * q.transpose();
    let entries = (0..n * n)
        .map(|i| 0.5 * (a[(i / n, i % n)] + a[(i % n, i / n)]))
        .collect();
    DenseMatrix::new(n, entries).unwrap()
}

#[test]
fn a_tiny_beta_that_grows_back_leaves_no_false_eigenvalue() {
    // On both sides of the breakdown threshold: just below it, the following vectors are amplified rounding.
    for tiny in [1e-7, 1e-10, 1e-12, 5e-14, 1e-14, 2e-15, 1e-16, 0.0] {
        for place in [0, 1, 3, 10] {
            let mut betas = vec![2.0; 39];
            betas[place] = tiny;
            betas[20] = 5e-14;
            let a = with_off_diagonal(&betas, 7);
            check::<f64>(&a, &params(4, 3, None));
            check::<f64>(&a, &params(4, 3, Some(40)));
            check::<f32>(&a, &params(4, 3, Some(40)));
        }
    }
}

#[test]
fn long_runs_report_simple_eigenvalues_once() {
    // A large isolated eigenvalue converges first and, without orthogonalisation, reappears as a ghost.
    fn ghosts<T: Scalar>(tolerance: f64) {
        let n = 1000;
        let eigenvalue = |i: usize| {
            if i < 10 {
                100.0 / 1.5_f64.powi(i as i32)
            } else {
                i as f64 / n as f64
            }
        };
        let mut diagonal = operator::from_fn::<Host<T>, _>(|v: &[T], out: &mut [T]| {
            for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
                *out = v.scale(eigenvalue(i));
            }
        });
        let space = Host::<T>::new(n);
        let spectrum = estimate(&space, &mut diagonal, &params(20, 0, Some(100))).unwrap();
        for i in 0..10 {
            let error = (spectrum.eigenvalues[i] - eigenvalue(i)).abs();
            assert!(error < tolerance, "λ̂_{i} = {}", spectrum.eigenvalues[i]);
        }
        assert!(spectrum.eigenvalues[10] < 1.0);
        orthonormal(&spectrum, n);
    }
    ghosts::<f64>(1e-10);
    ghosts::<f32>(1e-4);
}

#[test]
fn strongly_negative_eigenvalues() {
    let mut eigenvalues: Vec<f64> = (0..80).map(|i| 0.1 * f64::from(i)).collect();
    eigenvalues[..2].copy_from_slice(&[-1000.0, -500.0]);
    let a = with_eigenvalues(&eigenvalues, 21);
    // They are the largest by magnitude, but not algebraically.
    let spectrum = check::<f64>(&a, &params(3, 0, Some(70)));
    assert!((spectrum.eigenvalues[0] - 7.9).abs() < 1e-6, "{spectrum:?}");
    assert!((spectrum.minimum + 1000.0).abs() < 1e-6);
    assert_eq!(spectrum.extremes(None).smallest, 0.0);
    let spectrum = check::<f64>(&a, &params(3, 2, None));
    assert!((spectrum.eigenvalues[3] + 1000.0).abs() < 1e-8);
    assert!((spectrum.eigenvalues[4] + 500.0).abs() < 1e-8);
    assert!((1.0 / spectrum.damped_curvature(1e-9)[3] - 1e-3).abs() < 1e-12);
    assert_eq!(spectrum.extremes(None).smallest_left, 0.0);
    // All negative: no ratio for learning rates, and no NaN.
    let negative = with_eigenvalues(&[-4.0, -3.0, -2.0, -1.0], 3);
    let extremes = check::<f64>(&negative, &params(1, 1, None)).extremes(None);
    assert_eq!([extremes.largest, extremes.smallest], [0.0, 0.0]);
}

#[test]
fn operators_that_change_from_product_to_product_are_refused() {
    let a = with_eigenvalues(&(0..60).map(f64::from).collect::<Vec<_>>(), 8);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut dropout = operator::from_fn::<Host<f64>, _>(move |v: &[f64], out: &mut [f64]| {
        for (i, out) in out.iter_mut().enumerate() {
            let row: f64 = (0..60).map(|j| a.get(i, j) * v[j]).sum();
            *out = if random.random_range(0.0..1.0) < 0.2 {
                0.0
            } else {
                row / 0.8
            };
        }
    });
    let error = estimate(&Host::new(60), &mut dropout, &params(5, 0, None)).unwrap_err();
    assert!(error.to_string().contains("one dropout mask"), "{error}");
}

#[test]
fn the_seed_is_honoured() {
    let a = with_eigenvalues(
        &(0..100).map(|i| f64::from(i).powi(3)).collect::<Vec<_>>(),
        4,
    );
    let run = |seed| {
        let params = SpectrumParams {
            seed,
            ..params(3, 0, Some(10))
        };
        let space = Host::<f64>::new(100);
        let spectrum = estimate(&space, &mut a.clone(), &params).unwrap();
        (
            spectrum.eigenvalues.clone(),
            space.column(&spectrum.basis, 2),
        )
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn after_a_shift_all_step_sizes_are_open_again() {
    use fosi::operator::{DifferenceQuotient, HostGradient, SymmetricOperator};
    let mut at = Vec::new();
    let gradient = |x: &[f64], g: &mut [f64]| {
        at.push(x[0]);
        g.copy_from_slice(x);
        Ok(())
    };
    let mut quotient = DifferenceQuotient::new(HostGradient::<_, f64>::new(&[0.0], gradient));
    let mut out = [0.0];
    quotient.apply(&[1.0], &mut out).unwrap();
    while quotient.retry(&[1.0], &mut out).unwrap() {}
    assert!(quotient.shift().unwrap());
    quotient.apply(&[1.0], &mut out).unwrap();
    quotient.retry(&[1.0], &mut out).unwrap();
    assert!(!quotient.shift().unwrap());
    drop(quotient);
    // At θ: ±1e-9 down to ±1e-11, finally ±1e-8; at θ + ζ: the same sizes again.
    let sizes =
        |from: usize, points: &[f64]| -> Vec<f64> { points.iter().map(|x| x - at[from]).collect() };
    let (before, after) = (sizes(0, &at[1..9]), sizes(9, &at[10..]));
    assert_eq!((at[0], before.len(), after.len()), (0.0, 8, 2));
    let expected = [1e-9, -1e-9, 1e-10, -1e-10, 1e-11, -1e-11, 1e-8, -1e-8];
    let found = before
        .iter()
        .zip(expected)
        .chain(after.iter().zip(expected));
    for (found, expected) in found {
        assert!((found - expected).abs() < 1e-15, "{found:e}");
    }
}

#[test]
fn a_short_first_product_is_not_lost_in_rounding() {
    use fosi::operator::{DifferenceQuotient, HostGradient};
    // Along a random direction ‖Hv‖ is about 0.5. Gradients with errors of 3e-12 per entry, as in deep networks, make
    // two tries at 1e-9 differ by more than the allowed 5 %.
    let n = 400;
    let curvature = |i: usize| if i < 3 { 7.0 - i as f64 } else { 0.02 };
    let mut calls = 0_u64;
    let gradient = |x: &[f64], g: &mut [f64]| {
        calls += 1;
        for (i, (g, x)) in g.iter_mut().zip(x).enumerate() {
            let noise = ((i as u64 * 7919 + calls * 104_729) % 1000) as f64 / 500.0 - 1.0;
            *g = curvature(i) * x + 3e-12 * noise;
        }
        Ok(())
    };
    let mut hessian = DifferenceQuotient::new(HostGradient::new(&vec![0.1; n], gradient));
    let spectrum = estimate(&Host::<f64>::new(n), &mut hessian, &params(3, 0, None)).unwrap();
    assert!(spectrum.info.retries >= 6);
    for (i, lambda) in spectrum.eigenvalues.iter().enumerate() {
        assert!((lambda - curvature(i)).abs() < 0.05, "{lambda}");
    }
}

/// diag(1/i), which counts its products.
fn hyperbola(
    n: usize,
    products: &std::cell::Cell<usize>,
) -> impl SymmetricOperator<Host<f64>> + use<'_> {
    operator::from_fn::<Host<f64>, _>(move |v: &[f64], out: &mut [f64]| {
        assert_eq!(v.len(), n);
        products.set(products.get() + 1);
        for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
            *out = v / (i + 1) as f64;
        }
    })
}

#[test]
fn an_estimation_ends_where_its_pairs_are_known_well_enough() {
    let n = 2000;
    let space = Host::<f64>::new(n);
    let mut before = usize::MAX;
    for (tolerance, probe) in [(1e-8, false), (1e-2, false), (0.1, false), (0.1, true)] {
        let products = std::cell::Cell::new(0);
        let params = SpectrumParams {
            largest: 5,
            lanczos_steps: Some(200),
            tolerance: Some(tolerance),
            probe,
            ..SpectrumParams::default()
        };
        let spectrum = estimate(&space, &mut hyperbola(n, &products), &params).unwrap();
        for (i, value) in spectrum.eigenvalues.iter().enumerate() {
            let v = space.column(&spectrum.basis, i);
            let entries = v.iter().enumerate();
            let square: f64 = entries
                .map(|(j, v)| (v / (j + 1) as f64 - value * v).powi(2))
                .sum();
            let allowed = (tolerance * value).max(1e-10);
            assert!(
                square.sqrt() <= 1.01 * allowed,
                "{tolerance}: {value} {square:e}"
            );
            let exact = 1.0 / (i + 1) as f64;
            assert!(
                (value - exact).abs() <= allowed,
                "{tolerance}: {value} {exact}"
            );
        }
        let count = products.get();
        assert_eq!(count, spectrum.info.products);
        if probe {
            assert!(
                (before + 4..before + 40).contains(&count),
                "{count} {before}"
            );
        } else {
            assert!(count < before && count < 150, "{tolerance}: {count}");
            before = count;
        }
    }
}

#[test]
fn an_estimation_may_start_from_the_gradient() {
    let n = 300;
    let config = || fosi::FosiConfig {
        largest: 5,
        lanczos_steps: Some(60),
        ..crate::raw()
    };
    let optimizer = || fosi::Fosi::new(Host::<f64>::new(n), GradientDescent, config()).unwrap();
    let products = std::cell::Cell::new(0);
    // An eigenvector alone gives a one-dimensional Krylov space; the random part finds the others.
    for gradient in [vec![1.0; n], unit(n, 0), vec![0.0; n]] {
        let mut optimizer = optimizer();
        let refresh = optimizer
            .refresh_from(&mut hyperbola(n, &products), &gradient)
            .unwrap();
        for (i, value) in refresh.eigenvalues.iter().enumerate() {
            let exact = 1.0 / (i + 1) as f64;
            assert!((value / exact - 1.0).abs() < 1e-6, "{value} {exact}");
        }
    }
    let error = optimizer()
        .refresh_from(&mut hyperbola(n, &products), &[1.0])
        .unwrap_err();
    assert!(
        matches!(error, fosi::Error::DimensionMismatch { .. }),
        "{error}"
    );
}

/// Lanczos starts from the operator's gradient if an estimation may end early, and otherwise from a random vector.
#[test]
fn an_operator_that_has_the_gradient_gives_lanczos_its_start() {
    let n = 300;
    let gradient_at = |x: &[f64], out: &mut [f64]| {
        for (i, (out, x)) in out.iter_mut().zip(x).enumerate() {
            *out = x / (i + 1) as f64;
        }
        Ok(())
    };
    let point: Vec<f64> = (0..n).map(|i| 1.0 + (i % 7) as f64).collect();
    let mut gradient = vec![0.0; n];
    gradient_at(&point, &mut gradient).unwrap();
    let quotient = || DifferenceQuotient::new(HostGradient::new(&point, gradient_at));
    let found = |tolerance: Option<f64>, refresh: &dyn Fn(&mut Optimizer) -> Refresh| {
        let config = fosi::FosiConfig {
            largest: 5,
            lanczos_steps: Some(100),
            lanczos_tolerance: tolerance,
            ..crate::raw()
        };
        let mut optimizer = fosi::Fosi::new(Host::<f64>::new(n), GradientDescent, config).unwrap();
        refresh(&mut optimizer).eigenvalues
    };
    type Optimizer = fosi::Fosi<Host<f64>, GradientDescent>;
    for tolerance in [Some(1e-2), None] {
        let given = found(tolerance, &|optimizer| {
            optimizer.refresh_from(&mut quotient(), &gradient).unwrap()
        });
        let own = found(tolerance, &|optimizer| {
            optimizer.refresh(&mut quotient()).unwrap()
        });
        let counted = found(tolerance, &|optimizer| {
            optimizer.refresh(&mut Counted::new(quotient())).unwrap()
        });
        let mean = found(tolerance, &|optimizer| {
            let operators = vec![quotient(), quotient()];
            let mut mean = Mean::new(Host::<f64>::new(n), operators).unwrap();
            optimizer.refresh(&mut mean).unwrap()
        });
        assert_eq!(own == given, tolerance.is_some());
        assert_eq!(counted, own);
        assert_eq!(mean, own);
    }
}

#[test]
fn a_gradient_that_fails_is_a_failed_refresh() {
    let config = fosi::FosiConfig {
        largest: 1,
        lanczos_tolerance: Some(0.1),
        ..crate::raw()
    };
    let mut optimizer = fosi::Fosi::new(Host::<f64>::new(3), GradientDescent, config).unwrap();
    let fails = |_: &[f64], _: &mut [f64]| Err("no data".into());
    let mut hessian = DifferenceQuotient::new(HostGradient::new(&[1.0; 3], fails));
    let error = optimizer.refresh(&mut hessian).unwrap_err();
    let fosi::Error::Refresh { source, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        matches!(source, LanczosError::Operator { step: 0, .. }),
        "{source}"
    );
    assert!(optimizer.spectrum().is_none());
}

fn unit(n: usize, i: usize) -> Vec<f64> {
    let mut x = vec![0.0; n];
    x[i] = 1.0;
    x
}
