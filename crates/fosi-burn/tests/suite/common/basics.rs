//! Tensors, layers and settings that are the same in every process.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use fosi::{Averaging, FosiConfig, Schedule};
use fosi_burn::FlatLayout;

pub const INPUTS: usize = 5;
pub const OUTPUTS: usize = 3;

pub fn device() -> Device {
    Device::flex().autodiff()
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
