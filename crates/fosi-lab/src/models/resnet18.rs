//! The paper's task TL: a frozen ResNet-18, on whose pooled features a new dense layer is trained.

use std::path::Path;

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::init::{Init, conv};
use super::weights::{self, Source, WeightsError};

/// The number of pooled features per image.
pub const FEATURES: usize = 512;

/// The backbone up to the pooled features (He, Zhang, Ren, Sun 2016), with torchvision's layout and names.
///
/// It is never trained. On every device it is kept without autodiff, so that batch norm uses its running statistics and
/// no gradient reaches it.
#[derive(Module, Debug)]
pub struct ResNet18 {
    conv1: Conv2d,
    bn1: BatchNorm,
    maxpool: MaxPool2d,
    layer1: Vec<BasicBlock>,
    layer2: Vec<BasicBlock>,
    layer3: Vec<BasicBlock>,
    layer4: Vec<BasicBlock>,
}

/// Two 3×3 convolutions and their shortcut.
#[derive(Module, Debug)]
struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    /// The shortcut's convolution if the shape changes; a pair, because torchvision's names are `0` and `1`.
    downsample: Option<(Conv2d, BatchNorm)>,
}

const TORCHVISION: Source = Source {
    network: "torchvision's ResNet-18",
    // The classifier, which the features replace, and a counter that is not used here.
    ignored: |name| name.starts_with("fc.") || name.ends_with(".num_batches_tracked"),
    hint: WEIGHTS_HINT,
};

/// Where to obtain the paper's weights.
pub const WEIGHTS_HINT: &str = "get torchvision's ResNet18_Weights.IMAGENET1K_V1 from \
    https://download.pytorch.org/models/resnet18-f37072fd.pth (45 MB) and name the file";

impl ResNet18 {
    /// The backbone with weights from a file: torchvision's (`.pth`, `.pt`), or safetensors with the same names.
    ///
    /// # Errors
    /// [`WeightsError`] describes the file's defect or, for a missing file, where to obtain it.
    pub fn from_file(path: &Path, device: &Device) -> Result<Self, WeightsError> {
        weights::load(Self::random(0, device), path, TORCHVISION)
    }

    /// The backbone with random weights: normal with standard deviation 1/√fan_in, batch norms set to the identity.
    pub fn random(seed: u64, device: &Device) -> Self {
        let device = device.clone().without_autodiff();
        let mut init = Init::new(seed, &device);
        let mut layer = |inputs, outputs, stride| {
            let first = BasicBlock::new(inputs, outputs, stride, &mut init, &device);
            vec![
                first,
                BasicBlock::new(outputs, outputs, 1, &mut init, &device),
            ]
        };
        let (layer1, layer2) = (layer(64, 64, 1), layer(64, 128, 2));
        let (layer3, layer4) = (layer(128, 256, 2), layer(256, FEATURES, 2));
        Self {
            conv1: init.conv(conv(3, 64, 7, 2)),
            bn1: BatchNormConfig::new(64).init(&device),
            maxpool: MaxPool2dConfig::new([3, 3])
                .with_strides([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(),
            layer1,
            layer2,
            layer3,
            layer4,
        }
    }

    /// Pooled features (batch×512) of images (batch×3×height×width) in torchvision's normalisation, without autodiff.
    pub fn features(&self, images: Tensor<4>) -> Tensor<2> {
        let images = if images.is_autodiff() {
            images.inner()
        } else {
            images
        };
        let x = relu(self.bn1.forward(self.conv1.forward(images)));
        let mut x = self.maxpool.forward(x);
        for layer in [&self.layer1, &self.layer2, &self.layer3, &self.layer4] {
            for block in layer {
                x = block.forward(x);
            }
        }
        let [batch, channels, ..] = x.dims();
        x.flatten::<3>(2, 3).mean_dim(2).reshape([batch, channels])
    }
}

impl BasicBlock {
    fn new(inputs: usize, outputs: usize, stride: usize, init: &mut Init, device: &Device) -> Self {
        let norm = BatchNormConfig::new(outputs);
        let downsample = (inputs != outputs || stride != 1).then(|| {
            let conv = init.conv(conv(inputs, outputs, 1, stride));
            (conv, norm.init(device))
        });
        Self {
            conv1: init.conv(conv(inputs, outputs, 3, stride)),
            bn1: norm.init(device),
            conv2: init.conv(conv(outputs, outputs, 3, 1)),
            bn2: norm.init(device),
            downsample,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let around = match &self.downsample {
            Some((conv, norm)) => norm.forward(conv.forward(x.clone())),
            None => x.clone(),
        };
        let x = relu(self.bn1.forward(self.conv1.forward(x)));
        relu(self.bn2.forward(self.conv2.forward(x)) + around)
    }
}
