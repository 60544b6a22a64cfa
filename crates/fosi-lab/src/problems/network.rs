//! Fully connected tanh networks on a full batch. Values and derivatives with respect to the inputs are propagated
//! forward through the layers (Taylor mode); a reverse sweep over this computes the gradient, and the same code on dual
//! numbers computes Hessian-vector products.

use std::ops::Range;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::dual::Scalar;
use super::planes::{Planes, View, matrix};

/// The points of a batch, and the derivatives with respect to the inputs that are computed at each point.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// The coordinates of all points, one list per input.
    pub points: Vec<Vec<f64>>,
    /// For each input, the highest derivative with respect to it, at most 2.
    pub orders: Vec<usize>,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.points[0].len()
    }

    /// The coordinates of a point.
    pub fn point(&self, index: usize) -> Vec<f64> {
        self.points.iter().map(|axis| axis[index]).collect()
    }

    /// The number of values per point: the output, then its derivatives with respect to each input.
    pub fn channels(&self) -> usize {
        1 + self.orders.iter().sum::<usize>()
    }

    /// For each input with derivatives, the channel of the first derivative and the highest order.
    pub fn derivatives(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut channel = 1;
        let place = move |&order: &usize| {
            channel += order;
            (channel - order, order)
        };
        self.orders
            .iter()
            .map(place)
            .filter(|(_, order)| *order > 0)
    }

    /// The input of the first layer, channel by channel: coordinates, unit vectors, zeros.
    pub fn jets<S: Scalar>(&self) -> Planes {
        let (points, rows) = (self.len(), self.len() * self.channels());
        let mut jets = Planes::default();
        jets.resize::<S>(rows, self.points.len());
        let mut channel = 1;
        for (axis, coordinates) in self.points.iter().enumerate() {
            let column = &mut jets.value[axis * rows..][..rows];
            column[..points].copy_from_slice(coordinates);
            if self.orders[axis] > 0 {
                column[channel * points..][..points].fill(1.0);
            }
            channel += self.orders[axis];
        }
        jets
    }
}

/// Layers with `widths`, and tanh between them but not after the last. The parameters are stored layer by layer: the
/// weights (inputs×outputs, column by column), then the biases.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub widths: Vec<usize>,
}

impl Network {
    pub fn new(widths: &[usize]) -> Self {
        let widths = widths.to_vec();
        Self { widths }
    }

    /// The number of parameters.
    pub fn len(&self) -> usize {
        self.widths.windows(2).map(|w| (w[0] + 1) * w[1]).sum()
    }

    /// Normal weights with variance 2/(inputs + outputs) (Glorot and Bengio 2010), zero biases.
    pub fn start(&self, seed: u64) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut start = Vec::with_capacity(self.len());
        for w in self.widths.windows(2) {
            let deviation = (2.0 / (w[0] + w[1]) as f64).sqrt();
            let mut draw = || -> f64 { StandardNormal.sample(&mut random) };
            start.extend((0..w[0] * w[1]).map(|_| deviation * draw()));
            start.resize(start.len() + w[1], 0.0);
        }
        start
    }

    /// The ranges of each layer's weights and biases.
    pub fn layers(&self) -> Vec<(Range<usize>, Range<usize>)> {
        let mut end = 0;
        let layer = |w: &[usize]| {
            let weights = end..end + w[0] * w[1];
            end = weights.end + w[1];
            (weights.clone(), weights.end..end)
        };
        self.widths.windows(2).map(layer).collect()
    }
}

/// The parameters and, for a product, its direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameters<'a> {
    pub value: &'a [f64],
    pub tangent: &'a [f64],
}

impl<'a> Parameters<'a> {
    pub fn weights(&self, range: Range<usize>, inputs: usize) -> View<'a> {
        let tangent = self.tangent.get(range.clone()).unwrap_or_default();
        View {
            value: matrix(&self.value[range], inputs),
            tangent: matrix(tangent, inputs),
        }
    }
}
