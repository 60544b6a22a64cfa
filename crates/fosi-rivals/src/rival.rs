//! The common interface of this crate's optimizers.

use crate::error::RivalError;
use crate::loss::Loss;

/// An optimizer of the trainable parameters of modules `M` of one architecture.
///
/// It stores no parameters: each step starts from those of the given module.
pub trait Rival<M>: Send {
    /// The optimizer's name, such as `kfac`.
    fn name(&self) -> &'static str;

    /// Takes one step on the loss of one batch.
    ///
    /// `learning_rate` is finite and at least 0. L-BFGS, whose line search determines the step length, and K-FAC with
    /// an adaptive rate ignore it.
    ///
    /// # Errors
    /// If a value is not finite, a matrix cannot be factored, or the module does not fit the optimizer. Optimizer and
    /// parameters are then unchanged.
    fn step(
        &mut self,
        learning_rate: f64,
        model: &mut M,
        loss: &dyn Loss<M>,
    ) -> Result<StepDone, RivalError>;

    /// Steps taken.
    fn steps(&self) -> u64;

    /// The total cost of all steps since the optimizer was created or loaded.
    fn cost(&self) -> Cost;

    /// The number of 4-byte floats kept between steps; an 8-byte float counts as two. Divided by the number n of
    /// parameters, it is the number of n-vectors.
    fn kept_floats(&self) -> usize;

    /// The complete state that later steps depend on, without the settings.
    ///
    /// # Errors
    /// If a tensor cannot be read from its device.
    fn to_bytes(&self) -> Result<Vec<u8>, RivalError>;

    /// Restores a state from [`to_bytes`](Self::to_bytes), to continue bit for bit; costs restart from zero.
    ///
    /// # Errors
    /// [`RivalError::State`] where the bytes are damaged or belong to another optimizer or architecture; the optimizer
    /// is then unchanged.
    fn load(&mut self, bytes: &[u8]) -> Result<(), RivalError>;
}

/// The report of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepDone {
    /// The loss before the step.
    pub loss: f64,
    /// The learning rate, or the step length that the line search found; 0 if it found none.
    pub learning_rate: f64,
    /// K-FAC's factor on the previous step.
    pub momentum: Option<f64>,
    /// K-FAC's damping in this step.
    pub damping: Option<f64>,
}

impl StepDone {
    /// The report of an optimizer without adaptive momentum or damping.
    pub(crate) fn new(loss: f64, learning_rate: f64) -> Self {
        Self {
            loss,
            learning_rate,
            momentum: None,
            damping: None,
        }
    }
}

/// The cost of steps, in passes through the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Gradients at the start of steps, each a forward and a backward pass.
    pub gradients: u64,
    /// Products with a curvature matrix: with the Hessian (AdaHessian; two gradients each, in f64 if possible), or with
    /// the Jacobian for the exact Fisher matrix (K-FAC; a forward pass each, in f64 if possible, and one more per
    /// step).
    pub products: u64,
    /// Forward and backward passes for K-FAC's factors.
    pub factor_updates: u64,
    /// Losses with gradients at the trial points of a line search.
    pub line_search: u64,
    /// Losses without gradients, for the adaptation of K-FAC's damping: a forward pass each.
    pub losses: u64,
}
