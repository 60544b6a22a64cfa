//! The initial values of layers, from a separate generator.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Initializer, Linear, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Creates layers one after the other: normal weights with standard deviation 1/√fan_in (LeCun, Bottou, Orr, Müller
/// 1998), zero biases.
///
/// Burn has one generator per process, which differs between devices; here the same seed gives the same bits on every
/// device, whatever else runs.
pub(super) struct Init<'a> {
    random: ChaCha8Rng,
    device: &'a Device,
}

impl<'a> Init<'a> {
    pub(super) fn new(seed: u64, device: &'a Device) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self { random, device }
    }

    /// Weights (inputs×outputs) and a bias.
    pub(super) fn linear(&mut self, inputs: usize, outputs: usize) -> Linear {
        Linear {
            weight: self.normal([inputs, outputs], inputs),
            bias: Some(self.constant(outputs, 0.0)),
        }
    }

    pub(super) fn conv(&mut self, config: Conv2dConfig) -> Conv2d {
        let mut layer = config
            .with_initializer(Initializer::Zeros)
            .init(self.device);
        let [_, inputs, height, width] = layer.weight.dims();
        layer.weight = self.normal(layer.weight.dims(), inputs * height * width);
        layer
    }

    pub(super) fn transposed(&mut self, config: ConvTranspose2dConfig) -> ConvTranspose2d {
        let mut layer = config
            .with_initializer(Initializer::Zeros)
            .init(self.device);
        let [inputs, _, height, width] = layer.weight.dims();
        layer.weight = self.normal(layer.weight.dims(), inputs * height * width);
        layer
    }

    pub(super) fn normal<const D: usize>(
        &mut self,
        shape: [usize; D],
        fan_in: usize,
    ) -> Param<Tensor<D>> {
        let scale = (fan_in as f32).sqrt().recip();
        let mut draw = || -> f32 { StandardNormal.sample(&mut self.random) };
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| scale * draw())
            .collect();
        self.param(values, shape)
    }

    pub(super) fn constant(&self, len: usize, value: f32) -> Param<Tensor<1>> {
        self.param(vec![value; len], [len])
    }

    fn param<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_tensor(Tensor::from_data(
            TensorData::new(values, shape),
            self.device,
        ))
    }
}

/// A convolution whose output has the input's size divided by the stride. It has no bias, because batch norm follows.
pub(super) fn conv(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Conv2dConfig {
    let pad = kernel / 2;
    Conv2dConfig::new([inputs, outputs], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(false)
}
