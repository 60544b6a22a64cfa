//! FOSI itself: the optimizer that wraps a base (paper, Algorithm 2).

mod change;
mod parallel;
mod refresh;
mod step;

use crate::averaging::Average;
use crate::base::Base;
use crate::config::FosiConfig;
use crate::error::Error;
use crate::lanczos::Workspace;
use crate::newton_rate::NewtonRate;
use crate::safeguard::{Caution, Interventions, MeanNorm};
use crate::space::{Host, Scalar, Space, Storage};
use crate::spectrum::Spectrum;
use crate::subspace::Subspace;
use crate::timing::{Clock, StepTimer, Timing};

/// FOSI around a base optimizer (paper, Algorithm 2).
///
/// A [step](Self::step) is θ ← θ − s·(d_b − Ve) − αV(u⊙c̄), with c = (VᵀV)⁻¹Vᵀg of the gradient g, c̄ the base's
/// momentum rule applied to c, d_b the base's direction for g − Vc (learning rate included), and e = (VᵀV)⁻¹Vᵀd_b. V,
/// u and s are those of the last [refresh](Self::refresh); before the first one the step is the base's own.
///
/// ```
/// use fosi::{Fosi, FosiConfig, Host, Schedule, base::HeavyBall, operator};
///
/// // f(x) = (50x₀² + x₁²)/2
/// let config = FosiConfig { largest: 1, ..FosiConfig::quadratic() };
/// let mut optimizer = Fosi::new(Host::<f64>::new(2), HeavyBall::new(0.5), config)?;
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
///     optimizer.step(0.02, &mut x, &gradient)?;
/// }
/// assert!(x[0].abs() < 1e-6 && x[1].abs() < 1e-3);
/// # Ok::<(), fosi::Error>(())
/// ```
pub struct Fosi<S: Space, B> {
    pub(crate) space: S,
    pub(crate) base: B,
    pub(crate) config: FosiConfig,
    /// The base's state vectors.
    pub(crate) state: Vec<S::Owned>,
    pub(crate) subspace: Option<Subspace<S>>,
    /// The mean over refreshes; its leading pairs form the subspace.
    pub(crate) average: Option<Average<S>>,
    pub(crate) progress: Progress,
    /// A description of the parameters, stored in checkpoints.
    pub(crate) signature: String,
    /// The step that left a parameter or state entry infinite or NaN, if any.
    pub(crate) spoiled: Option<u64>,
    scratch: S::Owned,
    clipped: Option<S::Owned>,
    workspace: Option<Workspace<S>>,
    pub(crate) timer: StepTimer,
    /// Whether the parameters of all ranks are known to be equal since the last refresh.
    parameters_compared: bool,
}

impl<S: Space, B: Base<S>> std::fmt::Debug for Fosi<S, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fosi")
            .field("base", &self.base.name())
            .field("dim", &self.space.dim())
            .field("step", &self.progress.step)
            .field("config", &self.config)
            .field("spectrum", &self.spectrum())
            .finish_non_exhaustive()
    }
}

/// The optimizer's counters and running values; saved in checkpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Progress {
    /// Steps taken.
    pub(crate) step: u64,
    /// Refreshes attempted, failed ones included; seeds the next refresh.
    pub(crate) refreshes: u64,
    /// Step of the last attempt.
    pub(crate) last_refresh: Option<u64>,
    /// A bound on the norm of the total momentum.
    #[serde(default)]
    pub(crate) momentum_bound: f64,
    /// The running mean of ‖∇f‖.
    #[serde(default)]
    pub(crate) gradient_norm: MeanNorm,
    /// The largest learning rate so far.
    pub(crate) largest_rate: f64,
    /// ‖d₂‖ of the last step.
    #[serde(default)]
    pub(crate) base_norm: Option<f64>,
    /// The largest recent ‖θₜ − θₜ₋₁‖, decaying per step.
    #[serde(default)]
    pub(crate) recent_move: f64,
    #[serde(default)]
    pub(crate) caution: Caution,
    #[serde(default)]
    pub(crate) interventions: Interventions,
}

/// Steps between attempts while no refresh has been timed and T is therefore unknown.
const RETRY: u64 = 100;

impl<S: Space, B: Base<S>> Fosi<S, B> {
    /// FOSI around `base`, at step 0. The learning rate η is given at each [step](Self::step).
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a setting outside its range.
    pub fn new(space: S, base: B, config: FosiConfig) -> Result<Self, Error> {
        config.validate()?;
        base.validate(&space.limits())?;
        let state = (0..base.state_len()).map(|_| space.zeros()).collect();
        let scratch = space.zeros();
        let products = config.products(space.dim());
        let timer = StepTimer::new(&config.schedule, products);
        Ok(Self {
            space,
            base,
            config,
            state,
            subspace: None,
            average: None,
            progress: Progress::default(),
            signature: String::new(),
            spoiled: None,
            scratch,
            clipped: None,
            workspace: None,
            timer,
            parameters_compared: false,
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
            // T is unknown because no refresh has succeeded, or because too few steps have been timed.
            (Some(last), None) => !self.timer.refresh_timed() && p.step >= last + RETRY,
        }
    }

    pub(crate) fn refuse_spoiled(&self) -> Result<(), Error> {
        match self.spoiled {
            Some(step) => Err(Error::Spoiled { step }),
            None => Ok(()),
        }
    }

    /// The spectrum in use; `None` before the first refresh and after a refresh that found no curvature. The step is
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

    /// The interventions of the [safeguards](FosiConfig::safeguards) so far; with these off, the interventions that
    /// they would have made.
    pub fn interventions(&self) -> Interventions {
        self.progress.interventions
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        self.progress.step
    }

    /// T, the number of steps between refreshes, once it is known. A measured T changes from step to step.
    pub fn interval(&self) -> Option<u64> {
        self.timer.interval()
    }

    /// r, the cost of a product in steps, τ₃/(mτ₁), once it is known; only under
    /// [`Schedule::Overhead`](crate::Schedule::Overhead). m is the maximum number of products per estimation, so r is
    /// too low where a [tolerance](FosiConfig::lanczos_tolerance) ends estimations early; a measured T does not depend
    /// on r.
    pub fn product_cost(&self) -> Option<f64> {
        self.timer.product_cost()
    }

    /// The measured costs and the T that follows; `None` unless [`Schedule::Overhead`](crate::Schedule::Overhead)
    /// measures them.
    pub fn timing(&self) -> Option<Timing> {
        self.timer.timing()
    }

    /// Measures costs with this clock from now on.
    pub fn set_clock(&mut self, clock: Clock) {
        self.timer.set_clock(clock);
    }

    /// Changes α from the next step on.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a negative or non-finite rate.
    pub fn set_newton_rate(&mut self, newton_rate: impl Into<NewtonRate>) -> Result<(), Error> {
        let newton_rate = newton_rate.into();
        newton_rate.validate(self.progress.step)?;
        self.config.newton_rate = newton_rate;
        Ok(())
    }

    /// Changes k and ℓ from the next refresh on.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] where they do not fit the [Lanczos steps](FosiConfig::lanczos_steps); the optimizer is
    /// then unchanged.
    pub fn set_eigenpairs(&mut self, largest: usize, smallest: usize) -> Result<(), Error> {
        let config = FosiConfig {
            largest,
            smallest,
            ..self.config.clone()
        };
        config.validate()?;
        self.config = config;
        let products = self.config.products(self.space.dim());
        self.timer.set_products(&self.config.schedule, products);
        Ok(())
    }

    /// Sets a description of the parameters, such as a model's layers. A checkpoint with another signature is refused.
    pub fn set_signature(&mut self, signature: impl Into<String>) {
        self.signature = signature.into();
    }

    /// The base optimizer.
    pub fn base(&self) -> &B {
        &self.base
    }

    /// Mutable access to the base optimizer, to change its settings between steps.
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
    /// Stores bases in another precision from the next refresh on; see [`Host::with_storage`].
    pub fn set_storage(&mut self, storage: Storage) {
        self.space = self.space.clone().with_storage(storage);
    }
}
