//! A convolutional network on handwritten digits, trained as Burn's guide trains one, with FOSI around the optimizer.
//!
//! ```sh
//! cargo run --release -p fosi-burn --example mnist                        # the digits of this repository, 8×8 pixels
//! cargo run --release -p fosi-burn --example mnist -- --base              # the base optimizer alone
//! cargo run --release -p fosi-burn --example mnist -- --data DIR          # MNIST's four files, as .gz or unpacked
//! cargo run --release -p fosi-burn --example mnist -- --out DIR --stop 3  # writes checkpoints and stops after epoch 3
//! cargo run --release -p fosi-burn --example mnist -- --out DIR --resume  # continues
//! ```
//!
//! Lines for FOSI are marked `// FOSI`. The example uses batch norm, dropout, accumulated gradients, gradient clipping,
//! Burn's cosine scheduler, validation, progress output and checkpoints.

mod images;

use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;

use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d,
};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor};
use clap::Parser;
use fosi::base::HeavyBall; // FOSI
use fosi::{Clipping, FosiConfig}; // FOSI
use fosi_burn::{FosiOptimizer, like_module}; // FOSI

use images::{Images, Set};

/// Trains a small convolutional network with FOSI or its base.
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
    /// The folder for checkpoints, written after each epoch.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Ends after this epoch, as if interrupted.
    #[arg(long)]
    stop: Option<usize>,
    /// Continues from the checkpoint in `--out`.
    #[arg(long, requires = "out")]
    resume: bool,
}

/// Examples per step, processed in `SLICES` parts.
const BATCH: usize = 128;
const SLICES: usize = 2;

#[derive(Module, Debug)]
struct Network {
    conv1: Conv2d,
    norm: BatchNorm,
    conv2: Conv2d,
    pool: AdaptiveAvgPool2d,
    dropout: Dropout,
    hidden: Linear,
    output: Linear,
}

impl Network {
    fn new(device: &Device) -> Self {
        Self {
            conv1: Conv2dConfig::new([1, 8], [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .init(device),
            norm: BatchNormConfig::new(8).init(device),
            conv2: Conv2dConfig::new([8, 16], [3, 3])
                .with_stride([2, 2])
                .init(device),
            pool: AdaptiveAvgPool2dConfig::new([3, 3]).init(),
            dropout: DropoutConfig::new(0.2).init(),
            hidden: LinearConfig::new(16 * 9, 32).init(device),
            output: LinearConfig::new(32, 10).init(device),
        }
    }

    fn forward(&self, images: Tensor<3>) -> Tensor<2> {
        let images = like_module(images, self); // FOSI: for products, the network is also evaluated in f64
        let x = relu(
            self.norm
                .forward(self.conv1.forward(images.unsqueeze_dim(1))),
        );
        let x = self.pool.forward(relu(self.conv2.forward(x)));
        let x = self.dropout.forward(x.flatten(1, 3));
        self.output.forward(relu(self.hidden.forward(x)))
    }

    fn loss(&self, images: Tensor<3>, labels: Tensor<1, Int>) -> Tensor<1> {
        let loss = CrossEntropyLossConfig::new().init(&labels.device());
        loss.forward(self.forward(images), labels)
    }
}

/// The indices below `len` in an order that depends on the seed and the epoch.
fn order(len: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut state = (seed << 32 | epoch as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut order: Vec<usize> = (0..len).collect();
    for i in (1..len).rev() {
        // A linear congruential generator; only its upper bits are good.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        order.swap(i, (state >> 33) as usize % (i + 1));
    }
    order
}

/// The mean loss and the accuracy on a set.
fn validate(network: &Network, set: &Set, device: &Device) -> (f64, f64) {
    let (network, device) = (network.valid(), device.clone().without_autodiff());
    let (mut loss, mut right) = (0.0, 0);
    let all: Vec<usize> = (0..set.len()).collect();
    for indices in all.chunks(512) {
        let (images, labels) = set.batch(indices, &device);
        let scores = network.forward(images);
        let found = scores.clone().argmax(1).squeeze_dim::<1>(1);
        let equal = found.equal(labels.clone()).int().sum();
        right += equal.into_scalar::<i64>();
        let mean = CrossEntropyLossConfig::new()
            .init(&device)
            .forward(scores, labels);
        loss += mean.into_scalar::<f64>() * indices.len() as f64;
    }
    let count = set.len() as f64;
    (loss / count, right as f64 / count)
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let device = Device::flex().autodiff();
    device.seed(options.seed);
    let Images { train, validation } = images::read(options.data.as_deref(), options.examples)?;
    let steps = train.len() / BATCH;

    let mut network = Network::new(&device);
    let config = match options.base {
        true => FosiConfig::base_only(),
        false => FosiConfig::default(),
    };
    // FOSI: in place of `SgdConfig::new().with_momentum(..).init()`
    let config = FosiConfig {
        clipping: Clipping::Norm(5.0),
        ..config
    };
    let mut optimizer =
        FosiOptimizer::new(&network, HeavyBall::new(0.9), config)?.with_progress(|progress| {
            eprint!(
                "\rcurvature: product {} of {}   ",
                progress.products + 1,
                progress.at_most
            );
            ControlFlow::Continue(())
        });
    let schedule =
        CosineAnnealingLrSchedulerConfig::new(options.learning_rate, steps * options.epochs);
    let mut scheduler = schedule.init()?;

    if let (true, Some(out)) = (options.resume, &options.out) {
        network = network.load_file(out.join("network"));
        optimizer.load(out.join("optimizer"))?; // FOSI: `load_record` of Burn's optimizer
    }
    // The optimizer's checkpoint contains the step count, which determines rates and batches.
    let done = optimizer.fosi().steps() as usize;
    (0..done).for_each(|_| drop(scheduler.step()));
    if done == 0 {
        // FOSI, optional: the cost of a refresh, and whether the loss permits it.
        let (images, labels) = train.batch(&order(train.len(), options.seed, 0)[..BATCH], &device);
        let check = optimizer.check(&network, |n: &Network| {
            n.loss(images.clone(), labels.clone())
        })?;
        println!(
            "{} parameters; a refresh takes up to {:.2} s and {} kB",
            check.parameters,
            check.refresh_seconds,
            check.refresh_bytes / 1024
        );
    }
    println!("epoch  training  validation  accuracy  refreshes");
    for epoch in done / steps..options.epochs {
        let (mut loss, mut refreshes) = (0.0, 0);
        for batch in order(train.len(), options.seed, epoch).chunks_exact(BATCH) {
            let slices = batch
                .chunks(BATCH / SLICES)
                .map(|slice| train.batch(slice, &device));
            let losses: Vec<_> = slices
                .map(|(images, labels)| {
                    move |network: &Network| network.loss(images.clone(), labels.clone())
                })
                .collect();
            // FOSI: in place of two times `backward`, `GradientsParams::from_grads`, `accumulate`, and `step`
            let step = optimizer.step_accumulated(scheduler.step(), &mut network, &losses)?;
            if let Some(refresh) = step.refresh {
                refreshes += 1;
                if let Err(error) = refresh.result {
                    eprintln!("\n{error}; training goes on with the old curvature");
                }
            }
            loss += step.loss / steps as f64;
        }
        let (validation, accuracy) = validate(&network, &validation, &device);
        eprint!("\r");
        println!(
            "{:5}  {loss:8.4}  {validation:10.4}  {:7.2} %  {refreshes:9}",
            epoch + 1,
            100.0 * accuracy
        );
        if let Some(out) = &options.out {
            std::fs::create_dir_all(out)?;
            network.clone().save_file(out.join("network"))?;
            optimizer.save(out.join("optimizer"))?; // FOSI: `save` of Burn's optimizer
        }
        if options.stop == Some(epoch + 1) {
            break;
        }
    }
    Ok(())
}
