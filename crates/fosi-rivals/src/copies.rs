//! Evaluations of a module at other parameters.

use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};
use fosi_burn::{BridgeError, FlatLayout, Precision, Replica, backward, float_dtype};

use crate::error::RivalError;
use crate::loss::Loss;

/// The loss and its gradient (length n) at the module itself, which updates batch norm's running statistics.
pub(crate) fn gradient<M: Module>(
    layout: &FlatLayout,
    model: &M,
    loss: &dyn Loss<M>,
) -> Result<(f64, Vec<f64>), RivalError> {
    layout.check(model)?;
    let (value, gradients) = backward(model, |model| loss.loss(model))?;
    Ok((value, layout.gradient(model, gradients)?))
}

/// Evaluations on copies of a module, which leave the module unchanged.
#[derive(Debug)]
pub(crate) struct Copies<M> {
    replica: Replica<M>,
}

impl<M: Module> Copies<M> {
    /// Copies in the module's own precision.
    pub fn of(model: &M) -> Result<Self, BridgeError> {
        let precision = match float_dtype(model) {
            Some(FloatDType::F64) => Precision::F64,
            _ => Precision::F32,
        };
        Self::new(model, precision)
    }

    /// Copies in f64 if the module's devices compute in f64, for differences.
    pub fn precise(model: &M) -> Result<Self, BridgeError> {
        let double = |device| Precision::F64.supported_by(device);
        match model.devices().iter().all(double) {
            true => Self::new(model, Precision::F64),
            false => Self::new(model, Precision::F32),
        }
    }

    fn new(model: &M, precision: Precision) -> Result<Self, BridgeError> {
        let replica = Replica::new(model, precision)?;
        Ok(Self { replica })
    }

    /// Whether the copies are in f64.
    pub fn is_double(&self) -> bool {
        self.replica.precision() == Precision::F64
    }

    /// The unit roundoff of the copies' precision.
    pub fn roundoff(&self) -> f64 {
        self.replica.precision().roundoff()
    }

    /// The module's parameters (length n).
    pub fn parameters(&self) -> Result<Vec<f64>, BridgeError> {
        self.replica.parameters()
    }

    /// A copy at other parameters, in the copies' precision.
    pub fn at(&self, parameters: &[f64]) -> Result<M, BridgeError> {
        self.replica.at(parameters)
    }

    /// The loss and its gradient at other parameters.
    pub fn gradient(
        &self,
        parameters: &[f64],
        loss: &dyn Loss<M>,
    ) -> Result<(f64, Vec<f64>), BridgeError> {
        let closure = |model: &M| -> Tensor<1> { loss.loss(model) };
        self.replica.value_and_gradient(parameters, &closure)
    }

    /// The loss at other parameters.
    pub fn loss(&self, parameters: &[f64], loss: &dyn Loss<M>) -> Result<f64, RivalError> {
        let value = loss.loss(&self.at(parameters)?);
        Ok(value.try_into_scalar::<f64>()?)
    }
}
