//! Base optimizers: the first-order rules that FOSI wraps.
//!
//! Most rules are elementwise: they implement [`Elementwise`] in a few lines and run fused on the CPU and as tensor
//! operations elsewhere. A rule that needs whole vectors implements [`Base`] directly.

mod adam;
mod gradient_descent;
mod heavy_ball;
mod nesterov;

use std::borrow::{Borrow, BorrowMut};

use crate::error::Error;
use crate::float::FloatLimits;
use crate::scaling::Extremes;
use crate::space::Space;
use crate::split::{Moved, Split};

pub use crate::elementwise::{Elements, Elementwise, MAX_STATE};
pub use crate::momentum::Momentum;
pub use crate::update_rule::UpdateRule;
pub use adam::{Adam, AdamW};
pub use gradient_descent::GradientDescent;
pub use heavy_ball::HeavyBall;
pub use nesterov::Nesterov;

/// The inputs of a base's step.
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

impl<S: Space> std::fmt::Debug for BaseStep<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BaseStep")
            .field("step", &self.step)
            .field("learning_rate", &self.learning_rate)
            .finish_non_exhaustive()
    }
}

/// Any base optimizer on the space `S`.
///
/// Every [`Elementwise`] rule is one. A rule that couples coordinates implements [`Base::direction`] and keeps
/// whole vectors as its state.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a base optimizer on `{S}`",
    label = "not a base optimizer",
    note = "bases are those of `fosi::base`, such as `HeavyBall::new(0.9)` and `Adam::default()`, and any rule that implements `fosi::base::Elementwise`",
    note = "an optimizer of Burn becomes one in `fosi_burn::BurnBase::new(&module, optimizer)`"
)]
pub trait Base<S: Space>: UpdateRule {
    /// The number of state vectors; all start at zero. With momentum, the first one is the momentum.
    fn state_len(&self) -> usize;
    /// Maps the complement's gradient g₂ to the direction d_b, which is subtracted from the parameters and includes η.
    ///
    /// # Errors
    /// The base's own. State vectors and the base's own state must then be unchanged, since FOSI cannot restore them.
    fn direction(
        &mut self,
        at: BaseStep<'_, S>,
        parameters: &S::Vector,
        gradient: &mut S::Vector,
    ) -> Result<(), Error>;

    /// Whether the direction is a linear combination of past gradients, so that η has the unit of 1/λ; see
    /// [`Elementwise::LINEAR`]. Default false.
    fn is_linear(&self) -> bool {
        false
    }
    /// Whether the state holds squares of gradients; see [`Elementwise::SQUARES`]. Default false.
    fn squares(&self) -> bool {
        false
    }
    /// Whether each entry of the direction follows from the same entries of gradient and state and from numbers that the
    /// space computes, so that each rank can compute its shard of it, as for every [`Elementwise`] rule; default false.
    /// [`Fosi::sharded`](crate::Fosi::sharded) refuses other bases.
    fn works_on_shards(&self) -> bool {
        false
    }
    /// x ← Dx for a base whose direction after step t is η·D·m̂, with the momentum m̂ and a symmetric matrix D from the
    /// state; see [`NewtonRate::adaptive`](crate::NewtonRate::adaptive). Returns `false` if the base has no such D; x
    /// is then unspecified. Does not change the state.
    fn precondition(
        &self,
        _space: &S,
        _step: u64,
        _state: &mut [S::Owned],
        _x: &mut S::Vector,
    ) -> bool {
        false
    }
    /// State beyond the state vectors, for checkpoints; default none.
    fn export(&self) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }
    /// Restores the state from [`export`](Self::export). An error leaves the base unchanged.
    fn import(&mut self, _bytes: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    /// Takes one split step; the default is [`split_step`].
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

/// Takes one split step of any base by [`Base::direction`], with one pass over V for each of g₂, e and the update.
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
    space.axpby(split.gradient_scale, gradient, 0.0, direction);
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
        space.axpby(-split.scale, direction, 1.0 - split.decay, parameters);
        return Ok(Moved {
            complement_norm: norm,
            finite: finite_state && finite(parameters),
        });
    };
    let mut projection = vec![0.0; space.size(basis)];
    let mut along = projection.clone();
    let square = space.project(basis, direction, &mut projection);
    let unit = split.norm_unit;
    let inside = split.subspace_update(&projection, &mut along) * unit * unit;
    space.axpby(-split.scale, direction, 1.0 - split.decay, parameters);
    space.subtract(basis, &along, parameters);
    Ok(Moved {
        complement_norm: (square - inside).max(0.0).sqrt(),
        finite: finite_state && finite(parameters),
    })
}

/// The rule whose direction is D times the gradient, with the D of the rule `E`.
struct Preconditioner<'a, E>(&'a E);

impl<E: Elementwise> UpdateRule for Preconditioner<'_, E> {
    fn name(&self) -> &'static str {
        "preconditioner"
    }
}

impl<E: Elementwise> Elementwise for Preconditioner<'_, E> {
    type Coefficients = E::Coefficients;
    const STATE: usize = E::STATE;
    const WITHOUT_BASIS: bool = true;

    fn coefficients(&self, step: u64, learning_rate: f64) -> E::Coefficients {
        self.0.coefficients(step, learning_rate)
    }
    #[inline(always)]
    fn direction<X: Elements>(c: &E::Coefficients, state: &mut [X], gradient: X) -> X {
        E::precondition(c, state, gradient)
    }
}

impl<S: Space, E: Elementwise> Base<S> for E {
    fn state_len(&self) -> usize {
        const {
            assert!(
                E::STATE <= MAX_STATE,
                "an elementwise base has at most 4 state vectors (MAX_STATE)"
            )
        };
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
        at.space.axpby(-1.0, moved.borrow(), 0.0, gradient);
        Ok(())
    }
    fn is_linear(&self) -> bool {
        E::LINEAR
    }
    fn squares(&self) -> bool {
        E::SQUARES
    }
    fn works_on_shards(&self) -> bool {
        true
    }
    fn precondition(
        &self,
        space: &S,
        step: u64,
        state: &mut [S::Owned],
        x: &mut S::Vector,
    ) -> bool {
        if !E::PRECONDITIONS || step == 0 {
            return false;
        }
        let coefficients = Preconditioner(self).coefficients(step, 1.0);
        let (mut moved, mut scratch) = (space.zeros(), space.zeros());
        let parameters: &mut S::Vector = moved.borrow_mut();
        space.elementwise_step::<Preconditioner<'_, E>>(
            &coefficients,
            state,
            x,
            &Split::NONE,
            parameters,
            &mut scratch,
        );
        space.axpby(-1.0, parameters, 0.0, x);
        true
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
/// let mut optimizer = Fosi::new(Host::new(2), base, FosiConfig::default())?;
/// optimizer.step(0.01, &mut vec![1.0, -2.0], &[0.5, 1.0])?;
/// # Ok::<(), fosi::Error>(())
/// ```
impl<S: Space> Base<S> for Box<dyn Base<S>> {
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
    fn is_linear(&self) -> bool {
        (**self).is_linear()
    }
    fn squares(&self) -> bool {
        (**self).squares()
    }
    fn works_on_shards(&self) -> bool {
        (**self).works_on_shards()
    }
    fn precondition(
        &self,
        space: &S,
        step: u64,
        state: &mut [S::Owned],
        x: &mut S::Vector,
    ) -> bool {
        (**self).precondition(space, step, state, x)
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

impl<S: Space> UpdateRule for Box<dyn Base<S>> {
    fn name(&self) -> &'static str {
        (**self).name()
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
}
