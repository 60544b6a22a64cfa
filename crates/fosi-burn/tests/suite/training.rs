//! `FosiOptimizer` on a network with batch norm, a frozen layer and a layer that the loss does not reach.

use std::cell::Cell;

use crate::common::{Batch, Network, TRAINABLE, bits, device, every, generator};
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use fosi::FosiConfig;
use fosi::base::{Adam, AdamW, HeavyBall};
use fosi_burn::{FosiOptimizer, OptimizerError};

/// The frozen layer's weights.
fn frozen(network: &Network) -> Vec<f32> {
    let weight = network.frozen.weight.val().into_data();
    weight.try_to_vec::<f32>().unwrap()
}

#[test]
fn training_lowers_the_loss_and_moves_what_it_should() {
    let device = device();
    let batch = Batch::new(24, &device);
    let mut network = Network::new(&device);
    let (before, unreached) = (frozen(&network), network.unreached.weight.val().into_data());
    // All m steps: an eigenvector that has not converged to the last digit keeps small components of the random start,
    // even in directions that the loss does not depend on.
    let config = FosiConfig {
        lanczos_steps: Some(TRAINABLE),
        ..every(5, 20)
    };
    let mut optimizer = FosiOptimizer::new(&network, HeavyBall::new(0.9), config).unwrap();
    assert_eq!(optimizer.layout().len(), TRAINABLE);
    let loss = |network: &Network| network.loss(&batch);
    let mut losses = Vec::new();
    let mut refreshes = 0;
    for _ in 0..60 {
        let step = optimizer.step(0.02, &mut network, &loss).unwrap();
        losses.push(step.loss);
        if let Some(attempt) = step.refresh {
            attempt.result.unwrap();
            refreshes += 1;
        }
    }
    assert_eq!(refreshes, 3);
    assert!(
        losses[59] < 0.5 * losses[0],
        "{} to {}",
        losses[0],
        losses[59]
    );
    assert_eq!(frozen(&network), before);
    let unreached = Tensor::<2>::from_data(unreached, &device.clone().without_autodiff());
    let moved = network.unreached.weight.val().inner() - unreached;
    let moved = moved.abs().max().into_scalar::<f32>();
    assert!(moved < 1e-5, "{moved}");
}

#[test]
fn a_refused_learning_rate_costs_no_estimation() {
    let device = device();
    let batch = Batch::new(24, &device);
    let mut network = Network::new(&device);
    let new = || FosiOptimizer::new(&network, AdamW::default(), every(0, 4)).unwrap();
    let mut optimizer = new();
    let untouched = new().to_bytes().unwrap();
    let evaluations = Cell::new(0);
    let loss = |network: &Network| {
        evaluations.set(evaluations.get() + 1);
        network.loss(&batch)
    };
    assert!(optimizer.due());
    // The last one overflows the vectors' precision.
    for rate in [-0.1, f64::NAN, f64::INFINITY, 1e39] {
        let error = optimizer.step(rate, &mut network, &loss).unwrap_err();
        assert!(error.to_string().contains("learning_rate"), "{error}");
    }
    assert_eq!(evaluations.get(), 0);
    assert_eq!(optimizer.to_bytes().unwrap(), untouched);
}

#[test]
fn a_refresh_leaves_the_module_and_the_device_as_they_were() {
    let _turn = generator();
    let device = device();
    let batch = Batch::new(24, &device);
    let network = Network::new(&device);
    let loss = |network: &Network| network.loss(&batch);
    loss(&network); // running statistics that aren't the initial ones
    let (parameters, statistics) = (bits(&network), network.running_statistics());
    let mut optimizer = FosiOptimizer::new(&network, Adam::default(), every(0, 20)).unwrap();

    let draw = |device: &Device| {
        let tensor = Tensor::<1>::random([8], Distribution::Default, device);
        tensor.into_data().try_to_vec::<f32>().unwrap()
    };
    device.seed(11);
    let expected = draw(&device);
    device.seed(11);
    optimizer.refresh(&network, &loss).unwrap().result.unwrap();
    assert_eq!(
        draw(&device),
        expected,
        "the device's random state has moved"
    );

    assert_eq!(bits(&network), parameters);
    assert_eq!(network.running_statistics(), statistics);
    assert!(!network.frozen.weight.is_require_grad());
    assert!(network.input.weight.is_require_grad());
}

#[test]
fn a_resumed_run_is_bit_equal_across_a_refresh() {
    let device = device();
    let batch = Batch::new(24, &device);
    let loss = |network: &Network| network.loss(&batch);
    let new =
        |network: &Network| FosiOptimizer::new(network, Adam::default(), every(3, 4)).unwrap();
    let folder = tempfile::tempdir().unwrap();

    let mut network = Network::new(&device);
    let mut optimizer = new(&network);
    for _ in 0..5 {
        optimizer.step(0.01, &mut network, &loss).unwrap();
    }
    optimizer.save(folder.path().join("optimizer")).unwrap();
    network
        .clone()
        .save_file(folder.path().join("network"))
        .unwrap();

    let mut resumed = Network::new(&device).load_file(folder.path().join("network"));
    let mut second = new(&resumed);
    second.load(folder.path().join("optimizer")).unwrap();
    for step in 5..12 {
        optimizer.step(0.01, &mut network, &loss).unwrap();
        second.step(0.01, &mut resumed, &loss).unwrap();
        assert_eq!(bits(&network), bits(&resumed), "step {step}");
    }
    assert_eq!(optimizer.fosi().steps(), 12);
}

#[test]
fn a_refresh_that_fails_leaves_the_old_spectrum_and_training_goes_on() {
    let device = device();
    let batch = Batch::new(24, &device);
    let mut network = Network::new(&device);
    let mut optimizer = FosiOptimizer::new(&network, HeavyBall::new(0.9), every(0, 3)).unwrap();
    let good = |network: &Network| network.loss(&batch);
    for _ in 0..3 {
        optimizer.step(0.01, &mut network, &good).unwrap();
    }
    let old = optimizer.fosi().spectrum().unwrap().eigenvalues.clone();
    let not_a_number = |network: &Network| network.loss(&batch).mul_scalar(f32::NAN);
    let attempt = optimizer.refresh(&network, &not_a_number).unwrap();
    let message = attempt.result.unwrap_err().to_string();
    assert!(message.contains("goes on as it was"), "{message}");
    assert_eq!(optimizer.fosi().spectrum().unwrap().eigenvalues, old);

    // A step on such a loss is refused, and nothing changes.
    let before = bits(&network);
    let error = optimizer.step(0.01, &mut network, &not_a_number);
    assert!(matches!(
        error,
        Err(OptimizerError::Fosi(fosi::Error::NonFiniteGradient { .. }))
    ));
    assert_eq!(bits(&network), before);
    optimizer.step(0.01, &mut network, &good).unwrap();
    assert_ne!(bits(&network), before);
}

#[test]
fn accumulated_gradients_are_one_step() {
    let device = device();
    let batch = Batch::new(24, &device);
    let network = Network::new(&device);
    let new = || FosiOptimizer::new(&network, HeavyBall::new(0.9), every(0, 50)).unwrap();
    let (mut whole, mut sliced) = (new(), new());
    let (mut ours, mut theirs) = (network.clone(), network.clone());
    let loss = |network: &Network| network.loss(&batch);
    for _ in 0..4 {
        let mut gradients = GradientsAccumulator::new();
        for _ in 0..2 {
            let half = loss(&theirs).mul_scalar(0.5);
            gradients.accumulate(
                &theirs,
                GradientsParams::from_grads(half.backward(), &theirs),
            );
        }
        let done = sliced
            .step_with_gradients(0.01, &mut theirs, gradients.grads(), &[loss])
            .unwrap();
        assert_eq!(done.refresh.is_some(), sliced.fosi().steps() == 1);
        whole.step(0.01, &mut ours, &loss).unwrap();
    }
    // Halves add up without rounding.
    assert_eq!(bits(&ours), bits(&theirs));
    assert_eq!(whole.fosi().steps(), sliced.fosi().steps());
}
