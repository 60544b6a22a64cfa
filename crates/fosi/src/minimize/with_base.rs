//! Minimising a function given with its gradient.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::hessian::Exact;
use super::objective::Objective;
use crate::base::Base;
use crate::config::FosiConfig;
use crate::error::{Error, require};
use crate::non_exhaustive::NonExhaustive;
use crate::operator::{Counted, DifferenceQuotient, HostGradient};
use crate::optimizer::Fosi;
use crate::report::Refresh;
use crate::schedule::Rate;
use crate::space::{Host, Space};

/// When to stop.
pub struct Options<'a> {
    /// Stop where ‖∇f‖ is at most this; default 1e-6.
    pub gradient_norm: f64,
    /// Stop after this many steps; default 1000.
    pub max_steps: u64,
    /// Stop after this much time; default never.
    pub max_time: Option<Duration>,
    /// Called before each step; stops the run with [`ControlFlow::Break`].
    pub callback: Option<Callback<'a>>,
    #[doc(hidden)]
    pub non_exhaustive: NonExhaustive,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("gradient_norm", &self.gradient_norm)
            .field("max_steps", &self.max_steps)
            .field("max_time", &self.max_time)
            .field("has_callback", &self.callback.is_some())
            .finish_non_exhaustive()
    }
}

/// See [`Options::callback`].
pub type Callback<'a> = Box<dyn FnMut(&Iterate<'_>) -> ControlFlow<()> + 'a>;

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            gradient_norm: 1e-6,
            max_steps: 1000,
            max_time: None,
            callback: None,
            non_exhaustive: NonExhaustive::default(),
        }
    }
}

/// Where the run stands, for the callback.
#[derive(Debug)]
#[non_exhaustive]
pub struct Iterate<'a> {
    /// Steps taken.
    pub step: u64,
    /// x.
    pub parameters: &'a [f64],
    /// f(x).
    pub value: f64,
    /// ‖∇f(x)‖.
    pub gradient_norm: f64,
    /// The refresh that was just made at x, if one was.
    pub refresh: Option<&'a Refresh>,
}

/// Why a run stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum Status {
    /// ‖∇f‖ is small enough.
    GradientNorm,
    /// The number of steps is used up.
    MaxSteps,
    /// The time is used up.
    MaxTime,
    /// The callback asked for it.
    Callback,
    /// The value or the gradient is not finite: the learning rate is too large, as a rule.
    NonFinite,
    /// The function or a rate's schedule failed.
    Failed(Error),
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::GradientNorm => f.write_str("the gradient is short enough"),
            Self::MaxSteps => f.write_str("the number of steps is used up"),
            Self::MaxTime => f.write_str("the time is used up"),
            Self::Callback => f.write_str("the callback asked for it"),
            Self::NonFinite => {
                f.write_str("the value or the gradient is not finite; lower the learning rate")
            }
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}

/// The result of a run and what it cost.
#[derive(Debug)]
#[non_exhaustive]
pub struct Minimum {
    /// The point with the lowest value seen.
    pub parameters: Vec<f64>,
    /// f there.
    pub value: f64,
    /// ‖∇f‖ there.
    pub gradient_norm: f64,
    /// Why the run stopped.
    pub status: Status,
    /// Steps taken.
    pub steps: u64,
    /// Gradients computed, those of difference quotients included.
    pub gradients: u64,
    /// Hessian-vector products computed.
    pub products: u64,
    /// The refreshes, in order.
    pub refreshes: Vec<Refresh>,
    /// Refreshes that failed; the run went on with the spectrum before.
    pub failed_refreshes: Vec<Error>,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// Minimises `objective` from `start` with FOSI around `base`.
///
/// The learning rate is a number or a [`Rate`]: a schedule gives that of each step. Failures along the way end the run
/// with a [`Status`], and what was found is returned.
///
/// ```
/// use fosi::{FosiConfig, base::GradientDescent, minimize::{Objective, with_base::{Options, Status, minimize_with}}};
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
/// let minimum = minimize_with(f, &[1.0, 1.0], GradientDescent, 0.3, config, Options::default())?;
/// assert!(matches!(minimum.status, Status::GradientNorm));
/// # Ok::<(), fosi::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidSetting`] or [`Error::DimensionMismatch`] before anything is computed.
pub fn minimize_with<B: Base<Host<f64>>>(
    objective: Objective<'_>,
    start: &[f64],
    base: B,
    learning_rate: impl Into<Rate>,
    config: FosiConfig,
    options: Options<'_>,
) -> Result<Minimum, Error> {
    let tolerance = options.gradient_norm;
    require(tolerance >= 0.0, "gradient_norm", tolerance, "at least 0")?;
    if start.len() != objective.space.dim() {
        return Err(Error::DimensionMismatch {
            what: "the start",
            expected: objective.space.dim(),
            found: start.len(),
        });
    }
    let optimizer = Fosi::new(Host::new(objective.space.dim()), base, config)?;
    let learning_rate = learning_rate.into();
    optimizer.check_learning_rate(learning_rate.at(0))?;
    let mut run = Run {
        objective,
        options,
        learning_rate,
        optimizer,
        started: Instant::now(),
        best: Minimum {
            parameters: start.to_vec(),
            value: f64::INFINITY,
            gradient_norm: f64::INFINITY,
            status: Status::MaxSteps,
            steps: 0,
            gradients: 0,
            products: 0,
            refreshes: Vec::new(),
            failed_refreshes: Vec::new(),
            seconds: 0.0,
        },
    };
    let mut x = start.to_vec();
    run.best.status = run.until_stopped(&mut x);
    run.best.steps = run.optimizer.steps();
    run.best.seconds = run.started.elapsed().as_secs_f64();
    Ok(run.best)
}

struct Run<'a, B> {
    objective: Objective<'a>,
    options: Options<'a>,
    learning_rate: Rate,
    optimizer: Fosi<Host<f64>, B>,
    started: Instant,
    best: Minimum,
}

impl<B: Base<Host<f64>>> Run<'_, B> {
    fn until_stopped(&mut self, x: &mut [f64]) -> Status {
        let mut gradient = vec![0.0; x.len()];
        loop {
            self.best.gradients += 1;
            let value = match (self.objective.evaluate)(x, &mut gradient) {
                Ok(value) => value,
                Err(error) => return Status::Failed(Error::User(error)),
            };
            let gradient_norm = self.optimizer.space().norm(&gradient);
            if !value.is_finite() || !gradient_norm.is_finite() {
                return Status::NonFinite;
            }
            if value < self.best.value {
                self.best.parameters.copy_from_slice(x);
                self.best.value = value;
                self.best.gradient_norm = gradient_norm;
            }
            if let Some(status) = self.stop(gradient_norm) {
                return status;
            }
            let refreshed = self.optimizer.due() && self.refresh(x);
            let iterate = Iterate {
                step: self.optimizer.steps(),
                parameters: x,
                value,
                gradient_norm,
                refresh: self.best.refreshes.last().filter(|_| refreshed),
            };
            if let Some(callback) = &mut self.options.callback
                && callback(&iterate).is_break()
            {
                return Status::Callback;
            }
            let learning_rate = self.learning_rate.at(self.optimizer.steps());
            if let Err(error) = self.optimizer.step(learning_rate, x, &gradient) {
                return Status::Failed(error);
            }
        }
    }

    fn stop(&self, gradient_norm: f64) -> Option<Status> {
        if gradient_norm <= self.options.gradient_norm {
            return Some(Status::GradientNorm);
        }
        if self.optimizer.steps() >= self.options.max_steps {
            return Some(Status::MaxSteps);
        }
        let late = |limit| self.started.elapsed() >= limit;
        self.options
            .max_time
            .is_some_and(late)
            .then_some(Status::MaxTime)
    }

    /// Refreshes the spectrum at x; a failure is kept and the run goes on.
    fn refresh(&mut self, x: &[f64]) -> bool {
        let result = match &mut self.objective.product {
            Some(product) => {
                let mut exact = Counted::new(Exact { x, product });
                let result = self.optimizer.refresh(&mut exact);
                self.best.products += exact.products;
                result
            }
            None => {
                let evaluate = &mut self.objective.evaluate;
                let gradient = |x: &[f64], g: &mut [f64]| evaluate(x, g).map(drop);
                let mut quotient = DifferenceQuotient::new(HostGradient::new(x, gradient));
                let mut counted = Counted::new(&mut quotient);
                let result = self.optimizer.refresh(&mut counted);
                self.best.products += counted.products;
                self.best.gradients += quotient.gradients();
                result
            }
        };
        match result {
            Ok(refresh) => self.best.refreshes.push(refresh),
            Err(error) => {
                self.best.failed_refreshes.push(error);
                return false;
            }
        }
        true
    }
}
