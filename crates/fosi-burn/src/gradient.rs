//! A loss and its gradient with respect to a module's trainable parameters.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{DType, Tensor};

use crate::error::BridgeError;
use crate::flat::FlatLayout;
use crate::quiet;
use crate::randomness::with_next_numbers;

/// A type-erased loss: code that uses it is compiled once per module rather than per loss.
pub(crate) type Loss<'a, M> = &'a dyn Fn(&M) -> Tensor<1>;

/// The type-erased losses.
pub(crate) fn erased<M, L: Fn(&M) -> Tensor<1>>(losses: &[L]) -> Vec<Loss<'_, M>> {
    losses.iter().map(|loss| loss as Loss<'_, M>).collect()
}

/// The loss at `module` and its gradient, one tensor per parameter, in the form that Burn's optimizers take.
///
/// `loss` returns one number (a `Tensor<1>` with one entry) computed from its argument. It runs once, on `module`
/// itself, and updates batch norm's running statistics as in any training step.
///
/// # Errors
///
/// [`BridgeError::LossNotScalar`], [`BridgeError::LossNotTracked`], [`BridgeError::LossIgnoresModule`] or
/// [`BridgeError::Read`].
pub fn backward<M: Module>(
    module: &M,
    loss: impl Fn(&M) -> Tensor<1>,
) -> Result<(f64, GradientsParams), BridgeError> {
    differentiate(module, with_next_numbers(|| loss(module)))
}

/// The loss at `module` and its gradient as one vector in the order of `layout`.
///
/// Like [`backward`], with a flat gradient of length n, which is zero for parameters that the loss does not reach.
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

/// The mean of several losses at `module` and the sum of their gradients. Evaluates each loss once.
pub(crate) fn backward_sum<M: Module, L: Fn(&M) -> Tensor<1>>(
    module: &M,
    losses: &[L],
) -> Result<(f64, GradientsParams), BridgeError> {
    let mut accumulator = GradientsAccumulator::<M>::new();
    let mut sum = 0.0;
    for loss in losses {
        let (value, gradients) = backward(module, loss)?;
        if losses.len() == 1 {
            return Ok((value, gradients));
        }
        sum += value;
        accumulator.accumulate(module, gradients);
    }
    Ok((sum / losses.len() as f64, accumulator.grads()))
}

/// Like [`backward`], for a loss that must have the type `dtype`. Converts Burn's panic on mixed float types to an
/// error that names what to cast.
pub(crate) fn backward_in<M: Module>(
    dtype: DType,
    module: &M,
    loss: impl FnOnce(&M) -> Result<Tensor<1>, BridgeError>,
) -> Result<(f64, GradientsParams), BridgeError> {
    let mixed = |found: String| BridgeError::LossPrecision {
        expected: dtype.name().to_owned(),
        found,
    };
    // The module is a copy that is dropped on a panic, so no broken state remains visible.
    let value = match quiet::catch(|| loss(module)) {
        Ok(value) => value?,
        Err(panic) if panic.message().to_lowercase().contains("dtype") => {
            return Err(mixed(panic.message().to_owned()));
        }
        Err(panic) => panic.resume(),
    };
    let found = value.dtype();
    let differentiated = differentiate(module, value);
    match differentiated {
        // A loss computed from a module other than the copy has that module's type.
        Err(BridgeError::LossIgnoresModule) => differentiated,
        _ if found != dtype => Err(mixed(found.name().to_owned())),
        _ => differentiated,
    }
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
    if gradients.is_empty() {
        return Err(BridgeError::LossIgnoresModule);
    }
    Ok((loss.try_into_scalar::<f64>()?, gradients))
}
