//! Spaces whose vectors are a module's parameters.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Element, FloatDType, Tensor};
use fosi::error::BoxError;
use fosi::operator::{GradientOracle, HostGradient, magnitude_group};
use fosi::space::Scalar;
use fosi::{Host, Space};

use crate::{BridgeError, FlatLayout, Replica, TensorSpace};

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

    /// The gradient of the mean of several losses near the replica's parameters, in the replica's precision.
    ///
    /// # Errors
    /// [`BridgeError::Read`].
    fn gradient_oracle<'a, M: Module, L: Fn(&M) -> Tensor<1>>(
        &self,
        replica: &'a Replica<M>,
        losses: &'a [L],
    ) -> Result<impl GradientOracle<Space = Self> + use<'a, M, L, Self>, BridgeError>;
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
        Ok(HostGradient::new(&replica.parameters()?, mean)
            .with_roundoff(replica.precision().roundoff()))
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

    fn gradient_oracle<'a, M: Module, L: Fn(&M) -> Tensor<1>>(
        &self,
        replica: &'a Replica<M>,
        losses: &'a [L],
    ) -> Result<impl GradientOracle<Space = Self> + use<'a, M, L>, BridgeError> {
        let point = replica.parameter_tensor(self.device())?;
        let (units, masks) = magnitude_groups(&point)?;
        Ok(TensorGradient {
            at_point: point.zeros_like(),
            space: self.clone(),
            before_shift: None,
            units,
            masks,
            replica,
            losses,
            point,
        })
    }
}

/// The units of the groups of coordinates of like magnitude, and for each group a tensor of ones at its coordinates and zeros
/// elsewhere; no tensors where there is one group.
fn magnitude_groups(point: &Tensor<1>) -> Result<(Vec<f64>, Vec<Tensor<1>>), BridgeError> {
    let size = point.clone().abs();
    let largest = size.clone().max().try_into_scalar::<f64>()?;
    if magnitude_group(largest) == 0 {
        return Ok((vec![largest.max(1.0)], Vec::new()));
    }
    let (mut units, mut masks) = (Vec::new(), Vec::new());
    let mut below = point.zeros_like();
    for group in 0..=magnitude_group(largest) {
        let bound = 1e3_f64.powi(group as i32 + 1);
        let up_to = size
            .clone()
            .lower_equal_elem(bound)
            .float()
            .cast(point.dtype());
        let mask = up_to.clone() - below;
        below = up_to;
        if mask.clone().sum().try_into_scalar::<f64>()? > 0.0 {
            let unit = (size.clone() * mask.clone())
                .max()
                .try_into_scalar::<f64>()?;
            units.push(unit.max(1.0));
            masks.push(mask);
        }
    }
    match masks.len() {
        1 => Ok((units, Vec::new())),
        _ => Ok((units, masks)),
    }
}

/// The mean gradient of several losses near a point, on a device, in the replica's precision.
struct TensorGradient<'a, M, L> {
    space: TensorSpace,
    replica: &'a Replica<M>,
    losses: &'a [L],
    point: Tensor<1>,
    before_shift: Option<Tensor<1>>,
    at_point: Tensor<1>,
    units: Vec<f64>,
    /// One for each group; empty where there is one.
    masks: Vec<Tensor<1>>,
}

impl<M: Module, L: Fn(&M) -> Tensor<1>> TensorGradient<'_, M, L> {
    fn at(&self, theta: &Tensor<1>) -> Result<Tensor<1>, BoxError> {
        let mut sum = theta.zeros_like();
        for loss in self.losses {
            sum = sum + self.replica.gradient_tensor(theta, loss)?;
        }
        Ok(sum.div_scalar(self.losses.len() as f64))
    }

    /// The gradient at θ + εv_G.
    fn gradient_at(
        &self,
        epsilon: f64,
        v: &Tensor<1>,
        group: usize,
    ) -> Result<Tensor<1>, BoxError> {
        let mut step = v
            .clone()
            .cast(self.replica.precision().dtype())
            .mul_scalar(epsilon);
        if let Some(mask) = self.masks.get(group) {
            step = step * mask.clone();
        }
        self.at(&(self.point.clone() + step))
    }

    /// The sum over the groups of `change`, given a group's step and index, over `width` steps.
    fn quotient(
        &self,
        epsilon: f64,
        width: f64,
        change: impl Fn(f64, usize) -> Result<Tensor<1>, BoxError>,
    ) -> Result<Tensor<1>, BoxError> {
        let mut sum: Option<Tensor<1>> = None;
        for (group, unit) in self.units.iter().enumerate() {
            let epsilon = epsilon * unit;
            let term = change(epsilon, group)?.div_scalar(width * epsilon);
            sum = Some(match sum {
                Some(sum) => sum + term,
                None => term,
            });
        }
        let sum = sum.unwrap_or_else(|| self.point.zeros_like());
        Ok(sum.cast(DType::F32))
    }
}

impl<M: Module, L: Fn(&M) -> Tensor<1>> GradientOracle for TensorGradient<'_, M, L> {
    type Space = TensorSpace;

    fn space(&self) -> &TensorSpace {
        &self.space
    }

    fn units(&self) -> &[f64] {
        &self.units
    }

    fn roundoff(&self) -> f64 {
        self.replica.precision().roundoff()
    }

    fn start(&mut self) -> Result<f64, BoxError> {
        self.at_point = self.at(&self.point)?;
        Ok(self.space.norm(&self.at_point.clone().cast(DType::F32)))
    }

    fn forward(
        &mut self,
        epsilon: f64,
        v: &Tensor<1>,
        out: &mut Tensor<1>,
    ) -> Result<(), BoxError> {
        *out = self.quotient(epsilon, 1.0, |epsilon, group| {
            Ok(self.gradient_at(epsilon, v, group)? - self.at_point.clone())
        })?;
        Ok(())
    }

    fn central(
        &mut self,
        epsilon: f64,
        v: &Tensor<1>,
        out: &mut Tensor<1>,
    ) -> Result<(), BoxError> {
        *out = self.quotient(epsilon, 2.0, |epsilon, group| {
            Ok(self.gradient_at(epsilon, v, group)? - self.gradient_at(-epsilon, v, group)?)
        })?;
        Ok(())
    }

    fn shift(&mut self, seed: u64, size: f64) {
        let zeta = self
            .space
            .normal(seed)
            .cast(self.replica.precision().dtype());
        let size = size / (self.space.dim() as f64).sqrt();
        let magnitude = self.point.clone().abs().clamp_min(1.0);
        self.before_shift = Some(self.point.clone());
        self.point = self.point.clone() + zeta.mul_scalar(size) * magnitude;
    }

    fn exchange_shifted(&mut self) {
        if let Some(before) = &mut self.before_shift {
            std::mem::swap(before, &mut self.point);
        }
    }
}
