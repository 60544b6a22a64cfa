//! The base optimizers by name: the library's and Burn's.

use burn::module::Module;
use burn::optim::{
    AdaGradConfig, AdafactorConfig, AdanConfig, LambConfig, LionConfig, RmsPropConfig,
};
use fosi::base::{Adam, AdamW, Base, GradientDescent, HeavyBall, Nesterov};
use fosi_burn::{BurnBase, ModuleSpace};
use fosi_rivals::MuonConfig;

use crate::config::TrainConfig;
use crate::optimizers::Family;
use crate::train::StepError;

/// The base `name` for a model. Burn's optimizers use Burn's defaults, except for the weight decay of Muon and AdamW.
///
/// # Errors
/// If an optimizer of Burn does not support the model's parameters.
pub(super) fn base_of<M: Module + 'static, S: ModuleSpace + 'static>(
    name: Family,
    config: &TrainConfig,
    model: &M,
) -> Result<Box<dyn Base<S>>, StepError> {
    let momentum = config.momentum;
    let optimizer = match name {
        Family::GradientDescent => return Ok(Box::new(GradientDescent)),
        Family::HeavyBall => return Ok(Box::new(HeavyBall::new(momentum))),
        Family::Nesterov => return Ok(Box::new(Nesterov::new(momentum))),
        Family::Adam => return Ok(Box::new(Adam::default())),
        Family::AdamW => {
            return Ok(Box::new(AdamW {
                weight_decay: config.weight_decay,
                ..AdamW::default()
            }));
        }
        Family::Lion => LionConfig::new().init(),
        Family::AdaGrad => AdaGradConfig::new().init(),
        Family::RmsProp => RmsPropConfig::new().init(),
        Family::Adan => AdanConfig::new().init(),
        Family::Lamb => LambConfig::new().init(),
        Family::Adafactor => AdafactorConfig::new().init(),
        Family::Muon => {
            let settings = MuonConfig {
                weight_decay: config.weight_decay,
                ..MuonConfig::default()
            };
            return Ok(Box::new(settings.base(model).map_err(StepError::other)?));
        }
        Family::Kfac | Family::Lbfgs | Family::Soap | Family::AdaHessian => {
            return Err(StepError::other(fosi::Error::InvalidSetting {
                setting: "the base optimizer",
                given: name.to_string(),
                allowed: "an optimizer that takes a gradient and nothing else",
            }));
        }
    };
    let base = BurnBase::new(model, optimizer).map_err(StepError::other)?;
    Ok(Box::new(base))
}
