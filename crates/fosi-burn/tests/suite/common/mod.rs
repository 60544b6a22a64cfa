//! A small network with all kinds of parameters that a flat view distinguishes, and data for it.

pub mod exact;
pub mod network;
mod tied;

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::{Device, Tensor, TensorData};
use fosi::{Averaging, FosiConfig, Schedule};
use fosi_burn::{FlatLayout, like_module};

pub use tied::Tied;

pub const INPUTS: usize = 5;
pub const HIDDEN: usize = 7;
pub const OUTPUTS: usize = 3;

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

pub fn device() -> Device {
    Device::flex().autodiff()
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

/// Entries in [-1, 1), determined by the salt; Burn's own generator is shared by all tests of a process.
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

pub fn matrix(rows: usize, columns: usize, salt: u64, device: &Device) -> Tensor<2> {
    let data = TensorData::new(entries(rows * columns, salt), [rows, columns]);
    Tensor::from_data(data, device)
}

pub fn linear(inputs: usize, outputs: usize, salt: u64, device: &Device) -> Linear {
    let bias = TensorData::new(entries(outputs, salt + 100), [outputs]);
    Linear {
        weight: Param::from_tensor(matrix(inputs, outputs, salt, device)),
        bias: Some(Param::from_tensor(Tensor::from_data(bias, device))),
    }
}

/// Three eigenpairs, refreshed at step `warmup` and every `interval` steps after it, with all m Lanczos steps and
/// without averaging.
pub fn every(warmup: u64, interval: u64) -> FosiConfig {
    FosiConfig {
        largest: 3,
        lanczos_tolerance: None,
        averaging: Averaging::Off,
        schedule: Schedule::Every { warmup, interval },
        ..FosiConfig::default()
    }
}

/// The bits of every trainable parameter.
pub fn bits(module: &impl Module) -> Vec<u32> {
    let values: Vec<f32> = FlatLayout::of(module).unwrap().parameters(module).unwrap();
    values.into_iter().map(f32::to_bits).collect()
}
