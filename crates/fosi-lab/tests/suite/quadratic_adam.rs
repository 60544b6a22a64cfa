//! Adam and FOSI-Adam on the very eigenvectors with which the public implementation ran: there its values are met, too.
//!
//! It drew one rotation for each ζ, whatever b, from NumPy's generator with seed 1234; the draw is repeated here. The
//! signs of the eigenvectors, which the start depends on, came from LAPACK and are in `data/quadratics-adam.csv`, one
//! for each column of the rotation. For 503 functions they are those that NumPy's `eigh` gave elsewhere; for the other
//! 17 (ζ in 10, 12, 18, 20) `eigh` gave others, and these were found by search, with at most four of them changed.

use std::collections::HashMap;

use faer::Mat;
use fosi_lab::optimizers::{Family, OptimizerName};
use fosi_lab::quadratic::{Convention, Descent, Quadratic, grid};
use rand_mt::Mt;
use serde_json::Value;

const ADAM: OptimizerName = OptimizerName::plain(Family::Adam);
const FOSI_ADAM: OptimizerName = OptimizerName::fosi(Family::Adam);

fn reference() -> Value {
    serde_json::from_str(include_str!("data/quadratics.json")).unwrap()
}

/// NumPy's legacy normal numbers: Marsaglia's polar method on 53-bit uniform ones.
struct Normal {
    twister: Mt,
    left: Option<f64>,
}

impl Normal {
    fn new(seed: u32) -> Self {
        let twister = Mt::new(seed);
        Self {
            twister,
            left: None,
        }
    }

    fn uniform(&mut self) -> f64 {
        let (high, low) = (self.twister.next_u32() >> 5, self.twister.next_u32() >> 6);
        (f64::from(high) * f64::from(1 << 26) + f64::from(low)) / (1u64 << 53) as f64
    }

    fn next(&mut self) -> f64 {
        if let Some(left) = self.left.take() {
            return left;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.left = Some(factor * x);
                return factor * y;
            }
        }
    }
}

/// The rotation of ζ axes: the Q of a normal matrix, with R's diagonal positive. (SciPy also turns the first row round
/// where the determinant is −1, which no optimizer here can see.)
fn rotation(zeta: usize) -> Mat<f64> {
    let mut normal = Normal::new(1234);
    let entries: Vec<f64> = (0..zeta * zeta).map(|_| normal.next()).collect();
    let qr = Mat::from_fn(zeta, zeta, |i, j| entries[i * zeta + j]).qr();
    let (q, r) = (qr.compute_Q(), qr.R());
    Mat::from_fn(zeta, zeta, |i, j| q[(i, j)] * r[(j, j)].signum())
}

/// The reference's f_{b,ζ}, in the order of `data/quadratics-adam.csv`.
fn functions() -> Vec<(f64, usize, Quadratic)> {
    let mut rotations: HashMap<usize, Mat<f64>> = HashMap::new();
    let lines = include_str!("data/quadratics-adam.csv").lines().skip(1);
    lines
        .map(|line| {
            let [b, zeta, signs, ..] = line.split(',').collect::<Vec<_>>()[..] else {
                panic!("too few columns: {line}")
            };
            let (b, zeta): (f64, usize) = (b.parse().unwrap(), zeta.parse().unwrap());
            let rotation = rotations.entry(zeta).or_insert_with(|| rotation(zeta));
            let signs = signs.as_bytes();
            let sign = |j: usize| if signs[j] == b'-' { -1.0 } else { 1.0 };
            let signed = Mat::from_fn(zeta, zeta, |i, j| sign(j) * rotation[(i, j)]);
            let f = grid::function(b, Convention::Code).turned_by(&grid::block(zeta), &signed);
            (b, zeta, f)
        })
        .collect()
}

fn close(found: f64, expected: f64, what: &str) {
    let error = (found / expected - 1.0).abs();
    assert!(
        error <= 1e-6,
        "{what}: {found} instead of {expected}, {error:.1e}"
    );
}

#[test]
fn numpys_normal_numbers_are_repeated() {
    let mut normal = Normal::new(1234);
    for expected in [0.47143516373249306, -1.1909756947064645, 1.4327069684260973] {
        let found = normal.next();
        assert!((found - expected).abs() < 1e-15, "{found} {expected}");
    }
}

/// On all 520 functions. FOSI-Adam is worse than Adam on 45 of them, by up to 1.44, exactly as in the reference.
#[test]
fn figure_7_agrees() {
    let reference = reference();
    let expected: HashMap<(u64, u64), &Value> = reference["figure7"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| {
            let b = r["b"].as_f64().unwrap().to_bits();
            ((b, r["zeta"].as_u64().unwrap()), r)
        })
        .collect();
    let functions = functions();
    assert_eq!((functions.len(), expected.len()), (520, 520));
    let mut worse: Vec<(f64, f64, usize)> = Vec::new();
    for (b, zeta, f) in &functions {
        let r = expected[&(b.to_bits(), *zeta as u64)];
        let last = |optimizer, name: &str| {
            let found = Descent::new(optimizer, 0.05).last(f).unwrap();
            close(
                found,
                r[name].as_f64().unwrap(),
                &format!("b={b} ζ={zeta} {name}"),
            );
            found
        };
        let ratio = last(FOSI_ADAM, "FOSI-Adam") / last(ADAM, "Adam");
        if ratio >= 1.0 {
            worse.push((ratio, *b, *zeta));
        }
    }
    worse.sort_by(|a, b| b.0.total_cmp(&a.0));
    assert_eq!(worse.len(), 45);
    let (ratio, b, zeta) = worse[0];
    assert_eq!((b, zeta), (1.158, 30));
    assert!((ratio - 1.44).abs() < 0.005, "{ratio}");
}

#[test]
fn figure_9_agrees() {
    let reference = reference();
    let functions = functions();
    let is = |f: &&(f64, usize, Quadratic)| f.0 == 1.12 && f.1 == 90;
    let (.., f) = functions.iter().find(is).unwrap();
    let check = |optimizer, momentum: &Value, eta: &Value, expected: &Value, name: &str| {
        let (momentum, eta) = (momentum.as_f64().unwrap(), eta.as_f64().unwrap());
        let descent = Descent {
            momentum,
            ..Descent::new(optimizer, eta)
        };
        let what = format!("{name} η={eta} β₁={momentum}");
        close(descent.last(f).unwrap(), expected.as_f64().unwrap(), &what);
    };
    let (fixed, best) = (
        &reference["figure9_momentum_0.9"],
        &reference["figure9_best_momentum"],
    );
    for (optimizer, name) in [(ADAM, "Adam"), (FOSI_ADAM, "FOSI-Adam")] {
        for i in 0..120 {
            check(
                optimizer,
                &Value::from(0.9),
                &fixed["etas"][i],
                &fixed[name][i],
                name,
            );
        }
        for i in 0..50 {
            let [momentum, f200] = [0, 1].map(|at| &best[name][i][at]);
            check(optimizer, momentum, &best["etas"][i], f200, name);
        }
    }
}
