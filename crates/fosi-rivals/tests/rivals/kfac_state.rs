//! K-FAC's state, seed and counts, and a training run.

use fosi_rivals::kfac::Momentum;
use fosi_rivals::{Kfac, KfacConfig, Rival, RivalError};

use crate::common::{Perceptron, Regression, bits};

fn config(seed: u64) -> KfacConfig {
    KfacConfig {
        adaptive_learning_rate: true,
        momentum: Momentum::Adaptive,
        seed,
        ..KfacConfig::default()
    }
}

fn batch(step: u64) -> Regression {
    Regression::new(16, 4, 2, 20 + 2 * (step % 3))
}

/// The model and K-FAC after `steps`.
fn trained(seed: u64, steps: u64) -> (Perceptron, Kfac<Perceptron>) {
    let mut model = Perceptron::new(4, 6, 2);
    let mut kfac = Kfac::new(&model, &batch(0), config(seed)).unwrap();
    for step in 0..steps {
        kfac.step(0.0, &mut model, &batch(step)).unwrap();
    }
    (model, kfac)
}

#[test]
fn a_resumed_run_has_the_same_bits() {
    // 7 and 13 lie between inversions and between changes of the damping, and continue past both.
    for (stop, end) in [(0, 4), (7, 13)] {
        let (expected, whole) = trained(1, end);
        let (mut model, kfac) = trained(1, stop);
        let bytes = kfac.to_bytes().unwrap();
        let mut resumed = Kfac::new(&model, &batch(0), config(1)).unwrap();
        resumed.load(&bytes).unwrap();
        assert_eq!(resumed.to_bytes().unwrap(), bytes);
        for step in stop..end {
            resumed.step(0.0, &mut model, &batch(step)).unwrap();
        }
        assert_eq!(bits(&model), bits(&expected));
        assert_eq!(resumed.to_bytes().unwrap(), whole.to_bytes().unwrap());
    }
}

#[test]
fn the_seed_gives_the_bits() {
    let (first, _) = trained(1, 6);
    let (again, _) = trained(1, 6);
    let (other, _) = trained(2, 6);
    assert_eq!(bits(&first), bits(&again));
    assert_ne!(bits(&first), bits(&other));
}

#[test]
fn a_state_of_another_optimizer_or_network_is_refused() {
    let (model, mut kfac) = trained(1, 3);
    let before = kfac.to_bytes().unwrap();
    let mut damaged = before.clone();
    *damaged.last_mut().unwrap() ^= 1;
    // The damping in the header, which is still 1.
    let text = b"\\\"damping\\\":1";
    let at = before.windows(text.len()).position(|part| part == text);
    let mut other_damping = before.clone();
    other_damping[at.unwrap() + text.len() - 1] = b'2';
    let wider = Perceptron::new(4, 7, 2);
    let other = Kfac::new(&wider, &batch(0), config(1)).unwrap();
    let lbfgs = fosi_rivals::Lbfgs::new(&model, Default::default()).unwrap();
    for bytes in [
        damaged,
        other_damping,
        other.to_bytes().unwrap(),
        lbfgs.to_bytes().unwrap(),
        b"nothing".to_vec(),
    ] {
        assert!(matches!(kfac.load(&bytes), Err(RivalError::State(_))));
        assert_eq!(kfac.to_bytes().unwrap(), before);
    }
}

#[test]
fn costs_and_memory_are_counted() {
    let (_, kfac) = trained(1, 10);
    let cost = kfac.cost();
    assert_eq!((cost.gradients, cost.factor_updates), (10, 10));
    // One product for the gradient's direction and, from the second step on, one for the previous step.
    assert_eq!(cost.products, 19);
    // The damping is adapted at the fifth and the tenth step.
    assert_eq!((cost.losses, cost.line_search), (2, 0));
    // The previous step; A (sizes 5 and 7) and G (sizes 6 and 2) with their inverses.
    let parameters = 4 * 6 + 6 + 6 * 2 + 2;
    assert_eq!(kfac.kept_floats(), parameters + 2 * (25 + 36 + 49 + 4));
}

#[test]
fn it_trains_in_few_steps() {
    let loss = Regression::new(32, 4, 2, 50);
    let mut model = Perceptron::new(4, 24, 2);
    let mut kfac = Kfac::new(&model, &loss, config(3)).unwrap();
    let first = kfac.step(0.0, &mut model, &loss).unwrap().loss;
    let mut last = first;
    for _ in 0..100 {
        last = kfac.step(0.0, &mut model, &loss).unwrap().loss;
    }
    assert!(last < 0.05 * first, "from {first} to {last}");
    assert!(kfac.damping() < 1.0);
}
