//! A small network's Hessian against another implementation's: JAX's, from `golden/hessian.py`.

use burn::module::Module;
use fosi::SampleMean;
use fosi::density::DensityParams;
use fosi::spectrum::SpectrumParams;
use fosi::trace::TraceParams;
use fosi_burn::{FlatLayout, Hessian};
use serde_json::Value;

use crate::common::device;
use crate::common::exact::{Activation, Perceptron};
use crate::common::network::Network;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/hessian.json")).unwrap()
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

fn within(found: SampleMean, truth: f64) {
    let error = found.standard_error.unwrap();
    let off = (found.mean - truth).abs();
    assert!(off <= 3.0 * error, "{found:?} instead of {truth}");
}

#[test]
fn the_hessian_is_the_one_that_jax_has() {
    let golden = golden();
    let of = perceptron(&golden);
    let network = Network::new(&of, 0.0, 1, &device());
    let layout = FlatLayout::of(&network).unwrap();
    let parameters = numbers(&golden, "parameters");
    assert_eq!(network.num_params(), parameters.len());
    let network = layout.set_parameters(&network, &parameters[..]).unwrap();
    let (trace, square) = (
        golden["trace"].as_f64().unwrap(),
        golden["frobenius_square"].as_f64().unwrap(),
    );
    let (largest, smallest) = (numbers(&golden, "largest"), numbers(&golden, "smallest"));

    let loss = |network: &Network| network.loss(&of);
    let mut hessian = Hessian::new(&network, &loss).unwrap();
    let n = hessian.dim();
    let all = SpectrumParams {
        largest: n,
        lanczos_steps: Some(n),
        ..SpectrumParams::default()
    };
    let found = hessian.spectrum(&all).unwrap().eigenvalues;
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
