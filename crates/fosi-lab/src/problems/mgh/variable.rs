//! The functions with a selectable number of variables: 10 unless the paper has another convention, and 100 for cheap
//! functions, so that the set has some of this size.

use super::super::tape::Var;
use super::Definition;
use super::fixed::{powell_singular, rosenbrock};

pub(super) const DEFINITIONS: [Definition; 14] = [
    Definition {
        name: "mgh:watson",
        summary: "a polynomial that solves u' = u² + 1",
        residuals: watson,
        start: || vec![0.0; 9],
        minima: &[1.399_760_138_091e-6],
    },
    Definition {
        name: "mgh:watson-12",
        summary: "the same with 12 coefficients",
        residuals: watson,
        start: || vec![0.0; 12],
        minima: &[4.722_381_104_7e-10],
    },
    Definition {
        name: "mgh:extended-rosenbrock",
        summary: "50 curved valleys",
        residuals: extended_rosenbrock,
        start: || [-1.2, 1.0].repeat(50),
        minima: &[0.0],
    },
    Definition {
        name: "mgh:extended-powell-singular",
        summary: "25 singular minima",
        residuals: extended_powell_singular,
        start: || [3.0, -1.0, 0.0, 1.0].repeat(25),
        minima: &[0.0],
    },
    Definition {
        name: "mgh:penalty-1",
        summary: "a sphere with a weak pull to (1, …, 1)",
        residuals: penalty_1,
        start: || (1..=10).map(f64::from).collect(),
        minima: &[7.087_651_467_090e-5],
    },
    Definition {
        name: "mgh:penalty-2",
        summary: "an ellipsoid with weak exponentials",
        residuals: penalty_2,
        start: || vec![0.5; 10],
        minima: &[2.936_605_374_567e-4],
    },
    Definition {
        name: "mgh:variably-dimensioned",
        summary: "one direction of curvature 1e6",
        residuals: variably_dimensioned,
        start: || (1..=10).map(|j| 1.0 - f64::from(j) / 10.0).collect(),
        minima: &[0.0],
    },
    Definition {
        name: "mgh:trigonometric",
        summary: "sines and cosines with several minima",
        residuals: trigonometric,
        start: || vec![0.1; 10],
        minima: &[0.0, 2.795_056_121_877_4e-5],
    },
    Definition {
        name: "mgh:brown-almost-linear",
        summary: "nine linear equations and a product",
        residuals: brown_almost_linear,
        start: || vec![0.5; 10],
        minima: &[0.0, 1.0],
    },
    Definition {
        name: "mgh:discrete-boundary-value",
        summary: "u'' = (u + t + 1)³/2 in differences",
        residuals: discrete_boundary_value,
        start: || start_on_grid(100),
        minima: &[0.0],
    },
    Definition {
        name: "mgh:discrete-integral-equation",
        summary: "the same equation as an integral",
        residuals: discrete_integral_equation,
        start: || start_on_grid(10),
        minima: &[0.0],
    },
    Definition {
        name: "mgh:broyden-tridiagonal",
        summary: "quadratic equations of three neighbours",
        residuals: broyden_tridiagonal,
        start: || vec![-1.0; 10],
        minima: &[0.0],
    },
    Definition {
        name: "mgh:broyden-banded",
        summary: "cubic equations of seven neighbours",
        residuals: broyden_banded,
        start: || vec![-1.0; 10],
        minima: &[0.0],
    },
    Definition {
        name: "mgh:linear",
        summary: "the linear function of full rank, n = 10, m = 20",
        residuals: linear,
        start: || vec![1.0; 10],
        minima: &[10.0],
    },
];

/// The sum of `terms`.
fn sum<'t>(x: &[Var<'t>], terms: impl IntoIterator<Item = Var<'t>>) -> Var<'t> {
    terms
        .into_iter()
        .fold(x[0].constant(0.0), |sum, term| sum + term)
}

/// Each x with its number, from 1.
fn numbered<'a, 't>(x: &'a [Var<'t>]) -> impl Iterator<Item = (f64, Var<'t>)> + 'a {
    x.iter().enumerate().map(|(i, &x)| (i as f64 + 1.0, x))
}

fn watson<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |i: i32| {
        let t = f64::from(i) / 29.0;
        let value = sum(x, x.iter().zip(0..).map(|(&x, j)| x * t.powi(j)));
        let slope = x.iter().zip(0..).skip(1);
        let slope = sum(x, slope.map(|(&x, j)| x * (f64::from(j) * t.powi(j - 1))));
        slope - value.square() - 1.0
    };
    let ends = [x[0], x[1] - x[0].square() - 1.0];
    (1..=29).map(residual).chain(ends).collect()
}

fn extended_rosenbrock<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    x.chunks(2).flat_map(rosenbrock).collect()
}

fn extended_powell_singular<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    x.chunks(4).flat_map(powell_singular).collect()
}

/// √a for the weak terms of both penalty functions.
fn weak() -> f64 {
    1e-5f64.sqrt()
}

fn penalty_1<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let sphere = sum(x, x.iter().map(|x| x.square())) - 0.25;
    let pull = x.iter().map(|&x| weak() * (x - 1.0));
    pull.chain([sphere]).collect()
}

fn penalty_2<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let n = x.len() as f64;
    let mut residuals = vec![x[0] - 0.2];
    for (pair, i) in x.windows(2).zip(2..) {
        let i = f64::from(i);
        let y = (i / 10.0).exp() + ((i - 1.0) / 10.0).exp();
        residuals.push(weak() * ((0.1 * pair[1]).exp() + (0.1 * pair[0]).exp() - y));
    }
    for &x in &x[1..] {
        residuals.push(weak() * ((0.1 * x).exp() - (-0.1f64).exp()));
    }
    let ellipsoid = numbered(x).map(|(j, x)| (n - j + 1.0) * x.square());
    residuals.push(sum(x, ellipsoid) - 1.0);
    residuals
}

fn variably_dimensioned<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let total = sum(x, numbered(x).map(|(j, x)| j * (x - 1.0)));
    let each = x.iter().map(|&x| x - 1.0);
    each.chain([total, total.square()]).collect()
}

fn trigonometric<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let n = x.len() as f64;
    let cosines = sum(x, x.iter().map(|x| x.cos()));
    let residual = |(i, x): (f64, Var<'t>)| n - cosines + i * (1.0 - x.cos()) - x.sin();
    numbered(x).map(residual).collect()
}

fn brown_almost_linear<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let rest = sum(x, x.iter().copied()) - (x.len() as f64 + 1.0);
    let product = x[1..].iter().fold(x[0], |product, &x| product * x);
    let linear = x[..x.len() - 1].iter().map(|&x| x + rest);
    linear.chain([product - 1.0]).collect()
}

/// t(t − 1) at the n inner points of a grid on the unit interval.
fn start_on_grid(n: usize) -> Vec<f64> {
    let step = 1.0 / (n as f64 + 1.0);
    (1..=n)
        .map(|i| i as f64 * step)
        .map(|t| t * (t - 1.0))
        .collect()
}

/// (x + t + 1)³ at the grid's points t.
fn cubes<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let step = 1.0 / (x.len() as f64 + 1.0);
    let cube = |(i, x): (f64, Var<'t>)| (x + (i * step + 1.0)).cube();
    numbered(x).map(cube).collect()
}

fn discrete_boundary_value<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let n = x.len();
    let step = 1.0 / (n as f64 + 1.0);
    let residual = |(i, cube): (usize, Var<'t>)| {
        let mut residual = 2.0 * x[i] + 0.5 * step * step * cube;
        if i > 0 {
            residual = residual - x[i - 1];
        }
        if i + 1 < n {
            residual = residual - x[i + 1];
        }
        residual
    };
    cubes(x).into_iter().enumerate().map(residual).collect()
}

fn discrete_integral_equation<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let step = 1.0 / (x.len() as f64 + 1.0);
    let cubes = cubes(x);
    let residual = |(i, x): (f64, Var<'t>)| {
        let t = i * step;
        let integrand = |(j, cube): (f64, Var<'t>)| {
            let s = j * step;
            cube * (s.min(t) * (1.0 - s.max(t)))
        };
        x + 0.5 * step * sum(&cubes, numbered(&cubes).map(integrand))
    };
    numbered(x).map(residual).collect()
}

fn broyden_tridiagonal<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |i: usize| {
        let mut residual = (3.0 - 2.0 * x[i]) * x[i] + 1.0;
        if i > 0 {
            residual = residual - x[i - 1];
        }
        if i + 1 < x.len() {
            residual = residual - 2.0 * x[i + 1];
        }
        residual
    };
    (0..x.len()).map(residual).collect()
}

fn broyden_banded<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |i: usize| {
        let last = (i + 1).min(x.len() - 1);
        let neighbours = (i.saturating_sub(5)..=last).filter(|&j| j != i);
        let band = sum(x, neighbours.map(|j| x[j] * (1.0 + x[j])));
        x[i] * (2.0 + 5.0 * x[i].square()) + 1.0 - band
    };
    (0..x.len()).map(residual).collect()
}

/// m = 2n.
fn linear<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let rest = sum(x, x.iter().copied()) * -(1.0 / x.len() as f64) - 1.0;
    let each = x.iter().map(|&x| x + rest);
    each.chain(x.iter().map(|_| rest)).collect()
}
