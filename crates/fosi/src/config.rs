//! FOSI's settings.

use crate::averaging::Averaging;
use crate::error::{Error, require};
use crate::newton_rate::NewtonRate;
use crate::non_exhaustive::NonExhaustive;
use crate::schedule::Schedule;
use crate::spectrum::SpectrumParams;

/// Clipping of gradients before the split.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Clipping {
    /// No clipping.
    #[default]
    None,
    /// Scales the gradient down to this norm if its norm is larger.
    Norm(f64),
    /// Clamps every entry to [−limit, limit].
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
/// The defaults are for training on batches. k, ℓ, m, α and c are those of the paper's experiments. These extensions of
/// the paper are on: the spectrum is a [mean over refreshes](Averaging::Predicted), an estimation ends once its pairs'
/// relative residuals are below 0.1, α [follows](NewtonRate::Following) the learning rate, and safeguards and a
/// curvature floor are active. Refreshes are so rare that FOSI takes at most 1.1 times the base's time, whereas the
/// paper has T = 800 and W = one epoch. [`FosiConfig::paper`] gives the paper's settings, [`FosiConfig::quadratic`]
/// those for smooth functions without noise.
#[derive(Debug, Clone)]
pub struct FosiConfig {
    /// k: largest eigenvalues; default 10.
    pub largest: usize,
    /// ℓ: smallest eigenvalues; default 0.
    pub smallest: usize,
    /// m: Lanczos steps; default max{4(k+ℓ), ⌈2 ln n⌉}.
    pub lanczos_steps: Option<usize>,
    /// An estimation ends before m steps once the residuals of all k+ℓ pairs, relative to |λ̂|, are at most this;
    /// default 0.1; `None` always takes m steps.
    pub lanczos_tolerance: Option<f64>,
    /// How spectra are averaged over refreshes; default [`Averaging::Predicted`].
    pub averaging: Averaging,
    /// α: rate of the Newton step, 1 for an exact one; default 0.01, [following](NewtonRate::Following) the learning
    /// rate's schedule. With momentum it multiplies c̄, as in the paper. With Heavy-Ball, c̄ ← βc̄ + c is an undamped
    /// sum, so along a constant gradient the steps grow to α/(1−β) Newton steps: α = 1 is Heavy-Ball at the learning
    /// rate 1/|λ|, stable for every β < 1, and α = 1 − β converges to one Newton step.
    pub newton_rate: NewtonRate,
    /// c ≥ 1: upper limit of the factor s on the base's learning rate, may be ∞; default 3.
    pub scale_limit: f64,
    /// μ ≥ 0 for learning-rate scaling, if it is known; default `None`: the smallest Ritz value.
    pub strong_convexity: Option<f64>,
    /// ε: the Newton step replaces |λ| by max{|λ|, ε·max|λ|}; default 1e-6; 0 for no floor.
    pub curvature_floor: f64,
    /// Whether the run guards against a wrong spectrum; default true, and false in the paper's algorithm.
    ///
    /// - An estimation takes max{4, ⌊0.15·m⌋} more products from another start vector. They find copies of repeated
    ///   eigenvalues, so that L₂ bounds the complement's curvature (see [`SpectrumParams::probe`]).
    /// - A pair whose |λ̂| is at most its residual plus the products' noise stays with the base.
    /// - Along a direction where the gradient changes far more than λ̂ predicts, the step undoes the long moves, and
    ///   the base takes the direction until the next refresh.
    /// - If the gradient outside V grows as with too large an s, s is 1 from then on.
    ///
    /// On a quadratic with accurate λ̂ and s, the last three do not act.
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
    /// Settings for smooth deterministic functions: constant α = 1, no warm-up, a refresh every 50 steps, no averaging,
    /// and all m Lanczos steps.
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
    /// 1/|λ̂|, and no [safeguards](Self::safeguards). [`Refresh`](crate::Refresh) and [`StepReport`](crate::StepReport)
    /// report where a safeguard would have acted.
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

    /// Settings for the base optimizer alone.
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
        // Its reciprocal must be finite.
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

    /// The maximum number of Hessian-vector products per refresh in a space of dimension n, without retries.
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
            // An odd multiplier, so refreshes of one run never share a start vector.
            seed: self
                .seed
                .wrapping_add(refresh.wrapping_mul(0xD1B5_4A32_D192_ED03)),
            ..SpectrumParams::default()
        }
    }
}
