//! The Fisher matrix of a prediction's distribution with respect to the outputs.

use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::config::Fisher;
use crate::error::RivalError;
use crate::numbers::read_doubles;
use crate::prediction::{Prediction, Targets};

/// The number of passes per update of the factors.
pub(super) fn passes(fisher: Fisher, outputs: usize) -> usize {
    match fisher {
        Fisher::Sampled => 1,
        Fisher::Exact => outputs,
    }
}

/// Vectors v at the outputs, batch×k: for each example, the sum over the passes of vvᵀ, or its expectation, is the
/// Fisher matrix F_z of the outputs.
///
/// # Errors
/// If the outputs cannot be read.
pub(super) fn cotangent(
    prediction: &Prediction,
    fisher: Fisher,
    pass: usize,
    random: &mut ChaCha8Rng,
) -> Result<Tensor<2>, RivalError> {
    let [batch, outputs] = prediction.outputs.dims();
    let scores = read_doubles(&prediction.outputs)?;
    let root = prediction.weight.sqrt();
    let mut values = Vec::with_capacity(scores.len());
    for scores in scores.chunks(outputs.max(1)) {
        let row = match fisher {
            Fisher::Sampled => sampled(prediction.targets, scores, random),
            Fisher::Exact => column(prediction.targets, scores, pass),
        };
        values.extend(row.into_iter().map(|v| root * v));
    }
    let like = &prediction.outputs;
    let data = TensorData::new(values, [batch, outputs]);
    Ok(Tensor::from_data(data, (&like.device(), like.dtype())))
}

/// −∇log p(y|z) for a sample y.
fn sampled(targets: Targets, scores: &[f64], random: &mut ChaCha8Rng) -> Vec<f64> {
    match targets {
        // z − y is normal with variance ½; the gradient is 2(z − y).
        Targets::Normal => {
            let mut normal = || -> f64 { StandardNormal.sample(random) };
            scores.iter().map(|_| 2f64.sqrt() * normal()).collect()
        }
        Targets::Categorical => {
            let mut gradient = softmax(scores);
            let uniform: f64 = random.random();
            let mut below = 0.0;
            let class = gradient.iter().position(|p| {
                below += p;
                uniform < below
            });
            gradient[class.unwrap_or(scores.len() - 1)] -= 1.0;
            gradient
        }
        Targets::Bernoulli => {
            let mut gradient = |score: &f64| {
                let (p, uniform) = (sigmoid(*score), random.random::<f64>());
                if uniform < p { p - 1.0 } else { p }
            };
            scores.iter().map(&mut gradient).collect()
        }
    }
}

/// Column `j` of a factor B of F_z = BBᵀ.
fn column(targets: Targets, scores: &[f64], j: usize) -> Vec<f64> {
    let mut column = vec![0.0; scores.len()];
    match targets {
        Targets::Normal => column[j] = 2f64.sqrt(),
        Targets::Categorical => {
            let p = softmax(scores);
            let root = p[j].sqrt();
            column = p.iter().map(|p| -root * p).collect();
            column[j] += root;
        }
        Targets::Bernoulli => {
            let p = sigmoid(scores[j]);
            column[j] = (p * (1.0 - p)).sqrt();
        }
    }
    column
}

/// The mean over the batch of uᵀF_z v, for u and v in the outputs' space (batch·k entries each).
pub(super) fn inner_product(prediction: &Prediction, scores: &[f64], u: &[f64], v: &[f64]) -> f64 {
    let [batch, outputs] = prediction.outputs.dims();
    let size = outputs.max(1);
    let mut sum = 0.0;
    for ((scores, u), v) in scores.chunks(size).zip(u.chunks(size)).zip(v.chunks(size)) {
        let pairs = || u.iter().zip(v);
        sum += match prediction.targets {
            Targets::Normal => 2.0 * pairs().map(|(u, v)| u * v).sum::<f64>(),
            Targets::Categorical => {
                let p = softmax(scores);
                let mean = |x: &[f64]| p.iter().zip(x).map(|(p, x)| p * x).sum::<f64>();
                let products = p.iter().zip(pairs());
                products.map(|(p, (u, v))| p * u * v).sum::<f64>() - mean(u) * mean(v)
            }
            Targets::Bernoulli => {
                let variance = |score: &f64| sigmoid(*score) * (1.0 - sigmoid(*score));
                let products = scores.iter().zip(pairs());
                products.map(|(z, (u, v))| variance(z) * u * v).sum()
            }
        };
    }
    prediction.weight * sum / batch as f64
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|z| (z - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn sigmoid(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}
