//! The mean over refreshes, against means of dense matrices.

use faer::{Mat, Side};
use fosi::base::{GradientDescent, HeavyBall};
use fosi::operator::DenseMatrix;
use fosi::space::Scalar;
use fosi::{Averaging, Error, Fosi, FosiConfig, Host, NewtonRate, Schedule, Storage};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const N: usize = 30;

fn normal(seed: u64) -> Mat<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    Mat::from_fn(N, N, |_, _| StandardNormal.sample(&mut random))
}

/// A symmetric matrix with the eigenvalues 20, 17, 14, 11, −9, −6, and a bulk from −1 to 1.
fn loss() -> Mat<f64> {
    let outliers = [20.0, 17.0, 14.0, 11.0, -9.0, -6.0];
    let bulk = (0..N - outliers.len()).map(|i| (i as f64 * 0.7).sin());
    let values: Vec<f64> = outliers.into_iter().chain(bulk).collect();
    let q = normal(1).qr().compute_thin_Q();
    &q * Mat::from_fn(N, N, |i, j| if i == j { values[i] } else { 0.0 }) * q.transpose()
}

/// The loss's Hessian plus the noise of batch t.
fn batch(t: u64, noise: f64) -> Mat<f64> {
    let x = normal(100 + t);
    let scale = noise / (2.0 * N as f64).sqrt();
    let symmetric = &x + x.transpose();
    loss() + Mat::from_fn(N, N, |i, j| scale * symmetric[(i, j)])
}

fn operator(matrix: &Mat<f64>) -> DenseMatrix {
    let symmetric = |i: usize, j: usize| 0.5 * (matrix[(i, j)] + matrix[(j, i)]);
    let entries = (0..N * N).map(|at| symmetric(at / N, at % N));
    DenseMatrix::new(N, entries.collect()).unwrap()
}

/// Eigenpairs in ascending order.
fn eigen(matrix: &Mat<f64>) -> (Vec<f64>, Mat<f64>) {
    let pairs = matrix.self_adjoint_eigen(Side::Lower).unwrap();
    let values = pairs.S().column_vector();
    ((0..N).map(|i| values[i]).collect(), pairs.U().to_owned())
}

/// The part of a matrix in the eigenpairs with the given indices.
fn part(matrix: &Mat<f64>, indices: &[usize]) -> Mat<f64> {
    let (values, vectors) = eigen(matrix);
    let mut out = Mat::zeros(N, N);
    for &i in indices {
        let v = vectors.col(i);
        out += Mat::from_fn(N, N, |a, b| values[i] * v[a] * v[b]);
    }
    out
}

fn config(averaging: Averaging, smallest: usize) -> FosiConfig {
    FosiConfig {
        largest: 4 - smallest,
        smallest,
        lanczos_steps: Some(N),
        averaging,
        newton_rate: NewtonRate::Constant(0.1),
        schedule: Schedule::Every {
            warmup: 0,
            interval: 1,
        },
        ..crate::raw()
    }
}

fn optimizer<T: Scalar>(config: FosiConfig, storage: Storage) -> Fosi<Host<T>, GradientDescent> {
    let space = Host::new(N).with_storage(storage);
    Fosi::new(space, GradientDescent, config).unwrap()
}

/// VΛVᵀ of the spectrum in use.
fn in_use(optimizer: &Fosi<Host<f64>, GradientDescent>) -> Mat<f64> {
    let spectrum = optimizer.spectrum().unwrap();
    let space = optimizer.space();
    let mut out = Mat::zeros(N, N);
    for (i, value) in spectrum.eigenvalues.iter().enumerate() {
        let v = fosi::Space::column(space, &spectrum.basis, i);
        out += Mat::from_fn(N, N, |a, b| value * v[a] * v[b]);
    }
    out
}

fn norm(matrix: &Mat<f64>) -> f64 {
    matrix.norm_l2()
}

/// The indices of 2k largest and 2ℓ smallest of N.
fn extreme(k: usize, l: usize) -> Vec<usize> {
    (N - k..N).chain(0..l).collect()
}

#[test]
fn the_mean_is_that_of_dense_matrices() {
    for smallest in [0, 1, 2] {
        let (k, l) = (4 - smallest, smallest);
        for fixed in [1.0, 0.3] {
            let mut optimizer =
                optimizer::<f64>(config(Averaging::Fixed(fixed), smallest), Storage::Full);
            let mut alone = self::optimizer::<f64>(config(Averaging::Off, smallest), Storage::Full);
            let mut mean = Mat::zeros(N, N);
            for t in 0..8 {
                let batch = batch(t, 1.0);
                let refresh = optimizer.refresh(&mut operator(&batch)).unwrap();
                let weight = fixed.max(1.0 / (t + 1) as f64);
                assert_eq!(refresh.weight, Some(weight));
                // The scale is that of the last refresh alone.
                let unaveraged = alone.refresh(&mut operator(&batch)).unwrap();
                assert_eq!(refresh.scale, unaveraged.scale);
                let new = part(&batch, &extreme(2 * k, 2 * l));
                mean = Mat::from_fn(N, N, |i, j| {
                    (1.0 - weight) * mean[(i, j)] + weight * new[(i, j)]
                });
                // Rank r is less than half of N, so pairs outside the span are zeros between the ends kept here.
                mean = part(&mean, &extreme(2 * k, 2 * l));
                let expected = part(&mean, &extreme(k, l));
                let error = norm(&(in_use(&optimizer) - &expected)) / norm(&expected);
                assert!(error < 1e-8, "ℓ = {l}, γ = {fixed}, refresh {t}: {error:e}");
            }
        }
    }
}

#[test]
fn a_weight_of_one_is_the_last_refresh_alone() {
    let mut averaged = optimizer::<f64>(config(Averaging::Fixed(1.0), 1), Storage::Full);
    let mut alone = optimizer::<f64>(config(Averaging::Off, 1), Storage::Full);
    for t in 0..5 {
        let mut hessian = operator(&batch(t, 1.0));
        let found = averaged.refresh(&mut hessian).unwrap();
        let expected = alone.refresh(&mut hessian).unwrap();
        for (found, expected) in found.eigenvalues.iter().zip(&expected.eigenvalues) {
            assert!((found / expected - 1.0).abs() < 1e-10, "{found} {expected}");
        }
        let difference = norm(&(in_use(&averaged) - in_use(&alone)));
        assert!(difference < 1e-8, "{difference:e}");
        assert_eq!(found.scale, expected.scale);
        assert_eq!(expected.weight, None);
    }
}

#[test]
fn a_refresh_tells_the_next_eigenvalue_and_what_the_last_pairs_hold_of_its_batch() {
    for l in [0, 2] {
        let k = 4 - l;
        let mut optimizer = optimizer::<f64>(config(Averaging::Predicted, l), Storage::Full);
        let mut last: Option<Mat<f64>> = None;
        for t in 0..4 {
            let batch = batch(t, 6.0);
            let refresh = optimizer.refresh(&mut operator(&batch)).unwrap();
            let (values, vectors) = eigen(&batch);
            let next = refresh.next_eigenvalue.unwrap();
            assert!((next - values[N - k - 1]).abs() < 1e-8, "{next}");
            let along = |vectors: &Mat<f64>, i: usize| {
                let v = vectors.col(i);
                (v.transpose() * &batch * v) * if i < N / 2 { -1.0 } else { 1.0 }
            };
            let total = |vectors: &Mat<f64>| -> f64 {
                extreme(k, l).into_iter().map(|i| along(vectors, i)).sum()
            };
            let expected = last.as_ref().map(|last| total(last) / total(&vectors));
            match (refresh.captured_by_last, expected) {
                (Some(found), Some(expected)) => {
                    assert!((found - expected).abs() < 1e-8, "{found} {expected}");
                    assert!((0.2..0.97).contains(&found), "noise turns pairs: {found}");
                }
                (found, expected) => assert_eq!(found, expected),
            }
            last = Some(vectors);
        }
    }
    let all = FosiConfig {
        largest: N,
        ..config(Averaging::Off, 0)
    };
    let mut optimizer = optimizer::<f64>(all, Storage::Full);
    let refresh = optimizer.refresh(&mut operator(&loss())).unwrap();
    assert_eq!(
        (refresh.next_eigenvalue, refresh.captured_by_last),
        (None, None)
    );
}

/// The fraction of the k largest eigenvalues' sum that lies in the span of V.
fn captured(optimizer: &Fosi<Host<f64>, GradientDescent>, matrix: &Mat<f64>) -> f64 {
    let spectrum = optimizer.spectrum().unwrap();
    let k = spectrum.eigenvalues.len();
    let trace: f64 = (0..k)
        .map(|i| {
            let v = fosi::Space::column(optimizer.space(), &spectrum.basis, i);
            let row = |a: usize| (0..N).map(|b| matrix[(a, b)] * v[b]).sum::<f64>();
            (0..N).map(|a| v[a] * row(a)).sum::<f64>()
        })
        .sum();
    let (values, _) = eigen(matrix);
    trace / values[N - k..].iter().sum::<f64>()
}

#[test]
fn averaging_takes_the_noise_of_batches_out() {
    let noise = 8.0;
    let run = |averaging| {
        let mut optimizer = optimizer::<f64>(config(averaging, 0), Storage::Full);
        let mut weight = None;
        for t in 0..30 {
            let refresh = optimizer.refresh(&mut operator(&batch(t, noise))).unwrap();
            weight = refresh.weight;
        }
        (captured(&optimizer, &loss()), weight)
    };
    let (alone, none) = run(Averaging::Off);
    let (averaged, weight) = run(Averaging::Predicted);
    assert_eq!(none, None);
    assert!(alone < 0.9 && averaged > 0.97, "{alone} {averaged}");
    // Noise without drift drives the weight down.
    assert!(weight.unwrap() < 0.3, "{weight:?}");
}

/// The loss's Hessian, rotated by `angle` in the planes of the coordinates 2i and 2i + 1.
fn turned(angle: f64) -> Mat<f64> {
    let (s, c) = angle.sin_cos();
    let rotation = Mat::from_fn(N, N, |i, j| {
        let (a, b) = (i / 2, j / 2);
        match (a == b, i.cmp(&j)) {
            (false, _) => 0.0,
            (true, std::cmp::Ordering::Equal) => c,
            (true, std::cmp::Ordering::Less) => -s,
            (true, std::cmp::Ordering::Greater) => s,
        }
    });
    &rotation * loss() * rotation.transpose()
}

#[test]
fn the_second_weight_says_how_much_of_the_first_estimate_is_true_of_the_second_batch() {
    for l in [0, 2] {
        let k = 4 - l;
        let second_weight = |first: &Mat<f64>, second: &Mat<f64>| {
            let mut optimizer = optimizer::<f64>(config(Averaging::Predicted, l), Storage::Full);
            optimizer.refresh(&mut operator(first)).unwrap();
            let refresh = optimizer.refresh(&mut operator(second)).unwrap();
            refresh.weight.unwrap()
        };
        let (first, second) = (batch(0, 6.0), batch(1, 6.0));
        // The least-squares solution a of aP ≈ H, where P is the first batch's part in its leading pairs.
        let p = part(&first, &extreme(k, l));
        let inner = |x: &Mat<f64>, y: &Mat<f64>| -> f64 {
            (0..N * N)
                .map(|at| x[(at / N, at % N)] * y[(at / N, at % N)])
                .sum()
        };
        let a = inner(&p, &second) / inner(&p, &p);
        assert!((0.3..0.95).contains(&a), "{a}");
        let found = second_weight(&first, &second);
        assert!(
            (found - 1.0 / (1.0 + a)).abs() < 1e-8,
            "ℓ = {l}: {found} for a = {a}"
        );
        assert!((second_weight(&first, &first) - 0.5).abs() < 1e-8);
        let opposite = Mat::from_fn(N, N, |i, j| -first[(i, j)]);
        assert_eq!(second_weight(&first, &opposite), 0.9);
    }
}

#[test]
fn the_weight_grows_where_the_loss_turns() {
    let mut optimizer = optimizer::<f64>(config(Averaging::Predicted, 0), Storage::Full);
    let mut weights = Vec::new();
    for t in 0..12 {
        let mut hessian = operator(&turned(0.2 * f64::from(t)));
        weights.push(optimizer.refresh(&mut hessian).unwrap().weight.unwrap());
    }
    assert_eq!(weights[0], 1.0);
    assert_eq!(weights[11], 0.9, "{weights:?}");
}

#[test]
fn the_weight_suits_noise_and_drift_at_once() {
    // The loss turns at each refresh, and each batch adds noise. The weight must come close to the best fixed one:
    // alone, a refresh has all of the noise, and a mean with a small weight is out of date.
    let capturing = |averaging| {
        let mut optimizer = optimizer::<f64>(config(averaging, 0), Storage::Full);
        let mut sum = 0.0;
        for t in 0..60 {
            let turned = turned(0.1 * t as f64);
            let noise = batch(t, 6.0) - loss();
            optimizer
                .refresh(&mut operator(&(&turned + noise)))
                .unwrap();
            if t >= 20 {
                sum += captured(&optimizer, &turned) / 40.0;
            }
        }
        sum
    };
    let fixed = [0.1, 0.2, 0.4, 0.6, 0.8, 1.0].map(|weight| capturing(Averaging::Fixed(weight)));
    let best = fixed.into_iter().fold(0.0, f64::max);
    let predicted = capturing(Averaging::Predicted);
    assert!(
        best > fixed[0] + 0.03 && best > fixed[5] + 0.03,
        "{fixed:?}"
    );
    assert!(predicted > best - 0.01, "{predicted} {fixed:?}");
}

#[test]
fn the_newton_step_divides_by_what_the_last_batch_says() {
    // H₀ has a direction with curvature 20 that H₁ lacks, and vice versa: in their mean both have curvature 10.
    let diagonal = |i: usize| {
        let entry = move |a: usize, b: usize| match (a == b, a == i) {
            (false, _) => 0.0,
            (true, true) => 20.0,
            (true, false) => 1e-3 * (a + 1) as f64,
        };
        operator(&Mat::from_fn(N, N, entry))
    };
    let config = FosiConfig {
        largest: 2,
        ..config(Averaging::Fixed(0.5), 0)
    };
    let mut optimizer = optimizer::<f64>(config, Storage::Full);
    optimizer.refresh(&mut diagonal(0)).unwrap();
    let refresh = optimizer.refresh(&mut diagonal(1)).unwrap();
    for value in &refresh.eigenvalues {
        assert!((value - 10.0).abs() < 0.1, "{value}");
    }
    // α/u: along coordinate 1 the last batch's 20 exceeds the mean's 10; along coordinate 0 it is almost 0, so the
    // mean's 10 counts.
    let mut x = vec![0.0; N];
    let mut gradient = vec![0.0; N];
    (gradient[0], gradient[1]) = (1.0, 1.0);
    optimizer.step(0.0, &mut x, &gradient).unwrap();
    let slow = -x[1] * 20.0 / 0.1;
    let fast = -x[0] * 10.0 / 0.1;
    // Both directions have the same eigenvalue in the mean, so its eigenvectors mix them.
    assert!(
        (0.9..2.1).contains(&slow) && (0.4..1.1).contains(&fast),
        "{slow} {fast}"
    );
}

#[test]
fn every_precision_and_storage_averages() {
    fn run<T: Scalar>(storage: Storage, limit: f64) {
        let mut optimizer = optimizer::<T>(config(Averaging::Predicted, 1), storage);
        let mut reference = optimizer_f64();
        for t in 0..10 {
            let matrix = batch(t, 1.0);
            let mut hessian = fosi::operator::from_fn::<Host<T>, _>(|v: &[T], out: &mut [T]| {
                for (i, out) in out.iter_mut().enumerate() {
                    let symmetric = |j: usize| 0.5 * (matrix[(i, j)] + matrix[(j, i)]);
                    *out = T::store((0..N).map(|j| symmetric(j) * v[j].load()).sum());
                }
            });
            let found = optimizer.refresh(&mut hessian).unwrap().eigenvalues;
            let expected = reference
                .refresh(&mut operator(&matrix))
                .unwrap()
                .eigenvalues;
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found / expected - 1.0).abs() < limit,
                    "{storage:?} {found} {expected}"
                );
            }
        }
    }
    fn optimizer_f64() -> Fosi<Host<f64>, GradientDescent> {
        optimizer::<f64>(config(Averaging::Predicted, 1), Storage::Full)
    }
    run::<f64>(Storage::Single, 1e-5);
    run::<f32>(Storage::Full, 1e-4);
    run::<f32>(Storage::Bf16, 1e-2);
}

#[test]
fn a_failed_refresh_leaves_the_mean() {
    let mut optimizer = optimizer::<f64>(config(Averaging::Predicted, 1), Storage::Full);
    for t in 0..3 {
        optimizer.refresh(&mut operator(&batch(t, 1.0))).unwrap();
    }
    let before = in_use(&optimizer);
    let mut nan = fosi::operator::from_fn::<Host<f64>, _>(|_: &[f64], out: &mut [f64]| {
        out.fill(f64::NAN);
    });
    let error = optimizer.refresh(&mut nan).unwrap_err();
    assert!(matches!(error, Error::Refresh { .. }), "{error}");
    assert_eq!(in_use(&optimizer), before);
    optimizer.refresh(&mut operator(&batch(3, 1.0))).unwrap();
}

#[test]
fn momentum_moves_to_the_new_pairs_whole() {
    // Heavy-Ball's total momentum is that of the base alone as long as no direction is lost: with s = 1 and an α that
    // makes the Newton step the base's, the run is the base's own.
    let diagonal = 3.0;
    let config = FosiConfig {
        newton_rate: NewtonRate::Constant(0.02 * diagonal),
        scale_limit: 1.0,
        ..config(Averaging::Predicted, 0)
    };
    let space = Host::<f64>::new(N);
    let mut wrapped = Fosi::new(space.clone(), HeavyBall::new(0.9), config).unwrap();
    let plain_config = FosiConfig::base_only();
    let mut plain = Fosi::new(space, HeavyBall::new(0.9), plain_config).unwrap();
    let identity = Mat::from_fn(N, N, |i, j| if i == j { diagonal } else { 0.0 });
    let start: Vec<f64> = (0..N).map(|i| (i as f64).sin()).collect();
    let (mut x, mut y) = (start.clone(), start);
    for step in 0..40 {
        if step % 4 == 0 {
            wrapped.refresh(&mut operator(&identity)).unwrap();
        }
        let gradient = |x: &[f64]| x.iter().map(|x| diagonal * x).collect::<Vec<_>>();
        let (g, h) = (gradient(&x), gradient(&y));
        wrapped.step(0.02, &mut x, &g).unwrap();
        plain.step(0.02, &mut y, &h).unwrap();
        for (x, y) in x.iter().zip(&y) {
            assert!((x - y).abs() < 1e-12, "step {step}: {x} {y}");
        }
    }
}

#[test]
fn impossible_weights_are_refused() {
    for weight in [0.0, -0.5, 1.5, f64::NAN, f64::INFINITY] {
        let config = config(Averaging::Fixed(weight), 0);
        let error = Fosi::new(Host::<f64>::new(N), GradientDescent, config).unwrap_err();
        assert!(
            matches!(error, Error::InvalidSetting { .. }),
            "{weight}: {error}"
        );
    }
}
