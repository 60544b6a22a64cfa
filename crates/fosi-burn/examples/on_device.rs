//! All vectors on the model's device: `FosiOptimizer::on_device`, against the optimizer that keeps them on the host.
//!
//! ```sh
//! cargo run --release -p fosi-burn --example on_device                  # on the CPU, which needs no driver
//! cargo run --release -p fosi-burn --features wgpu --example on_device  # on a GPU, through Vulkan, Metal or DirectX
//! cargo run --release -p fosi-burn --features cuda --example on_device  # on an NVIDIA GPU
//! ```
//!
//! Prints the losses of both, which take the same steps but for rounding, the steps per second of the last 40, between
//! refreshes, and how many vectors of the model's size lie on the device.

use std::time::Instant;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use fosi::base::Adam;
use fosi::{FosiConfig, Schedule};
use fosi_burn::{FosiOptimizer, OptimizerError, like_module};

const STEPS: usize = 120;
/// The last steps, which are timed: the kernels are compiled by then, and no refresh is due.
const TIMED: usize = 40;
const LEARNING_RATE: f64 = 0.003;
const EXAMPLES: usize = 256;
const INPUTS: usize = 8;

#[derive(Module, Debug)]
struct Network {
    hidden: Linear,
    output: Linear,
}

impl Network {
    fn loss(&self, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<1> {
        let hidden = self.hidden.forward(like_module(x.clone(), self)).tanh();
        let error = self.output.forward(hidden) - like_module(y.clone(), self);
        error.square().mean()
    }
}

/// The device that the features choose; without one the CPU.
fn device() -> (&'static str, Device) {
    #[cfg(feature = "cuda")]
    return ("CUDA", Device::cuda(0));
    #[cfg(all(feature = "wgpu", not(feature = "cuda")))]
    return ("wgpu", Device::wgpu(Default::default()));
    #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
    ("the CPU", Device::flex())
}

fn data(device: &Device) -> (Tensor<2>, Tensor<2>) {
    let entry = |i: usize, j: usize| {
        ((i * (2 * j + 3)) as f64 * 0.618_033_988_749).fract() as f32 * 2.0 - 1.0
    };
    let points: Vec<f32> = (1..=EXAMPLES)
        .flat_map(|i| (0..INPUTS).map(move |j| entry(i, j)))
        .collect();
    let value = |p: &[f32]| {
        p.iter()
            .enumerate()
            .map(|(j, x)| (j as f32 + 1.0) * x)
            .sum::<f32>()
            .sin()
    };
    let values: Vec<f32> = points.chunks(INPUTS).map(value).collect();
    let x = TensorData::new(points, [EXAMPLES, INPUTS]);
    let y = TensorData::new(values, [EXAMPLES, 1]);
    (Tensor::from_data(x, device), Tensor::from_data(y, device))
}

fn main() -> Result<(), OptimizerError> {
    let (name, device) = device();
    let device = device.autodiff();
    device.seed(0);
    let start = Network {
        hidden: LinearConfig::new(INPUTS, 64).init(&device),
        output: LinearConfig::new(64, 1).init(&device),
    };
    let (x, y) = data(&device);
    let loss = |network: &Network| network.loss(&x, &y);
    let config = FosiConfig {
        schedule: Schedule::Every {
            warmup: 20,
            interval: 50,
        },
        ..FosiConfig::default()
    };

    let mut network = start.clone();
    let mut on_host = FosiOptimizer::new(&network, Adam::default(), config.clone())?;
    let mut host_losses = Vec::new();
    let mut started = Instant::now();
    for step in 0..STEPS {
        if step == STEPS - TIMED {
            started = Instant::now();
        }
        host_losses.push(on_host.step(LEARNING_RATE, &mut network, &loss)?.loss);
    }

    let host_rate = TIMED as f64 / started.elapsed().as_secs_f64();

    let mut network = start;
    // ANCHOR: device
    let mut optimizer = FosiOptimizer::on_device(&network, Adam::default(), config)?;
    // ANCHOR_END: device
    println!("on {name}: {} parameters", optimizer.layout().len());
    println!("step  loss, on the host  on the device");
    for (step, on_host) in host_losses.iter().enumerate() {
        if step == STEPS - TIMED {
            started = Instant::now();
        }
        let taken = optimizer.step(LEARNING_RATE, &mut network, &loss)?;
        match taken
            .refresh
            .map(|refresh| (refresh.precision, refresh.result))
        {
            Some((precision, Ok(refresh))) => println!(
                "      refresh: {} products in {precision:?}, eigenvalues from {:.2} down to {:.3}",
                refresh.info.products,
                refresh.eigenvalues[0],
                refresh.eigenvalues[refresh.eigenvalues.len() - 1]
            ),
            Some((_, Err(error))) => println!("      {error}"),
            None => {}
        }
        if (step + 1) % 20 == 0 {
            println!("{:4}  {on_host:17.6}  {:13.6}", step + 1, taken.loss);
        }
    }
    let rate = TIMED as f64 / started.elapsed().as_secs_f64();
    println!("steps per second: {host_rate:.0} on the host, {rate:.0} on the device");
    let vectors = optimizer
        .fosi()
        .spectrum()
        .map_or(0, |spectrum| spectrum.eigenvalues.len());
    println!("on the device: Adam's 2 vectors, {vectors} eigenvectors and the mean over refreshes");
    Ok(())
}
