//! The minimisation: L-BFGS around the spectral metric, with a line search.

use std::borrow::{Borrow, BorrowMut};
use std::sync::Arc;
use std::time::Instant;

use super::checks::check_start;
use super::estimation::Progress;
use super::hessian::{Late, ProductCost, with_hessian};
use super::lbfgs::Pairs;
use super::line_search::{Found, Trial, search};
use super::metric::SpectralMetric;
use super::minimum::{Curvature, Estimation, Evaluated, Minimum, Status};
use super::objective::Objective;
use super::options::{Iterate, Options};
use crate::error::{Error, LanczosError, require};
use crate::lanczos::Workspace;
use crate::space::Space;
use crate::spectrum::{RitzValues, Spectrum, SpectrumParams, estimate_chosen};

/// Minimises `objective` from `start`, without a learning rate.
///
/// Each step goes along −H∇f, where H is L-BFGS's inverse metric on top of H₀ = V|Λ|⁻¹Vᵀ + γ(I − VVᵀ): Newton's method in the span
/// of the eigenvectors V that Lanczos has found, and the scale γ of the last pair elsewhere. The length of a step satisfies the
/// strong Wolfe conditions, or the approximate ones where f's rounding hides its decrease. The first steps are those of plain
/// L-BFGS; the spectrum is estimated where they last long ([`Options::first_estimation`]), and again where f falls more slowly
/// than it did on average since the last estimation began.
///
/// What goes wrong along the way ends the run with a [`Status`], and what was found is returned.
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
/// Before anything is minimised: [`Error::InvalidSetting`], [`Error::DimensionMismatch`], [`Error::NonFiniteStart`],
/// [`Error::NotDeterministic`], [`Error::WrongGradient`], [`Error::User`].
pub fn minimize<S: Space + Clone>(
    objective: Objective<'_, S>,
    start: &S::Vector,
    options: Options<'_, S>,
) -> Result<Minimum<S>, Error> {
    options.validate()?;
    let space = objective.space.clone();
    require(space.dim() > 0, "the number of variables", 0, "at least 1")?;
    space.check("the start", start)?;
    let started = Instant::now();
    let mut run = Run::new(objective, start, options, started)?;
    let status = run.until_stopped();
    Ok(run.finish(status))
}

/// A run between two steps.
struct Run<'a, S: Space> {
    objective: Objective<'a, S>,
    options: Options<'a, S>,
    space: S,
    started: Instant,
    metric: SpectralMetric<S>,
    pairs: Pairs<S>,
    progress: Progress,
    workspace: Option<Workspace<S>>,
    x: S::Owned,
    gradient: S::Owned,
    value: f64,
    gradient_norm: f64,
    first_gradient_norm: f64,
    trial: S::Owned,
    trial_gradient: S::Owned,
    direction: S::Owned,
    best: Evaluated<S::Owned>,
    /// The least ‖∇f‖ so far.
    least_gradient_norm: f64,
    /// Steps since f or ‖∇f‖ last fell.
    idle: u32,
    curvature: Curvature,
    steps: u64,
    gradients: u64,
    products: u64,
    cost: u64,
    estimations: Vec<Estimation>,
    failed_estimations: Vec<Arc<Error>>,
}

/// Steps without progress after which a run has stalled.
const MOST_IDLE: u32 = 20;

/// The directions that a step tries, each where the one before leads nowhere.
#[derive(Clone, Copy)]
enum Direction {
    /// −H∇f.
    QuasiNewton,
    /// −H₀∇f, without pairs.
    Metric,
    /// −∇f.
    Gradient,
}

impl<'a, S: Space + Clone> Run<'a, S> {
    fn new(
        mut objective: Objective<'a, S>,
        start: &S::Vector,
        options: Options<'a, S>,
        started: Instant,
    ) -> Result<Self, Error> {
        let space = objective.space.clone();
        let (mut x, mut gradient) = (space.zeros(), space.zeros());
        space.axpby(1.0, start, 0.0, x.borrow_mut());
        let value = (objective.evaluate)(x.borrow(), gradient.borrow_mut()).map_err(Error::User)?;
        let gradient_norm = space.norm(gradient.borrow());
        if !(value.is_finite() && gradient_norm.is_finite()) {
            return Err(Error::NonFiniteStart {
                value,
                gradient_norm,
            });
        }
        if options.check_gradient {
            check_start(
                &mut objective,
                x.borrow(),
                value,
                gradient.borrow(),
                options.seed,
            )?;
        }
        let mut best = space.zeros();
        space.axpby(1.0, start, 0.0, best.borrow_mut());
        Ok(Self {
            metric: SpectralMetric::identity(),
            pairs: Pairs::new(options.memory),
            progress: Progress::new(options.first_estimation),
            workspace: None,
            trial: space.zeros(),
            trial_gradient: space.zeros(),
            direction: space.zeros(),
            best: Evaluated {
                parameters: best,
                value,
                gradient_norm,
            },
            least_gradient_norm: gradient_norm,
            idle: 0,
            curvature: Curvature::NotExamined,
            steps: 0,
            gradients: 1,
            products: 0,
            cost: 1,
            estimations: Vec::new(),
            failed_estimations: Vec::new(),
            first_gradient_norm: gradient_norm,
            objective,
            options,
            space,
            started,
            x,
            gradient,
            value,
            gradient_norm,
        })
    }

    fn until_stopped(&mut self) -> Status {
        loop {
            self.progress.observe(self.cost, self.measure());
            if let Some(status) = self.stop() {
                if !matches!(status, Status::GradientNorm) || !self.options.check_minimum {
                    return status;
                }
                match self.leave_saddle() {
                    Ok(true) => continue,
                    Ok(false) => return status,
                    Err(status) => return status,
                }
            }
            if self.progress.is_due()
                && let Err(status) = self.estimate()
            {
                return status;
            }
            let before = self.value;
            match self.step() {
                Ok(true) => {}
                Ok(false) => return Status::Stalled,
                Err(status) => return status,
            }
            if let Some(status) = self.after_step(before) {
                return status;
            }
        }
    }

    /// The log of what progress is measured by.
    fn measure(&self) -> f64 {
        match self.options.lower_bound {
            Some(bound) => (self.value - bound).max(f64::MIN_POSITIVE).ln(),
            None => 2.0 * self.gradient_norm.max(f64::MIN_POSITIVE).ln(),
        }
    }

    fn stop(&self) -> Option<Status> {
        let options = &self.options;
        let short = options
            .gradient_norm
            .max(options.relative_gradient_norm * self.first_gradient_norm);
        if self.gradient_norm <= short {
            return Some(Status::GradientNorm);
        }
        if self.idle >= MOST_IDLE {
            return Some(Status::Stalled);
        }
        if self.steps >= options.max_steps {
            return Some(Status::MaxSteps);
        }
        if self.cost >= options.max_cost {
            return Some(Status::MaxCost);
        }
        self.is_late().then_some(Status::MaxTime)
    }

    fn is_late(&self) -> bool {
        let limit = self.options.max_time;
        limit.is_some_and(|limit| self.started.elapsed() >= limit)
    }

    /// What follows a step: the best point, the callback, and whether the value still changes.
    fn after_step(&mut self, before: f64) -> Option<Status> {
        self.steps += 1;
        self.curvature = Curvature::NotExamined;
        let fell = self.value < self.best.value - self.space.epsilon() * self.best.value.abs();
        let flatter = self.gradient_norm < 0.999 * self.least_gradient_norm;
        self.idle = if fell || flatter { 0 } else { self.idle + 1 };
        self.least_gradient_norm = self.least_gradient_norm.min(self.gradient_norm);
        self.keep_best();
        if let Some(callback) = &mut self.options.callback {
            let iterate = Iterate {
                step: self.steps,
                cost: self.cost,
                parameters: self.x.borrow(),
                value: self.value,
                gradient_norm: self.gradient_norm,
                eigenpairs: self.metric.len(),
            };
            if callback(&iterate).is_break() {
                return Some(Status::Callback);
            }
        }
        let change = self.options.value_change;
        let settled = change > 0.0 && (before - self.value).abs() <= change * self.value.abs();
        settled.then_some(Status::ValueChange)
    }

    fn keep_best(&mut self) {
        if self.value < self.best.value {
            self.best.value = self.value;
            self.best.gradient_norm = self.gradient_norm;
            let best = self.best.parameters.borrow_mut();
            self.space.axpby(1.0, self.x.borrow(), 0.0, best);
        }
    }

    /// One step; `Ok(false)` where no direction lowers f.
    fn step(&mut self) -> Result<bool, Status> {
        let directions = [
            Direction::QuasiNewton,
            Direction::Metric,
            Direction::Gradient,
        ];
        for direction in directions {
            let slope = self.aim(direction);
            if !(slope < 0.0 && slope.is_finite()) {
                continue;
            }
            let unscaled = match direction {
                Direction::Gradient => true,
                _ => !self.metric.is_measured() && self.metric.len() == 0,
            };
            let first = if unscaled {
                (1.0 / self.gradient_norm).min(1.0)
            } else {
                1.0
            };
            if self.line_search(slope, first)? {
                self.accept();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Computes a direction and returns the slope along it.
    fn aim(&mut self, direction: Direction) -> f64 {
        let (space, d) = (&self.space, self.direction.borrow_mut());
        space.axpby(-1.0, self.gradient.borrow(), 0.0, d);
        match direction {
            Direction::QuasiNewton => {
                let metric = &mut self.metric;
                self.pairs.apply(space, d, |q| metric.apply(space, q));
            }
            Direction::Metric => {
                self.pairs.clear();
                self.metric.apply(space, d);
            }
            Direction::Gradient => {}
        }
        space.dot(self.gradient.borrow(), self.direction.borrow())
    }

    /// Searches along the direction and leaves the accepted point in `trial`; `Ok(false)` where none is lower.
    fn line_search(&mut self, slope: f64, first: f64) -> Result<bool, Status> {
        let start = Trial {
            step: 0.0,
            value: self.value,
            slope,
        };
        let rounding = ROUNDING.max(1e3 * self.space.epsilon()) * self.value.abs();
        let found = search(start, first, rounding, |step| self.evaluate_at(step))?;
        match found {
            Found::Last(trial) => self.value = trial.value,
            Found::Lower(trial) => self.value = self.evaluate_at(trial.step)?.value,
            Found::Nothing => return Ok(false),
        }
        Ok(true)
    }

    /// f and its slope at x + αd.
    fn evaluate_at(&mut self, step: f64) -> Result<Trial, Status> {
        let (trial, gradient) = (self.trial.borrow_mut(), self.trial_gradient.borrow_mut());
        self.space.axpby(1.0, self.x.borrow(), 0.0, trial);
        self.space.axpby(step, self.direction.borrow(), 1.0, trial);
        self.gradients += 1;
        self.cost += 1;
        let value = (self.objective.evaluate)(self.trial.borrow(), gradient);
        let value = value.map_err(|error| Status::Failed(Arc::new(Error::User(error))))?;
        if value == f64::NEG_INFINITY {
            return Err(Status::Unbounded);
        }
        let slope = self
            .space
            .dot(self.trial_gradient.borrow(), self.direction.borrow());
        Ok(Trial { step, value, slope })
    }

    /// Moves to the trial point, and keeps the pair.
    fn accept(&mut self) {
        let space = &self.space;
        std::mem::swap(&mut self.x, &mut self.trial);
        std::mem::swap(&mut self.gradient, &mut self.trial_gradient);
        self.gradient_norm = space.norm(self.gradient.borrow());
        let (mut step, mut change) = self.pairs.memory_for_next(space);
        let (s, y) = (step.borrow_mut(), change.borrow_mut());
        space.axpby(1.0, self.x.borrow(), 0.0, s);
        space.axpby(-1.0, self.trial.borrow(), 1.0, s);
        space.axpby(1.0, self.gradient.borrow(), 0.0, y);
        space.axpby(-1.0, self.trial_gradient.borrow(), 1.0, y);
        let curvature = space.dot(s, y);
        if curvature > space.epsilon() * space.norm(s) * space.norm(y) {
            self.metric.measure(space, s, y, curvature);
            self.pairs.push(step, change, curvature);
        }
    }

    /// Estimates the spectrum at x and takes it for the metric. A failure is kept, and the metric stays.
    fn estimate(&mut self) -> Result<(), Status> {
        let steps = self.options.lanczos_steps.min(self.space.dim());
        let left = self.options.max_cost.saturating_sub(self.cost);
        if (steps as u64) > left {
            return Ok(());
        }
        let count = self.options.eigenpairs;
        self.progress.begin();
        let before = self.cost;
        let result = self.spectrum(steps, true, |ritz| count.choose(ritz))?;
        self.progress.end(self.cost, self.cost - before);
        if let Some(spectrum) = result {
            self.curvature = curvature_of(&spectrum);
            self.metric.set_spectrum(spectrum, self.floor());
        }
        Ok(())
    }

    /// What |λ| counts as at least, relative to the largest.
    fn floor(&self) -> f64 {
        (10.0 * self.space.epsilon()).max(1e-12)
    }

    /// The eigenpairs at x that `choose` names; `None` where the estimation fails. Counted as cost where `counted`.
    fn spectrum(
        &mut self,
        steps: usize,
        counted: bool,
        choose: impl FnOnce(&RitzValues<'_>) -> Vec<usize>,
    ) -> Result<Option<Spectrum<S>>, Status> {
        let started = Instant::now();
        let params = SpectrumParams {
            lanczos_steps: Some(steps),
            probe: false,
            seed: self
                .options
                .seed
                .wrapping_add(self.estimations.len() as u64),
            ..SpectrumParams::default()
        };
        let mut workspace = match self.workspace.take() {
            Some(workspace) => workspace,
            None => Workspace::new(&self.space, steps),
        };
        let deadline = self.options.max_time.map(|limit| self.started + limit);
        let x: &S::Vector = self.x.borrow();
        let (result, taken) =
            with_hessian(&mut self.objective, x, deadline, |space, mut hessian| {
                estimate_chosen(space, &mut hessian, &params, &mut workspace, choose)
            });
        self.workspace = Some(workspace);
        let ProductCost {
            gradients,
            products,
        } = taken;
        if counted {
            self.gradients += gradients;
            self.products += products;
            self.cost += if gradients > 0 { gradients } else { products };
        }
        match result {
            Ok(spectrum) => {
                self.estimations.push(Estimation {
                    step: self.steps,
                    cost: self.cost,
                    eigenvalues: spectrum.eigenvalues.clone(),
                    largest: spectrum.maximum,
                    smallest: spectrum.minimum,
                    products,
                    gradients,
                    seconds: started.elapsed().as_secs_f64(),
                });
                Ok(Some(spectrum))
            }
            Err(LanczosError::Operator { source, .. }) if source.is::<Late>() => {
                Err(Status::MaxTime)
            }
            Err(source) => {
                self.failed_estimations.push(Arc::new(Error::Refresh {
                    step: self.steps,
                    source,
                }));
                Ok(None)
            }
        }
    }

    /// Examines the curvature at a stationary point and leaves it along negative curvature; `Ok(false)` where there is none, or f
    /// does not fall along it.
    fn leave_saddle(&mut self) -> Result<bool, Status> {
        let steps = self.options.lanczos_steps.min(self.space.dim());
        let smallest = |ritz: &RitzValues<'_>| {
            let negative = |i: &usize| ritz.values[*i] < -(ritz.residuals[*i] + ritz.noise);
            (0..ritz.values.len().min(1)).filter(negative).collect()
        };
        let Some(spectrum) = self.spectrum(steps, false, smallest)? else {
            return Ok(false);
        };
        self.curvature = match spectrum.eigenvalues.first() {
            Some(&smallest) => Curvature::Negative { smallest },
            None => Curvature::NoneNegative {
                smallest: spectrum.minimum,
            },
        };
        if spectrum.eigenvalues.is_empty() {
            return Ok(false);
        }
        let size = self.space.norm(self.x.borrow()).max(1.0);
        for sign in [1.0, -1.0] {
            self.space
                .copy_column(&spectrum.basis, 0, self.direction.borrow_mut());
            self.space
                .subtract_scaled(&[], &[], sign * size, self.direction.borrow_mut());
            // Short enough at last for the quadratic model, long enough for its decrease to be seen.
            for step in [1.0, 0.1, 1e-2, 1e-3, 1e-4] {
                let trial = self.evaluate_at(step)?;
                if trial.value < self.value {
                    self.value = trial.value;
                    self.pairs.clear();
                    self.accept();
                    self.keep_best();
                    self.steps += 1;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn finish(self, status: Status) -> Minimum<S> {
        Minimum {
            best: self.best,
            last: Evaluated {
                parameters: self.x,
                value: self.value,
                gradient_norm: self.gradient_norm,
            },
            status,
            curvature: self.curvature,
            steps: self.steps,
            gradients: self.gradients,
            products: self.products,
            cost: self.cost,
            estimations: self.estimations,
            failed_estimations: self.failed_estimations,
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}

/// f may exceed its value at the start of a step by this share and count as equal, where the slope says that it falls.
const ROUNDING: f64 = 1e-10;

/// What an estimation says of the curvature at its point.
fn curvature_of<S: Space>(spectrum: &Spectrum<S>) -> Curvature {
    let smallest = spectrum.minimum;
    match smallest < -spectrum.noise {
        true => Curvature::Negative { smallest },
        false => Curvature::NoneNegative { smallest },
    }
}
