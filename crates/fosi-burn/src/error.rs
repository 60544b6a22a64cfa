//! The errors of this crate.

/// Errors between a Burn module and the flat vectors of the optimizer. An operation that returns one leaves the module
/// unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// The module has nothing to train.
    #[error(
        "the module has no float parameter that requires a gradient; \
         create it on an autodiff device (`device.autodiff()`) or unfreeze some of its parameters"
    )]
    NothingToTrain,
    /// The device of a parameter does not compute in the parameter's float type. Burn gives wrong numbers there, without an
    /// error.
    #[error(
        "parameter {path:?} is in {dtype}, in which its device does not compute: create the module in another float type, or \
         on another device"
    )]
    UnsupportedType {
        /// The path in the module, such as `layers.0.weight`.
        path: String,
        /// The float type.
        dtype: String,
    },
    /// A step was given no gradients by a rank that has examples.
    #[error(
        "the step was given no gradients, but this rank has examples: only a rank whose `set_examples(0)` says that it has \
         none may leave them out"
    )]
    NoGradients,
    /// Two parameters with the same id have different shapes.
    #[error("the parameters `{first}` and `{second}` have the same id but different shapes")]
    ConflictingShapes {
        /// Path of the first of the two parameters in the module.
        first: String,
        /// Path of the second one.
        second: String,
    },
    /// The module differs from the one that the layout was made from.
    #[error(
        "the module does not fit its flat layout at `{path}`: {reason}; \
         after freezing, unfreezing or changing parameters, create a new layout and call the optimizer's `follow`"
    )]
    LayoutMismatch {
        /// Path of the first parameter that differs.
        path: String,
        /// The difference.
        reason: &'static str,
    },
    /// A flat vector has the wrong length.
    #[error("the {what} has {found} entries, but the module has {expected} trainable parameters")]
    LengthMismatch {
        /// The vector.
        what: &'static str,
        /// Number of trainable parameters.
        expected: usize,
        /// The given length.
        found: usize,
    },
    /// A gradient's shape differs from its parameter's.
    #[error("the gradient of `{path}` has shape {found:?}, its parameter {expected:?}")]
    GradientShape {
        /// Path of the parameter.
        path: String,
        /// The parameter's shape.
        expected: Vec<usize>,
        /// The gradient's shape.
        found: Vec<usize>,
    },
    /// The device cannot compute in double precision.
    #[error("the device {device} does not compute in f64; take the products in f32")]
    NoDoublePrecision {
        /// The device.
        device: String,
    },
    /// The loss is not a single number.
    #[error(
        "the loss has {elements} entries, but must have one; reduce it, for instance with `.mean()`"
    )]
    LossNotScalar {
        /// Number of entries.
        elements: usize,
    },
    /// The loss is not differentiable with respect to the module.
    #[error(
        "the loss has no gradient: it must be computed from the module that the closure is given, \
         on an autodiff device, without `detach`, `inner` or `valid`"
    )]
    LossNotTracked,
    /// The loss is differentiable, but depends on no trainable parameter of the module.
    #[error(
        "the loss doesn't depend on any trainable parameter of the module that the closure is given: compute it from that \
         one, not from a module that the closure has captured"
    )]
    LossIgnoresModule,
    /// The precision of the loss differs from that of the module.
    #[error(
        "the loss was computed in {found} on a copy of the module in {expected}; compute it from the module \
         that the closure is given and cast the batch to the module's type (`like_module(batch, module)`)"
    )]
    LossPrecision {
        /// Type of the module's parameters.
        expected: String,
        /// Type of the loss, or Burn's message about it.
        found: String,
    },
    /// A layer internally rounds to f32, so the gradient in f64 is no more accurate than one in f32.
    #[error(
        "the gradient of the loss is rounded to f32 inside of a layer, although its copy of the module is in f64 (Burn's \
         RmsNorm, HardSigmoid, HardSwish and DeformConv2d do so); take products in f32 (`Precision::F32`), or write the layer out"
    )]
    LossRounded,
    /// The same loss at the same parameters gave two different gradients.
    #[error(
        "two gradients of the loss at the same parameters differ by {difference:.1e} relative to their norm \
         (allowed: {allowed:.1e}), so differences of gradients say nothing about curvature; \
         use one fixed batch. Random numbers of the module's devices, as dropout draws them, are the same at each \
         evaluation here; those of other generators must be drawn before the closure. Where another thread draws from the \
         same device's generator, which Burn has once for the process, let the threads take turns"
    )]
    NotDeterministic {
        /// ‖g − g′‖ / ‖g‖.
        difference: f64,
        /// The largest difference that counts as rounding.
        allowed: f64,
    },
    /// A loss to be minimised gave two different values at the same parameters.
    #[error(
        "two evaluations of the loss at the same parameters gave {first:e} and {second:e}, but what is minimised must be the \
         same function at every call; if it is dropout, set its probability to 0, or fix its mask by `device.seed(..)` at the \
         start of the closure; else use the same data in each call"
    )]
    LossNotDeterministic {
        /// The first value.
        first: f64,
        /// The second value.
        second: f64,
    },
    /// A loss to be minimised changes a buffer of its module, as batch norm does in training.
    #[error(
        "the loss changes the buffer `{path}` of its module, as batch norm in training changes its running statistics: it \
         normalises by the data of a call, so that a mean over slices is not the loss of the whole, and the statistics would \
         not be those of the minimum; switch its training flag off (`norm.training.with_value(false)`) or use another \
         normalisation, such as layer norm"
    )]
    ChangedBuffer {
        /// Path of the buffer.
        path: String,
    },
    /// One of Burn's optimizers cannot take a step on the module.
    #[error(
        "the optimizer can't take a step on this module: {reason}; Burn's Muon takes matrices only: make another optimizer \
         the first and give it the matrices with `with_group` \
         (`AdamWConfig::new().init().with_group(group, MuonConfig::new().build(), None)`)"
    )]
    UnfitOptimizer {
        /// Burn's message.
        reason: String,
    },
    /// The progress callback cancelled a refresh or another estimation.
    #[error("the estimation was cancelled after {products} Hessian-vector products")]
    Cancelled {
        /// Products computed before.
        products: u64,
    },
    /// A record of one of Burn's optimizers cannot be read, written or converted.
    #[error("the record of an optimizer could not be read, written or converted: {0}")]
    OptimizerState(#[from] burn::store::RecordError),
    /// The device failed to give a tensor's values.
    #[error("reading a tensor from its device failed: {0}")]
    Read(#[from] burn::tensor::TensorReadError),
}

/// The errors of [`FosiOptimizer`](crate::FosiOptimizer), [`Hessian`](crate::Hessian) and
/// [`minimize`](crate::minimize()).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptimizerError {
    /// An error between the module and the flat vectors.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// An error of the optimizer itself.
    #[error(transparent)]
    Fosi(#[from] fosi::Error),
}
