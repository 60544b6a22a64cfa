//! The same small networks as Burn modules, and Lanczos on the exact Hessian for comparison.

use burn::module::{Module, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::{Device, Int, Tensor, TensorData};
use fosi_burn::like_module;

use super::entries;
use super::exact::{Activation, Perceptron};

#[derive(Module, Debug)]
pub struct Layer {
    pub linear: Linear,
    pub norm: Option<BatchNorm>,
}

/// The Burn module of a [`Perceptron`].
#[derive(Module, Debug)]
pub struct Network {
    pub hidden: Vec<Layer>,
    pub output: Linear,
}

impl Network {
    /// Weights uniform within ±√(3/inputs), which have the variance 1/inputs, and biases within ±`bias`.
    pub fn new(of: &Perceptron, bias: f64, salt: u64, device: &Device) -> Self {
        let linear = |l: usize, with_bias: bool| {
            let (inputs, outputs) = (of.widths[l], of.widths[l + 1]);
            let salt = 1000 * salt + 10 * l as u64;
            let weight = scaled(inputs * outputs, (3.0 / inputs as f64).sqrt(), salt);
            let weight = TensorData::new(weight, [inputs, outputs]);
            let bias = TensorData::new(scaled(outputs, bias, salt + 1), [outputs]);
            Linear {
                weight: Param::from_tensor(Tensor::from_data(weight, device)),
                bias: with_bias.then(|| Param::from_tensor(Tensor::from_data(bias, device))),
            }
        };
        let last = of.widths.len() - 2;
        let layer = |l: usize| Layer {
            linear: linear(l, of.bias),
            norm: of
                .norm
                .then(|| BatchNormConfig::new(of.widths[l + 1]).init(device)),
        };
        Self {
            hidden: (0..last).map(layer).collect(),
            output: linear(last, true),
        }
    }

    /// Mean cross-entropy, in the module's float type.
    pub fn loss(&self, of: &Perceptron) -> Tensor<1> {
        let device = self.output.weight.device();
        let rows = of.x.len() / of.widths[0];
        let x = TensorData::new(of.x.clone(), [rows, of.widths[0]]);
        let mut a = like_module(
            Tensor::<2>::from_data(x, (&device, burn::tensor::DType::F64)),
            self,
        );
        for (l, layer) in self.hidden.iter().enumerate() {
            let mut z = layer.linear.forward(a);
            if let Some(norm) = &layer.norm {
                z = norm.forward(z);
            }
            a = match of.activation {
                Activation::Relu => burn::tensor::activation::relu(z),
                Activation::Tanh => z.tanh(),
            };
            if l == 0 && of.patches > 1 {
                let width = of.widths[1];
                let groups = a.reshape([rows / of.patches, of.patches, width]);
                a = groups.mean_dim(1).reshape([rows / of.patches, width]);
            }
        }
        let labels: Vec<i64> = of.labels.iter().map(|&label| label as i64).collect();
        let labels = Tensor::<1, Int>::from_data(labels.as_slice(), &device);
        let scores = self.output.forward(a);
        CrossEntropyLossConfig::new()
            .init(&device)
            .forward(scores, labels)
    }
}

pub fn scaled(len: usize, size: f64, salt: u64) -> Vec<f64> {
    entries(len, salt).iter().map(|x| size * x).collect()
}

/// `samples` approximately normal inputs, with labels from a random linear map with noise.
pub fn classification(
    samples: usize,
    inputs: usize,
    classes: usize,
    salt: u64,
) -> (Vec<f64>, Vec<usize>) {
    // Sums of three uniform variables have variance 1.
    let x: Vec<f64> = entries(3 * samples * inputs, salt)
        .chunks(3)
        .map(|u| u.iter().sum())
        .collect();
    let teacher = entries(inputs * classes, salt + 1);
    let noise = entries(samples * classes, salt + 2);
    let label = |(row, noise): (&[f64], &[f64])| {
        let score = |class: usize| -> f64 {
            let terms = row.iter().enumerate();
            noise[class]
                + terms
                    .map(|(i, x)| x * teacher[i * classes + class])
                    .sum::<f64>()
        };
        (0..classes)
            .max_by(|&a, &b| score(a).total_cmp(&score(b)))
            .unwrap()
    };
    let labels = x
        .chunks(inputs)
        .zip(noise.chunks(classes))
        .map(label)
        .collect();
    (x, labels)
}
