//! The ways to take a step: no step forgets the refresh, and none moves at rate 0.

use crate::common::{Batch, Network, bits, device, every};
use burn::lr_scheduler::LrSchedulerConfig;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrSchedulerConfig;
use burn::module::ParamGroup;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use fosi::base::{Adam, HeavyBall};
use fosi_burn::{FosiOptimizer, OptimizerError};

#[test]
fn steps_with_gradients_refresh_as_steps_with_a_loss_do() {
    let device = device();
    let batch = Batch::new(24, &device);
    let network = Network::new(&device);
    let new = || FosiOptimizer::new(&network, Adam::default(), every(2, 3)).unwrap();
    let (mut by_loss, mut by_gradients) = (new(), new());
    let (mut ours, mut theirs) = (network.clone(), network.clone());
    let loss = |network: &Network| network.loss(&batch);
    for step in 0..9 {
        let first = by_loss.step(0.01, &mut ours, &loss).unwrap();
        let gradients = GradientsParams::from_grads(loss(&theirs).backward(), &theirs);
        let second = by_gradients
            .step_with_gradients(0.01, &mut theirs, gradients, &[loss])
            .unwrap();
        let due = step >= 2 && (step - 2) % 3 == 0;
        assert_eq!(first.refresh.is_some(), due, "step {step}");
        assert_eq!(second.refresh.is_some(), due, "step {step}");
        assert_eq!(bits(&ours), bits(&theirs), "step {step}");
    }
    let spectrum = by_gradients.fosi().spectrum().unwrap();
    assert_eq!(spectrum.eigenvalues.len(), 3);
}

#[test]
fn an_accumulated_step_is_one_on_the_mean() {
    let device = device();
    let network = Network::new(&device);
    let batches = [Batch::new(24, &device), Batch::new(8, &device)];
    let new = || FosiOptimizer::new(&network, HeavyBall::new(0.9), every(2, 3)).unwrap();
    let (mut accumulated, mut mean) = (new(), new());
    let (mut ours, mut theirs) = (network.clone(), network.clone());
    let losses: Vec<_> = batches
        .iter()
        .map(|batch| |network: &Network| network.loss(batch))
        .collect();
    let both =
        |network: &Network| (network.loss(&batches[0]) + network.loss(&batches[1])).mul_scalar(0.5);
    for step in 0..7 {
        let first = accumulated
            .step_accumulated(0.01, &mut ours, &losses)
            .unwrap();
        let second = mean.step(0.01, &mut theirs, &both).unwrap();
        let difference = (first.loss - second.loss).abs();
        assert!(difference <= 1e-5 * second.loss, "step {step}");
        assert_eq!(first.refresh.is_some(), second.refresh.is_some());
        if let Some(refresh) = first.refresh {
            assert_eq!(refresh.batch_curvatures.len(), 2);
        }
    }
    let eigenvalues = |optimizer: &FosiOptimizer<HeavyBall>| {
        optimizer.fosi().spectrum().unwrap().eigenvalues.clone()
    };
    let pairs = eigenvalues(&accumulated)
        .into_iter()
        .zip(eigenvalues(&mean));
    for (a, b) in pairs {
        assert!((a - b).abs() <= 1e-3 * b.abs(), "{a} {b}");
    }
    let none: [fn(&Network) -> Tensor<1>; 0] = [];
    let error = accumulated.step_accumulated(0.01, &mut ours, &none);
    assert!(matches!(
        error,
        Err(OptimizerError::Fosi(fosi::Error::InvalidSetting { .. }))
    ));
}

#[test]
fn losses_may_keep_count_and_be_trait_objects() {
    let device = device();
    let batch = Batch::new(24, &device);
    let mut network = Network::new(&device);
    let mut optimizer = FosiOptimizer::new(&network, Adam::default(), every(1, 5)).unwrap();
    let mut calls = 0;
    let mut loss = |network: &Network| {
        calls += 1;
        network.loss(&batch)
    };
    optimizer.step(0.01, &mut network, &mut loss).unwrap();
    let boxed: &mut dyn FnMut(&Network) -> Tensor<1> = &mut loss;
    let done = optimizer.step(0.01, &mut network, boxed).unwrap();
    // Five gradients of the first step's check, one for each step, and the refresh's.
    let refresh = done.refresh.unwrap();
    assert_eq!(calls, 7 + refresh.gradients);
}

/// A cosine to zero comes to rest: the Newton rate follows the learning rate.
#[test]
fn a_step_at_rate_zero_moves_nothing() {
    let device = device();
    let batch = Batch::new(24, &device);
    let mut network = Network::new(&device);
    let mut optimizer = FosiOptimizer::new(&network, HeavyBall::new(0.9), every(2, 3)).unwrap();
    let loss = |network: &Network| network.loss(&batch);
    for _ in 0..6 {
        optimizer.step(0.01, &mut network, &loss).unwrap();
    }
    let before = bits(&network);
    for _ in 0..4 {
        optimizer.step(0.0, &mut network, &loss).unwrap();
    }
    assert_eq!(bits(&network), before);
}

#[test]
fn burns_schedulers_give_the_rate() {
    let device = device();
    let batch = Batch::new(24, &device);
    let network = Network::new(&device);
    let loss = |network: &Network| network.loss(&batch);
    let new = || FosiOptimizer::new(&network, HeavyBall::new(0.9), every(1, 3)).unwrap();
    let (mut scheduled, mut plain) = (new(), new());
    let (mut ours, mut theirs) = (network.clone(), network.clone());
    let config = CosineAnnealingLrSchedulerConfig::new(0.01, 6);
    let mut scheduler = config.init().unwrap();
    let mut rates = config.init().unwrap();
    for _ in 0..6 {
        scheduled.step(scheduler.step(), &mut ours, &loss).unwrap();
        plain.step(rates.step().base(), &mut theirs, &loss).unwrap();
        assert_eq!(bits(&ours), bits(&theirs));
    }
    let groups = ModuleLrSchedulerConfig::new(LrSchedulerConfig::Constant(0.01)).with_group(
        ParamGroup::from_path("output.weight"),
        LrSchedulerConfig::Constant(0.1),
    );
    let rates = groups.init().unwrap().step();
    let error = scheduled.step(rates, &mut ours, &loss).unwrap_err();
    assert!(error.to_string().contains("`output.weight` 0.1"), "{error}");
    assert_eq!(bits(&ours), bits(&theirs));
}
