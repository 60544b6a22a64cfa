//! The forward-mode derivatives with respect to the inputs of the example `pinn`, against central differences.

#[path = "../../examples/pinn/taylor.rs"]
mod jet;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, TensorData};
use fosi_burn::{Precision, Replica, like_module};

use crate::common::{device, entries, linear};
use jet::Jet;

#[derive(Module, Debug)]
struct Network {
    hidden: Vec<Linear>,
    output: Linear,
}

impl Network {
    /// Two inputs, two outputs, in f64.
    fn new() -> Self {
        let device = device();
        let single = Self {
            hidden: vec![linear(2, 6, 1, &device), linear(6, 5, 2, &device)],
            output: linear(5, 2, 3, &device),
        };
        let replica = Replica::new(&single, Precision::F64).unwrap();
        replica.at(&replica.parameters().unwrap()).unwrap()
    }

    fn input(&self, points: &[f64]) -> Tensor<2> {
        let data = TensorData::new(points.to_vec(), [points.len() / 2, 2]);
        like_module(
            Tensor::from_data(data, (&device(), burn::tensor::DType::F64)),
            self,
        )
    }

    /// The output of Burn's own layers.
    fn value(&self, points: &[f64]) -> Vec<f64> {
        let hidden = |x: Tensor<2>, layer: &Linear| layer.forward(x).tanh();
        let last = self.hidden.iter().fold(self.input(points), hidden);
        read(self.output.forward(last))
    }
}

fn read(x: Tensor<2>) -> Vec<f64> {
    x.try_into_vec_as::<f64>().unwrap()
}

fn assert_close(found: &[f64], expected: impl Iterator<Item = f64>, tolerance: f64) {
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs();
        assert!(
            error <= tolerance * (1.0 + expected.abs()),
            "{found} {expected}"
        );
    }
}

#[test]
fn derivatives_along_axes_and_between_them_are_those_of_central_differences() {
    let network = Network::new();
    let points = entries(8, 4);
    let directions: [&[f64]; 3] = [&[1.0, 0.0], &[0.0, 1.0], &[1.0, 1.0]];
    let input = Jet::along(network.input(&points), &directions);
    let hidden = |jet: Jet, layer| jet.linear(layer).tanh();
    let jet = network.hidden.iter().fold(input, hidden);
    let jet = jet.linear(&network.output);

    let value = network.value(&points);
    assert_eq!(value.len(), 8);
    assert_close(&read(jet.value), value.iter().copied(), 1e-14);
    let h = 1e-4;
    for (i, v) in directions.iter().enumerate() {
        let moved = |h: f64| -> Vec<f64> {
            let entry = |(j, x): (usize, &f64)| x + h * v[j % 2];
            network.value(&points.iter().enumerate().map(entry).collect::<Vec<_>>())
        };
        let (ahead, behind) = (moved(h), moved(-h));
        let around = || ahead.iter().zip(&behind);
        let first = around().map(|(a, b)| (a - b) / (2.0 * h));
        assert_close(&read(jet.first[i].clone()), first, 1e-6);
        let second = around()
            .zip(&value)
            .map(|((a, b), u)| (a - 2.0 * u + b) / (h * h));
        assert_close(&read(jet.second[i].clone()), second, 1e-6);
    }
    let largest = read(jet.second[2].clone())
        .into_iter()
        .fold(0.0, |m: f64, x| m.max(x.abs()));
    assert!(largest > 0.1, "{largest}: the second derivatives must show");
}
