//! The errors of this crate.

use fosi_burn::{BridgeError, OptimizerError};

/// The errors of this crate. An error leaves the optimizer and the parameters unchanged. (Batch norm's running
/// statistics may have been updated, as in any forward pass.)
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RivalError {
    /// A setting is out of its range.
    #[error("{name} is {given}, but must be {allowed}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// The given value.
        given: f64,
        /// The allowed values.
        allowed: &'static str,
    },
    /// The loss does not provide the network's outputs.
    #[error(
        "K-FAC needs the network's outputs, and this loss gives none: implement `Loss::predict` with a `Recorder` for the layers"
    )]
    NoPrediction,
    /// A parameter belongs to no recorded layer.
    #[error(
        "K-FAC has no block for the parameter `{path}`: no recorded layer holds it. Call its layer through the recorder \
         (`recorder.linear(&layer, x)` and the like), or freeze it"
    )]
    Unrecorded {
        /// Path of the parameter.
        path: String,
    },
    /// K-FAC does not support a layer.
    #[error("K-FAC can't factor the layer of `{path}`: {reason}")]
    Unsupported {
        /// Path of the layer's weight.
        path: String,
        /// The reason.
        reason: &'static str,
    },
    /// A setting names a parameter that does not exist in the module.
    #[error("the module has no trainable parameter `{path}`")]
    UnknownParameter {
        /// The given path.
        path: String,
    },
    /// The forward pass called other layers than at the optimizer's creation.
    #[error("the network called other layers than at K-FAC's creation: {what}")]
    LayersChanged {
        /// The first difference.
        what: String,
    },
    /// A damped Kronecker factor cannot be inverted.
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
        /// Number of steps taken before.
        step: u64,
    },
    /// Bytes that are not a state of this optimizer.
    #[error("the optimizer's state can't be read: {0}")]
    State(String),
    /// An error between the module and the flat vectors.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// An error of the underlying optimizer of `fosi-burn`.
    #[error(transparent)]
    Optimizer(#[from] OptimizerError),
    /// The device failed to give a tensor's values.
    #[error("reading a tensor from its device failed: {0}")]
    Read(#[from] burn::tensor::TensorReadError),
}

/// `RivalError::Setting` unless `holds`.
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

/// An error unless the learning rate is finite and at least 0.
pub(crate) fn require_rate(learning_rate: f64) -> Result<(), RivalError> {
    require(
        learning_rate >= 0.0 && learning_rate.is_finite(),
        "learning_rate",
        learning_rate,
        "finite and at least 0",
    )
}

/// An error unless the decay is in [0, 1).
pub(crate) fn require_decay(name: &'static str, decay: f64) -> Result<(), RivalError> {
    let allowed = "at least 0 and below 1";
    require((0.0..1.0).contains(&decay), name, decay, allowed)
}
