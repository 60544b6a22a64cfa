//! Dropout: a mask that changes makes the loss another function each time.

use crate::common::{device, generator, linear, matrix};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::Tensor;
use fosi_burn::{BridgeError, Precision, Replica, like_module};

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

#[test]
fn a_new_mask_each_time_is_refused_and_a_seeded_one_accepted() {
    let _turn = generator();
    let device = device();
    let model = Model {
        hidden: linear(6, 30, 1, &device),
        dropout: DropoutConfig::new(0.5).init(),
        output: linear(30, 2, 2, &device),
    };
    let x = matrix(12, 6, 3, &device);
    let replica = Replica::new(&model, Precision::F64).unwrap();

    let error = replica
        .check_determinism(&|m: &Model| m.loss(&x))
        .unwrap_err();
    assert!(matches!(error, BridgeError::NotDeterministic { .. }));
    assert!(error.to_string().contains("device.seed"), "{error}");

    let seeded = |m: &Model| {
        device.seed(9);
        m.loss(&x)
    };
    replica.check_determinism(&seeded).unwrap();

    // The mask of the f64 replica is that of the module: both draw the same numbers.
    let (value, _) = replica
        .value_and_gradient(&replica.parameters().unwrap(), &seeded)
        .unwrap();
    let expected = seeded(&model).into_scalar::<f64>();
    assert!(
        (value - expected).abs() <= 1e-6 * expected,
        "{value} {expected}"
    );

    let mut off = model.clone();
    off.dropout.training = off.dropout.training.with_value(false);
    let replica = Replica::new(&off, Precision::F64).unwrap();
    replica.check_determinism(&|m: &Model| m.loss(&x)).unwrap();
}
