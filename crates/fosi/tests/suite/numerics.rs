//! Regression tests for inputs that once gave a wrong result without an error: spurious curvature, scales at the ends
//! of the floating-point range, steps with non-finite results, operators of another dimension.

use std::cell::Cell;

use fosi::base::{
    Adam, Base, BaseStep, Elements, Elementwise, GradientDescent, HeavyBall, UpdateRule,
};
use fosi::error::LanczosError;
use fosi::minimize::Objective;
use fosi::minimize::Status;
use fosi::minimize::with_base::{Options, minimize_with};
use fosi::operator::{
    self, DenseMatrix, DifferenceQuotient, HostGradient, Mean, StepSizes, SymmetricOperator,
};
use fosi::space::Scalar;
use fosi::spectrum::{Spectrum, SpectrumParams, estimate};
use fosi::{Averaging, Clipping, Error, Fosi, FosiConfig, Host, Schedule, Space};

fn params(largest: usize) -> SpectrumParams {
    SpectrumParams {
        largest,
        ..SpectrumParams::default()
    }
}

fn diagonal<T: Scalar>(entries: Vec<f64>) -> impl SymmetricOperator<Host<T>> {
    operator::from_fn::<Host<T>, _>(move |v: &[T], out: &mut [T]| {
        for ((out, v), d) in out.iter_mut().zip(v).zip(&entries) {
            *out = T::store(d * v.load());
        }
    })
}

fn spectrum_of<T: Scalar>(entries: Vec<f64>, k: usize) -> Spectrum<Host<T>> {
    let space = Host::<T>::new(entries.len());
    let params = SpectrumParams {
        lanczos_steps: Some(entries.len()),
        ..params(k)
    };
    estimate(&space, &mut diagonal(entries), &params).unwrap()
}

/// Asserts agreement to a relative tolerance.
#[track_caller]
fn agree(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a / b - 1.0).abs() <= tolerance,
            "{found:?} where {expected:?} belongs"
        );
    }
}

// ---- Curvature of functions with coordinates of different magnitude
// -------------------------------------------------------

/// ½(x₀ − 1e8)² + Σ cosh((1 + i/10)xᵢ): ∇f at x.
fn steep_cosh(x: &[f64], g: &mut [f64]) -> Result<(), fosi::error::BoxError> {
    g[0] = x[0] - 1e8;
    for i in 1..x.len() {
        let a = 1.0 + i as f64 / 10.0;
        g[i] = a * (a * x[i]).sinh();
    }
    Ok(())
}

#[test]
fn a_large_parameter_leaves_the_others_curvature_as_it_is() {
    let x = [1e8, 0.3, 0.3, 0.3, 0.3, 0.3];
    let mut expected: Vec<f64> = (1..6)
        .map(|i| {
            let a = 1.0 + f64::from(i) / 10.0;
            a * a * (a * 0.3).cosh()
        })
        .collect();
    expected.sort_by(|a, b| b.total_cmp(a));
    let space = Host::<f64>::new(6);
    let mut hessian = DifferenceQuotient::new(HostGradient::new(&x, steep_cosh));
    let found = estimate(&space, &mut hessian, &params(3)).unwrap();
    assert!(!found.info.shifted);
    agree(&found.eigenvalues, &expected[..3], 1e-5);
    // Through `minimize_with`, as in user code.
    let objective = Objective::new(6, |x: &[f64], g: &mut [f64]| {
        steep_cosh(x, g)?;
        let cosh = (1..6).map(|i| ((1.0 + i as f64 / 10.0) * x[i]).cosh());
        Ok(0.5 * (x[0] - 1e8).powi(2) + cosh.sum::<f64>())
    });
    let config = FosiConfig {
        largest: 3,
        ..FosiConfig::quadratic()
    };
    let minimum = minimize_with(
        objective,
        &x,
        GradientDescent,
        0.01,
        config,
        Options::default(),
    )
    .unwrap();
    let estimation = &minimum.estimations[0];
    assert!(minimum.failed_estimations.is_empty() && !estimation.info.shifted);
    agree(&estimation.eigenvalues, &expected[..3], 1e-5);
    assert!((minimum.best.value - 5.0).abs() < 1e-9, "{minimum:?}");
}

#[test]
fn parameters_of_all_magnitudes_have_their_own_difference_steps() {
    // ½Σ aᵢ(xᵢ − bᵢ)² + (xᵢ − bᵢ)⁴/4 around points of magnitudes 1e-8 to 1e8, with the curvature aᵢ at b.
    let b: Vec<f64> = (0..9).map(|i| 10_f64.powi(2 * i - 8)).collect();
    let a = |i: usize| 1.0 + i as f64;
    let center = b.clone();
    let gradient = move |x: &[f64], g: &mut [f64]| {
        for i in 0..9 {
            let d = x[i] - center[i];
            g[i] = a(i) * d + d * d * d;
        }
        Ok(())
    };
    let space = Host::<f64>::new(9);
    let mut hessian = DifferenceQuotient::new(HostGradient::new(&b, gradient));
    let found = estimate(&space, &mut hessian, &params(4)).unwrap();
    assert!(!found.info.shifted);
    // At 1e8 the step is at most 0.1, and the quartic contributes 0.01 to the quotient.
    agree(&found.eigenvalues, &[9.0, 8.0, 7.0, 6.0], 2e-3);
}

#[test]
fn one_gradient_a_product_where_all_parameters_are_of_like_magnitude() {
    for (point, groups) in [
        ([0.1, -3.0, 900.0], 1),
        ([5e4, -9e5, 2e3], 1),
        ([0.1, 2e3, 5.0], 2),
    ] {
        let calls = Cell::new(0);
        let gradient = |x: &[f64], g: &mut [f64]| {
            calls.set(calls.get() + 1);
            g.copy_from_slice(x);
            Ok(())
        };
        let mut hessian = DifferenceQuotient::new(HostGradient::new(&point, gradient));
        let mut out = [0.0_f64; 3];
        let v = [0.6, 0.0, 0.8];
        hessian.apply(&v, &mut out).unwrap();
        assert_eq!((calls.get(), hessian.gradients()), (1 + groups, 1 + groups));
        for (out, v) in out.iter().zip(v) {
            assert!((out - v).abs() < 1e-5, "{point:?}: {out} {v}");
        }
    }
}

// ---- Estimates next to a tie --------------------------------------------------------------------------------------

#[test]
fn the_answer_of_a_shifted_point_is_held_against_the_point_itself() {
    // ∇f jumps by 2·jump at the point in every coordinate: a tie of kinks, next to which the curvature is diag(1, 2,
    // 3).
    let point = [1.0, -2.0, 0.5];
    let kinked = |jump: f64| {
        move |x: &[f64], g: &mut [f64]| {
            for i in 0..3 {
                let d = x[i] - point[i];
                let side = if d == 0.0 { 0.0 } else { d.signum() };
                g[i] = (i + 1) as f64 * d + jump * side;
            }
            Ok(())
        }
    };
    let space = Host::<f64>::new(3);
    // A kink that is negligible over a training step of a thousandth.
    let mut faint = DifferenceQuotient::new(HostGradient::new(&point, kinked(1e-4)));
    let found = estimate(&space, &mut faint, &params(1)).unwrap();
    assert!(found.info.shifted);
    agree(&found.eigenvalues, &[3.0], 1e-4);
    // The result comes from the shifted point.
    let moved = faint
        .oracle()
        .point()
        .iter()
        .zip(point)
        .map(|(a, b)| (a - b).abs());
    assert!(moved.clone().all(|d| d > 0.0) && moved.sum::<f64>() < 1e-5);
    // A kink that dominates at the point.
    let mut strong = DifferenceQuotient::new(HostGradient::new(&point, kinked(1.0)));
    let error = estimate(&space, &mut strong, &params(1)).unwrap_err();
    let Error::Lanczos(LanczosError::Shifted { shifted, found }) = error else {
        panic!("{error}");
    };
    assert!(
        (shifted - 3.0).abs() < 1e-3 && found > 400.0,
        "{shifted} {found}"
    );
}

// ---- Gradients so large that their differences round to zero
// -------------------------------------------------------------

/// Σ slope·xᵢ + ½·i·xᵢ², i = 1 … 20.
fn steep(slope: f64) -> impl Fn(&[f64], &mut [f64]) -> Result<f64, fosi::error::BoxError> {
    move |x: &[f64], g: &mut [f64]| {
        let mut value = 0.0;
        for (i, (x, g)) in x.iter().zip(g).enumerate() {
            let d = (i + 1) as f64;
            *g = slope + d * x;
            value += slope * x + 0.5 * d * x * x;
        }
        Ok(value)
    }
}

#[test]
fn a_steep_slope_hides_no_curvature() {
    for slope in [0.0, 1.0, 1e3, 6e5, 2e6, 5e6, 1e7, 1e9] {
        let config = FosiConfig {
            largest: 3,
            lanczos_steps: Some(20),
            ..FosiConfig::quadratic()
        };
        let options = Options {
            max_steps: 1,
            gradient_norm: 0.0,
            ..Options::default()
        };
        let x = [0.5; 20];
        let objective = Objective::new(20, steep(slope));
        let minimum = minimize_with(objective, &x, GradientDescent, 0.01, config, options).unwrap();
        assert!(
            minimum.failed_estimations.is_empty(),
            "{slope:e}: {:?}",
            minimum.failed_estimations
        );
        let estimation = &minimum.estimations[0];
        agree(&estimation.eigenvalues, &[20.0, 19.0, 18.0], 2e-3);
        let pairs = estimation.eigenvalues.iter().zip(&estimation.residuals);
        assert!(
            pairs
                .into_iter()
                .all(|(x, r)| *x > r + estimation.info.noise)
        );
    }
}

#[test]
fn what_is_rounding_alone_is_no_curvature() {
    // Curvatures of 1e-9 below a slope of 1e9: no difference of f64 gradients can show them.
    let gradient = |x: &[f64], g: &mut [f64]| {
        for (x, g) in x.iter().zip(g) {
            *g = 1e9 + 0.3 + 1e-9 * x;
        }
        Ok(())
    };
    let space = Host::<f64>::new(20);
    let mut hessian = DifferenceQuotient::new(HostGradient::new(&[0.5; 20], gradient));
    let found = estimate(&space, &mut hessian, &params(3)).unwrap();
    assert!(found.info.noise > 1e-5, "{:?}", found.info);
    assert_eq!(found.resolved(), [false; 3], "{found:?}");
    // Noise of that size is refused, with a message about rounding rather than kinks.
    let calls = Cell::new(0_u64);
    let noisy = |x: &[f64], g: &mut [f64]| {
        for (i, (x, g)) in x.iter().zip(g).enumerate() {
            calls.set(calls.get() + 1);
            *g = 1e9 + 1e-9 * x + 1e-4 * ((calls.get() * 7 + i as u64) as f64).sin();
        }
        Ok(())
    };
    let mut hessian = DifferenceQuotient::new(HostGradient::new(&[0.5; 20], noisy));
    let error = match estimate(&space, &mut hessian, &params(3)) {
        Ok(found) => {
            assert_eq!(found.resolved(), [false; 3], "{found:?}");
            return;
        }
        Err(error) => error.to_string(),
    };
    assert!(
        error.contains("rounding") || error.contains("not the same"),
        "{error}"
    );
}

#[test]
fn step_sizes_rise_only_at_first_and_only_so_far() {
    let mut steps = StepSizes::default();
    assert_eq!(steps.first(), 1e-9);
    let mut raised = Vec::new();
    while let Some(size) = steps.raise() {
        raised.push(size);
    }
    agree(&raised, &[1e-8, 1e-7, 1e-6, 1e-5, 1e-4], 1e-12);
    assert_eq!(steps.next_size(), Some(-raised[4]));
    assert!(steps.raise().is_none(), "after a retry");
    steps.first();
    assert!(steps.raise().is_none(), "for a second product");
}

// ---- Copies of repeated eigenvalues
// ------------------------------------------------------------------------------------

/// `copies` of `top`, then 3/n, 4/n, … 1.
fn repeated(top: f64, copies: usize, n: usize) -> Vec<f64> {
    let rest = (copies..n).map(|i| (i + 1) as f64 / n as f64);
    std::iter::repeat_n(top, copies).chain(rest).collect()
}

#[test]
fn the_probe_finds_the_copy_that_was_missed() {
    let n = 2000;
    let space = Host::<f64>::new(n);
    let estimated = |seed, probe| {
        let params = SpectrumParams {
            seed,
            probe,
            ..params(3)
        };
        let mut hessian = diagonal::<f64>(repeated(10.0, 3, n));
        estimate(&space, &mut hessian, &params).unwrap()
    };
    for seed in 0..30 {
        let plain = estimated(seed, false);
        let found = estimated(seed, true);
        assert!(found.info.products <= plain.info.products + 4);
        assert!(plain.eigenvalues[2] < 1.0, "{seed}: {plain:?}");
        for value in &found.eigenvalues {
            assert!((value - 10.0).abs() < 0.1, "{seed}: {found:?}");
        }
    }
    // A random start vector can have a negligible component along the last copy. The bound on the complement still
    // holds.
    let mut all_found = 0;
    for seed in 30..1000 {
        let found = estimated(seed, true);
        assert!(found.extremes(None).largest_left > 9.5, "{seed}: {found:?}");
        all_found += usize::from(found.eigenvalues[2] > 9.9);
    }
    assert!(all_found > 940, "{all_found}");
}

#[test]
fn with_all_steps_every_copy_is_found() {
    for copies in 2..=12 {
        let found = spectrum_of::<f64>(repeated(10.0, copies, 40), 12);
        let tens = found
            .eigenvalues
            .iter()
            .filter(|x| (**x - 10.0).abs() < 1e-9)
            .count();
        assert_eq!(tens, copies, "{found:?}");
    }
}

#[test]
fn the_probe_costs_its_share() {
    let steps = |m: Option<usize>, n: usize| {
        let params = SpectrumParams {
            lanczos_steps: m,
            ..SpectrumParams::default()
        };
        (params.steps(n), params.probe_steps(n))
    };
    assert_eq!(steps(None, 100_000), (40, 6));
    assert_eq!(steps(Some(12), 100_000), (12, 4));
    assert_eq!(steps(Some(80), 100_000), (80, 12));
    assert_eq!(steps(None, 42), (40, 2));
    assert_eq!(steps(None, 40), (40, 0));
    let exact = |v: &[f64], out: &mut [f64]| {
        for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
            *out = (i as f64 + 1.0) * v;
        }
    };
    let space = Host::<f64>::new(500);
    let mut counted = operator::Counted::new(operator::from_fn::<Host<f64>, _>(exact));
    let info = estimate(&space, &mut counted, &SpectrumParams::default())
        .unwrap()
        .info;
    assert_eq!((info.products, counted.products), (46, 46));
}

// ---- The scale of an operator
// ------------------------------------------------------------------------------------------

#[test]
fn the_answer_scales_with_the_operator() {
    let entries: Vec<f64> = (1..=60).map(f64::from).collect();
    let ones: Vec<f64> = spectrum_of::<f64>(entries.clone(), 5).eigenvalues;
    agree(&ones, &[60.0, 59.0, 58.0, 57.0, 56.0], 1e-9);
    for scale in [
        1e-300, 1e-170, 1e-154, 1e-100, 1e-30, 1e30, 1e100, 1e153, 1e170, 1e300,
    ] {
        let scaled: Vec<f64> = entries.iter().map(|x| x * scale).collect();
        let found = spectrum_of::<f64>(scaled, 5);
        let back: Vec<f64> = found.eigenvalues.iter().map(|x| x / scale).collect();
        agree(&back, &ones, 1e-9);
        assert_eq!(found.resolved(), [true; 5], "{scale:e}: {found:?}");
    }
    // A power of two does not change any bit of the result.
    for exponent in [-900, -600, 600, 900] {
        let scale = f64::from(exponent).exp2();
        let scaled = entries.iter().map(|x| x * scale).collect();
        let found = spectrum_of::<f64>(scaled, 5).eigenvalues;
        assert!(
            found.iter().zip(&ones).all(|(a, b)| a / scale == *b),
            "{exponent}: {found:?}"
        );
    }
    // Subnormal numbers have few digits, and so have the results.
    let tiny = spectrum_of::<f64>(entries.iter().map(|x| x * 1e-310).collect(), 5);
    let back: Vec<f64> = tiny.eigenvalues.iter().map(|x| x / 1e-310).collect();
    agree(&back, &ones, 1e-6);
    for scale in [1e-36_f64, 1e-30, 1e-20, 1e-10, 1e10, 1e20, 1e36] {
        let found = spectrum_of::<f32>(entries.iter().map(|x| x * scale).collect(), 5).eigenvalues;
        let back: Vec<f64> = found.iter().map(|x| x / scale).collect();
        agree(&back, &ones, 2e-5);
    }
}

#[test]
fn steps_are_the_same_at_every_scale() {
    // Heavy-Ball's path does not change if a factor moves from f to η.
    for averaging in [Averaging::Off, Averaging::Predicted] {
        the_same_at_every_scale(averaging);
    }
}

fn the_same_at_every_scale(averaging: Averaging) {
    let run = |scale: f64| {
        let config = FosiConfig {
            largest: 2,
            averaging,
            schedule: Schedule::Every {
                warmup: 0,
                interval: 15,
            },
            ..FosiConfig::quadratic()
        };
        let mut x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut optimizer = Fosi::new(Host::<f64>::new(6), HeavyBall::new(0.5), config).unwrap();
        for _ in 0..60 {
            if optimizer.due() {
                let entries = (1..=6).map(|i| scale * f64::from(i * i)).collect();
                let refresh = optimizer.refresh(&mut diagonal(entries)).unwrap();
                // The same Hessian each time: the first estimate is confirmed whole.
                if let (Averaging::Predicted, 15) = (averaging, refresh.step) {
                    assert!((refresh.weight.unwrap() - 0.5).abs() < 1e-9, "{refresh:?}");
                }
            }
            let gradient: Vec<f64> = (1..=6)
                .zip(x)
                .map(|(i, x)| scale * f64::from(i * i) * x)
                .collect();
            optimizer.step(0.05 / scale, &mut x, &gradient).unwrap();
        }
        x
    };
    let expected = run(1.0);
    for exponent in [-1000.0_f64, -560.0, 560.0, 1000.0] {
        let found = run(exponent.exp2());
        for (a, b) in found.iter().zip(expected) {
            assert!(
                (a - b).abs() <= 1e-12 + 1e-6 * b.abs(),
                "2^{exponent}: {found:?} {expected:?}"
            );
        }
    }
}

#[test]
fn norms_neither_overflow_nor_underflow() {
    let space = Host::<f64>::new(3);
    for scale in [1e-320, 1e-308, 1e-200, 1e-160, 1.0, 1e154, 1e200, 1e307] {
        let x = [3.0 * scale, 0.0, 4.0 * scale];
        assert!(
            (space.norm(&x) / (5.0 * scale) - 1.0).abs() < 1e-3_f64.min(1e-13 + 1e-321 / scale)
        );
    }
    let single = Host::<f32>::new(2);
    for scale in [1e-44_f32, 1e-38, 1e-20, 1e20, 4e37] {
        let x = [3.0 * scale, 4.0 * scale];
        let expected = f64::from(x[0]).hypot(f64::from(x[1]));
        assert!((single.norm(&x) / expected - 1.0).abs() < 1e-6, "{scale:e}");
    }
    assert_eq!(space.norm(&[0.0; 3]), 0.0);
    assert!(!space.norm(&[1.0, f64::NAN, 2.0]).is_finite());
    assert_eq!(space.norm(&[1.0, f64::INFINITY, 2.0]), f64::INFINITY);
}

// ---- Norms of gradients
// ------------------------------------------------------------------------------------------------

#[test]
fn a_gradient_whose_square_overflows_can_be_clipped() {
    for base in [false, true] {
        let config = FosiConfig {
            clipping: Clipping::Norm(1.0),
            largest: 1,
            ..FosiConfig::quadratic()
        };
        let mut optimizer = Fosi::new(Host::<f64>::new(2), GradientDescent, config).unwrap();
        let mut x = [1.0, 2.0];
        if base {
            optimizer.refresh(&mut diagonal(vec![4.0, 1.0])).unwrap();
        }
        let report = optimizer.step(0.5, &mut x, &[0.0, 2e154]).unwrap();
        assert!((report.gradient_norm / 2e154 - 1.0).abs() < 1e-12);
        // The clipped gradient is (0, 1).
        let moved = 0.5 * report.scale;
        assert!(
            (x[1] - (2.0 - moved)).abs() < 1e-12 && (x[0] - 1.0).abs() < 1e-12,
            "{x:?}"
        );
    }
}

#[test]
fn a_tiny_gradient_is_no_convergence() {
    let objective = Objective::new(2, |x: &[f64], g: &mut [f64]| {
        (g[0], g[1]) = (1e-170 * x[0], 2e-170 * x[1]);
        Ok(0.5e-170 * (x[0] * x[0] + 2.0 * x[1] * x[1]))
    });
    let config = FosiConfig {
        largest: 1,
        ..FosiConfig::quadratic()
    };
    let options = Options {
        gradient_norm: 0.0,
        max_steps: 40,
        ..Options::default()
    };
    let minimum = minimize_with(
        objective,
        &[1.0, 1.0],
        GradientDescent,
        5e169,
        config,
        options,
    )
    .unwrap();
    assert!(
        matches!(minimum.status, Status::MaxSteps),
        "{:?}",
        minimum.status
    );
    assert!(minimum.best.parameters[0].abs() < 1e-6, "{minimum:?}");
}

// ---- Steps with non-finite results
// -----------------------------------------------------------------------------------

#[test]
fn an_eigenvalue_of_zero_is_never_divided_by() {
    for floor in [0.0, 1e-300, 1e-12, 1e-6] {
        let config = FosiConfig {
            largest: 2,
            curvature_floor: floor,
            ..FosiConfig::quadratic()
        };
        let mut optimizer = Fosi::new(Host::<f64>::new(2), GradientDescent, config).unwrap();
        let refresh = optimizer.refresh(&mut diagonal(vec![1.0, 0.0])).unwrap();
        assert_eq!(refresh.resolved, [true, false]);
        let mut x = [1.0, 1.0];
        let report = optimizer.step(0.1, &mut x, &[1.0, 0.5]).unwrap();
        assert_eq!(report.released, 1);
        // Newton along x₀, the base along x₁.
        let expected = 1.0 - 0.05 * report.scale;
        assert!(
            x[0].abs() < 1e-12 && (x[1] - expected).abs() < 1e-12,
            "{x:?}"
        );
    }
    let config = FosiConfig {
        curvature_floor: 1e-309,
        ..crate::raw()
    };
    let error = Fosi::new(Host::<f64>::new(2), GradientDescent, config)
        .err()
        .unwrap();
    assert!(error.to_string().contains("curvature_floor"), "{error}");
    // The paper's algorithm would divide by it; the step is refused before anything changes.
    let config = FosiConfig {
        largest: 2,
        ..FosiConfig::paper(0)
    };
    let mut optimizer = Fosi::new(Host::<f64>::new(2), GradientDescent, config).unwrap();
    optimizer.refresh(&mut diagonal(vec![1.0, 0.0])).unwrap();
    let before = optimizer.to_bytes().unwrap();
    let mut x = [1.0, 1.0];
    let result = optimizer.step(0.1, &mut x, &[1.0, 0.5]);
    match result {
        Err(Error::StepOverflow { step: 0, .. }) => {
            assert_eq!((x, optimizer.to_bytes().unwrap()), ([1.0, 1.0], before));
        }
        // Through rounding the eigenvalue is 1e-17, and its reciprocal is finite.
        Ok(report) => assert!(report.newton_norm.is_finite() && x.iter().all(|x| x.is_finite())),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn settings_are_checked_in_the_vectors_precision() {
    let adam = Adam {
        epsilon: 1e-46,
        ..Adam::default()
    };
    assert!(Fosi::new(Host::<f64>::new(2), adam, FosiConfig::default()).is_ok());
    let error = Fosi::new(Host::<f32>::new(2), adam, FosiConfig::default())
        .err()
        .unwrap();
    assert!(error.to_string().contains("epsilon is 0.000"), "{error}");
    let mut optimizer =
        Fosi::new(Host::<f32>::new(2), Adam::default(), FosiConfig::default()).unwrap();
    let mut x = [1.0, 1.0];
    optimizer.step(0.1, &mut x, &[0.5, 0.0]).unwrap();
    let (before, bytes) = (x, optimizer.to_bytes().unwrap());
    for spoil in [
        (|adam: &mut Adam| adam.beta1 = f64::NAN) as fn(&mut Adam),
        |adam| adam.beta2 = 2.0,
        |adam| adam.epsilon = 1e-46,
    ] {
        let kept = *optimizer.base();
        spoil(optimizer.base_mut());
        let error = optimizer.step(0.1, &mut x, &[0.5, 0.0]).unwrap_err();
        assert!(matches!(error, Error::InvalidSetting { .. }), "{error}");
        *optimizer.base_mut() = kept;
        assert_eq!((x, optimizer.to_bytes().unwrap()), (before, bytes.clone()));
    }
    optimizer.step(0.1, &mut x, &[0.5, 0.0]).unwrap();
}

#[test]
fn rates_that_are_infinite_in_the_vectors_precision_are_refused() {
    let space = Host::<f32>::new(1);
    let mut optimizer = Fosi::new(space, GradientDescent, FosiConfig::default()).unwrap();
    let mut x = [1.0];
    assert!(optimizer.check_learning_rate(1e39).is_err());
    let error = optimizer.step(1e39, &mut x, &[1e-30]).unwrap_err();
    assert!(
        matches!(error, Error::InvalidSetting { .. }) && x == [1.0],
        "{error}"
    );
    assert!(optimizer.step(1e37, &mut x, &[1e-30]).is_ok());
}

#[test]
fn momentum_that_would_overflow_is_refused_before_it_does() {
    let mut optimizer = Fosi::new(
        Host::<f32>::new(2),
        HeavyBall::new(0.9),
        FosiConfig::default(),
    )
    .unwrap();
    let mut x = [0.0_f32, 0.0];
    let mut taken = 0;
    let error = loop {
        let bytes = optimizer.to_bytes().unwrap();
        let before = x;
        match optimizer.step(1e-3, &mut x, &[1e37, -1e37]) {
            Ok(_) => taken += 1,
            Err(error) => {
                assert_eq!((x, optimizer.to_bytes().unwrap()), (before, bytes));
                break error;
            }
        }
        assert!(taken < 100 && x.iter().all(|x| x.is_finite()), "{x:?}");
    };
    assert!(
        matches!(error, Error::StepOverflow { .. }) && taken > 2,
        "{taken}: {error}"
    );
    // A smaller gradient is accepted again.
    optimizer.step(1e-3, &mut x, &[1.0, 1.0]).unwrap();
    let mut first = Fosi::new(
        Host::<f32>::new(1),
        HeavyBall::new(0.9),
        FosiConfig::default(),
    )
    .unwrap();
    assert!(first.step(1e-3, &mut [0.0], &[1e38]).is_err());
}

/// d = 1/(g − 1), which is infinite at g = 1; or, with a state that keeps 1/(g − 1) and a direction of g.
#[derive(Debug, Clone, Copy)]
struct Pole<const IN_STATE: bool>;

impl<const IN_STATE: bool> UpdateRule for Pole<IN_STATE> {
    fn name(&self) -> &'static str {
        "pole"
    }
}

impl<const IN_STATE: bool> Elementwise for Pole<IN_STATE> {
    type Coefficients = f64;
    const STATE: usize = 1;
    fn coefficients(&self, _step: u64, learning_rate: f64) -> f64 {
        learning_rate
    }
    fn direction<E: Elements>(rate: &f64, state: &mut [E], gradient: E) -> E {
        let one = gradient.clone().scale(0.0).offset(1.0);
        let pole = one / gradient.clone().offset(-1.0);
        if IN_STATE {
            state[0] = pole;
            gradient.scale(*rate)
        } else {
            pole.scale(*rate)
        }
    }
}

/// The same as a base that couples coordinates.
struct WholePole<const IN_STATE: bool>;

impl<const IN_STATE: bool> UpdateRule for WholePole<IN_STATE> {
    fn name(&self) -> &'static str {
        "whole-pole"
    }
}

impl<const IN_STATE: bool> Base<Host<f64>> for WholePole<IN_STATE> {
    fn state_len(&self) -> usize {
        1
    }
    fn direction(
        &mut self,
        at: BaseStep<'_, Host<f64>>,
        _parameters: &[f64],
        gradient: &mut [f64],
    ) -> Result<(), Error> {
        for (g, state) in gradient.iter_mut().zip(&mut at.state[0]) {
            let pole = 1.0 / (*g - 1.0);
            if IN_STATE {
                *state = pole;
            } else {
                *g = pole;
            }
        }
        Ok(())
    }
}

#[test]
fn a_step_that_spoils_parameters_or_state_says_so_until_a_checkpoint_is_loaded() {
    fn check<B: Base<Host<f64>>>(make: impl Fn() -> B, with_basis: bool) {
        let config = FosiConfig {
            largest: 1,
            ..FosiConfig::quadratic()
        };
        let mut optimizer = Fosi::new(Host::<f64>::new(3), make(), config).unwrap();
        let mut x = [1.0; 3];
        if with_basis {
            optimizer
                .refresh(&mut diagonal(vec![4.0, 1.0, 1.0]))
                .unwrap();
        }
        optimizer.step(0.1, &mut x, &[0.5, 0.25, 3.0]).unwrap();
        let (saved, bytes) = (x, optimizer.to_bytes().unwrap());
        let name = optimizer.base().name();
        let error = optimizer.step(0.1, &mut x, &[0.0, 1.0, 0.5]).unwrap_err();
        assert!(
            matches!(error, Error::Spoiled { step: 2 }),
            "{name}: {error}"
        );
        // Every operation is refused until another state is loaded.
        assert!(matches!(
            optimizer.step(0.1, &mut x, &[0.0; 3]),
            Err(Error::Spoiled { step: 2 })
        ));
        assert!(matches!(
            optimizer.to_bytes(),
            Err(Error::Spoiled { step: 2 })
        ));
        let mut hessian = diagonal(vec![4.0, 1.0, 1.0]);
        assert!(matches!(
            optimizer.refresh(&mut hessian),
            Err(Error::Spoiled { step: 2 })
        ));
        x = saved;
        optimizer.restore(&bytes).unwrap();
        optimizer.step(0.1, &mut x, &[0.5, 0.25, 3.0]).unwrap();
        assert!(x.iter().all(|x| x.is_finite()));
    }
    for with_basis in [false, true] {
        check(|| Pole::<false>, with_basis);
        check(|| Pole::<true>, with_basis);
        check(|| WholePole::<false>, with_basis);
        check(|| WholePole::<true>, with_basis);
    }
}

#[test]
fn parameters_that_overflow_are_noticed_in_every_pass() {
    // Parameters close to the end of the range and steps beyond it, with and without V, for linear and nonlinear bases.
    fn check<B: Base<Host<f32>>>(base: B, gradient: f32, with_basis: bool) {
        let n = 3000;
        let config = FosiConfig {
            largest: 1,
            ..FosiConfig::quadratic()
        };
        let mut optimizer = Fosi::new(Host::<f32>::new(n), base, config).unwrap();
        if with_basis {
            let mut entries = vec![0.5; n];
            entries[7] = 1e3;
            optimizer.refresh(&mut diagonal(entries)).unwrap();
        }
        for at in [1, 2047, n - 1] {
            let mut x = vec![1.0_f32; n];
            x[at] = f32::MAX;
            let mut g = vec![0.0; n];
            g[at] = gradient;
            let bytes = optimizer.to_bytes().unwrap();
            let result = optimizer.step(1e36, &mut x, &g);
            assert!(
                matches!(result, Err(Error::Spoiled { .. })),
                "{at}: {result:?} {}",
                x[at]
            );
            optimizer.restore(&bytes).unwrap();
        }
    }
    for with_basis in [false, true] {
        check(GradientDescent, -40.0, with_basis);
        check(HeavyBall::new(0.9), -40.0, with_basis);
        let adam = Adam {
            beta1: 0.0,
            ..Adam::default()
        };
        check(adam, -40.0, with_basis);
    }
}

// ---- Operators of another dimension
// ------------------------------------------------------------------------------------

#[test]
fn operators_of_another_dimension_are_refused_before_the_first_product() {
    let three = || DenseMatrix::new(3, vec![1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 3.0]).unwrap();
    let two = || DenseMatrix::new(2, vec![1.0, 0.0, 0.0, 2.0]).unwrap();
    let space = Host::<f64>::new(5);
    let mismatch = |error: &Error, found: usize| matches!(error, Error::DimensionMismatch { expected: 5, found: f, .. } if *f == found);
    let error = estimate(&space, &mut three(), &params(2)).unwrap_err();
    assert!(mismatch(&error, 3), "{error}");
    let mut out = [0.0; 5];
    assert!(SymmetricOperator::<Host<f64>>::apply(&mut three(), &[1.0; 5], &mut out).is_err());
    assert!(Mean::new(space.clone(), vec![three(), three()]).is_err());
    assert!(Mean::new(Host::<f64>::new(3), vec![three(), two()]).is_err());
    let mut mean = Mean::new(Host::<f64>::new(3), vec![three(), three()]).unwrap();
    assert!(mismatch(
        &estimate(&space, &mut mean, &params(2)).unwrap_err(),
        3
    ));
    let calls = Cell::new(0);
    let gradient = |_: &[f64], g: &mut [f64]| {
        calls.set(calls.get() + 1);
        g.fill(1.0);
        Ok(())
    };
    let mut quotient = DifferenceQuotient::new(HostGradient::<_, f64>::new(&[0.0; 4], gradient));
    assert!(mismatch(
        &estimate(&space, &mut quotient, &params(2)).unwrap_err(),
        4
    ));
    let mut optimizer = Fosi::new(space.clone(), GradientDescent, FosiConfig::default()).unwrap();
    assert!(mismatch(&optimizer.refresh(&mut quotient).unwrap_err(), 4));
    assert!(mismatch(&optimizer.refresh(&mut three()).unwrap_err(), 3));
    assert_eq!(calls.get(), 0);
}

#[test]
fn odd_sizes_are_refused_or_served() {
    assert!(DenseMatrix::new(1 << 32, vec![1.0]).is_err());
    let empty = Host::<f64>::new(0);
    let mut nothing = DenseMatrix::new(0, Vec::new()).unwrap();
    let found = estimate(&empty, &mut nothing, &params(2)).unwrap();
    assert!(found.eigenvalues.is_empty());
    SymmetricOperator::<Host<f64>>::apply(&mut nothing, &[], &mut []).unwrap();
}

// ---- The paper's algorithm
// ---------------------------------------------------------------------------------------------

#[test]
fn the_schedule_of_the_paper_is_an_epoch_and_eight_hundred_steps() {
    let config = FosiConfig::paper(235);
    config.validate().unwrap();
    let schedule = Schedule::Every {
        warmup: 235,
        interval: 800,
    };
    assert_eq!(config.schedule, schedule);
    assert_eq!((config.largest, config.smallest), (10, 0));
    assert_eq!(
        (config.scale_limit, config.newton_rate.at(7, 0.1, 0.2)),
        (3.0, 0.01)
    );
    assert!(!config.safeguards);
}
