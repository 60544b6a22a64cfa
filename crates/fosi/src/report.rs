//! Reports of steps and refreshes.

use crate::conditioning::{Conditioning, Lemma4};
use crate::lanczos::LanczosInfo;
use crate::timing::Timing;

/// The report of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StepReport {
    /// Steps taken so far, this one included.
    pub step: u64,
    /// ‖g‖, before clipping.
    pub gradient_norm: f64,
    /// s: the factor on the base's direction.
    pub scale: f64,
    /// ‖d₁‖: norm of the Newton step in the subspace.
    pub newton_norm: f64,
    /// ‖d₂‖: norm of the base's step in the complement, including the factor s.
    pub base_norm: f64,
    /// The number of directions of V released to the base, because their pairs are unresolved or they have overshot
    /// since the refresh; under the paper's algorithm, the number that would be released.
    pub released: usize,
    /// The number of directions that overshot at this step.
    pub overshot: usize,
    /// Whether the gradient outside V has grown as with too large an s. s is then 1 from this step on, except under the
    /// paper's algorithm.
    pub grew: bool,
}

/// The report of a refresh.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Refresh {
    /// Number of steps taken before.
    pub step: u64,
    /// λ̂ of the new spectrum in use: k largest in descending order, then ℓ smallest in ascending order.
    pub eigenvalues: Vec<f64>,
    /// Bounds on ‖Hv̂ − λ̂v̂‖. With [averaging](crate::Averaging) these are the weighted means of the single estimates'
    /// bounds, without the differences between batches.
    pub residuals: Vec<f64>,
    /// Whether |λ̂| exceeds its residual plus the products' noise. The base takes the other directions, except under
    /// the paper's algorithm.
    pub resolved: Vec<bool>,
    /// s: the factor on the base's direction from now on.
    pub scale: f64,
    /// λ̂_{k+1} of this refresh alone: the largest Ritz value after the k largest, an estimate from below. λ₁/λ̂_{k+1}
    /// is the gain in the condition number of the base's problem. `None` if there is no further Ritz value.
    pub next_eigenvalue: Option<f64>,
    /// The curvature of this refresh's Hessian along the previous refresh's own pairs, divided by that along its own,
    /// each summed over the k largest minus the ℓ smallest. The difference from 1 is due to the batch's noise and to
    /// drift. `None` without [averaging](crate::Averaging), at the first refresh, or if the denominator is not
    /// positive.
    pub captured_by_last: Option<f64>,
    /// The eigenvalues of this refresh's Hessian on which Lemma 4 depends, estimated by Ritz values, with the
    /// configuration's strong convexity as λ_n if it is given. `None` unless all are positive, since the lemma assumes a
    /// positive definite Hessian.
    pub conditioning: Option<Conditioning>,
    /// γ: the weight of this refresh in the [mean over refreshes](crate::Averaging); `None` without averaging.
    pub weight: Option<f64>,
    /// The Lanczos run's counts and errors, products included.
    pub info: LanczosInfo,
    /// Wall time in seconds, products included.
    pub seconds: f64,
    /// The measured costs and T so far; `None` unless the schedule measures them.
    pub timing: Option<Timing>,
}

impl Refresh {
    /// The case of the paper's Lemma 4 that holds for the Newton rate α = `newton_rate` and the base's learning rate η =
    /// `learning_rate`, which the step multiplies by s, with the interval of α in which one of the cases holds. There the
    /// effective Hessian P⁻¹H is conditioned no worse than H. The lemma is about a base whose preconditioner is the
    /// identity, such as gradient descent.
    ///
    /// `None` if the lemma does not apply: see [`conditioning`](Self::conditioning).
    pub fn lemma_4(
        &self,
        learning_rate: f64,
        newton_rate: f64,
    ) -> Option<(Option<Lemma4>, (f64, f64))> {
        let eta = learning_rate * self.scale;
        let conditioning = self.conditioning?;
        let case = conditioning.lemma_4(eta, newton_rate);
        Some((case, conditioning.newton_rates(eta)))
    }
}
