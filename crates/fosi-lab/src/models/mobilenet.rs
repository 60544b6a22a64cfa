//! The paper's task AC: MobileNetV1 on log-mel patches of sound.

use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::activation::{log_sigmoid, relu};
use burn::tensor::{Device, Tensor};
use fosi_burn::like_module;
use fosi_rivals::Recorder;

use super::init::{Init, conv};

/// Output channels at width 1, and stride, of the thirteen separable convolutions (Howard et al. 2017, table 1).
const SEPARABLE: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

/// The shape of a [`MobileNet`]. The default is the paper's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MobileNetConfig {
    /// The factor on every layer's number of channels, positive and finite; default 1.
    pub width: f64,
    /// The number of classes, at least 1; default 527, AudioSet's.
    pub classes: usize,
}

impl Default for MobileNetConfig {
    fn default() -> Self {
        Self {
            width: 1.0,
            classes: 527,
        }
    }
}

impl MobileNetConfig {
    /// The initial network: normal weights with standard deviation 1/√fan_in, batch norms set to the identity.
    ///
    /// # Panics
    /// If a field is outside its documented range.
    pub fn init(&self, seed: u64, device: &Device) -> MobileNet {
        assert!(
            self.width.is_finite() && self.width > 0.0,
            "the width is positive, not {}",
            self.width
        );
        assert!(self.classes > 0, "a classifier has at least one class");
        let mut init = Init::new(seed, device);
        let channels =
            |at_width_one: usize| (at_width_one as f64 * self.width).round().max(1.0) as usize;
        let mut inputs = channels(32);
        let stem = Normalized::new(conv(1, inputs, 3, 2), &mut init, device);
        let mut blocks = Vec::with_capacity(SEPARABLE.len());
        for (outputs, stride) in SEPARABLE {
            let outputs = channels(outputs);
            let depthwise = conv(inputs, inputs, 3, stride).with_groups(inputs);
            blocks.push(Separable {
                depthwise: Normalized::new(depthwise, &mut init, device),
                pointwise: Normalized::new(conv(inputs, outputs, 1, 1), &mut init, device),
            });
            inputs = outputs;
        }
        MobileNet {
            stem,
            blocks,
            output: init.linear(inputs, self.classes),
        }
    }
}

/// MobileNetV1 (Howard et al. 2017): a convolution, thirteen separable convolutions, the mean over the remaining times
/// and frequencies, and a dense layer for the scores of the classes; batch norm and ReLU follow every convolution.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use fosi_lab::models::mobilenet::MobileNetConfig;
///
/// let device = Device::flex();
/// let model = MobileNetConfig { width: 0.125, classes: 10 }.init(1, &device);
/// let patches = Tensor::<4>::ones([2, 1, 96, 64], &device);
/// assert_eq!(model.forward(patches).dims(), [2, 10]);
/// ```
#[derive(Module, Debug)]
pub struct MobileNet {
    stem: Normalized,
    blocks: Vec<Separable>,
    output: Linear,
}

/// A depthwise 3×3 convolution followed by a pointwise 1×1 convolution.
#[derive(Module, Debug)]
struct Separable {
    depthwise: Normalized,
    pointwise: Normalized,
}

/// A convolution, batch norm, ReLU.
#[derive(Module, Debug)]
struct Normalized {
    conv: Conv2d,
    norm: BatchNorm,
}

impl Normalized {
    fn new(config: Conv2dConfig, init: &mut Init, device: &Device) -> Self {
        let norm = BatchNormConfig::new(config.channels[1]).init(device);
        Self {
            conv: init.conv(config),
            norm,
        }
    }

    fn forward(&self, x: Tensor<4>, recorder: &mut Recorder) -> Tensor<4> {
        let x = recorder.conv2d(&self.conv, x);
        relu(recorder.batch_norm(&self.norm, x))
    }
}

impl MobileNet {
    /// The scores of the classes (batch×classes) for patches (batch×1×frames×bands; 96×64 in the paper).
    pub fn forward(&self, patches: Tensor<4>) -> Tensor<2> {
        self.recorded(patches, &mut Recorder::off())
    }

    /// The same, with every layer called through `recorder`.
    pub fn recorded(&self, patches: Tensor<4>, recorder: &mut Recorder) -> Tensor<2> {
        let mut x = self.stem.forward(patches, recorder);
        for block in &self.blocks {
            x = block.depthwise.forward(x, recorder);
            x = block.pointwise.forward(x, recorder);
        }
        let [batch, channels, ..] = x.dims();
        let pooled = x.flatten::<3>(2, 3).mean_dim(2).reshape([batch, channels]);
        recorder.linear(&self.output, pooled)
    }

    /// Sigmoid cross-entropy against `targets` (batch×classes, 0 or 1), averaged over batch and classes.
    pub fn loss(&self, patches: Tensor<4>, targets: Tensor<2>) -> Tensor<1> {
        let scores = self.forward(like_module(patches, self));
        Self::cross_entropy(scores, like_module(targets, self))
    }

    /// The same for computed scores.
    pub fn cross_entropy(scores: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
        let absent = targets.neg() + 1.0;
        (absent * scores.clone() - log_sigmoid(scores)).mean()
    }

    /// Sets every batch norm to normalise by the batch (`true`, as in training) or by its running statistics,
    /// regardless of the device.
    pub fn with_batch_statistics(self, enabled: bool) -> Self {
        struct Set(bool);

        impl ModuleMapper for Set {
            fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
                flag.map(|value| value.with(self.0))
            }
        }
        self.map(&mut Set(enabled))
    }
}
