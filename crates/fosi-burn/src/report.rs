//! Reports of training steps and refreshes of [`FosiOptimizer`](crate::FosiOptimizer).

use fosi::{Refresh, StepReport};

use crate::precision::Precision;

/// The report of a training step.
#[derive(Debug)]
#[non_exhaustive]
pub struct TrainingStep {
    /// The loss before the step; for several losses, their mean.
    pub loss: f64,
    /// Norms of the step's parts, and the scale.
    pub report: StepReport,
    /// The refresh before the step, if one was due.
    pub refresh: Option<RefreshAttempt>,
}

/// The report of a step with the caller's gradients.
#[derive(Debug)]
#[non_exhaustive]
pub struct GradientStep {
    /// Norms of the step's parts, and the scale.
    pub report: StepReport,
    /// The refresh before the step, if one was due.
    pub refresh: Option<RefreshAttempt>,
}

/// The progress of a refresh or of an estimation of a [`Hessian`](crate::Hessian).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshProgress {
    /// Hessian-vector products computed, retries included.
    pub products: u64,
    /// The maximum number of products, without retries. With a [tolerance](fosi::FosiConfig::lanczos_tolerance) there
    /// are usually fewer.
    pub at_most: u64,
}

/// The result of [`FosiOptimizer::check`](crate::FosiOptimizer::check).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Check {
    /// n, the number of trainable parameters.
    pub parameters: usize,
    /// The precision of products.
    pub precision: Precision,
    /// Time of a gradient in the module's precision, in seconds.
    pub gradient_seconds: f64,
    /// Time of a refresh's gradients, in seconds, if it computes the maximum number of products.
    pub refresh_seconds: f64,
    /// Memory of the optimizer's vectors during a refresh, in bytes: basis, mean, Lanczos vectors and the base's state.
    pub refresh_bytes: usize,
    /// T, the steps between refreshes; under [`Schedule::Overhead`](fosi::Schedule::Overhead) with measured costs, the
    /// T that follows from the times above. `None` without refreshes.
    pub interval: Option<u64>,
}

/// A successful or failed refresh, and its cost.
#[derive(Debug)]
#[non_exhaustive]
pub struct RefreshAttempt {
    /// The new spectrum, or the reason why the old one stays in use.
    pub result: Result<Refresh, fosi::Error>,
    /// Hessian-vector products.
    pub products: u64,
    /// Gradients computed for the products, those of the determinism check included.
    pub gradients: u64,
    /// The precision of the products.
    pub precision: Precision,
    /// Wall time in seconds.
    pub seconds: f64,
    /// v₁ᵀH_b v₁ on each of several losses, where v₁ is the eigenvector of the largest eigenvalue λ₁ of their mean.
    /// Their mean is λ₁, and their spread shows how much of λ₁ is due to single batches. Empty for one loss, after a
    /// failed refresh, for k = 0, and if the mean has no curvature.
    pub batch_curvatures: Vec<f64>,
}
