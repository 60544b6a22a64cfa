//! FOSI for a Burn module: a training step in one call.

mod check;
mod follow;
mod rates;
mod refresh;

use std::borrow::{Borrow, BorrowMut};
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradAdaptor, OptimizerRecord};
use burn::tensor::{DType, Device, Element, Tensor};
use fosi::base::Base;
use fosi::checkpoint::{read, write_atomically};
use fosi::space::Scalar;
use fosi::{Fosi, FosiConfig, Host, Schedule, Space, StepReport, Storage};

use crate::error::{BridgeError, OptimizerError};
use crate::flat::FlatLayout;
use crate::gradient::{Loss, backward_sum, erased};
use crate::module_space::ModuleSpace;
use crate::precision::Precision;
use crate::products::{Products, Progress, require_losses};
use crate::record;
use crate::report::{GradientStep, RefreshAttempt, RefreshProgress, TrainingStep};
use crate::tensor_space::TensorSpace;

use rates::Rates;

/// FOSI around a base optimizer, for modules of one architecture.
///
/// [`new`](Self::new) keeps the optimizer's vectors on the host, `S` = [`Host`]: parameters and gradients are taken
/// there for the step, so any Burn device serves, and on a CPU nothing is faster. [`on_device`](Self::on_device) keeps
/// them on the module's device, `S` = [`TensorSpace`]: for a GPU, from which no vector then has to come. Hessian-vector
/// products are guarded difference quotients of the loss's gradient on a replica of the module, in f64 where its
/// devices and its loss have it; the module's running statistics and `require_grad` stay as they are.
///
/// Of parameters in f16 or bf16 the optimizer keeps master weights in f32, one number for each: a step moves these, and
/// the module gets them rounded, so that steps too short to change the rounded parameter add up. A parameter that was
/// changed between two steps (a loaded record, a manual edit, an average) is taken over where it differs from its
/// master weight, rounded; see [`FlatLayout::update_master_weights`]. [`save`](Self::save) keeps the master weights.
/// For parameters in f64, [`in_double_precision`](Self::in_double_precision) does the same arithmetic in f64, where
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
    products: Products,
    progress: Option<Box<Progress>>,
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
            .field("precision", &self.products.precision())
            .finish_non_exhaustive()
    }
}

impl<B: Base<Host<f32>>> FosiOptimizer<B> {
    /// FOSI around `base` for modules like `module`. The learning rate is given at each step.
    ///
    /// Where a device of the module doesn't compute in f64 ([`Precision::supported_by`]), products are central
    /// differences in f32. Parameters in f64 are rounded to f32 at every step, of which a warning is logged.
    ///
    /// # Errors
    /// [`BridgeError::NothingToTrain`](crate::BridgeError::NothingToTrain) or [`fosi::Error::InvalidSetting`].
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
    /// [`BridgeError::NothingToTrain`](crate::BridgeError::NothingToTrain) or [`fosi::Error::InvalidSetting`].
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
    /// Keeps the eigenvectors in another precision: in [`Storage::Bf16`] they take half the memory, and a step reads
    /// half as much of it.
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
    /// [`BridgeError::NothingToTrain`](crate::BridgeError::NothingToTrain) or [`fosi::Error::InvalidSetting`].
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
        fosi.set_signature(layout.signature());
        Ok(Self {
            fosi,
            layout,
            products: Products::new(&module.devices()),
            progress: None,
            parameters,
            master_weights: false,
            gradient,
        })
    }

    /// Takes products in this precision. Otherwise it is f64 where the devices compute in it, until a loss can't be
    /// evaluated in f64: then it is f32 from there on, and a warning is logged.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.products.set_precision(precision);
        self
    }

    /// Whether the first step checks that the loss is fit for products, which costs five gradients of each loss, or
    /// seven with dropout; default true. See [`check`](Self::check). Without it the loss is taken to draw random numbers.
    pub fn with_check(mut self, check: bool) -> Self {
        self.products.set_check(check);
        self
    }

    /// Calls `progress` before each product of a refresh. Where it returns [`ControlFlow::Break`], the refresh ends with
    /// [`BridgeError::Cancelled`](crate::BridgeError::Cancelled) in [`RefreshAttempt::result`](crate::RefreshAttempt::result):
    /// the old spectrum stays in use, and the next refresh is due an interval later.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::{Device, Tensor};
    /// use std::ops::ControlFlow;
    /// use fosi::{FosiConfig, base::Adam};
    /// use fosi_burn::FosiOptimizer;
    ///
    /// # let device = Device::flex().autodiff();
    /// # let model = LinearConfig::new(3, 1).init(&device);
    /// # let loss = |model: &Linear| model.forward(Tensor::<2>::ones([4, 3], &device)).square().mean();
    /// let optimizer = FosiOptimizer::new(&model, Adam::default(), FosiConfig::default())?;
    /// let mut optimizer = optimizer.with_progress(|progress| {
    ///     eprint!("\rproduct {} of {}", progress.products, progress.at_most);
    ///     ControlFlow::Continue(())
    /// });
    /// # optimizer.refresh(&model, &loss)?;
    /// # Ok::<(), fosi_burn::OptimizerError>(())
    /// ```
    pub fn with_progress(
        mut self,
        progress: impl FnMut(RefreshProgress) -> ControlFlow<()> + Send + 'static,
    ) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Cancels refreshes also where `stop` says so.
    #[cfg(feature = "train")]
    pub(crate) fn cancel_when(&mut self, stop: impl Fn() -> bool + Send + 'static) {
        let mut progress = self.progress.take();
        self.progress = Some(Box::new(move |at| match (stop(), &mut progress) {
            (true, _) => ControlFlow::Break(()),
            (false, Some(progress)) => progress(at),
            (false, None) => ControlFlow::Continue(()),
        }));
    }

    /// One step on `loss`: a refresh where it is due, the gradient, the update.
    ///
    /// `loss` is evaluated once on `module` itself, and at a refresh on copies of it, in f64 where that can be: it casts
    /// its batch with [`like_module`](crate::like_module). Random numbers that it draws from the module's devices, for
    /// dropout, are the same at every evaluation of a refresh and new at each step. The first step also checks the loss,
    /// as [`check`](Self::check) does.
    ///
    /// `learning_rate` is a number or what a Burn scheduler's `step` returns. Where groups of parameters have different
    /// rates, η is the largest of them, and the step of a group with rate r, its Newton part included, is multiplied by r/η.
    /// What is stable at η stays stable: with P the step's preconditioner, H the Hessian and F the diagonal matrix of the
    /// r/η ≤ 1, the spectral radius of FPH is at most that of PH where PH is symmetric and positive semidefinite. A
    /// group with rate 0 does not move. The lengths in the report are those before the multiplication.
    ///
    /// # Errors
    /// [`OptimizerError`]; module and optimizer are then as before, but for batch norm's running statistics and a
    /// refresh that was made before the gradient failed. A refresh that fails for numerical reasons is no error: see
    /// [`TrainingStep::refresh`].
    pub fn step<M: Module>(
        &mut self,
        learning_rate: impl Into<ModuleLearningRate>,
        module: &mut M,
        loss: impl FnMut(&M) -> Tensor<1>,
    ) -> Result<TrainingStep, OptimizerError> {
        let loss = RefCell::new(loss);
        let loss = |module: &M| (loss.borrow_mut())(module);
        let rates = self.rates(module, learning_rate)?;
        self.step_on(&rates, module, &[&loss])
    }

    /// As [`step`](Self::step), on the mean of several losses: one for each of several batches that together are too
    /// large to be taken at once. (Batches of unequal size: each loss times its size over the mean size.)
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::{Device, Tensor};
    /// use fosi::{FosiConfig, base::Adam};
    /// use fosi_burn::{FosiOptimizer, like_module};
    ///
    /// # let device = Device::flex().autodiff();
    /// # let mut model = LinearConfig::new(3, 1).init(&device);
    /// # let batches = [Tensor::<2>::ones([4, 3], &device), Tensor::<2>::ones([4, 3], &device)];
    /// let mut optimizer = FosiOptimizer::new(&model, Adam::default(), FosiConfig::default())?;
    /// let losses: Vec<_> = batches.iter().map(|batch| {
    ///     |model: &Linear| model.forward(like_module(batch.clone(), model)).square().mean()
    /// }).collect();
    /// optimizer.step_accumulated(1e-3, &mut model, &losses)?;
    /// # Ok::<(), fosi_burn::OptimizerError>(())
    /// ```
    ///
    /// # Errors
    /// As [`step`](Self::step), and [`fosi::Error::InvalidSetting`] without a loss.
    pub fn step_accumulated<M: Module>(
        &mut self,
        learning_rate: impl Into<ModuleLearningRate>,
        module: &mut M,
        losses: &[impl Fn(&M) -> Tensor<1>],
    ) -> Result<TrainingStep, OptimizerError> {
        let rates = self.rates(module, learning_rate)?;
        self.step_on(&rates, module, &erased(losses))
    }

    /// One step with gradients that the caller has (`GradientsParams`, or `MultiGradientsParams` of several devices):
    /// accumulated, averaged over devices, clipped. `losses` are those whose mean the gradient is of; they are evaluated
    /// where a refresh is due, and at the first step.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::optim::GradientsParams;
    /// # use burn::tensor::{Device, Tensor};
    /// # use fosi::{FosiConfig, base::Adam};
    /// # use fosi_burn::{FosiOptimizer, like_module};
    /// # let device = Device::flex().autodiff();
    /// # let mut model = LinearConfig::new(3, 1).init(&device);
    /// # let batch = Tensor::<2>::ones([4, 3], &device);
    /// # let mut optimizer = FosiOptimizer::new(&model, Adam::default(), FosiConfig::default())?;
    /// let loss = |model: &Linear| model.forward(like_module(batch.clone(), model)).square().mean();
    /// let gradients = GradientsParams::from_grads(loss(&model).backward(), &model);
    /// optimizer.step_with_gradients(1e-3, &mut model, gradients, &[loss])?;
    /// # Ok::<(), fosi_burn::OptimizerError>(())
    /// ```
    ///
    /// # Errors
    /// As [`step_accumulated`](Self::step_accumulated).
    pub fn step_with_gradients<M: Module>(
        &mut self,
        learning_rate: impl Into<ModuleLearningRate>,
        module: &mut M,
        gradients: impl Into<GradAdaptor>,
        losses: &[impl Fn(&M) -> Tensor<1>],
    ) -> Result<GradientStep, OptimizerError> {
        let rates = self.rates(module, learning_rate)?;
        let refresh = self.prepare(module, &erased(losses))?;
        let report = self.advance(&rates, module, gradients.into(), 1.0)?;
        Ok(GradientStep { report, refresh })
    }

    /// One step with gradients that the caller has, and no refresh even where one is due: the caller calls
    /// [`refresh`](Self::refresh) or [`refresh_mean`](Self::refresh_mean) where [`due`](Self::due) says so, or the step
    /// is the base's own for ever.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_without_refresh<M: Module>(
        &mut self,
        learning_rate: impl Into<ModuleLearningRate>,
        module: &mut M,
        gradients: impl Into<GradAdaptor>,
    ) -> Result<StepReport, OptimizerError> {
        let rates = self.rates(module, learning_rate)?;
        self.advance(&rates, module, gradients.into(), 1.0)
    }

    /// The learning rates of the module's parameters.
    fn rates(
        &self,
        module: &impl Module,
        learning_rate: impl Into<ModuleLearningRate>,
    ) -> Result<Rates, OptimizerError> {
        let rates = Rates::new(&learning_rate.into(), &self.layout, module)?;
        // First: a rate that is refused must not cost an estimation.
        for rate in rates.all() {
            self.fosi.check_learning_rate(*rate)?;
        }
        Ok(rates)
    }

    fn step_on<M: Module>(
        &mut self,
        rates: &Rates,
        module: &mut M,
        losses: &[Loss<'_, M>],
    ) -> Result<TrainingStep, OptimizerError> {
        let refresh = self.prepare(module, losses)?;
        let (loss, gradients) = backward_sum(module, losses)?;
        let weight = 1.0 / losses.len() as f64;
        let report = self.advance(rates, module, gradients.into(), weight)?;
        Ok(TrainingStep {
            loss,
            report,
            refresh,
        })
    }

    /// What comes before a step: the check of the losses at the first one, a refresh where it is due.
    fn prepare<M: Module>(
        &mut self,
        module: &M,
        losses: &[Loss<'_, M>],
    ) -> Result<Option<RefreshAttempt>, OptimizerError> {
        require_losses(losses)?;
        if self.due() {
            return self.refresh_on(module, losses).map(Some);
        }
        if self.products.checks() && self.fosi.config().schedule != Schedule::Never {
            self.products.check_losses(module, losses)?;
        }
        Ok(None)
    }

    /// One step along the gradient, `weight` times what `gradients` holds.
    fn advance<M: Module>(
        &mut self,
        rates: &Rates,
        module: &mut M,
        gradients: GradAdaptor,
        weight: f64,
    ) -> Result<StepReport, OptimizerError> {
        let gradient: &mut S::Vector = self.gradient.borrow_mut();
        let parameters: &mut S::Vector = self.parameters.borrow_mut();
        self.layout.read_gradient(module, gradients, gradient)?;
        self.master_weights = self.layout.update_master_weights(module, parameters)?;
        if weight != 1.0 {
            // The parameters' own part is none: y ← 0·x + weight·y.
            self.fosi.space().axpby(0.0, parameters, weight, gradient);
        }
        let before = rates.slowed(&self.layout, parameters);
        let report = self.fosi.step(rates.largest(), parameters, gradient)?;
        rates.slow(&self.layout, before, parameters)?;
        *module = self.layout.set_parameters(module, parameters)?;
        Ok(report)
    }

    /// Whether the schedule asks for a refresh before the next step.
    pub fn due(&self) -> bool {
        self.fosi.due()
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

    /// The master weights after the last step, in the order of [`layout`](Self::layout): the parameters of which a
    /// module in a narrower float type has the rounded ones. `None` before the first step and for other modules.
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

    /// The optimizer's whole state as a record of Burn's, for programs that keep those of Burn's optimizers: one tensor
    /// of bytes, what [`to_bytes`](Self::to_bytes) gives.
    ///
    /// ```
    /// # use burn::nn::LinearConfig;
    /// # use burn::optim::OptimizerRecord;
    /// # use burn::tensor::Device;
    /// # use fosi::{FosiConfig, base::Adam};
    /// # use fosi_burn::FosiOptimizer;
    /// # let model = LinearConfig::new(3, 1).init(&Device::flex().autodiff());
    /// # let new = || FosiOptimizer::new(&model, Adam::default(), FosiConfig::default());
    /// let bytes = new()?.to_record()?.into_bytes()?;
    /// let mut optimizer = new()?;
    /// optimizer.load_record(OptimizerRecord::from_bytes(bytes)?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`to_bytes`](Self::to_bytes), and [`BridgeError::OptimizerState`].
    pub fn to_record(&self) -> Result<OptimizerRecord, OptimizerError> {
        let id = self.layout.slots()[0].id;
        let record = record::to_record(self.to_bytes()?, id);
        Ok(record.map_err(BridgeError::OptimizerState)?)
    }

    /// Takes over the state in a record that [`to_record`](Self::to_record) made: see [`restore`](Self::restore).
    ///
    /// # Errors
    /// As [`restore`](Self::restore), and [`BridgeError::OptimizerState`].
    pub fn load_record(&mut self, record: OptimizerRecord) -> Result<(), OptimizerError> {
        let state = record::from_record(record).map_err(BridgeError::OptimizerState)?;
        let state = state.ok_or_else(|| {
            fosi::Error::Checkpoint(
                "the record is of one of Burn's optimizers, not of a FosiOptimizer".into(),
            )
        })?;
        self.restore(&state)
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
