//! α, the rate of the Newton step, as the learning rate changes.

use crate::error::{Error, require};
use crate::schedule::{Rate, check_rate};

/// α, the rate of the Newton step.
///
/// ```
/// use fosi::{FosiConfig, NewtonRate};
///
/// // Where the learning rate falls to zero along a schedule, so does the Newton step.
/// let config = FosiConfig { newton_rate: NewtonRate::Following(0.01), ..FosiConfig::default() };
/// assert_eq!(config.newton_rate.at(500, 0.05, 0.1), 0.005);
/// // A bare number means the same.
/// assert_eq!(NewtonRate::from(0.01).at(500, 0.05, 0.1), 0.005);
/// // The paper's α does not depend on the learning rate.
/// assert_eq!(NewtonRate::Constant(0.01).at(500, 0.05, 0.1), 0.01);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NewtonRate {
    /// α·ηₜ/max{η₁, …, ηₜ}: α times the share that the learning rate is of the largest one given so far, 0 before any
    /// positive one. With a constant learning rate this is [`Constant`](Self::Constant), bit for bit.
    Following(f64),
    /// The same at every step, whatever the learning rate does, as in the paper.
    Constant(f64),
    /// A function of the number of steps taken.
    Scheduled(Rate),
    /// One rate per direction, by how much of the gradient along it is signal and how much noise between batches: see
    /// [`adaptive`](Self::adaptive).
    Adaptive {
        /// α, which follows the learning rate as that of [`Following`](Self::Following) does.
        rate: f64,
        /// δ: the weights of past coefficients fall by this factor per step; from 0 to below 1.
        decay: f64,
    },
}

impl NewtonRate {
    /// The rate between α, which leaves noise undisturbed, and the base's own learning rate, which follows a drift:
    ///
    /// αᵢ = α + qᵢ·(max{α, min{ηᵢ|λᵢ|, 1}} − α),   qᵢ = clip((m̂ᵢ²/v̂ᵢ − φ)/(1 − φ), 0, 1)
    ///
    /// along vᵢ, with m̂ᵢ and v̂ᵢ the bias-corrected running means of cᵢ and cᵢ² since the refresh, of decay δ = 0.9, and
    /// φ = (1−δ)(1+δᵗ)/((1+δ)(1−δᵗ)) the mean of m̂²/v̂ where c is white noise; qᵢ is 0 in the first five steps after a
    /// refresh. ηᵢ is the base's learning rate along vᵢ: η for a [linear](crate::base::Base::is_linear) base,
    /// η·vᵢᵀDvᵢ for a base that [preconditions](crate::base::Base::precondition) the gradient by D, as Adam does, with
    /// D of the refresh, and 0 for others, whose rate is then α. The rule is this library's own; the paper has one α.
    ///
    /// On a quadratic without noise, where all of c is signal, the rate is Newton's for a few steps, and then α until the
    /// means have forgotten how long c was: along V it converges by √δ per step, 0.95, where α = 0.01 alone has 0.99
    /// (gradient descent as base: 311 and 1,833 steps to 1e-8 of the gradient, and 88 with α = 1; `tests/suite/newton_rate.rs`).
    /// Where the gradient is exact, α = 1 is better. With momentum and batches it can take FOSI's gain away, since the base
    /// then needs a lower learning rate (`docs/pays.md`, task `tl`): it is no default.
    ///
    /// ```
    /// use fosi::{FosiConfig, NewtonRate};
    ///
    /// let config = FosiConfig { newton_rate: NewtonRate::adaptive(0.01), ..FosiConfig::default() };
    /// # config.validate()?;
    /// # Ok::<(), fosi::Error>(())
    /// ```
    pub fn adaptive(rate: f64) -> Self {
        Self::Adaptive { rate, decay: 0.9 }
    }

    /// The rate that follows a schedule of its own: the value at step t, counted from 0.
    pub fn scheduled(schedule: impl Fn(u64) -> f64 + Send + Sync + 'static) -> Self {
        Self::Scheduled(Rate::scheduled(schedule))
    }

    /// The value at step t, counted from 0, where the learning rate is `learning_rate` and the largest so far, this one
    /// among them, `largest`. Of [`Adaptive`](Self::Adaptive) it is the least of its rates.
    pub fn at(&self, step: u64, learning_rate: f64, largest: f64) -> f64 {
        match self {
            Self::Following(_) | Self::Adaptive { .. } if largest == 0.0 => 0.0,
            Self::Following(rate) | Self::Adaptive { rate, .. } => rate * (learning_rate / largest),
            Self::Constant(rate) => *rate,
            Self::Scheduled(rate) => rate.at(step),
        }
    }

    /// δ of an adaptive rate.
    pub(crate) fn decay(&self) -> Option<f64> {
        match self {
            Self::Adaptive { decay, .. } => Some(*decay),
            _ => None,
        }
    }

    /// The value, refused unless it is finite and at least 0.
    pub(crate) fn checked(
        &self,
        step: u64,
        learning_rate: f64,
        largest: f64,
    ) -> Result<f64, Error> {
        let value = self.at(step, learning_rate, largest);
        check_rate("newton_rate (α)", value)?;
        Ok(value)
    }

    /// Refuses a rate that is not allowed at step t under any learning rate.
    pub(crate) fn validate(&self, step: u64) -> Result<(), Error> {
        if let Some(decay) = self.decay() {
            let allowed = (0.0..1.0).contains(&decay);
            require(
                allowed,
                "decay (δ) of the Newton rate",
                decay,
                "at least 0 and below 1",
            )?;
        }
        self.checked(step, 1.0, 1.0).map(drop)
    }
}

impl From<f64> for NewtonRate {
    fn from(rate: f64) -> Self {
        Self::Following(rate)
    }
}

impl From<Rate> for NewtonRate {
    fn from(rate: Rate) -> Self {
        Self::Scheduled(rate)
    }
}
