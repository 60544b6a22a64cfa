//! K-FAC: the natural gradient with Kronecker-factored blocks.

mod arrangement;
mod average;
mod block;
mod config;
mod curvature;
mod diagonal;
mod inverse;
mod kronecker;
mod outputs;
mod patches;
mod plane;
mod quadratic_model;

use std::marker::PhantomData;

use burn::module::Module;
use fosi_burn::FlatLayout;
use serde::{Deserialize, Serialize};

use crate::copies::{Copies, gradient};
use crate::error::{RivalError, require_rate};
use crate::loss::Loss;
use crate::numbers::{all_finite, axpy, dot};
use crate::rival::{Cost, Rival, StepDone};
use crate::state::{Arrays, deserialize, serialize};
use block::Block;
use curvature::Curvature;
use plane::Plane;
use quadratic_model::QuadraticModel;

pub use average::FactorValues;
pub use config::{Damping, Fisher, KfacConfig, Momentum};

const NAME: &str = "kfac";

/// K-FAC (Martens, Grosse 2015; Grosse, Martens 2016 for convolutions), as in kfac-jax 0.0.8.
///
/// A step is Δ = −η(F + λI)⁻¹g + μΔ′, where Δ′ is the previous step. F is block-diagonal with one block per layer:
///
/// | layer | block |
/// |---|---|
/// | dense, convolution, transposed convolution | T·A⊗G |
/// | batch norm | diagonal: E\[(Σ g·x̂)²\] for the scale, E\[(Σ g)²\] for the shift |
/// | depthwise and other grouped convolutions | diagonal: (Σ g_w)²/N for the weight, E\[(Σ g)²\] for the bias |
///
/// A is E\[aaᵀ\] with the layer's inputs a (and a 1 for the bias), and G is E\[ggᵀ\] with its output gradients g: means
/// over the examples and their T positions. The sums in the diagonals run over positions; x̂ is the normalised input,
/// and Σ g_w the weight's gradient summed over the N examples.
///
/// A and G are decaying averages over steps with the total weight `w ← decay·w + 1`, which avoids a bias at the start.
/// (A⊗G + λI)⁻¹ is approximated by (A + π√λ I)⁻¹ ⊗ (G + √λ/π I)⁻¹, where π² is the ratio of the mean traces of A and G;
/// the factor T of the block replaces λ by λ/T. The inverses are updated every
/// [`inverse_interval`](KfacConfig::inverse_interval) steps. λ follows the Levenberg–Marquardt rule or is constant. η
/// and μ are given, or they minimise gᵀΔ + ½Δᵀ(F* + λI)Δ with the exact Fisher matrix F* of the batch, whose Jacobian
/// products JΔ are differences of forward passes, in f64 if the devices compute in it.
///
/// Differences from kfac-jax: a transposed convolution is factored as the equivalent convolution of its input with
/// zeros between the entries (kfac-jax ignores the zeros); there are no burn-in steps; and no layer may be called
/// twice. In both implementations, the blocks ignore that batch norm couples the examples.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use fosi_rivals::kfac::{Fisher, Momentum};
/// use fosi_rivals::{Kfac, KfacConfig, Loss, Prediction, Recorder, Rival};
///
/// struct Regression { x: Tensor<2>, y: Tensor<2> }
///
/// impl Loss<Linear> for Regression {
///     fn loss(&self, model: &Linear) -> Tensor<1> {
///         let residual = model.forward(self.x.clone()) - self.y.clone();
///         residual.square().sum() / self.x.dims()[0] as f64
///     }
///     fn predict(&self, model: &Linear, recorder: &mut Recorder) -> Option<Prediction> {
///         Some(Prediction::squared_error(recorder.linear(model, self.x.clone())))
///     }
/// }
///
/// let device = Device::flex().autodiff();
/// let mut model = LinearConfig::new(2, 1).init(&device);
/// let x = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0], [1.0, 2.0]], &device);
/// let loss = Regression { y: x.clone().sum_dim(1), x };
/// // The Fisher matrix of the squared error is the Hessian here: half a Newton step leaves a quarter of the loss.
/// let config = KfacConfig {
///     initial_damping: 1e-6,
///     fisher: Fisher::Exact,
///     momentum: Momentum::Fixed(0.0),
///     ..KfacConfig::default()
/// };
/// let mut kfac = Kfac::new(&model, &loss, config)?;
/// let first = kfac.step(0.5, &mut model, &loss)?.loss;
/// assert!(kfac.step(0.5, &mut model, &loss)?.loss < 0.3 * first);
/// # Ok::<(), fosi_rivals::RivalError>(())
/// ```
#[derive(Debug)]
pub struct Kfac<M> {
    config: KfacConfig,
    layout: FlatLayout,
    curvature: Curvature,
    /// The previous step; empty before the first.
    velocity: Vec<f32>,
    damping: f64,
    steps: u64,
    cost: Cost,
    module: PhantomData<fn() -> M>,
}

/// The header of the state.
#[derive(Serialize, Deserialize)]
struct Header {
    steps: u64,
    damping: f64,
    weight: f64,
    positions: Vec<usize>,
}

/// The factors of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerFactors {
    /// Path of the layer's weight.
    pub path: String,
    /// A and G of a Kronecker block, with rows and columns in the order inputs, height, width, bias; or the diagonals
    /// of the weight and the bias, in the order of their entries.
    pub factors: Vec<FactorValues>,
}

impl<M: Module> Kfac<M> {
    /// K-FAC for modules like `model` and losses like `loss`. One forward pass determines the layers.
    ///
    /// # Errors
    /// [`RivalError::Setting`], [`RivalError::NoPrediction`], [`RivalError::Unsupported`] or
    /// [`RivalError::Unrecorded`]; the last two name the layer.
    pub fn new(model: &M, loss: &dyn Loss<M>, config: KfacConfig) -> Result<Self, RivalError> {
        config.validate()?;
        Ok(Self {
            layout: FlatLayout::of(model)?,
            curvature: Curvature::of(model, loss)?,
            velocity: Vec::new(),
            damping: config.initial_damping,
            steps: 0,
            cost: Cost::default(),
            module: PhantomData,
            config,
        })
    }

    /// The averaged factors, in the order in which the network calls its layers.
    ///
    /// # Errors
    /// [`RivalError::Read`].
    pub fn factors(&self) -> Result<Vec<LayerFactors>, RivalError> {
        let layer = |block: &Block| {
            Ok(LayerFactors {
                path: block.path.clone(),
                factors: block.factors()?,
            })
        };
        self.curvature.blocks.iter().map(layer).collect()
    }

    /// λ of the next step.
    pub fn damping(&self) -> f64 {
        self.damping
    }

    /// (F + λI)⁻¹g, scaled down to the norm constraint.
    fn preconditioned(
        &self,
        curvature: &Curvature,
        gradient: &[f64],
        learning_rate: f64,
    ) -> Result<Vec<f64>, RivalError> {
        let mut direction = curvature.solve(self.damping, gradient)?;
        if let Some(constraint) = self.config.norm_constraint {
            let square = dot(&direction, gradient) * learning_rate * learning_rate;
            let factor = (constraint / square).sqrt().min(1.0);
            direction.iter_mut().for_each(|d| *d *= factor);
        }
        Ok(direction)
    }

    /// The coefficients of the step's two directions, and the quadratic model if it was needed.
    fn coefficients(
        &self,
        (model, loss): (&M, &dyn Loss<M>),
        curvature: &Curvature,
        plane: &Plane<'_>,
        learning_rate: f64,
        cost: &mut Cost,
    ) -> Result<([f64; 2], Option<QuadraticModel>), RivalError> {
        let config = &self.config;
        let momentum = match config.momentum {
            Momentum::Fixed(momentum) => Some(momentum),
            Momentum::Adaptive => None,
        };
        let rate = (!config.adaptive_learning_rate).then_some(-learning_rate);
        if let (Some(rate), Some(momentum)) = (rate, momentum) {
            let adapts = self.adapts();
            let quadratic = adapts.then(|| plane.approximate(curvature)).transpose()?;
            return Ok(([rate, momentum], quadratic));
        }
        let quadratic = plane.exact(model, loss, &mut cost.products)?;
        Ok((
            quadratic.minimum(self.damping, [rate, momentum]),
            Some(quadratic),
        ))
    }

    /// Whether the damping is adapted after this step.
    fn adapts(&self) -> bool {
        match self.config.damping {
            Damping::Fixed => false,
            Damping::LevenbergMarquardt { interval, .. } => {
                (self.steps + 1).is_multiple_of(interval)
            }
        }
    }

    /// The damping after a step that changed the loss by `change`, with the quadratic model's prediction `predicted`.
    fn adapted(&self, change: f64, predicted: f64) -> f64 {
        let Damping::LevenbergMarquardt {
            interval,
            decay,
            minimum,
        } = self.config.damping
        else {
            return self.damping;
        };
        let ratio = change / predicted;
        let factor = decay.powf(interval as f64);
        let damping = match ratio {
            ratio if ratio > 0.75 => self.damping * factor,
            ratio if ratio.is_nan() || ratio < 0.25 => self.damping / factor,
            _ => self.damping,
        };
        damping.max(minimum)
    }
}

impl<M: Module> Rival<M> for Kfac<M> {
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
        let (config, step) = (self.config, self.steps);
        let not_finite = |what| RivalError::NotFinite { what, step };
        let mut cost = self.cost;
        self.layout.check(&*model)?;
        let copies = Copies::of(&*model)?;
        let parameters = copies.parameters()?;
        let mut curvature = self.curvature.clone();
        let (value, gradient) = gradient(&self.layout, &*model, loss)?;
        cost.gradients += 1;
        if !value.is_finite() || !all_finite(&gradient) {
            return Err(not_finite("loss or gradient"));
        }
        cost.factor_updates += curvature.update(&copies, &parameters, loss, &config, step)?;
        if step.is_multiple_of(config.inverse_interval) {
            curvature.invert(self.damping)?;
        }
        let direction = self.preconditioned(&curvature, &gradient, learning_rate)?;
        let mut velocity = vec![0.0; gradient.len()];
        for (v, last) in velocity.iter_mut().zip(&self.velocity) {
            *v = f64::from(*last);
        }
        let plane = Plane {
            directions: [&direction, &velocity],
            gradient: &gradient,
        };
        let (w, quadratic) = self.coefficients(
            (&*model, loss),
            &curvature,
            &plane,
            learning_rate,
            &mut cost,
        )?;
        let mut change = vec![0.0; gradient.len()];
        axpy(w[0], &direction, &mut change);
        axpy(w[1], &velocity, &mut change);
        let mut moved = parameters;
        axpy(1.0, &change, &mut moved);
        if !all_finite(&moved) {
            return Err(not_finite("step"));
        }
        let damping = match quadratic.filter(|_| self.adapts()) {
            Some(quadratic) => {
                cost.losses += 1;
                self.adapted(copies.loss(&moved, loss)? - value, quadratic.change(w))
            }
            None => self.damping,
        };
        *model = self.layout.set_parameters(&*model, &moved[..])?;
        let done = StepDone {
            loss: value,
            learning_rate: -w[0],
            momentum: Some(w[1]),
            damping: Some(self.damping),
        };
        self.velocity = change.into_iter().map(|x| x as f32).collect();
        (self.curvature, self.damping, self.cost) = (curvature, damping, cost);
        self.steps += 1;
        Ok(done)
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn kept_floats(&self) -> usize {
        let blocks = self.curvature.blocks.iter();
        self.velocity.len() + blocks.map(Block::kept_floats).sum::<usize>()
    }

    fn to_bytes(&self) -> Result<Vec<u8>, RivalError> {
        let blocks = &self.curvature.blocks;
        let header = Header {
            steps: self.steps,
            damping: self.damping,
            weight: self.curvature.weight,
            positions: blocks.iter().map(Block::positions).collect(),
        };
        let mut arrays = Arrays::default();
        if self.steps > 0 {
            arrays.put("velocity", &self.velocity);
            blocks
                .iter()
                .try_for_each(|block| block.store(&mut arrays))?;
        }
        serialize(NAME, &self.layout, header, &arrays)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), RivalError> {
        let (header, mut arrays): (Header, _) = deserialize(NAME, &self.layout, bytes)?;
        let blocks = &self.curvature.blocks;
        if header.positions.len() != blocks.len() {
            let found = header.positions.len();
            let message = format!("it has {found} blocks, not {}", blocks.len());
            return Err(RivalError::State(message));
        }
        let mut curvature = self.curvature.clone();
        curvature.weight = header.weight;
        let mut velocity = Vec::new();
        if header.steps > 0 {
            velocity = arrays.take("velocity", self.layout.len())?;
            let device = &self.curvature.device;
            for (block, positions) in curvature.blocks.iter_mut().zip(header.positions) {
                *block = block.restored(positions, &mut arrays, device)?;
            }
        }
        (self.curvature, self.velocity) = (curvature, velocity);
        (self.steps, self.damping) = (header.steps, header.damping);
        self.cost = Cost::default();
        Ok(())
    }
}
