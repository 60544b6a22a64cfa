//! The result of a minimisation.

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
    /// ‖∇f‖ is at most the tolerance.
    GradientNorm,
    /// The last step changed f by at most `value_change`·|f|.
    ValueChange,
    /// No step lowers f any more: the remaining gradient is below the precision of f.
    Stalled,
    /// `max_cost` is used up.
    MaxCost,
    /// `max_steps` is used up.
    MaxSteps,
    /// `max_time` is used up.
    MaxTime,
    /// The caller of [`Minimizer`](super::Minimizer) stopped the run.
    Stopped,
    /// The value or the gradient is not finite at every step tried.
    NonFinite,
    /// f falls without bound: its value is −∞.
    Unbounded,
    /// The function failed.
    Failed(Arc<Error>),
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::GradientNorm => f.write_str("the gradient's norm is small enough"),
            Self::ValueChange => f.write_str("the value has stopped changing"),
            Self::Stalled => f.write_str(
                "no step lowers the value any more: the remaining gradient is below the value's precision",
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

/// Serialized as its message.
impl Serialize for Status {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        serializer.collect_str(self)
    }
}

/// The curvature at the last point, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Curvature {
    /// No spectrum was estimated there.
    NotExamined,
    /// The smallest Ritz value is not negative, up to the estimation's noise.
    NoneNegative {
        /// The smallest Ritz value, an upper bound on the smallest eigenvalue.
        smallest: f64,
    },
    /// The smallest Ritz value is negative, but within the error of difference quotients.
    Unresolved {
        /// The smallest Ritz value.
        smallest: f64,
    },
    /// There is a direction of negative curvature: the point is not a minimum.
    Negative {
        /// The smallest Ritz value.
        smallest: f64,
    },
}

impl Curvature {
    /// Classifies the smallest Ritz value θ = vᵀHv. With exact products, θ < −noise proves negative curvature, whatever
    /// the residual. Difference quotients may err by more than their noise estimate, so |θ| must also exceed its
    /// residual.
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
    /// The eigenvalues in use afterwards: the metric's by descending |λ̂| or, around a base, the k largest in
    /// descending and the ℓ smallest in ascending order.
    pub eigenvalues: Vec<f64>,
    /// Bounds on ‖Hv̂ − λ̂v̂‖ of each of them.
    pub residuals: Vec<f64>,
    /// The largest of all Ritz values.
    pub largest: f64,
    /// The smallest of all Ritz values.
    pub smallest: f64,
    /// The Lanczos run's counts and errors, products included.
    pub info: LanczosInfo,
    /// Gradients computed for the products; 0 if the products are exact.
    pub gradients: u64,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Whether the eigenpairs entered the metric. Those of [`check_minimum`](super::Options::check_minimum) do not.
    #[serde(default = "taken")]
    pub in_metric: bool,
}

/// The default for saved runs without the field.
fn taken() -> bool {
    true
}

/// A failed estimation; the run continued with the previous metric.
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

/// The result and the cost of a minimisation.
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
    /// The curvature at the last point, as far as it is known.
    pub curvature: Curvature,
    /// Steps taken.
    pub steps: u64,
    /// Gradients computed, those of difference quotients included, without those of `check_gradient` and
    /// `check_minimum`.
    pub gradients: u64,
    /// Hessian-vector products computed, without those of `check_minimum`, which only
    /// [`estimations`](Self::estimations) reports.
    pub products: u64,
    /// Cost: one unit per gradient and per exact product, without those of `check_gradient` and `check_minimum`.
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

/// Omits the entries of the points, of which there may be millions.
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
