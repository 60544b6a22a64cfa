//! Dropout: a changing mask makes the loss a different function at each call.

use crate::common::{device, every, generator, linear, matrix};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::{Device, Distribution, Tensor};
use fosi::base::HeavyBall;
use fosi_burn::{BridgeError, FosiOptimizer, Precision, Replica, like_module};

#[derive(Module, Debug)]
struct Model {
    hidden: Linear,
    dropout: Dropout,
    output: Linear,
}

impl Model {
    fn loss(&self, x: &Tensor<2>) -> Tensor<1> {
        let hidden = self.hidden.forward(like_module(x.clone(), self)).tanh();
        self.output
            .forward(self.dropout.forward(hidden))
            .square()
            .mean()
    }
}

fn model(device: &Device) -> Model {
    Model {
        hidden: linear(6, 30, 1, device),
        dropout: DropoutConfig::new(0.5).init(),
        output: linear(30, 2, 2, device),
    }
}

fn draw(device: &Device) -> Vec<f32> {
    let tensor = Tensor::<1>::random([8], Distribution::Default, device);
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

#[test]
fn a_new_mask_each_time_is_refused_and_a_seeded_one_accepted() {
    let _turn = generator();
    let device = device();
    let model = model(&device);
    let x = matrix(12, 6, 3, &device);
    let loss = |m: &Model| m.loss(&x);
    let replica = Replica::new(&model, Precision::F64).unwrap();

    let error = replica.check_determinism(&loss).unwrap_err();
    assert!(matches!(error, BridgeError::NotDeterministic { .. }));
    assert!(error.to_string().contains("another thread"), "{error}");

    let seeded = replica.clone().with_seed(9);
    seeded.check_determinism(&loss).unwrap();

    // The mask of the f64 replica is that of the module: both draw the same numbers.
    let (value, _) = seeded
        .value_and_gradient(&seeded.parameters().unwrap(), &loss)
        .unwrap();
    device.seed(9);
    let expected = loss(&model).into_scalar::<f64>();
    assert!(
        (value - expected).abs() <= 1e-6 * expected,
        "{value} {expected}"
    );

    let mut off = model.clone();
    off.dropout.training = off.dropout.training.with_value(false);
    let replica = Replica::new(&off, Precision::F64).unwrap();
    replica.check_determinism(&loss).unwrap();
}

#[test]
fn evaluations_leave_new_numbers_to_the_training() {
    let _turn = generator();
    let device = device();
    let (model, x) = (model(&device), matrix(12, 6, 3, &device));
    let replica = Replica::new(&model, Precision::F64).unwrap().with_seed(9);
    let theta = replica.parameters().unwrap();
    let run = |seed| {
        device.seed(seed);
        let mut drawn = Vec::new();
        for _ in 0..3 {
            replica
                .value_and_gradient(&theta, &|m: &Model| m.loss(&x))
                .unwrap();
            drawn.push(draw(&device));
        }
        drawn
    };
    let drawn = run(1);
    // The numbers differ from those of the evaluations' seed and from each other; reseeding the generators reproduces
    // them.
    device.seed(9);
    assert!(!drawn.contains(&draw(&device)));
    assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2] && drawn[0] != drawn[2]);
    assert_eq!(run(1), drawn);
    assert_ne!(run(2), drawn);
}

/// Without any code of the user, masks change from step to step, a refresh uses a single mask, and the seed reproduces
/// the run.
#[test]
fn training_with_dropout_needs_nothing() {
    let _turn = generator();
    let device = device();
    let x = matrix(12, 6, 3, &device);
    let loss = |m: &Model| m.loss(&x);
    let run = || {
        device.seed(5);
        let mut model = model(&device);
        let mut optimizer = FosiOptimizer::new(&model, HeavyBall::new(0.9), every(2, 3)).unwrap();
        let mut losses = Vec::new();
        for step in 0..9 {
            let done = optimizer.step(0.0, &mut model, loss).unwrap();
            assert_eq!(done.refresh.is_some(), step >= 2 && (step - 2) % 3 == 0);
            if let Some(refresh) = done.refresh {
                assert_eq!(refresh.precision, Precision::F64);
                refresh.result.unwrap();
            }
            losses.push(done.loss);
        }
        losses
    };
    let losses = run();
    for (i, loss) in losses.iter().enumerate() {
        assert!(
            !losses[..i].contains(loss),
            "a mask was used twice: {losses:?}"
        );
    }
    assert_eq!(run(), losses);
}

#[test]
fn refreshes_of_several_threads_take_turns() {
    let _turn = generator();
    let refused: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let device = device();
                    let (mut model, x) = (model(&device), matrix(12, 6, 3, &device));
                    let config = every(0, 1);
                    let mut optimizer =
                        FosiOptimizer::new(&model, HeavyBall::new(0.9), config).unwrap();
                    let refused = |_| {
                        let done = optimizer.step(1e-3, &mut model, |m: &Model| m.loss(&x));
                        usize::from(done.unwrap().refresh.unwrap().result.is_err())
                    };
                    (0..4).map(refused).sum::<usize>()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(refused, 0);
}
