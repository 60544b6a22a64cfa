//! Adam (Kingma, Ba 2015) and AdamW (Loshchilov, Hutter 2019).

use crate::elementwise::{Elements, Elementwise};
use crate::error::{Error, require};
use crate::float::FloatLimits;
use crate::momentum::Momentum;
use crate::space::Space;
use crate::split::{Moved, Split};
use crate::update_rule::UpdateRule;

use super::{Base, BaseStep};

/// Adam: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², θ ← θ − η·m̂/(√v̂ + ε) with m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// β₁ in [0, 1); default 0.9.
    pub beta1: f64,
    /// β₂ in [0, 1); default 0.999.
    pub beta2: f64,
    /// ε > 0, added to √v̂; default 1e-8.
    pub epsilon: f64,
    /// Whether FOSI's Newton step uses the bias-corrected momentum c̄/(1−β₁ᵗ), like m̂; default true.
    ///
    /// The public Python implementation corrects the bias only in the complement: its Newton step at step t is 1−β₁ᵗ
    /// times this one, a tenth at the first step. Adam without FOSI ignores this setting, and checkpoints do not store
    /// it, since c̄ is stored uncorrected in either case.
    pub subspace_bias_correction: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            subspace_bias_correction: true,
        }
    }
}

/// The coefficients of one Adam step.
#[derive(Debug, Clone, Copy)]
pub struct AdamStep {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    rate: f64,
    second_correction: f64,
}

impl UpdateRule for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }
    fn momentum(&self) -> Momentum {
        Momentum {
            decay: self.beta1,
            gain: 1.0 - self.beta1,
            lookahead: false,
            bias_correction: self.subspace_bias_correction,
        }
    }
    fn validate(&self, limits: &FloatLimits) -> Result<(), Error> {
        let allowed = "at least 0 and below 1";
        require(
            (0.0..1.0).contains(&self.beta1),
            "beta1",
            self.beta1,
            allowed,
        )?;
        require(
            (0.0..1.0).contains(&self.beta2),
            "beta2",
            self.beta2,
            allowed,
        )?;
        let normal = (limits.min_positive..=limits.max).contains(&self.epsilon);
        let allowed = "positive, finite and no subnormal number in the vectors' precision (in f32 at least 1.2e-38)";
        require(normal, "epsilon", self.epsilon, allowed)
    }
}

impl Elementwise for Adam {
    type Coefficients = AdamStep;
    const STATE: usize = 2;
    const SQUARES: bool = true;
    const PRECONDITIONS: bool = true;

    fn coefficients(&self, step: u64, learning_rate: f64) -> AdamStep {
        let t = step as f64;
        AdamStep {
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            rate: learning_rate / (1.0 - self.beta1.powf(t)),
            second_correction: 1.0 / (1.0 - self.beta2.powf(t)),
        }
    }
    #[inline(always)]
    fn direction<E: Elements>(step: &AdamStep, state: &mut [E], gradient: E) -> E {
        state[0] = state[0].clone().scale(step.beta1) + gradient.clone().scale(1.0 - step.beta1);
        let square = gradient.clone() * gradient;
        state[1] = state[1].clone().scale(step.beta2) + square.scale(1.0 - step.beta2);
        let size = state[1].clone().scale(step.second_correction).sqrt();
        state[0].clone().scale(step.rate) / size.offset(step.epsilon)
    }
    #[inline(always)]
    fn precondition<E: Elements>(step: &AdamStep, state: &[E], x: E) -> E {
        let size = state[1].clone().scale(step.second_correction).sqrt();
        x / size.offset(step.epsilon)
    }
}

/// AdamW: Adam's step plus the decoupled decay θ ← θ − ηλθ. FOSI never projects the decay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// The step without decay.
    pub adam: Adam,
    /// λ ≥ 0; default 0.01.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            adam: Adam::default(),
            weight_decay: 0.01,
        }
    }
}

impl UpdateRule for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }
    fn momentum(&self) -> Momentum {
        self.adam.momentum()
    }
    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }
    fn validate(&self, limits: &FloatLimits) -> Result<(), Error> {
        let allowed = self.weight_decay >= 0.0 && self.weight_decay.is_finite();
        require(
            allowed,
            "weight_decay",
            self.weight_decay,
            "at least 0 and finite",
        )?;
        self.adam.validate(limits)
    }
}

/// Delegates to Adam, since the split applies the decay; this avoids compiling Adam's step twice.
impl<S: Space> Base<S> for AdamW {
    fn state_len(&self) -> usize {
        Base::<S>::state_len(&self.adam)
    }
    fn direction(
        &mut self,
        at: BaseStep<'_, S>,
        parameters: &S::Vector,
        gradient: &mut S::Vector,
    ) -> Result<(), Error> {
        self.adam.direction(at, parameters, gradient)
    }
    fn squares(&self) -> bool {
        Base::<S>::squares(&self.adam)
    }
    fn works_on_shards(&self) -> bool {
        Base::<S>::works_on_shards(&self.adam)
    }
    fn precondition(
        &self,
        space: &S,
        step: u64,
        state: &mut [S::Owned],
        x: &mut S::Vector,
    ) -> bool {
        self.adam.precondition(space, step, state, x)
    }
    fn step(
        &mut self,
        at: BaseStep<'_, S>,
        gradient: &S::Vector,
        split: &Split<'_, S::Basis>,
        parameters: &mut S::Vector,
        scratch: &mut S::Owned,
    ) -> Result<Moved, Error> {
        self.adam.step(at, gradient, split, parameters, scratch)
    }
}
