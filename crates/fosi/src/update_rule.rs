//! What every base optimizer says of its update rule.

use crate::error::Error;
use crate::float::FloatLimits;
use crate::momentum::Momentum;
use crate::scaling::Extremes;

/// What FOSI must know of a base optimizer's rule, whether it treats each coordinate alone
/// ([`Elementwise`](crate::base::Elementwise)) or not ([`Base`](crate::base::Base)).
pub trait UpdateRule: Send {
    /// The rule's name in checkpoints and messages.
    fn name(&self) -> &'static str;
    /// The momentum rule, for the subspace (paper, §3.4); default none.
    fn momentum(&self) -> Momentum {
        Momentum::NONE
    }
    /// Decoupled weight decay λ: θ ← θ − ηλθ, never projected; default 0.
    fn weight_decay(&self) -> f64 {
        0.0
    }
    /// η₂*/η*: by how much the optimal learning rate grows when the subspace is taken out (paper, §3.6); default 1.
    fn rate_ratio(&self, _extremes: &Extremes) -> f64 {
        1.0
    }
    /// Checks the settings, before every step.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] where one is outside its range, or is not a normal number in the vectors' precision where it
    /// must be.
    fn validate(&self, _limits: &FloatLimits) -> Result<(), Error> {
        Ok(())
    }
}
