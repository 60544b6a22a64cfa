//! A layer's weight and bias as one inputs×outputs matrix.

use burn::tensor::{Device, Tensor};
use fosi_burn::Slot;

use crate::error::RivalError;
use crate::numbers::{read, tensor};

/// The positions of a layer's weight and bias in a vector of length n, and the weight's order of dimensions. The bias
/// is the matrix's last row.
#[derive(Debug, Clone)]
pub(super) struct Arrangement {
    pub weight: Slot,
    pub bias: Option<Slot>,
    pub order: Order,
}

/// The order of a weight's dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Inputs×outputs.
    Linear,
    /// Outputs×inputs×height×width.
    Conv,
    /// Inputs×outputs×height×width.
    Transposed,
}

impl Arrangement {
    /// The number of rows, including that of the bias, and of columns.
    pub fn sizes(&self) -> [usize; 2] {
        let outputs = match self.order {
            Order::Conv => self.weight.shape[0],
            Order::Linear | Order::Transposed => self.weight.shape[1],
        };
        let inputs = self.weight.len() / outputs.max(1);
        [inputs + usize::from(self.bias.is_some()), outputs]
    }

    /// The layer's part of a vector of length n.
    pub fn to_matrix(&self, vector: &[f64], device: &Device) -> Tensor<2> {
        let part =
            |slot: &Slot| -> Vec<f32> { vector[slot.range()].iter().map(|x| *x as f32).collect() };
        let weight = self.weight_matrix(part(&self.weight), device);
        let Some(bias) = &self.bias else {
            return weight;
        };
        let row = tensor(part(bias), [1, bias.len()], device);
        Tensor::cat(vec![weight, row], 0)
    }

    /// Writes a matrix to the layer's part of a vector of length n.
    pub fn write(&self, matrix: Tensor<2>, vector: &mut [f64]) -> Result<(), RivalError> {
        let mut write = |slot: &Slot, values: Vec<f32>| {
            for (entry, value) in vector[slot.range()].iter_mut().zip(values) {
                *entry = f64::from(value);
            }
        };
        let rows = matrix.dims()[0] - usize::from(self.bias.is_some());
        if let Some(bias) = &self.bias {
            write(bias, read(&matrix.clone().slice_dim(0, rows..))?);
        }
        write(
            &self.weight,
            self.read_weight(matrix.slice_dim(0, 0..rows))?,
        );
        Ok(())
    }

    fn weight_matrix(&self, weight: Vec<f32>, device: &Device) -> Tensor<2> {
        let shape = &self.weight.shape;
        match (self.order, &shape[..]) {
            (Order::Conv, &[outputs, inputs, height, width]) => {
                tensor(weight, [outputs, inputs * height * width], device).transpose()
            }
            (Order::Transposed, &[inputs, outputs, height, width]) => {
                tensor(weight, [inputs, outputs, height, width], device)
                    .permute([0, 2, 3, 1])
                    .reshape([inputs * height * width, outputs])
            }
            _ => tensor(weight, [shape[0], shape[1]], device),
        }
    }

    fn read_weight(&self, matrix: Tensor<2>) -> Result<Vec<f32>, RivalError> {
        match (self.order, &self.weight.shape[..]) {
            (Order::Conv, _) => read(&matrix.transpose()),
            (Order::Transposed, &[inputs, outputs, height, width]) => {
                let kernels = matrix.reshape([inputs, height, width, outputs]);
                read(&kernels.permute([0, 3, 1, 2]))
            }
            _ => read(&matrix),
        }
    }
}
