//! Networks on the 1,437 training images of the embedded digits, full batch.

use std::sync::Arc;

use super::dual::{Dual, Scalar};
use super::head::{Head, NetworkLoss};
use super::network::{Batch, Network};
use super::planes::Planes;
use super::{Function, Problem};
use crate::data::{DataError, Dataset, digits};

/// The largest pixel value in the files, by which the data set is divided.
const LARGEST_PIXEL: f64 = 16.0;
/// The ridge of the logistic regression: without it, the classes are separable and there is no minimum.
const RIDGE: f64 = 1e-4;
/// The logistic regression's minimum. It was computed at a gradient norm of 2e-9, which bounds its error by 2e-14.
const LOGISTIC_MINIMUM: f64 = 2.528_427_505_413_48e-3;

/// Softmax cross-entropy of the network 64-100-10: n = 7,510. It has no minimum: its infimum is 0, and 1e-4 of the
/// initial value counts as solved.
pub(super) fn mlp() -> Result<Problem, DataError> {
    let network = Network::new(&[64, 100, 10]);
    let summary = "softmax cross-entropy of the tanh network 64-100-10 on the embedded digits";
    let mut problem = classifier("digits-mlp", summary, network.clone(), 1.0, 0.0)?
        .starting_at(move |seed| network.start(seed))
        .with_minima(vec![0.0]);
    problem.tolerance = 1e-4;
    Ok(problem)
}

/// Softmax regression on the files' pixels from 0 to 16, with ½·1e-4·‖x‖², starting from 0: n = 650.
pub(super) fn logistic() -> Result<Problem, DataError> {
    let network = Network::new(&[64, 10]);
    let summary = "softmax regression on the embedded digits' raw pixels with a ridge of 1e-4";
    let problem = classifier("logistic", summary, network, LARGEST_PIXEL, RIDGE)?;
    Ok(problem.with_minima(vec![LOGISTIC_MINIMUM]))
}

/// The mean squared error of the network 64-32-8-32-64 between output and input: n = 4,744.
pub(super) fn autoencoder() -> Result<Problem, DataError> {
    let batch = Arc::new(batch(&digits()?.train, 1.0));
    let network = Network::new(&[64, 32, 8, 32, 64]);
    let start = network.clone();
    let function = move || -> Box<dyn Function> {
        let terms: Vec<(Batch, Box<dyn Head>)> =
            vec![(batch.as_ref().clone(), Box::new(Reconstruction))];
        Box::new(NetworkLoss::new(&network, terms, 0.0))
    };
    let summary = "mean square error of the tanh network 64-32-8-32-64 on the embedded digits";
    let problem = Problem::new("digits-autoencoder", summary, start.len(), function);
    Ok(problem.starting_at(move |seed| start.start(seed)))
}

fn classifier(
    name: &'static str,
    summary: &'static str,
    network: Network,
    scale: f64,
    ridge: f64,
) -> Result<Problem, DataError> {
    let data = digits()?.train;
    let batch = batch(&data, scale);
    let labels: Arc<[u8]> = data.labels.into();
    let n = network.len();
    let function = move || -> Box<dyn Function> {
        let head = CrossEntropy {
            labels: labels.clone(),
        };
        let terms: Vec<(Batch, Box<dyn Head>)> = vec![(batch.clone(), Box::new(head))];
        Box::new(NetworkLoss::new(&network, terms, ridge))
    };
    Ok(Problem::new(name, summary, n, function))
}

/// The images as points, with one coordinate per pixel.
fn batch(data: &Dataset, scale: f64) -> Batch {
    let pixel = |pixel: usize| {
        let values = data.features.iter().skip(pixel).step_by(data.dim);
        values.map(|&value| scale * f64::from(value)).collect()
    };
    Batch {
        points: (0..data.dim).map(pixel).collect(),
        orders: vec![0; data.dim],
    }
}

/// The mean of log Σₖ exp zₖ − z_y over the images.
struct CrossEntropy {
    labels: Arc<[u8]>,
}

impl Head for CrossEntropy {
    fn loss(&mut self, batch: &Batch, outputs: &Planes, bar: &mut Planes) -> f64 {
        let share = 1.0 / batch.len() as f64;
        let mut loss = 0.0;
        for (point, &label) in self.labels.iter().enumerate() {
            let places = || (point..outputs.value.len()).step_by(outputs.rows);
            let label = point + usize::from(label) * outputs.rows;
            let largest = places()
                .map(|i| outputs.value[i])
                .fold(f64::NEG_INFINITY, f64::max);
            let exponential = |i: usize| {
                let e = (outputs.value[i] - largest).exp();
                (outputs.dual(i)).chain(e, e)
            };
            let sum = places()
                .map(exponential)
                .fold(Dual::default(), |sum, e| sum + e);
            loss += share * (sum.value.ln() + largest - outputs.value[label]);
            let inverse = sum.recip();
            for i in places() {
                let hit = if i == label { 1.0 } else { 0.0 };
                bar.set_dual(i, (exponential(i) * inverse - Dual::constant(hit)) * share);
            }
        }
        loss
    }
}

/// The mean of (output − input)² over all images and pixels.
struct Reconstruction;

impl Head for Reconstruction {
    fn loss(&mut self, batch: &Batch, outputs: &Planes, bar: &mut Planes) -> f64 {
        let share = 1.0 / outputs.value.len() as f64;
        let mut sum = 0.0;
        for (pixel, inputs) in batch.points.iter().enumerate() {
            for (index, input) in (pixel * outputs.rows..).zip(inputs) {
                let difference = outputs.dual(index) - Dual::constant(*input);
                sum += difference.value * difference.value;
                bar.set_dual(index, difference * (2.0 * share));
            }
        }
        share * sum
    }
}
