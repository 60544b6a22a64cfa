//! Entries of tensors on the host, and sums over them that do not depend on the number of threads.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::error::RivalError;

/// The entries of a tensor, in row-major order.
pub(crate) fn read<const D: usize>(tensor: &Tensor<D>) -> Result<Vec<f32>, RivalError> {
    Ok(tensor.clone().try_into_vec_as::<f32>()?)
}

/// The same in f64.
pub(crate) fn read_doubles<const D: usize>(tensor: &Tensor<D>) -> Result<Vec<f64>, RivalError> {
    Ok(tensor.clone().try_into_vec_as::<f64>()?)
}

/// A tensor in f32 outside the autodiff graph.
pub(crate) fn tensor<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
}

/// xᵀy in f64, summed in a fixed order.
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    for (x, y) in x.chunks(LANES).zip(y.chunks(LANES)) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    sums.iter().sum()
}

/// ‖x‖.
pub(crate) fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

/// y ← y + ax.
pub(crate) fn axpy(a: f64, x: &[f64], y: &mut [f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

pub(crate) fn all_finite(x: &[f64]) -> bool {
    x.iter().all(|x| x.is_finite())
}
