//! The kinds of steps: all of them refresh when due, and none moves at rate 0.

use crate::common::{Batch, Network, accelerator, bits, device, every};
use burn::lr_scheduler::LrSchedulerConfig;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrSchedulerConfig};
use burn::module::ParamGroup;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, MultiGradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use fosi::FosiConfig;
use fosi::base::{Adam, HeavyBall};
use fosi_burn::{BurnBase, FlatLayout, FosiOptimizer, ModuleSpace, OptimizerError};

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
    // Five gradients for the first step's check, one per step, and those of the refresh.
    let refresh = done.refresh.unwrap();
    assert_eq!(calls, 7 + refresh.gradients);
}

/// A run with a cosine schedule to zero comes to rest, since the Newton rate follows the learning rate.
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
}

/// Rates of 0.01, of 0.002 for the output layer and of `bias` for its bias.
fn groups(bias: f64) -> ModuleLearningRate {
    let constant = LrSchedulerConfig::Constant;
    let config = ModuleLrSchedulerConfig::new(constant(0.01))
        .with_group(ParamGroup::from_predicate("output"), constant(0.002))
        .with_group(ParamGroup::from_path("output.bias"), constant(bias));
    config.init().unwrap().step()
}

/// How far each parameter moved.
fn moves(before: &Network, after: &Network) -> Vec<f64> {
    let layout = FlatLayout::of(before).unwrap();
    let [before, after] = [before, after].map(|m| layout.parameters::<f64>(m).unwrap());
    after.iter().zip(before).map(|(a, b)| a - b).collect()
}

#[test]
fn groups_with_smaller_rates_move_by_their_share() {
    let device = device();
    let batch = Batch::new(24, &device);
    let loss = |network: &Network| network.loss(&batch);
    let network = Network::new(&device);
    let layout = FlatLayout::of(&network).unwrap();
    let share = |path: &str| match path {
        "output.weight" => 0.2,
        "output.bias" => 0.0,
        _ => 1.0,
    };
    // Before the first refresh and after it, on the host and on a device.
    for steps in [0, 3] {
        let mut start = network.clone();
        let mut optimizer = FosiOptimizer::new(&network, Adam::default(), every(2, 9)).unwrap();
        for _ in 0..steps {
            optimizer.step(0.01, &mut start, &loss).unwrap();
        }
        let state = optimizer.to_bytes().unwrap();
        let (mut together, mut apart) = (start.clone(), start.clone());
        optimizer.step(0.01, &mut together, &loss).unwrap();
        optimizer.restore(&state).unwrap();
        let rates = groups(0.0);
        optimizer.step(rates, &mut apart, &loss).unwrap();
        assert_eq!(optimizer.fosi().spectrum().is_some(), steps > 0);
        let (together, apart) = (moves(&start, &together), moves(&start, &apart));
        for slot in layout.slots() {
            let moved = together[slot.range()].iter().any(|x| x.abs() > 1e-3);
            assert!(moved || slot.path.starts_with("unreached"), "{}", slot.path);
            for i in slot.range() {
                let expected = share(&slot.path) * together[i];
                assert!((apart[i] - expected).abs() < 2e-7, "{} {i}", slot.path);
            }
        }
    }
}

/// Groups and base with only Burn's optimizers, on the host and on a device.
#[test]
fn groups_of_rates_are_burns() {
    fn run<S: ModuleSpace>(
        device: &Device,
        new: impl Fn(&Network, BurnBase<Network>) -> FosiOptimizer<BurnBase<Network>, S>,
    ) {
        let batch = Batch::new(24, device);
        let loss = |network: &Network| network.loss(&batch);
        let network = Network::new(device);
        // Not Adam, which amplifies the rounding errors of a zero gradient, such as before batch norm.
        let momentum = MomentumConfig::new();
        let mut plain = SgdConfig::new().with_momentum(Some(momentum)).init();
        let base = BurnBase::new(&network, plain.clone()).unwrap();
        let mut wrapped = new(&network, base);
        let (mut ours, mut theirs) = (network.clone(), network);
        for _ in 0..20 {
            wrapped.step(groups(0.05), &mut ours, &loss).unwrap();
            let gradients = GradientsParams::from_grads(loss(&theirs).backward(), &theirs);
            theirs = plain.step(groups(0.05), theirs, gradients);
        }
        let apart = moves(&ours, &theirs);
        assert!(apart.iter().all(|x| x.abs() < 1e-6), "{apart:?}");
    }
    run(&device(), |network, base| {
        FosiOptimizer::new(network, base, FosiConfig::base_only()).unwrap()
    });
    run(&accelerator(), |network, base| {
        FosiOptimizer::on_device(network, base, FosiConfig::base_only()).unwrap()
    });
}

#[test]
fn a_bad_rate_of_a_group_is_refused() {
    let device = device();
    let batch = Batch::new(24, &device);
    let loss = |network: &Network| network.loss(&batch);
    let mut network = Network::new(&device);
    let before = bits(&network);
    let mut optimizer = FosiOptimizer::new(&network, Adam::default(), every(2, 9)).unwrap();
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        let error = optimizer.step(groups(bad), &mut network, &loss);
        assert!(matches!(
            error,
            Err(OptimizerError::Fosi(fosi::Error::InvalidSetting { .. }))
        ));
        assert_eq!(bits(&network), before);
    }
}

/// Gradients of two devices are added, as in Burn's optimizers.
#[test]
fn gradients_of_several_devices_are_taken() {
    let device = device();
    let batches = [Batch::new(24, &device), Batch::new(8, &device)];
    let network = Network::new(&device);
    let gradients = |network: &Network, batch: &Batch| {
        GradientsParams::from_grads(network.loss(batch).backward(), network)
    };
    let mut plain = AdamConfig::new().init();
    let base = BurnBase::new(&network, plain.clone()).unwrap();
    let mut wrapped = FosiOptimizer::new(&network, base, FosiConfig::base_only()).unwrap();
    let (mut ours, mut theirs) = (network.clone(), network);
    for _ in 0..5 {
        let multi = |network: &Network| {
            let grads = batches.iter().map(|batch| gradients(network, batch));
            MultiGradientsParams {
                grads: grads.map(|grads| (grads, device.clone().inner())).collect(),
            }
        };
        let of_ours = multi(&ours);
        wrapped
            .step_without_refresh(0.01, &mut ours, of_ours)
            .unwrap();
        let of_theirs = multi(&theirs);
        theirs = plain.step_multi(0.01, theirs, of_theirs);
        assert_eq!(bits(&ours), bits(&theirs));
    }
}
