//! The quadratic model of the loss in the plane of a step's two directions.

use burn::module::Module;

use super::curvature::{Curvature, predict};
use super::outputs::inner_product;
use super::quadratic_model::QuadraticModel;
use crate::copies::Copies;
use crate::error::RivalError;
use crate::loss::Loss;
use crate::numbers::{axpy, dot, norm, read_doubles};
use crate::prediction::Prediction;
use crate::recorder::Recorder;

/// A step's two directions and the gradient.
pub(super) struct Plane<'a> {
    pub directions: [&'a [f64]; 2],
    pub gradient: &'a [f64],
}

impl Plane<'_> {
    /// The quadratic model, given the curvature's inner products of the directions.
    fn model(&self, curvature: [[f64; 2]; 2]) -> QuadraticModel {
        let [u, v] = self.directions;
        let uv = dot(u, v);
        QuadraticModel {
            curvature,
            identity: [[dot(u, u), uv], [uv, dot(v, v)]],
            gradient: [dot(u, self.gradient), dot(v, self.gradient)],
        }
    }

    /// The model with the F of the blocks.
    pub fn approximate(&self, curvature: &Curvature) -> Result<QuadraticModel, RivalError> {
        let [u, v] = self.directions;
        let (fu, fv) = (curvature.multiply(u)?, curvature.multiply(v)?);
        let uv = dot(u, &fv);
        Ok(self.model([[dot(u, &fu), uv], [uv, dot(v, &fv)]]))
    }

    /// The model with the exact Fisher matrix F* of the batch: uᵀF*v is the mean over the examples of (Ju)ᵀF_z(Jv).
    /// Counts the products Jv.
    pub fn exact<M: Module>(
        &self,
        model: &M,
        loss: &dyn Loss<M>,
        products: &mut u64,
    ) -> Result<QuadraticModel, RivalError> {
        let jacobian = Jacobian::at(model, loss)?;
        let [u, v] = self.directions;
        let mut along = |direction: &[f64]| {
            *products += u64::from(norm(direction) > 0.0);
            jacobian.times(direction, loss)
        };
        let (ju, jv) = (along(u)?, along(v)?);
        let inner = |a: &[f64], b: &[f64]| jacobian.inner_product(a, b);
        let uv = inner(&ju, &jv);
        Ok(self.model([[inner(&ju, &ju), uv], [uv, inner(&jv, &jv)]]))
    }
}

/// The Jacobian of the outputs with respect to the parameters, from differences of forward passes.
struct Jacobian<M> {
    copies: Copies<M>,
    parameters: Vec<f64>,
    prediction: Prediction,
    outputs: Vec<f64>,
}

impl<M: Module> Jacobian<M> {
    fn at(model: &M, loss: &dyn Loss<M>) -> Result<Self, RivalError> {
        let copies = Copies::precise(model)?;
        let parameters = copies.parameters()?;
        let prediction = predict(&copies.at(&parameters)?, loss, &mut Recorder::off())?;
        Ok(Self {
            outputs: read_doubles(&prediction.outputs)?,
            copies,
            parameters,
            prediction,
        })
    }

    /// Jv ≈ (z(θ + εv) − z(θ))/ε, with a step that balances rounding and truncation errors.
    fn times(&self, v: &[f64], loss: &dyn Loss<M>) -> Result<Vec<f64>, RivalError> {
        let length = norm(v);
        if length == 0.0 {
            return Ok(vec![0.0; self.outputs.len()]);
        }
        let relative = if self.copies.is_double() { 1e-8 } else { 3e-4 };
        let step = relative * norm(&self.parameters).max(1.0) / length;
        let mut point = self.parameters.clone();
        axpy(step, v, &mut point);
        let moved = predict(&self.copies.at(&point)?, loss, &mut Recorder::off())?;
        let moved = read_doubles(&moved.outputs)?;
        let change = moved.iter().zip(&self.outputs);
        Ok(change.map(|(moved, at)| (moved - at) / step).collect())
    }

    fn inner_product(&self, u: &[f64], v: &[f64]) -> f64 {
        inner_product(&self.prediction, &self.outputs, u, v)
    }
}
