//! An independent copy of a module in another precision, for the gradients of Hessian-vector products.

use std::collections::HashMap;

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, Tensor};
use fosi::{Host, Space};

use crate::buffers::first_change;
use crate::error::BridgeError;
use crate::flat::{FlatLayout, FlatVector};
use crate::gradient::backward_in;
use crate::precision::{Precision, is_plain_float};
use crate::randomness::{FixedNumbers, with_next_numbers};

/// A copy of a module, on which a loss can be evaluated at any parameters without changing the module.
///
/// Every float parameter and buffer is cast to the [`Precision`]; ids, devices, frozen parameters and training flags
/// are kept. Each evaluation starts from the same state: the running statistics of batch norm, which Burn shares
/// between a module and its clones, are independent here and are reset every time.
///
/// Other tensors keep their float type: a bare [`Tensor`] field of a module, and a tensor that the closure captures.
/// Cast them with [`like_module`](crate::like_module).
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use fosi_burn::{Precision, Replica, like_module};
///
/// let device = Device::flex().autodiff();
/// let (model, x) = (LinearConfig::new(3, 1).init(&device), Tensor::<2>::ones([4, 3], &device));
/// let loss = |model: &Linear| model.forward(like_module(x.clone(), model)).square().mean();
///
/// let replica = Replica::new(&model, Precision::F64)?;
/// replica.check_determinism(&loss)?;
/// let mut shifted = replica.parameters()?;
/// shifted[0] += 1e-9;
/// let (value, gradient) = replica.value_and_gradient(&shifted, &loss)?;
/// assert_eq!(gradient.len(), 4);
/// # assert!(value.is_finite());
/// # Ok::<(), fosi_burn::BridgeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Replica<M> {
    /// Never evaluated itself; evaluations use fresh copies.
    template: M,
    layout: FlatLayout,
    state: TrainingState,
    precision: Precision,
    numbers: Option<FixedNumbers>,
}

impl<M: Module> Replica<M> {
    /// A replica of the current state of `module`.
    ///
    /// Parameters and running statistics of `module` are unchanged bit for bit. (Updates of running statistics that
    /// Burn has queued since the last forward pass are applied, as the next pass would do.)
    ///
    /// # Errors
    ///
    /// [`BridgeError::NothingToTrain`], or [`BridgeError::NoDoublePrecision`] where f64 is requested and one of the
    /// devices cannot compute in it.
    pub fn new(module: &M, precision: Precision) -> Result<Self, BridgeError> {
        let layout = FlatLayout::of(module)?;
        for device in module.devices() {
            if !precision.supported_by(&device) {
                return Err(BridgeError::NoDoublePrecision {
                    device: format!("{device:?}"),
                });
            }
        }
        let state = TrainingState::of(module);
        let template = state.fresh(module).map(&mut Cast(precision));
        Ok(Self {
            template,
            layout,
            state,
            precision,
            numbers: None,
        })
    }

    /// Seeds the devices' generators with `seed` before every evaluation, so that, for example, all evaluations use the
    /// same dropout mask. After an evaluation the generators continue from a number drawn before it.
    ///
    /// Generators are shared by the whole process. Such evaluations and steps of
    /// [`FosiOptimizer`](crate::FosiOptimizer) in other threads are serialised; any other code that draws from the
    /// generators in another thread interferes.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.numbers = Some(FixedNumbers::new(self.template.devices(), seed));
        self
    }

    /// Like [`with_seed`](Self::with_seed), with a seed drawn from the first device's generator.
    pub(crate) fn with_drawn_seed(mut self) -> Result<Self, BridgeError> {
        self.numbers = Some(FixedNumbers::draw(self.template.devices())?);
        Ok(self)
    }

    /// The order of the flat vectors, which is the module's.
    pub fn layout(&self) -> &FlatLayout {
        &self.layout
    }

    /// The module's trainable parameters θ at the creation of the replica, in the replica's precision. Length n.
    ///
    /// # Errors
    ///
    /// [`BridgeError::Read`].
    pub fn parameters(&self) -> Result<Vec<f64>, BridgeError> {
        self.layout.parameters(&self.template)
    }

    /// The same as a tensor on `device`.
    ///
    /// # Errors
    ///
    /// A `BridgeError`, which should not occur, since the replica fits its own layout.
    pub fn parameter_tensor(&self, device: &Device) -> Result<Tensor<1>, BridgeError> {
        let dtype = DType::from(self.precision.dtype());
        let mut parameters = Tensor::zeros([self.layout.len()], (device, dtype));
        self.layout
            .read_parameters(&self.template, &mut parameters)?;
        Ok(parameters)
    }

    /// The precision in which the replica computes.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// A fresh copy of the module with the given parameters (length n), rounded to the replica's precision.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LengthMismatch`].
    pub fn at(&self, parameters: &[f64]) -> Result<M, BridgeError> {
        self.layout
            .set_parameters(&self.state.fresh(&self.template), parameters)
    }

    /// The loss and its gradient at the given parameters, both vectors of length n.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LengthMismatch`]; [`BridgeError::LossPrecision`] where the closure mixes float types or ignores
    /// its argument; [`BridgeError::LossNotScalar`], [`BridgeError::LossNotTracked`], [`BridgeError::Read`].
    pub fn value_and_gradient(
        &self,
        parameters: &[f64],
        loss: &impl Fn(&M) -> Tensor<1>,
    ) -> Result<(f64, Vec<f64>), BridgeError> {
        let mut gradient = vec![0.0; self.layout.len()];
        let value = self.evaluate(parameters, loss, &mut gradient[..])?;
        Ok((value, gradient))
    }

    /// The gradient of the loss at the given parameters, both tensors of length n on one device, in the replica's
    /// precision.
    ///
    /// # Errors
    ///
    /// Those of [`value_and_gradient`](Self::value_and_gradient).
    pub fn gradient_tensor(
        &self,
        parameters: &Tensor<1>,
        loss: &impl Fn(&M) -> Tensor<1>,
    ) -> Result<Tensor<1>, BridgeError> {
        // Provides the device and float type; allocates no memory.
        let mut gradient = parameters.clone().cast(self.precision.dtype());
        self.evaluate(parameters, loss, &mut gradient)?;
        Ok(gradient)
    }

    /// The loss at the given parameters; writes its gradient to `gradient`. Both may be any flat vectors.
    pub(crate) fn evaluate<V: FlatVector + ?Sized>(
        &self,
        parameters: &V,
        loss: &impl Fn(&M) -> Tensor<1>,
        gradient: &mut V,
    ) -> Result<f64, BridgeError> {
        let fresh = self.state.fresh(&self.template);
        let module = self.layout.set_parameters(&fresh, parameters)?;
        let dtype = self.precision.dtype().into();
        let (value, gradients) = backward_in(dtype, &module, |module| match &self.numbers {
            Some(numbers) => numbers.evaluate(|| loss(module)),
            None => Ok(with_next_numbers(|| loss(module))),
        })?;
        self.layout.read_gradient(&module, gradients, gradient)?;
        Ok(value)
    }

    /// Path of the first float buffer that the loss changes, such as the running statistics of batch norm in training.
    pub(crate) fn changed_buffer(
        &self,
        loss: &impl Fn(&M) -> Tensor<1>,
    ) -> Result<Option<String>, BridgeError> {
        let module = self.state.fresh(&self.template);
        backward_in(self.precision.dtype().into(), &module, |m| {
            Ok(with_next_numbers(|| loss(m)))
        })?;
        // A fresh copy, for which Burn applies the queued updates.
        first_change(&self.template, &self.state.fresh(&module))
    }

    /// Checks that the loss is the same function at every evaluation, by computing its gradient twice at θ.
    ///
    /// Differences up to rounding are allowed, ‖g − g′‖ ≤ tol·‖g‖ with tol = 1e-12 in f64 and 1e-5 in f32, since a
    /// device may sum in a varying order. Non-finite gradients are not checked.
    ///
    /// # Errors
    ///
    /// [`BridgeError::NotDeterministic`], and those of [`value_and_gradient`](Self::value_and_gradient).
    pub fn check_determinism(&self, loss: &impl Fn(&M) -> Tensor<1>) -> Result<(), BridgeError> {
        let device = self.template.devices().into_iter().next();
        let theta = self.parameter_tensor(&device.unwrap_or_default().without_autodiff())?;
        let first = self.gradient_tensor(&theta, loss)?;
        let second = self.gradient_tensor(&theta, loss)?;
        let allowed = match self.precision {
            Precision::F32 => 1e-5,
            Precision::F64 => 1e-12,
        };
        let distance = norm(first.clone() - second.clone())?;
        let scale = norm(first)?.max(norm(second)?);
        if distance > allowed * scale {
            return Err(BridgeError::NotDeterministic {
                difference: distance / scale,
                allowed,
            });
        }
        Ok(())
    }

    /// Checks that the gradient is computed in f64 throughout. If a layer internally rounds to f32, the gradient still
    /// has the type f64, but for small changes of the parameters it changes in jumps of f32's resolution or not at all.
    ///
    /// g is computed near θ, off exact ties of kinks, at steps of ±1e-9 and ±4e-9 along a normal vector. Rounding is
    /// detected if, for both sizes, the second difference is not far below the first, or g does not change. In f32 this
    /// does nothing.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LossRounded`], and those of [`value_and_gradient`](Self::value_and_gradient).
    pub fn check_precision(&self, loss: &impl Fn(&M) -> Tensor<1>) -> Result<(), BridgeError> {
        if self.precision == Precision::F32 {
            return Ok(());
        }
        let space = Host::<f64>::new(self.layout.len());
        let theta = self.parameters()?;
        let gradient = |step: f64, towards: &[f64], from: &[f64]| {
            let moved = |(x, z): (&f64, &f64)| x + step * z * x.abs().max(1.0);
            let point: Vec<f64> = from.iter().zip(towards).map(moved).collect();
            Ok::<_, BridgeError>((self.value_and_gradient(&point, loss)?.1, point))
        };
        let (at, point) = gradient(1e-4, &space.normal(1), &theta)?;
        let towards = space.normal(2);
        let size = space.norm(&at);
        for step in [1e-9, 4e-9] {
            let (mut after, _) = gradient(step, &towards, &point)?;
            let (before, _) = gradient(-step, &towards, &point)?;
            let mut second = at.clone();
            space.axpby(1.0, &after, -2.0, &mut second);
            space.axpby(1.0, &before, 1.0, &mut second);
            space.axpby(-1.0, &before, 1.0, &mut after);
            let (first, second) = (space.norm(&after), space.norm(&second));
            let unmoved = first == 0.0 && size > 0.0;
            let rounded = second > 0.1 * first && second > 1e-12 * size;
            if !unmoved && !rounded {
                return Ok(());
            }
        }
        Err(BridgeError::LossRounded)
    }
}

fn norm(tensor: Tensor<1>) -> Result<f64, BridgeError> {
    let square = tensor.square().sum().try_into_scalar::<f64>()?;
    Ok(square.sqrt())
}

/// The module's training state: which parameters are differentiated, and which training flags are on.
#[derive(Debug, Clone, Default)]
struct TrainingState {
    require_grad: HashMap<ParamId, bool>,
    flags: HashMap<ParamId, bool>,
}

impl TrainingState {
    fn of(module: &impl Module) -> Self {
        let mut state = Self::default();
        module.visit(&mut state);
        state
    }

    /// A copy of `module` that shares no state with it. Only `train` separates running statistics, but it also switches
    /// training on; this restores the previous state.
    fn fresh<M: Module>(&self, module: &M) -> M {
        module.clone().train().map(&mut Restore(self))
    }
}

impl ModuleVisitor for TrainingState {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.require_grad.insert(param.id, param.is_require_grad());
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.flags.insert(flag.id, flag.is_enabled());
    }
}

struct Restore<'a>(&'a TrainingState);

impl ModuleMapper for Restore<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let before = self.0.require_grad.get(&param.id).copied();
        match before {
            Some(false) if param.is_require_grad() => {
                param.map(|value| value.set_require_grad(false))
            }
            _ => param,
        }
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        match self.0.flags.get(&flag.id) {
            Some(&enabled) => flag.map(|value| value.with(enabled)),
            None => flag,
        }
    }
}

struct Cast(Precision);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let dtype: DType = param.base().dtype();
        if !is_plain_float(&dtype) {
            return param; // quantized weights are frozen and compute in the type of their input
        }
        let require_grad = param.is_require_grad();
        // Detached first (`detach` itself would keep the requirement), so that the cast value is a separate leaf rather
        // than a function of the module's parameter.
        param.map(|value| {
            let value = value.set_require_grad(false).cast(self.0.dtype());
            value.set_require_grad(require_grad)
        })
    }
}
