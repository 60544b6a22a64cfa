//! The first step reports defects of a loss with a specific error.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::{Batch, Network, TRAINABLE, bits, device, every};
use burn::tensor::Tensor;
use fosi::base::HeavyBall;
use fosi::{FosiConfig, Schedule};
use fosi_burn::{BridgeError, FosiOptimizer, OptimizerError, Precision, RefreshAttempt};

fn optimizer(network: &Network) -> FosiOptimizer<HeavyBall> {
    FosiOptimizer::new(network, HeavyBall::new(0.9), every(50, 50)).unwrap()
}

#[test]
fn the_first_step_finds_what_is_wrong_with_a_loss() {
    let device = device();
    let (network, batch) = (Network::new(&device), Batch::new(24, &device));
    let first_step = |loss: &dyn Fn(&Network) -> Tensor<1>| {
        let mut module = network.clone();
        let mut optimizer = optimizer(&network);
        let error = optimizer.step(0.01, &mut module, loss).unwrap_err();
        assert_eq!(bits(&module), bits(&network));
        assert_eq!(optimizer.fosi().steps(), 0);
        match error {
            OptimizerError::Bridge(error) => error,
            error => panic!("{error}"),
        }
    };
    let error = first_step(&|_| network.loss(&batch));
    assert!(matches!(error, BridgeError::LossIgnoresModule), "{error}");
    let error = first_step(&|network| network.loss(&batch).detach());
    assert!(matches!(error, BridgeError::LossNotTracked), "{error}");
    let error = first_step(&|network| network.output.bias.as_ref().unwrap().val());
    assert!(
        matches!(error, BridgeError::LossNotScalar { elements: 3 }),
        "{error}"
    );
    let calls = Cell::new(0.0);
    let error = first_step(&|network| {
        calls.set(calls.get() + 1.0);
        network.loss(&batch) * (1.0 + 1e-3 * calls.get())
    });
    assert!(
        matches!(error, BridgeError::NotDeterministic { .. }),
        "{error}"
    );
}

#[test]
fn a_base_alone_checks_nothing() {
    let device = device();
    let (mut network, batch) = (Network::new(&device), Batch::new(24, &device));
    let config = FosiConfig::base_only();
    let mut optimizer = FosiOptimizer::new(&network, HeavyBall::new(0.9), config).unwrap();
    let calls = Cell::new(0);
    optimizer
        .step(0.01, &mut network, |network: &Network| {
            calls.set(calls.get() + 1);
            network.loss(&batch)
        })
        .unwrap();
    assert_eq!(calls.get(), 1);
}

/// A batch that is not cast to the module's type gives the same curvature, from f32.
#[test]
fn a_loss_that_is_not_to_be_had_in_f64_is_taken_in_f32() {
    let device = device();
    let (network, batch) = (Network::new(&device), Batch::new(24, &device));
    let uncast = |network: &Network| {
        (network.forward(batch.x.clone()) - batch.y.clone())
            .square()
            .mean()
    };
    let cast = |network: &Network| network.loss(&batch);
    let (mut single, mut double) = (optimizer(&network), optimizer(&network));
    let check = single.check(&network, uncast).unwrap();
    assert_eq!(check.precision, Precision::F32);
    let found = single.refresh(&network, uncast).unwrap();
    let expected = double.refresh(&network, cast).unwrap();
    assert_eq!(found.precision, Precision::F32);
    assert_eq!(expected.precision, Precision::F64);
    let eigenvalues = |attempt: RefreshAttempt| attempt.result.unwrap().eigenvalues;
    for (a, b) in eigenvalues(found).into_iter().zip(eigenvalues(expected)) {
        assert!((a - b).abs() <= 1e-2 * b.abs(), "{a} {b}");
    }
    // If f64 is set, this is an error.
    let mut strict = optimizer(&network).with_precision(Precision::F64);
    let error = strict.step(0.01, &mut network.clone(), uncast).unwrap_err();
    assert!(
        matches!(
            error,
            OptimizerError::Bridge(BridgeError::LossPrecision { .. })
        ),
        "{error}"
    );
}

#[test]
fn a_check_says_what_a_refresh_takes() {
    let device = device();
    let (network, batch) = (Network::new(&device), Batch::new(24, &device));
    let loss = |network: &Network| network.loss(&batch);
    let before = bits(&network);
    let check = optimizer(&network).check(&network, loss).unwrap();
    assert_eq!(check.parameters, TRAINABLE);
    assert_eq!(check.precision, Precision::F64);
    assert_eq!(check.interval, Some(50));
    assert!(check.gradient_seconds > 0.0 && check.refresh_seconds > check.gradient_seconds);
    let config = every(50, 50);
    // The basis, one vector per product and one more, the base's momentum, parameters, gradient and scratch, in f32.
    let vectors = 3 + config.products(TRAINABLE) + 1 + 1 + 3;
    assert_eq!(check.refresh_bytes, vectors * TRAINABLE * 4);
    assert_eq!(bits(&network), before);

    let overhead = FosiConfig {
        schedule: Schedule::Overhead {
            warmup: 10,
            overhead: 1.1,
            product_cost: None,
        },
        ..config
    };
    let mut optimizer = FosiOptimizer::new(&network, HeavyBall::new(0.9), overhead).unwrap();
    let check = optimizer.check(&network, loss).unwrap();
    let expected = check.refresh_seconds / (0.1 * check.gradient_seconds);
    let interval = check.interval.unwrap() as f64;
    assert!(
        (interval - expected).abs() <= 1.0 + 1e-6 * expected,
        "{check:?}"
    );
}

#[test]
fn a_refresh_says_how_far_it_is_and_can_be_cancelled() {
    let device = device();
    let (mut network, batch) = (Network::new(&device), Batch::new(24, &device));
    let loss = |network: &Network| network.loss(&batch);
    let (seen, limit) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(u64::MAX)),
    );
    let (calls, most) = (Arc::clone(&seen), Arc::clone(&limit));
    let new = FosiOptimizer::new(&network, HeavyBall::new(0.9), every(0, 2)).unwrap();
    let mut optimizer = new.with_progress(move |progress| {
        assert!(progress.products < progress.at_most);
        calls.store(progress.products + 1, Ordering::Relaxed);
        match progress.products < most.load(Ordering::Relaxed) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    let done = optimizer.step(0.01, &mut network, loss).unwrap();
    let refresh = done.refresh.unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), refresh.products);
    let spectrum = |optimizer: &FosiOptimizer<HeavyBall>| {
        optimizer.fosi().spectrum().unwrap().eigenvalues.clone()
    };
    let before = spectrum(&optimizer);

    limit.store(4, Ordering::Relaxed);
    optimizer.step(0.01, &mut network, loss).unwrap();
    let done = optimizer.step(0.01, &mut network, loss).unwrap();
    let error = done.refresh.unwrap().result.unwrap_err();
    assert!(error.to_string().contains("cancelled after 4"), "{error}");
    assert_eq!(spectrum(&optimizer), before);
    // The next one is due after one interval.
    limit.store(u64::MAX, Ordering::Relaxed);
    let step = optimizer.step(0.01, &mut network, loss).unwrap();
    assert!(step.refresh.is_none());
    let step = optimizer.step(0.01, &mut network, loss).unwrap();
    step.refresh.unwrap().result.unwrap();
}
