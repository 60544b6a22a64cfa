//! What a step and a refresh did.

use crate::lanczos::LanczosInfo;
use crate::timing::Timing;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StepReport {
    /// Steps taken so far, this one included.
    pub step: u64,
    /// ‖g‖, before clipping.
    pub gradient_norm: f64,
    /// s: the factor on the base's direction.
    pub scale: f64,
    /// ‖d₁‖: length of the Newton step in the subspace.
    pub newton_norm: f64,
    /// ‖d₂‖: length of the base's step in the complement, the factor s included.
    pub base_norm: f64,
    /// How many directions of V are the base's: their pairs aren't resolved, or they have overshot since the refresh.
    /// Under the paper's algorithm they would be.
    pub released: usize,
    /// How many of them overshot at this step.
    pub overshot: usize,
    /// Whether the gradient outside of V has grown as it does where s is too large, so that s is 1 from this step on;
    /// under the paper's algorithm it would be.
    pub grew: bool,
}

/// What a refresh found and cost.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Refresh {
    /// Steps that had been taken.
    pub step: u64,
    /// λ̂ of the spectrum in use from here on: k largest in descending order, then ℓ smallest in ascending order.
    pub eigenvalues: Vec<f64>,
    /// Bounds on ‖Hv̂ − λ̂v̂‖.
    pub residuals: Vec<f64>,
    /// Whether |λ̂| is more than its residual and the products' noise: the base keeps the directions of the others,
    /// but for the paper's algorithm.
    pub resolved: Vec<bool>,
    /// s: the factor on the base's direction from here on.
    pub scale: f64,
    /// λ̂_{k+1} of this refresh alone: the largest Ritz value after the k largest, an estimate from below. λ₁/λ̂_{k+1} is what
    /// the base's problem gains in condition. `None` where there is none.
    pub next_eigenvalue: Option<f64>,
    /// The curvature that this refresh's Hessian has along the last refresh's own pairs, over that along its own, each
    /// summed over the k largest less the ℓ smallest. What 1 lacks is the batch's noise and the drift in between. `None`
    /// without [averaging](crate::Averaging), at the first refresh, and where the denominator isn't positive.
    pub captured_by_last: Option<f64>,
    /// γ: the weight of this refresh in the [mean over refreshes](crate::Averaging), where there is one.
    pub weight: Option<f64>,
    /// What Lanczos did, products among it.
    pub info: LanczosInfo,
    /// Wall time in seconds, products included.
    pub seconds: f64,
    /// The measured costs and T so far; `None` unless the schedule asks for them.
    pub timing: Option<Timing>,
}
