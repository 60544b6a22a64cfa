//! Spaces whose vectors are a module's parameters.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Element, FloatDType, Tensor};
use fosi::error::BoxError;
use fosi::operator::{GradientNear, HostGradient};
use fosi::space::Scalar;
use fosi::{Host, Space};

use crate::{BridgeError, FlatLayout, TensorSpace, Twin};

/// A space whose vectors hold a module's trainable parameters, in the order of a [`FlatLayout`]: [`Host`] takes
/// them to the host, [`TensorSpace`] leaves them on a device.
pub trait ModuleSpace: Space + Sized {
    /// `parameters` ← the module's parameters: see [`FlatLayout::read_parameters`].
    ///
    /// # Errors
    /// [`BridgeError::LayoutMismatch`] or [`BridgeError::Read`].
    fn read_parameters(
        &self,
        layout: &FlatLayout,
        module: &impl Module,
        parameters: &mut Self::Owned,
    ) -> Result<(), BridgeError>;

    /// Brings master weights up to date with the module, and says whether it holds them rounded: see
    /// [`FlatLayout::update_master_weights`].
    ///
    /// # Errors
    /// [`BridgeError::LayoutMismatch`], [`BridgeError::LengthMismatch`] or [`BridgeError::Read`].
    fn update_master_weights(
        &self,
        layout: &FlatLayout,
        module: &impl Module,
        master: &mut Self::Owned,
    ) -> Result<bool, BridgeError>;

    /// The module with other parameters: see [`FlatLayout::set_parameters`].
    ///
    /// # Errors
    /// [`BridgeError::LayoutMismatch`] or [`BridgeError::LengthMismatch`].
    fn set_parameters<M: Module>(
        &self,
        layout: &FlatLayout,
        module: &M,
        parameters: &Self::Vector,
    ) -> Result<M, BridgeError>;

    /// `gradient` ← the gradients: see [`FlatLayout::read_gradient`].
    ///
    /// # Errors
    /// [`BridgeError::LayoutMismatch`], [`BridgeError::GradientShape`] or [`BridgeError::Read`].
    fn read_gradient(
        &self,
        layout: &FlatLayout,
        module: &impl Module,
        gradients: GradientsParams,
        gradient: &mut Self::Owned,
    ) -> Result<(), BridgeError>;

    /// A vector as Burn's gradients: see [`FlatLayout::to_gradients`].
    ///
    /// # Errors
    /// [`BridgeError::LayoutMismatch`] or [`BridgeError::LengthMismatch`].
    fn to_gradients(
        &self,
        layout: &FlatLayout,
        module: &impl Module,
        gradient: &Self::Vector,
    ) -> Result<GradientsParams, BridgeError>;

    /// The gradient of the mean of several losses near the twin's parameters, in the twin's precision.
    ///
    /// # Errors
    /// [`BridgeError::Read`].
    fn gradient_near<'a, M: Module, L: Fn(&M) -> Tensor<1>>(
        &self,
        twin: &'a Twin<M>,
        losses: &'a [L],
    ) -> Result<impl GradientNear<Space = Self> + use<'a, M, L, Self>, BridgeError>;
}

impl<T: Scalar + Element> ModuleSpace for Host<T> {
    fn read_parameters(
        &self,
        layout: &FlatLayout,
        module: &impl Module,
        parameters: &mut Vec<T>,
    ) -> Result<(), BridgeError> {
        layout.read_parameters(module, parameters)
    }

    fn update_master_weights(
        &self,
        layout: &FlatLayout,
        module: &impl Module,
        master: &mut Vec<T>,
    ) -> Result<bool, BridgeError> {
        layout.update_master_weights(module, master)
    }

    fn set_parameters<M: Module>(
        &self,
        layout: &FlatLayout,
        module: &M,
        parameters: &[T],
    ) -> Result<M, BridgeError> {
        layout.set_parameters(module, parameters)
    }

    fn read_gradient(
        &self,
        layout: &FlatLayout,
        module: &impl Module,
        gradients: GradientsParams,
        gradient: &mut Vec<T>,
    ) -> Result<(), BridgeError> {
        layout.read_gradient(module, gradients, gradient)
    }

    fn to_gradients(
        &self,
        layout: &FlatLayout,
        module: &impl Module,
        gradient: &[T],
    ) -> Result<GradientsParams, BridgeError> {
        layout.to_gradients(module, gradient)
    }

    fn gradient_near<'a, M: Module, L: Fn(&M) -> Tensor<1>>(
        &self,
        twin: &'a Twin<M>,
        losses: &'a [L],
    ) -> Result<impl GradientNear<Space = Self> + use<'a, M, L, T>, BridgeError> {
        let mean = move |theta: &[f64], out: &mut [f64]| -> Result<(), BoxError> {
            let weight = 1.0 / losses.len() as f64;
            out.fill(0.0);
            for loss in losses {
                let (_, gradient) = twin.value_and_gradient(theta, loss)?;
                for (out, gradient) in out.iter_mut().zip(gradient) {
                    *out += weight * gradient;
                }
            }
            Ok(())
        };
        Ok(HostGradient::new(&twin.parameters()?, mean))
    }
}

impl ModuleSpace for TensorSpace {
    fn read_parameters(
        &self,
        layout: &FlatLayout,
        module: &impl Module,
        parameters: &mut Tensor<1>,
    ) -> Result<(), BridgeError> {
        *parameters = layout.parameter_tensor(module, self.device(), FloatDType::F32)?;
        Ok(())
    }

    fn update_master_weights(
        &self,
        layout: &FlatLayout,
        module: &impl Module,
        master: &mut Tensor<1>,
    ) -> Result<bool, BridgeError> {
        layout.update_master_weight_tensor(module, master)
    }

    fn set_parameters<M: Module>(
        &self,
        layout: &FlatLayout,
        module: &M,
        parameters: &Tensor<1>,
    ) -> Result<M, BridgeError> {
        layout.set_parameter_tensor(module, parameters)
    }

    fn read_gradient(
        &self,
        layout: &FlatLayout,
        module: &impl Module,
        gradients: GradientsParams,
        gradient: &mut Tensor<1>,
    ) -> Result<(), BridgeError> {
        *gradient = layout.gradient_tensor(module, gradients, self.device(), FloatDType::F32)?;
        Ok(())
    }

    fn to_gradients(
        &self,
        layout: &FlatLayout,
        module: &impl Module,
        gradient: &Tensor<1>,
    ) -> Result<GradientsParams, BridgeError> {
        layout.tensor_to_gradients(module, gradient)
    }

    fn gradient_near<'a, M: Module, L: Fn(&M) -> Tensor<1>>(
        &self,
        twin: &'a Twin<M>,
        losses: &'a [L],
    ) -> Result<impl GradientNear<Space = Self> + use<'a, M, L>, BridgeError> {
        let point = twin.parameter_tensor(self.device())?;
        let largest = point.clone().max_abs().try_into_scalar::<f64>()?;
        Ok(TensorGradient {
            at_point: point.zeros_like(),
            space: self.clone(),
            unit: largest.max(1.0),
            twin,
            losses,
            point,
        })
    }
}

/// The mean gradient of several losses near a point, on a device, in the twin's precision.
struct TensorGradient<'a, M, L> {
    space: TensorSpace,
    twin: &'a Twin<M>,
    losses: &'a [L],
    point: Tensor<1>,
    at_point: Tensor<1>,
    unit: f64,
}

impl<M: Module, L: Fn(&M) -> Tensor<1>> TensorGradient<'_, M, L> {
    fn at(&self, theta: &Tensor<1>) -> Result<Tensor<1>, BoxError> {
        let mut sum = theta.zeros_like();
        for loss in self.losses {
            sum = sum + self.twin.gradient_tensor(theta, loss)?;
        }
        Ok(sum.div_scalar(self.losses.len() as f64))
    }

    fn near(&self, epsilon: f64, v: &Tensor<1>) -> Result<Tensor<1>, BoxError> {
        let dtype = self.twin.precision().dtype();
        self.at(&(self.point.clone() + v.clone().cast(dtype).mul_scalar(epsilon)))
    }
}

impl<M: Module, L: Fn(&M) -> Tensor<1>> GradientNear for TensorGradient<'_, M, L> {
    type Space = TensorSpace;

    fn unit(&self) -> f64 {
        self.unit
    }

    fn start(&mut self) -> Result<(), BoxError> {
        self.at_point = self.at(&self.point)?;
        Ok(())
    }

    fn forward(
        &mut self,
        epsilon: f64,
        v: &Tensor<1>,
        out: &mut Tensor<1>,
    ) -> Result<(), BoxError> {
        let change = self.near(epsilon, v)? - self.at_point.clone();
        *out = change.div_scalar(epsilon).cast(DType::F32);
        Ok(())
    }

    fn central(
        &mut self,
        epsilon: f64,
        v: &Tensor<1>,
        out: &mut Tensor<1>,
    ) -> Result<(), BoxError> {
        let change = self.near(epsilon, v)? - self.near(-epsilon, v)?;
        *out = change.div_scalar(2.0 * epsilon).cast(DType::F32);
        Ok(())
    }

    fn shift(&mut self, seed: u64, size: f64) {
        let zeta = self.space.normal(seed).cast(self.twin.precision().dtype());
        let size = size * self.unit / (self.space.dim() as f64).sqrt();
        self.point = self.point.clone() + zeta.mul_scalar(size);
    }
}
