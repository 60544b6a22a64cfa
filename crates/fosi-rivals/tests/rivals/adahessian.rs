//! AdaHessian on a diagonal quadratic, where Hutchinson's estimate is exact.

use burn::module::Param;
use burn::nn::Linear;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::Tensor;
use fosi_burn::like_module;
use fosi_rivals::{AdaHessian, AdaHessianConfig, Rival};

use crate::common::{
    Perceptron, Regression, bits, device, distance, entries, linear, parameters, tensor,
};

/// ½Σ c x² with c in [1, 3), without biases.
fn loss(model: &Linear) -> Tensor<1> {
    let c = like_module(tensor::<2>([3, 2], 7) + 2.0, model);
    let bias = model.bias.as_ref().unwrap().val();
    (c * model.weight.val().square()).sum() * 0.5 + bias.square().sum() * 0.5
}

#[test]
fn steps_are_those_of_the_formulas() {
    let config = AdaHessianConfig {
        beta2: 0.9,
        weight_decay: 0.1,
        ..AdaHessianConfig::default()
    };
    let mut model = linear(3, 2, 1);
    let mut x = parameters(&model);
    let mut diagonal: Vec<f64> = entries(6, 7).iter().map(|c| c + 2.0).collect();
    diagonal.extend([1.0, 1.0]);
    let (mut m, mut v) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    let mut optimizer = AdaHessian::new(&model, config).unwrap();
    let rate = 0.05;
    for t in 1..=10 {
        optimizer.step(rate, &mut model, &loss).unwrap();
        for i in 0..x.len() {
            let h = diagonal[i];
            m[i] = 0.9 * m[i] + 0.1 * h * x[i];
            v[i] = 0.9 * v[i] + 0.1 * h * h;
            let correction = 1.0 - 0.9f64.powi(t);
            let step = m[i] / correction / ((v[i] / correction).sqrt() + 1e-4);
            x[i] -= rate * (step + 0.1 * x[i]);
        }
        let error = distance(&parameters(&model), &x);
        assert!(error < 1e-5, "step {t}: {error}");
    }
    let cost = optimizer.cost();
    assert_eq!((cost.gradients, cost.products), (10, 10));
    assert_eq!(optimizer.kept_floats(), 2 * x.len());
}

#[test]
fn the_diagonal_is_averaged_over_a_kernel() {
    // Adam's first step is ±η|g|/D, which reveals D.
    let loss = |model: &Conv2d| {
        let c = like_module(tensor::<4>([1, 2, 2, 1], 7) + 2.0, model);
        (c * model.weight.val().square()).sum() * 0.5
    };
    let mut layer = Conv2dConfig::new([2, 1], [2, 1])
        .with_bias(false)
        .init(&device());
    layer.weight = Param::from_tensor(tensor([1, 2, 2, 1], 4));
    let x = parameters(&layer);
    let c: Vec<f64> = entries(4, 7).iter().map(|c| c + 2.0).collect();
    let mut optimizer = AdaHessian::new(&layer, AdaHessianConfig::default()).unwrap();
    optimizer.step(0.1, &mut layer, &loss).unwrap();
    let expected: Vec<f64> = (0..4)
        .map(|i| {
            let mean = (c[i / 2 * 2] + c[i / 2 * 2 + 1]) / 2.0;
            x[i] - 0.1 * c[i] * x[i] / (mean + 1e-4)
        })
        .collect();
    let error = distance(&parameters(&layer), &expected);
    assert!(error < 1e-5, "{error}");
}

#[test]
fn a_resumed_run_has_the_same_bits() {
    let batch = Regression::new(16, 4, 2, 20);
    let new = |model: &Perceptron, seed: u64| {
        let config = AdaHessianConfig {
            seed,
            ..AdaHessianConfig::default()
        };
        AdaHessian::new(model, config).unwrap()
    };
    let mut whole = Perceptron::new(4, 6, 2);
    let mut other = whole.clone();
    let (mut optimizer, mut of_another_seed) = (new(&whole, 1), new(&whole, 2));
    let mut halfway = None;
    for step in 0..6 {
        if step == 3 {
            halfway = Some((whole.clone(), optimizer.to_bytes().unwrap()));
        }
        optimizer.step(0.01, &mut whole, &batch).unwrap();
        of_another_seed.step(0.01, &mut other, &batch).unwrap();
    }
    let (mut model, bytes) = halfway.unwrap();
    let mut resumed = new(&model, 1);
    resumed.load(&bytes).unwrap();
    for _ in 3..6 {
        resumed.step(0.01, &mut model, &batch).unwrap();
    }
    assert_eq!(bits(&model), bits(&whole));
    assert_ne!(bits(&other), bits(&whole));
}
