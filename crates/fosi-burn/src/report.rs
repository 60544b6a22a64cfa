//! What a training step and a refresh of [`FosiOptimizer`](crate::FosiOptimizer) have done.

use fosi::{Refresh, StepReport};

/// What a training step did.
#[derive(Debug)]
#[non_exhaustive]
pub struct TrainStep {
    /// The loss before the step.
    pub loss: f64,
    /// Lengths of the step's parts and the scale.
    pub report: StepReport,
    /// The refresh before the step, if one was due.
    pub refresh: Option<RefreshAttempt>,
}

/// A refresh, made or failed, and its cost.
#[derive(Debug)]
#[non_exhaustive]
pub struct RefreshAttempt {
    /// The new spectrum, or why the old one stays.
    pub result: Result<Refresh, fosi::Error>,
    /// Hessian-vector products.
    pub products: u64,
    /// Gradients that the products took, the determinism check's among them.
    pub gradients: u64,
    /// Wall time in seconds.
    pub seconds: f64,
    /// v₁ᵀH_b v₁ on each of several losses, v₁ the eigenvector of the largest eigenvalue λ₁ of their mean: their mean
    /// is λ₁, and how far they lie apart says how much of λ₁ is the batches'. Empty for one loss, a failed refresh, and
    /// where there is no such eigenvector: no largest eigenvalue was asked for, or the mean has no curvature.
    pub batch_curvatures: Vec<f64>,
}
