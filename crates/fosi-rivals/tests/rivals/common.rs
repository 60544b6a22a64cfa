//! Small networks, and data for them.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{DType, Device, Tensor, TensorData};
use fosi_burn::{FlatLayout, like_module};
use fosi_rivals::{Loss, Prediction, Recorder};

pub fn device() -> Device {
    Device::flex().autodiff()
}

/// Entries in [-1, 1), determined by the salt.
pub fn entries(len: usize, salt: u64) -> Vec<f64> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

pub fn tensor<const D: usize>(shape: [usize; D], salt: u64) -> Tensor<D> {
    let entries = entries(shape.iter().product(), salt);
    Tensor::from_data(TensorData::new(entries, shape), (&device(), DType::F32))
}

pub fn linear(inputs: usize, outputs: usize, salt: u64) -> Linear {
    Linear {
        weight: Param::from_tensor(tensor([inputs, outputs], salt)),
        bias: Some(Param::from_tensor(tensor([outputs], salt + 100))),
    }
}

pub fn parameters(module: &impl Module) -> Vec<f64> {
    FlatLayout::of(module).unwrap().parameters(module).unwrap()
}

pub fn bits(module: &impl Module) -> Vec<u64> {
    parameters(module).into_iter().map(f64::to_bits).collect()
}

/// ‖a − b‖/‖b‖.
pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| a - b));
    difference / norm(&mut b.iter().copied())
}

/// Two dense layers.
#[derive(Module, Debug)]
pub struct Perceptron {
    pub hidden: Linear,
    pub output: Linear,
}

impl Perceptron {
    pub fn new(inputs: usize, hidden: usize, outputs: usize) -> Self {
        Self {
            hidden: linear(inputs, hidden, 1),
            output: linear(hidden, outputs, 2),
        }
    }

    fn forward(&self, x: Tensor<2>, recorder: &mut Recorder) -> Tensor<2> {
        let hidden = recorder.linear(&self.hidden, x).tanh();
        recorder.linear(&self.output, hidden)
    }
}

/// A batch of a [`Perceptron`], with squared errors.
pub struct Regression {
    pub x: Tensor<2>,
    pub y: Tensor<2>,
}

impl Regression {
    pub fn new(batch: usize, inputs: usize, outputs: usize, salt: u64) -> Self {
        Self {
            x: tensor([batch, inputs], salt),
            y: tensor([batch, outputs], salt + 1),
        }
    }
}

impl Loss<Perceptron> for Regression {
    fn loss(&self, model: &Perceptron) -> Tensor<1> {
        let x = like_module(self.x.clone(), model);
        let y = like_module(self.y.clone(), model);
        let [batch, _] = x.dims();
        let z = model.forward(x, &mut Recorder::off());
        (z - y).square().sum() / batch as f64
    }

    fn predict(&self, model: &Perceptron, recorder: &mut Recorder) -> Option<Prediction> {
        let x = like_module(self.x.clone(), model);
        Some(Prediction::squared_error(model.forward(x, recorder)))
    }
}
