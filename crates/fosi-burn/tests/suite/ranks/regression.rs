//! A network's training on one of several ranks.

use std::sync::Arc;

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::{Device, Tensor};
use fosi::base::{Adam, Base};
use fosi::communicator::{Communicator, shard};
use fosi::{FosiConfig, Host, Space};
use fosi_burn::{FosiOptimizer, ModuleSpace, OptimizerError, Precision, TensorSpace, like_module};

use super::layout::Layout;
use crate::common::{INPUTS, OUTPUTS, bits, device, every, linear, matrix};

/// Without batch norm, so that the loss is a mean over examples.
#[derive(Module, Debug)]
pub struct Plain {
    input: Linear,
    output: Linear,
}

const HIDDEN: usize = 6;

impl Plain {
    pub fn new(salt: u64, device: &Device) -> Self {
        Self {
            input: linear(INPUTS, HIDDEN, salt, device),
            output: linear(HIDDEN, OUTPUTS, salt + 1, device),
        }
    }

    pub fn loss(&self, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<1> {
        let hidden = self.input.forward(like_module(x.clone(), self)).tanh();
        let error = self.output.forward(hidden) - like_module(y.clone(), self);
        error.square().mean()
    }
}

/// The examples of a step's batch: 14, at every fifth step two.
fn batch(step: u64, device: &Device) -> (Tensor<2>, Tensor<2>) {
    let rows = if step % 5 == 4 { 2 } else { 14 };
    let x = matrix(rows, INPUTS, 50 + step % 9, device);
    let y = x.clone().slice([0..rows, 0..OUTPUTS]).sin() + matrix(rows, OUTPUTS, 70, device) * 0.1;
    (x, y)
}

pub type Ranks = Option<(Arc<dyn Communicator>, Layout)>;

/// A training run of one rank.
pub struct Run<B, S: Space = Host<f32>> {
    pub optimizer: FosiOptimizer<B, S>,
    pub model: Plain,
    ranks: Ranks,
    rate: f64,
    pub losses: Vec<f64>,
    refreshes: Vec<u64>,
    /// Whether the loss of the next step is no number.
    pub fault: bool,
}

impl<B: Base<Host<f32>>> Run<B> {
    pub fn new(base: B, rate: f64, config: FosiConfig, ranks: Ranks) -> Self {
        Self::around(rate, ranks, |model| FosiOptimizer::new(model, base, config))
    }
}

impl<B: Base<TensorSpace>> Run<B, TensorSpace> {
    pub fn on_device(base: B, rate: f64, config: FosiConfig, ranks: Ranks) -> Self {
        Self::around(rate, ranks, |model| {
            FosiOptimizer::on_device(model, base, config)
        })
    }
}

impl<S: ModuleSpace, B: Base<S>> Run<B, S> {
    fn around(
        rate: f64,
        ranks: Ranks,
        optimizer: impl FnOnce(&Plain) -> Result<FosiOptimizer<B, S>, OptimizerError>,
    ) -> Self {
        // Only rank 0 has the model that counts.
        let rank = ranks
            .as_ref()
            .map_or(0, |(communicator, _)| communicator.rank());
        let mut model = Plain::new(1 + rank as u64, &device());
        let mut optimizer = optimizer(&model).unwrap();
        if let Some((communicator, layout)) = ranks.clone() {
            optimizer = match layout {
                Layout::Replicated => optimizer.data_parallel(communicator, &mut model),
                Layout::Sharded => optimizer.sharded(communicator, &mut model),
            }
            .unwrap();
        }
        Self {
            optimizer,
            model,
            ranks,
            rate,
            losses: Vec::new(),
            refreshes: Vec::new(),
            fault: false,
        }
    }

    pub fn step(&mut self) -> Result<(), OptimizerError> {
        let step = self.optimizer.fosi().steps();
        let (x, y) = batch(step, &device());
        let rows = x.dims()[0];
        let (rank, size) = match &self.ranks {
            Some((communicator, _)) => (communicator.rank(), communicator.size()),
            None => (0, 1),
        };
        let own = shard(rows, rank, size);
        self.optimizer.set_examples(own.len());
        // A rank without examples has a batch that must not be looked at.
        let own = if own.is_empty() { 0..1 } else { own };
        let (x, y) = (x.slice([own.clone()]), y.slice([own]));
        let fault = self.fault;
        let loss = |model: &Plain| match fault {
            true => Tensor::cat(vec![model.loss(&x, &y); 2], 0),
            false => model.loss(&x, &y),
        };
        let report = self.optimizer.step(self.rate, &mut self.model, loss)?;
        if let Some(refresh) = report.refresh {
            refresh.result?;
            self.refreshes.push(step);
        }
        self.losses.push(report.loss);
        Ok(())
    }

    pub fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step().unwrap();
        }
    }

    /// All that must be equal on all ranks.
    pub fn state(&self) -> (Vec<u32>, Vec<u8>, Vec<f64>, Vec<u64>) {
        (
            bits(&self.model),
            self.optimizer.to_bytes().unwrap(),
            self.losses.clone(),
            self.refreshes.clone(),
        )
    }
}

/// The largest |a/b − 1|.
pub fn off(found: &[f64], expected: &[f64]) -> f64 {
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max)
}

#[derive(Module, Debug)]
struct WithDropout {
    hidden: Linear,
    dropout: Dropout,
    output: Linear,
}

/// Eight steps on a loss with dropout. Returns the parameters' bits and the optimizer's state, which are those of all
/// ranks; the number of refreshes; and losses of the same data and parameters, which differ by their masks.
pub fn train_with_dropout(
    communicator: Arc<dyn Communicator>,
) -> ((Vec<u32>, Vec<u8>), usize, Vec<f64>) {
    let mut model = WithDropout {
        hidden: linear(5, 9, 1, &device()),
        dropout: DropoutConfig::new(0.5).init(),
        output: linear(9, 2, 2, &device()),
    };
    let x = matrix(6, 5, 3, &device());
    let loss = |model: &WithDropout| {
        let hidden = model.hidden.forward(like_module(x.clone(), model)).tanh();
        let hidden = model.dropout.forward(hidden);
        model.output.forward(hidden).square().mean()
    };
    let optimizer = FosiOptimizer::new(&model, Adam::default(), every(2, 4)).unwrap();
    let mut optimizer = optimizer.data_parallel(communicator, &mut model).unwrap();
    let mut refreshes = 0;
    for _ in 0..8 {
        let report = optimizer.step(0.01, &mut model, loss).unwrap();
        if let Some(refresh) = report.refresh {
            refresh.result.unwrap();
            refreshes += 1;
        }
    }
    let masked = (0..4).map(|_| loss(&model).into_scalar::<f64>());
    let masked = masked.collect();
    let trained = (bits(&model), optimizer.to_bytes().unwrap());
    (trained, refreshes, masked)
}

/// Eight steps on a loss that rank 1 can compute in f32 only. Returns the precision of each refresh, and the parameters' bits
/// and the optimizer's state, which are those of all ranks.
pub fn train_in_single_precision(
    communicator: Arc<dyn Communicator>,
    check: bool,
) -> (Vec<Precision>, (Vec<u32>, Vec<u8>)) {
    let casts = communicator.rank() != 1;
    let mut model = linear(5, 2, 1, &device());
    let x = matrix(6, 5, 3, &device());
    let loss = |model: &Linear| {
        let x = x.clone();
        let x = if casts { like_module(x, model) } else { x };
        model.forward(x).tanh().square().mean()
    };
    let optimizer = FosiOptimizer::new(&model, Adam::default(), every(2, 4)).unwrap();
    let optimizer = optimizer.with_check(check);
    let mut optimizer = optimizer.data_parallel(communicator, &mut model).unwrap();
    let mut precisions = Vec::new();
    for _ in 0..8 {
        let report = optimizer.step(0.01, &mut model, loss).unwrap();
        if let Some(refresh) = report.refresh {
            refresh.result.unwrap();
            precisions.push(refresh.precision);
        }
    }
    let trained = (bits(&model), optimizer.to_bytes().unwrap());
    (precisions, trained)
}
