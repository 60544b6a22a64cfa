//! The minimisation step by step: L-BFGS on the spectral metric, with a line search.

use std::borrow::{Borrow, BorrowMut};
use std::sync::Arc;

use super::checks::check_start;
use super::estimation::EstimationRule;
use super::history::{Counters, History, Stopwatch};
use super::lbfgs::Pairs;
use super::metric::SpectralMetric;
use super::minimum::{Curvature, Estimation, Evaluated, Minimum, Status};
use super::objective::Objective;
use super::options::Options;

use crate::error::{Error, require};
use crate::lanczos::Workspace;
use crate::operator::check_dim;
use crate::space::Space;

/// Minimises `objective` from `start`, without a learning rate.
///
/// Each step goes along −H∇f, where H is L-BFGS's inverse metric with the initial metric H₀ = V|Λ|⁻¹Vᵀ + γ(I − VVᵀ):
/// Newton's method in the span of the Lanczos eigenvectors V, and a multiple γ of the identity, computed from the last
/// step and its change of gradient, in the complement. Step lengths satisfy the strong Wolfe conditions, or the
/// approximate ones if rounding of f hides the decrease. The first steps are those of plain L-BFGS. The spectrum is
/// first estimated after [`Options::first_estimation`] units of cost, and again whenever f falls more slowly than it
/// did on average since the start of the last estimation.
///
/// A failure during the run ends it with a [`Status`]; the best point so far is returned. [`Minimizer`] runs the same
/// method step by step, for observation, custom stopping rules, saving and resuming.
///
/// ```
/// use fosi::minimize::{Objective, Options, Status, minimize};
///
/// // Rosenbrock's function.
/// let f = Objective::new(2, |x: &[f64], g: &mut [f64]| {
///     let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
///     (g[0], g[1]) = (-2.0 * a - 400.0 * x[0] * b, 200.0 * b);
///     Ok(a * a + 100.0 * b * b)
/// });
/// let minimum = minimize(f, &[-1.2, 1.0], Options::default())?;
/// assert!(matches!(minimum.status, Status::GradientNorm));
/// assert!((minimum.best.parameters[0] - 1.0).abs() < 1e-6);
/// # Ok::<(), fosi::Error>(())
/// ```
///
/// # Errors
/// Before the first step: [`Error::InvalidSetting`], [`Error::DimensionMismatch`], [`Error::NonFiniteStart`],
/// [`Error::NotDeterministic`], [`Error::WrongGradient`], [`Error::User`].
pub fn minimize<S: Space + Clone>(
    mut objective: Objective<'_, S>,
    start: &S::Vector,
    options: Options,
) -> Result<Minimum<S>, Error> {
    let mut run = Minimizer::new(&mut objective, start, options)?;
    loop {
        if let Some(status) = run.step(&mut objective) {
            return Ok(run.finish(status));
        }
    }
}

/// A minimisation in progress: [`minimize`] as a loop under the caller's control.
///
/// ```
/// use fosi::minimize::{Minimizer, Objective, Options};
///
/// let mut f = Objective::new(1, |x: &[f64], g: &mut [f64]| {
///     g[0] = x[0].sinh();
///     Ok(x[0].cosh())
/// });
/// let mut run = Minimizer::new(&mut f, &[3.0], Options::default())?;
/// let status = loop {
///     if let Some(status) = run.step(&mut f) {
///         break status;
///     }
///     println!("{} {} {}", run.steps(), run.value(), run.gradient_norm());
/// };
/// let minimum = run.finish(status);
/// assert!(minimum.best.parameters[0].abs() < 1e-6);
/// # Ok::<(), fosi::Error>(())
/// ```
pub struct Minimizer<S: Space> {
    pub(super) space: S,
    pub(super) options: Options,
    pub(super) metric: SpectralMetric<S>,
    pub(super) pairs: Pairs<S>,
    pub(super) rule: EstimationRule,
    pub(super) workspace: Option<Workspace<S>>,
    pub(super) x: S::Owned,
    pub(super) gradient: S::Owned,
    pub(super) value: f64,
    pub(super) gradient_norm: f64,
    pub(super) trial: S::Owned,
    pub(super) trial_gradient: S::Owned,
    pub(super) direction: S::Owned,
    pub(super) best: Evaluated<S::Owned>,
    pub(super) history: History,
    /// Whether some trial of the current step had a finite value and slope.
    pub(super) any_finite: bool,
}

impl<S: Space> std::fmt::Debug for Minimizer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minimizer")
            .field("dim", &self.space.dim())
            .field("steps", &self.history.counters.steps)
            .field("cost", &self.history.counters.cost)
            .field("value", &self.value)
            .field("gradient_norm", &self.gradient_norm)
            .field("eigenpairs", &self.metric.len())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<S: Space + Clone> Minimizer<S> {
    /// A minimisation at `start`. Computes the value and the gradient there.
    ///
    /// # Errors
    /// Those of [`minimize`].
    pub fn new(
        objective: &mut Objective<'_, S>,
        start: &S::Vector,
        options: Options,
    ) -> Result<Self, Error> {
        let space = objective.space.clone();
        let fits = options
            .validate()
            .and_then(|()| objective.check_dimension(start));
        let ranks = space.ranks();
        ranks.fail_together(fits)?;
        options.compare(space.dim(), ranks)?;
        if !ranks.is_sharded() {
            ranks.compare("the start", 0, || {
                crc32fast::hash(&space.export(start).bytes)
            })?;
        }
        let stopwatch = Stopwatch::start(0.0, space.ranks());
        let (value, gradient, gradient_norm) = objective.evaluate_start(start)?;
        let representable = gradient_norm == 0.0 || (1e-150..=1e150).contains(&gradient_norm);
        let allowed =
            "0, or from 1e-150 to 1e150, so that its square is a number: scale the function";
        require(representable, "‖∇f‖ at the start", gradient_norm, allowed)?;
        if options.check_gradient {
            check_start(objective, start, value, gradient.borrow(), options.seed)?;
        }
        let copy = |x: &S::Vector| {
            let mut copy = space.zeros();
            space.axpby(1.0, x, 0.0, copy.borrow_mut());
            copy
        };
        let start = Evaluated {
            parameters: copy(start),
            value,
            gradient_norm,
        };
        let (x, counters) = (
            copy(start.parameters.borrow()),
            Counters::new(gradient_norm),
        );
        Ok(Self::at(
            space, options, stopwatch, x, gradient, start, counters,
        ))
    }

    /// A run at x with the given gradient and best point, and without pairs or spectrum.
    pub(super) fn at(
        space: S,
        options: Options,
        stopwatch: Stopwatch,
        x: S::Owned,
        gradient: S::Owned,
        best: Evaluated<S::Owned>,
        counters: Counters,
    ) -> Self {
        Self {
            metric: SpectralMetric::identity(),
            pairs: Pairs::new(options.memory),
            rule: EstimationRule::new(options.first_estimation, options.products(space.dim())),
            workspace: None,
            trial: space.zeros(),
            trial_gradient: space.zeros(),
            direction: space.zeros(),
            value: best.value,
            gradient_norm: best.gradient_norm,
            any_finite: false,
            space,
            options,
            x,
            gradient,
            best,
            history: History::new(stopwatch, counters),
        }
    }

    /// Takes one step on `objective`, which must be the function given at the start, after an estimation if one is due.
    /// Returns `None` if the run may continue, otherwise the reason why it stops. Another call continues from there if
    /// the reason no longer holds.
    pub fn step(&mut self, objective: &mut Objective<'_, S>) -> Option<Status> {
        if let Err(error) = check_dim(self.space.dim(), objective.space.dim()) {
            return Some(Status::Failed(Arc::new(error)));
        }
        let status = self.try_step(objective).err()?;
        let at_rest = matches!(
            status,
            Status::GradientNorm | Status::ValueChange | Status::Stalled
        );
        if !at_rest || !self.options.check_minimum || self.exhausted().is_some() {
            return Some(status);
        }
        match self.leave_saddle(objective) {
            Ok(true) => None,
            Ok(false) => Some(status),
            Err(status) => Some(status),
        }
    }

    /// The limit that is used up, if any.
    pub(super) fn exhausted(&self) -> Option<Status> {
        self.options.limits().exhausted(&self.history)
    }

    fn try_step(&mut self, objective: &mut Objective<'_, S>) -> Result<(), Status> {
        self.space.ranks().at(self.history.counters.steps);
        self.rule
            .observe(self.history.counters.cost, self.measure());
        let limits = self.options.limits();
        if let Some(status) = limits.stop(self.gradient_norm, &self.history) {
            return Err(status);
        }
        if self.history.counters.has_stalled() {
            return Err(Status::Stalled);
        }
        let due = || self.space.ranks().agree_on(self.rule.is_due());
        if self.options.first_estimation != Some(u64::MAX) && due() {
            self.estimate(objective)?;
        }
        let before = self.value;
        self.descend(objective)?;
        let fell = self.value < self.best.value - self.space.epsilon() * self.best.value.abs();
        self.history.counters.count_step(fell, self.gradient_norm);
        self.history.curvature = Curvature::NotExamined;
        self.keep_best();
        match limits.settled(before, self.value) {
            true => Err(Status::ValueChange),
            false => Ok(()),
        }
    }

    /// The log of the measure of progress.
    fn measure(&self) -> f64 {
        match self.options.lower_bound {
            Some(bound) => (self.value - bound).max(f64::MIN_POSITIVE).ln(),
            None => 2.0 * self.gradient_norm.max(f64::MIN_POSITIVE).ln(),
        }
    }

    pub(super) fn keep_best(&mut self) {
        if self.value < self.best.value {
            self.best.value = self.value;
            self.best.gradient_norm = self.gradient_norm;
            let best = self.best.parameters.borrow_mut();
            self.space.axpby(1.0, self.x.borrow(), 0.0, best);
        }
    }

    /// The settings.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The last point.
    pub fn parameters(&self) -> &S::Vector {
        self.x.borrow()
    }

    /// f at the last point.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// ∇f at the last point.
    pub fn gradient(&self) -> &S::Vector {
        self.gradient.borrow()
    }

    /// ‖∇f‖ at the last point.
    pub fn gradient_norm(&self) -> f64 {
        self.gradient_norm
    }

    /// The point with the lowest value seen.
    pub fn best(&self) -> &Evaluated<S::Owned> {
        &self.best
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

    /// The number of eigenpairs in the metric.
    pub fn eigenpairs(&self) -> usize {
        self.metric.len()
    }

    /// The eigenvectors in the metric: V̂ of the last estimation that is [in it](Estimation::in_metric), in the order of
    /// its eigenvalues. `None` if the metric has no eigenvectors.
    pub fn basis(&self) -> Option<&S::Basis> {
        self.metric.basis()
    }

    /// The result, with the given reason for stopping.
    pub fn finish(self, status: Status) -> Minimum<S> {
        let last = Evaluated {
            parameters: self.x,
            value: self.value,
            gradient_norm: self.gradient_norm,
        };
        self.history.finish(self.best, last, status)
    }
}
