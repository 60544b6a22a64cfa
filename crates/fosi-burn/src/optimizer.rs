//! FOSI for a Burn module: a training step in one call.

use std::borrow::{Borrow, BorrowMut};
use std::path::Path;
use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Element, Tensor};
use fosi::base::Base;
use fosi::checkpoint::{read, write_atomically};
use fosi::error::LanczosError;
use fosi::operator::{Counted, DifferenceQuotient, GradientOracle};
use fosi::space::Scalar;
use fosi::{Fosi, FosiConfig, Host, Refresh, Space, StepReport, Storage};

use crate::{BridgeError, FlatLayout, ModuleSpace, Precision, Replica, TensorSpace, backward};

/// The errors of [`FosiOptimizer`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptimizerError {
    /// Between the module and the flat vectors.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// In the optimizer itself.
    #[error(transparent)]
    Fosi(#[from] fosi::Error),
}

/// What a training step did.
#[derive(Debug)]
#[non_exhaustive]
pub struct TrainStep {
    /// The loss before the step.
    pub loss: f64,
    /// Lengths of the step's parts and the scale.
    pub report: StepReport,
    /// The refresh before the step, if one was due.
    pub refresh: Option<RefreshAttempt>,
}

/// Step of the central difference along v₁, relative to the parameters' magnitude: at kinks it says what the losses do nearby.
fn curvature_step(precision: Precision) -> f64 {
    match precision {
        Precision::F64 => 1e-6,
        // Shorter ones are lost in rounding.
        Precision::F32 => 1e-3,
    }
}

/// A refresh, made or failed, and its cost.
#[derive(Debug)]
#[non_exhaustive]
pub struct RefreshAttempt {
    /// The new spectrum, or why the old one stays.
    pub result: Result<Refresh, fosi::Error>,
    /// Hessian-vector products.
    pub products: u64,
    /// Gradients that the products took, the determinism check's among them.
    pub gradients: u64,
    /// Wall time in seconds.
    pub seconds: f64,
    /// v₁ᵀH_b v₁ on each of several losses, v₁ the eigenvector of the largest eigenvalue λ₁ of their mean: their mean is
    /// λ₁, and how far they lie apart says how much of λ₁ is the batches'. Empty for one loss, a failed
    /// refresh, and where there is no such eigenvector: no largest eigenvalue was asked for, or the mean has no curvature.
    pub batch_curvatures: Vec<f64>,
}

/// FOSI around a base optimizer, for modules of one architecture.
///
/// [`new`](Self::new) keeps the optimizer's vectors on the host, `S` = [`Host`]: parameters and gradients are taken there
/// for the step, so any Burn device serves, and on a CPU nothing is faster. [`on_device`](Self::on_device) keeps them on
/// the module's device, `S` = [`TensorSpace`]: for a GPU, from which no vector then has to come. Hessian-vector products
/// are guarded difference quotients of the loss's gradient on a replica of the module, in f64 where its devices have it;
/// the module's running statistics, random state and `require_grad` stay as they are.
///
/// Of parameters in f16 or bf16 the optimizer keeps master weights in f32, one number for each: a step moves these, and
/// the module gets them rounded, so that steps too short to change the rounded parameter add up. A parameter that was
/// changed between two steps (a loaded record, a manual edit, an average) is taken over where it differs from its master
/// weight, rounded; see [`FlatLayout::update_master_weights`]. [`save`](Self::save) keeps the master weights. For
/// parameters in f64, [`in_double_precision`](Self::in_double_precision) does the same arithmetic in f64, where
/// [`new`](Self::new) and [`on_device`](Self::on_device) round them to f32.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use fosi::{FosiConfig, Schedule, base::HeavyBall};
/// use fosi_burn::{FosiOptimizer, like_module};
///
/// let device = Device::flex().autodiff();
/// let mut model = LinearConfig::new(3, 1).init(&device);
/// let batch = Tensor::<2>::from_data([[1.0, 0.2, 3.0], [0.5, 2.0, -1.0]], &device);
///
/// let config = FosiConfig { largest: 2, schedule: Schedule::Every { warmup: 2, interval: 10 }, ..FosiConfig::default() };
/// let mut optimizer = FosiOptimizer::new(&model, HeavyBall::new(0.9), config)?;
/// let loss = |model: &Linear| model.forward(like_module(batch.clone(), model)).square().mean();
/// let first = optimizer.step(0.01, &mut model, &loss)?.loss;
/// for _ in 0..50 {
///     optimizer.step(0.01, &mut model, &loss)?;
/// }
/// assert!(optimizer.step(0.01, &mut model, &loss)?.loss < first);
/// # Ok::<(), fosi_burn::OptimizerError>(())
/// ```
pub struct FosiOptimizer<B, S: Space = Host<f32>> {
    fosi: Fosi<S, B>,
    layout: FlatLayout,
    precision: Precision,
    /// Whether the next refresh first checks that the loss is the same function at every evaluation.
    check_determinism: bool,
    /// The parameters after the last step, in the space's precision: the master weights of a module in a narrower float
    /// type. Otherwise memory of a step: asking the system for it every time takes longer than the step.
    parameters: S::Owned,
    /// Whether `parameters` held more than the module at the last step.
    master_weights: bool,
    gradient: S::Owned,
}

impl<B: Base<S>, S: Space> std::fmt::Debug for FosiOptimizer<B, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FosiOptimizer")
            .field("fosi", &self.fosi)
            .field("precision", &self.precision)
            .finish_non_exhaustive()
    }
}

impl<B: Base<Host<f32>>> FosiOptimizer<B> {
    /// FOSI around `base` for modules like `module`. The learning rate is given at each step.
    ///
    /// Where a device of the module doesn't compute in f64 ([`Precision::supported_by`]), products are central differences in f32.
    /// Parameters in f64 are rounded to f32 at every step, of which a warning is logged.
    ///
    /// # Errors
    /// [`BridgeError::NothingToTrain`] or [`fosi::Error::InvalidSetting`].
    pub fn new(module: &impl Module, base: B, config: FosiConfig) -> Result<Self, OptimizerError> {
        let layout = FlatLayout::of(module)?;
        warn_of_rounding(module);
        Self::with_space(Host::new(layout.len()), layout, module, base, config)
    }
}

impl<B: Base<Host<f64>>> FosiOptimizer<B, Host<f64>> {
    /// As [`new`](FosiOptimizer::new), with all vectors in f64: for modules in f64, whose steps are then taken in it.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::{DType, Device, Tensor};
    /// use fosi::{FosiConfig, base::Adam};
    /// use fosi_burn::{FosiOptimizer, Precision, Replica, like_module};
    ///
    /// # let device = Device::flex().autodiff();
    /// # let batch = Tensor::<2>::ones([4, 3], &device);
    /// # let single = LinearConfig::new(3, 1).init(&device);
    /// # let replica = Replica::new(&single, Precision::F64)?;
    /// # let mut model = replica.at(&replica.parameters()?)?;
    /// let mut optimizer = FosiOptimizer::in_double_precision(&model, Adam::default(), FosiConfig::default())?;
    /// let loss = |model: &Linear| model.forward(like_module(batch.clone(), model)).square().mean();
    /// optimizer.step(1e-3, &mut model, &loss)?;
    /// # assert_eq!(model.weight.val().dtype(), DType::F64);
    /// # Ok::<(), fosi_burn::OptimizerError>(())
    /// ```
    ///
    /// # Errors
    /// [`BridgeError::NothingToTrain`] or [`fosi::Error::InvalidSetting`].
    pub fn in_double_precision(
        module: &impl Module,
        base: B,
        config: FosiConfig,
    ) -> Result<Self, OptimizerError> {
        let layout = FlatLayout::of(module)?;
        Self::with_space(Host::new(layout.len()), layout, module, base, config)
    }
}

impl<T: Scalar + Element, B: Base<Host<T>>> FosiOptimizer<B, Host<T>> {
    /// Keeps the eigenvectors in another precision: in [`Storage::Bf16`] they take half the memory, and a step reads half
    /// as much of it.
    ///
    /// ```
    /// # use burn::nn::LinearConfig;
    /// # use burn::tensor::Device;
    /// use fosi::{FosiConfig, Storage, base::Adam};
    /// use fosi_burn::FosiOptimizer;
    ///
    /// # let model = LinearConfig::new(3, 1).init(&Device::flex().autodiff());
    /// let optimizer = FosiOptimizer::new(&model, Adam::default(), FosiConfig::default())?.with_storage(Storage::Bf16);
    /// # Ok::<(), fosi_burn::OptimizerError>(())
    /// ```
    pub fn with_storage(mut self, storage: Storage) -> Self {
        self.fosi.set_storage(storage);
        self
    }
}

impl<B: Base<TensorSpace>> FosiOptimizer<B, TensorSpace> {
    /// As [`new`](FosiOptimizer::new), with all vectors on the module's device (the first, where it has several).
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::{Device, Tensor};
    /// use fosi::{FosiConfig, base::Adam};
    /// use fosi_burn::{FosiOptimizer, like_module};
    ///
    /// # let device = Device::flex().autodiff();
    /// # let mut model = LinearConfig::new(3, 1).init(&device);
    /// # let batch = Tensor::<2>::ones([4, 3], &device);
    /// let mut optimizer = FosiOptimizer::on_device(&model, Adam::default(), FosiConfig::default())?;
    /// let loss = |model: &Linear| model.forward(like_module(batch.clone(), model)).square().mean();
    /// optimizer.step(0.001, &mut model, &loss)?;
    /// # Ok::<(), fosi_burn::OptimizerError>(())
    /// ```
    ///
    /// # Errors
    /// [`BridgeError::NothingToTrain`] or [`fosi::Error::InvalidSetting`].
    pub fn on_device(
        module: &impl Module,
        base: B,
        config: FosiConfig,
    ) -> Result<Self, OptimizerError> {
        let layout = FlatLayout::of(module)?;
        warn_of_rounding(module);
        let device: Device = module.devices().into_iter().next().unwrap_or_default();
        let space = TensorSpace::new(layout.len(), &device);
        Self::with_space(space, layout, module, base, config)
    }
}

impl<S: ModuleSpace, B: Base<S>> FosiOptimizer<B, S> {
    fn with_space(
        space: S,
        layout: FlatLayout,
        module: &impl Module,
        base: B,
        config: FosiConfig,
    ) -> Result<Self, OptimizerError> {
        let (parameters, gradient) = (space.zeros(), space.zeros());
        let mut fosi = Fosi::new(space, base, config)?;
        fosi.set_signature(signature(&layout));
        Ok(Self {
            fosi,
            layout,
            precision: Precision::best(&module.devices(), |device| {
                Precision::F64.supported_by(device)
            }),
            check_determinism: true,
            parameters,
            master_weights: false,
            gradient,
        })
    }

    /// Takes products in another precision than the devices' best.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Whether the first refresh compares two gradients at the same parameters; default true.
    pub fn with_determinism_check(mut self, check: bool) -> Self {
        self.check_determinism = check;
        self
    }

    /// One step on `loss`: a refresh where it is due, the gradient, the update.
    ///
    /// `loss` is evaluated once on `module` itself, and at a refresh on copies of it, in f64 as a rule: it casts its
    /// batch with [`like_module`](crate::like_module), and is the same function at every call.
    ///
    /// # Errors
    /// [`OptimizerError`]; module and optimizer are then as before, but for batch norm's running statistics and
    /// a refresh that was made before the gradient failed. A refresh that fails for numerical reasons is no error: see [`TrainStep::refresh`].
    pub fn step<M: Module>(
        &mut self,
        learning_rate: f64,
        module: &mut M,
        loss: &impl Fn(&M) -> Tensor<1>,
    ) -> Result<TrainStep, OptimizerError> {
        // Before the refresh: a rate that is refused must not cost an estimation.
        self.fosi.check_learning_rate(learning_rate)?;
        let refresh = match self.due() {
            true => Some(self.refresh(module, loss)?),
            false => None,
        };
        let (loss, gradients) = backward(module, loss)?;
        let report = self.step_with_gradients(learning_rate, module, gradients)?;
        Ok(TrainStep {
            loss,
            report,
            refresh,
        })
    }

    /// One step with gradients that the caller has: accumulated, averaged over devices.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_with_gradients<M: Module>(
        &mut self,
        learning_rate: f64,
        module: &mut M,
        gradients: GradientsParams,
    ) -> Result<StepReport, OptimizerError> {
        let (space, layout) = (self.fosi.space(), &self.layout);
        let (gradient, parameters) = (&mut self.gradient, &mut self.parameters);
        space.read_gradient(layout, module, gradients, gradient)?;
        self.master_weights = space.update_master_weights(layout, module, parameters)?;
        let report =
            self.fosi
                .step(learning_rate, parameters.borrow_mut(), (*gradient).borrow())?;
        let space = self.fosi.space();
        *module = space.set_parameters(layout, module, (*parameters).borrow())?;
        Ok(report)
    }

    /// Whether the schedule asks for a refresh before the next step.
    pub fn due(&self) -> bool {
        self.fosi.due()
    }

    /// Estimates the spectrum of the loss's Hessian at the module's parameters and adopts it.
    ///
    /// # Errors
    /// [`OptimizerError::Bridge`] where the loss isn't fit for products: not deterministic, or in the wrong
    /// precision. Numerical failures are in [`RefreshAttempt::result`].
    pub fn refresh<M: Module>(
        &mut self,
        module: &M,
        loss: &impl Fn(&M) -> Tensor<1>,
    ) -> Result<RefreshAttempt, OptimizerError> {
        self.refresh_mean(module, std::slice::from_ref(&loss))
    }

    /// As [`refresh`](Self::refresh), for the mean of several losses: one for each of several batches, or slices of
    /// a batch too large to be taken at once. (Slices of unequal size: each loss times its size over the mean size.)
    ///
    /// The curvature of one batch overfits that batch; the mean's is nearer to that of the whole loss. A product
    /// costs as many gradients as there are losses. Call it where [`due`](Self::due) says so, before
    /// [`step`](Self::step):
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::{Device, Tensor};
    /// # use fosi::{FosiConfig, Schedule, base::Adam};
    /// # use fosi_burn::{FosiOptimizer, like_module};
    /// # let device = Device::flex().autodiff();
    /// # let mut model = LinearConfig::new(3, 1).init(&device);
    /// # let batches = [Tensor::<2>::ones([4, 3], &device), Tensor::<2>::ones([4, 3], &device)];
    /// # let config = FosiConfig { largest: 1, schedule: Schedule::Every { warmup: 0, interval: 10 }, ..FosiConfig::default() };
    /// # let mut optimizer = FosiOptimizer::new(&model, Adam::default(), config)?;
    /// let loss_on = |batch: &Tensor<2>| {
    ///     let batch = batch.clone();
    ///     move |model: &Linear| model.forward(like_module(batch.clone(), model)).square().mean()
    /// };
    /// for batch in &batches {
    ///     if optimizer.due() {
    ///         let losses: Vec<_> = batches.iter().map(loss_on).collect();
    ///         optimizer.refresh_mean(&model, &losses)?;
    ///     }
    ///     optimizer.step(0.01, &mut model, &loss_on(batch))?;
    /// }
    /// # Ok::<(), fosi_burn::OptimizerError>(())
    /// ```
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh), and [`fosi::Error::InvalidSetting`] without a loss.
    pub fn refresh_mean<M: Module>(
        &mut self,
        module: &M,
        losses: &[impl Fn(&M) -> Tensor<1>],
    ) -> Result<RefreshAttempt, OptimizerError> {
        let started = Instant::now();
        if losses.is_empty() {
            return Err(OptimizerError::Fosi(fosi::Error::InvalidSetting {
                setting: "the number of losses",
                given: "0".into(),
                allowed: "at least 1",
            }));
        }
        self.layout.check(module)?;
        let replica = Replica::new(module, self.precision)?;
        let mut gradients = 0;
        if self.check_determinism {
            for loss in losses {
                replica.check_determinism(loss)?;
                gradients += 2;
            }
            self.check_determinism = false;
        }
        let oracle = self.fosi.space().gradient_oracle(&replica, losses)?;
        let mut quotient = match self.precision {
            Precision::F64 => DifferenceQuotient::new(oracle),
            Precision::F32 => DifferenceQuotient::central(oracle),
        };
        let mut counted = Counted::new(&mut quotient);
        let result = unless_bridge(self.fosi.refresh(&mut counted))?;
        let products = counted.products;
        gradients += quotient.gradients() * losses.len() as u64;
        let mut batch_curvatures = Vec::new();
        if result.is_ok()
            && losses.len() > 1
            && let Some(v) = self.first_eigenvector()
        {
            for loss in losses {
                batch_curvatures.push(self.curvature_along(v.borrow(), &replica, loss)?);
                gradients += 2;
            }
        }
        Ok(RefreshAttempt {
            result,
            products,
            gradients,
            batch_curvatures,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// v₁, the eigenvector of the largest eigenvalue. Where the mean has no curvature, none is kept: every vector is one.
    fn first_eigenvector(&self) -> Option<S::Owned> {
        let spectrum = self.fosi.spectrum()?;
        (spectrum.largest > 0).then(|| self.fosi.space().column(&spectrum.basis, 0))
    }

    /// vᵀHv/vᵀv on one loss.
    fn curvature_along<M: Module>(
        &self,
        v: &S::Vector,
        replica: &Replica<M>,
        loss: &impl Fn(&M) -> Tensor<1>,
    ) -> Result<f64, OptimizerError> {
        let space = self.fosi.space();
        let mut product = space.zeros();
        let mut oracle = space.gradient_oracle(replica, std::slice::from_ref(loss))?;
        oracle
            .central(curvature_step(self.precision), v, product.borrow_mut())
            .map_err(fosi::Error::User)?;
        Ok(space.dot(v, product.borrow()) / space.dot(v, v))
    }

    /// The optimizer on flat vectors: spectrum, scale, rates.
    pub fn fosi(&self) -> &Fosi<S, B> {
        &self.fosi
    }

    /// The optimizer on flat vectors, to be changed between steps. (Its own `to_bytes` and `restore` know nothing of
    /// master weights.)
    pub fn fosi_mut(&mut self) -> &mut Fosi<S, B> {
        &mut self.fosi
    }

    /// The master weights after the last step, in the order of [`layout`](Self::layout): the parameters of which a module
    /// in a narrower float type has the rounded ones. `None` before the first step and for other modules.
    pub fn master_weights(&self) -> Option<&S::Vector> {
        self.master_weights.then(|| self.parameters.borrow())
    }

    /// The order of parameters in the flat vectors.
    pub fn layout(&self) -> &FlatLayout {
        &self.layout
    }

    /// The optimizer's whole state as bytes: what [`Fosi::to_bytes`] gives, and the master weights where the module is
    /// in a narrower float type. The module is saved by its own record.
    ///
    /// # Errors
    /// [`fosi::Error::Checkpoint`] where the base can't be saved.
    pub fn to_bytes(&self) -> Result<Vec<u8>, OptimizerError> {
        Ok(self.fosi.to_bytes_with(self.master_weights())?)
    }

    /// Takes over a state that [`to_bytes`](Self::to_bytes) made, for the same architecture and base. Without master
    /// weights in it the next step starts from the module's own.
    ///
    /// # Errors
    /// [`fosi::Error::Checkpoint`]; the optimizer is then as before.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), OptimizerError> {
        let master_weights = self.fosi.restore_with(bytes)?;
        self.master_weights = master_weights.is_some();
        // Zeros round to nothing but zero, so that each step to come takes the module's parameters.
        self.parameters = master_weights.unwrap_or_else(|| self.fosi.space().zeros());
        Ok(())
    }

    /// Writes the optimizer's whole state to a file, atomically: see [`to_bytes`](Self::to_bytes). The module is saved
    /// by its own `save_file`.
    ///
    /// # Errors
    /// [`fosi::Error::Io`]; an older file of that name is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), OptimizerError> {
        Ok(write_atomically(path.as_ref(), &self.to_bytes()?)?)
    }

    /// Takes over the state in a file that [`save`](Self::save) wrote for the same architecture and base: see
    /// [`restore`](Self::restore).
    ///
    /// # Errors
    /// [`fosi::Error::Checkpoint`] or [`fosi::Error::Io`]; the optimizer is then as before.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<(), OptimizerError> {
        self.restore(&read(path.as_ref())?)
    }
}

/// Says in the log that f64 parameters are trained in f32.
fn warn_of_rounding(module: &impl Module) {
    struct Double(bool);

    impl ModuleVisitor for Double {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 |= param.is_require_grad() && param.base().dtype() == DType::F64;
        }
    }

    let mut double = Double(false);
    module.visit(&mut double);
    if double.0 {
        tracing::warn!(
            "the module has parameters in f64, and this optimizer rounds them to f32 at every step; \
             FosiOptimizer::in_double_precision takes the steps in f64"
        );
    }
}

/// A mistake in the loss closure is the caller's to mend, other failures of a refresh are part of training.
fn unless_bridge(
    result: Result<Refresh, fosi::Error>,
) -> Result<Result<Refresh, fosi::Error>, OptimizerError> {
    match result {
        Err(fosi::Error::Refresh {
            step,
            source:
                LanczosError::Operator {
                    step: product,
                    source,
                },
        }) => match source.downcast::<BridgeError>() {
            Ok(bridge) => Err((*bridge).into()),
            Err(source) => {
                let source = LanczosError::Operator {
                    step: product,
                    source,
                };
                Ok(Err(fosi::Error::Refresh { step, source }))
            }
        },
        other => Ok(other),
    }
}

/// Paths and shapes of all parameters, by which a checkpoint of another architecture is refused.
fn signature(layout: &FlatLayout) -> String {
    let slot = |slot: &crate::Slot| format!("{} {:?}", slot.path, slot.shape);
    let slots: Vec<String> = layout.slots().iter().map(slot).collect();
    slots.join(", ")
}
