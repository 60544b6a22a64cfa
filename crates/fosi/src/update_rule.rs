//! The properties of a base optimizer's update rule.

use crate::error::Error;
use crate::float::FloatLimits;
use crate::momentum::Momentum;
use crate::scaling::Extremes;

/// What FOSI must know about the update rule of a base optimizer, elementwise
/// ([`Elementwise`](crate::base::Elementwise)) or not ([`Base`](crate::base::Base)).
pub trait UpdateRule: Send {
    /// The rule's name in checkpoints and messages.
    fn name(&self) -> &'static str;
    /// The momentum rule, which FOSI also applies in the subspace (paper, §3.4); default none.
    fn momentum(&self) -> Momentum {
        Momentum::NONE
    }
    /// Decoupled weight decay λ: θ ← θ − ηλθ, never projected; default 0.
    fn weight_decay(&self) -> f64 {
        0.0
    }
    /// η₂*/η*: the factor by which removing the subspace raises the optimal learning rate (paper, §3.6); default 1.
    fn rate_ratio(&self, _extremes: &Extremes) -> f64 {
        1.0
    }
    /// Checks the settings; called before every step.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a setting that is outside its range or, where required, not a normal number in the
    /// vectors' precision.
    fn validate(&self, _limits: &FloatLimits) -> Result<(), Error> {
        Ok(())
    }
}
