//! Any optimizer of Burn as FOSI's base.

use std::borrow::{Borrow, BorrowMut};

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::RecordError;
use burn::tensor::{Bytes, FloatDType, Tensor};
use fosi::Error;
use fosi::base::{Base, BaseStep, Momentum, UpdateRule, split_step};
use fosi::scaling::Extremes;
use fosi::split::{Moved, Split};

use crate::error::BridgeError;
use crate::fingerprint::Fingerprint;
use crate::flat::FlatLayout;
use crate::module_space::ModuleSpace;
use crate::record::{is_half, renamed, widened};

/// An optimizer of Burn as the base of [`FosiOptimizer`](crate::FosiOptimizer).
///
/// In each step it gets the module's parameters and, as their gradient, the complement's gradient g₂; d_b is minus the
/// change of the parameters that it makes. Before the first refresh the step is bit for bit Burn's own, except for parameters
/// that the loss does not reach: Burn skips them, whereas here their gradient is zero, which matters with weight decay.
/// For parameters in f16 and bf16 it gets the f32 master weights of [`FosiOptimizer`](crate::FosiOptimizer), so its
/// state is in f32 too.
///
/// Burn does not expose an optimizer's rule, so the caller can provide two things: the momentum rule for the subspace
/// ([`with_momentum`](Self::with_momentum); default none, c̄ = c) and the factor by which removing the subspace raises
/// the learning rate ([`with_rate_ratio`](Self::with_rate_ratio); default 1). A refresh keeps the part of the
/// subspace's momentum that lies in the new subspace. Momentum in the base's own state is inaccessible and stays there,
/// whereas the native bases of [`fosi::base`] split it.
///
/// Burn's weight decay in `SgdConfig` and `AdamConfig` is added to g₂, so the curvature does not see it; in
/// `AdamWConfig` it is part of d_b, and its component in the subspace is projected out. If that matters, put the decay
/// into the loss or use the native `AdamW`.
///
/// A checkpoint is refused if its optimizer has another rule, other settings or other clipping than this one; the
/// learning rate does not matter. To continue with other settings, load the checkpoint with the old settings; then,
/// through [`Fosi::base_mut`](fosi::Fosi::base_mut), replace the base by one whose optimizer has loaded the old one's
/// record (`optimizer().to_record()`, `load_record`).
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::optim::{SgdConfig, momentum::MomentumConfig};
/// use burn::tensor::{Device, Tensor};
/// use fosi::base::{HeavyBall, Momentum, UpdateRule};
/// use fosi::FosiConfig;
/// use fosi_burn::{BurnBase, FosiOptimizer, like_module};
///
/// let device = Device::flex().autodiff();
/// let mut model = LinearConfig::new(3, 1).init(&device);
/// let batch = Tensor::<2>::from_data([[1.0, 0.2, 3.0], [0.5, 2.0, -1.0]], &device);
///
/// // Burn's momentum is v ← 0.9v + (1 − dampening)g.
/// let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
/// let sgd = SgdConfig::new().with_momentum(Some(momentum)).init();
/// let native = HeavyBall::new(0.9);
/// let base = BurnBase::new(&model, sgd)?
///     .with_momentum(Momentum { decay: 0.9, ..Momentum::NONE })
///     .with_rate_ratio(move |extremes| native.rate_ratio(extremes));
///
/// let mut optimizer = FosiOptimizer::new(&model, base, FosiConfig::default())?;
/// let loss = |model: &Linear| model.forward(like_module(batch.clone(), model)).square().mean();
/// optimizer.step(0.01, &mut model, &loss)?;
/// # Ok::<(), fosi_burn::OptimizerError>(())
/// ```
pub struct BurnBase<M> {
    optimizer: ModuleOptimizer,
    /// Identifies the optimizer's rule and settings, independently of its state.
    fingerprint: Fingerprint,
    /// Provides shapes, ids, paths and float types for flat vectors; its values are not used.
    carrier: M,
    /// Whether the module has parameters in half precision, which this base holds in f32.
    half: bool,
    layout: FlatLayout,
    momentum: Momentum,
    rate_ratio: Box<dyn Fn(&Extremes) -> f64 + Send + Sync>,
}

impl<M> std::fmt::Debug for BurnBase<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BurnBase")
            .field("layout", &self.layout)
            .field("momentum", &self.momentum)
            .finish_non_exhaustive()
    }
}

impl<M: Module> BurnBase<M> {
    /// A base for modules like `module`. `optimizer` is the result of `init()` of one of Burn's optimizer
    /// configurations.
    ///
    /// # Errors
    /// [`BridgeError::NothingToTrain`] or [`BridgeError::ConflictingShapes`]; [`BridgeError::UnfitOptimizer`] where the
    /// optimizer does not support parameters of these ranks; [`BridgeError::OptimizerState`] where its state in half
    /// precision cannot be converted.
    pub fn new(module: &M, optimizer: impl Into<ModuleOptimizer>) -> Result<Self, BridgeError> {
        let mut optimizer = optimizer.into();
        let mut widen = Widen { half: false };
        let carrier = module.clone().map(&mut widen);
        if widen.half {
            let state = widened(optimizer.into_bytes()?)?;
            optimizer = optimizer.load_record(OptimizerRecord::from_bytes(state)?);
        }
        Ok(Self {
            fingerprint: Fingerprint::of(&optimizer, &carrier)?,
            optimizer,
            carrier,
            half: widen.half,
            layout: FlatLayout::of(module)?,
            momentum: Momentum::NONE,
            rate_ratio: Box::new(|_| 1.0),
        })
    }

    /// Sets the momentum rule in the subspace; it should be the optimizer's own.
    pub fn with_momentum(mut self, momentum: Momentum) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets η₂*/η* for the optimizer as a function of the spectrum's extremes (paper, §3.6); the default 1 suits
    /// adaptive optimizers.
    pub fn with_rate_ratio(
        mut self,
        ratio: impl Fn(&Extremes) -> f64 + Send + Sync + 'static,
    ) -> Self {
        self.rate_ratio = Box::new(ratio);
        self
    }

    /// The wrapped optimizer.
    pub fn optimizer(&self) -> &ModuleOptimizer {
        &self.optimizer
    }

    /// The parameters after the optimizer's step. On an error, the optimizer's state is restored.
    fn advance<S: ModuleSpace>(
        &mut self,
        at: &BaseStep<'_, S>,
        parameters: &S::Vector,
        gradient: &S::Vector,
    ) -> Result<S::Owned, Error> {
        let (space, layout) = (at.space, &self.layout);
        let module = layout.set_parameters(&self.carrier, parameters);
        let module = module.map_err(user)?;
        let gradients = layout.to_gradients(&module, gradient).map_err(user)?;
        let before = self.optimizer.clone();
        let module = self.optimizer.step(at.learning_rate, module, gradients);
        let mut moved = space.zeros();
        let vector: &mut S::Vector = moved.borrow_mut();
        let moved = match layout.read_parameters(&module, vector) {
            Ok(()) if space.max_abs(vector).is_finite() => Ok(moved),
            Ok(()) => Err(Error::User(
                "the wrapped optimizer's step is not finite; lower the learning rate or clip the gradient".into(),
            )),
            Err(error) => Err(user(error)),
        };
        moved.inspect_err(|_| self.optimizer = before)
    }

    /// The ids by which Burn identifies the state of a parameter.
    fn ids(&self) -> Vec<u8> {
        let ids = self.layout.slots().iter().map(|slot| slot.id.val());
        ids.flat_map(u64::to_le_bytes).collect()
    }
}

/// Converts trainable parameters in half precision to f32, so that the optimizer's step is not rounded to half
/// precision.
struct Widen {
    /// Whether there was any such parameter.
    half: bool,
}

impl ModuleMapper for Widen {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() || !is_half(param.base().dtype()) {
            return param;
        }
        self.half = true;
        param.map(|value| {
            let value = value.set_require_grad(false).cast(FloatDType::F32);
            value.require_grad()
        })
    }
}

fn user(error: BridgeError) -> Error {
    Error::User(error.into())
}

impl<M: Module> UpdateRule for BurnBase<M> {
    fn name(&self) -> &'static str {
        "burn"
    }
    fn momentum(&self) -> Momentum {
        self.momentum
    }
    fn rate_ratio(&self, extremes: &Extremes) -> f64 {
        (self.rate_ratio)(extremes)
    }
}

impl<S: ModuleSpace, M: Module> Base<S> for BurnBase<M> {
    fn state_len(&self) -> usize {
        0
    }

    fn direction(
        &mut self,
        at: BaseStep<'_, S>,
        parameters: &S::Vector,
        gradient: &mut S::Vector,
    ) -> Result<(), Error> {
        let moved = self.advance(&at, parameters, gradient)?;
        at.space.axpby(1.0, parameters, 0.0, gradient);
        at.space.axpby(-1.0, moved.borrow(), 1.0, gradient);
        Ok(())
    }

    /// No: Burn's optimizers take whole tensors.
    fn works_on_shards(&self) -> bool {
        false
    }

    /// Possibly: an infinity would stay undetected in the inaccessible state.
    fn squares(&self) -> bool {
        true
    }

    fn export(&self) -> Result<Vec<u8>, Error> {
        let state = self.optimizer.into_bytes();
        let state = state.map_err(|error| Error::Checkpoint(error.to_string()))?;
        let fingerprint = self.fingerprint.to_bytes();
        Ok([self.ids().as_slice(), &fingerprint, &state].concat())
    }

    fn import(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let own = self.ids();
        let (Some(ids), Some(state)) = (bytes.get(..own.len()), bytes.get(own.len()..)) else {
            return Err(Error::Checkpoint(
                "the state of Burn's optimizer is truncated".into(),
            ));
        };
        let Some((fingerprint, state)) = Fingerprint::split(state) else {
            return Err(Error::Checkpoint(
                "the state of Burn's optimizer is truncated".into(),
            ));
        };
        // Older files have no fingerprint.
        if let Some(theirs) = fingerprint
            && !theirs.agrees(&self.fingerprint)
        {
            return Err(Error::Checkpoint(
                "the state of Burn's optimizer was made by another kind of optimizer or with other settings: make this \
                 one of the same kind, with the same betas, weight decay, clipping and so on; the learning rate may differ"
                    .into(),
            ));
        }
        let damaged = |error: RecordError| Error::Checkpoint(error.to_string());
        let mut state = Bytes::from_bytes_vec(state.to_vec());
        if self.half {
            state = widened(state).map_err(damaged)?;
        }
        if ids != own {
            // Parameters are matched by path, since their ids come from the file that the module was loaded from.
            let numbers = |ids: &[u8]| {
                ids.as_chunks()
                    .0
                    .iter()
                    .map(|id| u64::from_le_bytes(*id))
                    .collect::<Vec<_>>()
            };
            let now = numbers(ids).into_iter().zip(numbers(&own)).collect();
            state = renamed(state, &now).map_err(damaged)?;
        }
        let record = OptimizerRecord::from_bytes(state).map_err(damaged)?;
        let saved = record.len();
        let restored = self.optimizer.clone().load_record(record);
        // Burn silently starts with a new state if the given state does not belong to the optimizer.
        let taken = restored.to_record().len();
        if taken != saved {
            return Err(Error::Checkpoint(format!(
                "it holds {saved} state tensors, of which this Burn optimizer accepts {taken}: it was made by another"
            )));
        }
        self.optimizer = restored;
        Ok(())
    }

    /// Before the first refresh, uses the optimizer's new parameters θ′ directly, since θ − (θ − θ′) rounds twice.
    fn step(
        &mut self,
        at: BaseStep<'_, S>,
        gradient: &S::Vector,
        split: &Split<'_, S::Basis>,
        parameters: &mut S::Vector,
        scratch: &mut S::Owned,
    ) -> Result<Moved, Error> {
        if split.basis.is_some() {
            return split_step(self, at, gradient, split, parameters, scratch);
        }
        let space = at.space;
        let clipped: &mut S::Vector = scratch.borrow_mut();
        space.axpby(split.gradient_scale, gradient, 0.0, clipped);
        let moved = self.advance(&at, parameters, clipped)?;
        space.axpby(1.0, moved.borrow(), -1.0, parameters);
        let norm = space.norm(parameters);
        space.axpby(1.0, moved.borrow(), 0.0, parameters);
        Ok(Moved {
            complement_norm: norm,
            // A non-finite step has been refused before.
            finite: true,
        })
    }
}
