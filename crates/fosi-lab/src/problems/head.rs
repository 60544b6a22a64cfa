//! Losses of networks: one term per batch of points, and a ridge.

use super::Function;
use super::dual::{Dual, Scalar};
use super::network::{Batch, Network, Parameters};
use super::pass::Pass;
use super::planes::Planes;

/// The loss as a function of a network's outputs on a batch.
pub(super) trait Head: Send {
    /// The loss; writes its derivatives with respect to the outputs to `bar`, and their tangents if the outputs have
    /// tangents.
    fn loss(&mut self, batch: &Batch, outputs: &Planes, bar: &mut Planes) -> f64;
}

/// Σ of the terms' losses, plus ½·ridge·‖x‖².
pub(super) struct NetworkLoss {
    terms: Vec<(Pass, Box<dyn Head>)>,
    ridge: f64,
}

impl NetworkLoss {
    pub fn new(network: &Network, terms: Vec<(Batch, Box<dyn Head>)>, ridge: f64) -> Self {
        let with_pass = |(batch, head)| (Pass::new(network.clone(), batch), head);
        let terms = terms.into_iter().map(with_pass).collect();
        Self { terms, ridge }
    }

    /// The loss; adds its gradient, or the gradient's tangent, to `out`.
    fn differentiate<S: Scalar>(&mut self, parameters: Parameters<'_>, out: &mut [f64]) -> f64 {
        let mut loss = 0.0;
        for (pass, head) in &mut self.terms {
            let (batch, outputs, bar) = pass.forward::<S>(parameters);
            loss += head.loss(batch, outputs, bar);
            pass.backward::<S>(parameters, out);
        }
        loss
    }
}

impl Function for NetworkLoss {
    fn gradient(&mut self, x: &[f64], gradient: &mut [f64]) -> f64 {
        for (g, x) in gradient.iter_mut().zip(x) {
            *g = self.ridge * x;
        }
        let parameters = Parameters {
            value: x,
            tangent: &[],
        };
        let loss = self.differentiate::<f64>(parameters, gradient);
        loss + 0.5 * self.ridge * x.iter().map(|x| x * x).sum::<f64>()
    }

    fn product(&mut self, x: &[f64], v: &[f64], out: &mut [f64]) {
        for (out, v) in out.iter_mut().zip(v) {
            *out = self.ridge * v;
        }
        let parameters = Parameters {
            value: x,
            tangent: v,
        };
        self.differentiate::<Dual>(parameters, out);
    }
}
