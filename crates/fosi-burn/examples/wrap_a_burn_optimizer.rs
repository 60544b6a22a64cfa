//! One of Burn's own optimizers inside FOSI: AdamW in a `BurnBase`.
//!
//! `cargo run --release -p fosi-burn --example wrap_a_burn_optimizer` trains a small network three times from one start:
//! with Burn's AdamW in Burn's loop, with the same optimizer in a `BurnBase` without refreshes, which takes the same steps
//! bit for bit, and with FOSI around it.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use fosi::base::Momentum;
use fosi::{FosiConfig, Schedule};
use fosi_burn::{BurnBase, FosiOptimizer, like_module};

const STEPS: usize = 600;
const LEARNING_RATE: f64 = 0.002;
const EXAMPLES: usize = 256;

#[derive(Module, Debug)]
struct Network {
    hidden: Linear,
    output: Linear,
}

impl Network {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(2, 32).init(device),
            output: LinearConfig::new(32, 1).init(device),
        }
    }

    /// Mean squared error of the values at `x`.
    fn loss(&self, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<1> {
        let hidden = self.hidden.forward(like_module(x.clone(), self)).tanh();
        let error = self.output.forward(hidden) - like_module(y.clone(), self);
        error.square().mean()
    }
}

/// Points of a square, and sin 3x₁ · cos 2x₂ at each.
fn data(device: &Device) -> (Tensor<2>, Tensor<2>) {
    let even = |i: usize, step: f64| 2.0 * (i as f64 * step).fract() - 1.0;
    let point = |i: usize| {
        [
            even(i, 0.754_877_666_2) as f32,
            even(i, 0.569_840_291_0) as f32,
        ]
    };
    let points: Vec<[f32; 2]> = (1..=EXAMPLES).map(point).collect();
    let values: Vec<f32> = points
        .iter()
        .map(|p| (3.0 * p[0]).sin() * (2.0 * p[1]).cos())
        .collect();
    let x = TensorData::new(points.concat(), [EXAMPLES, 2]);
    let y = TensorData::new(values, [EXAMPLES, 1]);
    (Tensor::from_data(x, device), Tensor::from_data(y, device))
}

fn adamw() -> ModuleOptimizer {
    AdamWConfig::new().with_epsilon(1e-8).init()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex().autodiff();
    device.seed(0);
    let start = Network::new(&device);
    let (x, y) = data(&device);
    let loss = |network: &Network| network.loss(&x, &y);

    // Burn's loop.
    let mut network = start.clone();
    let mut optimizer = adamw();
    for _ in 0..STEPS {
        let gradients = GradientsParams::from_grads(loss(&network).backward(), &network);
        network = optimizer.step(LEARNING_RATE, network, gradients);
    }
    let by_burn = loss(&network).into_scalar::<f64>();
    println!("Burn's AdamW in Burn's loop     {by_burn:.9}");

    let train = |config: FosiConfig| -> Result<f64, Box<dyn std::error::Error>> {
        let mut network = start.clone();
        // ANCHOR: wrap
        // Burn doesn't expose an optimizer's momentum rule, so the rule for the subspace is given here: Adam's.
        let base = BurnBase::new(&network, adamw())?.with_momentum(Momentum {
            decay: 0.9,
            gain: 0.1,
            lookahead: false,
            bias_correction: true,
        });
        let mut optimizer = FosiOptimizer::new(&network, base, config)?;
        // ANCHOR_END: wrap
        for _ in 0..STEPS {
            optimizer.step(LEARNING_RATE, &mut network, &loss)?;
        }
        Ok(loss(&network).into_scalar::<f64>())
    };
    let unchanged = train(FosiConfig::base_only())?;
    println!("the same in a BurnBase          {unchanged:.9}");
    let with_fosi = train(FosiConfig {
        schedule: Schedule::Every {
            warmup: 50,
            interval: 100,
        },
        ..FosiConfig::default()
    })?;
    println!("FOSI around it                  {with_fosi:.9}");
    println!("loss after {STEPS} steps at the learning rate {LEARNING_RATE}");
    if unchanged.to_bits() != by_burn.to_bits() {
        return Err("without refreshes a BurnBase must step as Burn does".into());
    }
    Ok(())
}
