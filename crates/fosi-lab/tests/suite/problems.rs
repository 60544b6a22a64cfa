//! The problems against differences of their own values, published figures and known solutions.

use fosi::{Host, Space};
use fosi_lab::problems::{self, Problem, ProblemError};

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn moved(x: &[f64], step: f64, v: &[f64]) -> Vec<f64> {
    x.iter().zip(v).map(|(x, v)| x + step * v).collect()
}

/// A seeded direction whose entries have the sizes of x's.
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

/// Points at which derivatives are compared: the start, and one beside it, where nothing is zero.
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
    ] {
        let problem = problems::named(name).unwrap();
        assert_eq!((problem.dim, problem.start(1).len()), (n, n));
        assert_ne!(problem.start(1), problem.start(2));
        assert_eq!(problem.start(1), problem.start(1));
    }
}
