//! A gradient oracle on tensors, near a point on a device.

use burn::module::Module;
use burn::tensor::{DType, Tensor};
use fosi::Space;
use fosi::error::BoxError;
use fosi::operator::{GradientOracle, magnitude_group};

use crate::error::BridgeError;
use crate::replica::Replica;
use crate::tensor_space::TensorSpace;

/// The mean gradient of several losses near a point, on a device, in the replica's precision.
pub(crate) struct TensorGradient<'a, M, L> {
    space: TensorSpace,
    replica: &'a Replica<M>,
    losses: &'a [L],
    point: Tensor<1>,
    before_shift: Option<Tensor<1>>,
    at_point: Tensor<1>,
    units: Vec<f64>,
    /// The mask of each group; empty if there is only one group.
    masks: Vec<Tensor<1>>,
}

impl<'a, M: Module, L: Fn(&M) -> Tensor<1>> TensorGradient<'a, M, L> {
    pub(crate) fn new(
        space: &TensorSpace,
        replica: &'a Replica<M>,
        losses: &'a [L],
    ) -> Result<Self, BridgeError> {
        let point = replica.parameter_tensor(space.device())?;
        let (units, masks) = magnitude_groups(&point)?;
        Ok(Self {
            at_point: point.zeros_like(),
            space: space.clone(),
            before_shift: None,
            units,
            masks,
            replica,
            losses,
            point,
        })
    }

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

    /// Σ over the groups of `change`/(`width`·step), where `change` gets a group's step and index.
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

    fn gradient(&self, out: &mut Tensor<1>) {
        *out = self.at_point.clone().cast(DType::F32);
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

/// The units of the groups of coordinates with similar magnitude, and for each group a mask of ones at its coordinates
/// and zeros elsewhere; no masks if there is only one group.
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
