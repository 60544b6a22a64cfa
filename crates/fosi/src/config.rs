//! FOSI's settings.

use crate::averaging::Averaging;
use crate::error::{Error, require};
use crate::newton_rate::NewtonRate;
use crate::non_exhaustive::NonExhaustive;
use crate::schedule::Schedule;
use crate::spectrum::SpectrumParams;

/// What is done to gradients before the split.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
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

/// FOSI's settings.
///
/// The defaults are for training on batches. k, ℓ, m, α and c have the values of the paper's experiments. What the paper
/// lacks is on: the spectrum is a [mean over refreshes](Averaging::Predicted), an estimation ends where its pairs are
/// known to a tenth, α [follows](NewtonRate::Following) the learning rate, and there are safeguards and a curvature floor.
/// The spectrum is refreshed so rarely that FOSI takes at most 1.1 times the base's time, where the paper has T = 800 and
/// W = one epoch. [`FosiConfig::paper`] has the paper's values of all, [`FosiConfig::quadratic`] those for smooth functions
/// without noise.
#[derive(Debug, Clone)]
pub struct FosiConfig {
    /// k: largest eigenvalues; default 10.
    pub largest: usize,
    /// ℓ: smallest eigenvalues; default 0.
    pub smallest: usize,
    /// m: Lanczos steps; default max{4(k+ℓ), ⌈2 ln n⌉}.
    pub lanczos_steps: Option<usize>,
    /// Where the residuals of all k+ℓ pairs are below this, relative to |λ̂|, an estimation ends before its m steps;
    /// default 0.1; `None` for all m steps.
    pub lanczos_tolerance: Option<f64>,
    /// Whether the spectrum in use is a mean over refreshes; default [`Averaging::Predicted`].
    pub averaging: Averaging,
    /// α: rate of the Newton step, 1 for an exact one; default 0.01, [following](NewtonRate::Following) the learning rate's
    /// schedule. Under momentum it multiplies c̄, as in the paper: with Heavy-Ball, c̄ ← βc̄ + c sums undamped, so that along a steady gradient the steps grow to α/(1−β)
    /// Newton steps. α = 1 is then Heavy-Ball at the rate 1/|λ|, stable for every β < 1, and α = 1 − β a Newton step
    /// in the long run.
    pub newton_rate: NewtonRate,
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
    /// - A direction along which the gradient changes far more than λ̂ says goes back to where f was lowest along it,
    ///   and to the base until the next refresh.
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
    #[doc(hidden)]
    pub non_exhaustive: NonExhaustive,
}

impl Default for FosiConfig {
    fn default() -> Self {
        Self {
            largest: 10,
            smallest: 0,
            lanczos_steps: None,
            lanczos_tolerance: Some(0.1),
            averaging: Averaging::Predicted,
            newton_rate: NewtonRate::Following(0.01),
            scale_limit: 3.0,
            strong_convexity: None,
            curvature_floor: 1e-6,
            safeguards: true,
            schedule: Schedule::default(),
            clipping: Clipping::None,
            seed: 0,
            non_exhaustive: NonExhaustive::default(),
        }
    }
}

impl FosiConfig {
    /// Settings for smooth deterministic functions: α = 1 whatever the learning rate, no warm-up, a refresh every 50 steps,
    /// each with a spectrum of its own from all m Lanczos steps.
    pub fn quadratic() -> Self {
        Self {
            lanczos_tolerance: None,
            averaging: Averaging::Off,
            newton_rate: NewtonRate::Constant(1.0),
            schedule: Schedule::Every {
                warmup: 0,
                interval: 50,
            },
            ..Self::default()
        }
    }

    /// The paper's Algorithms 1 and 2 with its defaults: k = 10, ℓ = 0, α = 0.01, c = 3, T = 800, W one epoch, u =
    /// 1/|λ̂|, and no
    /// [safeguards](Self::safeguards). Where one of them would have acted, [`Refresh`](crate::Refresh) and
    /// [`StepReport`](crate::StepReport) say so.
    pub fn paper(steps_per_epoch: u64) -> Self {
        Self {
            lanczos_tolerance: None,
            averaging: Averaging::Off,
            newton_rate: NewtonRate::Constant(0.01),
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
        self.newton_rate.validate(0)?;
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
        self.averaging.validate()?;
        self.schedule.validate()?;
        self.clipping.validate()
    }

    /// The most Hessian-vector products of one refresh in a space of dimension n, retries apart.
    pub fn products(&self, dim: usize) -> usize {
        self.spectrum_params(0).products(dim)
    }

    pub(crate) fn spectrum_params(&self, refresh: u64) -> SpectrumParams {
        SpectrumParams {
            largest: self.largest,
            smallest: self.smallest,
            lanczos_steps: self.lanczos_steps,
            tolerance: self.lanczos_tolerance,
            probe: self.safeguards,
            // An odd multiplier: refreshes of one run never share a start vector.
            seed: self
                .seed
                .wrapping_add(refresh.wrapping_mul(0xD1B5_4A32_D192_ED03)),
            ..SpectrumParams::default()
        }
    }
}
