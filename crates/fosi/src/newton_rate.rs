//! α, the rate of the Newton step.

use crate::error::{Error, require};
use crate::schedule::{Rate, check_rate};

/// α, the rate of the Newton step.
///
/// ```
/// use fosi::{FosiConfig, NewtonRate};
///
/// // If a schedule takes the learning rate to zero, the Newton step goes to zero as well.
/// let config = FosiConfig { newton_rate: NewtonRate::Following(0.01), ..FosiConfig::default() };
/// assert_eq!(config.newton_rate.at(500, 0.05, 0.1), 0.005);
/// // A plain number means the same.
/// assert_eq!(NewtonRate::from(0.01).at(500, 0.05, 0.1), 0.005);
/// // The paper's α does not depend on the learning rate.
/// assert_eq!(NewtonRate::Constant(0.01).at(500, 0.05, 0.1), 0.01);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NewtonRate {
    /// α·ηₜ/max{η₁, …, ηₜ}: α times the ratio of the learning rate to the largest one so far; 0 before the first
    /// positive one. With a constant learning rate this is [`Constant`](Self::Constant), bit for bit.
    Following(f64),
    /// The same α at every step, whatever the learning rate, as in the paper.
    Constant(f64),
    /// A function of the number of steps taken.
    Scheduled(Rate),
    /// One rate per direction, chosen by the ratio of signal to noise between batches in the gradient along it; see
    /// [`adaptive`](Self::adaptive).
    Adaptive {
        /// α, which follows the learning rate as in [`Following`](Self::Following).
        rate: f64,
        /// δ in [0, 1): the decay factor per step of the weights of past coefficients.
        decay: f64,
    },
}

impl NewtonRate {
    /// A rate between α, which does not amplify noise, and the base's own learning rate, which follows drift:
    ///
    /// αᵢ = α + qᵢ·(max{α, min{ηᵢ|λᵢ|, 1}} − α),   qᵢ = clip((m̂ᵢ²/v̂ᵢ − φ)/(1 − φ), 0, 1)
    ///
    /// along vᵢ, with m̂ᵢ and v̂ᵢ the bias-corrected running means of cᵢ and cᵢ² since the refresh, of decay δ = 0.9,
    /// and φ = (1−δ)(1+δᵗ)/((1+δ)(1−δᵗ)) the mean of m̂²/v̂ for white noise c; qᵢ is 0 in the first five steps after a
    /// refresh. ηᵢ is the base's learning rate along vᵢ: η for a [linear](crate::base::Base::is_linear) base, η·vᵢᵀDvᵢ
    /// for a base such as Adam that [preconditions](crate::base::Base::precondition) the gradient by D, with D as of
    /// the refresh, and 0 for other bases, whose rate is then α. The rule is not from the paper, which has a single α.
    ///
    /// On a quadratic without noise, all of c is signal: the rate is Newton's for a few steps and then α until the
    /// means have decayed to the new, smaller c. Convergence along V is by √δ ≈ 0.95 per step, against 0.99 with α =
    /// 0.01 alone (gradient descent as base: 311 and 1,833 steps to reduce the gradient to 1e-8, and 88 with α = 1;
    /// `tests/suite/newton_rate.rs`). With exact gradients, α = 1 is better. With momentum and batches this rule can
    /// cancel FOSI's gain, since the base then needs a lower learning rate (`docs/pays.md`, task `tl`); it is therefore
    /// not the default.
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

    /// A rate with its own schedule: `schedule` gives the value at step t, counted from 0.
    pub fn scheduled(schedule: impl Fn(u64) -> f64 + Send + Sync + 'static) -> Self {
        Self::Scheduled(Rate::scheduled(schedule))
    }

    /// The value at step t, counted from 0, for the current learning rate and the largest one so far, the current one
    /// included. For [`Adaptive`](Self::Adaptive) it is the lowest of the rates.
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

    /// The value; an error unless it is finite and at least 0.
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

    /// Refuses a rate that is invalid at step t for every learning rate.
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
