//! K-FAC reports unsupported cases before training starts.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use fosi_rivals::kfac::{Damping, Momentum};
use fosi_rivals::{Kfac, KfacConfig, Loss, Prediction, Recorder, Rival, RivalError};

use crate::common::{Perceptron, Regression, bits, linear, tensor};

/// How a network calls its layers.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    PlainCall,
    Twice,
    NoOutputs,
}

#[derive(Module, Debug)]
struct Two {
    first: Linear,
    second: Linear,
}

impl Two {
    fn new() -> Self {
        Self {
            first: linear(3, 3, 1),
            second: linear(3, 3, 2),
        }
    }
}

impl Loss<Two> for Use {
    fn loss(&self, model: &Two) -> Tensor<1> {
        let x = model.first.forward(tensor([4, 3], 5)).tanh();
        model.second.forward(x).square().sum()
    }

    fn predict(&self, model: &Two, recorder: &mut Recorder) -> Option<Prediction> {
        let x = recorder.linear(&model.first, tensor([4, 3], 5)).tanh();
        let z = match self {
            Self::PlainCall => model.second.forward(x),
            Self::Twice => {
                let x = recorder.linear(&model.second, x);
                recorder.linear(&model.first, x)
            }
            Self::NoOutputs => return None,
        };
        Some(Prediction::squared_error(z))
    }
}

#[test]
fn layers_that_it_cannot_factor_are_named() {
    let new = |model: &Two, how: Use| Kfac::new(model, &how, KfacConfig::default());
    let error = new(&Two::new(), Use::PlainCall).unwrap_err();
    assert!(matches!(&error, RivalError::Unrecorded { path } if path == "second.weight"));
    assert!(error.to_string().contains("recorder.linear"), "{error}");
    let error = new(&Two::new(), Use::Twice).unwrap_err();
    assert!(matches!(&error, RivalError::Unsupported { path, .. } if path == "first.weight"));
    let error = new(&Two::new(), Use::NoOutputs).unwrap_err();
    assert!(matches!(error, RivalError::NoPrediction));
    // A frozen layer never needs a block.
    let mut model = Two::new();
    model.second = model.second.freeze();
    assert!(new(&model, Use::PlainCall).is_ok());
    let mut model = Two::new();
    model.first.weight = model.first.weight.set_require_grad(false);
    let error = new(&model, Use::Twice).unwrap_err();
    assert!(matches!(&error, RivalError::Unsupported { path, .. } if path == "first.bias"));
}

#[test]
fn settings_out_of_range_are_named() {
    let default = KfacConfig::default();
    let wrong = [
        (
            "initial_damping",
            KfacConfig {
                initial_damping: -1.0,
                ..default
            },
        ),
        (
            "momentum",
            KfacConfig {
                momentum: Momentum::Fixed(1.0),
                ..default
            },
        ),
        (
            "decay",
            KfacConfig {
                decay: f64::NAN,
                ..default
            },
        ),
        (
            "inverse_interval",
            KfacConfig {
                inverse_interval: 0,
                ..default
            },
        ),
        (
            "norm_constraint",
            KfacConfig {
                norm_constraint: Some(0.0),
                ..default
            },
        ),
        (
            "norm_constraint",
            KfacConfig {
                norm_constraint: Some(1.0),
                adaptive_learning_rate: true,
                ..default
            },
        ),
        (
            "interval",
            KfacConfig {
                damping: Damping::LevenbergMarquardt {
                    interval: 0,
                    decay: 0.9,
                    minimum: 0.0,
                },
                ..default
            },
        ),
    ];
    let (model, loss) = (Perceptron::new(3, 4, 2), Regression::new(5, 3, 2, 1));
    for (expected, config) in wrong {
        let error = Kfac::new(&model, &loss, config).unwrap_err();
        assert!(matches!(error, RivalError::Setting { name, .. } if name == expected));
    }
}

#[test]
fn a_failed_step_changes_nothing() {
    let (mut model, loss) = (Perceptron::new(3, 4, 2), Regression::new(5, 3, 2, 1));
    let mut kfac = Kfac::new(&model, &loss, KfacConfig::default()).unwrap();
    kfac.step(0.1, &mut model, &loss).unwrap();
    let before = (bits(&model), kfac.to_bytes().unwrap());
    let broken = Regression {
        y: loss.y.clone() * f64::NAN,
        x: loss.x.clone(),
    };
    let error = kfac.step(0.1, &mut model, &broken).unwrap_err();
    assert!(matches!(error, RivalError::NotFinite { step: 1, .. }));
    let error = kfac.step(-0.1, &mut model, &loss).unwrap_err();
    assert!(matches!(
        error,
        RivalError::Setting {
            name: "learning_rate",
            ..
        }
    ));
    assert_eq!((bits(&model), kfac.to_bytes().unwrap()), before);
    // Fewer examples than entries, and no damping: A is singular.
    let singular = KfacConfig {
        initial_damping: 0.0,
        ..KfacConfig::default()
    };
    let one = Regression::new(1, 3, 2, 1);
    let mut kfac = Kfac::new(&model, &one, singular).unwrap();
    let error = kfac.step(0.1, &mut model, &one).unwrap_err();
    assert!(matches!(&error, RivalError::Singular { path, .. } if path == "hidden.weight"));
    assert_eq!(bits(&model), before.0);
}
