//! `minimize_with`: why it stops, what it counts, and that FOSI needs fewer steps than its base.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::time::Duration;

use fosi::base::{Adam, Base, GradientDescent, HeavyBall, Nesterov};
use fosi::minimize::Objective;
use fosi::minimize::with_base::{Minimum, Options, Status, minimize_with};
use fosi::{Error, FosiConfig, Host, Rate, Schedule};

/// (Σ λᵢxᵢ²)/2 with its counts of calls.
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
        newton_rate: Rate::Constant(0.5),
        schedule: Schedule::Every {
            warmup: 2,
            interval: 10,
        },
        ..FosiConfig::default()
    }
}

fn run(objective: Objective<'_>, config: FosiConfig, options: Options<'_>) -> Minimum {
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
    assert!(minimum.gradient_norm <= 1e-6 && minimum.steps < 9000);
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
        (minimum.gradients, minimum.value),
        (1, 0.5 * CURVATURE.iter().sum::<f64>())
    );
    let stopping = Options {
        callback: Some(Box::new(|at| {
            if at.step == 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })),
        ..few()
    };
    let minimum = run(quadratic(&counts), config(), stopping);
    assert!(matches!(minimum.status, Status::Callback) && minimum.steps == 3);
    let far = minimize_with(
        quadratic(&counts),
        &[1.0; 8],
        GradientDescent,
        10.0,
        FosiConfig::base_only(),
        Options::default(),
    );
    let far = far.unwrap();
    assert!(matches!(far.status, Status::NonFinite), "{far:?}");
    // The best point is the start, and it is finite.
    assert!(far.parameters == [1.0; 8] && far.value.is_finite());
    let failing = Objective::new(8, |_x: &[f64], _g: &mut [f64]| Err("out of domain".into()));
    let minimum = run(failing, config(), few());
    assert!(
        matches!(&minimum.status, Status::Failed(Error::User(e)) if e.to_string() == "out of domain")
    );
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
    assert!(
        matches!(minimum.status, Status::Failed(Error::InvalidSetting { .. }))
            && minimum.steps == 4
    );
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
    // A gradient for each step and one at the end; refreshes at 2, 12, 22 and 32 of m = min(4k, n) products each.
    assert_eq!(
        (exact.gradients, exact.products, exact.steps),
        (36, 4 * 8, 35)
    );
    let steps: Vec<u64> = exact.refreshes.iter().map(|r| r.step).collect();
    assert_eq!(steps, [2, 12, 22, 32]);
    let counts = Counts::default();
    let quotients = run(quadratic(&counts), config(), options());
    assert_eq!(
        (quotients.gradients, counts.products.get()),
        (counts.values.get(), 0)
    );
    let reported: usize = quotients.refreshes.iter().map(|r| r.info.products).sum();
    assert_eq!(quotients.products, reported as u64);
    assert_eq!(quotients.gradients, 36 + quotients.products + 4);
    // Both ways see the same curvature, to the quotient's accuracy.
    for (a, b) in exact.refreshes[0]
        .eigenvalues
        .iter()
        .zip(&quotients.refreshes[0].eigenvalues)
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
        (minimum.refreshes.len(), minimum.failed_refreshes.len()),
        (2, 2)
    );
    assert_eq!(minimum.products, calls.get());
    let message = minimum.failed_refreshes[1].to_string();
    assert!(
        message.contains("step 22") && message.contains("no product"),
        "{message}"
    );
}

#[test]
fn the_callback_sees_each_step_and_refresh() {
    let counts = Counts::default();
    let mut seen = Vec::new();
    let options = Options {
        max_steps: 25,
        gradient_norm: 0.0,
        callback: Some(Box::new(|at| {
            assert_eq!(at.parameters.len(), 8);
            assert!(at.value > 0.0 && at.gradient_norm > 0.0);
            seen.push((at.step, at.refresh.map(|r| r.step)));
            ControlFlow::Continue(())
        })),
        ..Options::default()
    };
    run(with_product(&counts), config(), options);
    let expected: Vec<_> = (0..25)
        .map(|t| (t, [2, 12, 22].contains(&t).then_some(t)))
        .collect();
    assert_eq!(seen, expected);
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
    // Three eigenvalues stand out from sixty within [1, 2]; the base's rate suits the largest.
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
        newton_rate: Rate::Constant(0.5),
        schedule: Schedule::Every {
            warmup: 0,
            interval: 1,
        },
        ..FosiConfig::default()
    };
    // The base's rate is bound by λ₁ ≈ 1000. The Newton step takes that direction, and the rest bears a larger rate.
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
