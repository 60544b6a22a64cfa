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
use crate::optimizers::BaseName;

/// The base `name` for a model. Burn's have Burn's defaults, but for the weight decay of Muon and AdamW.
///
/// # Errors
/// Where an optimizer of Burn doesn't take the model's parameters.
pub(super) fn base_of<M: Module + 'static, S: ModuleSpace + 'static>(
    name: BaseName,
    config: &TrainConfig,
    model: &M,
) -> Result<Box<dyn Base<S>>, OptimizerError> {
    let momentum = config.momentum;
    let optimizer = match name {
        BaseName::GradientDescent => return Ok(Box::new(GradientDescent)),
        BaseName::HeavyBall => return Ok(Box::new(HeavyBall::new(momentum))),
        BaseName::Nesterov => return Ok(Box::new(Nesterov::new(momentum))),
        BaseName::Adam => return Ok(Box::new(Adam::default())),
        BaseName::AdamW => {
            return Ok(Box::new(AdamW {
                weight_decay: config.weight_decay,
                ..AdamW::default()
            }));
        }
        BaseName::Lion => LionConfig::new().init(),
        BaseName::AdaGrad => AdaGradConfig::new().init(),
        BaseName::RmsProp => RmsPropConfig::new().init(),
        BaseName::Adan => AdanConfig::new().init(),
        BaseName::Lamb => LambConfig::new().init(),
        BaseName::Adafactor => AdafactorConfig::new().init(),
        BaseName::Muon => muon(config.weight_decay as f32, model)?,
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
