//! L-BFGS with a line search on the step's batch.

mod history;
mod line_search;

use std::marker::PhantomData;

use burn::module::Module;
use fosi_burn::FlatLayout;
use serde::{Deserialize, Serialize};

use crate::copies::{Copies, gradient};
use crate::error::{RivalError, require};
use crate::loss::Loss;
use crate::numbers::{all_finite, axpy, dot, norm};
use crate::rival::{Cost, Rival, StepDone};
use crate::state::{Arrays, deserialize, serialize};
use history::History;
use line_search::Line;

const NAME: &str = "lbfgs";

/// The settings of [`Lbfgs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LbfgsConfig {
    /// L ≥ 1: number of pairs kept; default 10.
    pub history: usize,
    /// The maximum number of trial points per line search, at least 1; default 30.
    pub most_trials: u64,
}

impl Default for LbfgsConfig {
    fn default() -> Self {
        Self {
            history: 10,
            most_trials: 30,
        }
    }
}

/// L-BFGS (Liu, Nocedal 1989): Δ = −αHg, where the two-loop recursion applies the inverse Hessian H of the last L
/// pairs, with H₀ = (sᵀy/yᵀy) I from the newest pair.
///
/// α satisfies the strong Wolfe conditions on the step's batch, f(θ + Δ) ≤ f(θ) + 10⁻⁴gᵀΔ and |g(θ + Δ)ᵀΔ| ≤ 0.9|gᵀΔ|,
/// found by Moré–Thuente line search (of the crate argmin). It starts at 1, or at min(1, 1/‖g‖) without pairs. If it
/// finds no such α, it takes the lowest trial point that satisfies the first condition. If there is none, or |gᵀΔ| is
/// below the rounding of f, the parameters do not change and the pairs are discarded. Learning rates have no effect.
///
/// s = Δ and y = g(θ + Δ) − g(θ) come from the same batch. JAXopt's `LBFGS.update` differs: with a new batch at each
/// call, its direction and the initial value of its search come from the previous batch, y is a difference of gradients
/// on two batches, and a pair is kept whatever the sign of sᵀy. Here, pairs with sᵀy ≤ 10⁻¹⁰‖s‖‖y‖ are skipped, so H
/// stays positive definite.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use fosi_rivals::{Lbfgs, LbfgsConfig, Rival};
///
/// let device = Device::flex().autodiff();
/// let mut model = LinearConfig::new(2, 1).init(&device);
/// let x = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0], [1.0, 2.0]], &device);
/// let loss = |model: &Linear| (model.forward(x.clone()) - x.clone().sum_dim(1)).square().mean();
/// let mut lbfgs = Lbfgs::new(&model, LbfgsConfig::default())?;
/// for _ in 0..10 {
///     lbfgs.step(1.0, &mut model, &loss)?;
/// }
/// assert!(lbfgs.step(1.0, &mut model, &loss)?.loss < 1e-6);
/// # Ok::<(), fosi_rivals::RivalError>(())
/// ```
#[derive(Debug)]
pub struct Lbfgs<M> {
    config: LbfgsConfig,
    layout: FlatLayout,
    history: History,
    steps: u64,
    cost: Cost,
    module: PhantomData<fn() -> M>,
}

/// The header of the state.
#[derive(Serialize, Deserialize)]
struct Header {
    steps: u64,
    pairs: usize,
}

impl<M: Module> Lbfgs<M> {
    /// L-BFGS for modules like `model`.
    ///
    /// # Errors
    /// [`RivalError::Setting`], or [`RivalError::Bridge`] for a module without trainable parameters.
    pub fn new(model: &M, config: LbfgsConfig) -> Result<Self, RivalError> {
        let (history, trials) = (config.history, config.most_trials);
        require(history >= 1, "history", history as f64, "at least 1")?;
        require(trials >= 1, "most_trials", trials as f64, "at least 1")?;
        Ok(Self {
            config,
            layout: FlatLayout::of(model)?,
            history: History::default(),
            steps: 0,
            cost: Cost::default(),
            module: PhantomData,
        })
    }

    /// The current number of pairs.
    pub fn pairs(&self) -> usize {
        self.history.len()
    }
}

impl<M: Module> Rival<M> for Lbfgs<M> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn step(
        &mut self,
        _learning_rate: f64,
        model: &mut M,
        loss: &dyn Loss<M>,
    ) -> Result<StepDone, RivalError> {
        let copies = Copies::of(&*model)?;
        let parameters = copies.parameters()?;
        let (value, gradient) = gradient(&self.layout, &*model, loss)?;
        if !value.is_finite() || !all_finite(&gradient) {
            return Err(RivalError::NotFinite {
                what: "loss or gradient",
                step: self.steps,
            });
        }
        let direction = self.history.direction(&gradient);
        let mut line = Line::new(&copies, loss, &parameters, &direction);
        line.start(value, dot(&gradient, &direction));
        let first = match self.history.len() {
            0 => (1.0 / norm(&gradient)).min(1.0),
            _ => 1.0,
        };
        let found = line.search(first, self.config.most_trials)?;
        let trials = line.trials();
        let length = match found {
            Some(trial) => {
                let mut change = vec![0.0; gradient.len()];
                let mut moved = parameters.clone();
                axpy(trial.length, &direction, &mut moved);
                *model = self.layout.set_parameters(&*model, &moved[..])?;
                axpy(trial.length, &direction, &mut change);
                let mut difference = trial.gradient;
                axpy(-1.0, &gradient, &mut difference);
                self.history.push(&change, &difference, self.config.history);
                trial.length
            }
            None => {
                self.history.clear();
                0.0
            }
        };
        self.steps += 1;
        self.cost.gradients += 1;
        self.cost.line_search += trials;
        Ok(StepDone::new(value, length))
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn kept_floats(&self) -> usize {
        2 * self.history.len() * self.layout.len()
    }

    fn to_bytes(&self) -> Result<Vec<u8>, RivalError> {
        let header = Header {
            steps: self.steps,
            pairs: self.history.len(),
        };
        let mut arrays = Arrays::default();
        self.history.store(&mut arrays);
        serialize(NAME, &self.layout, header, &arrays)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), RivalError> {
        let (header, mut arrays): (Header, _) = deserialize(NAME, &self.layout, bytes)?;
        self.history = History::restored(header.pairs, self.layout.len(), &mut arrays)?;
        self.steps = header.steps;
        self.cost = Cost::default();
        Ok(())
    }
}
