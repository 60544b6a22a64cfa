//! The input patches that each output of a convolution reads.

use burn::tensor::{Tensor, s};

use crate::recorder::Window;

/// The positions that a kernel's taps read along one axis: tap k of output o reads entry `first[k] + o·stride` of the
/// input with `before` zeros prepended (or, if negative, entries removed).
struct Axis {
    before: isize,
    first: Vec<usize>,
    stride: usize,
    outputs: usize,
}

impl Axis {
    fn of(window: &Window, axis: usize, outputs: usize) -> Self {
        let (kernel, stride) = (window.kernel[axis], window.stride[axis]);
        let (dilation, padding) = (window.dilation[axis], window.padding[axis]);
        let forward = |tap: usize| tap * dilation;
        match window.transposed {
            false => Self {
                before: padding as isize,
                first: (0..kernel).map(forward).collect(),
                stride,
                outputs,
            },
            // A convolution, with the flipped kernel, of the input with `stride − 1` zeros between its entries.
            true => Self {
                before: (dilation * (kernel - 1)) as isize - padding as isize,
                first: (0..kernel).rev().map(forward).collect(),
                stride: 1,
                outputs,
            },
        }
    }

    /// The number of entries from the first to the last one read.
    fn len(&self) -> usize {
        let last = self.first.iter().max().copied().unwrap_or(0);
        last + (self.outputs - 1) * self.stride + 1
    }
}

/// For each output position of each image, the entries that the kernel reads: (batch·positions)×(channels·kernel
/// height·kernel width), with positions row by row, for an `input` of batch×channels×height×width and an output of
/// height and width `outputs`.
pub(crate) fn patches(input: Tensor<4>, window: &Window, outputs: [usize; 2]) -> Tensor<2> {
    let input = match window.transposed {
        true => spread(input, window.stride),
        false => input,
    };
    let (rows, columns) = (
        Axis::of(window, 0, outputs[0]),
        Axis::of(window, 1, outputs[1]),
    );
    let input = fit(fit(input, 2, &rows), 3, &columns);
    let mut taps = Vec::with_capacity(rows.first.len() * columns.first.len());
    for &top in &rows.first {
        for &left in &columns.first {
            let bottom = top + (rows.outputs - 1) * rows.stride + 1;
            let right = left + (columns.outputs - 1) * columns.stride + 1;
            taps.push(input.clone().slice(
                s![.., .., top..bottom;rows.stride as isize, left..right;columns.stride as isize],
            ));
        }
    }
    let taps: Tensor<5> = Tensor::stack(taps, 2);
    let [batch, channels, kernel, height, width] = taps.dims();
    taps.permute([0, 3, 4, 1, 2])
        .reshape([batch * height * width, channels * kernel])
}

/// Inserts zeros between the entries and after the last one.
fn spread(x: Tensor<4>, stride: [usize; 2]) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let x = x.reshape([batch, channels, height, 1, width, 1]);
    let x = zeros_after::<6>(zeros_after(x, 3, stride[0] - 1), 5, stride[1] - 1);
    x.reshape([batch, channels, height * stride[0], width * stride[1]])
}

/// The part of an image that an axis reads along `dim`, with zeros outside the image.
fn fit(x: Tensor<4>, dim: usize, axis: &Axis) -> Tensor<4> {
    let before = axis.before.max(0) as usize;
    let cut = (-axis.before).max(0) as usize;
    let x = x.slice_dim(dim, cut..);
    let x = zeros_before(x, dim, before);
    let missing = axis.len().saturating_sub(x.dims()[dim]);
    zeros_after(x, dim, missing).slice_dim(dim, 0..axis.len())
}

fn zeros_after<const D: usize>(x: Tensor<D>, dim: usize, count: usize) -> Tensor<D> {
    match zeros(&x, dim, count) {
        Some(zeros) => Tensor::cat(vec![x, zeros], dim),
        None => x,
    }
}

fn zeros_before<const D: usize>(x: Tensor<D>, dim: usize, count: usize) -> Tensor<D> {
    match zeros(&x, dim, count) {
        Some(zeros) => Tensor::cat(vec![zeros, x], dim),
        None => x,
    }
}

fn zeros<const D: usize>(x: &Tensor<D>, dim: usize, count: usize) -> Option<Tensor<D>> {
    let mut shape = x.dims();
    shape[dim] = count;
    (count > 0).then(|| Tensor::zeros(shape, (&x.device(), x.dtype())))
}
