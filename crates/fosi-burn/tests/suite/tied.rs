//! Tied weights in whole training runs: one slot, a gradient from both uses, and weights that stay tied.

use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, ModuleOptimizer, RmsPropConfig, SgdConfig};
use burn::tensor::Tensor;
use fosi::base::{Adam, AdamW, Base, GradientDescent, HeavyBall, Nesterov};
use fosi::{FosiConfig, Host};
use fosi_burn::{BurnBase, FosiOptimizer};

use crate::common::{Tied, device, every, matrix};

/// The losses of 24 steps, after each of which the weights are tied.
fn train<B: Base<Host<f32>>>(base: B, config: FosiConfig) -> Vec<f64> {
    let device = device();
    let (mut network, x) = (Tied::new(&device), matrix(8, 4, 22, &device));
    let loss = |network: &Tied| network.loss(&x);
    let mut optimizer = FosiOptimizer::new(&network, base, config).unwrap();
    let mut losses = Vec::new();
    for step in 0..24 {
        let done = optimizer.step(0.02, &mut network, &loss).unwrap();
        if let Some(attempt) = done.refresh {
            attempt.result.unwrap();
        }
        losses.push(done.loss);
        let (encoder, decoder) = (weights(&network.encoder), weights(&network.decoder));
        assert_eq!(encoder, decoder, "step {step}");
    }
    losses
}

fn weights(param: &burn::module::Param<Tensor<2>>) -> Vec<f32> {
    param.val().into_data().try_to_vec::<f32>().unwrap()
}

fn check<B: Base<Host<f32>>>(name: &str, base: impl Fn() -> B) {
    for config in [every(8, 8), FosiConfig::base_only()] {
        let losses = train(base(), config);
        assert!(
            losses[23] < losses[0],
            "{name}: {} to {}",
            losses[0],
            losses[23]
        );
    }
}

#[test]
fn they_stay_tied_with_the_native_bases() {
    check("gradient descent", || GradientDescent);
    check("Heavy-Ball", || HeavyBall::new(0.9));
    check("Nesterov", || Nesterov::new(0.9));
    check("Adam", Adam::default);
    check("AdamW", AdamW::default);
}

#[test]
fn they_stay_tied_with_burns_optimizers() {
    let network = Tied::new(&device());
    let momentum = MomentumConfig::new().with_momentum(0.9);
    let optimizers: [(&str, ModuleOptimizer); 3] = [
        ("sgd", SgdConfig::new().with_momentum(Some(momentum)).init()),
        ("adam", AdamConfig::new().init()),
        ("rmsprop", RmsPropConfig::new().init()),
    ];
    for (name, optimizer) in optimizers {
        check(name, || BurnBase::new(&network, optimizer.clone()).unwrap());
    }
}

/// A weight used in two places is one variable: gradient descent moves it by the sum of both gradients.
#[test]
fn both_uses_count_in_a_step() {
    let device = device();
    let (mut network, x) = (Tied::new(&device), matrix(8, 4, 22, &device));
    let before = weights(&network.encoder);
    let gradients = network.loss(&x).backward();
    let both = network.encoder.val().grad(&gradients).unwrap();
    let both = both.into_data().try_to_vec::<f32>().unwrap();
    let mut optimizer =
        FosiOptimizer::new(&network, GradientDescent, FosiConfig::base_only()).unwrap();
    let loss = |network: &Tied| network.loss(&x);
    optimizer.step(0.5, &mut network, &loss).unwrap();
    for ((after, before), g) in weights(&network.encoder).iter().zip(&before).zip(&both) {
        let expected = before - 0.5 * g;
        assert!((after - expected).abs() < 1e-6, "{after} {expected}");
    }
}
