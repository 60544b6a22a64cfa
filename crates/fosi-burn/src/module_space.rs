//! Spaces whose vectors are a module's parameters.

use burn::module::Module;
use burn::tensor::{DType, Element, Tensor};
use fosi::error::BoxError;
use fosi::operator::{GradientOracle, HostGradient};
use fosi::space::Scalar;
use fosi::{Distributed, Host, Ranks, Space};

use crate::error::BridgeError;
use crate::flat::FlatVector;
use crate::replica::Replica;
use crate::tensor_gradient::TensorGradient;
use crate::tensor_space::TensorSpace;

/// A space of flat vectors for [`FosiOptimizer`](crate::FosiOptimizer): [`Host`] keeps them on the host,
/// [`TensorSpace`] on a device.
pub trait ModuleSpace: Distributed<Vector: FlatVector> {
    /// The gradient of the mean of several losses near the replica's parameters, in the replica's precision.
    ///
    /// # Errors
    /// [`BridgeError::Read`].
    fn gradient_oracle<'a, M: Module, L: Fn(&M) -> Tensor<1>>(
        &self,
        replica: &'a Replica<M>,
        losses: &'a [L],
    ) -> Result<impl GradientOracle<Space = Self> + use<'a, M, L, Self>, BridgeError>;

    /// The same kind of space with another dimension, on the same ranks.
    fn with_dim(&self, dim: usize) -> Self;
}

/// out ← a gradient at θ.
type MeanGradient<'a> = Box<dyn FnMut(&[f64], &mut [f64]) -> Result<(), BoxError> + 'a>;

impl<T: Scalar + Element> ModuleSpace for Host<T> {
    fn gradient_oracle<'a, M: Module, L: Fn(&M) -> Tensor<1>>(
        &self,
        replica: &'a Replica<M>,
        losses: &'a [L],
    ) -> Result<impl GradientOracle<Space = Self> + use<'a, M, L, T>, BridgeError> {
        let mean = move |theta: &[f64], out: &mut [f64]| -> Result<(), BoxError> {
            let weight = 1.0 / losses.len() as f64;
            out.fill(0.0);
            for loss in losses {
                let (_, gradient) = replica.value_and_gradient(theta, loss)?;
                for (out, gradient) in out.iter_mut().zip(gradient) {
                    *out += weight * gradient;
                }
            }
            Ok(())
        };
        // Type-erased, so that differences are compiled once rather than per module and loss.
        let mean: MeanGradient<'a> = Box::new(mean);
        Ok(HostGradient::new(&replica.parameters()?, mean)
            .with_roundoff(replica.precision().roundoff()))
    }

    fn with_dim(&self, dim: usize) -> Self {
        Self::new(dim)
            .with_storage(self.storage())
            .with_ranks(self.ranks().clone())
    }
}

impl ModuleSpace for TensorSpace {
    fn gradient_oracle<'a, M: Module, L: Fn(&M) -> Tensor<1>>(
        &self,
        replica: &'a Replica<M>,
        losses: &'a [L],
    ) -> Result<impl GradientOracle<Space = Self> + use<'a, M, L>, BridgeError> {
        // This rank's own, on whole vectors.
        let alone = self.clone().with_ranks(Ranks::ALONE);
        TensorGradient::new(&alone, replica, losses)
    }

    fn with_dim(&self, dim: usize) -> Self {
        Self::new(dim, self.device()).with_ranks(self.ranks().clone())
    }
}

/// The float type of the space's vectors.
pub(crate) fn dtype_of(space: &impl Space) -> DType {
    match space.epsilon() < f64::from(f32::EPSILON) / 4.0 {
        true => DType::F64,
        false => DType::F32,
    }
}
