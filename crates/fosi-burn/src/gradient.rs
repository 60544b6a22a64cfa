//! A loss and its gradient with respect to a module's trainable parameters.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};

use crate::error::BridgeError;
use crate::flat::FlatLayout;

/// The loss at `module` and its gradient, one tensor a parameter, as Burn's optimizers take it.
///
/// `loss` returns one number (a `Tensor<1>` of one entry) computed from the module that it is given. It runs
/// once, on `module` itself, so that batch norm's running statistics move as in any training step.
///
/// # Errors
///
/// [`BridgeError::LossNotScalar`], [`BridgeError::LossNotTracked`] or [`BridgeError::Read`].
pub fn backward<M: Module>(
    module: &M,
    loss: impl Fn(&M) -> Tensor<1>,
) -> Result<(f64, GradientsParams), BridgeError> {
    differentiate(module, loss(module))
}

/// The loss at `module` and its gradient as one vector in the order of `layout`.
///
/// As [`backward`], with the gradient flat: length n, zero where the loss doesn't reach.
///
/// # Errors
///
/// Those of [`backward`] and of [`FlatLayout::gradient`].
pub fn value_and_gradient<M: Module>(
    layout: &FlatLayout,
    module: &M,
    loss: impl Fn(&M) -> Tensor<1>,
) -> Result<(f64, Vec<f32>), BridgeError> {
    let (value, gradients) = backward(module, loss)?;
    Ok((value, layout.gradient(module, gradients)?))
}

/// As [`backward`], for a loss that must come out in `dtype`; Burn's panic on mixed float types
/// becomes an error that says what to cast.
pub(crate) fn backward_in<M: Module>(
    dtype: DType,
    module: &M,
    loss: &impl Fn(&M) -> Tensor<1>,
) -> Result<(f64, GradientsParams), BridgeError> {
    let mixed = |found: String| BridgeError::LossPrecision {
        expected: dtype.name().to_owned(),
        found,
    };
    // The module is a copy that is dropped on a panic, so no broken state can be seen afterwards.
    let value = match catch_unwind(AssertUnwindSafe(|| loss(module))) {
        Ok(value) => value,
        Err(panic) => match panic_message(&*panic) {
            Some(message) if message.to_lowercase().contains("dtype") => {
                return Err(mixed(message));
            }
            _ => resume_unwind(panic),
        },
    };
    if value.dtype() != dtype {
        return Err(mixed(value.dtype().name().to_owned()));
    }
    differentiate(module, value)
}

fn differentiate<M: Module>(
    module: &M,
    loss: Tensor<1>,
) -> Result<(f64, GradientsParams), BridgeError> {
    let elements = loss.shape().num_elements();
    if elements != 1 {
        return Err(BridgeError::LossNotScalar { elements });
    }
    if !loss.is_tracked() {
        return Err(BridgeError::LossNotTracked);
    }
    let gradients = GradientsParams::from_grads(loss.backward(), module);
    Ok((loss.try_into_scalar::<f64>()?, gradients))
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> Option<String> {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
}
