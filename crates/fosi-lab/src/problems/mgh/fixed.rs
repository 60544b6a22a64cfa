//! The functions with a fixed number of variables.

use std::f64::consts::PI;

use super::super::tape::Var;
use super::{Definition, data};

pub(super) const DEFINITIONS: [Definition; 19] = [
    Definition {
        name: "mgh:rosenbrock",
        summary: "a curved valley",
        residuals: rosenbrock,
        start: || vec![-1.2, 1.0],
        minima: &[0.0],
    },
    Definition {
        name: "mgh:freudenstein-roth",
        summary: "two cubic equations; most methods end in the local minimum",
        residuals: freudenstein_roth,
        start: || vec![0.5, -2.0],
        minima: &[0.0, 48.984_253_679_240_0],
    },
    Definition {
        name: "mgh:powell-badly-scaled",
        summary: "variables of sizes 1e-5 and 9",
        residuals: powell_badly_scaled,
        start: || vec![0.0, 1.0],
        minima: &[0.0],
    },
    Definition {
        name: "mgh:brown-badly-scaled",
        summary: "variables of sizes 1e6 and 2e-6",
        residuals: brown_badly_scaled,
        start: || vec![1.0, 1.0],
        minima: &[0.0],
    },
    Definition {
        name: "mgh:beale",
        summary: "three polynomials of degree 4",
        residuals: beale,
        start: || vec![1.0, 1.0],
        minima: &[0.0],
    },
    Definition {
        name: "mgh:jennrich-sampson",
        summary: "two exponentials against a line",
        residuals: jennrich_sampson,
        start: || vec![0.3, 0.4],
        minima: &[124.362_182_355_615],
    },
    Definition {
        name: "mgh:helical-valley",
        summary: "a valley along a helix",
        residuals: helical_valley,
        start: || vec![-1.0, 0.0, 0.0],
        minima: &[0.0],
    },
    Definition {
        name: "mgh:bard",
        summary: "a rational model of 15 measurements",
        residuals: bard,
        start: || vec![1.0; 3],
        minima: &[8.214_877_306_578_97e-3, 17.428_693_333_333_3],
    },
    Definition {
        name: "mgh:gaussian",
        summary: "a bell curve through 15 measurements",
        residuals: gaussian,
        start: || vec![0.4, 1.0, 0.0],
        minima: &[1.127_932_769_618_64e-8],
    },
    Definition {
        name: "mgh:meyer",
        summary: "a thermistor's resistance; variables of sizes 6e-3 and 6e3",
        residuals: meyer,
        start: || vec![0.02, 4000.0, 250.0],
        minima: &[87.945_855_171],
    },
    Definition {
        name: "mgh:gulf",
        summary: "Gulf research and development, m = 99",
        residuals: gulf,
        start: || vec![5.0, 2.5, 0.15],
        minima: &[0.0],
    },
    Definition {
        name: "mgh:box-3d",
        summary: "differences of exponentials, m = 10",
        residuals: box_3d,
        start: || vec![0.0, 10.0, 20.0],
        minima: &[0.0],
    },
    Definition {
        name: "mgh:powell-singular",
        summary: "the Hessian at the minimum has rank 2",
        residuals: powell_singular,
        start: || vec![3.0, -1.0, 0.0, 1.0],
        minima: &[0.0],
    },
    Definition {
        name: "mgh:wood",
        summary: "two coupled valleys",
        residuals: wood,
        start: || vec![-3.0, -1.0, -3.0, -1.0],
        minima: &[0.0],
    },
    Definition {
        name: "mgh:kowalik-osborne",
        summary: "an enzyme's kinetics in 11 measurements",
        residuals: kowalik_osborne,
        start: || vec![0.25, 0.39, 0.415, 0.39],
        minima: &[3.075_056_038_492_37e-4, 1.027_343_048_695_46e-3],
    },
    Definition {
        name: "mgh:brown-dennis",
        summary: "large residuals at the minimum, m = 20",
        residuals: brown_dennis,
        start: || vec![25.0, 5.0, -5.0, -1.0],
        minima: &[85_822.201_626_356_3],
    },
    Definition {
        name: "mgh:osborne-1",
        summary: "a sum of exponentials through 33 measurements",
        residuals: osborne_1,
        start: || vec![0.5, 1.5, -1.0, 0.01, 0.02],
        minima: &[5.464_894_697_482_72e-5],
    },
    Definition {
        name: "mgh:biggs-exp6",
        summary: "a sum of three exponentials, m = 13",
        residuals: biggs_exp6,
        start: || vec![1.0, 2.0, 1.0, 1.0, 1.0, 1.0],
        minima: &[0.0, 5.655_649_925_499_93e-3],
    },
    Definition {
        name: "mgh:osborne-2",
        summary: "bell curves on an exponential through 65 measurements",
        residuals: osborne_2,
        start: || vec![1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5],
        minima: &[4.013_773_629_354_77e-2],
    },
];

/// The numbers 1 to `count`, as the data's times or indices.
fn from_one(count: usize) -> impl Iterator<Item = f64> {
    (1..=count).map(|i| i as f64)
}

pub(super) fn rosenbrock<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    vec![10.0 * (x[1] - x[0].square()), 1.0 - x[0]]
}

fn freudenstein_roth<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let (x, y) = (x[0], x[1]);
    vec![
        x + ((5.0 - y) * y - 2.0) * y - 13.0,
        x + ((y + 1.0) * y - 14.0) * y - 29.0,
    ]
}

fn powell_badly_scaled<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    vec![
        1e4 * x[0] * x[1] - 1.0,
        (-x[0]).exp() + (-x[1]).exp() - 1.0001,
    ]
}

fn brown_badly_scaled<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    vec![x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2.0]
}

fn beale<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let (x, y) = (x[0], x[1]);
    vec![
        1.5 - x * (1.0 - y),
        2.25 - x * (1.0 - y.square()),
        2.625 - x * (1.0 - y.cube()),
    ]
}

fn jennrich_sampson<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |i: f64| 2.0 + 2.0 * i - ((i * x[0]).exp() + (i * x[1]).exp());
    from_one(10).map(residual).collect()
}

fn helical_valley<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let turn = if x[0].value().value < 0.0 { 0.5 } else { 0.0 };
    let theta = (x[1] / x[0]).atan() * (0.5 / PI) + turn;
    let radius = (x[0].square() + x[1].square()).sqrt();
    vec![10.0 * (x[2] - 10.0 * theta), 10.0 * (radius - 1.0), x[2]]
}

fn bard<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |(u, y): (f64, f64)| {
        let v = 16.0 - u;
        y - (x[0] + u * (v * x[1] + v.min(u) * x[2]).recip())
    };
    from_one(15).zip(data::BARD).map(residual).collect()
}

fn gaussian<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |(i, y): (f64, f64)| {
        let t = (8.0 - i) / 2.0;
        x[0] * (-0.5 * x[1] * (t - x[2]).square()).exp() - y
    };
    from_one(15).zip(data::GAUSSIAN).map(residual).collect()
}

fn meyer<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |(i, y): (f64, f64)| x[0] * (x[1] / (x[2] + (45.0 + 5.0 * i))).exp() - y;
    from_one(16).zip(data::MEYER).map(residual).collect()
}

/// The authors' program (algorithm 566) is followed, because the paper's formula is misprinted.
fn gulf<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |i: f64| {
        let t = 0.01 * i;
        let y = 25.0 + (-50.0 * t.ln()).powf(2.0 / 3.0);
        let distance = y - x[1];
        let distance = if distance.value().value < 0.0 {
            -distance
        } else {
            distance
        };
        (-(x[2] * distance.ln()).exp() / x[0]).exp() - t
    };
    from_one(99).map(residual).collect()
}

fn box_3d<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |i: f64| {
        let t = 0.1 * i;
        (-t * x[0]).exp() - (-t * x[1]).exp() - x[2] * ((-t).exp() - (-10.0 * t).exp())
    };
    from_one(10).map(residual).collect()
}

pub(super) fn powell_singular<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    vec![
        x[0] + 10.0 * x[1],
        5f64.sqrt() * (x[2] - x[3]),
        (x[1] - 2.0 * x[2]).square(),
        10f64.sqrt() * (x[0] - x[3]).square(),
    ]
}

fn wood<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    vec![
        10.0 * (x[1] - x[0].square()),
        1.0 - x[0],
        3.0 * 10f64.sqrt() * (x[3] - x[2].square()),
        1.0 - x[2],
        10f64.sqrt() * (x[1] + x[3] - 2.0),
        (x[1] - x[3]) * 10f64.sqrt().recip(),
    ]
}

fn kowalik_osborne<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |(y, u): (f64, f64)| y - x[0] * (u * u + u * x[1]) / (u * u + u * x[2] + x[3]);
    data::KOWALIK_OSBORNE.into_iter().map(residual).collect()
}

fn brown_dennis<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |i: f64| {
        let t = i / 5.0;
        (x[0] + t * x[1] - t.exp()).square() + (x[2] + t.sin() * x[3] - t.cos()).square()
    };
    from_one(20).map(residual).collect()
}

fn osborne_1<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |(i, y): (f64, f64)| {
        let t = 10.0 * (i - 1.0);
        y - (x[0] + x[1] * (-t * x[3]).exp() + x[2] * (-t * x[4]).exp())
    };
    from_one(33).zip(data::OSBORNE_1).map(residual).collect()
}

fn biggs_exp6<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |i: f64| {
        let t = 0.1 * i;
        let y = (-t).exp() - 5.0 * (-10.0 * t).exp() + 3.0 * (-4.0 * t).exp();
        let exponential = |rate: Var<'t>| (-t * rate).exp();
        x[2] * exponential(x[0]) - x[3] * exponential(x[1]) + x[5] * exponential(x[4]) - y
    };
    from_one(13).map(residual).collect()
}

fn osborne_2<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let residual = |(i, y): (f64, f64)| {
        let t = 0.1 * (i - 1.0);
        let bell = |j: usize| x[j] * (-(t - x[j + 7]).square() * x[j + 4]).exp();
        y - (x[0] * (-t * x[4]).exp() + bell(1) + bell(2) + bell(3))
    };
    from_one(65).zip(data::OSBORNE_2).map(residual).collect()
}
