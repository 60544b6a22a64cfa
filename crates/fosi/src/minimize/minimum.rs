//! What a minimisation found.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::error::Error;
use crate::lanczos::LanczosInfo;
use crate::space::{Host, Space};
use crate::spectrum::Spectrum;

/// Why a minimisation stopped.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Status {
    /// ‖∇f‖ is small enough.
    GradientNorm,
    /// The last step changed f by less than the share asked for.
    ValueChange,
    /// No step along −H∇f or −∇f lowers f: what is left of the gradient is beyond the precision of f.
    Stalled,
    /// The cost allowed is used up.
    MaxCost,
    /// The number of steps is used up.
    MaxSteps,
    /// The time is used up.
    MaxTime,
    /// The caller of [`Minimizer`](super::Minimizer) stopped.
    Stopped,
    /// The value or the gradient is not finite, at every step tried.
    NonFinite,
    /// f falls without bound: its value is −∞.
    Unbounded,
    /// The function failed.
    Failed(Arc<Error>),
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::GradientNorm => f.write_str("the gradient is short enough"),
            Self::ValueChange => f.write_str("the value has stopped changing"),
            Self::Stalled => f.write_str(
                "no step lowers the value any more: what is left of the gradient is beyond the value's precision",
            ),
            Self::MaxCost => f.write_str("the cost allowed is used up"),
            Self::MaxSteps => f.write_str("the number of steps is used up"),
            Self::MaxTime => f.write_str("the time is used up"),
            Self::Stopped => f.write_str("the caller stopped"),
            Self::NonFinite => {
                f.write_str("the value or the gradient is not finite at every step tried: a learning rate may be too large")
            }
            Self::Unbounded => f.write_str("the function falls without bound"),
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}

/// As its message.
impl Serialize for Status {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        serializer.collect_str(self)
    }
}

/// What is known of the curvature at the last point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Curvature {
    /// No spectrum was estimated there.
    NotExamined,
    /// The smallest Ritz value found is not negative, but for what the estimation does not resolve.
    NoneNegative {
        /// The smallest Ritz value, an upper bound on the smallest eigenvalue.
        smallest: f64,
    },
    /// The smallest Ritz value is negative, by no more than what difference quotients leave unknown.
    Unresolved {
        /// The smallest Ritz value.
        smallest: f64,
    },
    /// There is a direction of negative curvature: the point is no minimum.
    Negative {
        /// The smallest Ritz value.
        smallest: f64,
    },
}

impl Curvature {
    /// By the smallest Ritz value θ = vᵀHv. With exact products θ below the noise proves negative curvature, whatever
    /// its residual is. Difference quotients may err by more than their noise says: there θ must exceed its residual,
    /// too.
    pub(super) fn of<S: Space>(spectrum: &Spectrum<S>, exact: bool) -> Self {
        let (smallest, noise) = (spectrum.minimum, spectrum.noise);
        let mut pairs = spectrum.eigenvalues.iter().zip(&spectrum.residuals);
        let residual = pairs
            .find(|(value, _)| **value == smallest)
            .map(|(_, residual)| *residual);
        let resolved = residual.is_some_and(|residual| smallest < -(residual + noise));
        match (smallest < -noise, exact || resolved) {
            (false, _) => Self::NoneNegative { smallest },
            (true, true) => Self::Negative { smallest },
            (true, false) => Self::Unresolved { smallest },
        }
    }
}

/// One estimation of the spectrum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Estimation {
    /// Steps taken before it.
    pub step: u64,
    /// Units of cost before it.
    pub cost: u64,
    /// The eigenvalues chosen, by descending |λ̂|.
    pub eigenvalues: Vec<f64>,
    /// Bounds on ‖Hv̂ − λ̂v̂‖, one for each of them.
    pub residuals: Vec<f64>,
    /// The largest Ritz value of all.
    pub largest: f64,
    /// The smallest Ritz value of all.
    pub smallest: f64,
    /// What Lanczos did, its products among it.
    pub info: LanczosInfo,
    /// Gradients that the products took; 0 where they are exact.
    pub gradients: u64,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Whether the metric took the eigenpairs: not those of
    /// [`check_minimum`](super::Options::check_minimum).
    #[serde(default = "taken")]
    pub in_metric: bool,
}

/// What saved runs without the field are taken to mean.
fn taken() -> bool {
    true
}

/// An estimation that failed; the run went on with the metric before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailedEstimation {
    /// Steps taken before it.
    pub step: u64,
    /// Units of cost before it.
    pub cost: u64,
    /// Why it failed.
    pub reason: String,
}

/// A point with its value and the norm of its gradient.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Evaluated<V> {
    /// x.
    pub parameters: V,
    /// f(x).
    pub value: f64,
    /// ‖∇f(x)‖.
    pub gradient_norm: f64,
}

/// The result of a minimisation and what it cost.
#[derive(Serialize)]
#[serde(bound(serialize = "S::Owned: Serialize"))]
#[non_exhaustive]
pub struct Minimum<S: Space = Host<f64>> {
    /// The point with the lowest value seen.
    pub best: Evaluated<S::Owned>,
    /// The last point.
    pub last: Evaluated<S::Owned>,
    /// Why the run stopped.
    pub status: Status,
    /// What is known of the curvature at the last point.
    pub curvature: Curvature,
    /// Steps taken.
    pub steps: u64,
    /// Gradients computed, those of difference quotients included; those of `check_gradient` and of the products of
    /// `check_minimum` are not.
    pub gradients: u64,
    /// Hessian-vector products computed; those of `check_minimum` are in [`estimations`](Self::estimations) alone.
    pub products: u64,
    /// Units of cost: gradients, and products where they are exact. Those of `check_gradient` are not in it, nor the
    /// products of `check_minimum`.
    pub cost: u64,
    /// The estimations, in order.
    pub estimations: Vec<Estimation>,
    /// Estimations that failed, in order.
    pub failed_estimations: Vec<FailedEstimation>,
    /// Wall time in seconds.
    pub seconds: f64,
}

impl<S: Space> Clone for Minimum<S>
where
    S::Owned: Clone,
{
    fn clone(&self) -> Self {
        Self {
            best: self.best.clone(),
            last: self.last.clone(),
            status: self.status.clone(),
            curvature: self.curvature,
            steps: self.steps,
            gradients: self.gradients,
            products: self.products,
            cost: self.cost,
            estimations: self.estimations.clone(),
            failed_estimations: self.failed_estimations.clone(),
            seconds: self.seconds,
        }
    }
}

/// Without the points' entries, of which there may be millions.
impl<S: Space> std::fmt::Debug for Minimum<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minimum")
            .field("value", &self.best.value)
            .field("gradient_norm", &self.best.gradient_norm)
            .field("status", &self.status)
            .field("curvature", &self.curvature)
            .field("steps", &self.steps)
            .field("gradients", &self.gradients)
            .field("products", &self.products)
            .field("cost", &self.cost)
            .field("estimations", &self.estimations.len())
            .field("failed_estimations", &self.failed_estimations)
            .field("seconds", &self.seconds)
            .finish_non_exhaustive()
    }
}
