//! The differential equations.

use std::f64::consts::{PI, TAU};

use super::{Condition, Equation, points};

/// The network for the equations with two inputs, except `poisson2d-wide`: n = 2,241.
const WIDTHS: &[usize] = &[2, 32, 32, 32, 1];

pub(in super::super) static EQUATIONS: [Equation; 7] = [
    Equation {
        name: "poisson1d",
        summary: "−u'' = f on (0, 1), u = sin πx + ½ sin 6πx; network 1-32-32-1",
        widths: &[1, 32, 32, 1],
        conditions: &[
            Condition {
                residual: |x, u| u[2] + poisson1d_source(x[0]),
                orders: &[2],
                joined: 1,
                points: || points::inside(&[UNIT], 100),
            },
            Condition {
                residual: |_, u| u[0],
                orders: &[0],
                joined: 1,
                points: || vec![vec![0.0, 1.0]],
            },
        ],
        solution: Some(|x| (PI * x[0]).sin() + 0.5 * (6.0 * PI * x[0]).sin()),
        domain: &[UNIT],
    },
    Equation {
        name: "poisson2d",
        summary: "−Δu = f on the unit square, u = sin πx sin πy + ½ sin 3πx sin 3πy; network 2-32-32-32-1",
        widths: WIDTHS,
        conditions: POISSON_2D,
        solution: Some(poisson2d),
        domain: &[UNIT, UNIT],
    },
    Equation {
        name: "poisson2d-wide",
        summary: "poisson2d with the network 2-80-80-80-80-1",
        widths: &[2, 80, 80, 80, 80, 1],
        conditions: POISSON_2D,
        solution: Some(poisson2d),
        domain: &[UNIT, UNIT],
    },
    Equation {
        name: "helmholtz",
        summary: "Δu + u = f on (−1, 1)², u = sin πx sin 4πy; network 2-32-32-32-1",
        widths: WIDTHS,
        conditions: &[
            Condition {
                residual: |x, u| u[2] + u[4] + u[0] - (1.0 - 17.0 * PI * PI) * helmholtz(x),
                orders: &[2, 2],
                joined: 1,
                points: || points::inside(&[CENTRED, CENTRED], 400),
            },
            Condition {
                residual: |_, u| u[0],
                orders: &[0, 0],
                joined: 1,
                points: || points::sides([CENTRED, CENTRED], 25),
            },
        ],
        solution: Some(helmholtz),
        domain: &[CENTRED, CENTRED],
    },
    Equation {
        name: "burgers",
        summary: "u_t + u u_x = (0.01/π) u_xx, u(x, 0) = −sin πx, u(±1, t) = 0; network 2-32-32-32-1",
        widths: WIDTHS,
        conditions: &[
            Condition {
                residual: |_, u| u[3] + u[0] * u[1] - BURGERS_VISCOSITY * u[2],
                orders: &[2, 1],
                joined: 1,
                points: || points::inside(&[CENTRED, UNIT], 600),
            },
            Condition {
                residual: |x, u| u[0] + (PI * x[0]).sin(),
                orders: &[0, 0],
                joined: 1,
                points: || points::initial([CENTRED, UNIT], 50),
            },
            Condition {
                residual: |_, u| u[0],
                orders: &[0, 0],
                joined: 1,
                points: || points::ends([CENTRED, UNIT], 25),
            },
        ],
        solution: Some(burgers),
        domain: &[CENTRED, UNIT],
    },
    Equation {
        name: "convection",
        summary: "u_t + 30 u_x = 0, u(x, 0) = sin x, period 2π; network 2-32-32-32-1",
        widths: WIDTHS,
        conditions: &[
            Condition {
                residual: |_, u| u[2] + CONVECTION_SPEED * u[1],
                orders: &[1, 1],
                joined: 1,
                points: || points::inside(&[CIRCLE, UNIT], 600),
            },
            Condition {
                residual: |x, u| u[0] - x[0].sin(),
                orders: &[0, 0],
                joined: 1,
                points: || points::initial([CIRCLE, UNIT], 50),
            },
            Condition {
                residual: |_, u| u[0] - u[1],
                orders: &[0, 0],
                joined: 2,
                points: || points::ends([CIRCLE, UNIT], 25),
            },
        ],
        solution: Some(|x| (x[0] - CONVECTION_SPEED * x[1]).sin()),
        domain: &[CIRCLE, UNIT],
    },
    Equation {
        name: "allen-cahn",
        summary: "u_t = 1e-4 u_xx + 5(u − u³), u(x, 0) = x² cos πx, period 2; network 2-32-32-32-1",
        widths: WIDTHS,
        conditions: &[
            Condition {
                residual: |_, u| u[3] - 1e-4 * u[2] + 5.0 * (u[0].cube() - u[0]),
                orders: &[2, 1],
                joined: 1,
                points: || points::inside(&[CENTRED, UNIT], 600),
            },
            Condition {
                residual: |x, u| u[0] - x[0] * x[0] * (PI * x[0]).cos(),
                orders: &[0, 0],
                joined: 1,
                points: || points::initial([CENTRED, UNIT], 50),
            },
            Condition {
                residual: |_, u| u[0] - u[2],
                orders: &[1, 0],
                joined: 2,
                points: || points::ends([CENTRED, UNIT], 25),
            },
            Condition {
                residual: |_, u| u[1] - u[3],
                orders: &[1, 0],
                joined: 2,
                points: || points::ends([CENTRED, UNIT], 25),
            },
        ],
        solution: None,
        domain: &[CENTRED, UNIT],
    },
];

const UNIT: (f64, f64) = (0.0, 1.0);
const CENTRED: (f64, f64) = (-1.0, 1.0);
const CIRCLE: (f64, f64) = (0.0, TAU);
const BURGERS_VISCOSITY: f64 = 0.01 / PI;
const CONVECTION_SPEED: f64 = 30.0;

const POISSON_2D: &[Condition] = &[
    Condition {
        residual: |x, u| u[2] + u[4] + poisson2d_source(x),
        orders: &[2, 2],
        joined: 1,
        points: || points::inside(&[UNIT, UNIT], 400),
    },
    Condition {
        residual: |_, u| u[0],
        orders: &[0, 0],
        joined: 1,
        points: || points::sides([UNIT, UNIT], 25),
    },
];

fn poisson1d_source(x: f64) -> f64 {
    PI * PI * ((PI * x).sin() + 18.0 * (6.0 * PI * x).sin())
}

/// sin kπx sin kπy.
fn wave(k: f64, x: &[f64]) -> f64 {
    (k * PI * x[0]).sin() * (k * PI * x[1]).sin()
}

fn poisson2d(x: &[f64]) -> f64 {
    wave(1.0, x) + 0.5 * wave(3.0, x)
}

fn poisson2d_source(x: &[f64]) -> f64 {
    2.0 * PI * PI * (wave(1.0, x) + 4.5 * wave(3.0, x))
}

fn helmholtz(x: &[f64]) -> f64 {
    (PI * x[0]).sin() * (4.0 * PI * x[1]).sin()
}

/// The Cole–Hopf transformation, with the heat kernel integrated by the trapezoidal rule, which for such functions
/// converges faster than any power of the step.
fn burgers(x: &[f64]) -> f64 {
    let (x, t) = (x[0], x[1]);
    let width = (4.0 * BURGERS_VISCOSITY * t).sqrt();
    let (mut above, mut below) = (0.0, 0.0);
    for i in -500..=500 {
        let z = f64::from(i) / 50.0;
        let y = x - width * z;
        // exp(1 − …) keeps the largest weight at 1.
        let weight = (-z * z - ((PI * y).cos() + 1.0) / (TAU * BURGERS_VISCOSITY)).exp();
        above -= (PI * y).sin() * weight;
        below += weight;
    }
    above / below
}
