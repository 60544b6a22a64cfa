//! A network that uses one weight twice.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use fosi_burn::like_module;

/// Two fields that are clones of one parameter.
#[derive(Module, Debug)]
pub struct Tied {
    pub encoder: Param<Tensor<2>>,
    pub middle: Linear,
    pub decoder: Param<Tensor<2>>,
}

impl Tied {
    pub fn new(device: &Device) -> Self {
        let encoder = Param::from_tensor(super::matrix(4, 4, 20, device));
        Self {
            decoder: encoder.clone(),
            middle: super::linear(4, 4, 21, device),
            encoder,
        }
    }

    pub fn loss(&self, x: &Tensor<2>) -> Tensor<1> {
        let hidden = self.middle.forward(
            like_module(x.clone(), self)
                .matmul(self.encoder.val())
                .tanh(),
        );
        hidden.matmul(self.decoder.val()).square().mean()
    }
}
