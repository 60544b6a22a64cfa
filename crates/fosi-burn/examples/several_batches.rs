//! Several batches: gradients accumulated over slices of a batch, and curvature taken over more examples than a step's.
//!
//! `cargo run --release -p fosi-burn --example several_batches` trains a small classifier in batches of 32 with noisy
//! labels and prints, at each refresh, the largest eigenvalue over 1 and over 8 batches beside that over all examples.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use fosi::base::HeavyBall;
use fosi::spectrum::SpectrumParams;
use fosi::{FosiConfig, Schedule};
use fosi_burn::{FosiOptimizer, Hessian, OptimizerError, like_module};

const STEPS: usize = 300;
const INPUTS: usize = 12;
const EXAMPLES: usize = 2048;
const BATCH: usize = 32;
/// Batches over which the curvature is averaged.
const CURVATURE_BATCHES: usize = 8;

#[derive(Module, Debug)]
struct Network {
    hidden: Linear,
    output: Linear,
}

impl Network {
    fn loss(&self, x: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let hidden = self.hidden.forward(like_module(x, self)).tanh();
        let scores = self.output.forward(hidden);
        let device = scores.device();
        CrossEntropyLossConfig::new()
            .init(&device)
            .forward(scores, labels)
    }
}

/// Evenly spread points; the label says in which of three bands a sum of sines lies, and one in eight is wrong.
fn data(device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let entry = |i: usize, j: usize| {
        ((i * (2 * j + 3)) as f64 * 0.618_033_988_749).fract() as f32 * 4.0 - 2.0
    };
    let points: Vec<f32> = (1..=EXAMPLES)
        .flat_map(|i| (0..INPUTS).map(move |j| entry(i, j)))
        .collect();
    let label = |(i, p): (usize, &[f32])| {
        let sum: f32 = p.iter().map(|x| x.sin()).sum();
        let band = i64::from(sum > -0.7) + i64::from(sum > 0.7);
        if i % 8 == 0 { (band + 1) % 3 } else { band }
    };
    let labels: Vec<i64> = points.chunks(INPUTS).enumerate().map(label).collect();
    let points = TensorData::new(points, [EXAMPLES, INPUTS]);
    let labels = TensorData::new(labels, [EXAMPLES]);
    (
        Tensor::from_data(points, device),
        Tensor::from_data(labels, device),
    )
}

fn main() -> Result<(), OptimizerError> {
    let device = Device::flex().autodiff();
    device.seed(0);
    let mut network = Network {
        hidden: LinearConfig::new(INPUTS, 24).init(&device),
        output: LinearConfig::new(24, 3).init(&device),
    };
    let (x, labels) = data(&device);
    let (x, labels) = (&x, &labels);
    // ANCHOR: loss
    // The loss over `count` examples from `first` on.
    let loss_on = |first: usize, count: usize| {
        let range = first..first + count;
        move |network: &Network| {
            network.loss(
                x.clone().slice(range.clone()),
                labels.clone().slice(range.clone()),
            )
        }
    };
    // ANCHOR_END: loss

    let config = FosiConfig {
        schedule: Schedule::Every {
            warmup: 50,
            interval: 50,
        },
        ..FosiConfig::default()
    };
    let mut optimizer = FosiOptimizer::new(&network, HeavyBall::new(0.9), config)?;
    println!("              λ₁ over                            v₁ᵀHv₁ on each of");
    println!(
        "step  loss    1 batch  {CURVATURE_BATCHES} batches  all examples   the {CURVATURE_BATCHES} batches"
    );
    let mut mean_loss = 0.0;
    for step in 0..STEPS {
        let first = step * BATCH % EXAMPLES;
        if optimizer.due() {
            let largest = |first, count| -> Result<f64, OptimizerError> {
                let params = SpectrumParams {
                    largest: 1,
                    ..SpectrumParams::default()
                };
                let loss = loss_on(first, count);
                Ok(Hessian::new(&network, &loss)?
                    .spectrum(&params)?
                    .eigenvalues[0])
            };
            let (one, all) = (largest(first, BATCH)?, largest(0, EXAMPLES)?);
            // ANCHOR: refresh
            // The curvature of this batch and of the seven that follow it.
            let near: Vec<_> = (0..CURVATURE_BATCHES)
                .map(|i| loss_on((first + i * BATCH) % EXAMPLES, BATCH))
                .collect();
            let attempt = optimizer.refresh_mean(&network, &near)?;
            // ANCHOR_END: refresh
            match attempt.result {
                Ok(_) => {
                    let each: Vec<String> = attempt
                        .batch_curvatures
                        .iter()
                        .map(|c| format!("{c:.2}"))
                        .collect();
                    let mean = attempt.batch_curvatures.iter().sum::<f64>() / each.len() as f64;
                    println!(
                        "{step:4}  {:.4}  {one:7.3}  {mean:9.3}  {all:12.3}   {}",
                        mean_loss / 50.0,
                        each.join(" ")
                    );
                }
                Err(error) => println!("{step:4}  {error}"),
            }
            mean_loss = 0.0;
        }
        // ANCHOR: accumulate
        // The batch in four slices, as for a batch that doesn't fit in memory; the gradient is that of the mean.
        let slices: Vec<_> = (0..4)
            .map(|slice| loss_on(first + slice * BATCH / 4, BATCH / 4))
            .collect();
        mean_loss += optimizer
            .step_accumulated(0.05, &mut network, &slices)?
            .loss;
        // ANCHOR_END: accumulate
    }
    println!("{STEPS:4}  {:.4}", mean_loss / 50.0);
    Ok(())
}
