//! Elementwise update rules.

use std::ops::{Add, Div, Mul, Sub};

use crate::update_rule::UpdateRule;

/// Numbers to which a formula applies coordinate by coordinate: an `f32`, an `f64`, or a whole tensor.
pub trait Elements:
    Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// Multiplies each entry by a number.
    fn scale(self, factor: f64) -> Self;
    /// Adds a number to each entry.
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

/// A base optimizer that treats each coordinate alone.
///
/// ```
/// use fosi::base::{Elements, Elementwise, UpdateRule};
///
/// /// Sign-like descent: η·g/(|g| + 1).
/// struct SoftSign;
///
/// impl UpdateRule for SoftSign {
///     fn name(&self) -> &'static str {
///         "soft-sign"
///     }
/// }
///
/// impl Elementwise for SoftSign {
///     type Coefficients = f64;
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
/// let mut optimizer = fosi::Fosi::new(fosi::Host::<f64>::new(2), SoftSign, fosi::FosiConfig::default())?;
/// # let mut parameters = vec![1.0, -2.0];
/// optimizer.step(0.1, &mut parameters, &[0.5, 1.0])?;
/// # Ok::<(), fosi::Error>(())
/// ```
pub trait Elementwise: UpdateRule + Sync {
    /// The coefficients of one step, computed once for all coordinates.
    type Coefficients: Copy + Send + Sync;
    /// The number of state vectors, at most [`MAX_STATE`] (checked at compile time); all start at zero. With momentum,
    /// the first one is the momentum.
    const STATE: usize;
    /// Whether the direction is a linear combination of past gradients with the same weights for all coordinates. Such
    /// a direction stays in the complement of the subspace.
    const LINEAR: bool = false;
    /// Whether the state holds squares of gradients. FOSI then refuses a gradient whose square would overflow with
    /// [`Error::GradientOverflow`](crate::Error::GradientOverflow).
    const SQUARES: bool = false;

    /// Whether the direction is the momentum preconditioned by a diagonal D from the state;
    /// [`precondition`](Self::precondition) then multiplies by D.
    const PRECONDITIONS: bool = false;

    /// Whether the rule only takes steps without a basis; steps with a basis are then not compiled for it.
    #[doc(hidden)]
    const WITHOUT_BASIS: bool = false;

    /// The coefficients of step t, counted from 1, at learning rate η.
    fn coefficients(&self, step: u64, learning_rate: f64) -> Self::Coefficients;
    /// The direction, η included, which is subtracted from the parameters; updates the state.
    fn direction<E: Elements>(coefficients: &Self::Coefficients, state: &mut [E], gradient: E)
    -> E;
    /// Dx, for a direction η·D·m̂ with the momentum m̂ and a diagonal D from the state; default x.
    fn precondition<E: Elements>(_coefficients: &Self::Coefficients, _state: &[E], x: E) -> E {
        x
    }
}

/// The maximum number of state vectors of an [`Elementwise`] base. A base with more does not compile:
///
/// ```compile_fail,E0080
/// use fosi::base::{Elements, Elementwise, UpdateRule};
///
/// struct Five;
///
/// impl UpdateRule for Five {
///     fn name(&self) -> &'static str {
///         "five"
///     }
/// }
///
/// impl Elementwise for Five {
///     type Coefficients = ();
///     const STATE: usize = 5;
///     fn coefficients(&self, _step: u64, _learning_rate: f64) {}
///     fn direction<E: Elements>(_: &(), _state: &mut [E], gradient: E) -> E {
///         gradient
///     }
/// }
///
/// let _ = fosi::Fosi::new(fosi::Host::<f64>::new(2), Five, fosi::FosiConfig::default());
/// ```
pub const MAX_STATE: usize = 4;
