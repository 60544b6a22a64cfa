//! A training loop of one's own: `due`, `refresh` and `step` by hand, on logistic regression in small batches, with a
//! learning rate that falls along a cosine.
//!
//! `cargo run --release -p fosi --example training_loop` trains with Heavy-Ball, then with FOSI around it, both at the
//! same learning rates, and prints the loss over all examples after each epoch.

// ANCHOR: use
use fosi::base::HeavyBall;
use fosi::operator::{DifferenceQuotient, HostGradient};
use fosi::{Fosi, FosiConfig, Host, Schedule};
// ANCHOR_END: use

const FEATURES: usize = 30;
const EXAMPLES: usize = 2048;
const BATCH: usize = 64;
const EPOCHS: usize = 10;
const STEPS: usize = EPOCHS * EXAMPLES / BATCH;

/// A cosine from 0.02 to 0. The Newton rate α falls in proportion.
fn learning_rate(step: usize) -> f64 {
    let progress = step as f64 / STEPS as f64;
    0.02 * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

/// Examples whose features have standard deviations from 3 down to 0.1, with labels from a linear rule.
struct Data {
    features: Vec<[f64; FEATURES]>,
    labels: Vec<f64>,
}

impl Data {
    fn new() -> Self {
        // Points of a lattice: evenly spread, and without a random number generator.
        let even =
            |i: usize, j: usize| ((i * (2 * j + 3)) as f64 * 0.618_033_988_749).fract() - 0.5;
        let scale = |j: usize| 3.0 * (0.1_f64 / 3.0).powf(j as f64 / (FEATURES - 1) as f64);
        let example = |i| std::array::from_fn(|j| 12.0_f64.sqrt() * scale(j) * even(i, j));
        let features: Vec<[f64; FEATURES]> = (1..=EXAMPLES).map(example).collect();
        let score = |x: &[f64; FEATURES]| -> f64 {
            let sign = |j: usize| if j.is_multiple_of(2) { 1.0 } else { -1.0 };
            let weight = |j: usize| sign(j) / scale(j);
            x.iter().enumerate().map(|(j, x)| weight(j) * x).sum()
        };
        let labels = features.iter().map(|x| f64::from(score(x) > 0.0)).collect();
        Self { features, labels }
    }

    /// The mean cross-entropy over the examples of `range`, and its gradient.
    fn loss(&self, range: std::ops::Range<usize>, weights: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let count = range.len() as f64;
        let mut loss = 0.0;
        for (x, label) in self.features[range.clone()].iter().zip(&self.labels[range]) {
            let score: f64 = x.iter().zip(weights).map(|(x, w)| x * w).sum();
            let probability = 1.0 / (1.0 + (-score).exp());
            loss += ((-score.abs()).exp().ln_1p() + score.max(0.0) - label * score) / count;
            for (g, x) in gradient.iter_mut().zip(x) {
                *g += (probability - label) * x / count;
            }
        }
        loss
    }
}

/// The loss over all examples after each epoch.
fn train(data: &Data, config: FosiConfig) -> Result<Vec<f64>, fosi::Error> {
    let mut weights = vec![0.0; FEATURES];
    let mut gradient = vec![0.0; FEATURES];
    let mut losses = Vec::new();
    // ANCHOR: loop
    let mut optimizer = Fosi::new(Host::<f64>::new(FEATURES), HeavyBall::new(0.9), config)?;
    for step in 0..STEPS {
        let first = step * BATCH % EXAMPLES;
        let batch = first..first + BATCH;
        if optimizer.due() {
            // Products with the Hessian of this batch's loss, as differences of its gradients.
            let near = HostGradient::new(&weights, |at: &[f64], out: &mut [f64]| {
                data.loss(batch.clone(), at, out);
                Ok(())
            });
            match optimizer.refresh(&mut DifferenceQuotient::new(near)) {
                Ok(refresh) => println!(
                    "  step {step}: eigenvalues from {:.2} down to {:.3}, {} products, s = {:.2}",
                    refresh.eigenvalues[0],
                    refresh.eigenvalues[refresh.eigenvalues.len() - 1],
                    refresh.info.products,
                    refresh.scale
                ),
                // The old spectrum stays in use, and training goes on.
                Err(error) => println!("  {error}"),
            }
        }
        data.loss(batch, &weights, &mut gradient);
        optimizer.step(learning_rate(step), &mut weights, &gradient)?;
        // ANCHOR_END: loop
        if (step + 1) % (EXAMPLES / BATCH) == 0 {
            losses.push(data.loss(0..EXAMPLES, &weights, &mut gradient));
        }
    }
    Ok(losses)
}

fn main() -> Result<(), fosi::Error> {
    let data = Data::new();
    let base = train(&data, FosiConfig::base_only())?;
    // ANCHOR: config
    let config = FosiConfig {
        largest: 5,
        schedule: Schedule::Every {
            warmup: 16,
            interval: 100,
        },
        ..FosiConfig::default()
    };
    // ANCHOR_END: config
    println!("FOSI's refreshes:");
    let with_fosi = train(&data, config)?;
    println!("\nepoch  Heavy-Ball  FOSI around it");
    for (epoch, (base, fosi)) in base.iter().zip(&with_fosi).enumerate() {
        println!("{:5}  {base:10.5}  {fosi:14.5}", epoch + 1);
    }
    Ok(())
}
