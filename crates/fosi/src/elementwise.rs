//! Update rules that treat each coordinate alone.

use std::ops::{Add, Div, Mul, Sub};

use crate::update_rule::UpdateRule;

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
    /// The numbers of one step, computed once for all coordinates.
    type Coefficients: Copy + Send + Sync;
    /// Numbers kept for each coordinate, at most [`MAX_STATE`], or it does not compile; all start at zero. With
    /// momentum, the first is its vector.
    const STATE: usize;
    /// Whether the direction is a linear combination of past gradients with the same weights for all
    /// coordinates; such a base never leaves the subspace's complement.
    const LINEAR: bool = false;
    /// Whether the state holds squares of gradients. A gradient whose square would overflow is then refused with
    /// [`Error::GradientOverflow`](crate::Error::GradientOverflow).
    const SQUARES: bool = false;

    /// Whether the direction is that of a momentum preconditioned by a diagonal D that the state gives:
    /// [`precondition`](Self::precondition) then multiplies by it.
    const PRECONDITIONS: bool = false;

    /// Whether the rule is only taken without a basis: steps with one are then not compiled for it.
    #[doc(hidden)]
    const WITHOUT_BASIS: bool = false;

    /// The numbers of step t, counted from 1, at learning rate η.
    fn coefficients(&self, step: u64, learning_rate: f64) -> Self::Coefficients;
    /// What is subtracted from the parameters, η included; updates the state.
    fn direction<E: Elements>(coefficients: &Self::Coefficients, state: &mut [E], gradient: E)
    -> E;
    /// Dx, where the direction is η·D·m̂ with m̂ the momentum and D a diagonal that the state gives; default x.
    fn precondition<E: Elements>(_coefficients: &Self::Coefficients, _state: &[E], x: E) -> E {
        x
    }
}

/// The most state vectors of an [`Elementwise`] base. One with more does not compile:
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
