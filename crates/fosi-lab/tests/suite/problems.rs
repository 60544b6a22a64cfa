//! The problems compared with difference quotients, published values and known solutions.

use faer::{Mat, Side};
use fosi::{Host, Space};
use fosi_lab::problems::{self, Function, Problem, ProblemError};

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn moved(x: &[f64], step: f64, v: &[f64]) -> Vec<f64> {
    x.iter().zip(v).map(|(x, v)| x + step * v).collect()
}

/// A seeded direction whose entries have the magnitudes of x's.
fn direction(x: &[f64], seed: u64) -> Vec<f64> {
    let mut v = Host::<f64>::new(x.len()).normal(seed);
    for (v, x) in v.iter_mut().zip(x) {
        *v *= 0.1 + x.abs();
    }
    v
}

/// Central differences of `f` at 0, extrapolated to a step of 0 from two steps.
fn derivative(mut f: impl FnMut(f64) -> Vec<f64>, step: f64) -> Vec<f64> {
    let mut central = |h: f64| -> Vec<f64> {
        let pairs = f(h).into_iter().zip(f(-h));
        pairs.map(|(a, b)| (a - b) / (2.0 * h)).collect()
    };
    let (coarse, fine) = (central(step), central(step / 2.0));
    let pairs = fine.iter().zip(&coarse);
    pairs
        .map(|(fine, coarse)| (4.0 * fine - coarse) / 3.0)
        .collect()
}

/// The points where derivatives are compared: the start, and one nearby without zeros.
fn places(problem: &Problem) -> [Vec<f64>; 2] {
    let start = problem.start(3);
    let beside = moved(&start, 0.03, &direction(&start, 17));
    [start, beside]
}

#[test]
fn gradients_and_products_agree_with_differences() {
    for problem in problems::all().map(Result::unwrap) {
        let n = problem.dim;
        let mut f = problem.function();
        for (x, seed) in places(&problem).iter().zip(0..) {
            assert_eq!(x.len(), n, "{}", problem.name);
            let v = direction(x, seed);
            let mut g = vec![0.0; n];
            let value = f.gradient(x, &mut g);
            assert!(value >= 0.0 || !problem.nonnegative, "{}", problem.name);
            let mut scratch = vec![0.0; n];
            let along = derivative(|h| vec![f.gradient(&moved(x, h, &v), &mut scratch)], 1e-3);
            let (found, expected) = (dot(&g, &v), along[0]);
            let size = norm(&g) * norm(&v);
            assert!(
                (found - expected).abs() < 1e-6 * size + 1e-11 * value.abs(),
                "{}: ∇f·v = {found}, by differences {expected}",
                problem.name
            );
            let mut product = vec![f64::NAN; n];
            f.product(x, &v, &mut product);
            let gradient = |h: f64| {
                let mut g = vec![0.0; n];
                f.gradient(&moved(x, h, &v), &mut g);
                g
            };
            let expected = derivative(gradient, 1e-3);
            let error = norm(&moved(&product, -1.0, &expected));
            assert!(
                error < 1e-6 * norm(&expected) + 1e-10 * norm(&g),
                "{}: Hv is {error:e} of {:e} off",
                problem.name,
                norm(&expected)
            );
        }
    }
}

#[test]
fn names_find_their_problems_and_unknown_ones_the_nearest() {
    for name in problems::names() {
        assert_eq!(problems::named(name).unwrap().name, name);
    }
    match problems::named("mgh:watsn") {
        Err(ProblemError::Name(error)) => {
            assert_eq!(error.nearest.as_deref(), Some("mgh:watson"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn sizes_are_those_of_the_networks() {
    for (name, n) in [
        ("poisson1d", 1_153),
        ("poisson2d", 2_241),
        ("poisson2d-wide", 19_761),
        ("helmholtz", 2_241),
        ("burgers", 2_241),
        ("convection", 2_241),
        ("allen-cahn", 2_241),
        ("digits-mlp", 7_510),
        ("digits-autoencoder", 4_744),
    ] {
        let problem = problems::named(name).unwrap();
        assert_eq!((problem.dim, problem.start(1).len()), (n, n));
        assert_ne!(problem.start(1), problem.start(2));
        assert_eq!(problem.start(1), problem.start(1));
    }
}

/// The lowest values of f in Moré, Garbow and Hillstrom if nonzero, truncated to six digits, and those of other local
/// minima that are reached from the start.
const PUBLISHED: [(&str, f64); 16] = [
    ("mgh:freudenstein-roth", 48.9842),
    ("mgh:jennrich-sampson", 124.362),
    ("mgh:bard", 8.21487e-3),
    ("mgh:gaussian", 1.12793e-8),
    ("mgh:meyer", 87.9458),
    ("mgh:kowalik-osborne", 3.07505e-4),
    ("mgh:brown-dennis", 85822.2),
    ("mgh:osborne-1", 5.46489e-5),
    ("mgh:biggs-exp6", 5.65565e-3),
    ("mgh:osborne-2", 4.01377e-2),
    ("mgh:watson", 1.39976e-6),
    ("mgh:watson-12", 4.72238e-10),
    ("mgh:penalty-1", 7.08765e-5),
    ("mgh:penalty-2", 2.93660e-4),
    ("mgh:trigonometric", 2.79506e-5),
    ("mgh:linear", 10.0),
];

/// Minimisers from the paper, where f is 0.
#[test]
fn published_minimisers_have_the_value_zero() {
    let ones = |n: usize| vec![1.0; n];
    for (name, x) in [
        ("rosenbrock", ones(2)),
        ("freudenstein-roth", vec![5.0, 4.0]),
        (
            "powell-badly-scaled",
            vec![1.098_159_329_7e-5, 9.106_146_739_867],
        ),
        ("brown-badly-scaled", vec![1e6, 2e-6]),
        ("beale", vec![3.0, 0.5]),
        ("helical-valley", vec![1.0, 0.0, 0.0]),
        ("gulf", vec![50.0, 25.0, 1.5]),
        ("box-3d", vec![1.0, 10.0, 1.0]),
        ("powell-singular", vec![0.0; 4]),
        ("wood", ones(4)),
        ("biggs-exp6", vec![1.0, 10.0, 1.0, 5.0, 4.0, 3.0]),
        ("extended-rosenbrock", ones(100)),
        ("extended-powell-singular", vec![0.0; 100]),
        ("variably-dimensioned", ones(10)),
        ("brown-almost-linear", ones(10)),
    ] {
        let problem = problems::named(&format!("mgh:{name}")).unwrap();
        let value = problem.function().gradient(&x, &mut vec![0.0; x.len()]);
        assert!((0.0..1e-15).contains(&value), "{name}: {value:e}");
        assert_eq!(problem.minima[0], 0.0, "{name}");
    }
}

#[test]
fn newtons_method_finds_the_published_minima() {
    let names = problems::names().into_iter();
    for name in names.filter(|name| name.starts_with("mgh:")) {
        let problem = problems::named(name).unwrap();
        let (start_value, value) = newton(&problem);
        assert_eq!(
            problem.solved(start_value, value),
            Some(true),
            "{name}: {value:e}"
        );
        assert_eq!(
            problem.solved(start_value, start_value),
            Some(false),
            "{name}"
        );
        if let Some((_, published)) = PUBLISHED.iter().find(|(known, _)| *known == name) {
            assert!((value / published - 1.0).abs() < 1e-5, "{name}: {value:e}");
            let known = problem
                .minima
                .iter()
                .map(|minimum| (value / minimum - 1.0).abs());
            let nearest = known.fold(f64::INFINITY, f64::min);
            assert!(nearest < 1e-8, "{name}: {value:e}, {:?}", problem.minima);
        } else {
            assert!(value < 1e-12, "{name}: {value:e}");
        }
    }
}

/// f at the start and after Newton's method with the absolute values of the Hessian's eigenvalues and Levenberg
/// damping.
fn newton(problem: &Problem) -> (f64, f64) {
    let (mut f, n) = (problem.function(), problem.dim);
    let (mut x, mut g) = (problem.start(0), vec![0.0; n]);
    let start_value = f.gradient(&x, &mut g);
    let (mut value, mut damping) = (start_value, 1e-3);
    let mut hessian = hessian(f.as_mut(), &x);
    for _ in 0..3000 {
        let eigen = hessian.self_adjoint_eigen(Side::Lower).unwrap();
        let (vectors, values) = (eigen.U(), eigen.S().column_vector());
        let mut step = vec![0.0; n];
        for j in 0..n {
            let vector: Vec<f64> = (0..n).map(|i| vectors[(i, j)]).collect();
            let length = -dot(&vector, &g) / (values[j].abs() + damping);
            step = moved(&step, length, &vector);
        }
        let trial = moved(&x, 1.0, &step);
        let mut trial_g = vec![0.0; n];
        let trial_value = f.gradient(&trial, &mut trial_g);
        if trial_value < value {
            (x, g, value, damping) = (trial, trial_g, trial_value, damping * 0.1);
            hessian = self::hessian(f.as_mut(), &x);
        } else {
            damping *= 5.0;
        }
        if damping > 1e30 {
            break;
        }
    }
    (start_value, value)
}

fn hessian(f: &mut dyn Function, x: &[f64]) -> Mat<f64> {
    let n = x.len();
    let mut hessian = Mat::zeros(n, n);
    for j in 0..n {
        let (mut axis, mut out) = (vec![0.0; n], vec![0.0; n]);
        axis[j] = 1.0;
        f.product(x, &axis, &mut out);
        (0..n).for_each(|i| hessian[(i, j)] = out[i]);
    }
    hessian
}

/// For convex functions, Newton's method with inner conjugate gradients reaches the problem's stated minimum.
#[test]
fn newton_and_conjugate_gradients_find_the_minima_of_convex_problems() {
    for name in ["logistic", "kernel-ridge"] {
        let problem = problems::named(name).unwrap();
        let (mut f, n) = (problem.function(), problem.dim);
        let (mut x, mut g) = (problem.start(0), vec![0.0; n]);
        let start_value = f.gradient(&x, &mut g);
        let mut value = start_value;
        for _ in 0..15 {
            let step = conjugate_gradients(f.as_mut(), &x, &g);
            let mut length = 1.0;
            let mut next = value;
            while length > 1e-6 {
                next = f.gradient(&moved(&x, length, &step), &mut g);
                if next < value {
                    break;
                }
                length *= 0.5;
            }
            if next >= value {
                break;
            }
            x = moved(&x, length, &step);
            let gain = value - next;
            value = next;
            if gain < 1e-12 * start_value {
                break;
            }
        }
        let size = start_value - problem.minima[0];
        let gap = (value - problem.minima[0]).abs();
        assert!(
            gap < 1e-9 * size,
            "{name}: {value:.15e}, {:?}",
            problem.minima
        );
        assert_eq!(problem.solved(start_value, value), Some(true), "{name}");
    }
}

/// An approximate solution of Hs = −g.
fn conjugate_gradients(f: &mut dyn Function, x: &[f64], g: &[f64]) -> Vec<f64> {
    let mut step = vec![0.0; x.len()];
    let mut residual: Vec<f64> = g.iter().map(|g| -g).collect();
    let (mut p, mut product) = (residual.clone(), vec![0.0; x.len()]);
    let tolerance = (norm(g).sqrt()).min(1e-3) * norm(g);
    for _ in 0..400 {
        let before = dot(&residual, &residual);
        if before.sqrt() <= tolerance {
            break;
        }
        f.product(x, &p, &mut product);
        let length = before / dot(&p, &product);
        step = moved(&step, length, &p);
        residual = moved(&residual, -length, &product);
        let ratio = dot(&residual, &residual) / before;
        p = moved(&residual, ratio, &p);
    }
    step
}

#[test]
fn quadratics_have_ten_outliers_above_their_bulk() {
    for (name, condition) in [("quadratic:10", 10.0), ("quadratic:1000", 1000.0)] {
        let problem = problems::named(name).unwrap();
        let n = problem.dim;
        let (zeros, mut eigenvalues) = (vec![0.0; n], vec![0.0; n]);
        let mut f = problem.function();
        // The Hessian is diagonal; the gradients' test verifies that it is the function's.
        f.product(&zeros, &vec![1.0; n], &mut eigenvalues);
        eigenvalues.sort_by(f64::total_cmp);
        let above = eigenvalues.partition_point(|&value| value <= condition * (1.0 + 1e-9));
        assert_eq!((n, n - above), (1_000_000, 10), "{name}");
        assert!((eigenvalues[0] - 1.0).abs() < 1e-12);
        assert!((eigenvalues[above - 1] / condition - 1.0).abs() < 1e-9);
        assert_eq!(eigenvalues[n - 1], 5120.0 * condition);
        assert_eq!(f.gradient(&zeros, &mut eigenvalues), problem.minima[0]);
    }
}

/// No network equals the solution, but the error of u = 0 is known to be 1.
#[test]
fn the_relative_error_is_that_of_the_network() {
    for (name, exact) in [
        ("poisson1d", true),
        ("burgers", true),
        ("allen-cahn", false),
    ] {
        let problem = problems::named(name).unwrap();
        let zero = problem.relative_error(&vec![0.0; problem.dim]);
        assert_eq!(zero.is_some(), exact, "{name}");
        assert!(
            zero.is_none_or(|error| (error - 1.0).abs() < 1e-12),
            "{name}: {zero:?}"
        );
    }
}
