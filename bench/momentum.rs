//! Splitting the momentum at each refresh against leaving the base's momentum unsplit: the native Heavy-Ball and Burn's
//! SGD with momentum, both inside FOSI, on a network whose curvature changes during training.
//!
//! `cargo run --release -p fosi-burn --example momentum` prints the training loss of both, for several intervals.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::optim::momentum::MomentumConfig;
use burn::tensor::{Device, Int, Tensor, TensorData};
use fosi::base::{Base, HeavyBall, UpdateRule};
use fosi::{Averaging, FosiConfig, Host, Schedule};
use fosi_burn::{BurnBase, FosiOptimizer, like_module};

const STEPS: u64 = 600;
const LEARNING_RATE: f64 = 0.02;
const EXAMPLES: usize = 512;
const INPUTS: usize = 16;

#[derive(Module, Debug)]
struct Network {
    hidden: Linear,
    output: Linear,
}

impl Network {
    fn loss(&self, x: &Tensor<2>, labels: &Tensor<1, Int>) -> Tensor<1> {
        let hidden = self.hidden.forward(like_module(x.clone(), self)).tanh();
        let scores = self.output.forward(hidden);
        CrossEntropyLossConfig::new()
            .init(&scores.device())
            .forward(scores, labels.clone())
    }
}

/// Uncorrelated points on a lattice; the class is the one of four bands of radius that contains the point.
fn data(device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let point = |i: usize| -> Vec<f32> {
        let entry = |j: usize| ((i * (2 * j + 3)) as f64 * 0.618_033_988_75).fract() as f32 - 0.5;
        (0..INPUTS).map(entry).collect()
    };
    let points: Vec<Vec<f32>> = (1..=EXAMPLES).map(point).collect();
    let radius = |p: &Vec<f32>| p.iter().map(|x| x * x).sum::<f32>();
    let mut radii: Vec<f32> = points.iter().map(radius).collect();
    radii.sort_by(f32::total_cmp);
    let band = |p: &Vec<f32>| {
        (1..4)
            .filter(|q| radius(p) > radii[q * EXAMPLES / 4])
            .count() as i64
    };
    let labels: Vec<i64> = points.iter().map(band).collect();
    let points = TensorData::new(points.concat(), [EXAMPLES, INPUTS]);
    (
        Tensor::from_data(points, device),
        Tensor::from_data(TensorData::new(labels, [EXAMPLES]), device),
    )
}

/// The mean of the loss's logarithm over the run, and the last loss.
fn train<B: Base<Host<f32>>>(
    start: &Network,
    base: B,
    interval: u64,
    device: &Device,
) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let config = FosiConfig {
        // As in the reported measurement: a mean over refreshes would rotate more slowly.
        lanczos_tolerance: None,
        averaging: Averaging::Off,
        schedule: Schedule::Every {
            warmup: 20,
            interval,
        },
        ..FosiConfig::default()
    };
    let (x, labels) = data(device);
    let loss = |network: &Network| network.loss(&x, &labels);
    let mut network = start.clone();
    let mut optimizer = FosiOptimizer::new(&network, base, config)?;
    let (mut sum, mut last) = (0.0, f64::NAN);
    for _ in 0..STEPS {
        last = optimizer.step(LEARNING_RATE, &mut network, &loss)?.loss;
        sum += last.ln();
    }
    Ok((sum / STEPS as f64, last))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex().autodiff();
    println!("seed  T    split anew: mean ln f, last f    left: mean ln f, last f");
    for seed in 0..5 {
        for interval in [10, 50, 200] {
            device.seed(seed);
            let start = Network {
                hidden: LinearConfig::new(INPUTS, 32).init(&device),
                output: LinearConfig::new(32, 4).init(&device),
            };
            let (anew, anew_last) = train(&start, HeavyBall::new(0.9), interval, &device)?;
            let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
            let sgd = SgdConfig::new().with_momentum(Some(momentum)).init();
            let native = HeavyBall::new(0.9).momentum();
            let base = BurnBase::new(&start, sgd)?
                .with_momentum(native)
                .with_rate_ratio(|extremes| HeavyBall::new(0.9).rate_ratio(extremes));
            let (left, left_last) = train(&start, base, interval, &device)?;
            println!(
                "{seed:4}  {interval:3}  {anew:10.4} {anew_last:10.5}  {left:10.4} {left_last:10.5}"
            );
        }
    }
    Ok(())
}
