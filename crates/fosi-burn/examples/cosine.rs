//! A cosine learning-rate schedule to zero against a constant rate, for Heavy-Ball alone and inside FOSI, on a network
//! that fits noisy values in small batches.
//!
//! `cargo run --release -p fosi-burn --example cosine` prints the final loss over all examples for each run.

use std::f64::consts::PI;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use fosi::base::HeavyBall;
use fosi::{FosiConfig, Schedule};
use fosi_burn::{FosiOptimizer, like_module};

const STEPS: u64 = 2000;
const LEARNING_RATE: f64 = 0.02;
const EXAMPLES: usize = 512;
const BATCH: usize = 16;

#[derive(Module, Debug)]
struct Network {
    hidden: Linear,
    output: Linear,
}

impl Network {
    /// Mean squared error of the values at `x`.
    fn loss(&self, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<1> {
        let hidden = self.hidden.forward(like_module(x.clone(), self)).tanh();
        let error = self.output.forward(hidden) - like_module(y.clone(), self);
        error.square().mean()
    }
}

/// The `count` examples from `first` on: uncorrelated points in [-1, 1) and sin 4x with noise.
fn examples(first: usize, count: usize, device: &Device) -> (Tensor<2>, Tensor<2>) {
    let part = |i: usize, step: f64| 2.0 * (i as f64 * step).fract() - 1.0;
    let x: Vec<f32> = (first..first + count)
        .map(|i| part(i, 0.618_033_988_75) as f32)
        .collect();
    let value = |(i, x): (usize, &f32)| (4.0 * x).sin() + 0.3 * part(i, 0.414_213_562_37) as f32;
    let y: Vec<f32> = (first..).zip(&x).map(value).collect();
    let column = |values| Tensor::from_data(TensorData::new(values, [count, 1]), device);
    (column(x), column(y))
}

/// The loss over all examples after training with the learning rate `rate(t)` at step t, counted from 0.
fn train(
    start: &Network,
    schedule: Schedule,
    rate: impl Fn(u64) -> f64,
    device: &Device,
) -> Result<f64, fosi_burn::OptimizerError> {
    let config = FosiConfig {
        schedule,
        ..FosiConfig::default()
    };
    let mut network = start.clone();
    let mut optimizer = FosiOptimizer::new(&network, HeavyBall::new(0.9), config)?;
    for step in 0..STEPS {
        let first = BATCH * (step as usize % (EXAMPLES / BATCH));
        let (x, y) = examples(first, BATCH, device);
        let loss = |network: &Network| network.loss(&x, &y);
        // The Newton rate α follows the learning rate; see `NewtonRate::Following`.
        optimizer.step(rate(step), &mut network, &loss)?;
    }
    let (x, y) = examples(0, EXAMPLES, device);
    Ok(network.loss(&x, &y).into_scalar::<f64>())
}

fn main() -> Result<(), fosi_burn::OptimizerError> {
    let device = Device::flex().autodiff();
    device.seed(0);
    let start = Network {
        hidden: LinearConfig::new(1, 32).init(&device),
        output: LinearConfig::new(32, 1).init(&device),
    };
    let cosine = |step: u64| LEARNING_RATE * 0.5 * (1.0 + (PI * step as f64 / STEPS as f64).cos());
    println!("              constant   cosine");
    for (name, schedule) in [
        ("Heavy-Ball", Schedule::Never),
        (
            "with FOSI",
            Schedule::Every {
                warmup: 100,
                interval: 200,
            },
        ),
    ] {
        let constant = train(&start, schedule, |_| LEARNING_RATE, &device)?;
        let falling = train(&start, schedule, cosine, &device)?;
        println!("{name:12}  {constant:8.5}  {falling:8.5}");
    }
    Ok(())
}
