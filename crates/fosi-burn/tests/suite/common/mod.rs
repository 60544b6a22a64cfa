//! A small network with all kinds of parameters that a flat view distinguishes, and data for it.

mod basics;
pub mod exact;
pub mod network;
mod tied;

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::{Device, Tensor};
use fosi_burn::like_module;

pub use basics::{INPUTS, OUTPUTS, bits, device, entries, every, linear, matrix};
pub use tied::Tied;

pub const HIDDEN: usize = 7;

/// n = 5·7+7 (input) + 7+7 (norm) + 7·3+3 (output) + 3·2+2 (unreached) = 88.
pub const TRAINABLE: usize = 88;

/// Batch norm (buffers), a frozen layer, and a layer that the loss does not reach.
#[derive(Module, Debug)]
pub struct Network {
    pub input: Linear,
    pub norm: BatchNorm,
    pub frozen: Linear,
    pub output: Linear,
    pub unreached: Linear,
}

impl Network {
    pub fn new(device: &Device) -> Self {
        Self {
            input: linear(INPUTS, HIDDEN, 1, device),
            norm: BatchNormConfig::new(HIDDEN).init(device),
            frozen: linear(HIDDEN, HIDDEN, 2, device).freeze(),
            output: linear(HIDDEN, OUTPUTS, 3, device),
            unreached: linear(OUTPUTS, 2, 4, device),
        }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let hidden = self.norm.forward(self.input.forward(x)).tanh();
        self.output.forward(self.frozen.forward(hidden).tanh())
    }

    /// Mean squared error in the module's own float type.
    pub fn loss(&self, batch: &Batch) -> Tensor<1> {
        let y = like_module(batch.y.clone(), self);
        (self.forward(like_module(batch.x.clone(), self)) - y)
            .square()
            .mean()
    }

    /// Running mean and variance, all queued updates applied.
    pub fn running_statistics(&self) -> (Vec<f32>, Vec<f32>) {
        let read = |tensor: Tensor<1>| tensor.into_data().try_to_vec::<f32>().unwrap();
        (
            read(self.norm.running_mean.value_sync()),
            read(self.norm.running_var.value_sync()),
        )
    }
}

pub struct Batch {
    pub x: Tensor<2>,
    pub y: Tensor<2>,
}

impl Batch {
    pub fn new(rows: usize, device: &Device) -> Self {
        Self {
            x: matrix(rows, INPUTS, 10, device),
            y: matrix(rows, OUTPUTS, 11, device),
        }
    }
}

/// The device of the vectors: the CPU, or a GPU if the tests are built for one.
pub fn accelerator() -> Device {
    #[cfg(feature = "wgpu")]
    let device = Device::wgpu(Default::default());
    #[cfg(not(feature = "wgpu"))]
    let device = Device::flex();
    device.autodiff()
}

/// All threads share Burn's CPU generator: a test that seeds it or draws from it must hold this lock.
pub fn generator() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
