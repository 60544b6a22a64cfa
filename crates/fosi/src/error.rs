//! The errors of this crate.

use std::path::PathBuf;

/// The errors of this crate. Each message states what was given and what is allowed. Except for [`Error::Spoiled`], an
/// operation that returns an error leaves optimizer and parameters unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is outside its range.
    #[error("{setting} is {given}, but must be {allowed}")]
    InvalidSetting {
        /// The setting's name.
        setting: &'static str,
        /// The given value.
        given: String,
        /// The allowed values.
        allowed: &'static str,
    },
    /// A vector has the wrong number of entries.
    #[error("{what} has {found} entries, but the optimizer was made for {expected}")]
    DimensionMismatch {
        /// The vector.
        what: &'static str,
        /// The dimension of the space.
        expected: usize,
        /// The given number of entries.
        found: usize,
    },
    /// The gradient has an infinite or NaN entry; skip the batch or lower the learning rate.
    #[error(
        "the gradient at step {step} is not finite; the step was not taken \
         (skip this batch, lower the learning rate or clip the gradient)"
    )]
    NonFiniteGradient {
        /// Number of steps taken before.
        step: u64,
    },
    /// The base squares gradients, and the gradient is so large that its square overflows the vectors' precision; the
    /// infinity would stay in the state for ever. Scale the loss down, or clip the gradient.
    #[error(
        "the gradient at step {step} has norm {norm:.2e}, and this base squares gradients, so that the norm must \
         be at most {limit:.2e} in this precision; the step was not taken (skip this batch, clip the gradient, scale the loss \
         down or use f64)"
    )]
    GradientOverflow {
        /// Number of steps taken before.
        step: u64,
        /// ‖g‖ after clipping.
        norm: f64,
        /// The largest allowed norm.
        limit: f64,
    },
    /// The step, or the momentum after it, might exceed the vectors' range.
    #[error(
        "step {step} may move the parameters or their momentum by {norm:.2e}, beyond the {limit:.2e} that this precision \
         allows for; the step was not taken (lower the learning rate, clip the gradient, scale the loss down or use f64)"
    )]
    StepOverflow {
        /// Number of steps taken before.
        step: u64,
        /// A bound on the norm of the step or the momentum.
        norm: f64,
        /// The largest allowed bound.
        limit: f64,
    },
    /// A step has made parameters or the optimizer's state infinite or NaN, which no check before the step could
    /// detect. Both are lost: load a checkpoint and its parameters.
    #[error(
        "step {step} left parameters or optimizer state infinite or NaN: both are spoiled; load a checkpoint and the parameters \
         that belong to it, then lower the learning rate or clip the gradient"
    )]
    Spoiled {
        /// The step, counted from 1.
        step: u64,
    },
    /// The spectrum could not be estimated; the previous one, if any, stays in use.
    #[error("the refresh at step {step} failed, and the optimizer goes on as it was: {source}")]
    Refresh {
        /// Number of steps taken before.
        step: u64,
        /// Why the estimation failed.
        source: LanczosError,
    },
    /// Lanczos failed outside an optimizer.
    #[error(transparent)]
    Lanczos(#[from] LanczosError),
    /// The function or its gradient is infinite or NaN at the start of a minimisation.
    #[error(
        "at the start f is {value:e} and ‖∇f‖ is {gradient_norm:e}: both must be finite; start elsewhere"
    )]
    NonFiniteStart {
        /// f.
        value: f64,
        /// ‖∇f‖.
        gradient_norm: f64,
    },
    /// Two evaluations at one point differ: the function uses random numbers or changing data.
    #[error(
        "two evaluations of the function at the start gave {first:e} and {second:e}: it must be the same function at every call \
         (one batch, a fixed seed)"
    )]
    NotDeterministic {
        /// The first value.
        first: f64,
        /// The second value.
        second: f64,
    },
    /// The given gradient is not that of the function.
    #[error(
        "the gradient at the start is not the function's: along a random direction it has the slope {given:e}, and f changes by \
         {found:e} per unit; check the gradient, or turn `check_gradient` off"
    )]
    WrongGradient {
        /// vᵀ∇f with the given gradient.
        given: f64,
        /// (f(x + hv) − f(x − hv))/2h.
        found: f64,
    },
    /// The learning rate is 1/λ_k, and no estimation has found a positive λ_k.
    #[error(
        "the learning rate depends on the spectrum, but no estimation has found a positive λ_k at the start: give a \
         learning rate"
    )]
    NoPositiveCurvature,
    /// Another rank has failed, so no rank has taken the step. The other rank returns the error itself.
    #[error("rank {rank} failed, and all ranks with it: {message}")]
    OtherRank {
        /// The first rank that failed.
        rank: usize,
        /// Its message; a long message is truncated.
        message: String,
    },
    /// The ranks' states differ, so averages over them are meaningless: they run different programs, have loaded
    /// different checkpoints, or their processors round differently. Load a checkpoint on all ranks.
    #[error(
        "{what} of rank {rank} at step {step} differs from rank 0's: start all ranks with the same program, settings and \
         checkpoint, on processors of one kind"
    )]
    RanksDiffer {
        /// What differs.
        what: &'static str,
        /// The first rank that differs.
        rank: usize,
        /// The number of steps taken before.
        step: u64,
    },
    /// The user's own code failed.
    #[error("{0}")]
    User(#[source] BoxError),
    /// A checkpoint does not fit this optimizer or is damaged.
    #[error("checkpoint: {0}")]
    Checkpoint(String),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
}

/// Any error of user code: a gradient, a product, a callback.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a Lanczos iteration ended without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LanczosError {
    /// A product has an infinite or NaN entry.
    #[error("the Hessian-vector product of Lanczos step {step} is not finite")]
    NonFinite {
        /// Lanczos step, from 1.
        step: usize,
    },
    /// The operator is not symmetric, `⟨u, Hv⟩ ≠ ⟨v, Hu⟩`, and there is no other way to compute the product: exact products,
    /// or central differences in f32.
    #[error(
        "the operator is not symmetric at Lanczos step {step}: ⟨u,Hv⟩ and ⟨v,Hu⟩ differ by {asymmetry:.2e} \
         of the largest value seen (allowed: {tolerance:.0e}); check the product, and that every product \
         uses the same loss: one batch, one dropout mask"
    )]
    Asymmetric {
        /// Lanczos step, from 1.
        step: usize,
        /// The measured asymmetry, relative to the largest |α| and β so far.
        asymmetry: f64,
        /// The operator's tolerance.
        tolerance: f64,
    },
    /// Difference quotients are asymmetric or disagree at every step size: the loss has no second derivative here or is
    /// not the same function at every call.
    #[error(
        "the difference quotient of Lanczos step {step} is not symmetric, or changes from try to try, at every \
         step size (best asymmetry {asymmetry:.2e}, allowed {tolerance:.0e}): the loss has a kink here or is not the same \
         function at every evaluation; use one batch and one dropout mask for all products, f64 gradients, \
         exact products, or a smooth activation"
    )]
    Unresolved {
        /// Lanczos step, from 1.
        step: usize,
        /// The smallest asymmetry over the tries.
        asymmetry: f64,
        /// The operator's tolerance.
        tolerance: f64,
    },
    /// The gradients are so large relative to the curvature that their difference is rounding at every step size.
    #[error(
        "the gradients' rounding is {noise:.1e} of the Hessian-vector product of Lanczos step {step} at every step size: the \
         function is too steep for its curvature to be seen in differences of gradients; give exact products, compute \
         gradients in f64, or subtract the linear part from the function"
    )]
    Rounding {
        /// Lanczos step, from 1.
        step: usize,
        /// The rounding of the difference quotient, relative to the largest |α| and β so far.
        noise: f64,
    },
    /// The curvature found beside a kink differs from that at the point itself.
    #[error(
        "the parameters lie exactly on a kink, and the largest eigenvalue {shifted:.3e} that was found beside it is not the \
         curvature at the point along its eigenvector, {found:.3e}; use exact products, or move the parameters off the kink"
    )]
    Shifted {
        /// λ̂₁ at the shifted point.
        shifted: f64,
        /// v̂₁ᵀHv̂₁ at the point itself, by a central difference.
        found: f64,
    },
    /// The operator itself failed.
    #[error("{} failed: {source}", operation(*.step))]
    Operator {
        /// Lanczos step, from 1; 0 for the start vector.
        step: usize,
        /// The operator's error.
        source: BoxError,
    },
    /// The dense eigensolver did not converge on QᵀAQ.
    #[error("the eigenvalues of Lanczos' {size}×{size} matrix did not converge")]
    Eigensolver {
        /// Order of the matrix.
        size: usize,
    },
}

/// Refuses a setting unless it is within its range.
pub(crate) fn require(
    holds: bool,
    setting: &'static str,
    given: impl std::fmt::Display,
    allowed: &'static str,
) -> Result<(), Error> {
    if holds {
        return Ok(());
    }
    Err(Error::InvalidSetting {
        setting,
        given: given.to_string(),
        allowed,
    })
}

/// Refuses a vector or an operator without the expected number of entries.
pub(crate) fn require_len(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    match found == expected {
        true => Ok(()),
        false => Err(Error::DimensionMismatch {
            what,
            expected,
            found,
        }),
    }
}

/// The operation that failed, for the message.
fn operation(step: usize) -> String {
    match step {
        0 => "the gradient that Lanczos starts from".to_owned(),
        step => format!("the Hessian-vector product of Lanczos step {step}"),
    }
}
