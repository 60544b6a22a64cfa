//! Burn's optimizers as bases: the plain step bit for bit, the wrapped step against the native base, saving and
//! loading, failures.

use crate::common::{device, every, linear, matrix};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Module, ParamGroup};
use burn::nn::Linear;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdafactorConfig, AdamConfig, AdamWConfig, AdanConfig, GradientsParams,
    LambConfig, LionConfig, ModuleOptimizer, MuonConfig, OptimizerRecord, RmsPropConfig, SgdConfig,
};
use burn::tensor::activation::tanh;
use burn::tensor::{Device, Tensor};
use fosi::base::{Adam, Base, GradientDescent, HeavyBall, Momentum, UpdateRule};
use fosi::{FosiConfig, Host, Space, Storage};
use fosi_burn::{
    BridgeError, BurnBase, FlatLayout, FosiOptimizer, OptimizerError, Precision, backward,
    like_module,
};

#[derive(Module, Debug)]
pub struct Network {
    pub hidden: Linear,
    pub output: Linear,
}

impl Network {
    pub fn new(device: &Device) -> Self {
        Self {
            hidden: linear(4, 6, 1, device),
            output: linear(6, 2, 2, device),
        }
    }

    pub fn loss(&self, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<1> {
        let hidden = tanh(self.hidden.forward(like_module(x.clone(), self)));
        (self.output.forward(hidden) - like_module(y.clone(), self))
            .square()
            .mean()
    }
}

pub struct Problem {
    pub network: Network,
    pub x: Tensor<2>,
    pub y: Tensor<2>,
}

pub fn problem() -> Problem {
    problem_on(&device())
}

pub fn problem_on(device: &Device) -> Problem {
    Problem {
        network: Network::new(device),
        x: matrix(16, 4, 3, device),
        y: matrix(16, 2, 4, device),
    }
}

/// All of Burn's optimizers that take parameters of any rank.
pub fn optimizers() -> Vec<(&'static str, ModuleOptimizer)> {
    let momentum = MomentumConfig::new().with_momentum(0.9);
    vec![
        ("sgd", SgdConfig::new().init()),
        (
            "sgd, momentum",
            SgdConfig::new().with_momentum(Some(momentum)).init(),
        ),
        ("adam", AdamConfig::new().init()),
        ("adamw", AdamWConfig::new().init()),
        ("rmsprop", RmsPropConfig::new().init()),
        ("adagrad", AdaGradConfig::new().init()),
        ("lion", LionConfig::new().init()),
        ("adan", AdanConfig::new().init()),
        ("lamb", LambConfig::new().init()),
        ("adafactor", AdafactorConfig::new().init()),
    ]
}

/// Each of them, also with Nesterov momentum and AMSGrad, with weight decay if it has one, and with each parameter's
/// gradient clipped.
fn every_optimizer() -> Vec<(String, ModuleOptimizer)> {
    let nesterov = MomentumConfig::new().with_nesterov(true);
    let decay = || Some(WeightDecayConfig::new(0.1));
    let more = [
        (
            "sgd, nesterov, decay",
            SgdConfig::new()
                .with_momentum(Some(nesterov))
                .with_weight_decay(decay())
                .init(),
        ),
        (
            "adam, amsgrad, decay",
            AdamConfig::new()
                .with_amsgrad(true)
                .with_weight_decay(decay())
                .init(),
        ),
        (
            "adamw, decay",
            AdamWConfig::new().with_weight_decay(0.1).init(),
        ),
        (
            "rmsprop, centered, decay",
            RmsPropConfig::new()
                .with_centered(true)
                .with_weight_decay(decay())
                .init(),
        ),
        (
            "adagrad, decay",
            AdaGradConfig::new().with_weight_decay(decay()).init(),
        ),
        (
            "lion, decay",
            LionConfig::new().with_weight_decay(0.1).init(),
        ),
        (
            "adan, decay",
            AdanConfig::new().with_weight_decay(0.1).init(),
        ),
        (
            "lamb, decay",
            LambConfig::new().with_weight_decay(0.1).init(),
        ),
        (
            "adafactor, decay",
            AdafactorConfig::new().with_weight_decay(0.1).init(),
        ),
    ];
    let all: Vec<_> = optimizers().into_iter().chain(more).collect();
    let clipping = GradientClippingConfig::Norm(0.02);
    let clipped = all.clone().into_iter().map(|(name, optimizer)| {
        let optimizer = optimizer.with_grad_clipping(clipping.init());
        (format!("{name}, clipped"), optimizer)
    });
    let plain = all.iter().cloned();
    let plain = plain.map(|(name, optimizer)| (name.to_owned(), optimizer));
    plain.chain(clipped).collect()
}

pub fn flat(network: &Network) -> Vec<f32> {
    FlatLayout::of(network)
        .unwrap()
        .parameters(network)
        .unwrap()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = a
        .iter()
        .zip(b)
        .map(|(a, b)| f64::from(a - b).powi(2))
        .sum::<f64>();
    square.sqrt()
}

#[test]
fn before_the_first_refresh_the_step_is_burns_bit_for_bit() {
    for (name, mut plain) in every_optimizer() {
        let Problem { network, x, y } = problem();
        let base = BurnBase::new(&network, plain.clone()).unwrap();
        let mut wrapped = FosiOptimizer::new(&network, base, FosiConfig::base_only()).unwrap();
        let (mut ours, mut theirs) = (network.clone(), network);
        for step in 0..30 {
            let rate = 0.05 / (1.0 + step as f64);
            wrapped
                .step(rate, &mut ours, &|m: &Network| m.loss(&x, &y))
                .unwrap();
            let gradients = GradientsParams::from_grads(theirs.loss(&x, &y).backward(), &theirs);
            theirs = plain.step(rate, theirs, gradients);
            assert_eq!(flat(&ours), flat(&theirs), "{name}, step {step}");
        }
    }
}

/// Refreshed at step 0, before there is momentum, so that its split makes no difference.
#[test]
fn wrapped_sgd_is_the_native_base() {
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let native = HeavyBall::new(0.9);
    let Problem { network, x, y } = problem();
    let sgd = SgdConfig::new().with_momentum(Some(momentum)).init();
    let base = BurnBase::new(&network, sgd)
        .unwrap()
        .with_momentum(native.momentum())
        .with_rate_ratio(move |extremes| native.rate_ratio(extremes));
    let mut wrapped = FosiOptimizer::new(&network, base, every(0, 1000)).unwrap();
    let mut direct = FosiOptimizer::new(&network, HeavyBall::new(0.9), every(0, 1000)).unwrap();
    let loss = |m: &Network| m.loss(&x, &y);
    let (mut ours, mut theirs) = (network.clone(), network.clone());
    for _ in 0..40 {
        let a = wrapped.step(0.02, &mut ours, &loss).unwrap();
        let b = direct.step(0.02, &mut theirs, &loss).unwrap();
        assert_eq!(a.report.scale, b.report.scale);
        assert!(a.report.scale > 1.0);
    }
    let (moved, apart) = (
        distance(&flat(&network), &flat(&theirs)),
        distance(&flat(&ours), &flat(&theirs)),
    );
    assert!(
        apart < 1e-5 * moved,
        "moved {moved:e}, {apart:e} from the native base"
    );
}

/// If the subspace does not change, its momentum is kept across a refresh.
#[test]
fn momentum_in_the_subspace_survives_a_refresh() {
    let Problem { network, x, y } = problem();
    let config = |interval| FosiConfig {
        // All m steps, at a rate so low that both refreshes have the same Hessian: the same V from different start
        // vectors.
        lanczos_steps: Some(44),
        newton_rate: fosi::NewtonRate::Constant(1e-6),
        ..every(0, interval)
    };
    let loss = |m: &Network| m.loss(&x, &y);
    let momentum = Momentum {
        decay: 0.9,
        ..Momentum::NONE
    };
    let step_after = |interval: u64, kept: bool| {
        let base = BurnBase::new(&network, SgdConfig::new().init())
            .unwrap()
            .with_momentum(if kept { momentum } else { Momentum::NONE });
        let mut optimizer = FosiOptimizer::new(&network, base, config(interval)).unwrap();
        let mut module = network.clone();
        for _ in 0..5 {
            optimizer.step(0.0, &mut module, &loss).unwrap();
        }
        optimizer
            .step(0.0, &mut module, &loss)
            .unwrap()
            .report
            .newton_norm
    };
    let (through, refreshed) = (step_after(1000, true), step_after(5, true));
    assert!(
        (refreshed / through - 1.0).abs() < 1e-3,
        "{refreshed:e} after a refresh, {through:e} without"
    );
    assert!(step_after(5, false) < 0.5 * through);
}

#[test]
fn a_resumed_run_is_bit_equal_across_a_refresh() {
    let folder = tempfile::tempdir().unwrap();
    for (name, optimizer) in every_optimizer() {
        let Problem { network, x, y } = problem();
        let loss = |m: &Network| m.loss(&x, &y);
        let new = |network: &Network| {
            let base = BurnBase::new(network, optimizer.clone()).unwrap();
            FosiOptimizer::new(network, base, every(3, 4)).unwrap()
        };
        let mut module = network.clone();
        let mut first = new(&module);
        for _ in 0..5 {
            first.step(0.01, &mut module, &loss).unwrap();
        }
        first.save(folder.path().join("optimizer")).unwrap();
        module
            .clone()
            .save_file(folder.path().join("module"))
            .unwrap();

        let mut resumed = Network::new(&device()).load_file(folder.path().join("module"));
        let mut second = new(&resumed);
        second.load(folder.path().join("optimizer")).unwrap();
        for step in 5..12 {
            first.step(0.01, &mut module, &loss).unwrap();
            second.step(0.01, &mut resumed, &loss).unwrap();
            assert_eq!(flat(&module), flat(&resumed), "{name}, step {step}");
        }
    }
}

/// A new module has its own ids and takes those of the file on loading, which is after the optimizer's creation.
#[test]
fn the_optimizer_may_be_made_before_the_module_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    for (name, optimizer) in optimizers() {
        let Problem { network, x, y } = problem();
        let loss = |m: &Network| m.loss(&x, &y);
        let new = |network: &Network| {
            let base = BurnBase::new(network, optimizer.clone()).unwrap();
            FosiOptimizer::new(network, base, every(3, 4)).unwrap()
        };
        let mut module = network.clone();
        let mut first = new(&module);
        for _ in 0..5 {
            first.step(0.01, &mut module, &loss).unwrap();
        }
        let (state, file) = (
            folder.path().join("optimizer"),
            folder.path().join("module"),
        );
        first.save(&state).unwrap();
        module.clone().save_file(&file).unwrap();

        let fresh = Network::new(&device());
        let mut second = new(&fresh);
        let mut resumed = fresh.load_file(&file);
        second.load(&state).unwrap();
        for step in 5..12 {
            first.step(0.01, &mut module, &loss).unwrap();
            second.step(0.01, &mut resumed, &loss).unwrap();
            assert_eq!(flat(&module), flat(&resumed), "{name}, step {step}");
        }
        // Once more, from a state whose ids differ from the module's.
        second.save(&state).unwrap();
        let mut third = new(&resumed);
        third.load(&state).unwrap();
        third.step(0.01, &mut resumed, &loss).unwrap();
        first.step(0.01, &mut module, &loss).unwrap();
        assert_eq!(flat(&module), flat(&resumed), "{name}");
    }
}

#[test]
fn the_state_of_another_optimizer_is_refused() {
    let Problem { network, x, y } = problem();
    let new = |optimizer: ModuleOptimizer| {
        let base = BurnBase::new(&network, optimizer).unwrap();
        FosiOptimizer::new(&network, base, every(3, 4)).unwrap()
    };
    let mut adam = new(AdamConfig::new().init());
    let mut module = network.clone();
    adam.step(0.01, &mut module, &|m: &Network| m.loss(&x, &y))
        .unwrap();
    let bytes = adam.fosi().to_bytes().unwrap();
    let mut sgd = new(SgdConfig::new().init());
    let error = sgd.fosi_mut().restore(&bytes).unwrap_err().to_string();
    assert!(error.contains("made by another"), "{error}");
    assert_eq!(sgd.fosi().steps(), 0);
    new(AdamConfig::new().init())
        .fosi_mut()
        .restore(&bytes)
        .unwrap();
}

/// [`optimizers`], and some of the same kind with other settings.
fn kinds_and_settings() -> Vec<(&'static str, ModuleOptimizer)> {
    let nesterov = MomentumConfig::new().with_nesterov(true);
    let clipped = GradientClippingConfig::Norm(1.0);
    let group = ParamGroup::from_predicate("output");
    let others = [
        (
            "sgd, nesterov",
            SgdConfig::new().with_momentum(Some(nesterov)).init(),
        ),
        (
            "sgd, clipped",
            SgdConfig::new()
                .with_gradient_clipping(Some(clipped))
                .init(),
        ),
        ("adam, beta_1", AdamConfig::new().with_beta_1(0.8).init()),
        ("adam, beta_2", AdamConfig::new().with_beta_2(0.99).init()),
        ("adam, epsilon", AdamConfig::new().with_epsilon(1e-3).init()),
        ("adam, amsgrad", AdamConfig::new().with_amsgrad(true).init()),
        (
            "adamw, decay",
            AdamWConfig::new().with_weight_decay(1e-2).init(),
        ),
        (
            "rmsprop, centered",
            RmsPropConfig::new().with_centered(true).init(),
        ),
        (
            "rmsprop, alpha",
            RmsPropConfig::new().with_alpha(0.9).init(),
        ),
        (
            "adagrad, decay",
            AdaGradConfig::new().with_lr_decay(0.1).init(),
        ),
        (
            "adan, decay",
            AdanConfig::new().with_weight_decay(1e-2).init(),
        ),
        (
            "adam, sgd for a group",
            AdamConfig::new()
                .init()
                .with_group(group, SgdConfig::new().build(), None),
        ),
    ];
    optimizers().into_iter().chain(others).collect()
}

#[test]
fn a_state_is_taken_by_an_optimizer_of_the_same_kind_and_settings_alone() {
    let Problem { network, x, y } = problem();
    let new = |optimizer: &ModuleOptimizer| {
        let base = BurnBase::new(&network, optimizer.clone()).unwrap();
        FosiOptimizer::new(&network, base, every(3, 4)).unwrap()
    };
    let tensors = |optimizer: &FosiOptimizer<BurnBase<Network>>| {
        optimizer.fosi().base().optimizer().to_record().len()
    };
    let saved: Vec<(&str, usize, Vec<u8>)> = kinds_and_settings()
        .iter()
        .map(|(name, optimizer)| {
            let mut optimizer = new(optimizer);
            let mut module = network.clone();
            for _ in 0..2 {
                optimizer
                    .step(0.01, &mut module, &|m: &Network| m.loss(&x, &y))
                    .unwrap();
            }
            (*name, tensors(&optimizer), optimizer.to_bytes().unwrap())
        })
        .collect();
    for (own, optimizer) in kinds_and_settings() {
        for (name, count, bytes) in &saved {
            let mut optimizer = new(&optimizer);
            let before = optimizer.to_bytes().unwrap();
            match optimizer.restore(bytes) {
                Ok(()) => {
                    assert_eq!(*name, own);
                    assert_eq!(tensors(&optimizer), *count, "{own}");
                }
                Err(OptimizerError::Fosi(fosi::Error::Checkpoint(message))) => {
                    assert_ne!(*name, own);
                    assert!(
                        message
                            .contains("made by another kind of optimizer or with other settings"),
                        "{message}"
                    );
                    assert_eq!(optimizer.to_bytes().unwrap(), before, "{name} into {own}");
                }
                Err(error) => panic!("{name} into {own}: {error}"),
            }
        }
    }
}

#[test]
fn an_optimizer_that_does_not_take_the_parameters_is_refused() {
    let Problem { network, x, y } = problem();
    let error = BurnBase::new(&network, MuonConfig::new().init()).unwrap_err();
    assert!(matches!(error, BridgeError::UnfitOptimizer { .. }));
    let message = error.to_string();
    assert!(message.contains("2D tensors, got 1D"), "{message}");
    assert!(message.contains("with_group"), "{message}");
    // The advice of the message works.
    let matrices = ParamGroup::from_predicate("weight");
    let both = AdamWConfig::new()
        .init()
        .with_group(matrices, MuonConfig::new().build(), None);
    let base = BurnBase::new(&network, both).unwrap();
    let mut optimizer = FosiOptimizer::new(&network, base, every(2, 3)).unwrap();
    let (mut module, before) = (network.clone(), network);
    let loss = |m: &Network| m.loss(&x, &y);
    for _ in 0..6 {
        optimizer.step(0.01, &mut module, &loss).unwrap();
    }
    let value = |m: &Network| loss(m).into_scalar::<f64>();
    assert!(value(&module) < value(&before));
}

#[test]
fn the_state_is_kept_in_a_record_of_burns() {
    let Problem { network, x, y } = problem();
    let loss = |m: &Network| m.loss(&x, &y);
    let new = || FosiOptimizer::new(&network, Adam::default(), every(3, 4)).unwrap();
    let (mut first, mut second) = (new(), new());
    let mut module = network.clone();
    for _ in 0..5 {
        first.step(0.01, &mut module, &loss).unwrap();
    }
    let file = tempfile::tempdir().unwrap();
    let file = file.path().join("optimizer.bpk");
    first.to_record().unwrap().save(&file).unwrap();
    second
        .load_record(OptimizerRecord::load(&file).unwrap())
        .unwrap();
    assert_eq!(first.to_bytes().unwrap(), second.to_bytes().unwrap());
    // Burn's own record is refused, and nothing changes.
    let mut adam = AdamConfig::new().init();
    let (_, gradients) = backward(&network, loss).unwrap();
    adam.step(0.01, network.clone(), gradients);
    let error = second.load_record(adam.to_record());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("not of a FosiOptimizer"), "{error}");
    assert_eq!(first.to_bytes().unwrap(), second.to_bytes().unwrap());
}

/// The documented way to change settings.
#[test]
fn a_record_goes_on_under_other_settings() {
    let Problem { network, x, y } = problem();
    let loss = |m: &Network| m.loss(&x, &y);
    let adam = |beta: f32| AdamConfig::new().with_beta_1(beta).init();
    let base = |optimizer| BurnBase::new(&network, optimizer).unwrap();
    let mut optimizer = FosiOptimizer::new(&network, base(adam(0.9)), every(3, 4)).unwrap();
    let mut module = network.clone();
    optimizer.step(0.01, &mut module, &loss).unwrap();
    let record = optimizer.fosi().base().optimizer().to_record();
    let state = record.len();
    *optimizer.fosi_mut().base_mut() = base(adam(0.8).load_record(record));
    optimizer.step(0.01, &mut module, &loss).unwrap();
    let base = optimizer.fosi().base();
    assert_eq!(base.optimizer().to_record().len(), state);
}

/// Bytes from before there were fingerprints: ids, then Burn's record.
#[test]
fn a_state_without_a_fingerprint_is_taken() {
    let Problem { network, x, y } = problem();
    let mut adam = BurnBase::new(&network, AdamConfig::new().init()).unwrap();
    let (_, gradients) = backward(&network, |m| m.loss(&x, &y)).unwrap();
    let mut burn = AdamConfig::new().init();
    burn.step(0.01, network.clone(), gradients);
    let layout = FlatLayout::of(&network).unwrap();
    let ids = layout.slots().iter().map(|slot| slot.id.val());
    let mut bytes: Vec<u8> = ids.flat_map(u64::to_le_bytes).collect();
    bytes.extend_from_slice(&burn.into_bytes().unwrap());
    Base::<Host<f32>>::import(&mut adam, &bytes).unwrap();
    assert_eq!(adam.optimizer().to_record().len(), burn.to_record().len());

    for cut in [0, 9, bytes.len() / 2] {
        let error = Base::<Host<f32>>::import(&mut adam, &bytes[..cut]).unwrap_err();
        assert!(matches!(error, fosi::Error::Checkpoint(_)), "{error}");
    }
    let whole = Base::<Host<f32>>::export(&adam).unwrap();
    for cut in [0, 9, whole.len() / 8, whole.len() / 2, whole.len() - 1] {
        let error = Base::<Host<f32>>::import(&mut adam, &whole[..cut]).unwrap_err();
        assert!(matches!(error, fosi::Error::Checkpoint(_)), "{error}");
    }
}

#[test]
fn a_gradient_that_would_poison_the_state_is_refused() {
    let Problem { network, x, y } = problem();
    let base = BurnBase::new(&network, AdamConfig::new().init()).unwrap();
    let mut optimizer = FosiOptimizer::new(&network, base, FosiConfig::base_only()).unwrap();
    let mut plain = AdamConfig::new().init();
    let (mut ours, mut theirs) = (network.clone(), network);
    for step in 0..4 {
        if step == 2 {
            // Their squares overflow in Adam's second moment.
            let huge = |m: &Network| m.loss(&x, &y).mul_scalar(1e30);
            let (_, gradients) = backward(&ours, huge).unwrap();
            let before = flat(&ours);
            let error = optimizer.step_without_refresh(0.01, &mut ours, gradients);
            assert!(error.unwrap_err().to_string().contains("squares gradients"));
            assert_eq!(flat(&ours), before);
        }
        let (_, gradients) = backward(&ours, |m: &Network| m.loss(&x, &y)).unwrap();
        optimizer
            .step_without_refresh(0.01, &mut ours, gradients)
            .unwrap();
        let (_, gradients) = backward(&theirs, |m: &Network| m.loss(&x, &y)).unwrap();
        theirs = plain.step(0.01, theirs, gradients);
        assert_eq!(flat(&ours), flat(&theirs), "step {step}");
    }
}

#[test]
fn the_mean_of_several_losses_has_the_mean_hessian() {
    let Problem { network, x, y } = problem();
    // Multiplied by its size over the mean size, which is 1 for halves.
    let slice = |from: usize, size: usize| {
        let x = x.clone().narrow(0, from, size);
        let y = y.clone().narrow(0, from, size);
        move |m: &Network| m.loss(&x, &y).mul_scalar(size as f64 / 8.0)
    };
    let new = || FosiOptimizer::new(&network, GradientDescent, every(0, 4)).unwrap();
    let (mut whole, mut sliced) = (new(), new());
    let one = whole
        .refresh(&network, &|m: &Network| m.loss(&x, &y))
        .unwrap();
    let two = sliced
        .refresh_mean(&network, &[slice(0, 8), slice(8, 8)])
        .unwrap();
    // Two more gradients for each slice's own curvature.
    assert_eq!(two.gradients, 2 * one.gradients + 4);
    assert!(one.batch_curvatures.is_empty());
    let slices = two.batch_curvatures.clone();
    let unequal = new()
        .refresh_mean(&network, &[slice(0, 10), slice(10, 6)])
        .unwrap();
    let (one, two) = (one.result.unwrap(), two.result.unwrap());
    for mean in [&two, &unequal.result.unwrap()] {
        for (a, b) in one.eigenvalues.iter().zip(&mean.eigenvalues) {
            assert!(
                (a - b).abs() < 1e-6 * a.abs(),
                "{a} of the whole, {b} of the mean"
            );
        }
    }
    // The largest eigenvalue is the mean of the slices' curvatures along its eigenvector, and they differ.
    let mean = (slices[0] + slices[1]) / 2.0;
    assert!(
        (mean - two.eigenvalues[0]).abs() < 1e-5 * mean,
        "{slices:?} {two:?}"
    );
    assert!((slices[0] - slices[1]).abs() > 1e-3 * mean, "{slices:?}");
    let none: [fn(&Network) -> Tensor<1>; 0] = [];
    let error = sliced.refresh_mean(&network, &none).unwrap_err();
    assert!(error.to_string().contains("at least 1"));
}

/// No batch curvatures if the mean is flat; those along v₁ if only its eigenvalue is 0.
#[test]
fn curvatures_of_batches_are_never_nan() {
    let Problem { network, .. } = problem();
    let squares = |m: &Network| m.output.weight.val().square().sum();
    let scaled = |factor: f64| move |m: &Network| squares(m).mul_scalar(factor);
    let refreshed = |largest, smallest, losses: &[&dyn Fn(&Network) -> Tensor<1>]| {
        let config = FosiConfig {
            largest,
            smallest,
            ..every(0, 4)
        };
        let mut optimizer = FosiOptimizer::new(&network, GradientDescent, config).unwrap();
        optimizer.refresh_mean(&network, losses).unwrap()
    };
    // A completely flat loss, and two losses that cancel.
    for factors in [[0.0, 0.0], [0.5, -0.5]] {
        let [first, second] = factors.map(scaled);
        let attempt = refreshed(2, 0, &[&first, &second]);
        assert_eq!(attempt.result.unwrap().eigenvalues, [0.0, 0.0]);
        assert!(attempt.batch_curvatures.is_empty());
    }
    // The largest eigenvalue is 0 and the smallest −2: there is no curvature along v₁.
    let [first, second] = [-0.5, -1.5].map(scaled);
    let attempt = refreshed(1, 1, &[&first, &second]);
    let eigenvalues = attempt.result.unwrap().eigenvalues;
    assert!(
        eigenvalues[0].abs() < 1e-6 && (eigenvalues[1] + 2.0).abs() < 1e-6,
        "{eigenvalues:?}"
    );
    assert_eq!(attempt.batch_curvatures.len(), 2);
    let close = |x: &f64| x.abs() < 1e-5;
    assert!(
        attempt.batch_curvatures.iter().all(close),
        "{:?}",
        attempt.batch_curvatures
    );
    // With k = 0 there are none.
    let attempt = refreshed(0, 1, &[&first, &second]);
    assert!(attempt.result.is_ok());
    assert!(attempt.batch_curvatures.is_empty());
}

#[test]
fn in_f32_products_are_central_differences() {
    let Problem { network, x, y } = problem();
    let loss = |m: &Network| m.loss(&x, &y);
    let new = || FosiOptimizer::new(&network, GradientDescent, every(0, 4)).unwrap();
    let double = new().refresh(&network, &loss).unwrap();
    let single = new()
        .with_precision(Precision::F32)
        .refresh(&network, &loss)
        .unwrap();
    // The determinism check takes two gradients and the f64 check three; then one at θ, and one or two per product.
    assert_eq!(double.gradients, double.products + 1 + 5);
    assert_eq!(single.gradients, 2 * single.products + 1 + 2);
    let (double, single) = (double.result.unwrap(), single.result.unwrap());
    for (a, b) in double.eigenvalues.iter().zip(&single.eigenvalues) {
        assert!((a - b).abs() < 1e-2 * double.eigenvalues[0], "{a} {b}");
    }
}

#[test]
fn eigenvectors_may_be_kept_in_bf16() {
    let Problem { network, x, y } = problem();
    let loss = |m: &Network| m.loss(&x, &y);
    let trained = |storage: Storage| {
        let new = FosiOptimizer::new(&network, HeavyBall::default(), every(0, 4)).unwrap();
        let mut optimizer = new.with_storage(storage);
        let mut model = network.clone();
        for _ in 0..20 {
            optimizer.step(0.05, &mut model, &loss).unwrap();
        }
        let spectrum = optimizer.fosi().spectrum().unwrap();
        let column = optimizer.fosi().space().column(&spectrum.basis, 0);
        (
            optimizer.fosi().steps(),
            spectrum.eigenvalues[0],
            column,
            flat(&model),
        )
    };
    let (steps, eigenvalue, column, parameters) = trained(Storage::Full);
    let (half_steps, half_eigenvalue, half_column, half_parameters) = trained(Storage::Bf16);
    assert_eq!(steps, half_steps);
    assert!((eigenvalue - half_eigenvalue).abs() < 1e-2 * eigenvalue);
    // A bf16 is an f32 that ends in sixteen zeros.
    let short = |column: &[f32]| column.iter().all(|x| x.to_bits() & 0xFFFF == 0);
    assert!(short(&half_column) && !short(&column));
    for (a, b) in parameters.iter().zip(&half_parameters) {
        assert!((a - b).abs() < 1e-2 * (1.0 + a.abs()), "{a} {b}");
    }
}

/// Compiles if values of this type can be sent to another thread.
fn is_send<T: Send>() {}

#[test]
fn an_optimizer_can_go_to_another_thread_with_any_base() {
    fn with_any_base<B: Base<Host<f32>>>() {
        is_send::<FosiOptimizer<B>>();
    }
    with_any_base::<Box<dyn Base<Host<f32>>>>();
    with_any_base::<BurnBase<Linear>>();
}
