//! α, the rate of the Newton step, as the learning rate changes.

use crate::error::Error;
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
}

impl NewtonRate {
    /// The rate that follows a schedule of its own: the value at step t, counted from 0.
    pub fn scheduled(schedule: impl Fn(u64) -> f64 + Send + Sync + 'static) -> Self {
        Self::Scheduled(Rate::scheduled(schedule))
    }

    /// The value at step t, counted from 0, where the learning rate is `learning_rate` and the largest so far, this one
    /// among them, `largest`.
    pub fn at(&self, step: u64, learning_rate: f64, largest: f64) -> f64 {
        match self {
            Self::Following(_) if largest == 0.0 => 0.0,
            Self::Following(rate) => rate * (learning_rate / largest),
            Self::Constant(rate) => *rate,
            Self::Scheduled(rate) => rate.at(step),
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
