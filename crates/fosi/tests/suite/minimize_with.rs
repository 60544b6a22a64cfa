//! `minimize_with`: reasons for stopping, counts, and that FOSI needs fewer steps than its base.

use std::cell::Cell;
use std::time::Duration;

use fosi::base::{Adam, Base, GradientDescent, HeavyBall, Nesterov};
use fosi::minimize::with_base::{BaseMinimizer, LearningRate, Options, minimize_with};
use fosi::minimize::{Curvature, Minimum, Objective, Status};
use fosi::{Error, FosiConfig, Host, NewtonRate, Rate, Schedule};

/// (Σ λᵢxᵢ²)/2 with counts of calls.
#[derive(Default)]
struct Counts {
    values: Cell<u64>,
    products: Cell<u64>,
}

const CURVATURE: [f64; 8] = [1000.0, 300.0, 5.0, 4.0, 3.0, 2.0, 1.5, 1.0];

fn quadratic(counts: &Counts) -> Objective<'_> {
    Objective::new(8, |x: &[f64], g: &mut [f64]| {
        counts.values.set(counts.values.get() + 1);
        let mut value = 0.0;
        for i in 0..8 {
            g[i] = CURVATURE[i] * x[i];
            value += 0.5 * g[i] * x[i];
        }
        Ok(value)
    })
}

fn with_product(counts: &Counts) -> Objective<'_> {
    quadratic(counts).with_product(|_x, v, out| {
        counts.products.set(counts.products.get() + 1);
        for i in 0..8 {
            out[i] = CURVATURE[i] * v[i];
        }
        Ok(())
    })
}

fn config() -> FosiConfig {
    FosiConfig {
        largest: 2,
        newton_rate: NewtonRate::Constant(0.5),
        schedule: Schedule::Every {
            warmup: 2,
            interval: 10,
        },
        ..crate::raw()
    }
}

fn run(objective: Objective<'_>, config: FosiConfig, options: Options) -> Minimum {
    minimize_with(
        objective,
        &[1.0; 8],
        HeavyBall::new(0.5),
        1e-3,
        config,
        options,
    )
    .unwrap()
}

#[test]
fn every_status_has_its_cause() {
    let counts = Counts::default();
    let few = || Options {
        max_steps: 7,
        ..Options::default()
    };
    let minimum = run(
        quadratic(&counts),
        config(),
        Options {
            max_steps: 9000,
            ..few()
        },
    );
    assert!(
        matches!(minimum.status, Status::GradientNorm),
        "{minimum:?}"
    );
    assert!(minimum.best.gradient_norm <= 1e-6 && minimum.steps < 9000);
    let minimum = run(quadratic(&counts), config(), few());
    assert!(
        matches!(minimum.status, Status::MaxSteps) && minimum.steps == 7,
        "{minimum:?}"
    );
    let none = Options {
        max_time: Some(Duration::ZERO),
        ..few()
    };
    let minimum = run(quadratic(&counts), config(), none);
    assert!(matches!(minimum.status, Status::MaxTime) && minimum.steps == 0);
    assert_eq!(
        (minimum.gradients, minimum.best.value),
        (1, 0.5 * CURVATURE.iter().sum::<f64>())
    );
    let far = minimize_with(
        quadratic(&counts),
        &[1.0; 8],
        GradientDescent,
        10.0,
        FosiConfig::base_only(),
        Options {
            backtracking: false,
            ..Options::default()
        },
    );
    let far = far.unwrap();
    assert!(matches!(far.status, Status::NonFinite), "{far:?}");
    // The best point is the start, and it is finite.
    assert!(far.best.parameters == [1.0; 8] && far.best.value.is_finite());
    let calls = Cell::new(0);
    let failing = Objective::new(8, |x: &[f64], g: &mut [f64]| {
        calls.set(calls.get() + 1);
        g.copy_from_slice(x);
        match calls.get() {
            1..4 => Ok(0.5 * x.iter().map(|x| x * x).sum::<f64>()),
            _ => Err("out of domain".into()),
        }
    });
    let minimum = run(failing, FosiConfig::base_only(), few());
    let Status::Failed(error) = &minimum.status else {
        panic!("{minimum:?}");
    };
    assert!(error.to_string() == "out of domain" && minimum.steps == 2);
    let rate = Rate::scheduled(|t| if t == 4 { f64::NAN } else { 1e-3 });
    let minimum = minimize_with(
        quadratic(&counts),
        &[1.0; 8],
        HeavyBall::new(0.5),
        rate,
        config(),
        few(),
    )
    .unwrap();
    let Status::Failed(error) = &minimum.status else {
        panic!("{minimum:?}");
    };
    assert!(matches!(**error, Error::InvalidSetting { .. }) && minimum.steps == 4);
}

#[test]
fn impossible_calls_are_errors_before_anything_is_computed() {
    let counts = Counts::default();
    let tolerance = Options {
        gradient_norm: f64::NAN,
        ..Options::default()
    };
    let call = |start: &[f64], rate: f64, options| {
        minimize_with(
            quadratic(&counts),
            start,
            HeavyBall::new(0.5),
            rate,
            config(),
            options,
        )
        .unwrap_err()
    };
    assert!(matches!(
        call(&[1.0; 8], 0.1, tolerance),
        Error::InvalidSetting { .. }
    ));
    assert!(matches!(
        call(&[1.0; 8], -0.1, Options::default()),
        Error::InvalidSetting { .. }
    ));
    let error = call(&[1.0; 7], 0.1, Options::default());
    assert!(
        matches!(
            error,
            Error::DimensionMismatch {
                expected: 8,
                found: 7,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(counts.values.get(), 0);
}

#[test]
fn counts_are_exact() {
    let options = || Options {
        max_steps: 35,
        gradient_norm: 0.0,
        ..Options::default()
    };
    let counts = Counts::default();
    let exact = run(with_product(&counts), config(), options());
    assert_eq!(
        (exact.gradients, exact.products),
        (counts.values.get(), counts.products.get())
    );
    // One gradient per step and one at the end; refreshes at 2, 12, 22 and 32 with m = min(4k, n) products each.
    assert_eq!(
        (exact.gradients, exact.products, exact.steps),
        (36, 4 * 8, 35)
    );
    let steps: Vec<u64> = exact.estimations.iter().map(|r| r.step).collect();
    assert_eq!(steps, [2, 12, 22, 32]);
    let counts = Counts::default();
    let quotients = run(quadratic(&counts), config(), options());
    assert_eq!(
        (quotients.gradients, counts.products.get()),
        (counts.values.get(), 0)
    );
    let reported: usize = quotients.estimations.iter().map(|r| r.info.products).sum();
    assert_eq!(quotients.products, reported as u64);
    assert_eq!(quotients.gradients, 36 + quotients.products + 4);
    // Both kinds of products give the same curvature, to the quotient's accuracy.
    for (a, b) in exact.estimations[0]
        .eigenvalues
        .iter()
        .zip(&quotients.estimations[0].eigenvalues)
    {
        assert!((a - b).abs() < 1e-5 * a, "{a} {b}");
    }
}

#[test]
fn failed_refreshes_are_kept_and_the_run_goes_on() {
    let counts = Counts::default();
    let calls = Cell::new(0);
    let objective = quadratic(&counts).with_product(|_x, v, out| {
        calls.set(calls.get() + 1);
        for i in 0..8 {
            out[i] = if calls.get() == 9 {
                f64::NAN
            } else {
                CURVATURE[i] * v[i]
            };
        }
        if calls.get() == 10 {
            Err("no product".into())
        } else {
            Ok(())
        }
    });
    let minimum = run(
        objective,
        config(),
        Options {
            max_steps: 35,
            gradient_norm: 0.0,
            ..Options::default()
        },
    );
    assert!(matches!(minimum.status, Status::MaxSteps));
    assert_eq!(
        (minimum.estimations.len(), minimum.failed_estimations.len()),
        (2, 2)
    );
    assert_eq!(minimum.products, calls.get());
    let message = &minimum.failed_estimations[1].reason;
    assert!(
        message.contains("step 22") && message.contains("no product"),
        "{message}"
    );
}

#[test]
fn a_loop_of_ones_own_sees_each_step_and_estimation() {
    let counts = Counts::default();
    let mut f = with_product(&counts);
    let options = Options {
        gradient_norm: 0.0,
        ..Options::default()
    };
    let base = HeavyBall::new(0.5);
    let mut run = BaseMinimizer::new(&mut f, &[1.0; 8], base, 1e-3, config(), options).unwrap();
    let mut seen = Vec::new();
    for _ in 0..25 {
        assert!(run.step(&mut f).is_none());
        assert!(run.value() > 0.0 && run.gradient_norm() > 0.0 && run.parameters().len() == 8);
        seen.push((run.steps(), run.estimations().len()));
    }
    // Estimations before the steps 3, 13 and 23.
    let made = |t: u64| [2, 12, 22].iter().filter(|made| **made < t).count();
    let expected: Vec<_> = (1..=25).map(|t| (t, made(t))).collect();
    assert_eq!(seen, expected);
}

/// A rate that falls because the curvature grows is not a schedule: α is constant.
#[test]
fn the_newton_rate_does_not_follow_the_rate_of_the_spectrum() {
    let run = |newton_rate| {
        // Σ wᵢ ln cosh xᵢ, whose curvature is largest at its minimum.
        let f = Objective::new(4, |x: &[f64], g: &mut [f64]| {
            let mut value = 0.0;
            for (i, (x, g)) in x.iter().zip(g).enumerate() {
                let weight = (i + 1) as f64;
                *g = weight * x.tanh();
                value += weight * x.cosh().ln();
            }
            Ok(value)
        });
        let config = FosiConfig {
            largest: 2,
            newton_rate,
            schedule: Schedule::Every {
                warmup: 0,
                interval: 3,
            },
            ..crate::raw()
        };
        let rate = LearningRate::FromSpectrum;
        let options = Options {
            max_steps: 20,
            ..Options::default()
        };
        minimize_with(f, &[1.5; 4], GradientDescent, rate, config, options).unwrap()
    };
    let (following, constant) = (
        run(NewtonRate::Following(0.5)),
        run(NewtonRate::Constant(0.5)),
    );
    let smallest = |i: usize| constant.estimations[i].eigenvalues[1];
    assert!(smallest(2) > 1.1 * smallest(0), "{constant:?}");
    assert_eq!(following.last, constant.last);
}

#[test]
fn the_rate_follows_from_the_spectrum() {
    let counts = Counts::default();
    let run = |config: FosiConfig| {
        let (f, rate) = (with_product(&counts), LearningRate::FromSpectrum);
        minimize_with(
            f,
            &[1.0; 8],
            GradientDescent,
            rate,
            config,
            Options::default(),
        )
    };
    let quadratic = |largest| FosiConfig {
        largest,
        ..FosiConfig::quadratic()
    };
    // η = 1/λ₃ = 1/5; along the other eigenvectors, with λ from 4 to 1, a step leaves at most 1 − 1/5.
    let minimum = run(quadratic(3)).unwrap();
    assert!(
        matches!(minimum.status, Status::GradientNorm),
        "{minimum:?}"
    );
    let expected = (4e-7_f64).ln() / 0.8_f64.ln();
    assert!(
        (minimum.steps as f64) < expected + 2.0,
        "{} of {expected}",
        minimum.steps
    );
    assert_eq!(minimum.estimations[0].step, 0);
    let error = run(FosiConfig {
        largest: 0,
        smallest: 1,
        ..FosiConfig::quadratic()
    });
    assert!(error.unwrap_err().to_string().contains("largest (k)"));
    let (f, rate) = (with_product(&counts), LearningRate::FromSpectrum);
    let error = minimize_with(
        f,
        &[1.0; 8],
        Adam::default(),
        rate,
        quadratic(3),
        Options::default(),
    );
    let message = error.unwrap_err().to_string();
    assert!(
        message.contains("adam") && message.contains("linear"),
        "{message}"
    );
    // The rank is 2: the third eigenvalue is rounding, and the rate follows from the second.
    let flat = Objective::new(4, |x: &[f64], g: &mut [f64]| {
        g.copy_from_slice(&[3.0 * x[0], 2.0 * x[1], 0.0, 0.0]);
        Ok(1.5 * x[0] * x[0] + x[1] * x[1])
    })
    .with_product(|_, v, out| {
        out.copy_from_slice(&[3.0 * v[0], 2.0 * v[1], 0.0, 0.0]);
        Ok(())
    });
    let rate = LearningRate::FromSpectrum;
    let minimum = minimize_with(
        flat,
        &[1.0; 4],
        GradientDescent,
        rate,
        quadratic(3),
        Options::default(),
    );
    let minimum = minimum.unwrap();
    assert!(
        matches!(minimum.status, Status::GradientNorm),
        "{minimum:?}"
    );
    // A maximum: no eigenvalue is positive.
    let hill = Objective::new(2, |x: &[f64], g: &mut [f64]| {
        (g[0], g[1]) = (-x[0], -2.0 * x[1]);
        Ok(-0.5 * x[0] * x[0] - x[1] * x[1])
    });
    let rate = LearningRate::FromSpectrum;
    let minimum = minimize_with(
        hill,
        &[1.0; 2],
        GradientDescent,
        rate,
        quadratic(1),
        Options::default(),
    );
    let minimum = minimum.unwrap();
    assert!(
        minimum.status.to_string().contains("give a learning rate"),
        "{minimum:?}"
    );
    // The smallest eigenvalue is only known from difference quotients.
    assert!(
        matches!(minimum.curvature, Curvature::Unresolved { .. }),
        "{minimum:?}"
    );
}

/// With this rate the step ends on the maximum between the wells, where the gradient is 0.
#[test]
fn a_step_onto_a_maximum_is_shortened() {
    let well = || {
        Objective::new(1, |x: &[f64], g: &mut [f64]| {
            g[0] = x[0].powi(3) - x[0];
            Ok(x[0].powi(4) / 4.0 - x[0] * x[0] / 2.0)
        })
    };
    let rate = 1.2 / 0.528;
    let run = |backtracking| {
        let options = Options {
            backtracking,
            ..Options::default()
        };
        let config = FosiConfig::base_only();
        minimize_with(well(), &[1.2], GradientDescent, rate, config, options).unwrap()
    };
    // The rate is also too large for gradient descent at the minimum, so the run only comes close to it.
    let minimum = run(true);
    assert!(minimum.last.value < -0.2499, "{minimum:?}");
    assert!(
        (minimum.best.parameters[0] - 1.0).abs() < 1e-2,
        "{:?}",
        minimum.best
    );
    // Without backtracking, the last, stationary point differs from the best one.
    let minimum = run(false);
    assert!(minimum.last.gradient_norm <= 1e-6 && minimum.last.value > minimum.best.value);
    assert!((minimum.best.gradient_norm - 0.528).abs() < 1e-12);
}

#[test]
fn values_that_are_not_finite_are_stepped_back_from() {
    let f = Objective::new(1, |x: &[f64], g: &mut [f64]| {
        g[0] = 1.0 - 1.0 / x[0];
        Ok(x[0] - x[0].ln())
    });
    let config = FosiConfig::base_only();
    let minimum =
        minimize_with(f, &[3.0], GradientDescent, 4.5, config, Options::default()).unwrap();
    assert!(
        (minimum.best.parameters[0] - 1.0).abs() < 1e-5,
        "{minimum:?}"
    );
}

#[test]
fn time_is_looked_at_within_an_estimation() {
    let counts = Counts::default();
    let slow = quadratic(&counts).with_product(|_x, v, out| {
        counts.products.set(counts.products.get() + 1);
        std::thread::sleep(Duration::from_millis(50));
        out.copy_from_slice(v);
        Ok(())
    });
    let options = Options {
        max_time: Some(Duration::from_millis(120)),
        ..Options::default()
    };
    let minimum = run(slow, FosiConfig::quadratic(), options);
    assert!(matches!(minimum.status, Status::MaxTime), "{minimum:?}");
    assert!(counts.products.get() <= 3 && minimum.estimations.is_empty());
}

#[test]
fn k_and_the_rate_change_between_steps() {
    let counts = Counts::default();
    let mut f = with_product(&counts);
    let options = Options {
        gradient_norm: 0.0,
        ..Options::default()
    };
    let mut run =
        BaseMinimizer::new(&mut f, &[1.0; 8], GradientDescent, 1e-3, config(), options).unwrap();
    for _ in 0..12 {
        run.step(&mut f);
    }
    run.optimizer_mut().set_eigenpairs(4, 1).unwrap();
    let error = run.optimizer_mut().set_eigenpairs(0, 0).unwrap_err();
    assert!(matches!(error, Error::InvalidSetting { .. }), "{error}");
    run.step(&mut f);
    let counts: Vec<usize> = run
        .estimations()
        .iter()
        .map(|e| e.eigenvalues.len())
        .collect();
    assert_eq!(counts, [2, 5]);
}

/// Steps until ‖∇f‖ ≤ 1e-6, of the base alone and with FOSI.
fn steps<B: Base<Host<f64>>>(
    objective: impl Fn() -> Objective<'static>,
    start: &[f64],
    base: impl Fn() -> B,
    [base_rate, fosi_rate]: [f64; 2],
    config: FosiConfig,
) -> (u64, u64) {
    let steps = |rate: f64, config| {
        let options = Options {
            max_steps: 200_000,
            ..Options::default()
        };
        let minimum = minimize_with(objective(), start, base(), rate, config, options).unwrap();
        assert!(
            matches!(minimum.status, Status::GradientNorm),
            "{minimum:?}"
        );
        minimum.steps
    };
    (
        steps(base_rate, FosiConfig::base_only()),
        steps(fosi_rate, config),
    )
}

#[test]
fn ill_conditioned_quadratics_take_far_fewer_steps() {
    // Three outliers above sixty eigenvalues within [1, 2]; the base's rate suits the largest.
    let eigenvalue = |i: usize| {
        if i < 3 {
            2000.0 / (i + 1) as f64
        } else {
            1.0 + i as f64 / 63.0
        }
    };
    let objective = || {
        Objective::new(63, move |x: &[f64], g: &mut [f64]| {
            let mut value = 0.0;
            for (i, (x, g)) in x.iter().zip(g).enumerate() {
                *g = eigenvalue(i) * x;
                value += 0.5 * *g * x;
            }
            Ok(value)
        })
    };
    let config = |scale_limit| FosiConfig {
        largest: 3,
        scale_limit,
        strong_convexity: Some(1.0),
        ..FosiConfig::quadratic()
    };
    let start = vec![1.0; 63];
    for (base, fosi) in [
        steps(
            objective,
            &start,
            || GradientDescent,
            [9e-4; 2],
            config(3.0),
        ),
        steps(
            objective,
            &start,
            || HeavyBall::new(0.5),
            [9e-4; 2],
            config(3.0),
        ),
        steps(
            objective,
            &start,
            || Nesterov::new(0.5),
            [6e-4; 2],
            config(3.0),
        ),
    ] {
        assert!(14 * fosi <= 5 * base, "{fosi} instead of {base}");
    }
    // Without the limit, the scale is the whole ratio of the condition numbers. k = 4 leaves L₂ = 2.
    let all = FosiConfig {
        largest: 4,
        ..config(f64::INFINITY)
    };
    let (base, fosi) = steps(objective, &start, || GradientDescent, [9e-4; 2], all);
    assert!(100 * fosi <= base, "{fosi} instead of {base}");
}

#[test]
fn rosenbrocks_valley_takes_fewer_steps() {
    let objective = || {
        Objective::new(2, |x: &[f64], g: &mut [f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            g[0] = -2.0 * a - 400.0 * x[0] * b;
            g[1] = 200.0 * b;
            Ok(a * a + 100.0 * b * b)
        })
    };
    let config = || FosiConfig {
        largest: 1,
        newton_rate: NewtonRate::Constant(0.5),
        schedule: Schedule::Every {
            warmup: 0,
            interval: 1,
        },
        ..crate::raw()
    };
    // λ₁ ≈ 1000 bounds the base's rate. The Newton step takes that direction, and the complement permits a larger rate.
    let start = [-1.2, 1.0];
    let (base, fosi) = steps(
        objective,
        &start,
        || HeavyBall::new(0.5),
        [2e-3, 2e-2],
        config(),
    );
    assert!(2 * fosi <= base, "Heavy-Ball: {fosi} instead of {base}");
    let (base, fosi) = steps(
        objective,
        &start,
        || GradientDescent,
        [1e-3, 1e-2],
        config(),
    );
    assert!(
        2 * fosi <= base,
        "gradient descent: {fosi} instead of {base}"
    );
    let (base, fosi) = steps(
        objective,
        &start,
        || Nesterov::new(0.5),
        [1e-3, 1e-2],
        config(),
    );
    assert!(2 * fosi <= base, "Nesterov: {fosi} instead of {base}");
    let (base, fosi) = steps(objective, &start, Adam::default, [1e-2; 2], config());
    assert!(fosi <= base, "Adam: {fosi} instead of {base}");
}

/// A linear function has no curvature: the estimation is reported, and the steps are the base's.
#[test]
fn an_estimation_without_curvature_is_told() {
    let slope = Objective::new(8, |x: &[f64], g: &mut [f64]| {
        g.fill(1.0);
        Ok(x.iter().sum())
    })
    .with_product(|_x, _v, out| {
        out.fill(0.0);
        Ok(())
    });
    let options = Options {
        max_steps: 3,
        ..Options::default()
    };
    let minimum = run(
        slope,
        FosiConfig {
            largest: 2,
            ..FosiConfig::quadratic()
        },
        options,
    );
    assert_eq!(minimum.steps, 3);
    let [estimation] = &minimum.estimations[..] else {
        panic!("{minimum:?}");
    };
    assert_eq!((estimation.largest, estimation.smallest), (0.0, 0.0));
    assert_eq!(minimum.products, estimation.info.products as u64);
}
