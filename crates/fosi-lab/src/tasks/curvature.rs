//! How much of the loss's curvature is captured by estimates: of a batch, of more examples, and of FOSI's current
//! pairs.

use std::borrow::{Borrow, BorrowMut};

use fosi::Space;
use fosi::operator::{DifferenceQuotient, SymmetricOperator};
use fosi::spectrum::{SpectrumParams, estimate};
use fosi_burn::{ModuleSpace, Precision, Replica};

use super::Task;
use super::trainer::{BurnTrainer, not_finite};
use crate::data::Part;
use crate::train::{CurvaturePlan, HeldCurvature, StepError};

/// The directions and eigenvalues of an estimate.
struct Estimated<V> {
    name: String,
    directions: Vec<V>,
    eigenvalues: Vec<f64>,
}

impl<T: Task, S: ModuleSpace> BurnTrainer<T, S> {
    /// The estimates of `plan`, each compared with the Hessian over its `large` examples.
    pub(super) fn held_curvature(
        &mut self,
        plan: &CurvaturePlan,
    ) -> Result<Vec<HeldCurvature>, StepError> {
        if self.optimizer.due() {
            let batch = self
                .subject
                .task
                .batch(Part::Train, &plan.batch, &self.subject.device);
            self.refresh(&batch, &plan.batch)?;
        }
        let mut estimates = vec![self.estimated("raw".to_owned(), &plan.batch, plan)?];
        for sample in &plan.samples {
            let name = format!("raw-{}", sample.len());
            estimates.push(self.estimated(name, sample, plan)?);
        }
        estimates.extend(self.kept());
        self.with_hessian(&plan.large, plan.batch.len(), |space, mut hessian| {
            let params = SpectrumParams {
                lanczos_steps: None,
                tolerance: None,
                probe: true,
                ..self.spectrum_params()
            };
            let truth = estimate(space, &mut hessian, &params).map_err(StepError::other)?;
            let whole: f64 = truth.eigenvalues.iter().sum();
            let mut held = Vec::new();
            for Estimated {
                name,
                directions,
                eigenvalues,
            } in &estimates
            {
                let trace = trace(space, hessian, directions)?;
                held.push(HeldCurvature {
                    estimate: name.clone(),
                    captured: trace / whole,
                    eigenvalue_ratio: eigenvalues.iter().sum::<f64>() / whole,
                });
            }
            Ok(held)
        })
    }

    fn spectrum_params(&self) -> SpectrumParams {
        let config = self.optimizer.fosi().config();
        SpectrumParams {
            largest: config.largest,
            smallest: 0,
            lanczos_steps: config.lanczos_steps,
            tolerance: config.lanczos_tolerance,
            probe: config.safeguards,
            seed: config.seed,
            ..SpectrumParams::default()
        }
    }

    /// Lanczos on the Hessian over some examples, with the settings of a refresh.
    fn estimated(
        &self,
        name: String,
        examples: &[u32],
        plan: &CurvaturePlan,
    ) -> Result<Estimated<S::Owned>, StepError> {
        self.with_hessian(examples, plan.batch.len(), |space, mut hessian| {
            let params = self.spectrum_params();
            let spectrum = estimate(space, &mut hessian, &params).map_err(StepError::other)?;
            let columns = 0..spectrum.largest;
            Ok(Estimated {
                name,
                directions: columns.map(|i| space.column(&spectrum.basis, i)).collect(),
                eigenvalues: spectrum.eigenvalues,
            })
        })
    }

    /// The largest pairs in use by FOSI; `None` before its first refresh or without FOSI.
    fn kept(&self) -> Option<Estimated<S::Owned>> {
        let fosi = self.optimizer.fosi();
        let spectrum = fosi.spectrum()?;
        let columns = 0..spectrum.largest;
        let space = fosi.space();
        let name = match fosi.config().averaging {
            fosi::Averaging::Off => "kept",
            _ => "averaged",
        };
        Some(Estimated {
            name: name.to_owned(),
            directions: columns.map(|i| space.column(&spectrum.basis, i)).collect(),
            eigenvalues: spectrum.eigenvalues[..spectrum.largest].to_vec(),
        })
    }

    /// Calls `work` with the Hessian of the mean loss over `examples`, in slices of the given size.
    pub(super) fn with_hessian<R>(
        &self,
        examples: &[u32],
        slice: usize,
        work: impl FnOnce(&S, &mut dyn SymmetricOperator<S>) -> Result<R, StepError>,
    ) -> Result<R, StepError> {
        let precision = match Precision::F64.supported_by(&self.subject.device) {
            true => Precision::F64,
            false => Precision::F32,
        };
        let replica = Replica::new(&self.subject.model, precision).map_err(StepError::other)?;
        let slices = examples.chunks(slice.max(1));
        let slices: Vec<Vec<u32>> = slices.map(<[u32]>::to_vec).collect();
        let batches = self.weighted(&slices);
        let (task, interrupt) = (&self.subject.task, &self.subject.interrupt);
        let losses = batches.iter().map(|(batch, weight)| {
            move |model: &T::Model| match interrupt.requested() {
                true => not_finite(model),
                false => task.curvature_loss(model, batch) * *weight,
            }
        });
        let losses: Vec<_> = losses.collect();
        let space = self.optimizer.fosi().space();
        let oracle = space
            .gradient_oracle(&replica, &losses)
            .map_err(StepError::other)?;
        let mut hessian = match precision {
            Precision::F64 => DifferenceQuotient::new(oracle),
            Precision::F32 => DifferenceQuotient::central(oracle),
        };
        let result = work(space, &mut hessian);
        match self.subject.interrupt.requested() {
            true => Err(StepError::Interrupted),
            false => result,
        }
    }
}

/// The trace of the operator within directions that are orthonormal up to rounding.
fn trace<S: Space>(
    space: &S,
    hessian: &mut dyn SymmetricOperator<S>,
    directions: &[S::Owned],
) -> Result<f64, StepError> {
    let (mut sum, mut product) = (0.0, space.zeros());
    for direction in directions {
        let v: &S::Vector = direction.borrow();
        hessian
            .apply(v, product.borrow_mut())
            .map_err(StepError::Other)?;
        sum += space.dot(v, product.borrow()) / space.dot(v, v);
    }
    Ok(sum)
}
