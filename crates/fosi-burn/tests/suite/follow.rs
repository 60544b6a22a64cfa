//! Layers that are frozen and unfrozen while FOSI trains.

use crate::common::{Batch, Network, bits, device, every};
use burn::module::Module;
use burn::optim::AdamConfig;
use fosi::base::{Adam, HeavyBall};
use fosi::{FosiConfig, Schedule};
use fosi_burn::{BridgeError, BurnBase, FosiOptimizer, OptimizerError};

fn loss(batch: &Batch) -> impl Fn(&Network) -> burn::tensor::Tensor<1> {
    |network| network.loss(batch)
}

#[test]
fn a_module_with_other_parameters_is_told_of() {
    let device = device();
    let batch = Batch::new(24, &device);
    let mut network = Network::new(&device);
    let mut optimizer = FosiOptimizer::new(&network, Adam::default(), every(0, 4)).unwrap();
    network.output = network.output.freeze();
    let error = optimizer
        .step(0.01, &mut network, loss(&batch))
        .unwrap_err();
    assert!(
        matches!(&error, OptimizerError::Bridge(BridgeError::LayoutMismatch { path, .. })
            if path == "unreached.weight"),
        "{error}"
    );
    assert!(error.to_string().contains("follow"), "{error}");
}

/// With the base alone, freezing a layer does not affect the training of the others, and Burn's own state is kept.
#[test]
fn the_state_of_what_is_left_goes_on() {
    let device = device();
    let batch = Batch::new(24, &device);
    let config = FosiConfig {
        schedule: Schedule::Never,
        ..every(0, 1)
    };
    // Frozen during one step with rate 0: afterwards everything is as without freezing, except for the frozen state.
    let start = Network::new(&device);
    let new = || FosiOptimizer::new(&start, Adam::default(), config.clone()).unwrap();
    let (mut followed, mut straight) = (new(), new());
    let (mut ours, mut theirs) = (start.clone(), start.clone());
    for _ in 0..3 {
        followed.step(0.01, &mut ours, loss(&batch)).unwrap();
        straight.step(0.01, &mut theirs, loss(&batch)).unwrap();
    }
    ours.output = ours.output.freeze();
    followed.follow(&ours, Adam::default()).unwrap();
    let frozen = bits(&ours.output.clone().unfreeze());
    followed.step(0.01, &mut ours, loss(&batch)).unwrap();
    straight.step(0.01, &mut theirs, loss(&batch)).unwrap();
    assert_eq!(bits(&ours.input), bits(&theirs.input));
    assert_eq!(bits(&ours.norm), bits(&theirs.norm));
    assert_eq!(bits(&ours.output.clone().unfreeze()), frozen);
    assert_ne!(bits(&theirs.output), frozen);

    ours.output = ours.output.unfreeze();
    followed.follow(&ours, Adam::default()).unwrap();
    followed.step(0.01, &mut ours, loss(&batch)).unwrap();
    assert_ne!(bits(&ours.output), frozen);
    assert_eq!(followed.fosi().steps(), 5);
}

#[test]
fn burns_optimizer_keeps_its_state_by_ids() {
    let device = device();
    let batch = Batch::new(24, &device);
    let start = Network::new(&device);
    let adam = || AdamConfig::new().init();
    let base = BurnBase::new(&start, adam()).unwrap();
    let mut followed = FosiOptimizer::new(&start, base, FosiConfig::base_only()).unwrap();
    let mut straight = FosiOptimizer::new(
        &start,
        BurnBase::new(&start, adam()).unwrap(),
        FosiConfig::base_only(),
    )
    .unwrap();
    let (mut ours, mut theirs) = (start.clone(), start.clone());
    for _ in 0..3 {
        followed.step(0.01, &mut ours, loss(&batch)).unwrap();
        straight.step(0.01, &mut theirs, loss(&batch)).unwrap();
    }
    ours.output = ours.output.freeze();
    let optimizer = followed.fosi().base().optimizer().clone();
    let base = BurnBase::new(&ours, optimizer).unwrap();
    followed.follow(&ours, base).unwrap();
    followed.step(0.01, &mut ours, loss(&batch)).unwrap();
    straight.step(0.01, &mut theirs, loss(&batch)).unwrap();
    assert_eq!(bits(&ours.input), bits(&theirs.input));
}

/// The subspace's momentum returns to the base: a step with zero gradient is the same before and after the change.
#[test]
fn the_subspace_is_found_anew_and_its_momentum_goes_on() {
    let device = device();
    let batch = Batch::new(24, &device);
    let mut network = Network::new(&device);
    let mut optimizer = FosiOptimizer::new(&network, HeavyBall::new(0.9), every(2, 3)).unwrap();
    for _ in 0..4 {
        optimizer.step(0.01, &mut network, loss(&batch)).unwrap();
    }
    assert!(optimizer.fosi().spectrum().is_some());
    network.output = network.output.freeze();
    optimizer.follow(&network, HeavyBall::new(0.9)).unwrap();
    assert!(optimizer.fosi().spectrum().is_none() && optimizer.due());
    let done = optimizer.step(0.01, &mut network, loss(&batch)).unwrap();
    done.refresh.unwrap().result.unwrap();
    let dim = fosi::Space::dim(optimizer.fosi().space());
    assert_eq!(dim, optimizer.layout().len());

    // The state is saved to a file and restored.
    let bytes = optimizer.to_bytes().unwrap();
    let mut second = FosiOptimizer::new(&network, HeavyBall::new(0.9), every(2, 3)).unwrap();
    second.restore(&bytes).unwrap();
    assert_eq!(second.to_bytes().unwrap(), bytes);

    let nothing = network.clone().freeze();
    let error = optimizer.follow(&nothing, HeavyBall::new(0.9)).unwrap_err();
    assert!(
        matches!(error, OptimizerError::Bridge(BridgeError::NothingToTrain)),
        "{error}"
    );
    assert_eq!(optimizer.to_bytes().unwrap(), bytes);
}
