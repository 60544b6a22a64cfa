//! A hand-written softmax regression with Heavy-Ball: a [`Workload`] for testing the training loop. `fosi-hb` denotes
//! three times the learning rate, and every second epoch it reports an invented refresh.

use std::ops::ControlFlow;
use std::time::Duration;

use fosi::timing::Timing;
use fosi_lab::config::{HvpPrecision, TrainConfig};
use fosi_lab::data::{DatasetSplit, Part};
use fosi_lab::optimizers::OptimizerName;
use fosi_lab::runs::{
    DataDescription, ModelDescription, RefreshOutcome, RefreshRecord, TrainerState,
};
use fosi_lab::train::{Cost, Evaluation, GradientCost, StepError, TrainEvent, Trainer, Workload};

pub struct Softmax {
    split: DatasetSplit,
    dim: usize,
    classes: usize,
    pub rate: f64,
    /// The optimizer whose loss is NaN at its 30th step.
    pub diverges: Option<OptimizerName>,
    /// Whether refreshes are refused.
    pub refuses: bool,
    /// The measured times to report with FOSI.
    pub timing: Option<Timing>,
    /// The duration of each evaluation.
    pub evaluation_pause: Duration,
}

impl Softmax {
    pub fn new(split: DatasetSplit) -> Self {
        let (dim, classes) = (split.train.dim, split.train.classes);
        Self {
            split,
            dim,
            classes,
            rate: 0.1,
            diverges: None,
            refuses: false,
            timing: None,
            evaluation_pause: Duration::ZERO,
        }
    }
}

impl Workload for Softmax {
    fn model(&self) -> ModelDescription {
        ModelDescription {
            name: format!(
                "logistic regression, {} inputs, {} classes",
                self.dim, self.classes
            ),
            parameters: (self.dim + 1) * self.classes,
        }
    }

    fn data(&self) -> DataDescription {
        DataDescription {
            name: self.split.train.name.clone(),
            train: self.split.train.len(),
            validation: self.split.validation.len(),
            shape: vec![self.dim],
            classes: self.classes,
            checksum: String::new(),
        }
    }

    fn gradient_cost(&self) -> Result<Option<GradientCost>, StepError> {
        Ok(Some(GradientCost {
            precision: HvpPrecision::F64,
            seconds: 0.25,
            examples: 16,
        }))
    }

    fn with_config(&self, config: &TrainConfig) -> Box<dyn Workload + '_> {
        Box::new(Self {
            split: self.split.clone(),
            rate: config.lr.hb,
            ..*self
        })
    }

    fn trainer(
        &self,
        optimizer: OptimizerName,
        seed: u64,
    ) -> Result<Box<dyn Trainer + '_>, StepError> {
        let n = (self.dim + 1) * self.classes;
        Ok(Box::new(Regression {
            setup: self,
            optimizer,
            seed,
            weights: vec![0.0; n],
            momentum: vec![0.0; n],
            rate: if optimizer.fosi {
                3.0 * self.rate
            } else {
                self.rate
            },
            steps: 0,
        }))
    }
}

struct Regression<'a> {
    setup: &'a Softmax,
    optimizer: OptimizerName,
    seed: u64,
    weights: Vec<f64>,
    momentum: Vec<f64>,
    rate: f64,
    steps: u64,
}

impl Regression<'_> {
    /// The class probabilities of one example.
    fn probabilities(&self, x: &[f32]) -> Vec<f64> {
        let row = self.setup.dim + 1;
        let score =
            |w: &[f64]| w[row - 1] + w.iter().zip(x).map(|(w, x)| w * f64::from(*x)).sum::<f64>();
        let scores: Vec<f64> = self.weights.chunks(row).map(score).collect();
        let most = scores.iter().copied().fold(f64::MIN, f64::max);
        let powers: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|p| p / sum).collect()
    }

    fn step(&mut self, indices: &[u32]) -> (f64, Option<RefreshRecord>) {
        let batch = self.setup.split.train.gather(indices);
        let (dim, row) = (self.setup.dim, self.setup.dim + 1);
        let mut gradient = vec![0.0; self.weights.len()];
        let mut loss = 0.0;
        for (x, &label) in batch.features.chunks(dim).zip(&batch.labels) {
            let p = self.probabilities(x);
            loss -= p[usize::from(label)].ln();
            for (class, g) in gradient.chunks_mut(row).enumerate() {
                let error = p[class] - f64::from(u8::from(class == usize::from(label)));
                g.iter_mut()
                    .zip(x)
                    .for_each(|(g, x)| *g += error * f64::from(*x));
                g[dim] += error;
            }
        }
        let size = indices.len() as f64;
        for ((w, m), g) in self
            .weights
            .iter_mut()
            .zip(&mut self.momentum)
            .zip(gradient)
        {
            *m = 0.9 * *m + g / size;
            *w -= self.rate * *m;
        }
        self.steps += 1;
        let refreshed = self.optimizer.fosi && self.steps.is_multiple_of(40);
        let refresh = refreshed.then(|| RefreshRecord {
            optimizer: self.optimizer,
            seed: self.seed,
            step: self.steps,
            products: 40,
            seconds: 0.001,
            interval: Some(40),
            product_cost: None,
            timing: None,
            outcome: match self.setup.refuses {
                true => RefreshOutcome::Refused {
                    reason: "no curvature today".to_owned(),
                },
                false => RefreshOutcome::Accepted {
                    eigenvalues: vec![2.0, 1.0],
                    residuals: vec![1e-9, 1e-8],
                    retries: 0,
                    asymmetry: Some(1e-9),
                    shifted: false,
                    scale: 1.0,
                    next_eigenvalue: None,
                    captured_by_last: None,
                    weight: None,
                    lemma_4: None,
                },
            },
        });
        let diverged = self.setup.diverges == Some(self.optimizer) && self.steps == 30;
        let loss = if diverged { f64::NAN } else { loss / size };
        (loss, refresh)
    }
}

impl Trainer for Regression<'_> {
    fn timing(&self) -> Option<Timing> {
        self.setup.timing.filter(|_| self.optimizer.fosi)
    }

    fn train(
        &mut self,
        batches: &[&[u32]],
        told: &mut dyn FnMut(TrainEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StepError> {
        for batch in batches {
            let (loss, refresh) = self.step(batch);
            if let Some(refresh) = refresh {
                let _ = told(TrainEvent::Refreshing);
                let _ = told(TrainEvent::Refreshed(Box::new(refresh)));
            }
            if told(TrainEvent::Stepped { loss }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn evaluate(&mut self, part: Part) -> Result<Evaluation, StepError> {
        std::thread::sleep(self.setup.evaluation_pause);
        let data = match part {
            Part::Train => &self.setup.split.train,
            Part::Validation => &self.setup.split.validation,
        };
        let (mut loss, mut right) = (0.0, 0);
        for (x, &label) in data.features.chunks(data.dim).zip(&data.labels) {
            let p = self.probabilities(x);
            loss -= p[usize::from(label)].ln();
            let best = (0..p.len()).max_by(|&a, &b| p[a].total_cmp(&p[b]));
            right += u64::from(best == Some(usize::from(label)));
        }
        let n = data.len() as f64;
        Ok(Evaluation {
            loss: loss / n,
            accuracy: Some(right as f64 / n),
        })
    }

    fn weights(&self) -> Result<Vec<u8>, StepError> {
        Ok(bytes(&self.weights))
    }

    fn optimizer_state(&self) -> Result<Vec<u8>, StepError> {
        Ok(bytes(&self.momentum))
    }

    fn set_weights(&mut self, weights: &[u8]) -> Result<(), StepError> {
        self.weights = numbers(weights);
        Ok(())
    }

    fn restore(&mut self, state: &TrainerState, cost: Cost) -> Result<(), StepError> {
        self.set_weights(&state.model)?;
        self.momentum = numbers(&state.optimizer);
        self.steps = cost.gradients;
        Ok(())
    }

    fn cost(&self) -> Cost {
        Cost {
            gradients: self.steps,
            products: if self.optimizer.fosi {
                self.steps / 40 * 40
            } else {
                0
            },
            refresh_seconds: 0.0,
        }
    }
}

fn bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn numbers(bytes: &[u8]) -> Vec<f64> {
    let number = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().unwrap());
    bytes.chunks(8).map(number).collect()
}
