//! Softmax regression on batches of which every rank has a share. The crate for MPI tests the same.

use std::sync::Arc;

use fosi::base::Base;
use fosi::communicator::Communicator;
use fosi::error::BoxError;
use fosi::operator::{self, Reduced};
use fosi::{Distributed, Error, Fosi, FosiConfig, Host, Schedule, Space};

use super::layout::Layout;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub const CLASSES: usize = 5;
pub const FEATURES: usize = 7;
/// 35: no multiple of 2, 3 or 4.
pub const N: usize = CLASSES * FEATURES;
const EXAMPLES: usize = 120;

pub struct Softmax {
    inputs: Vec<[f64; FEATURES]>,
    labels: Vec<usize>,
}

impl Softmax {
    pub fn new() -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let mut noise = || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        let centers: Vec<f64> = (0..N).map(|_| 0.6 * noise()).collect();
        let labels: Vec<usize> = (0..EXAMPLES).map(|i| i % CLASSES).collect();
        let input = |label: &usize| {
            std::array::from_fn(|j| {
                centers[label * FEATURES + j] + noise() * 0.8_f64.powi(j as i32)
            })
        };
        Self {
            inputs: labels.iter().map(input).collect(),
            labels,
        }
    }

    /// The examples of this rank's share of a step's batch: 23, and at every seventh step 2, so that one of three ranks
    /// has none. No refresh of [`config`] is at such a step, since two examples have a Hessian with equal eigenvalues, of
    /// which rounding chooses the eigenvectors.
    pub fn share(step: u64, rank: usize, size: usize) -> Vec<usize> {
        let mut random = ChaCha8Rng::seed_from_u64(1000 + step);
        let count = if step % 7 == 4 { 2 } else { 23 };
        let batch: Vec<usize> = (0..count)
            .map(|_| random.random_range(0..EXAMPLES))
            .collect();
        // As even as may be.
        batch[rank * count / size..(rank + 1) * count / size].to_vec()
    }

    /// All examples, a share of them.
    pub fn all(rank: usize, size: usize) -> Vec<usize> {
        (rank * EXAMPLES / size..(rank + 1) * EXAMPLES / size).collect()
    }

    fn probabilities(&self, x: &[f64], i: usize) -> [f64; CLASSES] {
        let score = |c: usize| dot(&x[c * FEATURES..], &self.inputs[i]);
        let scores: [f64; CLASSES] = std::array::from_fn(score);
        let top = scores.iter().fold(f64::NEG_INFINITY, |m, s| m.max(*s));
        let weights = scores.map(|s| (s - top).exp());
        let sum: f64 = weights.iter().sum();
        weights.map(|w| w / sum)
    }

    /// The mean loss over the examples, and its gradient; NaN where there are none.
    pub fn loss(&self, examples: &[usize], x: &[f64], gradient: &mut [f64]) -> f64 {
        let count = examples.len() as f64;
        gradient.fill(0.0);
        let mut loss = 0.0;
        for &i in examples {
            let p = self.probabilities(x, i);
            loss -= p[self.labels[i]].ln();
            for c in 0..CLASSES {
                let error = p[c] - f64::from(u8::from(self.labels[i] == c));
                let row = gradient[c * FEATURES..].iter_mut().zip(&self.inputs[i]);
                row.for_each(|(g, a)| *g += error * a);
            }
        }
        let decay = gradient.iter_mut().zip(x);
        decay.for_each(|(g, x)| *g = *g / count + 1e-3 * x);
        loss / count + 0.5e-3 * dot(x, x)
    }

    /// out ← Hv of the same.
    pub fn product(&self, examples: &[usize], x: &[f64], v: &[f64], out: &mut [f64]) {
        let count = examples.len() as f64;
        out.fill(0.0);
        for &i in examples {
            let p = self.probabilities(x, i);
            let along: [f64; CLASSES] =
                std::array::from_fn(|c| dot(&v[c * FEATURES..], &self.inputs[i]));
            let mean = dot(&p, &along);
            for c in 0..CLASSES {
                let row = out[c * FEATURES..].iter_mut().zip(&self.inputs[i]);
                row.for_each(|(out, a)| *out += p[c] * (along[c] - mean) * a);
            }
        }
        let decay = out.iter_mut().zip(v);
        decay.for_each(|(out, v)| *out = *out / count + 1e-3 * v);
    }
}

pub fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// The defaults, except for four eigenvalues and a refresh every fifty steps. The smallest eigenvalue is a multiple one.
pub fn config() -> FosiConfig {
    FosiConfig {
        largest: 4,
        smallest: 0,
        schedule: Schedule::Every {
            warmup: 5,
            interval: 50,
        },
        ..FosiConfig::default()
    }
}

/// Where a rank fails on purpose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    Gradient,
    Product,
    Data,
}

/// A training run of one rank.
pub struct Run<'a, B> {
    pub optimizer: Fosi<Host<f64>, B>,
    pub parameters: Vec<f64>,
    problem: &'a Softmax,
    /// One for each step.
    pub losses: Vec<f64>,
    /// The steps of refreshes.
    pub refreshes: Vec<u64>,
    /// What fails here at the next step.
    pub fault: Option<Fault>,
    rate: f64,
}

impl<'a, B: Base<Host<f64>>> Run<'a, B> {
    /// Without a communicator, one rank alone.
    pub fn new(
        problem: &'a Softmax,
        base: B,
        rate: f64,
        config: FosiConfig,
        ranks: Option<(Arc<dyn Communicator>, Layout)>,
    ) -> Self {
        let mut parameters = vec![0.0; N];
        let mut optimizer = Fosi::new(Host::new(N), base, config).unwrap();
        if let Some((communicator, layout)) = ranks {
            // What rank 0 has is what counts.
            parameters.fill(communicator.rank() as f64);
            optimizer = layout.put(optimizer, communicator, &mut parameters);
        }
        Self {
            optimizer,
            parameters,
            problem,
            losses: Vec::new(),
            refreshes: Vec::new(),
            fault: None,
            rate,
        }
    }

    /// One step, after a refresh where one is due.
    pub fn step(&mut self) -> Result<(), Error> {
        let space = self.optimizer.space().clone();
        let (rank, size) = (space.ranks().rank(), space.ranks().size());
        let share = Softmax::share(self.optimizer.steps(), rank, size);
        let weight = share.len() as f64;
        if self.optimizer.due() {
            self.refresh(&space, &share, weight)?;
            self.refreshes.push(self.optimizer.steps());
        }
        let mut gradient = vec![0.0; N];
        let loss = self.problem.loss(&share, &self.parameters, &mut gradient);
        let loss = match self.fault {
            Some(Fault::Gradient) => Err("no gradient".into()),
            _ => Ok(loss),
        };
        let loss = space.average(weight, loss, &mut gradient)?;
        let (x, g) = (space.own_mut(&mut self.parameters), space.own(&gradient));
        self.optimizer.step(self.rate, x, g)?;
        space.gather(&mut self.parameters);
        self.losses.push(loss);
        Ok(())
    }

    fn refresh(&mut self, space: &Host<f64>, share: &[usize], weight: f64) -> Result<(), Error> {
        let (problem, x, fault) = (self.problem, &self.parameters, self.fault);
        let hessian = Product {
            product: operator::from_fn::<Host<f64>, _>(|v: &[f64], out: &mut [f64]| {
                problem.product(share, x, v, out);
            }),
            left: if fault == Some(Fault::Product) {
                2
            } else {
                usize::MAX
            },
        };
        let hessian = match fault {
            Some(Fault::Data) => Err("no data".into()),
            _ => Ok(hessian),
        };
        let mut hessian = Reduced::new(space, weight, hessian)?;
        self.optimizer.refresh(&mut hessian).map(drop)
    }

    pub fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step().unwrap();
        }
    }

    /// All that must be equal on all ranks.
    pub fn state(&self) -> (Vec<f64>, Vec<u8>, Vec<f64>, Vec<u64>) {
        (
            self.parameters.clone(),
            self.optimizer.to_bytes().unwrap(),
            self.losses.clone(),
            self.refreshes.clone(),
        )
    }
}

/// An operator that fails after so many products.
struct Product<O> {
    product: O,
    left: usize,
}

impl<O: operator::SymmetricOperator<Host<f64>>> operator::SymmetricOperator<Host<f64>>
    for Product<O>
{
    fn apply(&mut self, v: &[f64], out: &mut [f64]) -> Result<(), BoxError> {
        self.left = self.left.checked_sub(1).ok_or("no product")?;
        self.product.apply(v, out)
    }
}

/// The largest |a − b|/|b|.
pub fn relative_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b);
    pairs
        .map(|(a, b)| (a - b).abs() / b.abs())
        .fold(0.0, f64::max)
}
