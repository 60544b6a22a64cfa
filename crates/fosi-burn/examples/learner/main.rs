//! FOSI in Burn's `SupervisedTraining`: a convolutional network on handwritten digits, with metrics, checkpoints, and
//! early stopping.
//!
//! ```sh
//! cargo run --release -p fosi-burn --features train --example learner                # the digits of this repository
//! cargo run --release -p fosi-burn --features train --example learner -- --base      # the base optimizer alone
//! cargo run --release -p fosi-burn --features train --example learner -- --data DIR  # MNIST's four files
//! cargo run --release -p fosi-burn --features train --example learner -- --resume 5  # continues after epoch 5
//! ```
//!
//! Lines for FOSI are marked `// FOSI`; everything else is as in Burn's guide.

#[path = "../mnist/images.rs"]
mod images;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor};
use burn::train::metric::store::{Aggregate, Direction, Split};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, InferenceStep, Learner, MetricEarlyStoppingStrategy, StoppingCondition,
    SupervisedTraining, TrainOutput, TrainStep,
};
use clap::Parser;
use fosi::FosiConfig; // FOSI
use fosi::base::HeavyBall; // FOSI
use fosi_burn::{FosiOptimizer, FosiStrategy, like_module}; // FOSI

use images::{Images, Set};

/// Trains a small convolutional network in Burn's `SupervisedTraining`, with FOSI or its base.
#[derive(Parser)]
struct Options {
    /// A folder with MNIST; without one the digits of this repository.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The base optimizer alone.
    #[arg(long)]
    base: bool,
    #[arg(long, default_value_t = 0.05)]
    learning_rate: f64,
    #[arg(long, default_value_t = 20)]
    epochs: usize,
    /// The maximum number of training examples.
    #[arg(long, default_value_t = 6000)]
    examples: usize,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for metrics and checkpoints.
    #[arg(long, default_value = "runs/learner")]
    out: PathBuf,
    /// Continues from the checkpoint of this epoch.
    #[arg(long)]
    resume: Option<usize>,
}

#[derive(Module, Debug)]
struct Network {
    conv1: Conv2d,
    conv2: Conv2d,
    pool: AdaptiveAvgPool2d,
    dropout: Dropout,
    hidden: Linear,
    output: Linear,
}

impl Network {
    fn new(device: &Device) -> Self {
        Self {
            conv1: Conv2dConfig::new([1, 8], [3, 3]).init(device),
            conv2: Conv2dConfig::new([8, 16], [3, 3]).init(device),
            pool: AdaptiveAvgPool2dConfig::new([3, 3]).init(),
            dropout: DropoutConfig::new(0.2).init(),
            hidden: LinearConfig::new(16 * 9, 32).init(device),
            output: LinearConfig::new(32, 10).init(device),
        }
    }

    fn evaluate(&self, batch: Batch) -> ClassificationOutput {
        let images = like_module(batch.images, self); // FOSI: for curvature, the network is also evaluated in f64
        let x = relu(self.conv1.forward(images.unsqueeze_dim(1)));
        let x = self.pool.forward(relu(self.conv2.forward(x)));
        let x = self.dropout.forward(x.flatten(1, 3));
        let scores = self.output.forward(relu(self.hidden.forward(x)));
        let loss = CrossEntropyLossConfig::new().init(&scores.device());
        let loss = loss.forward(scores.clone(), batch.labels.clone());
        ClassificationOutput::new(loss, scores, batch.labels)
    }
}

impl TrainStep for Network {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let output = self.evaluate(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Network {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.evaluate(batch)
    }
}

#[derive(Clone, Debug)]
struct Batch {
    images: Tensor<3>,
    labels: Tensor<1, Int>,
}

/// Makes batches of a set's images by their indices.
#[derive(Clone)]
struct Gather(Arc<Set>);

impl Batcher<usize, Batch> for Gather {
    fn batch(&self, indices: Vec<usize>, device: &Device) -> Batch {
        let (images, labels) = self.0.batch(&indices, device);
        Batch { images, labels }
    }
}

fn loader(set: Set, shuffle: Option<u64>) -> Arc<dyn DataLoader<Batch>> {
    let indices = InMemDataset::new((0..set.len()).collect());
    let builder = DataLoaderBuilder::new(Gather(Arc::new(set))).batch_size(64);
    match shuffle {
        Some(seed) => builder.shuffle(seed).build(indices),
        None => builder.build(indices),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let device = Device::flex().autodiff();
    device.seed(options.seed);
    let Images { train, validation } = images::read(options.data.as_deref(), options.examples)?;
    let steps = train.len().div_ceil(64) * options.epochs;
    let network = Network::new(&device);
    println!("{} parameters", network.num_params());

    let config = match options.base {
        true => FosiConfig::base_only(),
        false => FosiConfig::default(),
    };
    // ANCHOR: training
    // FOSI: in place of `SgdConfig::new().with_momentum(..).init()`
    let optimizer = FosiOptimizer::new(&network, HeavyBall::new(0.9), config)?;
    let strategy = FosiStrategy::new(optimizer); // FOSI
    let schedule = CosineAnnealingLrSchedulerConfig::new(options.learning_rate, steps).init()?;
    let learner = Learner::new(network, strategy.optimizer(), schedule);

    let early_stopping = MetricEarlyStoppingStrategy::new(
        &LossMetric::new(),
        Aggregate::Mean,
        Direction::Lowest,
        Split::Valid,
        StoppingCondition::NoImprovementSince { n_epochs: 5 },
    );
    let training = SupervisedTraining::new(
        &options.out,
        loader(train, Some(options.seed)),
        loader(validation, None),
    );
    let training = training
        .with_training_strategy(strategy.into()) // FOSI
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .with_default_checkpointers()
        .early_stopping(early_stopping)
        .num_epochs(options.epochs)
        .summary();
    let training = match options.resume {
        Some(epoch) => training.checkpoint(epoch),
        None => training,
    };
    match training.launch(learner).error {
        Some(error) => Err(error.to_string().into()),
        None => Ok(()),
    }
    // ANCHOR_END: training
}
