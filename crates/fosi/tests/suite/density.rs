//! The estimated spectral density against a dense eigensolver.

use std::f64::consts::TAU;

use fosi::density::{DensityParams, SpectralDensity, estimate};
use fosi::error::LanczosError;
use fosi::operator::{self, DenseMatrix};
use fosi::space::Scalar;
use fosi::{Error, Host, SampleMean, Space};

use crate::spectrum::{dense_eigenvalues, with_eigenvalues};

fn params(probes: usize, lanczos_steps: usize, seed: u64) -> DensityParams {
    DensityParams {
        probes,
        lanczos_steps,
        seed,
        ..DensityParams::default()
    }
}

fn density<T: Scalar>(a: &DenseMatrix, params: &DensityParams) -> SpectralDensity {
    estimate(&Host::<T>::new(a.dim()), &mut a.clone(), params).unwrap()
}

/// A bulk around zero and a few outliers, as in networks.
fn bulk_and_outliers(n: usize) -> DenseMatrix {
    let bulk = |i: usize| ((i as f64 + 0.5) / n as f64 * 2.0 - 1.0).powi(3);
    let eigenvalues: Vec<f64> = (0..n)
        .map(|i| if i < 5 { 3.0 + i as f64 } else { bulk(i) })
        .collect();
    with_eigenvalues(&eigenvalues, 17)
}

/// (1/n)·Σ λᵖ.
fn exact_moment(eigenvalues: &[f64], power: i32) -> f64 {
    let sum: f64 = eigenvalues.iter().map(|x| x.powi(power)).sum();
    sum / eigenvalues.len() as f64
}

fn within(found: SampleMean, truth: f64, errors: f64) {
    let error = found.standard_error.unwrap();
    let off = (found.mean - truth).abs();
    assert!(off <= errors * error, "{found:?} instead of {truth}");
}

#[test]
fn weights_sum_to_one_however_far_from_orthonormal_the_vectors_are() {
    fn check<T: Scalar>(a: &DenseMatrix, steps: usize) {
        let density = density::<T>(a, &params(3, steps, 1));
        for quadrature in &density.quadratures {
            let sum: f64 = quadrature.weights.iter().sum();
            assert!((sum - 1.0).abs() < 1e-12, "{steps} steps: {sum}");
            assert_eq!(quadrature.nodes.len(), steps.min(a.dim()));
            assert!(quadrature.nodes.is_sorted());
        }
    }
    // On such a spectrum, the vectors of Q of long runs are far from orthogonal.
    let hyperbola: Vec<f64> = (1..=300).map(|i| 1.0 / f64::from(i)).collect();
    for a in [bulk_and_outliers(100), with_eigenvalues(&hyperbola, 3)] {
        for steps in [1, 2, 10, 70, 150] {
            check::<f64>(&a, steps);
            check::<f32>(&a, steps);
        }
    }
}

/// uᵀAᵖu/uᵀu for the vector u that the space draws from the seed.
fn first_probe<T: Scalar>(a: &DenseMatrix, seed: u64, power: usize) -> f64 {
    let n = a.dim();
    let u: Vec<f64> = Host::<T>::new(n)
        .normal(seed)
        .iter()
        .map(|x| x.load())
        .collect();
    let mut v = u.clone();
    for _ in 0..power {
        v = (0..n)
            .map(|i| (0..n).map(|j| a.get(i, j) * v[j]).sum())
            .collect();
    }
    let dot = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };
    dot(&u, &v) / dot(&u, &u)
}

/// A Gauss quadrature with m nodes is exact up to degree 2m − 1, and not beyond.
#[test]
fn a_probes_moments_are_those_of_its_vector() {
    fn check<T: Scalar>(tolerance: f64) {
        let a = bulk_and_outliers(80);
        for (steps, seed) in [(1, 0), (2, 1), (3, 2), (6, 3)] {
            let density = density::<T>(&a, &params(1, steps, seed));
            let size = |power: usize| 7.0_f64.powi(power as i32);
            for power in 0..2 * steps {
                let found = density.moment(power as u32).mean;
                let expected = first_probe::<T>(&a, seed, power);
                let off = (found - expected).abs() / size(power);
                assert!(
                    off < tolerance,
                    "m = {steps}, p = {power}: {found} {expected}"
                );
            }
            // The next degree is not exact, as far as the type's precision shows.
            if tolerance > 1e-9 {
                continue;
            }
            let power = 2 * steps;
            let found = density.moment(power as u32).mean;
            let off = (found - first_probe::<T>(&a, seed, power)).abs() / size(power);
            assert!(off > 10.0 * tolerance, "m = {steps}: {off:e}");
        }
    }
    check::<f64>(1e-12);
    check::<f32>(1e-6);
}

#[test]
fn moments_are_right_within_their_standard_errors_and_these_are_the_theorys() {
    let a = bulk_and_outliers(60);
    let truth = dense_eigenvalues(&a);
    let (n, probes) = (60.0, 400);
    for seed in 0..4 {
        let density = density::<f64>(&a, &params(probes, 8, seed));
        for power in 1..=4 {
            within(
                density.moment(power),
                exact_moment(&truth, power as i32),
                3.0,
            );
        }
        // The variance of a quadratic form on the sphere: 2(tr B² − (tr B)²/n)/(n(n + 2)).
        for power in [1, 2] {
            let square = exact_moment(&truth, 2 * power) - exact_moment(&truth, power).powi(2);
            let variance = 2.0 * square / (n + 2.0);
            let found = density.moment(power as u32).standard_error.unwrap();
            let ratio = found / (variance / probes as f64).sqrt();
            assert!((0.85..1.15).contains(&ratio), "{ratio}");
        }
        assert_eq!(density.products(), probes * 8);
        assert_eq!(density.dim, 60);
    }
}

#[test]
fn in_f32_the_density_is_that_in_f64() {
    let a = bulk_and_outliers(100);
    let (single, double) = (
        density::<f32>(&a, &params(5, 30, 4)),
        density::<f64>(&a, &params(5, 30, 4)),
    );
    let grid = [-0.5, 0.0, 0.5, 3.0, 7.0];
    let (single, double) = (
        single.smoothed(&grid, 0.2).unwrap(),
        double.smoothed(&grid, 0.2).unwrap(),
    );
    for (single, double) in single.iter().zip(&double) {
        let off = (single.density.mean - double.density.mean).abs();
        assert!(
            off < 1e-3 * (1.0 + double.density.mean),
            "{single:?} {double:?}"
        );
    }
}

/// (1/n)·Σ g_σ(t − λ)ᵖ.
fn smoothed_power(eigenvalues: &[f64], t: f64, width: f64, power: i32) -> f64 {
    let gaussian = |x: &f64| (-0.5 * ((t - x) / width).powi(2)).exp() / (width * TAU.sqrt());
    let powers = eigenvalues.iter().map(|x| gaussian(x).powi(power));
    powers.sum::<f64>() / eigenvalues.len() as f64
}

#[test]
fn the_smoothed_density_is_that_of_the_eigenvalues() {
    let a = bulk_and_outliers(300);
    let truth = dense_eigenvalues(&a);
    let (width, step) = (0.2, 0.05);
    let grid: Vec<f64> = (-40..=160).map(|i| f64::from(i) * step).collect();
    let density = density::<f64>(&a, &params(30, 60, 8));
    let points = density.smoothed(&grid, width).unwrap();
    let (mut area, mut distance) = (0.0, 0.0);
    for point in &points {
        let exact = smoothed_power(&truth, point.point, width, 1);
        // The variance of a quadratic form on the sphere, over thirty probes. The probes' own estimate is too small if
        // they happen to have small components along an eigenvector.
        let square = smoothed_power(&truth, point.point, width, 2);
        let error = (2.0 * (square - exact * exact) / 302.0 / 30.0).sqrt();
        let off = (point.density.mean - exact).abs();
        assert!(off <= 4.0 * error + 1e-6, "{point:?} instead of {exact}");
        assert!(point.least <= point.density.mean && point.density.mean <= point.greatest);
        area += step * point.density.mean;
        distance += step * off;
    }
    assert!((area - 1.0).abs() < 1e-9, "{area}");
    // Thirty probes of 300 entries each.
    assert!(distance < 0.02, "{distance}");
    let (smallest, largest) = density.extent();
    assert!((smallest - truth[0]).abs() < 1e-3 && (largest - truth[299]).abs() < 1e-9);
}

#[test]
fn functions_of_the_eigenvalues_have_their_mean() {
    let eigenvalues: Vec<f64> = (1..=50).map(|i| 1.0 + f64::from(i) / 10.0).collect();
    let density = density::<f64>(&with_eigenvalues(&eigenvalues, 6), &params(50, 20, 3));
    let exact = eigenvalues.iter().map(|x| x.ln()).sum::<f64>() / 50.0;
    let found = density.mean_of(f64::ln);
    within(found, exact, 3.0);
    assert!(found.standard_error.unwrap() < 0.02);
}

#[test]
fn a_multiple_of_the_identity_is_known_exactly() {
    fn check<T: Scalar>(tolerance: f64) {
        let a = with_eigenvalues(&[2.5; 30], 1);
        let density = density::<T>(&a, &params(4, 5, 0));
        for (power, exact) in [(1, 2.5), (2, 6.25), (3, 15.625)] {
            let moment = density.moment(power);
            assert!((moment.mean - exact).abs() < tolerance, "{moment:?}");
            assert!(moment.standard_error.unwrap() < tolerance);
        }
        let (smallest, largest) = density.extent();
        assert!((smallest - 2.5).abs() < tolerance && (largest - 2.5).abs() < tolerance);
    }
    check::<f64>(1e-12);
    check::<f32>(1e-4);
}

/// After an invariant subspace a run continues elsewhere, where all weights are zero.
#[test]
fn a_low_rank_matrix_has_the_weight_of_its_kernel() {
    let mut eigenvalues = vec![0.0; 60];
    eigenvalues[..2].copy_from_slice(&[3.0, 1.0]);
    let density = density::<f64>(&with_eigenvalues(&eigenvalues, 2), &params(200, 10, 5));
    let share =
        |low: f64, high: f64| density.mean_of(|x| f64::from(u8::from((low..high).contains(&x))));
    within(share(-0.5, 0.5), 58.0 / 60.0, 3.0);
    within(share(0.5, 1.5), 1.0 / 60.0, 3.0);
    within(share(2.5, 3.5), 1.0 / 60.0, 3.0);
    assert!(density.quadratures[0].info.breakdowns > 0);
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let mut diagonal = operator::from_fn::<Host<f32>, _>(|v: &[f32], out: &mut [f32]| {
                for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
                    *out = v / (i + 1) as f32;
                }
            });
            estimate(&Host::new(100_000), &mut diagonal, &params(2, 8, 2)).unwrap()
        })
    };
    assert_eq!(run(1), run(4));
}

#[test]
fn different_probes_and_seeds_see_different_vectors() {
    let a = bulk_and_outliers(40);
    let (first, second) = (
        density::<f64>(&a, &params(3, 4, 0)),
        density::<f64>(&a, &params(3, 4, 1)),
    );
    let all: Vec<&Vec<f64>> = [&first, &second]
        .into_iter()
        .flat_map(|density| density.quadratures.iter().map(|q| &q.weights))
        .collect();
    for (i, a) in all.iter().enumerate() {
        assert!(all[..i].iter().all(|b| a != b), "probe {i}");
    }
}

#[test]
fn impossible_settings_are_refused() {
    let a = bulk_and_outliers(20);
    let refused = |params: &DensityParams| {
        estimate(&Host::<f64>::new(20), &mut a.clone(), params).unwrap_err()
    };
    for (probes, steps, name) in [
        (0, 5, "probes"),
        (10_001, 5, "probes"),
        (5, 0, "lanczos_steps (m)"),
        (5, 10_001, "lanczos_steps (m)"),
    ] {
        let error = refused(&params(probes, steps, 0));
        assert!(
            matches!(&error, Error::InvalidSetting { setting, .. } if *setting == name),
            "{error}"
        );
    }
    let error = estimate(&Host::<f64>::new(7), &mut a.clone(), &params(1, 1, 0)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::DimensionMismatch {
                expected: 7,
                found: 20,
                ..
            }
        ),
        "{error}"
    );
    let mut empty = DenseMatrix::new(0, vec![]).unwrap();
    let error = estimate(&Host::<f64>::new(0), &mut empty, &params(1, 1, 0)).unwrap_err();
    assert!(matches!(error, Error::InvalidSetting { .. }), "{error}");
    let density = density::<f64>(&a, &params(1, 5, 0));
    for width in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(density.smoothed(&[0.0], width).is_err(), "{width}");
    }
    let error = density.smoothed(&[0.0, f64::NAN], 0.1).unwrap_err();
    assert!(
        error.to_string().contains("a point of the grid is NaN"),
        "{error}"
    );
    assert_eq!(density.moment(1).standard_error, None);
}

#[test]
fn a_product_that_is_not_finite_is_a_typed_error() {
    let mut calls = 0;
    let mut bad = operator::from_fn::<Host<f64>, _>(move |v: &[f64], out: &mut [f64]| {
        for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
            *out = i as f64 * v;
        }
        calls += 1;
        // The third product of the second run of four.
        if calls == 7 {
            out[0] = f64::INFINITY;
        }
    });
    let error = estimate(&Host::new(10), &mut bad, &params(5, 4, 0)).unwrap_err();
    assert!(
        matches!(error, Error::Lanczos(LanczosError::NonFinite { step: 3 })),
        "{error}"
    );
}
