//! A forward and backward pass of a network over one batch.

use super::dual::Scalar;
use super::network::{Batch, Network, Parameters};
use super::planes::{Planes, product_tangent, product_value};
use super::tanh::tanh;

/// The memory of a pass.
///
/// At each point, the channels of a jet are the value u and, for each input with derivatives, u′ and u″.
#[derive(Debug)]
pub(super) struct Pass {
    network: Network,
    batch: Batch,
    /// The input of each layer: the batch, then the activations.
    inputs: Vec<Planes>,
    /// The output of each layer, before tanh.
    outputs: Vec<Planes>,
    /// The loss's derivatives with respect to a layer's output and its input.
    output_bar: Planes,
    input_bar: Planes,
    /// The loss's derivatives with respect to a layer's weights.
    weights_bar: Vec<f64>,
}

impl Pass {
    pub fn new(network: Network, batch: Batch) -> Self {
        let layers = network.widths.len() - 1;
        Self {
            inputs: (0..layers).map(|_| Planes::default()).collect(),
            outputs: (0..layers).map(|_| Planes::default()).collect(),
            output_bar: Planes::default(),
            input_bar: Planes::default(),
            weights_bar: Vec::new(),
            network,
            batch,
        }
    }

    /// The batch, and the jets of the network's outputs: output by output, channel by channel, point by point. The
    /// third result is to be overwritten with the loss's derivatives with respect to the jets before
    /// [`backward`](Self::backward).
    pub fn forward<S: Scalar>(
        &mut self,
        parameters: Parameters<'_>,
    ) -> (&Batch, &Planes, &mut Planes) {
        let points = self.batch.len();
        let rows = points * self.batch.channels();
        if self.inputs[0].value.is_empty() || (S::DUAL && self.inputs[0].tangent.is_empty()) {
            self.inputs[0] = self.batch.jets::<S>();
        }
        let widths = self.network.widths.windows(2);
        for (l, ((weights, biases), w)) in self.network.layers().into_iter().zip(widths).enumerate()
        {
            let output = &mut self.outputs[l];
            output.resize::<S>(rows, w[1]);
            let (input, weights) = (self.inputs[l].view(), parameters.weights(weights, w[0]));
            product_value(&mut output.value, input, weights);
            if S::DUAL {
                product_tangent(&mut output.tangent, input, weights);
            }
            for (column, bias) in biases.enumerate() {
                // A bias changes only the values, not the derivatives with respect to the inputs.
                for index in column * rows..column * rows + points {
                    output.value[index] += parameters.value[bias];
                    if S::DUAL {
                        output.tangent[index] += parameters.tangent[bias];
                    }
                }
            }
            if let Some(next) = self.inputs.get_mut(l + 1) {
                next.resize::<S>(rows, w[1]);
                activate::<S>(output, next, &self.batch);
            }
        }
        let output = &self.outputs[self.outputs.len() - 1];
        self.output_bar.resize::<S>(rows, output.value.len() / rows);
        (&self.batch, output, &mut self.output_bar)
    }

    /// Adds the loss's gradient or, for dual numbers, the gradient's tangent to `out`.
    pub fn backward<S: Scalar>(&mut self, parameters: Parameters<'_>, out: &mut [f64]) {
        let points = self.batch.len();
        let rows = points * self.batch.channels();
        for (l, (weights, biases)) in self.network.layers().into_iter().enumerate().rev() {
            let (input, bar) = (&self.inputs[l], &self.output_bar);
            self.weights_bar.resize(weights.len(), 0.0);
            if S::DUAL {
                product_tangent(&mut self.weights_bar, input.view().transpose(), bar.view());
            } else {
                product_value(&mut self.weights_bar, input.view().transpose(), bar.view());
            }
            for (out, bar) in out[weights.clone()].iter_mut().zip(&self.weights_bar) {
                *out += bar;
            }
            let bars = if S::DUAL { &bar.tangent } else { &bar.value };
            for (out, column) in out[biases].iter_mut().zip(bars.chunks(rows)) {
                *out += column[..points].iter().sum::<f64>();
            }
            if l == 0 {
                break;
            }
            let width = self.network.widths[l];
            let weights = parameters.weights(weights, width).transpose();
            self.input_bar.resize::<S>(rows, width);
            product_value(&mut self.input_bar.value, bar.view(), weights);
            if S::DUAL {
                product_tangent(&mut self.input_bar.tangent, bar.view(), weights);
            }
            self.output_bar.resize::<S>(rows, width);
            let (before, after) = (&self.outputs[l - 1], &self.inputs[l]);
            deactivate::<S>(
                before,
                after,
                &self.input_bar,
                &mut self.output_bar,
                &self.batch,
            );
        }
    }
}

/// tanh and its first three derivatives, given t = tanh z.
fn slopes<S: Scalar>(t: S) -> [S; 3] {
    let slope = S::new(1.0, 0.0) - t * t;
    let second = t * slope * -2.0;
    let third = slope * (S::new(1.0, 0.0) - t * t * 3.0) * -2.0;
    [slope, second, third]
}

/// a = tanh z and its derivatives: a′ = tanh′(z)·z′, a″ = tanh″(z)·z′² + tanh′(z)·z″.
fn activate<S: Scalar>(z: &Planes, a: &mut Planes, batch: &Batch) {
    let points = batch.len();
    for start in (0..z.value.len()).step_by(z.rows) {
        let z = z.lane(start, z.rows);
        let (mut t, mut derivatives) = a.lane_mut(start, a.rows).split_at(points);
        tanh(&z.value[..points], t.value);
        if S::DUAL {
            for p in 0..points {
                let value = t.value[p];
                t.set(p, z.get::<S>(p).chain(value, 1.0 - value * value));
            }
        }
        for (channel, order) in batch.derivatives() {
            let z1 = z.part(channel * points, points);
            let mut a1 = derivatives.part((channel - 1) * points, points);
            for p in 0..points {
                let [slope, ..] = slopes::<S>(t.get(p));
                a1.set(p, slope * z1.get::<S>(p));
            }
            if order > 1 {
                let z2 = z.part((channel + 1) * points, points);
                let mut a2 = derivatives.part(channel * points, points);
                for p in 0..points {
                    let ([slope, second, _], z1) = (slopes::<S>(t.get(p)), z1.get::<S>(p));
                    a2.set(p, second * z1 * z1 + slope * z2.get::<S>(p));
                }
            }
        }
    }
}

/// The derivatives with respect to z, computed from those with respect to a; the reverse of [`activate`].
fn deactivate<S: Scalar>(
    z: &Planes,
    a: &Planes,
    a_bar: &Planes,
    z_bar: &mut Planes,
    batch: &Batch,
) {
    let points = batch.len();
    for start in (0..z.value.len()).step_by(z.rows) {
        let (z, t) = (z.lane(start, z.rows), a.lane(start, points));
        let bar = a_bar.lane(start, z.value.len());
        let (mut value, mut derivatives) = z_bar.lane_mut(start, z.value.len()).split_at(points);
        let bar0 = bar.part(0, points);
        for p in 0..points {
            let [slope, ..] = slopes::<S>(t.get(p));
            value.set(p, slope * bar0.get::<S>(p));
        }
        for (channel, order) in batch.derivatives() {
            let at = channel * points;
            let (z1, bar1) = (z.part(at, points), bar.part(at, points));
            let mut first = derivatives.part(at - points, points);
            for p in 0..points {
                let ([slope, second, _], bar1) = (slopes::<S>(t.get(p)), bar1.get::<S>(p));
                value.set(p, value.get::<S>(p) + second * z1.get::<S>(p) * bar1);
                first.set(p, slope * bar1);
            }
            if order > 1 {
                let (z2, bar2) = (z.part(at + points, points), bar.part(at + points, points));
                for p in 0..points {
                    let ([_, second, third], z1) = (slopes::<S>(t.get(p)), z1.get::<S>(p));
                    let bar2 = bar2.get::<S>(p);
                    let by_value = third * z1 * z1 + second * z2.get::<S>(p);
                    value.set(p, value.get::<S>(p) + by_value * bar2);
                    first.set(p, first.get::<S>(p) + second * z1 * bar2 * 2.0);
                }
                let mut second = derivatives.part(at, points);
                for p in 0..points {
                    let [slope, ..] = slopes::<S>(t.get(p));
                    second.set(p, slope * bar2.get::<S>(p));
                }
            }
        }
    }
}
