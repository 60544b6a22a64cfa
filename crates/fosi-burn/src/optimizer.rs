//! FOSI for a Burn module: a training step in one call.

mod check;
mod follow;
mod parallel;
mod rates;
mod refresh;

use std::borrow::{Borrow, BorrowMut};
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradAdaptor, GradientsParams, OptimizerRecord};
use burn::tensor::{DType, Device, Element, Tensor};
use fosi::base::Base;
use fosi::space::Scalar;
use fosi::{Fosi, FosiConfig, Host, Schedule, Space, StepReport, Storage};

use crate::error::{BridgeError, OptimizerError};
use crate::flat::FlatLayout;
use crate::gradient::{Loss, backward_sum, erased};
use crate::module_space::ModuleSpace;
use crate::precision::Precision;
use crate::products::{Products, Progress, require_losses};
use crate::record;
use crate::report::{GradientStep, RefreshProgress, TrainingStep};
use crate::tensor_space::TensorSpace;

use parallel::{Prepared, Step};
use rates::Rates;

/// FOSI around a base optimizer, for modules of one architecture.
///
/// [`new`](Self::new) keeps the optimizer's vectors on the host, `S` = [`Host`]: each step copies parameters and
/// gradients there. It works with every Burn device and is the fastest choice on a CPU. [`on_device`](Self::on_device)
/// keeps them on the module's device, `S` = [`TensorSpace`]; use it on a GPU, since no vector is copied to the host.
/// Hessian-vector products are guarded difference quotients of the loss's gradient on a replica of the module, in f64
/// if its devices and its loss support it. The module's running statistics and `require_grad` are unchanged.
///
/// For parameters in f16 or bf16 the optimizer keeps f32 master weights. A step updates these and gives the module the
/// rounded values, so that steps too small to change a rounded parameter accumulate. If a parameter was changed between
/// two steps (a loaded record, a manual edit, an average), so that it differs from its rounded master weight, the new
/// value replaces the master weight; see [`FlatLayout::update_master_weights`]. [`save`](Self::save) stores the master
/// weights. For parameters in f64, [`in_double_precision`](Self::in_double_precision) computes in f64, whereas
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
    /// type. Otherwise scratch memory, since allocating it takes longer than a step. Whole on every rank.
    parameters: S::Owned,
    /// Whether `parameters` had a higher precision than the module at the last step.
    master_weights: bool,
    /// Whole on every rank.
    gradient: S::Owned,
    /// The number of examples in this rank's share of a batch: its weight in the means over the ranks.
    examples: f64,
    /// The sum of `examples` over the steps since the buffers were averaged.
    examples_seen: f64,
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
    /// If a device of the module does not compute in f64 ([`Precision::supported_by`]), products are central
    /// differences in f32. Parameters in f64 are rounded to f32 at every step; a warning is logged.
    ///
    /// # Errors
    /// [`BridgeError::NothingToTrain`](crate::BridgeError::NothingToTrain),
    /// [`BridgeError::UnsupportedType`](crate::BridgeError::UnsupportedType) or [`fosi::Error::InvalidSetting`].
    pub fn new(module: &impl Module, base: B, config: FosiConfig) -> Result<Self, OptimizerError> {
        let layout = FlatLayout::of(module)?;
        warn_of_rounding(module);
        Self::with_space(Host::new(layout.len()), layout, module, base, config)
    }
}

impl<B: Base<Host<f64>>> FosiOptimizer<B, Host<f64>> {
    /// Like [`new`](FosiOptimizer::new), with all vectors and steps in f64, for modules in f64.
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
    /// [`BridgeError::NothingToTrain`](crate::BridgeError::NothingToTrain),
    /// [`BridgeError::UnsupportedType`](crate::BridgeError::UnsupportedType) or [`fosi::Error::InvalidSetting`].
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
    /// Stores the eigenvectors in another precision. [`Storage::Bf16`] halves their memory and the amount that a step
    /// reads.
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
    /// Like [`new`](FosiOptimizer::new), with all vectors on the module's device; of several devices, on the first.
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
    /// [`BridgeError::NothingToTrain`](crate::BridgeError::NothingToTrain),
    /// [`BridgeError::UnsupportedType`](crate::BridgeError::UnsupportedType) or [`fosi::Error::InvalidSetting`].
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
            examples: 1.0,
            examples_seen: 0.0,
        })
    }

    /// Sets the precision of products. By default it is f64 if the devices compute in f64, and changes to f32, with a
    /// warning, once a loss cannot be evaluated in f64.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.products.set_precision(precision);
        self
    }

    /// Whether the first step checks that the loss permits products, at the cost of five gradients per loss, or seven
    /// with dropout; default true. See [`check`](Self::check). Without the check, the loss is assumed to draw random
    /// numbers.
    pub fn with_check(mut self, check: bool) -> Self {
        self.products.set_check(check);
        self
    }

    /// Calls `progress` before each product of a refresh. If it returns [`ControlFlow::Break`], the refresh ends with
    /// [`BridgeError::Cancelled`](crate::BridgeError::Cancelled) in
    /// [`RefreshAttempt::result`](crate::RefreshAttempt::result); the old spectrum stays in use, and the next refresh
    /// is due after one interval.
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

    /// Also cancels refreshes when `stop` returns true.
    #[cfg(feature = "train")]
    pub(crate) fn cancel_when(&mut self, stop: impl Fn() -> bool + Send + 'static) {
        let mut progress = self.progress.take();
        self.progress = Some(Box::new(move |at| match (stop(), &mut progress) {
            (true, _) => ControlFlow::Break(()),
            (false, Some(progress)) => progress(at),
            (false, None) => ControlFlow::Continue(()),
        }));
    }

    /// Takes one step on `loss`: a refresh if one is due, the gradient, the update.
    ///
    /// `loss` is evaluated once on `module` itself and, during a refresh, on copies of it, in f64 if possible; it must
    /// therefore cast its batch with [`like_module`](crate::like_module). Random numbers that it draws from the
    /// module's devices, such as dropout masks, are the same in all evaluations of a refresh and new at each step. The
    /// first step also checks the loss like [`check`](Self::check).
    ///
    /// `learning_rate` is a number or the result of a Burn scheduler's `step`. If groups of parameters have different
    /// rates, η is the largest of them, and the step of a group with rate r, including its Newton part, is multiplied
    /// by r/η. This preserves stability: with the step's preconditioner P, the Hessian H and the diagonal matrix F of
    /// the r/η ≤ 1, the spectral radius of FPH is at most that of PH if PH is symmetric and positive semidefinite. A
    /// group with rate 0 does not move. The report gives norms before this multiplication.
    ///
    /// # Errors
    /// [`OptimizerError`]; module and optimizer are then unchanged, except for batch norm's running statistics and a
    /// refresh before the failure. A refresh that fails for numerical reasons is not an error; see
    /// [`TrainingStep::refresh`].
    pub fn step<M: Module>(
        &mut self,
        learning_rate: impl Into<ModuleLearningRate>,
        module: &mut M,
        loss: impl FnMut(&M) -> Tensor<1>,
    ) -> Result<TrainingStep, OptimizerError> {
        let loss = RefCell::new(loss);
        let loss = |module: &M| (loss.borrow_mut())(module);
        let rates = self.rates(module, learning_rate);
        self.step_on(rates, module, &[&loss])
    }

    /// Like [`step`](Self::step), on the mean of several losses, one per batch, for batches that do not fit in memory
    /// together. (For batches of unequal size, multiply each loss by its size over the mean size.)
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
    /// Those of [`step`](Self::step), and [`fosi::Error::InvalidSetting`] without a loss.
    pub fn step_accumulated<M: Module>(
        &mut self,
        learning_rate: impl Into<ModuleLearningRate>,
        module: &mut M,
        losses: &[impl Fn(&M) -> Tensor<1>],
    ) -> Result<TrainingStep, OptimizerError> {
        let rates = self.rates(module, learning_rate);
        self.step_on(rates, module, &erased(losses))
    }

    /// Takes one step with the caller's gradients (`GradientsParams`, or `MultiGradientsParams` of several devices),
    /// which may be accumulated, averaged over devices or clipped. The gradient must be that of the mean of `losses`,
    /// which are only evaluated if a refresh is due, and at the first step.
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
    /// Those of [`step_accumulated`](Self::step_accumulated).
    pub fn step_with_gradients<M: Module>(
        &mut self,
        learning_rate: impl Into<ModuleLearningRate>,
        module: &mut M,
        gradients: impl Into<GradAdaptor>,
        losses: &[impl Fn(&M) -> Tensor<1>],
    ) -> Result<GradientStep, OptimizerError> {
        let rates = self.rates(module, learning_rate);
        let (rates, refresh) = self.prepare(rates, module, &erased(losses))?;
        let gradients = Some(gradients.into());
        let step = rates.map(|rates| (rates, 0.0, gradients));
        let (_, report) = self.advance(step, module, 1.0)?;
        Ok(GradientStep { report, refresh })
    }

    /// Takes one step with the caller's gradients and never a refresh. When [`due`](Self::due) returns true, call
    /// [`refresh`](Self::refresh) or [`refresh_mean`](Self::refresh_mean); without any refresh, all steps are the
    /// base's own.
    ///
    /// # Errors
    /// Those of [`step`](Self::step).
    pub fn step_without_refresh<M: Module>(
        &mut self,
        learning_rate: impl Into<ModuleLearningRate>,
        module: &mut M,
        gradients: impl Into<GradAdaptor>,
    ) -> Result<StepReport, OptimizerError> {
        let rates = self.rates(module, learning_rate);
        let gradients = Some(gradients.into());
        let step = rates.map(|rates| (rates, 0.0, gradients));
        self.advance(step, module, 1.0).map(|(_, report)| report)
    }

    /// Takes one step with the result of [`backward`](crate::backward()), and never a refresh; see
    /// [`step_without_refresh`](Self::step_without_refresh). The loss in the report is the mean over the ranks. A rank
    /// without [examples](Self::set_examples) may pass `None`, and a rank whose loss has failed passes the error, which
    /// is then one on all ranks.
    ///
    /// # Errors
    /// Those of [`step`](Self::step), and the given one.
    pub fn step_evaluated<M: Module>(
        &mut self,
        learning_rate: impl Into<ModuleLearningRate>,
        module: &mut M,
        evaluated: Result<Option<(f64, GradientsParams)>, BridgeError>,
    ) -> Result<TrainingStep, OptimizerError> {
        let rates = self.rates(module, learning_rate);
        let step = rates.and_then(|rates| {
            let evaluated = evaluated?;
            if evaluated.is_none() && self.has_examples() {
                return Err(BridgeError::NoGradients.into());
            }
            let loss = evaluated.as_ref().map_or(0.0, |(loss, _)| *loss);
            let gradients = evaluated.map(|(_, gradients)| gradients.into());
            Ok((rates, loss, gradients))
        });
        let (loss, report) = self.advance(step, module, 1.0)?;
        Ok(TrainingStep {
            loss,
            report,
            refresh: None,
        })
    }

    /// The learning rates of the module's parameters.
    fn rates(
        &self,
        module: &impl Module,
        learning_rate: impl Into<ModuleLearningRate>,
    ) -> Result<Rates, OptimizerError> {
        let rates = Rates::new(&learning_rate.into(), &self.layout, module)?;
        // Checked first, so that an invalid rate does not cost an estimation.
        for rate in rates.all() {
            self.fosi.check_learning_rate(*rate)?;
        }
        Ok(rates)
    }

    fn step_on<M: Module>(
        &mut self,
        rates: Result<Rates, OptimizerError>,
        module: &mut M,
        losses: &[Loss<'_, M>],
    ) -> Result<TrainingStep, OptimizerError> {
        let (rates, refresh) = self.prepare(rates, module, losses)?;
        let step = rates.and_then(|rates| match self.has_examples() {
            true => {
                let (loss, gradients) = backward_sum(module, losses)?;
                Ok((rates, loss, Some(gradients.into())))
            }
            false => Ok((rates, 0.0, None)),
        });
        let weight = 1.0 / losses.len() as f64;
        let (loss, report) = self.advance(step, module, weight)?;
        Ok(TrainingStep {
            loss,
            report,
            refresh,
        })
    }

    /// Prepares a step: checks the losses at the first step, and refreshes if due.
    ///
    /// On several ranks, all ranks return an error of this method together. An error in place of the rates is this
    /// rank's own, which the others learn in [`advance`](Self::advance).
    fn prepare<M: Module>(
        &mut self,
        rates: Result<Rates, OptimizerError>,
        module: &M,
        losses: &[Loss<'_, M>],
    ) -> Result<Prepared, OptimizerError> {
        let rates = rates.and_then(|rates| {
            require_losses(losses)?;
            Ok(rates)
        });
        if self.due() {
            let rates = self.together(rates)?;
            let refresh = self.refresh_on(module, losses)?;
            return Ok((Ok(rates), Some(refresh)));
        }
        let checks = self.products.checks() && self.has_examples();
        let rates = rates.and_then(|rates| {
            if checks && self.fosi.config().schedule != Schedule::Never {
                self.products.check_losses(module, losses)?;
            }
            Ok(rates)
        });
        match self.fosi.space().ranks().size() {
            1 => Ok((Ok(rates?), None)),
            _ => Ok((rates, None)),
        }
    }

    /// Takes one step along the gradient, which is `weight` times the gradients; they may be absent on a rank without
    /// examples. Returns the loss, averaged over the ranks, and the report. An error in place of the step is one on all
    /// ranks.
    fn advance<M: Module>(
        &mut self,
        step: Result<Step, OptimizerError>,
        module: &mut M,
        weight: f64,
    ) -> Result<(f64, StepReport), OptimizerError> {
        let (rates, loss) = self.read_and_average(step, module, weight)?;
        let gradient: &S::Vector = self.gradient.borrow();
        let parameters: &mut S::Vector = self.parameters.borrow_mut();
        let space = self.fosi.space().clone();
        if space.ranks().is_sharded() {
            self.fosi.compare_whole_parameters(parameters)?;
        }
        let before = rates.slowed(&self.layout, parameters);
        let report = space.with_own_mut(parameters, |own| {
            space.with_own(gradient, |gradient| {
                self.fosi.step(rates.largest(), own, gradient)
            })
        })?;
        space.gather(parameters);
        self.examples_seen += self.examples;
        rates.slow(&self.layout, before, parameters)?;
        *module = self.layout.set_parameters(module, parameters)?;
        Ok((loss, report))
    }

    /// Whether the schedule asks for a refresh before the next step.
    pub fn due(&self) -> bool {
        self.fosi.due()
    }

    /// The optimizer on flat vectors, with spectrum, scale and settings.
    pub fn fosi(&self) -> &Fosi<S, B> {
        &self.fosi
    }

    /// Mutable access to the optimizer on flat vectors, to change it between steps. (Its own `to_bytes` and `restore`
    /// ignore master weights.)
    pub fn fosi_mut(&mut self) -> &mut Fosi<S, B> {
        &mut self.fosi
    }

    /// The master weights after the last step, in the order of [`layout`](Self::layout): the unrounded parameters of a
    /// module in a narrower float type. `None` before the first step and for other modules.
    pub fn master_weights(&self) -> Option<&S::Vector> {
        self.master_weights.then(|| self.parameters.borrow())
    }

    /// The order of parameters in the flat vectors.
    pub fn layout(&self) -> &FlatLayout {
        &self.layout
    }

    /// The optimizer's complete state as bytes: that of [`Fosi::to_bytes`], plus the master weights of a module in a
    /// narrower float type. Save the module with its own record. With vectors in shards, all ranks call it together, and
    /// each gets the whole state.
    ///
    /// # Errors
    /// [`fosi::Error::Checkpoint`] where the base cannot be saved, `fosi::Error::Spoiled` after a step that spoiled the
    /// state.
    pub fn to_bytes(&self) -> Result<Vec<u8>, OptimizerError> {
        Ok(self.with_own_master_weights(|own| self.fosi.to_bytes_with(own))?)
    }

    /// Restores a state from [`to_bytes`](Self::to_bytes) for the same architecture and base. If it contains no master
    /// weights, the next step starts from the module's parameters.
    ///
    /// # Errors
    /// [`fosi::Error::Checkpoint`]; the optimizer is then unchanged.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), OptimizerError> {
        let master_weights = self.fosi.restore_with(bytes)?;
        self.set_master_weights(master_weights);
        Ok(())
    }

    /// The result of `work` on this rank's part of the master weights.
    fn with_own_master_weights<R>(&self, work: impl FnOnce(Option<&S::Vector>) -> R) -> R {
        match self.master_weights() {
            Some(whole) => self.fosi.space().with_own(whole, |own| work(Some(own))),
            None => work(None),
        }
    }

    /// Takes over this rank's part of restored master weights.
    fn set_master_weights(&mut self, own: Option<S::Owned>) {
        let space = self.fosi.space();
        self.examples_seen = 0.0;
        self.master_weights = own.is_some();
        self.parameters = match own {
            Some(own) => space.whole(own.borrow()),
            // Zeros differ from every nonzero parameter, so the next step takes the module's parameters.
            None => space.whole_zeros(),
        };
    }

    /// The optimizer's complete state as a Burn record, for programs that store the records of Burn's optimizers. It
    /// holds one tensor with the bytes of [`to_bytes`](Self::to_bytes).
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
    /// Those of [`to_bytes`](Self::to_bytes), and [`BridgeError::OptimizerState`].
    pub fn to_record(&self) -> Result<OptimizerRecord, OptimizerError> {
        let id = self.layout.slots()[0].id;
        let record = record::to_record(self.to_bytes()?, id);
        Ok(record.map_err(BridgeError::OptimizerState)?)
    }

    /// Restores the state from a record of [`to_record`](Self::to_record); see [`restore`](Self::restore).
    ///
    /// # Errors
    /// Those of [`restore`](Self::restore), and [`BridgeError::OptimizerState`].
    pub fn load_record(&mut self, record: OptimizerRecord) -> Result<(), OptimizerError> {
        let state = record::from_record(record).map_err(BridgeError::OptimizerState)?;
        let state = state.ok_or_else(|| {
            fosi::Error::Checkpoint(
                "the record is that of one of Burn's optimizers, not of a FosiOptimizer".into(),
            )
        })?;
        self.restore(&state)
    }

    /// Atomically writes the optimizer's complete state to a file; see [`to_bytes`](Self::to_bytes). Save the module
    /// with its own `save_file`. On several ranks all call it, and rank 0 writes.
    ///
    /// # Errors
    /// Those of [`to_bytes`](Self::to_bytes), and [`fosi::Error::Io`]; an existing file is then unchanged.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), OptimizerError> {
        Ok(self.with_own_master_weights(|own| self.fosi.save_with(path, own))?)
    }

    /// Restores the state from a file of [`save`](Self::save) for the same architecture and base; see
    /// [`restore`](Self::restore). On several ranks all call it; their number may differ from that at the save.
    ///
    /// # Errors
    /// [`fosi::Error::Checkpoint`] or [`fosi::Error::Io`]; the optimizer is then unchanged.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<(), OptimizerError> {
        let master_weights = self.fosi.load_with(path)?;
        self.set_master_weights(master_weights);
        Ok(())
    }
}

/// Logs a warning if f64 parameters are trained in f32.
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
