//! Exact Hessian-vector products against differences of gradients, on a nonlinear least-squares problem.
//!
//! `cargo run --release -p fosi --example exact_products` estimates the five largest eigenvalues in both ways, compares
//! them with those of the whole matrix, and then minimises the function with each.

// ANCHOR: use
use fosi::Host;
use fosi::minimize::{Objective, Options, minimize};
use fosi::operator::{Counted, DifferenceQuotient, HostGradient, from_fn};
use fosi::spectrum::{self, SpectrumParams};
// ANCHOR_END: use

const VARIABLES: usize = 40;
const VALUES: usize = 120;

/// f(θ) = ½Σⱼ (tanh(aⱼᵀθ) − yⱼ)², with rows aⱼ that are the smooth functions cos(iπtⱼ)/(i + 1) of a point tⱼ.
struct Fit {
    rows: Vec<Vec<f64>>,
    targets: Vec<f64>,
}

impl Fit {
    fn new() -> Self {
        let at = |j: usize| (j as f64 + 0.5) / VALUES as f64;
        let entry = |i: usize, j| (i as f64 * std::f64::consts::PI * at(j)).cos() / (i + 1) as f64;
        let row = |j| (0..VARIABLES).map(|i| entry(i, j)).collect();
        Self {
            rows: (0..VALUES).map(row).collect(),
            targets: (0..VALUES).map(|j| 0.5 * (9.0 * at(j)).sin()).collect(),
        }
    }

    fn value_and_gradient(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let mut value = 0.0;
        for (row, target) in self.rows.iter().zip(&self.targets) {
            let t = dot(row, theta).tanh();
            value += 0.5 * (t - target).powi(2);
            add(gradient, (t - target) * (1.0 - t * t), row);
        }
        value
    }

    // ANCHOR: product
    /// out ← H(θ)v: the derivative of the gradient along v, written by hand.
    fn product(&self, theta: &[f64], v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (row, target) in self.rows.iter().zip(&self.targets) {
            let t = dot(row, theta).tanh();
            let slope = 1.0 - t * t;
            let curvature = slope * slope - 2.0 * (t - target) * t * slope;
            add(out, curvature * dot(row, v), row);
        }
    }
    // ANCHOR_END: product
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sum: &mut [f64], factor: f64, x: &[f64]) {
    sum.iter_mut().zip(x).for_each(|(s, x)| *s += factor * x);
}

fn tell(how: &str, values: &[f64], truth: &[f64], cost: &str) {
    let error = values.iter().zip(truth).map(|(v, t)| (v / t - 1.0).abs());
    let values: Vec<String> = values.iter().map(|v| format!("{v:.6}")).collect();
    println!(
        "{how:11}  {}  {:7.0e}  {cost}",
        values.join("  "),
        error.fold(0.0, f64::max)
    );
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let fit = Fit::new();
    // ANCHOR: params
    let space = Host::<f64>::new(VARIABLES);
    let theta: Vec<f64> = (0..VARIABLES).map(|i| 0.3 * (i as f64).cos()).collect();
    let params = SpectrumParams {
        largest: 5,
        smallest: 0,
        ..SpectrumParams::default()
    };
    // ANCHOR_END: params

    // ANCHOR: exact
    let product = |v: &[f64], out: &mut [f64]| fit.product(&theta, v, out);
    let mut exact = Counted::new(from_fn(product));
    let by_products = spectrum::estimate(&space, &mut exact, &params)?;
    // ANCHOR_END: exact

    // ANCHOR: differences
    let gradient = |at: &[f64], out: &mut [f64]| {
        fit.value_and_gradient(at, out);
        Ok(())
    };
    let mut quotient = DifferenceQuotient::new(HostGradient::new(&theta, gradient));
    let by_differences = spectrum::estimate(&space, &mut quotient, &params)?;
    // ANCHOR_END: differences

    // The truth: as many Lanczos steps as there are variables.
    let whole = SpectrumParams {
        lanczos_steps: Some(VARIABLES),
        ..params
    };
    let truth = spectrum::estimate(&space, &mut from_fn(product), &whole)?;
    println!("             the five largest eigenvalues                       error    cost");
    let cost = format!("{} products", exact.products);
    tell("exact", &by_products.eigenvalues, &truth.eigenvalues, &cost);
    let cost = format!(
        "{} products of {} gradients",
        by_differences.info.products,
        quotient.gradients()
    );
    tell(
        "differences",
        &by_differences.eigenvalues,
        &truth.eigenvalues,
        &cost,
    );

    println!("\nminimised   gradients  products  f");
    // ANCHOR: minimize
    let options = Options {
        lower_bound: Some(0.0),
        max_cost: 2000,
        ..Options::default()
    };
    let start = vec![0.0; VARIABLES];
    let evaluate = |x: &[f64], g: &mut [f64]| Ok(fit.value_and_gradient(x, g));
    let with_products = Objective::new(VARIABLES, evaluate).with_product(|x, v, out| {
        fit.product(x, v, out);
        Ok(())
    });
    let a = minimize(with_products, &start, options.clone())?;
    // ANCHOR_END: minimize
    let b = minimize(Objective::new(VARIABLES, evaluate), &start, options)?;
    println!(
        "exact       {:9}  {:8}  {:.6e}: {}",
        a.gradients, a.products, a.best.value, a.status
    );
    println!(
        "differences {:9}  {:8}  {:.6e}: {}",
        b.gradients, b.products, b.best.value, b.status
    );
    Ok(())
}
