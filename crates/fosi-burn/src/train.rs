//! FOSI in Burn's `SupervisedTraining`: a learning strategy around a [`FosiOptimizer`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{Module, ModuleVisitor, Param, ParamGroup};
use burn::optim::{
    DynOptimizer, DynState, GradientsAccumulator, GradientsParams, ModuleOptimizer, SgdConfig,
    StateSink, StateSource,
};
use burn::tensor::kind::BridgeTensor;
use burn::tensor::{Tensor, TensorData};
use burn::train::metric::store::EventStoreClient;
use burn::train::train::WorkerFailure;
use burn::train::{
    EventProcessorTraining, InferenceStep, Interrupter, Learner, LearnerEvent, LearnerModel,
    LearningCheckpointer, SupervisedLearningStrategy, SupervisedTrainingEventProcessor,
    TrainLoader, TrainStep, TrainingComponents, TrainingError, TrainingItem, TrainingStrategy,
    ValidLoader,
};
use fosi::base::Base;
use fosi::{Host, Space};

use crate::error::OptimizerError;
use crate::flat::in_context_of;
use crate::module_space::ModuleSpace;
use crate::optimizer::FosiOptimizer;
use crate::record::STATE;

type Input<M> = <M as TrainStep>::Input;
/// A state as bytes, shared by the learner's optimizer and the strategy.
type State = Arc<Vec<u8>>;

/// A learning strategy that trains with a [`FosiOptimizer`] on one device.
///
/// The learner's model needs no changes. Hessian-vector products use the gradients of its [`TrainStep`] on copies of
/// the model: in f64 if the step casts its batch with [`like_module`](crate::like_module), otherwise as central
/// differences in f32. Metrics, the dashboard, checkpoints, early stopping, interruption and accumulated gradients work
/// as with Burn's own strategy. FOSI's state is in the optimizer's checkpoint. An interruption also cancels a refresh.
///
/// ```
/// # use std::sync::Arc;
/// # use burn::data::dataloader::{DataLoaderBuilder, batcher::Batcher};
/// # use burn::data::dataset::InMemDataset;
/// # use burn::nn::loss::{MseLoss, Reduction};
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::module::Module;
/// # use burn::tensor::{Device, Tensor};
/// use burn::train::{InferenceStep, Learner, RegressionOutput, SupervisedTraining, TrainOutput, TrainStep};
/// use fosi::{FosiConfig, base::HeavyBall};
/// use fosi_burn::{FosiOptimizer, FosiStrategy, like_module};
///
/// # #[derive(Module, Debug)]
/// # struct Model { linear: Linear }
/// # #[derive(Clone, Debug)]
/// # struct Batch { x: Tensor<2>, y: Tensor<2> }
/// # #[derive(Clone)]
/// # struct Rows;
/// # impl Batcher<f32, Batch> for Rows {
/// #     fn batch(&self, rows: Vec<f32>, device: &Device) -> Batch {
/// #         let x = Tensor::<1>::from_floats(rows.as_slice(), device).unsqueeze_dim(1);
/// #         Batch { y: x.clone() * 2.0, x }
/// #     }
/// # }
/// # impl Model {
/// #     fn output(&self, batch: Batch) -> RegressionOutput {
/// #         let y = like_module(batch.y, self);
/// #         let output = self.linear.forward(like_module(batch.x, self));
/// #         RegressionOutput::new(MseLoss::new().forward(output.clone(), y.clone(), Reduction::Mean), output, y)
/// #     }
/// # }
/// # impl TrainStep for Model {
/// #     type Input = Batch;
/// #     type Output = RegressionOutput;
/// #     fn step(&self, batch: Batch) -> TrainOutput<RegressionOutput> {
/// #         let output = self.output(batch);
/// #         TrainOutput::new(self, output.loss.backward(), output)
/// #     }
/// # }
/// # impl InferenceStep for Model {
/// #     type Input = Batch;
/// #     type Output = RegressionOutput;
/// #     fn step(&self, batch: Batch) -> RegressionOutput { self.output(batch) }
/// # }
/// # let device = Device::flex().autodiff();
/// # let model = Model { linear: LinearConfig::new(1, 1).init(&device) };
/// # let rows = || InMemDataset::new((0..32).map(|i| i as f32 / 32.0).collect());
/// # let (train, valid) = (DataLoaderBuilder::new(Rows).batch_size(8).build(rows()), DataLoaderBuilder::new(Rows).batch_size(8).build(rows()));
/// # let scheduler = 0.1;
/// # let directory = std::env::temp_dir().join(format!("fosi-train-{}", std::process::id()));
/// let optimizer = FosiOptimizer::new(&model, HeavyBall::new(0.9), FosiConfig::default())?;
/// let strategy = FosiStrategy::new(optimizer);
/// let learner = Learner::new(model, strategy.optimizer(), scheduler);
/// let result = SupervisedTraining::new(&directory, train, valid)
///     .with_training_strategy(strategy.into())
///     .with_default_checkpointers()
///     .num_epochs(2)
///     .launch(learner);
/// # assert!(result.error.is_none());
/// # std::fs::remove_dir_all(directory).unwrap();
/// # Ok::<(), fosi_burn::OptimizerError>(())
/// ```
///
/// If a step or a refresh returns an error, training ends with the message in `LearningResult::error`, as a worker
/// failure, since `TrainingError` has no variant for optimizers. Refreshes are logged in the training's
/// `experiment.log`; after a refresh that fails for numerical reasons the old spectrum stays in use.
///
/// Differences from Burn's strategy: [`TrainStep::optimize`] is not called; `gradient_checkpointing` of
/// `SupervisedTraining` has no effect on custom strategies (create the model on `device.gradient_checkpointing()`
/// instead); several devices are not supported.
pub struct FosiStrategy<B, S: Space = Host<f32>> {
    optimizer: Mutex<FosiOptimizer<B, S>>,
    carrier: Carrier,
}

impl<B: Base<S>, S: Space> fmt::Debug for FosiStrategy<B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FosiStrategy")
            .field("optimizer", &self.optimizer)
            .finish_non_exhaustive()
    }
}

impl<B: Base<S>, S: ModuleSpace> FosiStrategy<B, S> {
    /// A strategy that trains with `optimizer`, which must be created for the learner's model.
    pub fn new(optimizer: FosiOptimizer<B, S>) -> Self {
        Self {
            optimizer: Mutex::new(optimizer),
            carrier: Carrier::default(),
        }
    }

    /// The optimizer to give to the learner. It takes no steps and holds FOSI's state for the learner's checkpoints.
    pub fn optimizer(&self) -> ModuleOptimizer {
        let optimizer = SgdConfig::new().init();
        optimizer.with_group(ParamGroup::all(), self.carrier.clone(), None)
    }
}

impl<M, B, S> From<FosiStrategy<B, S>> for TrainingStrategy<M>
where
    M: LearnerModel,
    Input<M>: Clone,
    B: Base<S> + 'static,
    S: ModuleSpace + 'static,
{
    fn from(strategy: FosiStrategy<B, S>) -> Self {
        Self::Custom(Arc::new(strategy))
    }
}

impl<M, B, S> SupervisedLearningStrategy<M> for FosiStrategy<B, S>
where
    M: LearnerModel,
    Input<M>: Clone,
    B: Base<S>,
    S: ModuleSpace,
{
    fn fit(
        &self,
        components: TrainingComponents<M>,
        mut learner: Learner<M>,
        train: TrainLoader<M>,
        valid: ValidLoader<M>,
        starting_epoch: usize,
    ) -> (M, SupervisedTrainingEventProcessor<M>) {
        let device = learner.model().devices().into_iter().next();
        let device = device.unwrap_or_default();
        let device = match device.is_autodiff() {
            true => device,
            false => device.autodiff(),
        };
        learner.fork(&device);
        let (train, valid) = (train.to_device(&device), valid.to_device(&device.inner()));

        let resumed = components.checkpoint.is_some() && components.checkpointer.is_some();
        let (mut checkpointer, mut early_stopping) =
            (components.checkpointer, components.early_stopping);
        let mut training = Training {
            model: learner.model(),
            learner,
            optimizer: &mut lock(&self.optimizer),
            events: components.event_processor,
            interrupter: components.interrupter,
            accumulated: components.grad_accumulation.unwrap_or(1),
        };
        let interrupter = training.interrupter.clone();
        training
            .optimizer
            .cancel_when(move || interrupter.should_stop());
        if resumed {
            training.resume(self.carrier.take());
        }
        for epoch in starting_epoch..=components.num_epochs {
            if training.interrupter.should_stop() {
                break;
            }
            training.epoch(epoch, &train, &valid);
            if checkpointer.is_some() || early_stopping.is_some() {
                let flushed = training.events.flush();
                training.interrupter.fail_on_error(flushed);
            }
            if training.interrupter.should_stop() {
                break;
            }
            if let Some(checkpointer) = &mut checkpointer {
                training.save(checkpointer, epoch, &components.event_store);
                self.carrier.take();
            }
            if let Some(early_stopping) = &mut early_stopping
                && early_stopping.should_stop(epoch, &components.event_store)
            {
                break;
            }
        }
        (training.model, training.events)
    }
}

/// A training in progress.
struct Training<'a, M: LearnerModel, B, S: Space> {
    model: M,
    /// Provides the scheduler and the checkpoints.
    learner: Learner<M>,
    optimizer: &'a mut FosiOptimizer<B, S>,
    events: SupervisedTrainingEventProcessor<M>,
    interrupter: Interrupter,
    /// Batches per step.
    accumulated: usize,
}

impl<M, B, S> Training<'_, M, B, S>
where
    M: LearnerModel,
    Input<M>: Clone,
    B: Base<S>,
    S: ModuleSpace,
{
    /// Restores the state from the learner's checkpoint.
    fn resume(&mut self, state: Option<State>) {
        let result = match state {
            Some(state) => self.optimizer.restore(&state),
            None => Err(OptimizerError::Fosi(fosi::Error::Checkpoint(
                "the checkpoint of the learner's optimizer is not a FosiStrategy's".into(),
            ))),
        };
        self.fail_on_error(result);
    }

    fn epoch(&mut self, epoch: usize, train: &TrainLoader<M>, valid: &ValidLoader<M>) {
        self.tell_train(LearnerEvent::StartSplit {
            epoch_number: epoch,
            total_items: train.num_items(),
        });
        self.train(train);
        self.tell_train(LearnerEvent::EndSplit(epoch));
        if self.interrupter.should_stop() {
            return;
        }
        self.tell_valid(LearnerEvent::StartSplit {
            epoch_number: epoch,
            total_items: valid.num_items(),
        });
        self.validate(valid);
        self.tell_valid(LearnerEvent::EndSplit(epoch));
        self.tell_train(LearnerEvent::EndEpoch(epoch));
    }

    fn train(&mut self, loader: &TrainLoader<M>) {
        let mut loader = loader.iter();
        let (mut iteration, mut batches) = (0, Vec::new());
        let mut gradients = GradientsAccumulator::new();
        while let Some(batch) = loader.next() {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return self.interrupter.fail(error),
            };
            let progress = loader.progress();
            iteration += 1;
            batches.push(batch.clone());
            let output = TrainStep::step(&self.model, batch);
            gradients.accumulate(&self.model, output.grads);
            if batches.len() >= self.accumulated || progress.is_completed() {
                let result = self.step(&std::mem::take(&mut batches), gradients.grads());
                self.fail_on_error(result);
            }
            let rate = Some(self.learner.lr_current());
            let item = TrainingItem::new(output.item, progress, Some(iteration), rate);
            self.tell_train(LearnerEvent::ProcessedItem(item));
            if self.interrupter.should_stop() {
                return;
            }
        }
    }

    /// Takes one step along the sum of the batches' gradients.
    fn step(
        &mut self,
        batches: &[Input<M>],
        gradients: GradientsParams,
    ) -> Result<(), OptimizerError> {
        self.learner.lr_step();
        let rate = self.learner.lr_current();
        // Burn accumulates gradients as a sum, which is the gradient of the mean of these losses.
        let count = batches.len() as f64;
        let loss = |batch| {
            move |model: &M| {
                let step = TrainStep::step(model, Input::<M>::clone(batch));
                with_gradients(model, step.grads) * count
            }
        };
        let losses: Vec<_> = batches.iter().map(loss).collect();
        self.optimizer
            .step_with_gradients(rate, &mut self.model, gradients, &losses)?;
        Ok(())
    }

    fn validate(&mut self, loader: &ValidLoader<M>) {
        let model = self.model.valid();
        let (mut loader, mut iteration) = (loader.iter(), 0);
        while let Some(batch) = loader.next() {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return self.interrupter.fail(error),
            };
            let progress = loader.progress();
            iteration += 1;
            let output = InferenceStep::step(&model, batch);
            let item = TrainingItem::new(output, progress, Some(iteration), None);
            self.tell_valid(LearnerEvent::ProcessedItem(item));
            if self.interrupter.should_stop() {
                return;
            }
        }
    }

    /// Lets the learner save a checkpoint if its checkpointing strategy requests one.
    fn save(
        &mut self,
        checkpointer: &mut LearningCheckpointer<M>,
        epoch: usize,
        store: &EventStoreClient,
    ) {
        self.learner.load_model(self.model.clone().into_record());
        match self.optimizer.to_record() {
            Ok(record) => {
                self.learner.load_optim(record);
                checkpointer.checkpoint(&self.learner, epoch, store);
            }
            Err(error) => self.fail_on_error(Err(error)),
        }
    }

    fn tell_train(&mut self, event: LearnerEvent<<M as TrainStep>::Output>) {
        let result = self.events.process_train(event);
        self.interrupter.fail_on_error(result);
    }

    fn tell_valid(&mut self, event: LearnerEvent<<M as InferenceStep>::Output>) {
        let result = self.events.process_valid(event);
        self.interrupter.fail_on_error(result);
    }

    fn fail_on_error(&self, result: Result<(), OptimizerError>) {
        if let Err(error) = result {
            let failure = WorkerFailure {
                device_id: 0,
                message: error.to_string(),
            };
            self.interrupter.fail(TrainingError::Workers(vec![failure]));
        }
    }
}

/// A function whose gradient at `module` is `gradients`: their inner product with the parameters.
fn with_gradients(module: &impl Module, gradients: GradientsParams) -> Tensor<1> {
    let mut product = Product {
        gradients,
        sum: None,
    };
    module.visit(&mut product);
    // Without a gradient there is nothing to differentiate; the optimizer reports this.
    product.sum.unwrap_or_else(|| {
        let device = module.devices().into_iter().next().unwrap_or_default();
        Tensor::zeros([1], &device.without_autodiff())
    })
}

struct Product {
    gradients: GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Product {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else {
            return;
        };
        let value = param.base();
        let product = (in_context_of(gradient, &value) * value).sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + product,
            None => product,
        });
    }
}

/// An optimizer that takes no steps. Its state is FOSI's, so that the learner's checkpoints contain it.
#[derive(Clone, Default)]
struct Carrier {
    /// The state of the last record loaded.
    loaded: Arc<Mutex<Option<State>>>,
}

impl Carrier {
    fn take(&self) -> Option<State> {
        lock(&self.loaded).take()
    }
}

impl DynOptimizer for Carrier {
    fn step_dyn(
        &self,
        _rank: usize,
        _learning_rate: f64,
        _tensor: BridgeTensor,
        _gradient: BridgeTensor,
        _state: Option<DynState>,
    ) -> (BridgeTensor, Option<DynState>) {
        panic!(
            "the learner has the optimizer of a FosiStrategy, which takes its steps itself: \
             call `with_training_strategy(strategy.into())` before `launch`"
        );
    }

    fn to_device_dyn(&self, state: DynState, _device: &burn::tensor::Device) -> DynState {
        state
    }

    fn state_flatten(&self, prefix: &str, state: &DynState, out: &mut StateSink) {
        let state = state.downcast_ref::<State>().to_vec();
        let len = state.len();
        out.push_tensor(prefix, STATE, TensorData::new(state, [len]));
    }

    fn state_unflatten(
        &self,
        rank: usize,
        prefix: &str,
        source: &mut StateSource,
        _device: &burn::tensor::Device,
    ) -> Option<DynState> {
        let state: Vec<u8> = source.take_tensor(prefix, STATE)?.try_into_vec().ok()?;
        let state = State::new(state);
        *lock(&self.loaded) = Some(state.clone());
        Some(DynState::create(state, rank))
    }
}

/// A panic cannot break the data behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
