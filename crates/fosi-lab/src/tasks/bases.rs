//! The base optimizers by their names: the library's own, and Burn's.

use burn::module::{Module, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{
    AdaGradConfig, AdafactorConfig, AdamWConfig, AdanConfig, AdjustLrFn, LambConfig, LionConfig,
    ModuleOptimizer, MuonConfig, RmsPropConfig,
};
use fosi::base::{Adam, AdamW, Base, GradientDescent, HeavyBall, Nesterov};
use fosi_burn::{BurnBase, FlatLayout, ModuleSpace, OptimizerError};

use crate::config::TrainConfig;
use crate::optimizers::Family;

/// The base `name` for a model. Burn's have Burn's defaults, but for the weight decay of Muon and AdamW.
///
/// # Errors
/// Where an optimizer of Burn doesn't take the model's parameters.
pub(super) fn base_of<M: Module + 'static, S: ModuleSpace + 'static>(
    name: Family,
    config: &TrainConfig,
    model: &M,
) -> Result<Box<dyn Base<S>>, OptimizerError> {
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
        Family::Muon => muon(config.weight_decay as f32, model)?,
        Family::Kfac | Family::Lbfgs | Family::Soap | Family::AdaHessian => {
            return Err(OptimizerError::Fosi(fosi::Error::InvalidSetting {
                setting: "the base optimizer",
                given: name.to_string(),
                allowed: "an optimizer that takes a gradient and nothing else",
            }));
        }
    };
    Ok(Box::new(BurnBase::new(model, optimizer)?))
}

/// Muon for matrices, AdamW for all else, with steps of AdamW's length, so that both have one learning rate.
fn muon(weight_decay: f32, model: &impl Module) -> Result<ModuleOptimizer, OptimizerError> {
    let layout = FlatLayout::of(model)?;
    let matrices = layout.slots().iter().filter(|slot| slot.shape.len() == 2);
    let paths: Vec<String> = matrices.map(|slot| slot.path.clone()).collect();
    let of_matrices = MuonConfig::new()
        .with_weight_decay(Some(WeightDecayConfig::new(weight_decay)))
        .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
    let rest = AdamWConfig::new().with_weight_decay(weight_decay).init();
    Ok(rest.with_group(ParamGroup::from_paths(paths), of_matrices.build(), None))
}
