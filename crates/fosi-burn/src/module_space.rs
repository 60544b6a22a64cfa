//! Spaces whose vectors are a module's parameters.

use std::borrow::BorrowMut;

use burn::module::Module;
use burn::tensor::{DType, Element, Tensor};
use fosi::base::Base;
use fosi::error::BoxError;
use fosi::operator::{GradientOracle, HostGradient, Reduced, SymmetricOperator};
use fosi::space::Scalar;
use fosi::{Fosi, Host, Refresh, Space};

use crate::error::BridgeError;
use crate::flat::FlatVector;
use crate::replica::Replica;
use crate::tensor_gradient::TensorGradient;
use crate::tensor_space::TensorSpace;

/// A space of flat vectors for [`FosiOptimizer`](crate::FosiOptimizer): [`Host`] keeps them on the host,
/// [`TensorSpace`] on a device.
pub trait ModuleSpace: Space<Vector: FlatVector> + Sized {
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

    /// The zero vector with all n entries, also where each rank has a shard of a vector.
    fn whole_zeros(&self) -> Self::Owned {
        self.zeros()
    }
    /// This rank's part of a whole vector.
    fn own<'a>(&self, whole: &'a Self::Vector) -> &'a Self::Vector {
        whole
    }
    /// The same, mutable.
    fn own_mut<'a>(&self, whole: &'a mut Self::Vector) -> &'a mut Self::Vector {
        whole
    }
    /// The same, owned.
    fn own_part(&self, whole: Self::Owned) -> Self::Owned {
        whole
    }
    /// Completes a whole vector of which each rank has its own part.
    fn gather(&self, _whole: &mut Self::Vector) {}
    /// The whole vector of which `own` is this rank's part.
    fn whole(&self, own: &Self::Vector) -> Self::Owned {
        let mut whole = self.zeros();
        self.axpby(1.0, own, 0.0, whole.borrow_mut());
        whole
    }
    /// The means of the ranks' losses and gradients with their numbers of examples as weights; see
    /// [`Host::average`](fosi::Host::average). With one rank the gradient is unchanged.
    ///
    /// # Errors
    /// Those of [`Host::average`](fosi::Host::average).
    fn average(
        &self,
        _examples: f64,
        loss: Result<f64, BoxError>,
        _gradient: &mut Self::Vector,
    ) -> Result<f64, fosi::Error> {
        loss.map_err(fosi::Error::User)
    }
    /// Refreshes with the mean of the ranks' Hessians with their numbers of examples as weights. `hessian` is this
    /// rank's on whole vectors.
    ///
    /// # Errors
    /// Those of [`Fosi::refresh`] and of [`Reduced::new`].
    fn refresh<B: Base<Self>>(
        fosi: &mut Fosi<Self, B>,
        _examples: f64,
        mut hessian: &mut dyn SymmetricOperator<Self>,
    ) -> Result<Refresh, fosi::Error> {
        fosi.refresh(&mut hessian)
    }
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

    fn whole_zeros(&self) -> Vec<T> {
        vec![T::ZERO; self.dim()]
    }
    fn own<'a>(&self, whole: &'a [T]) -> &'a [T] {
        Self::own(self, whole)
    }
    fn own_mut<'a>(&self, whole: &'a mut [T]) -> &'a mut [T] {
        Self::own_mut(self, whole)
    }
    fn own_part(&self, whole: Vec<T>) -> Vec<T> {
        match self.ranks().is_sharded() {
            true => Self::own(self, &whole).to_vec(),
            false => whole,
        }
    }
    fn gather(&self, whole: &mut [T]) {
        Self::gather(self, whole);
    }
    fn whole(&self, own: &[T]) -> Vec<T> {
        Self::whole(self, own)
    }
    fn average(
        &self,
        examples: f64,
        loss: Result<f64, BoxError>,
        gradient: &mut [T],
    ) -> Result<f64, fosi::Error> {
        Self::average(self, examples, loss, gradient)
    }
    fn refresh<B: Base<Self>>(
        fosi: &mut Fosi<Self, B>,
        examples: f64,
        mut hessian: &mut dyn SymmetricOperator<Self>,
    ) -> Result<Refresh, fosi::Error> {
        let space = fosi.space().clone();
        match space.ranks().size() {
            1 => fosi.refresh(&mut hessian),
            _ => fosi.refresh(&mut Reduced::new(&space, examples, Ok(hessian))?),
        }
    }
}

impl ModuleSpace for TensorSpace {
    fn gradient_oracle<'a, M: Module, L: Fn(&M) -> Tensor<1>>(
        &self,
        replica: &'a Replica<M>,
        losses: &'a [L],
    ) -> Result<impl GradientOracle<Space = Self> + use<'a, M, L>, BridgeError> {
        TensorGradient::new(self, replica, losses)
    }

    fn with_dim(&self, dim: usize) -> Self {
        Self::new(dim, self.device())
    }
}

/// The float type of the space's vectors.
pub(crate) fn dtype_of(space: &impl Space) -> DType {
    match space.epsilon() < f64::from(f32::EPSILON) / 4.0 {
        true => DType::F64,
        false => DType::F32,
    }
}
