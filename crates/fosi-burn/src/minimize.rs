//! Minimisation of a module's loss on all of its data, without a learning rate.

use burn::module::Module;
use burn::tensor::{Element, Tensor};
use fosi::error::BoxError;
use fosi::minimize::{Curvature, Estimation, FailedEstimation, Objective, Options, Status};
use fosi::space::Scalar;
use fosi::{Host, Space};

use crate::error::{BridgeError, OptimizerError};
use crate::flat::FlatLayout;
use crate::gradient::{Loss, erased};
use crate::precision::Precision;
use crate::replica::Replica;

/// The result and the cost of minimising a module's loss. The module itself holds the best point.
#[derive(Clone)]
#[non_exhaustive]
pub struct Minimum {
    /// The lowest loss seen, computed in [`precision`](Self::precision).
    pub value: f64,
    /// ‖∇f‖ there, over all trainable parameters.
    pub gradient_norm: f64,
    /// Why the run stopped.
    pub status: Status,
    /// The curvature at the last point, as far as it is known.
    pub curvature: Curvature,
    /// Steps taken.
    pub steps: u64,
    /// Gradients of the whole loss, those of difference quotients included, without those of `check_gradient` and
    /// `check_minimum`.
    pub gradients: u64,
    /// Hessian-vector products, without those of `check_minimum`, which only [`estimations`](Self::estimations)
    /// reports.
    pub products: u64,
    /// Units of cost, bounded by [`Options::max_cost`]: the gradients.
    pub cost: u64,
    /// The estimations of the spectrum, in order.
    pub estimations: Vec<Estimation>,
    /// Failed estimations, in order; the run continued with the previous metric.
    pub failed_estimations: Vec<FailedEstimation>,
    /// Wall time in seconds.
    pub seconds: f64,
    /// The precision in which the loss was computed.
    pub precision: Precision,
}

/// Shows only the number of estimations, since each one lists its eigenvalues.
impl std::fmt::Debug for Minimum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minimum")
            .field("value", &self.value)
            .field("gradient_norm", &self.gradient_norm)
            .field("status", &self.status)
            .field("curvature", &self.curvature)
            .field("steps", &self.steps)
            .field("gradients", &self.gradients)
            .field("products", &self.products)
            .field("cost", &self.cost)
            .field("estimations", &self.estimations.len())
            .field("failed_estimations", &self.failed_estimations)
            .field("seconds", &self.seconds)
            .field("precision", &self.precision)
            .finish()
    }
}

/// Minimises `loss` over the trainable parameters of `module`, without a learning rate, by
/// [`fosi::minimize::minimize`]: L-BFGS with a line search and an initial metric from extreme eigenpairs of the
/// Hessian, which are estimated when progress slows.
///
/// The loss must be the same function at every call: the loss on all data, such as that of a physics-informed network
/// on fixed collocation points. It is evaluated on copies of the module, in f64 if its devices compute in f64,
/// otherwise in f32; it casts its data with [`like_module`](crate::like_module). At the end the module holds the best
/// parameters found, in its own float types: in f32 they are rounded once, so the loss differs from [`Minimum::value`]
/// by that rounding. Hessian-vector products are guarded difference quotients of gradients. The minimiser's vectors are
/// on the host.
///
/// Batch norm in training mode is refused, because the loss of an example then depends on the other examples of the
/// call. Dropout is refused, because it makes the loss a different function at each call, unless
/// [`Options::check_gradient`] is off.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use fosi::minimize::Options;
/// use fosi_burn::like_module;
///
/// let device = Device::flex().autodiff();
/// let mut model = LinearConfig::new(1, 1).init(&device);
/// let x = Tensor::<2>::from_data([[0.0], [1.0], [2.0]], &device);
/// let y = Tensor::<2>::from_data([[1.0], [3.0], [5.0]], &device);
///
/// let loss = |model: &Linear| {
///     let residual = model.forward(like_module(x.clone(), model)) - like_module(y.clone(), model);
///     residual.square().mean()
/// };
/// let minimum = fosi_burn::minimize(&mut model, &loss, Options::default())?;
/// assert!(minimum.gradient_norm <= 1e-6);
/// // y = 2x + 1.
/// assert!((model.weight.val().into_scalar::<f64>() - 2.0).abs() < 1e-5);
/// # Ok::<(), fosi_burn::OptimizerError>(())
/// ```
///
/// # Errors
/// [`OptimizerError`], before the first step: [`BridgeError::ChangedBuffer`] for batch norm,
/// [`BridgeError::LossNotDeterministic`] for dropout, the other ones of [`Replica::new`] and
/// [`Replica::value_and_gradient`], and those of [`fosi::minimize::minimize`]. The module is then unchanged. A later
/// failure ends the run with a [`Status`], and the module holds the best parameters found.
pub fn minimize<M: Module>(
    module: &mut M,
    loss: &impl Fn(&M) -> Tensor<1>,
    options: Options,
) -> Result<Minimum, OptimizerError> {
    minimize_mean(module, std::slice::from_ref(&loss), &[1.0], options)
}

/// Like [`minimize`], for the weighted mean Σwᵢℓᵢ/Σwᵢ of several losses, one per slice of data that does not fit in
/// memory at once.
///
/// If each loss is a mean over its slice, the slices' sizes as weights give the mean over all data. Each gradient is
/// that of the whole mean and evaluates every loss once.
///
/// ```
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::tensor::{Device, Tensor};
/// # use fosi::minimize::Options;
/// # use fosi_burn::{like_module, minimize_mean};
/// # let device = Device::flex().autodiff();
/// # let mut model = LinearConfig::new(1, 1).init(&device);
/// # let slices = [
/// #     (Tensor::<2>::from_data([[0.0], [1.0]], &device), Tensor::<2>::from_data([[1.0], [3.0]], &device)),
/// #     (Tensor::<2>::from_data([[2.0]], &device), Tensor::<2>::from_data([[5.0]], &device)),
/// # ];
/// let loss_on = |(x, y): &(Tensor<2>, Tensor<2>)| {
///     let (x, y) = (x.clone(), y.clone());
///     move |model: &Linear| {
///         let residual = model.forward(like_module(x.clone(), model)) - like_module(y.clone(), model);
///         residual.square().mean()
///     }
/// };
/// let losses: Vec<_> = slices.iter().map(loss_on).collect();
/// let sizes: Vec<f64> = slices.iter().map(|(x, _)| x.dims()[0] as f64).collect();
/// minimize_mean(&mut model, &losses, &sizes, Options::default())?;
/// # assert!((model.weight.val().into_scalar::<f64>() - 2.0).abs() < 1e-5);
/// # Ok::<(), fosi_burn::OptimizerError>(())
/// ```
///
/// # Errors
/// Those of [`minimize`], and [`fosi::Error::InvalidSetting`] without losses, if the numbers of weights and losses
/// differ, or for a weight that is not positive and finite.
pub fn minimize_mean<M: Module>(
    module: &mut M,
    losses: &[impl Fn(&M) -> Tensor<1>],
    weights: &[f64],
    options: Options,
) -> Result<Minimum, OptimizerError> {
    let (losses, shares) = (erased(losses), shares(losses.len(), weights)?);
    let in_double = |device: &_| Precision::F64.supported_by(device);
    match Precision::best(&module.devices(), in_double) {
        Precision::F64 => minimize_in::<f64, M>(Precision::F64, module, &losses, &shares, options),
        Precision::F32 => minimize_in::<f32, M>(Precision::F32, module, &losses, &shares, options),
    }
}

/// wᵢ/Σw.
fn shares(losses: usize, weights: &[f64]) -> Result<Vec<f64>, fosi::Error> {
    let refused = |setting, given: String, allowed| {
        Err(fosi::Error::InvalidSetting {
            setting,
            given,
            allowed,
        })
    };
    if losses == 0 {
        return refused("the number of losses", "0".into(), "at least 1");
    }
    if weights.len() != losses {
        let given = format!("{} for {losses} losses", weights.len());
        return refused("the number of weights", given, "that of the losses");
    }
    if let Some(weight) = weights.iter().find(|w| !(**w > 0.0 && w.is_finite())) {
        return refused("a weight", weight.to_string(), "positive and finite");
    }
    let total: f64 = weights.iter().sum();
    if !total.is_finite() {
        return refused("the sum of the weights", total.to_string(), "finite");
    }
    Ok(weights.iter().map(|weight| weight / total).collect())
}

/// Minimises with vectors of `T` on the host and the loss computed in `precision`.
fn minimize_in<T: Scalar + Element, M: Module>(
    precision: Precision,
    module: &mut M,
    losses: &[Loss<'_, M>],
    shares: &[f64],
    options: Options,
) -> Result<Minimum, OptimizerError> {
    let layout = FlatLayout::of(module)?;
    let replica = Replica::new(module, precision)?;
    for loss in losses {
        if let Some(path) = replica.changed_buffer(loss)? {
            return Err(BridgeError::ChangedBuffer { path }.into());
        }
    }
    let space = Host::<T>::new(layout.len());
    let mut part = space.zeros();
    let mean = |parameters: &[T], gradient: &mut [T]| -> Result<f64, BoxError> {
        let mut value = 0.0;
        gradient.fill(T::ZERO);
        for (loss, share) in losses.iter().zip(shares) {
            value += share * replica.evaluate(parameters, loss, &mut part[..])?;
            space.axpby(*share, &part, 1.0, gradient);
        }
        Ok(value)
    };
    let objective = Objective::on_host(space.clone(), mean);
    let start: Vec<T> = layout.parameters(module)?;
    let found = fosi::minimize::minimize(objective, &start, options).map_err(refusal)?;
    *module = layout.set_parameters(module, &found.best.parameters[..])?;
    Ok(Minimum {
        value: found.best.value,
        gradient_norm: found.best.gradient_norm,
        status: found.status,
        curvature: found.curvature,
        steps: found.steps,
        gradients: found.gradients,
        products: found.products,
        cost: found.cost,
        estimations: found.estimations,
        failed_estimations: found.failed_estimations,
        seconds: found.seconds,
        precision,
    })
}

/// The error of a minimisation that did not start, in terms of a module.
fn refusal(error: fosi::Error) -> OptimizerError {
    match error {
        fosi::Error::NotDeterministic { first, second } => {
            BridgeError::LossNotDeterministic { first, second }.into()
        }
        fosi::Error::User(source) => match source.downcast::<BridgeError>() {
            Ok(bridge) => (*bridge).into(),
            Err(source) => fosi::Error::User(source).into(),
        },
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{DType, Device, Tensor, TensorData};
    use fosi::minimize::Options;

    use super::minimize_in;
    use crate::precision::{Precision, like_module};

    /// As on a device without f64.
    #[test]
    fn in_single_precision_the_minimum_is_that_of_single_precision() {
        let device = Device::flex().autodiff();
        let mut model = LinearConfig::new(1, 1).init(&device);
        let column = |values: [f32; 4]| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [4, 1]), &device)
        };
        // The residuals of y = 2x + 1 are ±0.1, and orthogonal to x and 1.
        let (x, y) = (
            column([-1.5, -0.5, 0.5, 1.5]),
            column([-1.9, -0.1, 1.9, 4.1]),
        );
        let loss = |model: &Linear| {
            assert_eq!(crate::float_dtype(model).map(DType::from), Some(DType::F32));
            let residual = model.forward(like_module(x.clone(), model)) - y.clone();
            residual.square().mean()
        };
        let minimum = minimize_in::<f32, _>(
            Precision::F32,
            &mut model,
            &[&loss],
            &[1.0],
            Options::default(),
        );
        let minimum = minimum.unwrap();
        assert_eq!(minimum.precision, Precision::F32);
        assert!((minimum.value - 0.01).abs() < 1e-6, "{minimum:?}");
        assert!(minimum.gradient_norm < 1e-5, "{minimum:?}");
        assert_eq!(model.num_params(), 2);
        let weight = model.weight.val().into_scalar::<f64>();
        assert!((weight - 2.0).abs() < 1e-5, "{weight}");
    }
}
