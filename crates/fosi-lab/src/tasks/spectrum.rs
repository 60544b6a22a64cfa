//! The Hessian's spectrum at a model's parameters.

use std::borrow::{Borrow, BorrowMut};

use fosi::operator::SymmetricOperator;
use fosi::space::Array;
use fosi::spectrum::estimate;
use fosi::{Space, density, trace};
use fosi_burn::ModuleSpace;

use super::Task;
use super::trainer::BurnTrainer;
use crate::train::{MeasuredSpectrum, SpectrumPlan, StepError};

impl<T: Task, S: ModuleSpace> BurnTrainer<T, S> {
    /// Measures what `plan` describes at the model's parameters; `previous` are leading directions at other parameters.
    pub(super) fn measured_spectrum(
        &self,
        plan: &SpectrumPlan,
        previous: &[Array],
    ) -> Result<MeasuredSpectrum, StepError> {
        let [first, second] = &plan.batches;
        let leading = [
            self.leading_directions(first, plan)?,
            self.leading_directions(second, plan)?,
        ];
        self.with_hessian(&plan.examples, plan.slice, |space, mut hessian| {
            let gradient = gradient(space, hessian)?;
            let spectrum = estimate(space, &mut hessian, &plan.pairs).map_err(StepError::other)?;
            let columns = 0..spectrum.largest;
            let directions: Vec<S::Owned> =
                columns.map(|i| space.column(&spectrum.basis, i)).collect();
            let previous: Result<Vec<S::Owned>, _> =
                previous.iter().map(|array| space.import(array)).collect();
            let previous = previous.map_err(StepError::other)?;
            let (norm, share) = share_within(space, &gradient, &directions);
            let exported = directions.iter().map(|v| space.export(v.borrow()));
            Ok(MeasuredSpectrum {
                density: density::estimate(space, &mut hessian, &plan.density)
                    .map_err(StepError::other)?,
                traces: trace::estimate(space, &mut hessian, &plan.trace)
                    .map_err(StepError::other)?,
                gradient_norm: norm,
                gradient_share: share,
                batch_overlap: overlap(space, &leading[0], &leading[1]),
                previous_overlap: (!previous.is_empty())
                    .then(|| overlap(space, &previous, &directions)),
                directions: exported.collect(),
                eigenvalues: spectrum.eigenvalues,
                residuals: spectrum.residuals,
                largest: spectrum.largest,
            })
        })
    }

    /// The k leading eigenvectors of a batch's Hessian.
    fn leading_directions(
        &self,
        batch: &[u32],
        plan: &SpectrumPlan,
    ) -> Result<Vec<S::Owned>, StepError> {
        self.with_hessian(batch, plan.slice, |space, mut hessian| {
            let spectrum = estimate(space, &mut hessian, &plan.pairs).map_err(StepError::other)?;
            let columns = 0..spectrum.largest;
            Ok(columns.map(|i| space.column(&spectrum.basis, i)).collect())
        })
    }
}

/// The gradient of the loss that the Hessian belongs to.
fn gradient<S: Space>(
    space: &S,
    hessian: &mut dyn SymmetricOperator<S>,
) -> Result<S::Owned, StepError> {
    let mut gradient = space.zeros();
    hessian
        .start_vector(gradient.borrow_mut())
        .map_err(StepError::Other)?;
    Ok(gradient)
}

/// ‖g‖, and ‖Vᵀg‖²/‖g‖² for orthonormal directions V.
fn share_within<S: Space>(
    space: &S,
    gradient: &S::Owned,
    directions: &[S::Owned],
) -> (f64, Option<f64>) {
    let g: &S::Vector = gradient.borrow();
    let norm = space.norm(g);
    let along = |v: &S::Owned| (space.dot(v.borrow(), g) / norm).powi(2);
    let share = (norm > 0.0).then(|| directions.iter().map(along).sum());
    (norm, share)
}

/// ‖VᵀW‖²_F/k for orthonormal V and W with k columns: 1 for equal spans, 0 for orthogonal ones.
fn overlap<S: Space>(space: &S, v: &[S::Owned], w: &[S::Owned]) -> f64 {
    let squares = v.iter().flat_map(|v| {
        let square = move |w: &S::Owned| space.dot(v.borrow(), w.borrow()).powi(2);
        w.iter().map(square)
    });
    squares.sum::<f64>() / v.len().min(w.len()).max(1) as f64
}
