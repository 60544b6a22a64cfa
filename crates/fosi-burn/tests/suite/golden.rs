//! A small network's Hessian against other implementations': JAX's, from `golden/hessian.py`, and curvlinops', from
//! `golden/hessian_torch.py`.

use burn::module::Module;
use fosi::density::DensityParams;
use fosi::spectrum::SpectrumParams;
use fosi::trace::TraceParams;
use fosi::{SampleMean, Space};
use fosi_burn::{FlatLayout, Hessian};
use serde_json::Value;

use crate::common::device;
use crate::common::exact::{Activation, Perceptron};
use crate::common::network::Network;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/hessian.json")).unwrap()
}

fn golden_torch() -> Value {
    serde_json::from_str(include_str!("golden/hessian_torch.json")).unwrap()
}

fn numbers(golden: &Value, name: &str) -> Vec<f64> {
    let values = golden[name].as_array().unwrap();
    values.iter().map(|x| x.as_f64().unwrap()).collect()
}

fn perceptron(golden: &Value) -> Perceptron {
    let integers = |name: &str| numbers(golden, name).iter().map(|x| *x as usize).collect();
    Perceptron {
        widths: integers("widths"),
        activation: Activation::Tanh,
        norm: false,
        bias: true,
        patches: 1,
        x: numbers(golden, "x"),
        labels: integers("labels"),
    }
}

/// The network of the golden files, with their parameters.
fn network(golden: &Value, of: &Perceptron) -> Network {
    let network = Network::new(of, 0.0, 1, &device());
    let layout = FlatLayout::of(&network).unwrap();
    let parameters = numbers(golden, "parameters");
    assert_eq!(network.num_params(), parameters.len());
    layout.set_parameters(&network, &parameters[..]).unwrap()
}

/// All n eigenpairs.
fn all_pairs(n: usize) -> SpectrumParams {
    SpectrumParams {
        largest: n,
        lanczos_steps: Some(n),
        ..SpectrumParams::default()
    }
}

fn within(found: SampleMean, truth: f64) {
    let error = found.standard_error.unwrap();
    let off = (found.mean - truth).abs();
    assert!(off <= 3.0 * error, "{found:?} instead of {truth}");
}

#[test]
fn the_hessian_is_the_one_that_jax_has() {
    let golden = golden();
    let of = perceptron(&golden);
    let network = network(&golden, &of);
    let (trace, square) = (
        golden["trace"].as_f64().unwrap(),
        golden["frobenius_square"].as_f64().unwrap(),
    );
    let (largest, smallest) = (numbers(&golden, "largest"), numbers(&golden, "smallest"));

    let loss = |network: &Network| network.loss(&of);
    let mut hessian = Hessian::new(&network, &loss).unwrap();
    let n = hessian.dim();
    let found = hessian.spectrum(&all_pairs(n)).unwrap().eigenvalues;
    assert_eq!(found.len(), n);
    // The differences' rounding, relative to the largest eigenvalue.
    let tolerance = 1e-6 * largest[0];
    let ends = found
        .iter()
        .zip(&largest)
        .chain(found.iter().rev().zip(&smallest));
    for (found, expected) in ends {
        assert!((found - expected).abs() < tolerance, "{found} {expected}");
    }
    let sum: f64 = found.iter().sum();
    let squares: f64 = found.iter().map(|x| x * x).sum();
    assert!((sum - trace).abs() < 10.0 * tolerance, "{sum} {trace}");
    assert!((squares / square - 1.0).abs() < 1e-6, "{squares} {square}");

    let found = hessian.trace(&TraceParams::default()).unwrap();
    within(found.trace, trace);
    within(found.frobenius_square, square);
    let density = hessian.density(&DensityParams::default()).unwrap();
    within(density.moment(1), trace / n as f64);
    within(density.moment(2), square / n as f64);
}

#[test]
fn the_hessian_is_the_one_that_curvlinops_has() {
    let golden = golden();
    let of = perceptron(&golden);
    let network = network(&golden, &of);
    let torch = golden_torch();

    let loss = |network: &Network| network.loss(&of);
    let mut hessian = Hessian::new(&network, &loss).unwrap();
    let n = hessian.dim();
    let spectrum = hessian.spectrum(&all_pairs(n)).unwrap();
    let eigenvalues = &spectrum.eigenvalues;
    // Its numbers are rounded to f32 several times on their way.
    let tolerance = 2e-6 * eigenvalues[0];
    let (largest, smallest) = (numbers(&torch, "largest"), numbers(&torch, "smallest"));
    let ends = eigenvalues
        .iter()
        .zip(&largest)
        .chain(eigenvalues.iter().rev().zip(&smallest));
    for (found, expected) in ends {
        assert!((found - expected).abs() < tolerance, "{found} {expected}");
    }

    let columns: Vec<Vec<f64>> = (0..n)
        .map(|i| hessian.space().column(&spectrum.basis, i))
        .collect();
    for name in ["cosine", "harmonic"] {
        let entry = |i: usize| match name {
            "cosine" => (i as f64).cos(),
            _ => 1.0 / (1.0 + i as f64),
        };
        let vector: Vec<f64> = (0..n).map(entry).collect();
        // Hx = Σ λᵢ⟨vᵢ, x⟩vᵢ
        let mut product = vec![0.0; n];
        for (eigenvalue, column) in eigenvalues.iter().zip(&columns) {
            let dot: f64 = column.iter().zip(&vector).map(|(v, x)| v * x).sum();
            for (entry, v) in product.iter_mut().zip(column) {
                *entry += eigenvalue * dot * v;
            }
        }
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        for (found, expected) in product.iter().zip(numbers(&torch, name)) {
            let difference = (found - expected).abs();
            assert!(difference < tolerance * length, "{found} {expected} {name}");
        }
    }
}
