//! What a training step and a refresh of [`FosiOptimizer`](crate::FosiOptimizer) have done.

use fosi::{Refresh, StepReport};

use crate::precision::Precision;

/// What a training step did.
#[derive(Debug)]
#[non_exhaustive]
pub struct TrainingStep {
    /// The loss before the step; the mean of several.
    pub loss: f64,
    /// Lengths of the step's parts and the scale.
    pub report: StepReport,
    /// The refresh before the step, if one was due.
    pub refresh: Option<RefreshAttempt>,
}

/// What a step with gradients of the caller's did.
#[derive(Debug)]
#[non_exhaustive]
pub struct GradientStep {
    /// Lengths of the step's parts and the scale.
    pub report: StepReport,
    /// The refresh before the step, if one was due.
    pub refresh: Option<RefreshAttempt>,
}

/// How far a refresh, or an estimation of a [`Hessian`](crate::Hessian), has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshProgress {
    /// Hessian-vector products done, repeated ones among them.
    pub products: u64,
    /// How many it will be at most, unless products have to be repeated. With a
    /// [tolerance](fosi::FosiConfig::lanczos_tolerance) it is fewer as a rule.
    pub at_most: u64,
}

/// What [`FosiOptimizer::check`](crate::FosiOptimizer::check) found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Check {
    /// n, the number of trainable parameters.
    pub parameters: usize,
    /// The precision in which products are taken.
    pub precision: Precision,
    /// Time of a gradient in the module's precision, in seconds.
    pub gradient_seconds: f64,
    /// Time of a refresh's gradients, in seconds, where it takes all of its products.
    pub refresh_seconds: f64,
    /// Memory of the optimizer's vectors during a refresh, in bytes: basis, mean, Lanczos vectors and the base's state.
    pub refresh_bytes: usize,
    /// T, the steps between refreshes; under [`Schedule::Overhead`](fosi::Schedule::Overhead) with measured costs what
    /// follows from the times above. `None` where there are no refreshes.
    pub interval: Option<u64>,
}

/// A refresh, made or failed, and its cost.
#[derive(Debug)]
#[non_exhaustive]
pub struct RefreshAttempt {
    /// The new spectrum, or why the old one stays.
    pub result: Result<Refresh, fosi::Error>,
    /// Hessian-vector products.
    pub products: u64,
    /// Gradients that the products took, the check's among them.
    pub gradients: u64,
    /// The precision in which the products were taken.
    pub precision: Precision,
    /// Wall time in seconds.
    pub seconds: f64,
    /// v₁ᵀH_b v₁ on each of several losses, v₁ the eigenvector of the largest eigenvalue λ₁ of their mean: their mean
    /// is λ₁, and how far they lie apart says how much of λ₁ is the batches'. Empty for one loss, a failed refresh, and
    /// where there is no such eigenvector: no largest eigenvalue was asked for, or the mean has no curvature.
    pub batch_curvatures: Vec<f64>,
}
