//! FOSI itself: the optimizer that wraps a base (paper, Algorithm 2).

use std::borrow::{Borrow, BorrowMut};

use crate::base::{Base, BaseStep};
use crate::error::{Error, require};
use crate::lanczos::{LanczosInfo, Workspace};
use crate::operator::SymmetricOperator;
use crate::scaling::limited;
use crate::schedule::{Rate, Schedule};
use crate::space::{Host, Scalar, Space, Split, Storage};
use crate::spectrum::{Spectrum, SpectrumParams, estimate_with};
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

/// FOSI's settings. Defaults are those of the paper's experiments.
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
    /// ε: |λ| counts as at least this much of the largest |λ| in the Newton step; default 1e-6.
    pub curvature_floor: f64,
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
        let allowed = floor > 0.0 && floor <= 1.0;
        require(
            allowed,
            "curvature_floor (ε)",
            floor,
            "above 0 and at most 1",
        )?;
        self.schedule.validate()?;
        self.clipping.validate()
    }

    pub(crate) fn spectrum_params(&self, refresh: u64) -> SpectrumParams {
        SpectrumParams {
            largest: self.largest,
            smallest: self.smallest,
            lanczos_steps: self.lanczos_steps,
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
    scratch: S::Owned,
    clipped: Option<S::Owned>,
    workspace: Option<Workspace<S>>,
    pub(crate) timer: StepTimer,
}

/// The subspace in use.
pub(crate) struct Subspace<S: Space> {
    pub(crate) spectrum: Spectrum<S>,
    /// u.
    pub(crate) inverse_curvature: Vec<f64>,
    /// c̄: the momentum's coefficients.
    pub(crate) momentum: Vec<f64>,
    /// s.
    pub(crate) scale: f64,
    small: Small,
}

/// Coefficient vectors of one step, kept so that a step allocates nothing.
struct Small {
    projection: Vec<f64>,
    coefficients: Vec<f64>,
    momentum: Vec<f64>,
    newton: Vec<f64>,
}

impl<S: Space> Subspace<S> {
    pub(crate) fn new(
        spectrum: Spectrum<S>,
        inverse_curvature: Vec<f64>,
        momentum: Vec<f64>,
        scale: f64,
    ) -> Self {
        let zeros = vec![0.0; momentum.len()];
        Self {
            spectrum,
            inverse_curvature,
            momentum,
            scale,
            small: Small {
                projection: zeros.clone(),
                coefficients: zeros.clone(),
                momentum: zeros.clone(),
                newton: zeros,
            },
        }
    }
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
        base.validate()?;
        learning_rate.checked("learning_rate (η)", 0)?;
        let state = (0..base.state_len()).map(|_| space.zeros()).collect();
        let scratch = space.zeros();
        let steps = config.spectrum_params(0).steps(space.dim());
        let timer = StepTimer::new(&config.schedule, steps);
        Ok(Self {
            space,
            base,
            learning_rate,
            config,
            state,
            subspace: None,
            progress: Progress::default(),
            signature: String::new(),
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
    /// away.
    pub fn refresh(&mut self, hessian: &mut impl SymmetricOperator<S>) -> Result<Refresh, Error> {
        let mut timer = self.timer.start_refresh();
        let step = self.progress.step;
        let params = self.config.spectrum_params(self.progress.refreshes);
        self.progress.refreshes += 1;
        self.progress.last_refresh = Some(step);
        let steps = params.steps(self.space.dim());
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
        let inverse_curvature = spectrum.inverse_curvature(self.config.curvature_floor);
        let flat = inverse_curvature.iter().all(|u| *u == 0.0);
        let momentum = self.split_momentum((!flat).then_some(&spectrum));
        let extremes = spectrum.extremes(self.config.strong_convexity);
        let ratio = self.base.rate_ratio(&extremes);
        let scale = limited(&extremes, ratio, self.config.scale_limit);
        let refresh = Refresh {
            step: self.progress.step,
            eigenvalues: spectrum.eigenvalues.clone(),
            residuals: spectrum.residuals.clone(),
            scale,
            info: spectrum.info,
            seconds: self.timer.finish_refresh(timer),
            timing: self.timer.timing(),
        };
        // Without curvature there is no Newton step to replace the base's: all of the space is the base's again.
        let new = (!flat).then(|| Subspace::new(spectrum, inverse_curvature, momentum, scale));
        let old = std::mem::replace(&mut self.subspace, new);
        if let (Some(workspace), Some(old)) = (&mut self.workspace, old) {
            workspace.recycle(self.space.release(old.spectrum.basis));
        }
        refresh
    }

    /// Splits the total momentum M = V_old·c̄ + m anew: c̄ = (VᵀV)⁻¹VᵀM, and m = M − Vc̄ stays with the base. Of a base
    /// that keeps m to itself, M is the subspace's part alone, and what doesn't fit into the new one is dropped. Without a
    /// new subspace all of M stays with the base.
    fn split_momentum(&mut self, new: Option<&Spectrum<S>>) -> Vec<f64> {
        let mut momentum = vec![0.0; new.map_or(0, |new| new.eigenvalues.len())];
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
        if let Some(new) = new {
            let mut projection = momentum.clone();
            self.space.project(&new.basis, m, &mut projection);
            solve(&new.gram_inverse, &projection, &mut momentum);
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
    /// [`Error::DimensionMismatch`], [`Error::NonFiniteGradient`], [`Error::GradientOverflow`], or
    /// [`Error::InvalidSetting`] where a rate's schedule gives a negative or non-finite value. Parameters and optimizer are then as before.
    pub fn step(
        &mut self,
        parameters: &mut S::Vector,
        gradient: &S::Vector,
    ) -> Result<StepReport, Error> {
        self.space.check("the parameter vector", parameters)?;
        self.space.check("the gradient", gradient)?;
        let step = self.progress.step;
        let learning_rate = self.learning_rate.checked("learning_rate (η)", step)?;
        let newton_rate = self.config.newton_rate.checked("newton_rate (α)", step)?;
        let norm = self.project_gradient(gradient)?;
        self.refuse_overflow(norm)?;
        let gradient = match (self.config.clipping, &self.clipped) {
            (Clipping::Value(_), Some(clipped)) => clipped.borrow(),
            _ => gradient,
        };
        let gradient_scale = match self.config.clipping {
            Clipping::Norm(limit) if norm > limit => limit / norm,
            _ => 1.0,
        };
        let momentum = self.base.momentum();
        let decay = learning_rate * self.base.weight_decay();
        let mut split = Split {
            gradient_scale,
            decay,
            ..Split::NONE
        };
        let mut newton_square = 0.0;
        if let Some(subspace) = &mut self.subspace {
            let Subspace {
                spectrum,
                inverse_curvature,
                momentum: c_bar,
                scale,
                small,
            } = subspace;
            small
                .projection
                .iter_mut()
                .for_each(|c| *c *= gradient_scale);
            solve(
                &spectrum.gram_inverse,
                &small.projection,
                &mut small.coefficients,
            );
            small.momentum.copy_from_slice(c_bar);
            momentum.apply(
                step + 1,
                &small.coefficients,
                &mut small.momentum,
                &mut small.newton,
            );
            for (newton, u) in small.newton.iter_mut().zip(inverse_curvature) {
                *newton *= newton_rate * *u;
                newton_square += *newton * *newton;
            }
            split.basis = Some(&spectrum.basis);
            split.gram_inverse = &spectrum.gram_inverse;
            split.coefficients = &small.coefficients;
            split.subspace_step = &small.newton;
            split.scale = *scale;
        }
        let at = BaseStep {
            space: &self.space,
            step: step + 1,
            learning_rate,
            state: &mut self.state,
        };
        let moved = self
            .base
            .step(at, gradient, &split, parameters, &mut self.scratch)?;
        let scale = split.scale;
        if let Some(subspace) = &mut self.subspace {
            subspace.momentum.copy_from_slice(&subspace.small.momentum);
        }
        self.progress.step += 1;
        self.timer.step_taken(self.subspace.is_some());
        Ok(StepReport {
            step: self.progress.step,
            gradient_norm: norm,
            scale,
            newton_norm: newton_square.sqrt(),
            base_norm: scale * moved.complement_norm,
        })
    }

    /// An error where the base would square a gradient that is too long for it.
    fn refuse_overflow(&self, norm: f64) -> Result<(), Error> {
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
        let norm = match (&mut self.subspace, self.config.clipping) {
            (Some(subspace), Clipping::None | Clipping::Norm(_)) => {
                let basis = &subspace.spectrum.basis;
                self.space
                    .project(basis, gradient, &mut subspace.small.projection)
                    .sqrt()
            }
            _ => self.space.dot(gradient, gradient).sqrt(),
        };
        if !norm.is_finite() {
            let step = self.progress.step;
            return Err(Error::NonFiniteGradient { step });
        }
        if let Clipping::Value(limit) = self.config.clipping {
            let clipped = self.clipped.get_or_insert_with(|| self.space.zeros());
            self.space.clamp(limit, gradient, clipped.borrow_mut());
            if let Some(subspace) = &mut self.subspace {
                let basis = &subspace.spectrum.basis;
                let clipped: &S::Vector = (*clipped).borrow();
                self.space
                    .project(basis, clipped, &mut subspace.small.projection);
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

impl<T: Scalar, B> Fosi<Host<T>, B> {
    /// Keeps bases in another precision, from the next refresh on: see [`Host::with_storage`].
    pub fn set_storage(&mut self, storage: Storage) {
        self.space = self.space.clone().with_storage(storage);
    }
}

/// out ← (VᵀV)⁻¹·projection.
fn solve(gram_inverse: &[f64], projection: &[f64], out: &mut [f64]) {
    let k = projection.len();
    for (i, out) in out.iter_mut().enumerate() {
        let row = &gram_inverse[i * k..(i + 1) * k];
        *out = row.iter().zip(projection).map(|(a, b)| a * b).sum();
    }
}
