//! What all optimizers of this crate have in common.

use crate::error::RivalError;
use crate::loss::Loss;

/// An optimizer of the trainable parameters of modules `M` of one architecture.
///
/// It keeps no parameters: each step starts from those of the module that it is given.
pub trait Rival<M>: Send {
    /// The optimizer's name, such as `kfac`.
    fn name(&self) -> &'static str;

    /// One step on the loss of one batch.
    ///
    /// `learning_rate` is finite and at least 0. L-BFGS, whose line search finds the step's length, and K-FAC with an adaptive
    /// rate don't look at it.
    ///
    /// # Errors
    /// Where anything is not finite, a matrix can't be factored, or the module isn't the one that the optimizer was made for;
    /// optimizer and parameters are then as before.
    fn step(
        &mut self,
        model: &mut M,
        loss: &dyn Loss<M>,
        learning_rate: f64,
    ) -> Result<StepDone, RivalError>;

    /// Steps taken.
    fn steps(&self) -> u64;

    /// What all steps since the optimizer was made or loaded have cost.
    fn cost(&self) -> Cost;

    /// Floats of 4 bytes that it keeps between steps; one of 8 bytes counts as two. Over the number n of parameters it is the
    /// number of n-vectors.
    fn kept_floats(&self) -> usize;

    /// The state: all that the next steps depend on but the settings.
    ///
    /// # Errors
    /// Where a device doesn't give a tensor's values.
    fn to_bytes(&self) -> Result<Vec<u8>, RivalError>;

    /// Goes on from a state that [`to_bytes`](Self::to_bytes) gave, bit for bit; the costs count on from zero.
    ///
    /// # Errors
    /// [`RivalError::State`] where the bytes are damaged or belong to another optimizer or architecture; the optimizer is then as
    /// before.
    fn load(&mut self, bytes: &[u8]) -> Result<(), RivalError>;
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepDone {
    /// The loss before the step.
    pub loss: f64,
    /// The learning rate, or the length of the step that a line search found; 0 where it found none.
    pub learning_rate: f64,
    /// The factor on the step before this one, in K-FAC.
    pub momentum: Option<f64>,
    /// The damping that the step was taken with, in K-FAC.
    pub damping: Option<f64>,
}

impl StepDone {
    /// Of an optimizer without momentum or damping to tell of.
    pub(crate) fn new(loss: f64, learning_rate: f64) -> Self {
        Self {
            loss,
            learning_rate,
            momentum: None,
            damping: None,
        }
    }
}

/// What the steps have cost, in passes through the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Gradients that steps start from, each a forward and a backward pass.
    pub gradients: u64,
    /// Products with a curvature matrix: with the Hessian (AdaHessian, two gradients in f64 each), or with the Jacobian for the
    /// exact Fisher matrix (K-FAC, a forward pass in f64 each and one more a step).
    pub products: u64,
    /// Forward and backward passes for K-FAC's factors.
    pub factor_updates: u64,
    /// Losses with gradients at the points that a line search tries.
    pub line_search: u64,
    /// Losses without gradients, which K-FAC's damping is adapted by: a forward pass each.
    pub losses: u64,
}
