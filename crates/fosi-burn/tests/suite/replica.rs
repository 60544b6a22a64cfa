//! The f64 replica: correct gradients, and an unchanged module.

use std::cell::Cell;

use crate::common::{Batch, HIDDEN, Network, TRAINABLE, bits, device, entries};
use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use fosi_burn::{BridgeError, FlatLayout, Precision, Replica, value_and_gradient};

fn setting() -> (Network, Batch) {
    let device = device();
    (Network::new(&device), Batch::new(16, &device))
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max)
}

#[test]
fn everything_is_double_precision() {
    let (network, _) = setting();
    let replica = Replica::new(&network, Precision::F64).unwrap();
    let copy = replica.at(&replica.parameters().unwrap()).unwrap();
    assert_eq!(copy.input.weight.val().dtype(), DType::F64);
    assert_eq!(copy.frozen.weight.val().dtype(), DType::F64);
    assert_eq!(copy.norm.running_mean.value().dtype(), DType::F64);
    assert_eq!(
        FlatLayout::of(&copy).unwrap(),
        FlatLayout::of(&network).unwrap()
    );
    assert!(!copy.frozen.weight.is_require_grad());
}

#[test]
fn agrees_with_the_module_to_its_rounding() {
    let (network, batch) = setting();
    let layout = FlatLayout::of(&network).unwrap();
    let (value, gradient) =
        value_and_gradient(&layout, &network, |n: &Network| n.loss(&batch)).unwrap();
    let gradient: Vec<f64> = gradient.into_iter().map(f64::from).collect();
    for precision in [Precision::F32, Precision::F64] {
        let replica = Replica::new(&network, precision).unwrap();
        let (replica_value, replica_gradient) = replica
            .value_and_gradient(&replica.parameters().unwrap(), &|n: &Network| {
                n.loss(&batch)
            })
            .unwrap();
        let allowed = if precision == Precision::F32 {
            0.0
        } else {
            1e-6
        };
        assert!((value - replica_value).abs() <= allowed * value);
        assert!(largest_difference(&gradient, &replica_gradient) <= allowed * norm(&gradient));
    }
}

#[test]
fn f64_gradient_is_that_of_central_differences() {
    let (network, batch) = setting();
    let replica = Replica::new(&network, Precision::F64).unwrap();
    let loss = |n: &Network| n.loss(&batch);
    let theta: Vec<f64> = entries(TRAINABLE, 31);
    let (_, gradient) = replica.value_and_gradient(&theta, &loss).unwrap();
    let h = 1e-5;
    let differences: Vec<f64> = (0..TRAINABLE)
        .map(|i| {
            let at = |h: f64| {
                let mut theta = theta.clone();
                theta[i] += h;
                replica.value_and_gradient(&theta, &loss).unwrap().0
            };
            (at(h) - at(-h)) / (2.0 * h)
        })
        .collect();
    let error = largest_difference(&differences, &gradient);
    assert!(
        error <= 1e-7 * norm(&gradient),
        "{error:e} of {:e}",
        norm(&gradient)
    );
    assert!(norm(&gradient) > 1e-2);
}

#[test]
fn differences_of_gradients_give_a_symmetric_hessian() {
    let (network, batch) = setting();
    let replica = Replica::new(&network, Precision::F64).unwrap();
    let loss = |n: &Network| n.loss(&batch);
    let (_, g0) = replica
        .value_and_gradient(&replica.parameters().unwrap(), &loss)
        .unwrap();
    let product = |v: &[f64]| -> Vec<f64> {
        let e = 1e-9;
        let theta: Vec<f64> = replica
            .parameters()
            .unwrap()
            .iter()
            .zip(v)
            .map(|(t, v)| t + e * v)
            .collect();
        let (_, g) = replica.value_and_gradient(&theta, &loss).unwrap();
        g.iter().zip(&g0).map(|(g, g0)| (g - g0) / e).collect()
    };
    let unit = |salt| {
        let v = entries(TRAINABLE, salt);
        let scale = norm(&v);
        v.into_iter().map(|x| x / scale).collect::<Vec<f64>>()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (u, v) = (unit(41), unit(42));
    let (hu, hv) = (product(&u), product(&v));
    let asymmetry = (dot(&u, &hv) - dot(&v, &hu)).abs();
    assert!(
        asymmetry <= 1e-5 * norm(&hu),
        "{asymmetry:e} of {:e}",
        norm(&hu)
    );
    assert!(norm(&hu) > 1e-2);
}

#[test]
fn the_module_is_left_as_it_was() {
    let (network, batch) = setting();
    network.loss(&batch); // running statistics that aren't the initial ones
    let (before, theta) = (network.running_statistics(), bits(&network));
    let layout = FlatLayout::of(&network).unwrap();

    let replica = Replica::new(&network, Precision::F64).unwrap();
    let loss = |n: &Network| n.loss(&batch);
    replica.check_determinism(&loss).unwrap();
    replica
        .value_and_gradient(&entries(TRAINABLE, 3), &loss)
        .unwrap();

    assert_eq!(network.running_statistics(), before);
    assert_eq!(network.norm.running_mean.value().dtype(), DType::F32);
    assert_eq!(bits(&network), theta);
    assert_eq!(FlatLayout::of(&network).unwrap(), layout);
    assert!(!network.frozen.weight.is_require_grad());
    assert!(network.norm.training.is_enabled());
}

#[test]
fn training_goes_on_as_if_there_had_been_no_replica() {
    let (device, steps) = (device(), 4);
    let run = |with_replica: bool| {
        let (network, batch) = (Network::new(&device), Batch::new(16, &device));
        for _ in 0..steps {
            network.loss(&batch);
            if with_replica {
                let replica = Replica::new(&network, Precision::F64).unwrap();
                replica
                    .check_determinism(&|n: &Network| n.loss(&batch))
                    .unwrap();
            }
        }
        network.running_statistics()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn batch_norm_keeps_the_mode_it_is_in() {
    let (mut network, batch) = setting();
    network.loss(&batch);
    network.norm.training = network.norm.training.with_value(false);
    network.running_statistics();
    let replica = Replica::new(&network, Precision::F64).unwrap();
    let loss = |n: &Network| n.loss(&batch);
    let (value, _) = replica
        .value_and_gradient(&replica.parameters().unwrap(), &loss)
        .unwrap();
    let expected = network.loss(&batch).into_scalar::<f64>();
    assert!(
        (value - expected).abs() <= 1e-6 * expected,
        "{value} {expected}"
    );
    network.norm.training = network.norm.training.with_value(true);
    let other = network.loss(&batch).into_scalar::<f64>();
    assert!(
        (value - other).abs() > 1e-3 * other,
        "the two modes must differ for the test to mean anything"
    );
}

#[test]
fn every_evaluation_starts_from_the_same_running_statistics() {
    let (network, batch) = setting();
    let replica = Replica::new(&network, Precision::F64).unwrap();
    // A loss that reads batch norm's running statistics: if they were carried over, the second evaluation would differ.
    let loss = |n: &Network| {
        let loss = n.loss(&batch);
        loss + n.norm.running_mean.value_sync().square().sum() * n.norm.gamma.val().sum()
    };
    replica.check_determinism(&loss).unwrap();
}

#[test]
fn a_changing_loss_is_refused() {
    let (network, batch) = setting();
    let replica = Replica::new(&network, Precision::F64).unwrap();
    let calls = Cell::new(0);
    let loss = |n: &Network| {
        calls.set(calls.get() + 1);
        n.loss(&batch) * (1.0 + 1e-6 * f64::from(calls.get()))
    };
    let error = replica.check_determinism(&loss).unwrap_err();
    assert!(
        matches!(error, BridgeError::NotDeterministic { difference, .. } if (difference - 1e-6).abs() < 1e-8)
    );
}

#[test]
fn a_batch_of_another_type_is_an_error() {
    let (network, batch) = setting();
    let replica = Replica::new(&network, Precision::F64).unwrap();
    let theta = &replica.parameters().unwrap();
    let uncast = |n: &Network| n.forward(batch.x.clone()).square().mean();
    let late = |n: &Network| n.loss(&batch).cast(DType::F32);
    for error in [
        replica.value_and_gradient(theta, &uncast).unwrap_err(),
        replica.value_and_gradient(theta, &late).unwrap_err(),
    ] {
        assert!(
            matches!(error, BridgeError::LossPrecision { .. }),
            "{error}"
        );
    }
    // A captured module: the error must not be about the type.
    let other = |_: &Network| network.loss(&batch);
    let error = replica.value_and_gradient(theta, &other).unwrap_err();
    assert!(matches!(error, BridgeError::LossIgnoresModule), "{error}");
}

#[test]
fn a_loss_without_gradient_or_with_many_entries_is_an_error() {
    let (network, batch) = setting();
    let replica = Replica::new(&network, Precision::F64).unwrap();
    let theta = &replica.parameters().unwrap();
    let detached = |n: &Network| n.loss(&batch).detach();
    let many = |n: &Network| n.output.bias.as_ref().unwrap().val();
    let error = replica.value_and_gradient(theta, &detached).unwrap_err();
    assert!(matches!(error, BridgeError::LossNotTracked));
    let error = replica.value_and_gradient(theta, &many).unwrap_err();
    assert!(matches!(error, BridgeError::LossNotScalar { elements: 3 }));
    let error = replica.value_and_gradient(&theta[1..], &many).unwrap_err();
    assert!(matches!(
        error,
        BridgeError::LengthMismatch { found: 87, .. }
    ));
    let plain: Tensor<1> = Tensor::ones([HIDDEN], &Device::flex());
    assert!(!plain.is_autodiff());
    assert!(matches!(
        Replica::new(&network.valid(), Precision::F64),
        Err(BridgeError::NothingToTrain)
    ));
}
