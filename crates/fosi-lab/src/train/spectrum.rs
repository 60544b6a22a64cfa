//! What is measured of the loss's Hessian at a model's parameters.

use fosi::density::{DensityParams, SpectralDensity};
use fosi::space::Array;
use fosi::spectrum::SpectrumParams;
use fosi::trace::{TraceEstimate, TraceParams};

/// What to measure of the Hessian, and on which training examples.
#[derive(Clone, Debug, PartialEq)]
pub struct SpectrumPlan {
    /// Examples of the loss whose Hessian is measured.
    pub examples: Vec<u32>,
    /// Examples of a slice, which batch norm normalises by itself.
    pub slice: usize,
    /// Two batches, whose Hessians' leading directions are compared.
    pub batches: [Vec<u32>; 2],
    /// The extreme eigenpairs.
    pub pairs: SpectrumParams,
    /// The spectral density.
    pub density: DensityParams,
    /// Trace and Frobenius norm.
    pub trace: TraceParams,
}

/// The Hessian H at a model's parameters.
#[derive(Clone, Debug)]
pub struct MeasuredSpectrum {
    /// λ̂: the k largest in descending order, then the ℓ smallest in ascending order.
    pub eigenvalues: Vec<f64>,
    /// Bounds on ‖Hv̂ − λ̂v̂‖.
    pub residuals: Vec<f64>,
    /// How many of the pairs are of the largest.
    pub largest: usize,
    /// The spectral density.
    pub density: SpectralDensity,
    /// tr H and ‖H‖²_F.
    pub traces: TraceEstimate,
    /// ‖g‖ of the gradient g.
    pub gradient_norm: f64,
    /// ‖Vᵀg‖²/‖g‖² for the k largest pairs' directions V; none where g is 0.
    pub gradient_share: Option<f64>,
    /// The overlap of the two batches' k leading directions.
    pub batch_overlap: f64,
    /// The overlap of V with the directions before.
    pub previous_overlap: Option<f64>,
    /// V.
    pub directions: Vec<Array>,
}
