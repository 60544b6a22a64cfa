//! Measurements of the loss's Hessian at a model's parameters.

use fosi::density::{DensityParams, SpectralDensity};
use fosi::space::Array;
use fosi::spectrum::SpectrumParams;
use fosi::trace::{TraceEstimate, TraceParams};

/// The quantities to measure, and the training examples to use.
#[derive(Clone, Debug, PartialEq)]
pub struct SpectrumPlan {
    /// The examples that define the measured loss.
    pub examples: Vec<u32>,
    /// The number of examples per slice; batch norm normalises each slice separately.
    pub slice: usize,
    /// Two batches whose Hessians' leading directions are compared.
    pub batches: [Vec<u32>; 2],
    /// The settings for the extreme eigenpairs.
    pub pairs: SpectrumParams,
    /// The settings for the spectral density.
    pub density: DensityParams,
    /// The settings for the trace and the Frobenius norm.
    pub trace: TraceParams,
}

/// Measurements of the Hessian H at a model's parameters.
#[derive(Clone, Debug)]
pub struct MeasuredSpectrum {
    /// λ̂: the k largest in descending order, then the ℓ smallest in ascending order.
    pub eigenvalues: Vec<f64>,
    /// Bounds on ‖Hv̂ − λ̂v̂‖.
    pub residuals: Vec<f64>,
    /// The number of pairs that belong to the k largest.
    pub largest: usize,
    /// The spectral density.
    pub density: SpectralDensity,
    /// tr H and ‖H‖²_F.
    pub traces: TraceEstimate,
    /// ‖g‖ of the gradient g.
    pub gradient_norm: f64,
    /// ‖Vᵀg‖²/‖g‖² for the directions V of the k largest pairs; `None` if g is 0.
    pub gradient_share: Option<f64>,
    /// The overlap of the two batches' k leading directions.
    pub batch_overlap: f64,
    /// The overlap of V with the previous leading directions.
    pub previous_overlap: Option<f64>,
    /// V.
    pub directions: Vec<Array>,
}
