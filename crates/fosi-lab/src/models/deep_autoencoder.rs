//! A deep autoencoder of dense layers, a common test for second-order optimizers (Hinton, Salakhutdinov 2006; Martens
//! 2010). It is not in the paper.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use fosi_burn::like_module;
use fosi_rivals::Recorder;

use super::init::Init;

/// The shape of a [`DeepAutoencoder`]. The default is for MNIST: 435,536 parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeepAutoencoderConfig {
    /// The number of inputs, at least 1; default 784.
    pub inputs: usize,
    /// The width of the hidden layers on both sides of the code, at least 1; default 256.
    pub hidden: usize,
    /// The length of the code, at least 1; default 64.
    pub code: usize,
}

impl Default for DeepAutoencoderConfig {
    fn default() -> Self {
        Self {
            inputs: 784,
            hidden: 256,
            code: 64,
        }
    }
}

impl DeepAutoencoderConfig {
    /// The initial autoencoder: normal weights with standard deviation 1/√fan_in, zero biases.
    ///
    /// # Panics
    /// If a field is 0.
    pub fn init(&self, seed: u64, device: &Device) -> DeepAutoencoder {
        assert!(
            self.inputs > 0 && self.hidden > 0 && self.code > 0,
            "an autoencoder's layers have at least one entry"
        );
        let mut init = Init::new(seed, device);
        DeepAutoencoder {
            encoder: [
                init.linear(self.inputs, self.hidden),
                init.linear(self.hidden, self.code),
            ],
            decoder: [
                init.linear(self.code, self.hidden),
                init.linear(self.hidden, self.inputs),
            ],
        }
    }
}

/// An autoencoder with four dense layers: tanh after the hidden layers, no activation after the code, sigmoid at the
/// end.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use fosi_lab::models::deep_autoencoder::DeepAutoencoderConfig;
///
/// let device = Device::flex();
/// let model = DeepAutoencoderConfig { inputs: 64, hidden: 32, code: 8 }.init(1, &device);
/// let images = Tensor::<2>::random([2, 64], Distribution::Uniform(0.0, 1.0), &device);
/// assert_eq!(model.encode(images.clone()).dims(), [2, 8]);
/// assert_eq!(model.forward(images).dims(), [2, 64]);
/// ```
#[derive(Module, Debug)]
pub struct DeepAutoencoder {
    encoder: [Linear; 2],
    decoder: [Linear; 2],
}

impl DeepAutoencoder {
    /// Codes (batch×code) of inputs (batch×inputs).
    pub fn encode(&self, inputs: Tensor<2>) -> Tensor<2> {
        self.encode_recorded(inputs, &mut Recorder::off())
    }

    /// Outputs (batch×inputs) with entries in (0, 1), decoded from codes.
    pub fn decode(&self, codes: Tensor<2>) -> Tensor<2> {
        self.decode_recorded(codes, &mut Recorder::off())
    }

    /// Reconstructions of inputs with entries in \[0, 1\], with the same shape.
    pub fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        self.recorded(inputs, &mut Recorder::off())
    }

    /// The same, with every layer called through `recorder`.
    pub fn recorded(&self, inputs: Tensor<2>, recorder: &mut Recorder) -> Tensor<2> {
        let codes = self.encode_recorded(inputs, recorder);
        self.decode_recorded(codes, recorder)
    }

    fn encode_recorded(&self, inputs: Tensor<2>, recorder: &mut Recorder) -> Tensor<2> {
        let [first, second] = &self.encoder;
        let hidden = recorder.linear(first, inputs).tanh();
        recorder.linear(second, hidden)
    }

    fn decode_recorded(&self, codes: Tensor<2>, recorder: &mut Recorder) -> Tensor<2> {
        let [first, second] = &self.decoder;
        let hidden = recorder.linear(first, codes).tanh();
        sigmoid(recorder.linear(second, hidden))
    }

    /// The squared error of the reconstruction, summed over the entries and averaged over the batch.
    pub fn loss(&self, inputs: Tensor<2>) -> Tensor<1> {
        let inputs = like_module(inputs, self);
        let [batch, _] = inputs.dims();
        (self.forward(inputs.clone()) - inputs).square().sum() / batch as f64
    }
}
