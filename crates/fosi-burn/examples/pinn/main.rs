//! A physics-informed network: −u″ = f on (0, 1) with u(0) = u(1) = 0, whose solution is u = sin πx + ½ sin 6πx.
//!
//! `cargo run --release -p fosi-burn --example pinn` minimises the mean squared residual at 100 collocation points,
//! without a learning rate, and prints the loss and the relative L2 error of u before and after. `taylor.rs` computes
//! the derivatives with respect to x.

mod taylor;

use std::f64::consts::PI;

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use fosi::minimize::Options;
use fosi_burn::{backward, minimize};
use taylor::Jet;

const WIDTHS: [usize; 4] = [1, 32, 32, 1];
const POINTS: usize = 100;
const MAX_COST: u64 = 4000;

#[derive(Module, Debug)]
struct Network {
    hidden: Vec<Linear>,
    output: Linear,
}

impl Network {
    fn new(device: &Device) -> Self {
        let layer = |i: usize| {
            LinearConfig::new(WIDTHS[i], WIDTHS[i + 1])
                .with_initializer(Initializer::XavierNormal { gain: 1.0 })
                .init(device)
        };
        let last = WIDTHS.len() - 2;
        Self {
            hidden: (0..last).map(layer).collect(),
            output: layer(last),
        }
    }

    /// u, u′ and u″ at the points.
    fn jet(&self, x: &Tensor<2>) -> Jet {
        let input = Jet::along(x.clone(), &[&[1.0]]);
        let hidden = |jet: Jet, layer| jet.linear(layer).tanh();
        self.hidden.iter().fold(input, hidden).linear(&self.output)
    }

    /// u at the points.
    fn value(&self, x: &Tensor<2>) -> Tensor<2> {
        let hidden = |x: Tensor<2>, layer: &Linear| layer.forward(x).tanh();
        let last = self.hidden.iter().fold(x.clone(), hidden);
        self.output.forward(last)
    }
}

fn solution(x: f64) -> f64 {
    (PI * x).sin() + 0.5 * (6.0 * PI * x).sin()
}

/// f = −u″.
fn source(x: f64) -> f64 {
    PI * PI * ((PI * x).sin() + 18.0 * (6.0 * PI * x).sin())
}

fn column(values: Vec<f64>, device: &Device) -> Tensor<2> {
    let rows = values.len();
    Tensor::from_data(TensorData::new(values, [rows, 1]), device)
}

/// ‖u − u*‖/‖u*‖ at 101 even points.
fn relative_error(network: &Network, device: &Device) -> Result<f64, Box<dyn std::error::Error>> {
    let x: Vec<f64> = (0..=100).map(|i| f64::from(i) / 100.0).collect();
    let exact: Vec<f64> = x.iter().map(|x| solution(*x)).collect();
    let u = network.value(&column(x, device)).try_into_vec_as::<f64>()?;
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut u.iter().zip(&exact).map(|(u, exact)| u - exact));
    Ok(difference / norm(&mut exact.iter().copied()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Sets the device's default type, so that the module is in f64 and its parameters are not rounded at the end.
    let mut device = Device::flex().autodiff();
    device.configure(FloatDType::F64)?;
    device.seed(0);
    let mut network = Network::new(&device);

    let inside: Vec<f64> = (0..POINTS)
        .map(|i| (i as f64 + 0.5) / POINTS as f64)
        .collect();
    let f = column(inside.iter().map(|x| source(*x)).collect(), &device);
    let (inside, ends) = (column(inside, &device), column(vec![0.0, 1.0], &device));
    let loss = |network: &Network| {
        let mut jet = network.jet(&inside);
        let residual = jet.second.remove(0) + f.clone();
        residual.square().mean() + network.value(&ends).square().mean()
    };

    let (before, _) = backward(&network, loss)?;
    println!(
        "before: loss {before:.3e}, error {:.3e}",
        relative_error(&network, &device)?
    );
    let options = Options {
        max_cost: MAX_COST,
        lower_bound: Some(0.0),
        ..Options::default()
    };
    let minimum = minimize(&mut network, &loss, options)?;
    println!(
        "after:  loss {:.3e}, error {:.3e}",
        minimum.value,
        relative_error(&network, &device)?
    );
    println!(
        "{}: {} steps, {} gradients, those of {} Hessian-vector products among them; {:.1} s",
        minimum.status, minimum.steps, minimum.gradients, minimum.products, minimum.seconds
    );
    Ok(())
}
