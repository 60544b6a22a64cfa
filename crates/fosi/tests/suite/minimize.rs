//! `minimize`: known minima, estimations that pay, correct statuses, and invalid input.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use fosi::error::BoxError;
use fosi::minimize::{
    Count, Curvature, Estimation, Minimizer, Objective, Options, Status, minimize,
};
use fosi::space::Storage;
use fosi::{Error, Host, Space};

/// The extended Rosenbrock function.
fn rosenbrock(x: &[f64], g: &mut [f64]) -> Result<f64, BoxError> {
    let mut value = 0.0;
    for (x, g) in x.chunks_exact(2).zip(g.chunks_exact_mut(2)) {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        (g[0], g[1]) = (-2.0 * a - 400.0 * x[0] * b, 200.0 * b);
        value += a * a + 100.0 * b * b;
    }
    Ok(value)
}

/// Eigenvalues with ten outliers above a bulk from 1 to 1000.
fn eigenvalues(n: usize) -> Vec<f64> {
    let bulk = |i: usize| 1.0 + 999.0 * (i as f64 / n as f64);
    let of = |i: usize| {
        if i < 10 {
            1e5 * (1.0 + i as f64)
        } else {
            bulk(i)
        }
    };
    (0..n).map(of).collect()
}

/// Σλᵢxᵢ²/2 with its products.
fn quadratic(lambda: &[f64]) -> Objective<'_> {
    Objective::new(lambda.len(), |x: &[f64], g: &mut [f64]| {
        let mut value = 0.0;
        for i in 0..x.len() {
            g[i] = lambda[i] * x[i];
            value += 0.5 * g[i] * x[i];
        }
        Ok(value)
    })
    .with_product(|_, v, out| {
        for i in 0..v.len() {
            out[i] = lambda[i] * v[i];
        }
        Ok(())
    })
}

#[test]
fn rosenbrocks_minimum_is_found_without_a_rate() {
    for n in [2, 100] {
        let start: Vec<f64> = [-1.2, 1.0].repeat(n / 2);
        let minimum = minimize(Objective::new(n, rosenbrock), &start, Options::default()).unwrap();
        assert!(
            matches!(minimum.status, Status::GradientNorm),
            "{minimum:?}"
        );
        assert!(
            minimum
                .best
                .parameters
                .iter()
                .all(|x| (x - 1.0).abs() < 1e-5)
        );
        assert_eq!(minimum.curvature, Curvature::NotExamined);
        assert_eq!(minimum.cost, minimum.gradients);
    }
}

/// With the outliers in the metric, the problem has the bulk's condition number.
#[test]
fn a_spectrum_saves_more_than_it_costs_where_outliers_rule() {
    let lambda = eigenvalues(20_000);
    let cost = |first_estimation, eigenpairs| {
        let options = Options {
            gradient_norm: 0.0,
            relative_gradient_norm: 1e-6,
            first_estimation: Some(first_estimation),
            eigenpairs,
            lanczos_steps: 40,
            ..Options::default()
        };
        let start = vec![1.0; lambda.len()];
        let minimum = minimize(quadratic(&lambda), &start, options).unwrap();
        assert!(
            matches!(minimum.status, Status::GradientNorm),
            "{minimum:?}"
        );
        assert_eq!(minimum.cost, minimum.gradients + minimum.products);
        minimum.cost
    };
    let plain = cost(u64::MAX, Count::Fixed(20));
    for eigenpairs in [Count::Fixed(20), Count::Resolved(50)] {
        let with_spectrum = cost(20, eigenpairs);
        assert!(2 * with_spectrum < plain, "{with_spectrum} of {plain}");
    }
}

/// Without exact products, the gradients of difference quotients are counted.
#[test]
fn difference_quotients_serve_where_there_is_no_product() {
    let lambda = eigenvalues(500);
    let gradient = |x: &[f64], g: &mut [f64]| {
        g.iter_mut()
            .zip(x)
            .zip(&lambda)
            .for_each(|((g, x), l)| *g = l * x);
        Ok(0.5 * g.iter().zip(x).map(|(g, x)| g * x).sum::<f64>())
    };
    let options = Options {
        gradient_norm: 1e-3,
        first_estimation: Some(20),
        ..Options::default()
    };
    let minimum = minimize(Objective::new(500, gradient), &[1.0; 500], options).unwrap();
    assert!(
        matches!(minimum.status, Status::GradientNorm),
        "{minimum:?}"
    );
    assert_eq!(minimum.cost, minimum.gradients);
    assert!(minimum.products >= 60 && minimum.gradients > minimum.products);
    let largest = minimum.estimations[0].largest;
    assert!((largest / 1e6 - 1.0).abs() < 1e-4, "{largest}");
}

#[test]
fn vectors_in_single_precision_serve_too() {
    let space = Host::<f32>::new(2);
    let f = Objective::in_space(space, |x: &[f32], g: &mut [f32]| {
        (g[0], g[1]) = (100.0 * x[0], x[1] - 1.0);
        Ok(f64::from(
            50.0 * x[0] * x[0] + 0.5 * (x[1] - 1.0) * (x[1] - 1.0),
        ))
    });
    let options = Options {
        gradient_norm: 1e-4,
        ..Options::default()
    };
    let minimum = minimize(f, &[1.0, 5.0], options).unwrap();
    assert!(
        matches!(minimum.status, Status::GradientNorm),
        "{minimum:?}"
    );
    assert!((minimum.best.parameters[1] - 1.0).abs() < 1e-3);
}

fn double_well(x: &[f64], g: &mut [f64]) -> Result<f64, BoxError> {
    (g[0], g[1]) = (x[0], x[1].powi(3) - x[1]);
    Ok(0.5 * x[0] * x[0] + x[1].powi(4) / 4.0 - x[1] * x[1] / 2.0)
}

#[test]
fn the_eigenvectors_in_the_metric_are_those_of_its_estimations() {
    let curvature: Vec<f64> = (0..200)
        .map(|i| if i < 3 { 1e4 / (i + 1) as f64 } else { 1.0 })
        .collect();
    let mut function = Objective::new(200, |x: &[f64], g: &mut [f64]| {
        let terms = g.iter_mut().zip(x).zip(&curvature);
        Ok(terms
            .map(|((g, x), c)| {
                *g = c * x;
                0.5 * c * x * x
            })
            .sum())
    });
    let options = Options {
        first_estimation: Some(0),
        check_minimum: true,
        ..Options::default()
    };
    let mut run = Minimizer::new(&mut function, &[1.0; 200], options).unwrap();
    assert!(run.basis().is_none());
    while run.step(&mut function).is_none() {}
    let [first, last] = run.estimations() else {
        panic!("{:?}", run.estimations());
    };
    assert!(first.in_metric && !last.in_metric);
    // A saved run of before the field is taken to have had such estimations alone.
    let mut saved = serde_json::to_value(last).unwrap();
    saved.as_object_mut().unwrap().remove("in_metric");
    let restored: Estimation = serde_json::from_value(saved).unwrap();
    assert!(restored.in_metric);
    let (space, basis) = (Host::<f64>::new(200), run.basis().unwrap());
    assert_eq!(space.size(basis), first.eigenvalues.len());
    for (i, (found, exact)) in first.eigenvalues.iter().zip(&curvature[..3]).enumerate() {
        assert!((found / exact - 1.0).abs() < 1e-6);
        assert!((space.column(basis, i)[i].abs() - 1.0).abs() < 1e-6);
    }
}

#[test]
fn a_saddle_is_not_called_a_minimum_and_is_left() {
    let saddle = minimize(
        Objective::new(2, double_well),
        &[1.0, 0.0],
        Options::default(),
    )
    .unwrap();
    assert!(matches!(saddle.status, Status::GradientNorm));
    assert_eq!(saddle.curvature, Curvature::NotExamined);
    assert_eq!(saddle.best.value, 0.0);
    let options = Options {
        check_minimum: true,
        ..Options::default()
    };
    let minimum = minimize(Objective::new(2, double_well), &[1.0, 0.0], options).unwrap();
    assert!((minimum.best.value + 0.25).abs() < 1e-10, "{minimum:?}");
    let Curvature::NoneNegative { smallest } = minimum.curvature else {
        panic!("{minimum:?}");
    };
    // At (0, ±1) the Hessian is diag(1, 2).
    assert!((smallest - 1.0).abs() < 1e-4, "{smallest}");
    assert_eq!(minimum.estimations[0].smallest.round(), -1.0);
    // The check's products do not count as cost of the run.
    assert_eq!(minimum.cost, minimum.gradients);
    assert!(
        minimum
            .estimations
            .iter()
            .all(|estimation| estimation.info.products > 0)
    );
}

#[test]
fn a_maximum_along_a_line_is_left_by_the_line_search() {
    let f = Objective::new(1, |x: &[f64], g: &mut [f64]| {
        g[0] = x[0].powi(3) - x[0];
        Ok(x[0].powi(4) / 4.0 - x[0] * x[0] / 2.0)
    });
    let minimum = minimize(f, &[1.2], Options::default()).unwrap();
    assert!(
        (minimum.best.parameters[0] - 1.0).abs() < 1e-6,
        "{minimum:?}"
    );
}

#[test]
fn values_that_are_not_finite_are_stepped_back_from() {
    let f = Objective::new(1, |x: &[f64], g: &mut [f64]| {
        g[0] = 1.0 - 1.0 / x[0];
        Ok(x[0] - x[0].ln())
    });
    let minimum = minimize(f, &[0.01], Options::default()).unwrap();
    assert!(
        (minimum.best.parameters[0] - 1.0).abs() < 1e-5,
        "{minimum:?}"
    );
}

#[test]
fn time_is_looked_at_within_an_estimation() {
    let lambda = eigenvalues(200);
    let slow = Objective::new(200, |x: &[f64], g: &mut [f64]| {
        g.iter_mut()
            .zip(x)
            .zip(&lambda)
            .for_each(|((g, x), l)| *g = l * x);
        Ok(0.5 * g.iter().zip(x).map(|(g, x)| g * x).sum::<f64>())
    })
    .with_product(|_, v, out| {
        std::thread::sleep(Duration::from_millis(50));
        out.iter_mut()
            .zip(v)
            .zip(&lambda)
            .for_each(|((out, v), l)| *out = l * v);
        Ok(())
    });
    let options = Options {
        first_estimation: Some(1),
        max_time: Some(Duration::from_millis(100)),
        ..Options::default()
    };
    let started = Instant::now();
    let minimum = minimize(slow, &[1.0; 200], options).unwrap();
    assert!(matches!(minimum.status, Status::MaxTime), "{minimum:?}");
    assert!(minimum.products < 10);
    // A hundred products take five seconds.
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[test]
fn each_stop_is_named() {
    let run = |options: Options| {
        let minimum = minimize(Objective::new(2, rosenbrock), &[-1.2, 1.0], options).unwrap();
        minimum.status
    };
    let cost = run(Options {
        max_cost: 5,
        ..Options::default()
    });
    assert!(matches!(cost, Status::MaxCost));
    let steps = run(Options {
        max_steps: 2,
        ..Options::default()
    });
    assert!(matches!(steps, Status::MaxSteps));
    let relative = run(Options {
        gradient_norm: 0.0,
        relative_gradient_norm: 1e-3,
        ..Options::default()
    });
    assert!(matches!(relative, Status::GradientNorm));
    let change = run(Options {
        value_change: 0.5,
        ..Options::default()
    });
    assert!(matches!(change, Status::ValueChange));
    let exhausted = run(Options {
        gradient_norm: 0.0,
        ..Options::default()
    });
    assert!(
        matches!(exhausted, Status::Stalled | Status::GradientNorm),
        "{exhausted}"
    );
    let falling = Objective::new(1, |x: &[f64], g: &mut [f64]| {
        g[0] = -1.0;
        Ok(if x[0] > 1e6 { f64::NEG_INFINITY } else { -x[0] })
    });
    let unbounded = minimize(falling, &[0.0], Options::default()).unwrap();
    assert!(
        matches!(unbounded.status, Status::Unbounded),
        "{unbounded:?}"
    );
}

#[test]
fn a_function_that_fails_ends_the_run_with_what_was_found() {
    let calls = Rc::new(Cell::new(0));
    let count = Rc::clone(&calls);
    let f = Objective::new(2, move |x: &[f64], g: &mut [f64]| {
        count.set(count.get() + 1);
        match count.get() > 20 {
            true => Err("the sensor is gone".into()),
            false => rosenbrock(x, g),
        }
    });
    let minimum = minimize(f, &[-1.2, 1.0], Options::default()).unwrap();
    let Status::Failed(error) = &minimum.status else {
        panic!("{minimum:?}");
    };
    assert!(error.to_string().contains("the sensor is gone"));
    assert!(minimum.best.value < 24.2);
}

#[test]
fn equal_calls_give_equal_bits() {
    let lambda = eigenvalues(3000);
    let run = || {
        let options = Options {
            first_estimation: Some(20),
            max_cost: 300,
            ..Options::default()
        };
        let minimum = minimize(quadratic(&lambda), &vec![1.0; 3000], options).unwrap();
        let bits: Vec<u64> = minimum
            .last
            .parameters
            .iter()
            .map(|x| x.to_bits())
            .collect();
        (minimum.cost, minimum.last.value.to_bits(), bits)
    };
    assert_eq!(run(), run());
}

#[test]
fn bad_input_is_refused_with_its_numbers() {
    let refused = |f: Objective<'_>, start: &[f64], options: Options| {
        minimize(f, start, options).expect_err("must be refused")
    };
    let message = |error: Error| error.to_string();
    let error = refused(Objective::new(2, rosenbrock), &[1.0], Options::default());
    assert!(matches!(
        error,
        Error::DimensionMismatch {
            expected: 2,
            found: 1,
            ..
        }
    ));
    let error = refused(Objective::new(0, rosenbrock), &[], Options::default());
    assert!(message(error).contains("at least 1"));
    let error = refused(
        Objective::new(2, rosenbrock),
        &[f64::NAN, 1.0],
        Options::default(),
    );
    assert!(matches!(error, Error::NonFiniteStart { .. }), "{error}");
    let options = Options {
        gradient_norm: f64::NAN,
        ..Options::default()
    };
    let error = refused(Objective::new(2, rosenbrock), &[0.0; 2], options);
    assert!(message(error).contains("gradient_norm"));
    let calls = Cell::new(0.0);
    let noisy = Objective::new(1, |x: &[f64], g: &mut [f64]| {
        calls.set(calls.get() + 1.0);
        g[0] = 2.0 * x[0];
        Ok(x[0] * x[0] + 0.01 * calls.get())
    });
    let error = refused(noisy, &[1.0], Options::default());
    assert!(matches!(error, Error::NotDeterministic { .. }), "{error}");
}

#[test]
fn a_wrong_gradient_is_found_and_a_right_one_is_not() {
    let wrong = |factor: f64| {
        Objective::new(3, move |x: &[f64], g: &mut [f64]| {
            let scale = [1.0, 1.0, factor];
            for i in 0..3 {
                g[i] = scale[i] * (i + 1) as f64 * x[i];
            }
            Ok(0.5 * (x[0] * x[0] + 2.0 * x[1] * x[1] + 3.0 * x[2] * x[2]))
        })
    };
    for factor in [-1.0, 0.0, 2.0] {
        let error = minimize(wrong(factor), &[1.0, 2.0, 3.0], Options::default()).unwrap_err();
        assert!(
            matches!(error, Error::WrongGradient { .. }),
            "{factor}: {error}"
        );
    }
    for start in [1e-6, 1.0, 1e6] {
        minimize(
            wrong(1.0),
            &[start, -start, 2.0 * start],
            Options::default(),
        )
        .unwrap();
    }
    let unchecked = Options {
        check_gradient: false,
        ..Options::default()
    };
    assert!(minimize(wrong(2.0), &[1.0; 3], unchecked).is_ok());
}

/// A run that passes several estimations.
fn options_with_estimations() -> Options {
    Options {
        first_estimation: Some(20),
        lanczos_steps: 30,
        gradient_norm: 0.0,
        max_cost: 600,
        ..Options::default()
    }
}

/// The chained Rosenbrock function, whose curvature changes all along a long valley.
fn chained_rosenbrock(n: usize) -> Objective<'static> {
    Objective::new(n, |x: &[f64], g: &mut [f64]| {
        g.fill(0.0);
        let mut value = 0.0;
        for i in 0..x.len() - 1 {
            let (a, b) = (1.0 - x[i], x[i + 1] - x[i] * x[i]);
            value += a * a + 100.0 * b * b;
            g[i] += -2.0 * a - 400.0 * x[i] * b;
            g[i + 1] += 200.0 * b;
        }
        Ok(value)
    })
}

#[test]
fn a_resumed_minimisation_is_bit_equal() {
    let n = 200;
    let start = [-1.2, 1.0].repeat(n / 2);
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let mut f = chained_rosenbrock(n);
    let mut whole = Minimizer::new(&mut f, &start, options_with_estimations()).unwrap();
    let mut saved = Vec::new();
    let status = loop {
        saved.push(whole.to_bytes().unwrap());
        if let Some(status) = whole.step(&mut f) {
            break status;
        }
    };
    assert!(matches!(status, Status::MaxCost), "{status:?}");
    assert!(whole.estimations().len() >= 2, "{whole:?}");
    let (last, cost) = (bits(whole.parameters()), whole.cost());
    // Before the first estimation, around it and after others.
    for bytes in saved.iter().step_by(17) {
        let space = Host::new(n);
        let mut resumed = Minimizer::from_bytes(space, options_with_estimations(), bytes).unwrap();
        while resumed.step(&mut f).is_none() {}
        assert_eq!(resumed.cost(), cost);
        assert!(bits(resumed.parameters()) == last);
        assert_eq!(resumed.estimations().len(), whole.estimations().len());
    }
}

#[test]
fn a_saved_minimisation_that_does_not_fit_is_refused() {
    let mut f = chained_rosenbrock(60);
    let mut run = Minimizer::new(&mut f, &[-1.2; 60], options_with_estimations()).unwrap();
    while run.eigenpairs() == 0 {
        assert!(run.step(&mut f).is_none(), "{run:?}");
    }
    let bytes = run.to_bytes().unwrap();
    let load = |bytes: &[u8], n| {
        Minimizer::from_bytes(Host::<f64>::new(n), options_with_estimations(), bytes)
    };
    let message = load(&bytes, 61).unwrap_err().to_string();
    assert!(message.contains("60 variables"), "{message}");
    let single = Minimizer::from_bytes(Host::<f32>::new(60), options_with_estimations(), &bytes);
    assert!(matches!(single, Err(Error::Checkpoint(_))));
    for at in (0..bytes.len()).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(load(&damaged, 60).is_err(), "a flipped bit at {at}");
        assert!(load(&bytes[..at], 60).is_err(), "cut at {at}");
    }
    let optimizer = fosi::Fosi::new(
        Host::<f64>::new(60),
        fosi::base::GradientDescent,
        fosi::FosiConfig::default(),
    );
    let mut optimizer = optimizer.unwrap();
    let message = optimizer.restore(&bytes).unwrap_err().to_string();
    assert!(message.contains("it holds a minimisation"), "{message}");
    let other = load(&optimizer.to_bytes().unwrap(), 60).unwrap_err();
    assert!(matches!(other, Error::Checkpoint(_)), "{other}");
    // With a smaller memory the newest pairs stay.
    let options = Options {
        memory: 3,
        ..options_with_estimations()
    };
    let mut smaller = Minimizer::from_bytes(Host::new(60), options, &bytes).unwrap();
    assert!(smaller.step(&mut f).is_none());
}

#[test]
fn a_file_is_saved_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.fosi");
    let mut f = Objective::new(2, rosenbrock);
    let mut run = Minimizer::new(&mut f, &[-1.2, 1.0], Options::default()).unwrap();
    for _ in 0..5 {
        run.step(&mut f);
    }
    run.save(&path).unwrap();
    let mut again = Minimizer::load(Host::new(2), Options::default(), &path).unwrap();
    let status = loop {
        if let Some(status) = again.step(&mut f) {
            break status;
        }
    };
    assert!(matches!(status, Status::GradientNorm));
    let missing = Minimizer::load(
        Host::<f64>::new(2),
        Options::default(),
        folder.path().join("no"),
    );
    assert!(matches!(missing, Err(Error::Io { .. })));
}

#[test]
fn a_result_is_written_as_json() {
    let minimum = minimize(
        Objective::new(2, rosenbrock),
        &[-1.2, 1.0],
        Options::default(),
    );
    let json = serde_json::to_value(minimum.unwrap()).unwrap();
    assert_eq!(json["status"], "the gradient's norm is small enough");
    assert!(json["best"]["value"].as_f64().unwrap() < 1e-10);
    assert_eq!(json["last"]["parameters"].as_array().unwrap().len(), 2);
}

/// vᵀHv < 0 proves negative curvature, however far v is from an eigenvector.
#[test]
fn a_saddle_in_a_wide_spectrum_is_left() {
    let lambda: Vec<f64> = (0..5000)
        .map(|i| -2.0 + 1002.0 * f64::from(i) / 4999.0)
        .collect();
    let options = Options {
        check_minimum: true,
        max_steps: 1,
        ..Options::default()
    };
    let minimum = minimize(quadratic(&lambda), &vec![0.0; 5000], options).unwrap();
    assert!(minimum.best.value < 0.0, "{minimum:?}");
    assert_eq!(minimum.steps, 1);
}

/// The escape from a saddle stays within the limits.
#[test]
fn limits_hold_on_the_way_out_of_a_saddle() {
    let flat = || {
        Objective::new(1, |x: &[f64], g: &mut [f64]| {
            let root = (1.0 + x[0] * x[0]).sqrt();
            g[0] = -1e-7 * x[0] / root;
            Ok(-1e-7 * root)
        })
    };
    let options = |max_steps, max_cost| Options {
        check_minimum: true,
        max_steps,
        max_cost,
        ..Options::default()
    };
    let minimum = minimize(flat(), &[0.0], options(3, 1000)).unwrap();
    assert!(minimum.steps <= 3, "{minimum:?}");
    let minimum = minimize(flat(), &[0.0], options(1000, 20)).unwrap();
    assert!(minimum.cost <= 30, "{minimum:?}");
}

#[test]
fn a_way_out_of_a_saddle_leads_to_finite_gradients_only() {
    let f = Objective::new(2, |x: &[f64], g: &mut [f64]| {
        (g[0], g[1]) = (x[0], if x[1].abs() > 0.05 { f64::NAN } else { -x[1] });
        Ok(0.5 * (x[0] * x[0] - x[1] * x[1]))
    });
    let options = Options {
        check_minimum: true,
        max_steps: 1,
        ..Options::default()
    };
    let minimum = minimize(f, &[0.0; 2], options).unwrap();
    assert!(
        minimum.last.gradient_norm.is_finite() && minimum.last.value < 0.0,
        "{minimum:?}"
    );
}

/// The reported curvature is that at the last point.
#[test]
fn the_curvature_of_a_point_that_was_left_is_not_reported() {
    let f = Objective::new(1, |x: &[f64], g: &mut [f64]| {
        g[0] = -2.5 * (2.5 * x[0]).sin();
        Ok((2.5 * x[0]).cos())
    });
    let options = Options {
        check_minimum: true,
        max_steps: 1,
        ..Options::default()
    };
    let minimum = minimize(f, &[0.0], options).unwrap();
    assert!(minimum.last.parameters[0] != 0.0);
    assert_eq!(minimum.curvature, Curvature::NotExamined);
}

/// Stored in bfloat16, V is not orthonormal; its Gram matrix corrects for this.
#[test]
fn a_basis_in_a_narrow_type_serves_as_well() {
    let n = 120;
    let lambda: Vec<f64> = (0..n)
        .map(|i| {
            if i < 5 {
                1e6 * (i + 1) as f64
            } else {
                1.0 + i as f64 / 100.0
            }
        })
        .collect();
    // Rotated by a reflection along (1, …, 1), so that no eigenvector is a unit vector.
    let reflect = |x: &[f64]| -> Vec<f64> {
        let mean = 2.0 * x.iter().sum::<f64>() / n as f64;
        x.iter().map(|x| x - mean).collect()
    };
    let times = |v: &[f64], out: &mut [f64]| {
        let mut turned = reflect(v);
        turned.iter_mut().zip(&lambda).for_each(|(t, l)| *t *= l);
        out.copy_from_slice(&reflect(&turned));
    };
    let cost = |storage| {
        let space = Host::<f64>::new(n).with_storage(storage);
        let f = Objective::on_host(space, |x: &[f64], g: &mut [f64]| {
            times(x, g);
            Ok(0.5 * x.iter().zip(&*g).map(|(x, g)| x * g).sum::<f64>())
        })
        .with_product(|_, v, out| {
            times(v, out);
            Ok(())
        });
        let options = Options {
            gradient_norm: 1e-3,
            first_estimation: Some(10),
            max_cost: 1000,
            ..Options::default()
        };
        let start: Vec<f64> = (0..n).map(|i| 1.0 + (i % 7) as f64).collect();
        let minimum = minimize(f, &start, options).unwrap();
        assert!(
            matches!(minimum.status, Status::GradientNorm),
            "{storage:?} {minimum:?}"
        );
        minimum.cost
    };
    let full = cost(Storage::Full);
    for storage in [Storage::Single, Storage::Bf16] {
        let found = cost(storage);
        assert!(2 * found <= 3 * full, "{storage:?}: {found} against {full}");
    }
}

/// Difference quotients take a separate step for each magnitude of the variables.
#[test]
fn variables_of_all_magnitudes_have_their_own_difference_steps() {
    for s in [1e5, 1e8] {
        let f = Objective::new(2, |x: &[f64], g: &mut [f64]| {
            let (a, b) = (x[0] / s - 1.5, 1e3 * x[1]);
            (g[0], g[1]) = (a / s, 1e3 * b.sinh());
            Ok(0.5 * a * a + b.cosh())
        });
        let options = Options {
            first_estimation: Some(0),
            max_steps: 1,
            ..Options::default()
        };
        let minimum = minimize(f, &[s, 1e-3], options).unwrap();
        assert!(minimum.failed_estimations.is_empty(), "{minimum:?}");
        let expected = 1e6 * 1.0_f64.cosh();
        let largest = minimum.estimations[0].largest;
        assert!(
            (largest / expected - 1.0).abs() < 1e-4,
            "{largest} {expected}"
        );
    }
}

#[test]
fn what_cannot_be_computed_with_is_said() {
    let scaled = |scale: f64| {
        Objective::new(2, move |x: &[f64], g: &mut [f64]| {
            (g[0], g[1]) = (scale * x[0], 2.0 * scale * x[1]);
            Ok(scale * (0.5 * x[0] * x[0] + x[1] * x[1]))
        })
    };
    for scale in [1e160, 1e-160] {
        let error = minimize(scaled(scale), &[1.0; 2], Options::default()).unwrap_err();
        assert!(error.to_string().contains("scale the function"), "{error}");
    }
    let relative = Options {
        gradient_norm: 0.0,
        relative_gradient_norm: 1e-6,
        ..Options::default()
    };
    for scale in [1e100, 1e-100] {
        let minimum = minimize(scaled(scale), &[1.0; 2], relative.clone()).unwrap();
        assert!(
            matches!(minimum.status, Status::GradientNorm),
            "{scale:e} {minimum:?}"
        );
    }
    let options = Options {
        memory: usize::MAX,
        ..Options::default()
    };
    let error = minimize(scaled(1.0), &[1.0; 2], options).unwrap_err();
    assert!(error.to_string().contains("at most 10,000"), "{error}");
    let point = Objective::new(1, |x: &[f64], g: &mut [f64]| {
        g[0] = 1.0;
        Ok(if x[0] == 1.0 { 1.0 } else { f64::NAN })
    });
    let unchecked = Options {
        check_gradient: false,
        ..Options::default()
    };
    let minimum = minimize(point, &[1.0], unchecked).unwrap();
    assert!(matches!(minimum.status, Status::NonFinite), "{minimum:?}");
    // Only steps shorter than the usual ones show its slope.
    let wave = Objective::new(1, |x: &[f64], g: &mut [f64]| {
        g[0] = 1e6 * (1e6 * x[0]).cos();
        Ok((1e6 * x[0]).sin())
    });
    assert!(minimize(wave, &[0.0], Options::default()).is_ok());
}

/// Down to the last bit: sᵀy underflows during the run, and the saved state can be loaded.
#[test]
fn a_run_to_the_end_of_precision_is_saved_and_loaded() {
    let mut f = Objective::new(3, |x: &[f64], g: &mut [f64]| {
        let mut value = 0.0;
        for i in 0..3 {
            let k = (i + 1) as f64;
            g[i] = 4.0 * k * x[i].powi(3);
            value += k * x[i].powi(4);
        }
        Ok(value)
    });
    let options = Options {
        gradient_norm: 0.0,
        ..Options::default()
    };
    let mut run = Minimizer::new(&mut f, &[1.0; 3], options.clone()).unwrap();
    while run.step(&mut f).is_none() {
        let bytes = run.to_bytes().unwrap();
        assert!(Minimizer::from_bytes(Host::<f64>::new(3), options.clone(), &bytes).is_ok());
    }
}

#[test]
fn estimations_can_be_turned_off_when_a_run_is_resumed() {
    let mut f = chained_rosenbrock(60);
    let mut run = Minimizer::new(&mut f, &[-1.2; 60], options_with_estimations()).unwrap();
    while run.estimations().is_empty() {
        assert!(run.step(&mut f).is_none());
    }
    let options = Options {
        first_estimation: Some(u64::MAX),
        ..options_with_estimations()
    };
    let bytes = run.to_bytes().unwrap();
    let mut resumed = Minimizer::from_bytes(Host::new(60), options, &bytes).unwrap();
    for _ in 0..100 {
        resumed.step(&mut f);
    }
    assert_eq!(resumed.estimations().len(), 1);
    // Continue once more.
    let bytes = resumed.to_bytes().unwrap();
    let options = options_with_estimations();
    let mut again = Minimizer::from_bytes(Host::new(60), options, &bytes).unwrap();
    while again.step(&mut f).is_none() {}
    assert!(again.estimations().len() > 1);
}
