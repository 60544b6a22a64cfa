//! Muon for matrices, AdamW for the other parameters.

use burn::module::{Module, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamWConfig, AdjustLrFn, MuonConfig as BurnMuonConfig};
use fosi::{FosiConfig, Schedule};
use fosi_burn::{BurnBase, FlatLayout, FosiOptimizer, backward};
use serde::{Deserialize, Serialize};

use crate::error::{RivalError, require};
use crate::loss::Loss;
use crate::rival::{Cost, Rival, StepDone};
use crate::state::{Arrays, deserialize, serialize};

const NAME: &str = "muon";

/// The settings of [`Muon`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MuonConfig {
    /// Decoupled weight decay of all parameters, ≥ 0; default 0.
    pub weight_decay: f64,
    /// Paths of matrices that AdamW optimizes, such as `output.weight`. Muon's authors recommend this for embeddings
    /// and for the last layer. Default none.
    pub with_adamw: Vec<String>,
}

impl MuonConfig {
    /// Burn's optimizer with the two groups, as a base that also FOSI can use.
    ///
    /// # Errors
    /// [`RivalError::Setting`]; [`RivalError::UnknownParameter`] where `with_adamw` names a path that `model` does not
    /// have.
    pub fn base<M: Module>(&self, model: &M) -> Result<BurnBase<M>, RivalError> {
        let decay = self.weight_decay;
        let nonnegative = decay >= 0.0 && decay.is_finite();
        require(nonnegative, "weight_decay", decay, "finite and at least 0")?;
        let layout = FlatLayout::of(model)?;
        let known = |path: &String| layout.slots().iter().any(|slot| slot.path == *path);
        if let Some(path) = self.with_adamw.iter().find(|path| !known(path)) {
            let path = path.clone();
            return Err(RivalError::UnknownParameter { path });
        }
        let matrices = ParamGroup::from_paths(self.matrices(&layout));
        let muon = BurnMuonConfig::new()
            .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
            .with_weight_decay(Some(WeightDecayConfig::new(decay as f32)));
        let adamw = AdamWConfig::new().with_weight_decay(decay as f32);
        let both = adamw.init().with_group(matrices, muon.build(), None);
        Ok(BurnBase::new(model, both)?)
    }

    /// Paths of the parameters that Muon optimizes.
    fn matrices(&self, layout: &FlatLayout) -> Vec<String> {
        let slots = layout.slots().iter();
        let matrices = slots.filter(|slot| slot.shape.len() == 2);
        let paths = matrices.map(|slot| slot.path.clone());
        paths
            .filter(|path| !self.with_adamw.contains(path))
            .collect()
    }
}

/// Burn's Muon (Jordan et al. 2024) for the matrices and AdamW for all other parameters.
///
/// Muon's step is the momentum, orthogonalised by five Newton–Schulz iterations, times 0.2√max(rows, columns), so that
/// one learning rate suits both groups (Liu et al. 2025). Burn's Muon only takes matrices: AdamW optimizes convolution
/// kernels here, whereas Muon's authors flatten them to matrices.
#[derive(Debug)]
pub struct Muon<M: Module> {
    optimizer: FosiOptimizer<BurnBase<M>>,
    kept: usize,
    steps: u64,
    cost: Cost,
}

/// The header of the state.
#[derive(Serialize, Deserialize)]
struct Header {
    steps: u64,
    bytes: usize,
}

impl<M: Module> Muon<M> {
    /// Muon for modules like `model`.
    ///
    /// # Errors
    /// Those of [`MuonConfig::base`].
    pub fn new(model: &M, config: &MuonConfig) -> Result<Self, RivalError> {
        let never = FosiConfig {
            schedule: Schedule::Never,
            ..FosiConfig::default()
        };
        let optimizer = FosiOptimizer::new(model, config.base(model)?, never)?;
        let layout = optimizer.layout();
        let matrices = config.matrices(layout);
        let of_muon = layout
            .slots()
            .iter()
            .filter(|slot| matrices.contains(&slot.path));
        let of_muon: usize = of_muon.map(fosi_burn::Slot::len).sum();
        Ok(Self {
            // One moment per entry of Muon's matrices, two per other entry.
            kept: 2 * layout.len() - of_muon,
            optimizer,
            steps: 0,
            cost: Cost::default(),
        })
    }
}

impl<M: Module> Rival<M> for Muon<M> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn step(
        &mut self,
        learning_rate: f64,
        model: &mut M,
        loss: &dyn Loss<M>,
    ) -> Result<StepDone, RivalError> {
        let (value, gradients) = backward(&*model, |model| loss.loss(model))?;
        self.optimizer
            .step_without_refresh(learning_rate, model, gradients)?;
        self.steps += 1;
        self.cost.gradients += 1;
        Ok(StepDone::new(value, learning_rate))
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn kept_floats(&self) -> usize {
        self.kept
    }

    fn to_bytes(&self) -> Result<Vec<u8>, RivalError> {
        let bytes = self.optimizer.to_bytes()?;
        let mut arrays = Arrays::default();
        arrays.put_bytes("optimizer", &bytes);
        let header = Header {
            steps: self.steps,
            bytes: bytes.len(),
        };
        serialize(NAME, self.optimizer.layout(), header, &arrays)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), RivalError> {
        let layout = self.optimizer.layout();
        let (header, mut arrays): (Header, _) = deserialize(NAME, layout, bytes)?;
        let state = arrays.take_bytes("optimizer", header.bytes)?;
        self.optimizer.restore(&state)?;
        self.steps = header.steps;
        self.cost = Cost::default();
        Ok(())
    }
}
