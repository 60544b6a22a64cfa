//! FOSI in Burn's `SupervisedTraining`.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::common::{bits, device, every, linear, matrix};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::module::Module;
use burn::nn::Linear;
use burn::nn::loss::{MseLoss, Reduction};
use burn::optim::{AdamConfig, GradientsAccumulator, GradientsParams};
use burn::tensor::activation::tanh;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::LossMetric;
use burn::train::metric::store::{Aggregate, Direction, Split};
use burn::train::{
    InferenceStep, Learner, LearningResult, MetricEarlyStoppingStrategy, RegressionOutput,
    StoppingCondition, SupervisedTraining, TrainOutput, TrainStep,
};
use fosi::FosiConfig;
use fosi::base::{Adam, HeavyBall};
use fosi_burn::{FosiOptimizer, FosiStrategy, Precision, RefreshProgress, like_module};

#[derive(Module, Debug)]
struct Model {
    hidden: Linear,
    output: Linear,
    /// Whether batches are cast to the model's float type.
    casts: bool,
}

#[derive(Clone, Debug)]
struct Batch {
    x: Tensor<2>,
    y: Tensor<2>,
}

impl Model {
    fn new(device: &Device) -> Self {
        Self {
            hidden: linear(3, 5, 1, device),
            output: linear(5, 2, 2, device),
            casts: true,
        }
    }

    fn evaluate(&self, batch: Batch) -> RegressionOutput {
        let [x, y] = [batch.x, batch.y].map(|data| match self.casts {
            true => like_module(data, self),
            false => data,
        });
        let output = self.output.forward(tanh(self.hidden.forward(x)));
        let loss = MseLoss::new().forward(output.clone(), y.clone(), Reduction::Mean);
        RegressionOutput::new(loss, output, y)
    }
}

impl TrainStep for Model {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> TrainOutput<RegressionOutput> {
        let output = self.evaluate(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Model {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> RegressionOutput {
        self.evaluate(batch)
    }
}

#[derive(Clone)]
struct Rows;

impl Batcher<[f64; 5], Batch> for Rows {
    fn batch(&self, rows: Vec<[f64; 5]>, device: &Device) -> Batch {
        let entries = |from: usize, to: usize| {
            let entries: Vec<f64> = rows.iter().flat_map(|row| row[from..to].to_vec()).collect();
            let data = TensorData::new(entries, [rows.len(), to - from]);
            Tensor::from_data(data.convert::<f32>(), device)
        };
        Batch {
            x: entries(0, 3),
            y: entries(3, 5),
        }
    }
}

const BATCHES: usize = 7;

fn rows(salt: u64) -> Vec<[f64; 5]> {
    let x = matrix(8 * BATCHES, 5, salt, &device());
    let entries = x.into_data().convert::<f64>().try_into_vec::<f64>();
    entries.unwrap().as_chunks().0.to_vec()
}

fn loader(salt: u64) -> Arc<dyn DataLoader<Batch>> {
    DataLoaderBuilder::new(Rows)
        .batch_size(8)
        .set_device(device())
        .build(InMemDataset::new(rows(salt)))
}

fn training(directory: &Path) -> SupervisedTraining<Model> {
    SupervisedTraining::new(directory, loader(11), loader(12))
        .with_metric_logger(InMemoryMetricLogger::new())
        .metric_train_numeric(LossMetric::new())
        .metric_valid_numeric(LossMetric::new())
        .with_default_checkpointers()
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
        .with_application_logger(None)
}

/// A training of `epochs` from scratch, or from the checkpoint of an epoch.
fn launch(
    training: SupervisedTraining<Model>,
    optimizer: FosiOptimizer<Adam>,
    model: Model,
) -> LearningResult<Model> {
    let strategy = FosiStrategy::new(optimizer);
    let scheduler = CosineAnnealingLrSchedulerConfig::new(0.02, 50).init();
    let learner = Learner::new(model, strategy.optimizer(), scheduler.unwrap());
    training
        .with_training_strategy(strategy.into())
        .launch(learner)
}

fn adam(model: &Model) -> FosiOptimizer<Adam> {
    FosiOptimizer::new(model, Adam::default(), every(3, 4)).unwrap()
}

/// The strategy's steps are bit for bit those of a manual loop, with refreshes and accumulated gradients.
#[test]
fn a_learner_steps_as_a_loop_does() {
    let model = Model::new(&device());
    let folder = tempfile::tempdir().unwrap();
    let learned = training(folder.path()).num_epochs(3).grads_accumulation(2);
    let learned = launch(learned, adam(&model), model.clone());
    assert!(learned.error.is_none(), "{:?}", learned.error);

    let (mut optimizer, mut looped) = (adam(&model), model);
    let mut scheduler = CosineAnnealingLrSchedulerConfig::new(0.02, 50)
        .init()
        .unwrap();
    let mut refreshes = 0;
    for _ in 0..3 {
        let batches: Vec<Batch> = loader(11).iter().map(Result::unwrap).collect();
        for pair in batches.chunks(2) {
            let mut sum = GradientsAccumulator::new();
            for batch in pair {
                let output = TrainStep::step(&looped, batch.clone());
                sum.accumulate(&looped, output.grads);
            }
            // The sum of the pair's losses, written as a mean; the last batch of the epoch has no partner.
            let count = pair.len() as f64;
            let loss =
                |batch| move |model: &Model| model.evaluate(Batch::clone(batch)).loss * count;
            let losses: Vec<_> = pair.iter().map(loss).collect();
            let rate = scheduler.step();
            let step = optimizer.step_with_gradients(rate, &mut looped, sum.grads(), &losses);
            refreshes += usize::from(step.unwrap().refresh.is_some());
        }
    }
    assert_eq!(refreshes, 3);
    assert_eq!(bits(&learned.model.train()), bits(&looped));
}

#[test]
fn a_resumed_learner_goes_on_bit_for_bit() {
    let model = Model::new(&device());
    let folder = tempfile::tempdir().unwrap();
    let [whole, part] = ["whole", "part"].map(|name| folder.path().join(name));
    let whole = training(&whole).num_epochs(4);
    let whole = launch(whole, adam(&model), model.clone());

    let first = training(&part).num_epochs(3);
    launch(first, adam(&model), model);
    let state = |epoch: usize| part.join("checkpoint").join(format!("optim-{epoch}.bpk"));
    // Pruned with Burn's files.
    assert!(!state(1).exists() && state(2).exists() && state(3).exists());
    let fresh = Model::new(&device());
    let second = training(&part).num_epochs(4).checkpoint(3);
    let second = launch(second, adam(&fresh), fresh);
    assert!(second.error.is_none(), "{:?}", second.error);
    assert_eq!(bits(&second.model.train()), bits(&whole.model.train()));
}

#[test]
fn a_checkpoint_of_another_optimizer_is_refused() {
    let model = Model::new(&device());
    let folder = tempfile::tempdir().unwrap();
    let learner = Learner::new(model.clone(), AdamConfig::new().init(), 0.01);
    training(folder.path()).num_epochs(1).launch(learner);
    let resumed = training(folder.path()).num_epochs(2).checkpoint(1);
    let result = launch(resumed, adam(&model), model);
    let error = result.error.unwrap().to_string();
    assert!(error.contains("not a FosiStrategy's"), "{error}");
}

#[test]
#[should_panic(expected = "with_training_strategy")]
fn a_learner_without_the_strategy_says_so() {
    let model = Model::new(&device());
    let folder = tempfile::tempdir().unwrap();
    let strategy = FosiStrategy::new(adam(&model));
    let learner = Learner::new(model, strategy.optimizer(), 0.01);
    training(folder.path()).num_epochs(1).launch(learner);
}

#[test]
fn early_stopping_ends_a_training() {
    let model = Model::new(&device());
    let folder = tempfile::tempdir().unwrap();
    // The loss falls, which `Direction::Highest` does not count as an improvement.
    let strategy = MetricEarlyStoppingStrategy::new(
        &LossMetric::new(),
        Aggregate::Mean,
        Direction::Highest,
        Split::Valid,
        StoppingCondition::NoImprovementSince { n_epochs: 1 },
    );
    let training = training(folder.path())
        .num_epochs(50)
        .early_stopping(strategy);
    let result = launch(training, adam(&model), model);
    assert!(result.error.is_none());
    let last = |epoch: usize| {
        folder
            .path()
            .join("checkpoint")
            .join(format!("model-{epoch}.bpk"))
    };
    assert!(!last(50).exists());
}

/// An interruption cancels the current refresh and ends the training.
#[test]
fn an_interruption_ends_a_refresh() {
    let model = Model::new(&device());
    let folder = tempfile::tempdir().unwrap();
    let training = training(folder.path()).num_epochs(50);
    let interrupter = training.interrupter();
    let (sender, products) = std::sync::mpsc::channel();
    let optimizer = adam(&model).with_progress(move |progress: RefreshProgress| {
        sender.send(progress.products).unwrap();
        if progress.products == 2 {
            interrupter.stop(Some("enough"));
        }
        ControlFlow::Continue(())
    });
    let result = launch(training, optimizer, model);
    assert_eq!(
        result.interrupted.unwrap().reason.as_deref(),
        Some("enough")
    );
    assert_eq!(products.iter().collect::<Vec<_>>(), [0, 1, 2]);
}

/// A model that does not cast its batches is refreshed in f32; an error of the optimizer ends the training.
#[test]
fn a_model_without_casts_is_refreshed_in_f32() {
    let mut model = Model::new(&device());
    model.casts = false;
    let folder = tempfile::tempdir().unwrap();
    let result = launch(training(folder.path()), adam(&model), model.clone());
    assert!(result.error.is_none(), "{:?}", result.error);

    let strict = adam(&model).with_precision(Precision::F64);
    let result = launch(training(folder.path()), strict, model.clone());
    let error = result.error.unwrap().to_string();
    assert!(error.contains("like_module"), "{error}");

    // The spectrum from f32 differences agrees with that from f64.
    let batch = Rows.batch(rows(11), &device());
    let gradients = |model: &Model| {
        GradientsParams::from_grads(model.evaluate(batch.clone()).loss.backward(), model)
    };
    assert!(!gradients(&model).is_empty());
    let eigenvalues = |casts: bool| {
        let mut model = model.clone();
        model.casts = casts;
        let config = FosiConfig {
            lanczos_tolerance: None,
            ..every(0, 9)
        };
        let mut optimizer = FosiOptimizer::new(&model, HeavyBall::new(0.9), config).unwrap();
        let attempt = optimizer.refresh(&model, |m: &Model| m.evaluate(batch.clone()).loss);
        attempt.unwrap().result.unwrap().eigenvalues
    };
    for (single, double) in eigenvalues(false).iter().zip(eigenvalues(true)) {
        assert!(
            (single - double).abs() < 1e-2 * double.abs(),
            "{single} {double}"
        );
    }
}
