//! The paper's task LR: multinomial logistic regression, trained through Burn.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use fosi::base::{Adam, AdamW, Elementwise, GradientDescent, HeavyBall, Nesterov};
use fosi::{FosiConfig, Rate, Schedule};
use fosi_burn::{FosiOptimizer, Precision, RefreshAttempt, like_module};

use crate::config::{HvpPrecision, RefreshSchedule, TrainConfig};
use crate::data::{Batch, Batches, Dataset, Split};
use crate::optimizers::{Base, OptimizerName};
use crate::runs::{ModelDescription, RefreshOutcome, RefreshRecord};
use crate::train::{Cost, Evaluation, StepError, StepReport, Trainee, Workbench};

/// Examples evaluated at once.
const EVALUATION_BATCH: usize = 4096;

/// One linear layer; the classes' scores.
#[derive(Module, Debug)]
struct Classifier {
    linear: Linear,
}

impl Classifier {
    /// Mean cross-entropy over the batch.
    fn loss(&self, features: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let scores = self.linear.forward(like_module(features, self));
        let loss = CrossEntropyLossConfig::new().init(&scores.device());
        loss.forward(scores, labels)
    }
}

/// Logistic regression with the settings of a run.
pub struct LogisticRegression {
    config: TrainConfig,
    dim: usize,
    classes: usize,
    steps_per_epoch: usize,
}

impl LogisticRegression {
    /// The task on the data of `split`.
    pub fn new(config: &TrainConfig, split: &Split) -> Self {
        let (dim, classes) = (split.train.dim, split.train.classes);
        Self {
            config: config.clone(),
            dim,
            classes,
            steps_per_epoch: Batches::new(split.train.len(), config.batch, 0).per_epoch(),
        }
    }

    fn trainee_with<B: Elementwise + 'static>(
        &self,
        name: OptimizerName,
        seed: u64,
        base: B,
    ) -> Result<Box<dyn Trainee + '_>, StepError> {
        let device = Device::flex();
        device.seed(seed);
        let training = device.clone().autodiff();
        let model = Classifier {
            linear: LinearConfig::new(self.dim, self.classes).init(&training),
        };
        let optimizer =
            FosiOptimizer::new(&model, base, self.fosi_config(name, seed)).map_err(other)?;
        let optimizer = match self.config.hvp {
            // Its default, or f32 where the device has no f64.
            HvpPrecision::F64 => optimizer,
            HvpPrecision::F32 => optimizer.with_precision(Precision::F32),
        };
        Ok(Box::new(Training {
            name,
            seed,
            learning_rate: self.config.lr.get(name.base),
            model,
            optimizer,
            device: training,
            dim: self.dim,
            cost: Cost::default(),
            refreshes: Vec::new(),
        }))
    }

    fn fosi_config(&self, name: OptimizerName, seed: u64) -> FosiConfig {
        let config = &self.config;
        let warmup = config.warmup_steps(self.steps_per_epoch) as u64;
        let schedule = match (name.fosi, config.schedule) {
            (false, _) => Schedule::Never,
            (true, RefreshSchedule::Interval(steps)) => Schedule::Every {
                warmup,
                interval: steps as u64,
            },
            (true, RefreshSchedule::Overhead(overhead)) => Schedule::Overhead {
                warmup,
                overhead,
                product_cost: None,
            },
        };
        FosiConfig {
            largest: config.k,
            smallest: config.l,
            lanczos_steps: config.m,
            newton_rate: Rate::Constant(config.alpha),
            scale_limit: config.clip.get(name.base),
            schedule,
            seed,
            ..FosiConfig::default()
        }
    }
}

impl Workbench for LogisticRegression {
    fn model(&self) -> ModelDescription {
        ModelDescription {
            name: format!(
                "logistic regression, {} inputs, {} classes",
                self.dim, self.classes
            ),
            parameters: (self.dim + 1) * self.classes,
        }
    }

    fn trainee(
        &self,
        optimizer: OptimizerName,
        seed: u64,
    ) -> Result<Box<dyn Trainee + '_>, StepError> {
        let momentum = self.config.momentum;
        match optimizer.base {
            Base::GradientDescent => self.trainee_with(optimizer, seed, GradientDescent),
            Base::HeavyBall => self.trainee_with(optimizer, seed, HeavyBall::new(momentum)),
            Base::Nesterov => self.trainee_with(optimizer, seed, Nesterov::new(momentum)),
            Base::Adam => self.trainee_with(optimizer, seed, Adam::default()),
            Base::AdamW => {
                let adamw = AdamW {
                    weight_decay: self.config.weight_decay,
                    ..AdamW::default()
                };
                self.trainee_with(optimizer, seed, adamw)
            }
        }
    }
}

/// A classifier in training.
struct Training<B> {
    name: OptimizerName,
    seed: u64,
    learning_rate: f64,
    model: Classifier,
    optimizer: FosiOptimizer<B>,
    device: Device,
    dim: usize,
    cost: Cost,
    refreshes: Vec<RefreshRecord>,
}

impl<B> Training<B> {
    fn record(&mut self, step: u64, attempt: RefreshAttempt) {
        self.cost.products += attempt.products;
        self.cost.refresh_seconds += attempt.seconds;
        let outcome = match attempt.result {
            Ok(refresh) => RefreshOutcome::Accepted {
                eigenvalues: refresh.eigenvalues,
                residuals: refresh.residuals,
            },
            Err(error) => RefreshOutcome::Refused {
                reason: error.to_string(),
            },
        };
        self.refreshes.push(RefreshRecord {
            optimizer: self.name,
            seed: self.seed,
            step,
            products: attempt.products,
            seconds: attempt.seconds,
            outcome,
        });
    }
}

impl<B: Elementwise> Trainee for Training<B> {
    fn step(&mut self, batch: Batch) -> Result<StepReport, StepError> {
        let features = features(batch.features, self.dim, &self.device);
        let labels = labels(&batch.labels, &self.device);
        let loss = |model: &Classifier| model.loss(features.clone(), labels.clone());
        let step = self.optimizer.fosi().steps();
        let done = self
            .optimizer
            .step(self.learning_rate, &mut self.model, &loss)
            .map_err(other)?;
        self.cost.gradients += 1;
        if let Some(attempt) = done.refresh {
            self.record(step, attempt);
        }
        Ok(StepReport { loss: done.loss })
    }

    fn evaluate(&mut self, data: &Dataset) -> Result<Evaluation, StepError> {
        let model = self.model.valid();
        let device = self.device.clone().without_autodiff();
        let (mut loss, mut right) = (0.0, 0.0);
        let rows = data.features.chunks(EVALUATION_BATCH * self.dim);
        for (rows, classes) in rows.zip(data.labels.chunks(EVALUATION_BATCH)) {
            let scores = model
                .linear
                .forward(features(rows.to_vec(), self.dim, &device));
            let targets = labels(classes, &device);
            let criterion = CrossEntropyLossConfig::new().init(&device);
            let mean = criterion.forward(scores.clone(), targets.clone());
            loss += scalar(mean)? * classes.len() as f64;
            let predicted = scores.argmax(1).reshape([-1]);
            right += scalar(predicted.equal(targets).float().sum())?;
        }
        Ok(Evaluation {
            loss: loss / data.len() as f64,
            accuracy: right / data.len() as f64,
        })
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn take_refreshes(&mut self) -> Vec<RefreshRecord> {
        std::mem::take(&mut self.refreshes)
    }
}

fn features(rows: Vec<f32>, dim: usize, device: &Device) -> Tensor<2> {
    let examples = rows.len() / dim.max(1);
    Tensor::from_data(TensorData::new(rows, [examples, dim]), device)
}

fn labels(classes: &[u8], device: &Device) -> Tensor<1, Int> {
    let classes: Vec<i64> = classes.iter().map(|&class| i64::from(class)).collect();
    let examples = classes.len();
    Tensor::from_data(TensorData::new(classes, [examples]), device)
}

fn scalar(tensor: Tensor<1>) -> Result<f64, StepError> {
    tensor.try_into_scalar::<f64>().map_err(other)
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> StepError {
    StepError::Other(Box::new(error))
}
