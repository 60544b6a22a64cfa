//! Recording of the inputs of a network's layers and the gradients of their outputs.

use burn::module::{Param, ParamId};
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::nn::{BatchNorm, Linear};
use burn::tensor::{Gradients, Tensor};

/// Records the layers of a forward pass.
///
/// Burn has no hooks, so a network's forward pass calls its layers through a recorder:
/// `recorder.linear(&self.first, x)` instead of `self.first.forward(x)`. With the recorder [off](Self::off), both are
/// the same. With the recorder on, it keeps the layer's input and adds to the output a tensor of zeros that requires a
/// gradient; the gradient of these zeros is that of the output.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor, Tolerance};
/// use fosi_rivals::Recorder;
///
/// let device = Device::flex().autodiff();
/// let layer = LinearConfig::new(3, 2).init(&device);
/// let x = Tensor::<2>::ones([4, 3], &device);
///
/// let plain = layer.forward(x.clone());
/// let recorded = Recorder::on().linear(&layer, x.clone());
/// recorded.into_data().assert_eq(&plain.into_data(), true);
/// assert!(Recorder::off().linear(&layer, x).is_tracked());
/// ```
#[derive(Debug, Default)]
pub struct Recorder {
    layers: Option<Vec<Recorded>>,
}

/// A call of a layer.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub weight: ParamId,
    pub bias: Option<ParamId>,
    pub call: Call,
}

/// The input (outside the autodiff graph) and the zeros at the output, by kind of layer.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// Input and output, positions×entries, with the positions of all sequences of the batch.
    Linear { input: Tensor<2>, zeros: Tensor<2> },
    /// Batch×channels×height×width.
    Conv {
        input: Tensor<4>,
        zeros: Tensor<4>,
        window: Window,
    },
    /// The normalised input and the output, batch×channels×positions.
    Norm { input: Tensor<3>, zeros: Tensor<3> },
}

/// The geometry of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Rows of padding above, columns to the left.
    pub padding: [usize; 2],
    pub groups: usize,
    pub transposed: bool,
}

impl Recorder {
    /// A recorder that keeps nothing and only calls the layers.
    pub fn off() -> Self {
        Self { layers: None }
    }

    /// A recorder that keeps inputs and output gradients.
    pub fn on() -> Self {
        Self {
            layers: Some(Vec::new()),
        }
    }

    /// Calls a dense layer on inputs of shape …×entries.
    pub fn linear<const D: usize>(&mut self, layer: &Linear, x: Tensor<D>) -> Tensor<D> {
        let Some(layers) = &mut self.layers else {
            return layer.forward(x);
        };
        let input = x.clone().without_autodiff();
        let output = layer.forward(x);
        let [inputs, outputs] = layer.weight.dims();
        let rows = input.shape().num_elements() / inputs;
        let zeros = Tensor::zeros([rows, outputs], (&output.device(), output.dtype()));
        let zeros = zeros.require_grad();
        let shape = output.shape();
        layers.push(Recorded {
            weight: layer.weight.id,
            bias: id(&layer.bias),
            call: Call::Linear {
                input: input.reshape([rows, inputs]),
                zeros: zeros.clone(),
            },
        });
        output + zeros.reshape(shape)
    }

    /// Calls a convolution, grouped ones included, on images batch×channels×height×width.
    pub fn conv2d(&mut self, layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
        if self.layers.is_none() {
            return layer.forward(x);
        }
        let [_, _, height, width] = x.dims();
        let input = x.clone().without_autodiff();
        let output = layer.forward(x);
        let window = Window {
            kernel: layer.kernel_size,
            stride: layer.stride,
            dilation: layer.dilation,
            padding: padding_of(layer, height, width),
            groups: layer.groups,
            transposed: false,
        };
        self.keep_conv((layer.weight.id, id(&layer.bias)), input, output, window)
    }

    /// Calls a transposed convolution on images batch×channels×height×width.
    pub fn conv_transpose2d(&mut self, layer: &ConvTranspose2d, x: Tensor<4>) -> Tensor<4> {
        if self.layers.is_none() {
            return layer.forward(x);
        }
        let input = x.clone().without_autodiff();
        let output = layer.forward(x);
        let window = Window {
            kernel: layer.kernel_size,
            stride: layer.stride,
            dilation: layer.dilation,
            padding: layer.padding,
            groups: layer.groups,
            transposed: true,
        };
        self.keep_conv((layer.weight.id, id(&layer.bias)), input, output, window)
    }

    fn keep_conv(
        &mut self,
        (weight, bias): (ParamId, Option<ParamId>),
        input: Tensor<4>,
        output: Tensor<4>,
        window: Window,
    ) -> Tensor<4> {
        let zeros = zeros_like(&output);
        let call = Call::Conv {
            input,
            zeros: zeros.clone(),
            window,
        };
        let recorded = Recorded { weight, bias, call };
        self.layers.get_or_insert_default().push(recorded);
        output + zeros
    }

    /// Calls batch norm on inputs of shape batch×channels×….
    pub fn batch_norm<const D: usize>(&mut self, layer: &BatchNorm, x: Tensor<D>) -> Tensor<D> {
        let Some(layers) = &mut self.layers else {
            return layer.forward(x);
        };
        // The same condition as in the layer itself.
        let by_batch = x.device().is_autodiff() && layer.training.is_enabled();
        let [batch, channels] = [x.dims()[0], x.dims()[1]];
        let positions = x.shape().num_elements() / (batch * channels).max(1);
        let input = x.clone().without_autodiff();
        let input = input.reshape([batch, channels, positions]);
        let input = normalized(layer, input, by_batch);
        let output = layer.forward(x);
        let shape = output.shape();
        let zeros = Tensor::zeros(
            [batch, channels, positions],
            (&output.device(), output.dtype()),
        );
        let zeros = zeros.require_grad();
        layers.push(Recorded {
            weight: layer.gamma.id,
            bias: Some(layer.beta.id),
            call: Call::Norm {
                input,
                zeros: zeros.clone(),
            },
        });
        output + zeros.reshape(shape)
    }

    /// The layers in the order of their calls.
    pub(crate) fn into_layers(self) -> Vec<Recorded> {
        self.layers.unwrap_or_default()
    }
}

impl Recorded {
    /// Whether the call fits `batch` examples: `batch` images or, for dense layers, a multiple of `batch` rows.
    pub fn is_of(&self, batch: usize) -> bool {
        match &self.call {
            Call::Linear { input, .. } => {
                let rows = input.dims()[0];
                rows >= batch && rows.is_multiple_of(batch)
            }
            Call::Conv { input, .. } => input.dims()[0] == batch,
            Call::Norm { input, .. } => input.dims()[0] == batch,
        }
    }
}

/// The gradient of a layer's output; zeros if the loss does not depend on it.
pub(crate) fn output_gradient<const D: usize>(
    zeros: &Tensor<D>,
    gradients: &Gradients,
) -> Tensor<D> {
    let none = || zeros.clone().without_autodiff();
    zeros.grad(gradients).unwrap_or_else(none)
}

fn id<const D: usize>(bias: &Option<Param<Tensor<D>>>) -> Option<ParamId> {
    bias.as_ref().map(|bias| bias.id)
}

fn zeros_like<const D: usize>(output: &Tensor<D>) -> Tensor<D> {
    Tensor::zeros(output.shape(), (&output.device(), output.dtype())).require_grad()
}

/// Rows above and columns to the left that a convolution adds to its input.
fn padding_of(layer: &Conv2d, height: usize, width: usize) -> [usize; 2] {
    use burn::nn::PaddingConfig2d::{Explicit, Same, Valid};
    let same = |axis: usize, size: usize| {
        let (kernel, stride) = (layer.kernel_size[axis], layer.stride[axis]);
        let read = (size.div_ceil(stride) - 1) * stride + kernel;
        read.saturating_sub(size) / 2
    };
    match layer.padding {
        Valid => [0, 0],
        Same => [same(0, height), same(1, width)],
        Explicit(top, left, _, _) => [top, left],
    }
}

/// (x − μ)/√(σ² + ε) per channel, with the mean and (biased) variance of the batch or the running ones.
fn normalized(layer: &BatchNorm, x: Tensor<3>, by_batch: bool) -> Tensor<3> {
    let [batch, channels, positions] = x.dims();
    let (mean, variance) = match by_batch {
        true => {
            let count = (batch * positions) as f64;
            let mean = x.clone().sum_dim(0).sum_dim(2) / count;
            let deviation = x.clone() - mean.clone();
            (mean, deviation.square().sum_dim(0).sum_dim(2) / count)
        }
        false => {
            let read = |tensor: Tensor<1>| tensor.without_autodiff().reshape([1, channels, 1]);
            (
                read(layer.running_mean.value()),
                read(layer.running_var.value()),
            )
        }
    };
    (x - mean) / (variance + layer.epsilon).sqrt()
}
