//! Factors and steps agree with kfac-jax 0.0.8. `kfac_golden.py` made the numbers.

use std::collections::HashMap;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{log_sigmoid, relu};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use fosi_burn::{FlatLayout, like_module};
use fosi_rivals::kfac::{Damping, Fisher, Momentum};
use fosi_rivals::{Kfac, KfacConfig, Loss, Prediction, Recorder, Rival};
use serde::Deserialize;

use crate::common::{device, distance, parameters};

/// The results of kfac-jax in double precision.
#[derive(Deserialize)]
struct Case {
    x: Vec<f64>,
    y: Vec<f64>,
    parameters: Vec<f64>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    loss: f64,
    learning_rate: f64,
    momentum: f64,
    damping: f64,
    parameters: Vec<f64>,
    /// One entry per layer; empty if they are not recorded.
    factors: Vec<Vec<Vec<f64>>>,
}

const TOLERANCE: f64 = 1e-4;

fn case(name: &str) -> Case {
    let mut cases: HashMap<String, Case> =
        serde_json::from_str(include_str!("golden/kfac.json")).unwrap();
    cases.remove(name).unwrap()
}

fn data<const D: usize>(values: &[f64], shape: [usize; D]) -> Tensor<D> {
    let data = TensorData::new(values.to_vec(), shape);
    Tensor::from_data(data, (&device(), DType::F32))
}

/// Takes the case's steps and compares each with kfac-jax's.
fn follow<M: Module>(
    case: &Case,
    model: M,
    loss: &dyn Loss<M>,
    config: KfacConfig,
    learning_rate: f64,
) {
    let layout = FlatLayout::of(&model).unwrap();
    let mut model = layout.set_parameters(&model, &case.parameters[..]).unwrap();
    let mut kfac = Kfac::new(&model, loss, config).unwrap();
    for (index, expected) in case.steps.iter().enumerate() {
        let done = kfac.step(learning_rate, &mut model, loss).unwrap();
        let numbers = [
            (done.loss, expected.loss),
            (done.learning_rate, expected.learning_rate),
            (done.momentum.unwrap(), expected.momentum),
            (done.damping.unwrap(), expected.damping),
        ];
        for (own, theirs) in numbers {
            let error = (own - theirs).abs() / theirs.abs().max(1e-2);
            assert!(error < TOLERANCE, "step {index}: {own} {theirs}");
        }
        let error = distance(&parameters(&model), &expected.parameters);
        assert!(error < TOLERANCE, "step {index}: parameters by {error}");
        if expected.factors.is_empty() {
            continue;
        }
        let layers = kfac.factors().unwrap();
        assert_eq!(layers.len(), expected.factors.len());
        for (layer, expected) in layers.iter().zip(&expected.factors) {
            assert_eq!(layer.factors.len(), expected.len());
            for (own, theirs) in layer.factors.iter().zip(expected) {
                let own: Vec<f64> = own.entries.iter().map(|x| f64::from(*x)).collect();
                let error = distance(&own, theirs);
                assert!(error < TOLERANCE, "step {index}: {} by {error}", layer.path);
            }
        }
    }
}

fn exact() -> KfacConfig {
    KfacConfig {
        fisher: Fisher::Exact,
        ..KfacConfig::default()
    }
}

#[derive(Module, Debug)]
struct Dense {
    a: Linear,
    b: Linear,
}

struct Classes {
    x: Tensor<2>,
    y: Tensor<1, Int>,
}

impl Dense {
    fn scores(&self, x: Tensor<2>, recorder: &mut Recorder) -> Tensor<2> {
        let hidden = recorder.linear(&self.a, like_module(x, self)).tanh();
        recorder.linear(&self.b, hidden)
    }
}

impl Loss<Dense> for Classes {
    fn loss(&self, model: &Dense) -> Tensor<1> {
        let scores = model.scores(self.x.clone(), &mut Recorder::off());
        let loss = CrossEntropyLossConfig::new().init(&scores.device());
        loss.forward(scores, self.y.clone())
    }

    fn predict(&self, model: &Dense, recorder: &mut Recorder) -> Option<Prediction> {
        Some(Prediction::softmax(model.scores(self.x.clone(), recorder)))
    }
}

#[test]
fn dense_layers_with_softmax() {
    let case = case("dense_softmax");
    let device = device();
    let model = Dense {
        a: LinearConfig::new(6, 5).init(&device),
        b: LinearConfig::new(5, 4).init(&device),
    };
    let labels: Vec<i64> = case.y.iter().map(|y| *y as i64).collect();
    let loss = Classes {
        x: data(&case.x, [12, 6]),
        y: Tensor::from_data(TensorData::new(labels, [12]), &device),
    };
    let config = KfacConfig {
        momentum: Momentum::Fixed(0.8),
        initial_damping: 0.2,
        ..exact()
    };
    follow(&case, model, &loss, config, 0.3);
}

#[derive(Module, Debug)]
struct Convolutional {
    a: Conv2d,
    b: Conv2d,
    c: Linear,
}

struct Images {
    x: Tensor<4>,
    y: Tensor<2>,
}

fn conv(channels: [usize; 2], kernel: usize, stride: usize, padding: usize) -> Conv2dConfig {
    Conv2dConfig::new(channels, [kernel; 2])
        .with_stride([stride; 2])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
}

impl Convolutional {
    fn new(device: &Device) -> Self {
        Self {
            a: conv([2, 3], 3, 2, 1).init(device),
            b: conv([3, 4], 1, 1, 0).with_bias(false).init(device),
            c: LinearConfig::new(36, 3).init(device),
        }
    }

    fn outputs(&self, x: Tensor<4>, recorder: &mut Recorder) -> Tensor<2> {
        let x = recorder.conv2d(&self.a, like_module(x, self)).tanh();
        let x = recorder.conv2d(&self.b, x).tanh();
        recorder.linear(&self.c, x.flatten(1, 3))
    }
}

impl Loss<Convolutional> for Images {
    fn loss(&self, model: &Convolutional) -> Tensor<1> {
        let z = model.outputs(self.x.clone(), &mut Recorder::off());
        let [batch, _] = z.dims();
        (z - like_module(self.y.clone(), model)).square().sum() / batch as f64
    }

    fn predict(&self, model: &Convolutional, recorder: &mut Recorder) -> Option<Prediction> {
        let z = model.outputs(self.x.clone(), recorder);
        Some(Prediction::squared_error(z))
    }
}

#[test]
fn convolutions_with_squared_error_and_everything_adaptive() {
    let case = case("conv_squared");
    let loss = Images {
        x: data(&case.x, [8, 2, 5, 5]),
        y: data(&case.y, [8, 3]),
    };
    let config = KfacConfig {
        adaptive_learning_rate: true,
        momentum: Momentum::Adaptive,
        initial_damping: 0.5,
        ..exact()
    };
    follow(&case, Convolutional::new(&device()), &loss, config, 0.0);
}

#[derive(Module, Debug)]
struct Separable {
    a: Conv2d,
    n: BatchNorm,
    d: Conv2d,
    c: Linear,
}

impl Separable {
    fn new(device: &Device) -> Self {
        Self {
            a: conv([1, 4], 3, 1, 1).with_bias(false).init(device),
            n: BatchNormConfig::new(4).init(device),
            d: conv([4, 4], 3, 2, 1).with_groups(4).init(device),
            c: LinearConfig::new(4, 3).init(device),
        }
    }

    fn scores(&self, x: Tensor<4>, recorder: &mut Recorder) -> Tensor<2> {
        let x = recorder.conv2d(&self.a, like_module(x, self));
        let x = relu(recorder.batch_norm(&self.n, x));
        let x = recorder.conv2d(&self.d, x).tanh();
        let [batch, channels, ..] = x.dims();
        let pooled = x.flatten::<3>(2, 3).mean_dim(2).reshape([batch, channels]);
        recorder.linear(&self.c, pooled)
    }
}

impl Loss<Separable> for Images {
    fn loss(&self, model: &Separable) -> Tensor<1> {
        let z = model.scores(self.x.clone(), &mut Recorder::off());
        let absent = like_module(self.y.clone(), model).neg() + 1.0;
        (absent * z.clone() - log_sigmoid(z)).mean()
    }

    fn predict(&self, model: &Separable, recorder: &mut Recorder) -> Option<Prediction> {
        let z = model.scores(self.x.clone(), recorder);
        Some(Prediction::sigmoid(z).with_weight(1.0 / 3.0))
    }
}

#[test]
fn batch_norm_and_depthwise_convolutions_with_sigmoid() {
    let case = case("separable_sigmoid");
    let loss = Images {
        x: data(&case.x, [6, 1, 6, 6]),
        y: data(&case.y, [6, 3]),
    };
    let config = KfacConfig {
        initial_damping: 0.05,
        damping: Damping::Fixed,
        norm_constraint: Some(1e-3),
        ..exact()
    };
    follow(&case, Separable::new(&device()), &loss, config, 0.1);
}
