//! Prints what `fosi` finds on fixed functions, bit for bit, as JSON: what the tests of its Python package compare with.
//!
//! `reference minimize f64|f32 differences|products`, `reference spectrum|density f64|f32`

use std::error::Error;

use fosi::density::DensityParams;
use fosi::minimize::{Objective, Options, minimize};
use fosi::operator::SymmetricOperator;
use fosi::space::Scalar;
use fosi::spectrum::SpectrumParams;
use fosi::{Host, Space, density, operator, spectrum};
use serde_json::{Value, json};

const USAGE: &str =
    "usage: reference minimize f64|f32 differences|products | reference spectrum|density f64|f32";

/// Variables, and the dimension of the operator.
const DIM: usize = 500;

/// The bits of numbers; those of f32, too, fit in f64.
fn bits(numbers: impl IntoIterator<Item = f64>) -> Vec<String> {
    numbers
        .into_iter()
        .map(|x| format!("{:016x}", x.to_bits()))
        .collect()
}

/// Arithmetic in a precision, operation by operation.
trait Real:
    Scalar
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
{
}

impl Real for f32 {}
impl Real for f64 {}

/// Rosenbrock's function of each pair of variables, added up one by one, and its gradient.
fn value_and_gradient<T: Real>(x: &[T], g: &mut [T]) -> f64 {
    let number = |entry: f64| T::of(entry);
    let mut sum = T::ZERO;
    for (x, g) in x.chunks_exact(2).zip(g.chunks_exact_mut(2)) {
        let (a, b) = (number(1.0) - x[0], x[1] - x[0] * x[0]);
        g[0] = number(-2.0) * a - number(400.0) * x[0] * b;
        g[1] = number(200.0) * b;
        sum = sum + (a * a + number(100.0) * b * b);
    }
    f64::of(sum)
}

fn product<T: Real>(x: &[T], v: &[T], out: &mut [T]) {
    let number = |entry: f64| T::of(entry);
    for (i, out) in out.chunks_exact_mut(2).enumerate() {
        let (x, v) = (&x[2 * i..], &v[2 * i..]);
        let b = x[1] - x[0] * x[0];
        let first = number(2.0) - number(400.0) * b + number(800.0) * x[0] * x[0];
        let mixed = number(-400.0) * x[0];
        out[0] = first * v[0] + mixed * v[1];
        out[1] = mixed * v[0] + number(200.0) * v[1];
    }
}

fn minimized<T: Real>(products: bool) -> Result<Value, fosi::Error> {
    let number = |entry: f64| T::of(entry);
    let coordinate = |i: usize| match i % 2 {
        0 => number(-1.0) - number(i as f64) / number(512.0),
        _ => number(1.0),
    };
    let start: Vec<T> = (0..DIM).map(coordinate).collect();
    let evaluate = |x: &[T], g: &mut [T]| Ok(value_and_gradient(x, g));
    let mut function = Objective::on_host(Host::<T>::new(DIM), evaluate);
    if products {
        function = function.with_product(|x, v, out| {
            product(x, v, out);
            Ok(())
        });
    }
    let options = Options {
        gradient_norm: 1e-3,
        first_estimation: Some(20),
        ..Options::default()
    };
    let found = minimize(function, &start, options)?;
    let eigenvalues = |e: &fosi::minimize::Estimation| bits(e.eigenvalues.iter().copied());
    Ok(json!({
        "x": bits(found.last.parameters.into_iter().map(f64::of)),
        "fun": bits([found.last.value]),
        "status": found.status.to_string(),
        "steps": found.steps,
        "cost": found.cost,
        "eigenvalues": found.estimations.iter().map(eigenvalues).collect::<Vec<_>>(),
    }))
}

/// The diagonal matrix 1/1, 1/2, 1/3, ….
fn diagonal<T: Real>() -> impl SymmetricOperator<Host<T>> {
    let number = |entry: f64| T::of(entry);
    operator::from_fn::<Host<T>, _>(move |v: &[T], out: &mut [T]| {
        for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
            *out = *v / number(i as f64 + 1.0);
        }
    })
}

fn spectrum<T: Real>() -> Result<Value, fosi::Error> {
    let space = Host::<T>::new(DIM);
    let params = SpectrumParams {
        largest: 4,
        smallest: 2,
        seed: 7,
        ..SpectrumParams::default()
    };
    let found = spectrum::estimate(&space, &mut diagonal(), &params)?;
    let vectors = space.take_vectors(found.basis).into_iter();
    let eigenvectors = vectors.map(|v| bits(v.into_iter().map(f64::of)));
    Ok(json!({
        "eigenvalues": bits(found.eigenvalues),
        "residuals": bits(found.residuals),
        "eigenvectors": eigenvectors.collect::<Vec<_>>(),
        "products": found.info.products,
    }))
}

fn density<T: Real>() -> Result<Value, fosi::Error> {
    let params = DensityParams {
        probes: 3,
        lanczos_steps: 20,
        seed: 7,
        ..DensityParams::default()
    };
    let found = density::estimate(&Host::<T>::new(DIM), &mut diagonal(), &params)?;
    let quadratures = found.quadratures.into_iter();
    let probes = quadratures.map(|q| json!({ "nodes": bits(q.nodes), "weights": bits(q.weights) }));
    Ok(json!({ "probes": probes.collect::<Vec<_>>() }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found = match words.as_slice() {
        ["minimize", "f64", how @ ("differences" | "products")] => {
            minimized::<f64>(*how == "products")?
        }
        ["minimize", "f32", how @ ("differences" | "products")] => {
            minimized::<f32>(*how == "products")?
        }
        ["spectrum", "f64"] => spectrum::<f64>()?,
        ["spectrum", "f32"] => spectrum::<f32>()?,
        ["density", "f64"] => density::<f64>()?,
        ["density", "f32"] => density::<f32>()?,
        _ => return Err(USAGE.into()),
    };
    println!("{found}");
    Ok(())
}
