//! The paper's task AE: a convolutional autoencoder for small colour images.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};
use fosi_burn::like_module;
use fosi_rivals::Recorder;

use super::init::Init;

/// Each of three convolutions with stride 2 halves the image's side.
const REDUCTION: usize = 8;

/// The shape of an [`Autoencoder`]. The default is the paper's: 468,227 parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoencoderConfig {
    /// The number c of channels in the first convolutions; the later ones have 2c. At least 1; default 32.
    pub channels: usize,
    /// The length of the latent vector. At least 1; default 128.
    pub latent: usize,
    /// The side of the square images in pixels, a multiple of 8; default 32.
    pub side: usize,
}

impl Default for AutoencoderConfig {
    fn default() -> Self {
        Self {
            channels: 32,
            latent: 128,
            side: 32,
        }
    }
}

impl AutoencoderConfig {
    /// The initial autoencoder: normal weights with standard deviation 1/√fan_in, zero biases.
    ///
    /// # Panics
    /// If a field is outside its documented range.
    pub fn init(&self, seed: u64, device: &Device) -> Autoencoder {
        assert!(
            self.channels > 0 && self.latent > 0,
            "an autoencoder has at least one channel and one latent entry"
        );
        assert!(
            self.side > 0 && self.side.is_multiple_of(REDUCTION),
            "the side of the images is a multiple of {REDUCTION}, not {}",
            self.side
        );
        let mut init = Init::new(seed, device);
        let (c, small) = (self.channels, self.side / REDUCTION);
        let flat = 2 * c * small * small;
        Autoencoder {
            encoder: Encoder {
                conv1: init.conv(halve(3, c)),
                conv2: init.conv(keep(c, c)),
                conv3: init.conv(halve(c, 2 * c)),
                conv4: init.conv(keep(2 * c, 2 * c)),
                conv5: init.conv(halve(2 * c, 2 * c)),
                dense: init.linear(flat, self.latent),
            },
            decoder: Decoder {
                dense: init.linear(self.latent, flat),
                up1: init.transposed(double(2 * c, 2 * c)),
                conv1: init.conv(keep(2 * c, 2 * c)),
                up2: init.transposed(double(2 * c, c)),
                conv2: init.conv(keep(c, c)),
                up3: init.transposed(double(c, 3)),
                side: small,
            },
        }
    }
}

fn keep(inputs: usize, outputs: usize) -> Conv2dConfig {
    Conv2dConfig::new([inputs, outputs], [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
}

fn halve(inputs: usize, outputs: usize) -> Conv2dConfig {
    keep(inputs, outputs).with_stride([2, 2])
}

fn double(inputs: usize, outputs: usize) -> ConvTranspose2dConfig {
    ConvTranspose2dConfig::new([inputs, outputs], [3, 3])
        .with_stride([2, 2])
        .with_padding([1, 1])
        .with_padding_out([1, 1])
}

/// A convolutional autoencoder: five 3×3 convolutions and a dense layer to the latent vector, then their mirror image,
/// with GELU between the layers and tanh at the end (paper, appendix C).
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use fosi_lab::models::autoencoder::AutoencoderConfig;
///
/// let device = Device::flex();
/// let model = AutoencoderConfig { channels: 4, latent: 8, side: 16 }.init(1, &device);
/// let images = Tensor::<4>::random([2, 3, 16, 16], Distribution::Uniform(-1.0, 1.0), &device);
/// assert_eq!(model.encode(images.clone()).dims(), [2, 8]);
/// assert_eq!(model.forward(images).dims(), [2, 3, 16, 16]);
/// ```
#[derive(Module, Debug)]
pub struct Autoencoder {
    encoder: Encoder,
    decoder: Decoder,
}

#[derive(Module, Debug)]
struct Encoder {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    conv4: Conv2d,
    conv5: Conv2d,
    dense: Linear,
}

#[derive(Module, Debug)]
struct Decoder {
    dense: Linear,
    up1: ConvTranspose2d,
    conv1: Conv2d,
    up2: ConvTranspose2d,
    conv2: Conv2d,
    up3: ConvTranspose2d,
    /// The side of the smallest feature maps in pixels.
    side: usize,
}

impl Autoencoder {
    /// Latent vectors (batch×latent) of images (batch×3×side×side).
    pub fn encode(&self, images: Tensor<4>) -> Tensor<2> {
        self.encoder.forward(images, &mut Recorder::off())
    }

    /// Images (batch×3×side×side) with values in (−1, 1), decoded from latent vectors.
    pub fn decode(&self, latent: Tensor<2>) -> Tensor<4> {
        self.decoder.forward(latent, &mut Recorder::off())
    }

    /// Reconstructions of images scaled to [−1, 1], with the same shape.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        self.recorded(images, &mut Recorder::off())
    }

    /// The same, with every layer called through `recorder`.
    pub fn recorded(&self, images: Tensor<4>, recorder: &mut Recorder) -> Tensor<4> {
        let latent = self.encoder.forward(images, recorder);
        self.decoder.forward(latent, recorder)
    }

    /// The squared error of the reconstruction, summed over pixels and colours and averaged over the batch.
    pub fn loss(&self, images: Tensor<4>) -> Tensor<1> {
        let images = like_module(images, self);
        let [batch, ..] = images.dims();
        (self.forward(images.clone()) - images).square().sum() / batch as f64
    }
}

impl Encoder {
    fn forward(&self, images: Tensor<4>, recorder: &mut Recorder) -> Tensor<2> {
        let x = gelu(recorder.conv2d(&self.conv1, images));
        let x = gelu(recorder.conv2d(&self.conv2, x));
        let x = gelu(recorder.conv2d(&self.conv3, x));
        let x = gelu(recorder.conv2d(&self.conv4, x));
        let x = gelu(recorder.conv2d(&self.conv5, x));
        recorder.linear(&self.dense, x.flatten(1, 3))
    }
}

impl Decoder {
    fn forward(&self, latent: Tensor<2>, recorder: &mut Recorder) -> Tensor<4> {
        let x = gelu(recorder.linear(&self.dense, latent));
        let [batch, flat] = x.dims();
        let channels = flat / (self.side * self.side);
        let x = x.reshape([batch, channels, self.side, self.side]);
        let x = gelu(recorder.conv_transpose2d(&self.up1, x));
        let x = gelu(recorder.conv2d(&self.conv1, x));
        let x = gelu(recorder.conv_transpose2d(&self.up2, x));
        let x = gelu(recorder.conv2d(&self.conv2, x));
        recorder.conv_transpose2d(&self.up3, x).tanh()
    }
}
