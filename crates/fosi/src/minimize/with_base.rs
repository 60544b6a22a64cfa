//! Minimisation of a function with FOSI around a base optimizer: the paper's algorithm on a full batch.

use std::sync::Arc;
use std::time::Duration;

use super::hessian::{Late, ProductCost, with_hessian};
use super::history::{Counters, History, Stopwatch};
use super::minimum::{Curvature, Estimation, Evaluated, FailedEstimation, Minimum, Status};
use super::objective::Objective;
use super::stopping::Limits;
use crate::base::Base;
use crate::config::FosiConfig;
use crate::error::{Error, LanczosError, require};
use crate::newton_rate::NewtonRate;
use crate::non_exhaustive::NonExhaustive;
use crate::operator::check_dim;
use crate::optimizer::Fosi;
use crate::report::Refresh;
use crate::schedule::Rate;
use crate::space::{Host, Space};
use crate::spectrum::Spectrum;

/// When to stop, and which steps to accept.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Stop where ‖∇f‖ is at most this; default 1e-6.
    pub gradient_norm: f64,
    /// Stop where ‖∇f‖ is at most this fraction of its first value; default 0.
    pub relative_gradient_norm: f64,
    /// Stop when a step changes f by at most this fraction of |f|; default 0, never.
    pub value_change: f64,
    /// Stop after this many units of cost: gradients, those of difference quotients included, and exact products;
    /// default never.
    pub max_cost: u64,
    /// Stop after this many steps; default 1000.
    pub max_steps: u64,
    /// Stop after this much wall time; default never.
    pub max_time: Option<Duration>,
    /// Whether steps that raise f too far are shortened; default true. A displacement d is halved until f(x + d) is at
    /// most the largest of the last ten values plus 1e-4·min(0, ∇fᵀd) (Grippo, Lampariello and Lucidi, 1986), with a
    /// relative allowance of 1e-10 for rounding.
    pub backtracking: bool,
    #[doc(hidden)]
    pub non_exhaustive: NonExhaustive,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            gradient_norm: 1e-6,
            relative_gradient_norm: 0.0,
            value_change: 0.0,
            max_cost: u64::MAX,
            max_steps: 1000,
            max_time: None,
            backtracking: true,
            non_exhaustive: NonExhaustive::default(),
        }
    }
}

impl Options {
    fn limits(&self) -> Limits {
        Limits {
            gradient_norm: self.gradient_norm,
            relative_gradient_norm: self.relative_gradient_norm,
            value_change: self.value_change,
            max_cost: self.max_cost,
            max_steps: self.max_steps,
            max_time: self.max_time,
        }
    }
}

/// The base's learning rate η.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LearningRate {
    /// A number or a schedule.
    Given(Rate),
    /// η = 1/λ_k with s = 1. λ_k is the smallest of the k largest eigenvalues that exceeds its residual plus the noise
    /// or, if larger, `Spectrum::missed`. The first estimation, at the start, must find such an eigenvalue; a later one
    /// without any leaves η unchanged. For bases whose direction is linear in the gradients ([`Base::is_linear`]).
    FromSpectrum,
}

impl From<f64> for LearningRate {
    fn from(rate: f64) -> Self {
        Self::Given(rate.into())
    }
}

impl From<Rate> for LearningRate {
    fn from(rate: Rate) -> Self {
        Self::Given(rate)
    }
}

/// Minimises `objective` from `start` with FOSI around `base`.
///
/// The learning rate is a number, a [`Rate`] or [`LearningRate::FromSpectrum`]. A failure during the run ends it with a
/// [`Status`]; the best point so far is returned. [`BaseMinimizer`] runs the same method step by step.
///
/// ```
/// use fosi::{FosiConfig, base::HeavyBall, minimize::{Objective, Status}};
/// use fosi::minimize::with_base::{LearningRate, Options, minimize_with};
///
/// // f(x) = (100x₀² + x₁²)/2 with its exact Hessian product.
/// let f = Objective::new(2, |x: &[f64], g: &mut [f64]| {
///     (g[0], g[1]) = (100.0 * x[0], x[1]);
///     Ok(50.0 * x[0] * x[0] + 0.5 * x[1] * x[1])
/// })
/// .with_product(|_x, v, out| {
///     (out[0], out[1]) = (100.0 * v[0], v[1]);
///     Ok(())
/// });
/// let config = FosiConfig { largest: 1, ..FosiConfig::quadratic() };
/// let rate = LearningRate::FromSpectrum;
/// let minimum = minimize_with(f, &[1.0, 1.0], HeavyBall::new(0.5), rate, config, Options::default())?;
/// assert!(matches!(minimum.status, Status::GradientNorm));
/// # Ok::<(), fosi::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidSetting`], [`Error::DimensionMismatch`], [`Error::NonFiniteStart`] or [`Error::User`], before the
/// first step.
pub fn minimize_with<B: Base<Host<f64>>>(
    mut objective: Objective<'_>,
    start: &[f64],
    base: B,
    learning_rate: impl Into<LearningRate>,
    config: FosiConfig,
    options: Options,
) -> Result<Minimum, Error> {
    let rate = learning_rate.into();
    let mut run = BaseMinimizer::new(&mut objective, start, base, rate, config, options)?;
    loop {
        if let Some(status) = run.step(&mut objective) {
            return Ok(run.finish(status));
        }
    }
}

/// The smallest of the k largest eigenvalues that is known to be positive.
fn smallest_resolved(spectrum: &Spectrum<Host<f64>>) -> Option<f64> {
    let pairs = spectrum.eigenvalues.iter().zip(&spectrum.residuals);
    let positive =
        |(value, residual): (&f64, &f64)| (*value > residual + spectrum.noise).then_some(*value);
    pairs
        .take(spectrum.largest)
        .filter_map(positive)
        .reduce(f64::min)
}

/// The number of past values that a new value is compared with.
const WINDOW: usize = 10;
/// The fraction of the slope's predicted decrease that a step must achieve.
const DECREASE: f64 = 1e-4;
/// The maximum number of halvings of a step.
const MOST_HALVINGS: u32 = 40;

/// [`minimize_with`], step by step.
pub struct BaseMinimizer<B> {
    optimizer: Fosi<Host<f64>, B>,
    learning_rate: LearningRate,
    /// 1/λ_k of the last estimation.
    from_spectrum: Option<f64>,
    options: Options,
    x: Vec<f64>,
    gradient: Vec<f64>,
    value: f64,
    gradient_norm: f64,
    trial: Vec<f64>,
    trial_gradient: Vec<f64>,
    /// The most recent values, oldest first.
    recent: Vec<f64>,
    best: Evaluated<Vec<f64>>,
    history: History,
}

impl<B: Base<Host<f64>>> std::fmt::Debug for BaseMinimizer<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BaseMinimizer")
            .field("optimizer", &self.optimizer)
            .field("learning_rate", &self.learning_rate)
            .field("cost", &self.history.counters.cost)
            .field("value", &self.value)
            .field("gradient_norm", &self.gradient_norm)
            .finish_non_exhaustive()
    }
}

impl<B: Base<Host<f64>>> BaseMinimizer<B> {
    /// A minimisation at `start`. Computes the value and the gradient there.
    ///
    /// # Errors
    /// Those of [`minimize_with`].
    pub fn new(
        objective: &mut Objective<'_>,
        start: &[f64],
        base: B,
        learning_rate: impl Into<LearningRate>,
        mut config: FosiConfig,
        options: Options,
    ) -> Result<Self, Error> {
        let learning_rate = learning_rate.into();
        options.limits().validate()?;
        if matches!(learning_rate, LearningRate::FromSpectrum) {
            let name = base.name();
            require(
                base.is_linear(),
                "a learning rate from the spectrum with the base",
                name,
                "a base whose direction is linear in the gradients",
            )?;
            require(config.largest > 0, "largest (k)", 0, "at least 1")?;
            config.scale_limit = 1.0;
            // η then follows the curvature, not a schedule that α could follow.
            if let NewtonRate::Following(rate) | NewtonRate::Adaptive { rate, .. } =
                config.newton_rate
            {
                config.newton_rate = NewtonRate::Constant(rate);
            }
        }
        let optimizer = Fosi::new(objective.space.clone(), base, config)?;
        if let LearningRate::Given(rate) = &learning_rate {
            optimizer.check_learning_rate(rate.at(0))?;
        }
        let ranks = objective.space.ranks();
        let whole = !ranks.is_sharded();
        let allowed = "a space of whole vectors";
        require(whole, "the space", "one of shards", allowed)?;
        let stopwatch = Stopwatch::start(0.0, ranks);
        let (value, gradient, gradient_norm) = objective.evaluate_start(start)?;
        Ok(Self {
            optimizer,
            learning_rate,
            from_spectrum: None,
            options,
            x: start.to_vec(),
            trial: start.to_vec(),
            trial_gradient: gradient.clone(),
            gradient,
            value,
            gradient_norm,
            recent: vec![value],
            best: Evaluated {
                parameters: start.to_vec(),
                value,
                gradient_norm,
            },
            history: History::new(stopwatch, Counters::new(gradient_norm)),
        })
    }

    /// Takes one step, after an estimation if one is due. Returns `None` if the run may continue, otherwise the reason
    /// why it stops. A step whose evaluation fails has still advanced the base's momentum.
    pub fn step(&mut self, objective: &mut Objective<'_>) -> Option<Status> {
        let failed = |error| Status::Failed(Arc::new(error));
        if let Err(error) = check_dim(self.x.len(), objective.space.dim()) {
            return Some(failed(error));
        }
        self.try_step(objective).err()
    }

    fn try_step(&mut self, objective: &mut Objective<'_>) -> Result<(), Status> {
        let failed = |error| Status::Failed(Arc::new(error));
        let limits = self.options.limits();
        if let Some(status) = limits.stop(self.gradient_norm, &self.history) {
            return Err(status);
        }
        if self.needs_rate() || self.optimizer.due() {
            self.refresh(objective)?;
        }
        let learning_rate = self.rate().map_err(failed)?;
        self.trial.copy_from_slice(&self.x);
        let step = self
            .optimizer
            .step(learning_rate, &mut self.trial, &self.gradient);
        step.map_err(failed)?;
        let before = self.value;
        let value = self.accepted(objective)?;
        self.move_to_trial(value);
        match limits.settled(before, self.value) {
            true => Err(Status::ValueChange),
            false => Ok(()),
        }
    }

    /// η of the next step.
    fn rate(&self) -> Result<f64, Error> {
        match &self.learning_rate {
            LearningRate::Given(rate) => Ok(rate.at(self.optimizer.steps())),
            LearningRate::FromSpectrum => self.from_spectrum.ok_or(Error::NoPositiveCurvature),
        }
    }

    /// Evaluates f at the trial point, moving it towards x until its value is accepted.
    fn accepted(&mut self, objective: &mut Objective<'_>) -> Result<f64, Status> {
        let mut any_finite = false;
        for _ in 0..=MOST_HALVINGS {
            self.history.counters.count_gradient();
            let value = (objective.evaluate)(&self.trial, &mut self.trial_gradient)
                .map_err(|error| Status::Failed(Arc::new(Error::User(error))))?;
            if value == f64::NEG_INFINITY {
                return Err(Status::Unbounded);
            }
            let is_finite = value.is_finite() && self.trial_gradient.iter().all(|g| g.is_finite());
            any_finite |= is_finite;
            if is_finite && (!self.options.backtracking || value <= self.largest_accepted()) {
                return Ok(value);
            }
            if !self.options.backtracking {
                break;
            }
            let pairs = self.trial.iter_mut().zip(&self.x);
            pairs.for_each(|(trial, x)| *trial = 0.5 * (*trial + x));
        }
        Err(match any_finite {
            true => Status::Stalled,
            false => Status::NonFinite,
        })
    }

    /// The largest value that is accepted at the trial point.
    fn largest_accepted(&self) -> f64 {
        let largest = self.recent.iter().copied().fold(f64::MIN, f64::max);
        let moves = self.trial.iter().zip(&self.x).map(|(trial, x)| trial - x);
        let slope: f64 = moves.zip(&self.gradient).map(|(d, g)| d * g).sum();
        // The allowance for rounding.
        let rounding = 1e-10 * largest.abs();
        largest + rounding + DECREASE * slope.min(0.0)
    }

    fn move_to_trial(&mut self, value: f64) {
        std::mem::swap(&mut self.x, &mut self.trial);
        std::mem::swap(&mut self.gradient, &mut self.trial_gradient);
        self.value = value;
        self.gradient_norm = self.optimizer.space().norm(&self.gradient);
        self.history.curvature = Curvature::NotExamined;
        if self.recent.len() == WINDOW {
            self.recent.remove(0);
        }
        self.recent.push(value);
        let fell = value < self.best.value;
        self.history.counters.count_step(fell, self.gradient_norm);
        if fell {
            self.best.parameters.copy_from_slice(&self.x);
            self.best.value = value;
            self.best.gradient_norm = self.gradient_norm;
        }
    }

    /// Refreshes the spectrum at x. A failure is recorded and the run continues, unless the learning rate depends on
    /// it.
    fn refresh(&mut self, objective: &mut Objective<'_>) -> Result<(), Status> {
        let (step, cost) = (self.history.counters.steps, self.history.counters.cost);
        let params = self.optimizer.config().spectrum_params(0);
        let products = params.products(self.x.len()) as u64;
        if products > self.options.max_cost.saturating_sub(cost) {
            return Err(Status::MaxCost);
        }
        let deadline = self.history.stopwatch.deadline(self.options.max_time);
        let (result, taken) =
            with_hessian(objective, &self.x, deadline.as_ref(), |_, mut hessian| {
                self.optimizer.refresh(&mut hessian)
            });
        self.history
            .counters
            .count_products(taken.products, taken.gradients);
        match result {
            Ok(refresh) => self.adopt(refresh, cost, taken),
            Err(Error::Refresh {
                source: LanczosError::Operator { source, .. },
                ..
            }) if source.is::<Late>() => return Err(Status::MaxTime),
            Err(error) if self.needs_rate() => return Err(Status::Failed(Arc::new(error))),
            Err(error) => self.history.failed_estimations.push(FailedEstimation {
                step,
                cost,
                reason: error.to_string(),
            }),
        }
        Ok(())
    }

    /// Whether the learning rate still needs a first estimation.
    fn needs_rate(&self) -> bool {
        matches!(self.learning_rate, LearningRate::FromSpectrum) && self.from_spectrum.is_none()
    }

    /// Updates the curvature and the learning rate after an estimation.
    fn adopt(&mut self, refresh: Refresh, cost: u64, taken: ProductCost) {
        let pairs = refresh.eigenvalues.iter().copied();
        let (mut largest, mut smallest) = (
            pairs.clone().fold(f64::NEG_INFINITY, f64::max),
            pairs.fold(f64::INFINITY, f64::min),
        );
        // There is no spectrum if no curvature was found.
        if let Some(spectrum) = self.optimizer.spectrum() {
            (largest, smallest) = (spectrum.maximum, spectrum.minimum);
            self.history.curvature = Curvature::of(spectrum, taken.is_exact());
            let left =
                smallest_resolved(spectrum).map(|left| left.max(spectrum.missed.unwrap_or(0.0)));
            self.from_spectrum = left.map(|left| 1.0 / left).or(self.from_spectrum);
        }
        self.history.estimations.push(Estimation {
            step: self.history.counters.steps,
            cost,
            eigenvalues: refresh.eigenvalues,
            residuals: refresh.residuals,
            largest,
            smallest,
            info: refresh.info,
            gradients: taken.gradients,
            seconds: refresh.seconds,
            in_metric: true,
        });
    }

    /// FOSI with its base, to change k, α or the base's settings between steps.
    pub fn optimizer_mut(&mut self) -> &mut Fosi<Host<f64>, B> {
        &mut self.optimizer
    }

    /// FOSI with its base.
    pub fn optimizer(&self) -> &Fosi<Host<f64>, B> {
        &self.optimizer
    }

    /// The last point.
    pub fn parameters(&self) -> &[f64] {
        &self.x
    }

    /// f at the last point.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// ‖∇f‖ at the last point.
    pub fn gradient_norm(&self) -> f64 {
        self.gradient_norm
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.history.counters.steps
    }

    /// Units of cost so far: see [`Minimum::cost`].
    pub fn cost(&self) -> u64 {
        self.history.counters.cost
    }

    /// The estimations so far.
    pub fn estimations(&self) -> &[Estimation] {
        &self.history.estimations
    }

    /// The result, with the given reason for stopping.
    pub fn finish(self, status: Status) -> Minimum {
        let last = Evaluated {
            parameters: self.x,
            value: self.value,
            gradient_norm: self.gradient_norm,
        };
        self.history.finish(self.best, last, status)
    }
}
