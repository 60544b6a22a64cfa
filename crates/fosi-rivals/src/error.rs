//! What can go wrong in an optimizer of this crate.

use fosi_burn::{BridgeError, OptimizerError};

/// The errors of this crate. An optimizer that returns one, and the parameters that it was given, are as they were before.
/// (Batch norm's running statistics may have moved, as in any forward pass.)
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RivalError {
    /// A setting is out of its range.
    #[error("{name} is {given}, but must be {allowed}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// What was given.
        given: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The loss says nothing about the network's outputs.
    #[error(
        "K-FAC needs the network's outputs, and this loss gives none: implement `Loss::predict` with a `Recorder` for the layers"
    )]
    NoPrediction,
    /// A parameter belongs to no layer that the recorder saw.
    #[error(
        "K-FAC has no block for the parameter `{path}`: no recorded layer holds it. Call its layer through the recorder \
         (`recorder.linear(&layer, x)` and the like), or freeze it"
    )]
    Unrecorded {
        /// Path of the parameter.
        path: String,
    },
    /// A layer has no Kronecker factors here.
    #[error("K-FAC can't factor the layer of `{path}`: {reason}")]
    Unsupported {
        /// Path of the layer's weight.
        path: String,
        /// What is in the way.
        reason: &'static str,
    },
    /// A setting names a parameter that the module hasn't.
    #[error("the module has no trainable parameter `{path}`")]
    UnknownParameter {
        /// The path that was given.
        path: String,
    },
    /// The forward pass called other layers than when the optimizer was made.
    #[error("the network called other layers than when K-FAC was made: {what}")]
    LayersChanged {
        /// The first difference.
        what: String,
    },
    /// A Kronecker factor can't be inverted.
    #[error(
        "the damped factor of `{path}` is not positive definite: raise the damping, which is {damping:e}"
    )]
    Singular {
        /// Path of the layer's weight.
        path: String,
        /// The damping.
        damping: f64,
    },
    /// An eigendecomposition failed.
    #[error("the eigendecomposition of a preconditioner of `{path}` did not converge")]
    Eigensolver {
        /// Path of the parameter.
        path: String,
    },
    /// A loss, a gradient or a step is infinite or NaN.
    #[error(
        "the {what} of step {step} is not finite; lower the learning rate or raise the damping"
    )]
    NotFinite {
        /// Loss, gradient or new parameters.
        what: &'static str,
        /// Steps taken before.
        step: u64,
    },
    /// Bytes that aren't a state of this optimizer.
    #[error("the optimizer's state can't be read: {0}")]
    State(String),
    /// Between the module and the flat vectors.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// In the optimizer of `fosi-burn` that steps for this one.
    #[error(transparent)]
    Optimizer(#[from] OptimizerError),
    /// The device failed to give a tensor's values.
    #[error("reading a tensor from its device failed: {0}")]
    Read(#[from] burn::tensor::TensorReadError),
}

/// `Ok` where `holds`; else what was given and what is allowed.
pub(crate) fn require(
    holds: bool,
    name: &'static str,
    given: f64,
    allowed: &'static str,
) -> Result<(), RivalError> {
    match holds {
        true => Ok(()),
        false => Err(RivalError::Setting {
            name,
            given,
            allowed,
        }),
    }
}

/// A learning rate is finite and at least 0.
pub(crate) fn require_rate(learning_rate: f64) -> Result<(), RivalError> {
    require(
        learning_rate >= 0.0 && learning_rate.is_finite(),
        "learning_rate",
        learning_rate,
        "finite and at least 0",
    )
}

/// A decay is at least 0 and below 1.
pub(crate) fn require_decay(name: &'static str, decay: f64) -> Result<(), RivalError> {
    let allowed = "at least 0 and below 1";
    require((0.0..1.0).contains(&decay), name, decay, allowed)
}
