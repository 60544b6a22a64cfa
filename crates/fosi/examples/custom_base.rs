//! A base optimizer of one's own: RMSProp, which this library doesn't have, alone and inside FOSI.
//!
//! `cargo run --release -p fosi --example custom_base` prints f on a quadratic whose axes are oblique to the
//! coordinates, so that a rule which treats each coordinate alone can't remove the bad condition.

// ANCHOR: use
use fosi::base::{Elements, Elementwise, UpdateRule};
// ANCHOR_END: use
use fosi::{Error, Fosi, FosiConfig, Host, operator};

const VARIABLES: usize = 50;
const STEPS: u64 = 400;
const LEARNING_RATE: f64 = 0.01;

// ANCHOR: base
/// RMSProp: v ← δv + (1−δ)g², θ ← θ − ηg/(√v + ε).
#[derive(Debug, Clone, Copy)]
struct RmsProp {
    decay: f64,
    epsilon: f64,
}

impl UpdateRule for RmsProp {
    fn name(&self) -> &'static str {
        "rmsprop"
    }
    // There is no momentum and no rate in closed form: the defaults of `momentum` and `rate_ratio` are right.
}

impl Elementwise for RmsProp {
    /// What a step's formula needs beside the state: η.
    type Coefficients = (RmsProp, f64);
    /// One number for each coordinate: v.
    const STATE: usize = 1;
    /// v holds squares, so that a gradient whose square overflows is refused.
    const SQUARES: bool = true;

    fn coefficients(&self, _step: u64, learning_rate: f64) -> (RmsProp, f64) {
        (*self, learning_rate)
    }
    fn direction<E: Elements>((rule, rate): &(RmsProp, f64), state: &mut [E], gradient: E) -> E {
        let square = gradient.clone() * gradient.clone();
        state[0] = state[0].clone().scale(rule.decay) + square.scale(1.0 - rule.decay);
        gradient.scale(*rate) / state[0].clone().sqrt().offset(rule.epsilon)
    }
}
// ANCHOR_END: base

/// f(x) = ½Σ λᵢ(qᵢᵀx)², with qᵢ the columns of the reflection I − 2uuᵀ, u = (1, …, 1)/√n: five eigenvalues of 100 and
/// more, and a bulk between 1 and 2.
struct Quadratic {
    eigenvalues: Vec<f64>,
}

impl Quadratic {
    fn new() -> Self {
        let bulk = |i: usize| 1.0 + (i as f64 * 0.618_033_988_749).fract();
        let eigenvalue = |i| {
            if i < 5 {
                100.0 * (i + 1) as f64
            } else {
                bulk(i)
            }
        };
        Self {
            eigenvalues: (0..VARIABLES).map(eigenvalue).collect(),
        }
    }

    fn reflect(x: &mut [f64]) {
        let shift = 2.0 * x.iter().sum::<f64>() / x.len() as f64;
        x.iter_mut().for_each(|x| *x -= shift);
    }

    /// out ← Hx, which is the gradient at x and the product with x alike.
    fn apply(&self, x: &[f64], out: &mut [f64]) {
        out.copy_from_slice(x);
        Self::reflect(out);
        out.iter_mut()
            .zip(&self.eigenvalues)
            .for_each(|(x, l)| *x *= l);
        Self::reflect(out);
    }

    fn value(&self, x: &[f64]) -> f64 {
        let mut gradient = vec![0.0; x.len()];
        self.apply(x, &mut gradient);
        0.5 * x.iter().zip(&gradient).map(|(x, g)| x * g).sum::<f64>()
    }
}

fn train(quadratic: &Quadratic, config: FosiConfig) -> Result<Vec<f64>, Error> {
    let base = RmsProp {
        decay: 0.99,
        epsilon: 1e-8,
    };
    let mut optimizer = Fosi::new(Host::<f64>::new(VARIABLES), base, config)?;
    let mut x: Vec<f64> = (0..VARIABLES).map(|i| (i as f64).sin()).collect();
    let mut gradient = vec![0.0; VARIABLES];
    let mut values = vec![quadratic.value(&x)];
    while optimizer.steps() < STEPS {
        if optimizer.due() {
            let product = |v: &[f64], out: &mut [f64]| quadratic.apply(v, out);
            optimizer.refresh(&mut operator::from_fn(product))?;
        }
        quadratic.apply(&x, &mut gradient);
        optimizer.step(LEARNING_RATE, &mut x, &gradient)?;
        if optimizer.steps().is_multiple_of(50) {
            values.push(quadratic.value(&x));
        }
    }
    Ok(values)
}

fn main() -> Result<(), Error> {
    let quadratic = Quadratic::new();
    let alone = train(&quadratic, FosiConfig::base_only())?;
    let config = FosiConfig {
        largest: 5,
        ..FosiConfig::quadratic()
    };
    let inside = train(&quadratic, config)?;
    println!("step  f with RMSProp  f with FOSI around it");
    for (i, (alone, inside)) in alone.iter().zip(&inside).enumerate() {
        println!("{:4}  {alone:14.3e}  {inside:21.3e}", 50 * i);
    }
    Ok(())
}
