//! AdaHessian: Adam with the Hessian's diagonal in place of the squared gradient.

use std::marker::PhantomData;

use burn::module::Module;
use fosi_burn::{FlatLayout, Slot};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::copies::{Copies, gradient};
use crate::error::{RivalError, require, require_decay, require_rate};
use crate::loss::Loss;
use crate::numbers::{all_finite, axpy, norm};
use crate::rival::{Cost, Rival, StepDone};
use crate::state::{Arrays, deserialize, serialize};

const NAME: &str = "adahessian";

/// The settings of [`AdaHessian`]. The defaults are the authors'.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaHessianConfig {
    /// β₁ in [0, 1); default 0.9.
    pub beta1: f64,
    /// β₂ in [0, 1); default 0.999.
    pub beta2: f64,
    /// ε > 0, added to the denominator; default 1e-4.
    pub epsilon: f64,
    /// κ in [0, 1], the Hessian's power; default 1.
    pub hessian_power: f64,
    /// Decoupled weight decay λ ≥ 0; default 0.
    pub weight_decay: f64,
    /// Seed of the random signs; default 0.
    pub seed: u64,
}

impl Default for AdaHessianConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-4,
            hessian_power: 1.0,
            weight_decay: 0.0,
            seed: 0,
        }
    }
}

impl AdaHessianConfig {
    /// The update of step t ≥ 1.
    pub fn update(&self, t: u64) -> AdaHessianUpdate {
        let t = t as f64;
        AdaHessianUpdate {
            config: *self,
            corrections: [self.beta1, self.beta2].map(|beta| 1.0 - beta.powf(t)),
        }
    }
}

/// The update of one step of [`AdaHessian`], coordinate by coordinate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaHessianUpdate {
    config: AdaHessianConfig,
    /// 1 − β₁ᵗ and 1 − β₂ᵗ.
    corrections: [f64; 2],
}

impl AdaHessianUpdate {
    /// The coordinate's new moments m and v, and m̂/(v̂^{κ/2} + ε), from its moments before the step, its gradient and D.
    pub fn coordinate(
        &self,
        (m, v): (f64, f64),
        gradient: f64,
        diagonal: f64,
    ) -> ((f64, f64), f64) {
        let config = &self.config;
        let m = config.beta1 * m + (1.0 - config.beta1) * gradient;
        let v = config.beta2 * v + (1.0 - config.beta2) * diagonal * diagonal;
        let size = (v / self.corrections[1]).powf(0.5 * config.hessian_power);
        ((m, v), m / self.corrections[0] / (size + config.epsilon))
    }
}

/// AdaHessian (Yao, Gholami, Shen, Mustafa, Keutzer, Mahoney 2021).
///
/// Step t, with random signs z: D = |z ⊙ Hz|, the absolute value of Hutchinson's estimate of the Hessian's diagonal,
/// averaged over the entries of each convolution kernel; m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)D²; θ ← θ − η(m̂/(v̂^{κ/2}
/// + ε) + λθ) with m̂ = m/(1−β₁ᵗ) and v̂ = v/(1−β₂ᵗ).
///
/// Hz is a central difference of two gradients, (g(θ + εz) − g(θ − εz))/2ε, in f64 with ‖εz‖ = 10⁻⁸max(1, ‖θ‖) if the
/// devices compute in f64, otherwise in f32 with 10⁻³max(1, ‖θ‖).
#[derive(Debug)]
pub struct AdaHessian<M> {
    config: AdaHessianConfig,
    layout: FlatLayout,
    first: Vec<f32>,
    second: Vec<f32>,
    steps: u64,
    cost: Cost,
    module: PhantomData<fn() -> M>,
}

/// The header of the state.
#[derive(Serialize, Deserialize)]
struct Header {
    steps: u64,
}

impl<M: Module> AdaHessian<M> {
    /// AdaHessian for modules like `model`.
    ///
    /// # Errors
    /// [`RivalError::Setting`], or [`RivalError::Bridge`] for a module without trainable parameters.
    pub fn new(model: &M, config: AdaHessianConfig) -> Result<Self, RivalError> {
        require_decay("beta1", config.beta1)?;
        require_decay("beta2", config.beta2)?;
        let AdaHessianConfig {
            epsilon,
            hessian_power: power,
            weight_decay: decay,
            ..
        } = config;
        let positive = epsilon > 0.0 && epsilon.is_finite();
        require(positive, "epsilon", epsilon, "positive and finite")?;
        let unit = (0.0..=1.0).contains(&power);
        require(unit, "hessian_power", power, "from 0 to 1")?;
        let nonnegative = decay >= 0.0 && decay.is_finite();
        require(nonnegative, "weight_decay", decay, "finite and at least 0")?;
        let layout = FlatLayout::of(model)?;
        let zeros = vec![0.0; layout.len()];
        Ok(Self {
            config,
            layout,
            first: zeros.clone(),
            second: zeros,
            steps: 0,
            cost: Cost::default(),
            module: PhantomData,
        })
    }

    /// D at the parameters of `model`.
    fn diagonal(&self, model: &M, loss: &dyn Loss<M>) -> Result<Vec<f64>, RivalError> {
        let copies = Copies::precise(model)?;
        let parameters = copies.parameters()?;
        let mut random = ChaCha8Rng::seed_from_u64(self.config.seed);
        random.set_stream(self.steps);
        let mut sign = || if random.random::<bool>() { 1.0 } else { -1.0 };
        let signs: Vec<f64> = parameters.iter().map(|_| sign()).collect();
        let relative = if copies.is_double() { 1e-8 } else { 1e-3 };
        let step = relative * norm(&parameters).max(1.0) / norm(&signs);
        let gradient = |step: f64| {
            let mut point = parameters.clone();
            axpy(step, &signs, &mut point);
            Ok::<_, RivalError>(copies.gradient(&point, loss)?.1)
        };
        let (after, before) = (gradient(step)?, gradient(-step)?);
        let products = after.iter().zip(&before).zip(&signs);
        let mut diagonal: Vec<f64> = products
            .map(|((after, before), sign)| (sign * (after - before) / (2.0 * step)).abs())
            .collect();
        for slot in self.layout.slots() {
            average_kernels(slot, &mut diagonal[slot.range()]);
        }
        Ok(diagonal)
    }
}

/// Averages over each kernel (dimensions 3 and 4) of a convolution's weight.
fn average_kernels(slot: &Slot, diagonal: &mut [f64]) {
    if let [_, _, height, width] = *slot.shape {
        for kernel in diagonal.chunks_mut((height * width).max(1)) {
            let mean = kernel.iter().sum::<f64>() / kernel.len() as f64;
            kernel.fill(mean);
        }
    }
}

impl<M: Module> Rival<M> for AdaHessian<M> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn step(
        &mut self,
        learning_rate: f64,
        model: &mut M,
        loss: &dyn Loss<M>,
    ) -> Result<StepDone, RivalError> {
        require_rate(learning_rate)?;
        let config = self.config;
        let diagonal = self.diagonal(&*model, loss)?;
        let mut parameters: Vec<f64> = self.layout.parameters(&*model)?;
        let (value, gradient) = gradient(&self.layout, &*model, loss)?;
        let update = config.update(self.steps + 1);
        let (mut first, mut second) = (self.first.clone(), self.second.clone());
        for i in 0..parameters.len() {
            let moments = (f64::from(first[i]), f64::from(second[i]));
            let ((m, v), step) = update.coordinate(moments, gradient[i], diagonal[i]);
            (first[i], second[i]) = (m as f32, v as f32);
            parameters[i] -= learning_rate * (step + config.weight_decay * parameters[i]);
        }
        if !value.is_finite() || !all_finite(&parameters) {
            return Err(RivalError::NotFinite {
                what: "loss or step",
                step: self.steps,
            });
        }
        *model = self.layout.set_parameters(&*model, &parameters[..])?;
        (self.first, self.second) = (first, second);
        self.steps += 1;
        self.cost.gradients += 1;
        self.cost.products += 1;
        Ok(StepDone::new(value, learning_rate))
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn kept_floats(&self) -> usize {
        self.first.len() + self.second.len()
    }

    fn to_bytes(&self) -> Result<Vec<u8>, RivalError> {
        let mut arrays = Arrays::default();
        arrays.put("first", &self.first);
        arrays.put("second", &self.second);
        let header = Header { steps: self.steps };
        serialize(NAME, &self.layout, header, &arrays)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), RivalError> {
        let (header, mut arrays): (Header, _) = deserialize(NAME, &self.layout, bytes)?;
        let n = self.layout.len();
        let moments = (arrays.take("first", n)?, arrays.take("second", n)?);
        (self.first, self.second) = moments;
        self.steps = header.steps;
        self.cost = Cost::default();
        Ok(())
    }
}
