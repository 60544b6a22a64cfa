//! FOSI itself: the optimizer that wraps a base (paper, Algorithm 2).

use std::borrow::{Borrow, BorrowMut};

use crate::base::{Base, BaseStep, Momentum};
use crate::error::{Error, require};
use crate::lanczos::{LanczosInfo, Workspace};
use crate::operator::{SymmetricOperator, check_dim};
use crate::safeguard::{Caution, Direction, Growth, Interventions, MeanNorm, Monitor};
use crate::scaling::limited;
use crate::schedule::{Rate, Schedule};
use crate::space::{FloatLimits, Host, Scalar, Space, Split, Storage};
use crate::spectrum::{Spectrum, SpectrumParams, estimate_with};
use crate::subspace::{Lengths, NewtonStep, Plan, Subspace, kept_gram_inverse, solve};
use crate::timing::{Clock, RefreshTimer, StepTimer, Timing};

/// What is done to gradients before the split.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Clipping {
    /// Nothing.
    #[default]
    None,
    /// Scaled down to this norm where it is longer.
    Norm(f64),
    /// Every entry clamped to [−limit, limit].
    Value(f64),
}

impl Clipping {
    fn validate(&self) -> Result<(), Error> {
        match *self {
            Self::None => Ok(()),
            Self::Norm(limit) | Self::Value(limit) => {
                let allowed = limit > 0.0 && limit.is_finite();
                require(allowed, "clipping", limit, "positive and finite")
            }
        }
    }
}

/// FOSI's settings. The defaults are those of the paper's experiments but for the schedule and the safeguards;
/// [`FosiConfig::paper`] has the paper's.
#[derive(Debug, Clone)]
pub struct FosiConfig {
    /// k: largest eigenvalues; default 10.
    pub largest: usize,
    /// ℓ: smallest eigenvalues; default 0.
    pub smallest: usize,
    /// m: Lanczos steps; default max{4(k+ℓ), ⌈2 ln n⌉}.
    pub lanczos_steps: Option<usize>,
    /// α: rate of the Newton step, 1 for an exact one; default 0.01.
    pub newton_rate: Rate,
    /// c ≥ 1: limit of the factor on the base's learning rate, ∞ allowed; default 3.
    pub scale_limit: f64,
    /// μ for the learning-rate scaling where it is known, say 0; default: the smallest Ritz value.
    pub strong_convexity: Option<f64>,
    /// ε: |λ| counts as at least this much of the largest |λ| in the Newton step; default 1e-6, 0 for none.
    pub curvature_floor: f64,
    /// Whether the run protects itself where the spectrum misleads; default true, and false in the paper's algorithm.
    ///
    /// - An estimation takes max{4, ⌊0.15·m⌋} more products from another start vector, which find copies of repeated
    ///   eigenvalues, so that the bound L₂ of what is left holds (see [`SpectrumParams::probe`]).
    /// - A pair whose |λ̂| its residual and the products' noise don't resolve stays with the base.
    /// - A direction along which the gradient changes far more than λ̂ says goes back to where f was lowest along it, and to the base
    ///   until the next refresh.
    /// - Where the gradient outside of V grows as it does when s is too large, s is 1 from there on.
    ///
    /// Where the function is quadratic and λ̂ and s are right, none of the last three acts.
    pub safeguards: bool,
    /// When the spectrum is estimated; default: overhead ρ = 1.1 after 100 steps.
    pub schedule: Schedule,
    /// Clipping of gradients; default none.
    pub clipping: Clipping,
    /// Seed of Lanczos' start vectors; default 0.
    pub seed: u64,
}

impl Default for FosiConfig {
    fn default() -> Self {
        Self {
            largest: 10,
            smallest: 0,
            lanczos_steps: None,
            newton_rate: Rate::Constant(0.01),
            scale_limit: 3.0,
            strong_convexity: None,
            curvature_floor: 1e-6,
            safeguards: true,
            schedule: Schedule::default(),
            clipping: Clipping::None,
            seed: 0,
        }
    }
}

impl FosiConfig {
    /// Settings for smooth deterministic functions: α = 1, no warm-up, a refresh every 50 steps.
    pub fn quadratic() -> Self {
        Self {
            newton_rate: Rate::Constant(1.0),
            schedule: Schedule::Every {
                warmup: 0,
                interval: 50,
            },
            ..Self::default()
        }
    }

    /// The paper's Algorithms 1 and 2 with its defaults: k = 10, ℓ = 0, α = 0.01, c = 3, T = 800, W one epoch, u = 1/|λ̂|, and no
    /// [safeguards](Self::safeguards). Where one of them would have acted, [`Refresh`] and [`StepReport`] say so.
    pub fn paper(steps_per_epoch: u64) -> Self {
        Self {
            curvature_floor: 0.0,
            safeguards: false,
            schedule: Schedule::Every {
                warmup: steps_per_epoch,
                interval: 800,
            },
            ..Self::default()
        }
    }

    /// The base optimizer alone.
    pub fn base_only() -> Self {
        Self {
            schedule: Schedule::Never,
            ..Self::default()
        }
    }

    /// # Errors
    /// [`Error::InvalidSetting`], for the first setting outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        self.spectrum_params(0).validate()?;
        self.newton_rate.checked("newton_rate (α)", 0)?;
        require(
            self.scale_limit >= 1.0,
            "scale_limit (c)",
            self.scale_limit,
            "at least 1",
        )?;
        let mu = self.strong_convexity.unwrap_or(0.0);
        let allowed = mu >= 0.0 && mu.is_finite();
        require(allowed, "strong_convexity (μ)", mu, "at least 0 and finite")?;
        let floor = self.curvature_floor;
        // Its reciprocal must be a number.
        let allowed = floor == 0.0 || (1e-300..=1.0).contains(&floor);
        require(
            allowed,
            "curvature_floor (ε)",
            floor,
            "0, or from 1e-300 to 1",
        )?;
        self.schedule.validate()?;
        self.clipping.validate()
    }

    pub(crate) fn spectrum_params(&self, refresh: u64) -> SpectrumParams {
        SpectrumParams {
            largest: self.largest,
            smallest: self.smallest,
            lanczos_steps: self.lanczos_steps,
            probe: self.safeguards,
            // An odd multiplier: refreshes of one run never share a start vector.
            seed: self
                .seed
                .wrapping_add(refresh.wrapping_mul(0xD1B5_4A32_D192_ED03)),
        }
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Steps taken so far, this one included.
    pub step: u64,
    /// ‖g‖, before clipping.
    pub gradient_norm: f64,
    /// s: the factor on the base's direction.
    pub scale: f64,
    /// ‖d₁‖: length of the Newton step in the subspace.
    pub newton_norm: f64,
    /// ‖d₂‖: length of the base's step in the complement, the factor s included.
    pub base_norm: f64,
    /// How many directions of V are the base's: their pairs aren't resolved, or they have overshot since the refresh. Under
    /// the paper's algorithm they would be.
    pub released: usize,
    /// How many of them overshot at this step.
    pub overshot: usize,
    /// Whether the gradient outside of V has grown as it does where s is too large, so that s is 1 from this step on; under the
    /// paper's algorithm it would be.
    pub grew: bool,
}

/// What a refresh found and cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Refresh {
    /// Steps that had been taken.
    pub step: u64,
    /// λ̂: k largest in descending order, then ℓ smallest in ascending order.
    pub eigenvalues: Vec<f64>,
    /// Bounds on ‖Hv̂ − λ̂v̂‖.
    pub residuals: Vec<f64>,
    /// Whether |λ̂| is more than its residual and the products' noise: the base keeps the directions of the others, but for
    /// the paper's algorithm.
    pub resolved: Vec<bool>,
    /// s: the factor on the base's direction from here on.
    pub scale: f64,
    /// What Lanczos did, products among it.
    pub info: LanczosInfo,
    /// Wall time in seconds, products included.
    pub seconds: f64,
    /// The measured costs and T so far; `None` unless the schedule asks for them.
    pub timing: Option<Timing>,
}

/// FOSI around a base optimizer.
///
/// ```
/// use fosi::{Fosi, FosiConfig, Host, Schedule, base::HeavyBall, operator};
///
/// // f(x) = (50x₀² + x₁²)/2
/// let config = FosiConfig { largest: 1, ..FosiConfig::quadratic() };
/// let mut optimizer = Fosi::new(Host::<f64>::new(2), HeavyBall::new(0.5), 0.02, config)?;
/// let mut x = vec![1.0, 1.0];
/// for _ in 0..200 {
///     if optimizer.due() {
///         let mut hessian = operator::from_fn(|v: &[f64], out: &mut [f64]| {
///             out[0] = 50.0 * v[0];
///             out[1] = v[1];
///         });
///         optimizer.refresh(&mut hessian)?;
///     }
///     let gradient = [50.0 * x[0], x[1]];
///     optimizer.step(&mut x, &gradient)?;
/// }
/// assert!(x[0].abs() < 1e-6 && x[1].abs() < 1e-3);
/// # Ok::<(), fosi::Error>(())
/// ```
pub struct Fosi<S: Space, B> {
    pub(crate) space: S,
    pub(crate) base: B,
    pub(crate) learning_rate: Rate,
    pub(crate) config: FosiConfig,
    /// The base's state vectors.
    pub(crate) state: Vec<S::Owned>,
    pub(crate) subspace: Option<Subspace<S>>,
    pub(crate) progress: Progress,
    /// What the parameters are, kept in checkpoints.
    pub(crate) signature: String,
    /// The step that left something infinite or NaN, if one did.
    pub(crate) spoiled: Option<u64>,
    scratch: S::Owned,
    clipped: Option<S::Owned>,
    workspace: Option<Workspace<S>>,
    pub(crate) timer: StepTimer,
}

/// Where the optimizer stands; saved in checkpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Progress {
    /// Steps taken.
    pub(crate) step: u64,
    /// Refreshes tried, failed ones included; the seed of the next one.
    pub(crate) refreshes: u64,
    /// Step of the last try.
    pub(crate) last_refresh: Option<u64>,
    /// A bound of the total momentum's length.
    #[serde(default)]
    pub(crate) momentum_bound: f64,
    /// The mean of ‖∇f‖ of late.
    #[serde(default)]
    pub(crate) gradient_norm: MeanNorm,
    /// ‖d₂‖ of the last step.
    #[serde(default)]
    pub(crate) base_norm: Option<f64>,
    /// ‖θₜ − θₜ₋₁‖, the longest of late.
    #[serde(default)]
    pub(crate) recent_move: f64,
    #[serde(default)]
    pub(crate) caution: Caution,
    #[serde(default)]
    pub(crate) interventions: Interventions,
}

/// Steps until another try where no refresh was timed, so that T is unknown.
const RETRY: u64 = 100;

impl<S: Space, B: Base<S>> Fosi<S, B> {
    /// FOSI around `base`, at step 0, with learning rate η (a number or a [`Rate`]).
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a setting outside its range.
    pub fn new(
        space: S,
        base: B,
        learning_rate: impl Into<Rate>,
        config: FosiConfig,
    ) -> Result<Self, Error> {
        let learning_rate = learning_rate.into();
        config.validate()?;
        base.validate(&space.limits())?;
        learning_rate.checked("learning_rate (η)", 0)?;
        let state = (0..base.state_len()).map(|_| space.zeros()).collect();
        let scratch = space.zeros();
        let params = config.spectrum_params(0);
        let products = params.steps(space.dim()) + params.probe_steps(space.dim());
        let timer = StepTimer::new(&config.schedule, products);
        Ok(Self {
            space,
            base,
            learning_rate,
            config,
            state,
            subspace: None,
            progress: Progress::default(),
            signature: String::new(),
            spoiled: None,
            scratch,
            clipped: None,
            workspace: None,
            timer,
        })
    }

    /// Whether the schedule asks for a refresh before the next step.
    pub fn due(&self) -> bool {
        let Some(warmup) = self.config.schedule.warmup() else {
            return false;
        };
        let p = &self.progress;
        if p.step < warmup {
            return false;
        }
        match (p.last_refresh, self.timer.interval()) {
            (None, _) => true,
            (Some(last), Some(interval)) => p.step >= last.saturating_add(interval),
            // T unknown: either no refresh succeeded since costs are measured, or too few steps are timed since.
            (Some(last), None) => !self.timer.refresh_timed() && p.step >= last + RETRY,
        }
    }

    /// Estimates the spectrum of the Hessian at the current parameters and adopts it; the momentum is split anew.
    ///
    /// The public Python implementation leaves the base's momentum as it is, with what of it lies in the new subspace.
    /// Measured against each other with Heavy-Ball: where the subspace turns steadily, splitting anew is far ahead (the
    /// mean of ln f over a run is lower by 2 to 3); where it turns slowly, they differ by less than 0.3
    /// (`tests/suite/momentum.rs`, quadratics). On a small network (`fosi-burn`'s example `momentum`, T = 10, 50, 200, five
    /// seeds) there is little between them: losses after 600 steps differ by at most 0.3 %, the other way's being the
    /// lower ones in 14 of 15 runs.
    ///
    /// # Errors
    /// [`Error::Refresh`] where the estimation fails; the old spectrum stays in use, and the next try is an interval
    /// away. [`Error::DimensionMismatch`] where the operator says that its dimension isn't the space's.
    pub fn refresh(&mut self, hessian: &mut impl SymmetricOperator<S>) -> Result<Refresh, Error> {
        self.refuse_spoiled()?;
        if let Some(found) = hessian.dim() {
            check_dim(self.space.dim(), found)?;
        }
        let mut timer = self.timer.start_refresh();
        let step = self.progress.step;
        let params = self.config.spectrum_params(self.progress.refreshes);
        self.progress.refreshes += 1;
        self.progress.last_refresh = Some(step);
        let n = self.space.dim();
        let steps = params.steps(n) + params.probe_steps(n);
        let workspace = self
            .workspace
            .get_or_insert_with(|| Workspace::new(&self.space, steps));
        let spectrum = estimate_with(&self.space, &mut timer.watch(hessian), &params, workspace)
            .inspect_err(|error| tracing::warn!(step, %error, "refresh failed"))
            .map_err(|source| Error::Refresh { step, source })?;
        let refresh = self.adopt(spectrum, &timer);
        tracing::info!(step, eigenvalues = ?refresh.eigenvalues, scale = refresh.scale, "refreshed");
        Ok(refresh)
    }

    fn adopt(&mut self, spectrum: Spectrum<S>, timer: &RefreshTimer) -> Refresh {
        let safeguards = self.config.safeguards;
        let resolved = spectrum.resolved();
        let unresolved = resolved.iter().filter(|resolved| !**resolved).count();
        self.progress.interventions.unresolved += unresolved as u64;
        let curvature = spectrum.damped_curvature(self.config.curvature_floor);
        let directions: Vec<Direction> = resolved.iter().map(|r| Direction::new(*r)).collect();
        // Without curvature there is no Newton step to replace the base's: all of the space is the base's again.
        let flat = match safeguards {
            true => resolved.iter().all(|resolved| !resolved),
            false => curvature.iter().all(|curvature| *curvature == 0.0),
        };
        let gram_inverse = kept_gram_inverse(&spectrum, &directions, safeguards);
        let momentum = self.split_momentum(&spectrum, &gram_inverse, flat);
        let extremes = spectrum.extremes(self.config.strong_convexity);
        let ratio = self.base.rate_ratio(&extremes);
        let scale = match self.progress.interventions.grew.is_some() && safeguards {
            true => 1.0,
            false => limited(&extremes, ratio, self.config.scale_limit),
        };
        let refresh = Refresh {
            step: self.progress.step,
            eigenvalues: spectrum.eigenvalues.clone(),
            residuals: spectrum.residuals.clone(),
            resolved,
            scale,
            info: spectrum.info,
            seconds: self.timer.finish_refresh(timer),
            timing: self.timer.timing(),
        };
        let overshot = self
            .subspace
            .as_ref()
            .is_some_and(|old| old.monitor.overshot);
        let monitor = Monitor {
            directions,
            growth: Growth::new(self.progress.gradient_norm.get()),
            cautious: self.progress.caution.refreshed(overshot),
            ..Monitor::default()
        };
        let new = (!flat)
            .then(|| Subspace::new(spectrum, curvature, momentum, scale, monitor, safeguards));
        let old = std::mem::replace(&mut self.subspace, new);
        if let (Some(workspace), Some(old)) = (&mut self.workspace, old) {
            workspace.recycle(self.space.release(old.spectrum.basis));
        }
        refresh
    }

    /// Splits the total momentum M = V_old·c̄ + m anew: c̄ = (VᵀV)⁻¹VᵀM over the directions that aren't the base's, and m = M − Vc̄
    /// stays with the base. Of a base that keeps m to itself, M is the subspace's part alone, and what doesn't fit into the
    /// new one is dropped. Without a new subspace (`flat`) all of M stays with the base.
    fn split_momentum(&mut self, new: &Spectrum<S>, gram_inverse: &[f64], flat: bool) -> Vec<f64> {
        let mut momentum = vec![0.0; new.eigenvalues.len()];
        if self.base.momentum().decay == 0.0 {
            return momentum;
        }
        if self.state.is_empty() {
            self.scratch = self.space.zeros();
        }
        let m = self.state.first_mut().unwrap_or(&mut self.scratch);
        let m = m.borrow_mut();
        if let Some(old) = &self.subspace {
            let negative: Vec<f64> = old.momentum.iter().map(|c| -c).collect();
            self.space.subtract(&old.spectrum.basis, &negative, m);
        }
        if !flat {
            let mut projection = momentum.clone();
            self.space.project(&new.basis, m, &mut projection);
            solve(gram_inverse, &projection, &mut momentum);
            self.space.subtract(&new.basis, &momentum, m);
        }
        momentum
    }

    /// Takes one step from `parameters` with the gradient there.
    ///
    /// θ ← θ − s·d_b + V(s·e − α u⊙c̄), the base's direction d_b taken in the complement of V; before the first
    /// refresh, bit for bit the base's own step.
    ///
    /// # Errors
    /// [`Error::DimensionMismatch`], [`Error::NonFiniteGradient`], [`Error::GradientOverflow`], [`Error::StepOverflow`], or
    /// [`Error::InvalidSetting`] where a rate's schedule gives a negative or non-finite value, or the base has been given an
    /// impossible setting: parameters and optimizer are then as before. [`Error::Spoiled`] where parameters or state came out
    /// infinite or NaN, and from then on until [`restore`](Self::restore) or [`load`](Self::load).
    pub fn step(
        &mut self,
        parameters: &mut S::Vector,
        gradient: &S::Vector,
    ) -> Result<StepReport, Error> {
        self.refuse_spoiled()?;
        self.space.check("the parameter vector", parameters)?;
        self.space.check("the gradient", gradient)?;
        let limits = self.space.limits();
        self.base.validate(&limits)?;
        let step = self.progress.step;
        let learning_rate = self.learning_rate.checked("learning_rate (η)", step)?;
        let newton_rate = self.config.newton_rate.checked("newton_rate (α)", step)?;
        let decay = learning_rate * self.base.weight_decay();
        for (setting, value) in [
            ("learning_rate (η)", learning_rate),
            ("η·weight_decay", decay),
        ] {
            let allowed = "at most the largest number of the vectors' precision";
            require(value <= limits.max, setting, value, allowed)?;
        }
        let norm = self.project_gradient(gradient)?;
        self.refuse_overflow(norm)?;
        let gradient_scale = match self.config.clipping {
            Clipping::Norm(limit) if norm > limit => limit / norm,
            _ => 1.0,
        };
        let newton = NewtonStep {
            step: step + 1,
            newton_rate,
            gradient_scale,
            momentum: self.base.momentum(),
        };
        let plan = self.plan(&newton, norm, &limits);
        let reach = self.reach(
            &newton,
            self.clipped_norm(norm),
            plan.scale * learning_rate,
            &plan,
        );
        reach.check(step, &limits)?;
        let mut split = Split {
            gradient_scale,
            decay,
            scale: plan.scale,
            norm_unit: reach.unit(),
            ..Split::NONE
        };
        if let Some(subspace) = &mut self.subspace {
            if self.config.safeguards {
                let m = self.state.first_mut().map(BorrowMut::borrow_mut);
                subspace.settle(&newton, &self.space, m);
            }
            subspace.fill(&mut split);
        }
        let gradient = match (self.config.clipping, &self.clipped) {
            (Clipping::Value(_), Some(clipped)) => clipped.borrow(),
            _ => gradient,
        };
        let at = BaseStep {
            space: &self.space,
            step: step + 1,
            learning_rate,
            state: &mut self.state,
        };
        let moved = self
            .base
            .step(at, gradient, &split, parameters, &mut self.scratch)?;
        if !moved.finite {
            self.spoiled = Some(step + 1);
            return Err(Error::Spoiled { step: step + 1 });
        }
        let base_norm = plan.scale * moved.complement_norm;
        self.advance(&plan, norm, base_norm, reach.momentum);
        Ok(StepReport {
            step: self.progress.step,
            gradient_norm: norm,
            scale: plan.scale,
            newton_norm: plan.newton_norm,
            base_norm,
            released: self.subspace.as_ref().map_or(0, |s| s.monitor.released()),
            overshot: plan.overshot,
            grew: plan.grew,
        })
    }

    /// What the step does along V, for the gradient whose projection is known; nothing but scratch memory changes.
    fn plan(&mut self, newton: &NewtonStep, norm: f64, limits: &FloatLimits) -> Plan {
        let lengths = Lengths {
            gradient: norm,
            // No step, no length to compare with.
            base: self.progress.base_norm.unwrap_or(f64::INFINITY),
            recent_move: self.progress.recent_move,
        };
        let grew_before = self.progress.interventions.grew.is_some();
        match &mut self.subspace {
            Some(subspace) => {
                let mut plan = subspace.plan(newton, &lengths, limits, self.config.safeguards);
                plan.grew &= subspace.scale > 1.0 && !grew_before;
                if plan.grew && self.config.safeguards {
                    plan.scale = 1.0;
                }
                plan
            }
            None => Plan::BASE_ALONE,
        }
    }

    /// Bounds of how far the step may reach, for a clipped gradient of length `norm` and s·η = `rate`.
    fn reach(&self, newton: &NewtonStep, norm: f64, rate: f64, plan: &Plan) -> Reach {
        let Momentum { decay, gain, .. } = newton.momentum;
        let momentum = decay * self.progress.momentum_bound + gain * norm;
        Reach {
            momentum,
            keeps_momentum: decay > 0.0,
            // A base that keeps squares divides by them, so its steps don't grow with the gradient.
            base: if self.base.squares() {
                0.0
            } else {
                rate * momentum
            },
            newton: plan.newton_norm,
        }
    }

    /// Takes over what a step has done.
    fn advance(&mut self, plan: &Plan, norm: f64, base_norm: f64, momentum_bound: f64) {
        let safeguards = self.config.safeguards;
        if let Some(subspace) = &mut self.subspace {
            subspace.commit(plan, norm, base_norm);
            if safeguards && plan.overshot > 0 {
                let m = self.state.first_mut().map(BorrowMut::borrow_mut);
                subspace.release_overshot(&self.space, m);
            }
        }
        let progress = &mut self.progress;
        let step = progress.step;
        progress.step += 1;
        progress.momentum_bound = momentum_bound;
        progress.gradient_norm.add(norm);
        progress.base_norm = Some(base_norm);
        progress.recent_move = base_norm
            .hypot(plan.newton_norm)
            .max(FADE * progress.recent_move);
        progress.interventions.overshot += plan.overshot as u64;
        if plan.grew {
            progress.interventions.grew = Some(progress.step);
        }
        let (overshot, grew) = (plan.overshot, plan.grew);
        if grew || overshot > 0 {
            tracing::info!(
                step,
                overshot,
                grew,
                acted = safeguards,
                "the spectrum misleads"
            );
        }
        self.timer.step_taken(self.subspace.is_some());
    }

    pub(crate) fn refuse_spoiled(&self) -> Result<(), Error> {
        match self.spoiled {
            Some(step) => Err(Error::Spoiled { step }),
            None => Ok(()),
        }
    }

    /// A bound of the clipped gradient's length.
    fn clipped_norm(&self, norm: f64) -> f64 {
        match self.config.clipping {
            Clipping::None => norm,
            Clipping::Norm(limit) => norm.min(limit),
            Clipping::Value(limit) => norm.min(limit * (self.space.dim() as f64).sqrt()),
        }
    }

    /// An error where the base would square a gradient that is too long for it.
    fn refuse_overflow(&self, norm: f64) -> Result<(), Error> {
        // An entry, of which the square is taken, is no longer than the limit under either clipping.
        let reaches_base = match self.config.clipping {
            Clipping::None => norm,
            Clipping::Norm(limit) | Clipping::Value(limit) => norm.min(limit),
        };
        // Half: room for the rounding of v̂ = v/(1 − β₂ᵗ).
        let limit = 0.5 * self.space.max_value().sqrt();
        if !self.base.squares() || reaches_base <= limit {
            return Ok(());
        }
        Err(Error::GradientOverflow {
            step: self.progress.step,
            norm: reaches_base,
            limit,
        })
    }

    /// Vᵀg into the subspace's projection, after clamping; returns ‖g‖.
    fn project_gradient(&mut self, gradient: &S::Vector) -> Result<f64, Error> {
        let square = match (&mut self.subspace, self.config.clipping) {
            (Some(subspace), Clipping::None | Clipping::Norm(_)) => {
                let (basis, projection) = subspace.projection();
                self.space.project(basis, gradient, projection)
            }
            _ => self.space.dot(gradient, gradient),
        };
        let norm = self.space.norm_of_square(gradient, square);
        if !norm.is_finite() {
            let step = self.progress.step;
            return Err(Error::NonFiniteGradient { step });
        }
        if let Clipping::Value(limit) = self.config.clipping {
            let clipped = self.clipped.get_or_insert_with(|| self.space.zeros());
            self.space.clamp(limit, gradient, clipped.borrow_mut());
            if let Some(subspace) = &mut self.subspace {
                let (basis, projection) = subspace.projection();
                let clipped: &S::Vector = (*clipped).borrow();
                self.space.project(basis, clipped, projection);
            }
        }
        Ok(norm)
    }

    /// The spectrum in use; `None` before the first refresh, and after one that found no curvature at all: the step is
    /// then the base's own.
    pub fn spectrum(&self) -> Option<&Spectrum<S>> {
        self.subspace.as_ref().map(|subspace| &subspace.spectrum)
    }

    /// s: the factor on the base's direction; 1 before the first refresh.
    pub fn scale(&self) -> f64 {
        self.subspace
            .as_ref()
            .map_or(1.0, |subspace| subspace.scale)
    }

    /// What the [safeguards](FosiConfig::safeguards) have done so far or, without them, would have.
    pub fn interventions(&self) -> Interventions {
        self.progress.interventions
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        self.progress.step
    }

    /// T, the steps between refreshes, once it is known. Measured, it changes from step to step.
    pub fn interval(&self) -> Option<u64> {
        self.timer.interval()
    }

    /// r, the cost of a product in steps, τ₃/(mτ₁), once it is known; only under [`Schedule::Overhead`].
    pub fn product_cost(&self) -> Option<f64> {
        self.timer.product_cost()
    }

    /// The measured costs and the T that follows; `None` unless [`Schedule::Overhead`] measures them.
    pub fn timing(&self) -> Option<Timing> {
        self.timer.timing()
    }

    /// Measures costs with another clock from here on.
    pub fn set_clock(&mut self, clock: Clock) {
        self.timer.set_clock(clock);
    }

    /// Changes η from the next step on.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a negative or non-finite rate.
    pub fn set_learning_rate(&mut self, learning_rate: impl Into<Rate>) -> Result<(), Error> {
        let learning_rate = learning_rate.into();
        learning_rate.checked("learning_rate (η)", self.progress.step)?;
        self.learning_rate = learning_rate;
        Ok(())
    }

    /// Changes α from the next step on.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a negative or non-finite rate.
    pub fn set_newton_rate(&mut self, newton_rate: impl Into<Rate>) -> Result<(), Error> {
        let newton_rate = newton_rate.into();
        newton_rate.checked("newton_rate (α)", self.progress.step)?;
        self.config.newton_rate = newton_rate;
        Ok(())
    }

    /// Says what the parameters are, a model's layers say; a checkpoint with another signature is refused.
    pub fn set_signature(&mut self, signature: impl Into<String>) {
        self.signature = signature.into();
    }

    /// The base optimizer.
    pub fn base(&self) -> &B {
        &self.base
    }

    /// The base optimizer, to be changed between steps.
    pub fn base_mut(&mut self) -> &mut B {
        &mut self.base
    }

    /// The settings.
    pub fn config(&self) -> &FosiConfig {
        &self.config
    }

    /// The space.
    pub fn space(&self) -> &S {
        &self.space
    }
}

/// By how much the longest step of late falls a step.
const FADE: f64 = 0.97;

/// How far a step may reach: bounds of lengths.
struct Reach {
    momentum: f64,
    /// Whether the base has a vector of that length.
    keeps_momentum: bool,
    base: f64,
    newton: f64,
}

impl Reach {
    /// The unit for the base's norm: 1 where its square is far from the ends of the floating range.
    fn unit(&self) -> f64 {
        if self.base == 0.0 || (1e-100..1e100).contains(&self.base) {
            return 1.0;
        }
        // No subnormal number: its reciprocal would overflow.
        self.base.log2().floor().max(-1022.0).exp2()
    }

    /// An error where parameters or momentum may overflow.
    fn check(&self, step: u64, limits: &FloatLimits) -> Result<(), Error> {
        let limit = 0.25 * limits.max;
        let kept = if self.keeps_momentum {
            self.momentum
        } else {
            0.0
        };
        for norm in [kept, self.base, self.newton] {
            // So that NaN is refused too.
            let allowed = norm <= limit;
            if !allowed {
                return Err(Error::StepOverflow { step, norm, limit });
            }
        }
        Ok(())
    }
}

impl<T: Scalar, B> Fosi<Host<T>, B> {
    /// Keeps bases in another precision, from the next refresh on: see [`Host::with_storage`].
    pub fn set_storage(&mut self, storage: Storage) {
        self.space = self.space.clone().with_storage(storage);
    }
}
