//! Base optimizers: the first-order rules that FOSI wraps.
//!
//! Most rules treat each coordinate alone; they implement [`Elementwise`], a few lines each, and run fused on
//! the CPU and as tensor operations elsewhere. A rule that needs whole vectors implements [`Base`] itself.

mod adam;
mod gradient_descent;
mod heavy_ball;
mod nesterov;

use std::borrow::{Borrow, BorrowMut};
use std::ops::{Add, Div, Mul, Sub};

use crate::error::{Error, require};
use crate::scaling::Extremes;
use crate::space::{FloatLimits, Moved, Space, Split};

pub use adam::{Adam, AdamW};
pub use gradient_descent::GradientDescent;
pub use heavy_ball::HeavyBall;
pub use nesterov::Nesterov;

/// Numbers to which a formula applies coordinate by coordinate: an `f32`, an `f64`, or a whole tensor.
pub trait Elements:
    Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// Each entry times a number.
    fn scale(self, factor: f64) -> Self;
    /// Each entry plus a number.
    fn offset(self, term: f64) -> Self;
    /// The square root of each entry.
    fn sqrt(self) -> Self;
}

macro_rules! scalar_elements {
    ($t:ty) => {
        impl Elements for $t {
            #[inline(always)]
            fn scale(self, factor: f64) -> Self {
                self * factor as $t
            }
            #[inline(always)]
            fn offset(self, term: f64) -> Self {
                self + term as $t
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
        }
    };
}
scalar_elements!(f32);
scalar_elements!(f64);

/// The linear momentum that a base applies to gradients, so that FOSI can apply the same to the few
/// coefficients of the subspace (paper, §3.4).
///
/// With coefficients c of the gradient: c̄ ← decay·c̄ + gain·c. The Newton step takes c̄, or
/// decay·c̄ + gain·c with `lookahead`, divided by 1 − decayᵗ with `bias_correction`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Momentum {
    /// β; 0 for a base without momentum.
    pub decay: f64,
    /// Weight of the new gradient.
    pub gain: f64,
    /// Nesterov's form: the direction looks one step ahead.
    pub lookahead: bool,
    /// Adam's form: the start at zero is corrected for.
    pub bias_correction: bool,
}

impl Momentum {
    /// No momentum: c̄ = c.
    pub const NONE: Self = Self {
        decay: 0.0,
        gain: 1.0,
        lookahead: false,
        bias_correction: false,
    };

    /// Updates c̄ with c at step t (from 1) and writes what the Newton step takes to `out`.
    pub fn apply(&self, step: u64, c: &[f64], c_bar: &mut [f64], out: &mut [f64]) {
        let correction = if self.bias_correction {
            1.0 / (1.0 - self.decay.powf(step as f64))
        } else {
            1.0
        };
        for ((c, c_bar), out) in c.iter().zip(c_bar).zip(out) {
            *c_bar = self.decay * *c_bar + self.gain * c;
            let seen = if self.lookahead {
                self.decay * *c_bar + self.gain * c
            } else {
                *c_bar
            };
            *out = correction * seen;
        }
    }
}

/// A base optimizer that treats each coordinate alone.
///
/// ```
/// use fosi::base::{Elementwise, Elements};
///
/// /// Sign-like descent: η·g/(|g| + 1).
/// struct SoftSign;
///
/// impl Elementwise for SoftSign {
///     type Coefficients = f64;
///     const NAME: &'static str = "soft-sign";
///     const STATE: usize = 0;
///     fn coefficients(&self, _step: u64, learning_rate: f64) -> f64 {
///         learning_rate
///     }
///     fn direction<E: Elements>(rate: &f64, _state: &mut [E], gradient: E) -> E {
///         let size = (gradient.clone() * gradient.clone()).sqrt().offset(1.0);
///         gradient.scale(*rate) / size
///     }
/// }
///
/// let mut optimizer = fosi::Fosi::new(fosi::Host::<f64>::new(2), SoftSign, 0.1, fosi::FosiConfig::default())?;
/// # let mut parameters = vec![1.0, -2.0];
/// optimizer.step(&mut parameters, &[0.5, 1.0])?;
/// # Ok::<(), fosi::Error>(())
/// ```
pub trait Elementwise: Send + Sync {
    /// The numbers of one step, computed once for all coordinates.
    type Coefficients: Copy + Send + Sync;
    /// The rule's name in checkpoints and messages.
    const NAME: &'static str;
    /// Numbers kept for each coordinate, at most [`MAX_STATE`]; all start at zero. With momentum, the first is
    /// its vector.
    const STATE: usize;
    /// Whether the direction is a linear combination of past gradients with the same weights for all
    /// coordinates; such a base never leaves the subspace's complement.
    const LINEAR: bool = false;
    /// Whether the state holds squares of gradients. A gradient whose square would overflow is then refused with
    /// [`Error::GradientOverflow`].
    const SQUARES: bool = false;

    /// The numbers of step t, counted from 1, at learning rate η.
    fn coefficients(&self, step: u64, learning_rate: f64) -> Self::Coefficients;
    /// What is subtracted from the parameters, η included; updates the state.
    fn direction<E: Elements>(coefficients: &Self::Coefficients, state: &mut [E], gradient: E)
    -> E;

    /// The momentum rule, for the subspace.
    fn momentum(&self) -> Momentum {
        Momentum::NONE
    }
    /// Decoupled weight decay λ: θ ← θ − ηλθ, never projected.
    fn weight_decay(&self) -> f64 {
        0.0
    }
    /// η₂*/η*: by how much the optimal learning rate grows when the subspace is taken out (paper, §3.6).
    fn rate_ratio(&self, _extremes: &Extremes) -> f64 {
        1.0
    }
    /// An error where a setting is outside its range, or is not a normal number in the vectors' precision where it must be.
    /// Asked before every step.
    fn validate(&self, _limits: &FloatLimits) -> Result<(), Error> {
        Ok(())
    }
}

/// The most state vectors of an [`Elementwise`] base.
pub const MAX_STATE: usize = 4;

/// The step that a base is asked to take.
pub struct BaseStep<'a, S: Space> {
    /// The space.
    pub space: &'a S,
    /// t, counted from 1.
    pub step: u64,
    /// η.
    pub learning_rate: f64,
    /// The base's state vectors.
    pub state: &'a mut [S::Owned],
}

/// Any base optimizer on the space `S`.
///
/// Every [`Elementwise`] rule is one. A rule that couples coordinates implements [`Base::direction`] and keeps
/// whole vectors as its state.
pub trait Base<S: Space> {
    /// The rule's name in checkpoints and messages.
    fn name(&self) -> &'static str;
    /// The number of state vectors; all start at zero. With momentum, the first is its vector.
    fn state_len(&self) -> usize;
    /// Turns the complement's gradient g₂ into d_b, what is subtracted from the parameters, η included.
    ///
    /// # Errors
    /// Its own; the state vectors and what the base keeps itself must then be as before, since FOSI cannot restore them.
    fn direction(
        &mut self,
        at: BaseStep<'_, S>,
        parameters: &S::Vector,
        gradient: &mut S::Vector,
    ) -> Result<(), Error>;

    /// The momentum rule, for the subspace.
    fn momentum(&self) -> Momentum {
        Momentum::NONE
    }
    /// Decoupled weight decay λ.
    fn weight_decay(&self) -> f64 {
        0.0
    }
    /// η₂*/η* (paper, §3.6).
    fn rate_ratio(&self, _extremes: &Extremes) -> f64 {
        1.0
    }
    /// An error where a setting is outside its range, or is not a normal number in the vectors' precision where it must be.
    /// Asked before every step.
    fn validate(&self, _limits: &FloatLimits) -> Result<(), Error> {
        Ok(())
    }
    /// Whether the state holds squares of gradients: see [`Elementwise::SQUARES`].
    fn squares(&self) -> bool {
        false
    }
    /// State beyond the state vectors, for checkpoints.
    fn export(&self) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }
    /// Takes over what [`export`](Self::export) gave; on an error nothing has changed.
    fn import(&mut self, _bytes: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    /// One split step; the default is [`split_step`].
    fn step(
        &mut self,
        at: BaseStep<'_, S>,
        gradient: &S::Vector,
        split: &Split<'_, S::Basis>,
        parameters: &mut S::Vector,
        scratch: &mut S::Owned,
    ) -> Result<Moved, Error> {
        split_step(self, at, gradient, split, parameters, scratch)
    }
}

/// One split step of any base by [`Base::direction`]: a pass over V for each of g₂, e and the update.
///
/// # Errors
/// The base's own.
pub fn split_step<S: Space, B: Base<S> + ?Sized>(
    base: &mut B,
    at: BaseStep<'_, S>,
    gradient: &S::Vector,
    split: &Split<'_, S::Basis>,
    parameters: &mut S::Vector,
    scratch: &mut S::Owned,
) -> Result<Moved, Error> {
    let space = at.space;
    let direction: &mut S::Vector = scratch.borrow_mut();
    space.combine(split.gradient_scale, gradient, 0.0, direction);
    if let Some(basis) = split.basis {
        space.subtract(basis, split.coefficients, direction);
    }
    let BaseStep {
        step,
        learning_rate,
        state,
        ..
    } = at;
    let at = BaseStep {
        space,
        step,
        learning_rate,
        state: &mut *state,
    };
    base.direction(at, parameters, direction)?;
    let finite = |x: &S::Vector| space.max_abs(x).is_finite();
    let finite_state = state.iter().all(|x| finite(x.borrow()));
    let Some(basis) = split.basis else {
        let norm = space.norm(direction);
        space.combine(-split.scale, direction, 1.0 - split.decay, parameters);
        return Ok(Moved {
            complement_norm: norm,
            finite: finite_state && finite(parameters),
        });
    };
    let mut projection = vec![0.0; space.size(basis)];
    let mut along = projection.clone();
    let square = space.project(basis, direction, &mut projection);
    let unit = split.norm_unit;
    let inside = split.along_basis(&projection, &mut along) * unit * unit;
    space.combine(-split.scale, direction, 1.0 - split.decay, parameters);
    space.subtract(basis, &along, parameters);
    Ok(Moved {
        complement_norm: (square - inside).max(0.0).sqrt(),
        finite: finite_state && finite(parameters),
    })
}

impl<S: Space, E: Elementwise> Base<S> for E {
    fn name(&self) -> &'static str {
        E::NAME
    }
    fn state_len(&self) -> usize {
        E::STATE
    }
    fn direction(
        &mut self,
        at: BaseStep<'_, S>,
        _parameters: &S::Vector,
        gradient: &mut S::Vector,
    ) -> Result<(), Error> {
        let mut moved = at.space.zeros();
        let mut scratch = at.space.zeros();
        let coefficients = self.coefficients(at.step, at.learning_rate);
        at.space.elementwise_step::<E>(
            &coefficients,
            at.state,
            gradient,
            &Split::NONE,
            moved.borrow_mut(),
            &mut scratch,
        );
        at.space.combine(-1.0, moved.borrow(), 0.0, gradient);
        Ok(())
    }
    fn momentum(&self) -> Momentum {
        Elementwise::momentum(self)
    }
    fn weight_decay(&self) -> f64 {
        Elementwise::weight_decay(self)
    }
    fn rate_ratio(&self, extremes: &Extremes) -> f64 {
        Elementwise::rate_ratio(self, extremes)
    }
    fn validate(&self, limits: &FloatLimits) -> Result<(), Error> {
        let allowed = "at most 4 (MAX_STATE)";
        require(
            E::STATE <= MAX_STATE,
            "the number of state vectors",
            E::STATE,
            allowed,
        )?;
        Elementwise::validate(self, limits)
    }
    fn squares(&self) -> bool {
        E::SQUARES
    }
    fn step(
        &mut self,
        at: BaseStep<'_, S>,
        gradient: &S::Vector,
        split: &Split<'_, S::Basis>,
        parameters: &mut S::Vector,
        scratch: &mut S::Owned,
    ) -> Result<Moved, Error> {
        let coefficients = self.coefficients(at.step, at.learning_rate);
        Ok(at.space.elementwise_step::<E>(
            &coefficients,
            at.state,
            gradient,
            split,
            parameters,
            scratch,
        ))
    }
}

/// A base chosen at run time:
///
/// ```
/// use fosi::{Fosi, FosiConfig, Host, base::{Adam, Base, HeavyBall}};
///
/// let adaptive = true;
/// let base: Box<dyn Base<Host<f32>>> =
///     if adaptive { Box::new(Adam::default()) } else { Box::new(HeavyBall::new(0.9)) };
/// let mut optimizer = Fosi::new(Host::new(2), base, 0.01, FosiConfig::default())?;
/// optimizer.step(&mut vec![1.0, -2.0], &[0.5, 1.0])?;
/// # Ok::<(), fosi::Error>(())
/// ```
impl<S: Space> Base<S> for Box<dyn Base<S>> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn state_len(&self) -> usize {
        (**self).state_len()
    }
    fn direction(
        &mut self,
        at: BaseStep<'_, S>,
        parameters: &S::Vector,
        gradient: &mut S::Vector,
    ) -> Result<(), Error> {
        (**self).direction(at, parameters, gradient)
    }
    fn momentum(&self) -> Momentum {
        (**self).momentum()
    }
    fn weight_decay(&self) -> f64 {
        (**self).weight_decay()
    }
    fn rate_ratio(&self, extremes: &Extremes) -> f64 {
        (**self).rate_ratio(extremes)
    }
    fn validate(&self, limits: &FloatLimits) -> Result<(), Error> {
        (**self).validate(limits)
    }
    fn squares(&self) -> bool {
        (**self).squares()
    }
    fn export(&self) -> Result<Vec<u8>, Error> {
        (**self).export()
    }
    fn import(&mut self, bytes: &[u8]) -> Result<(), Error> {
        (**self).import(bytes)
    }
    fn step(
        &mut self,
        at: BaseStep<'_, S>,
        gradient: &S::Vector,
        split: &Split<'_, S::Basis>,
        parameters: &mut S::Vector,
        scratch: &mut S::Owned,
    ) -> Result<Moved, Error> {
        (**self).step(at, gradient, split, parameters, scratch)
    }
}
