//! Stopping and going on, bit for bit: a run that is saved after 130 steps and resumed by a new optimizer ends where an
//! uninterrupted one does.
//!
//! `cargo run --release -p fosi --example resume` prints both and compares every bit.

use fosi::base::Adam;
use fosi::operator::{DifferenceQuotient, HostGradient};
use fosi::{Error, Fosi, FosiConfig, Host, Schedule};

const VARIABLES: usize = 100;
const STEPS: u64 = 300;
const SAVED_AT: u64 = 130;

type Optimizer = Fosi<Host<f64>, Adam>;

/// The gradient of Σ iθᵢ²/2 + θᵢ⁴, with a shift of its minimum that changes from step to step as a batch's would.
fn gradient(step: u64, theta: &[f64], out: &mut [f64]) {
    for (i, (out, x)) in out.iter_mut().zip(theta).enumerate() {
        let noise = ((step * 31 + i as u64 * 17) as f64).sin();
        *out = (i + 1) as f64 * (x - 0.01 * noise) + 4.0 * x.powi(3);
    }
}

// ANCHOR: optimizer
/// The settings are the program's own and are not in a checkpoint: both runs are made alike.
fn optimizer() -> Result<Optimizer, Error> {
    let config = FosiConfig {
        // Refreshes at given steps. Where T follows measured times, a resumed run may refresh at other steps.
        schedule: Schedule::Every {
            warmup: 20,
            interval: 50,
        },
        ..FosiConfig::default()
    };
    Fosi::new(Host::new(VARIABLES), Adam::default(), config)
}
// ANCHOR_END: optimizer

/// Steps until `last`.
fn train(optimizer: &mut Optimizer, theta: &mut [f64], last: u64) -> Result<(), Error> {
    let mut g = vec![0.0; VARIABLES];
    while optimizer.steps() < last {
        // The number of the step is in the checkpoint; what the data are follows from it.
        let step = optimizer.steps();
        if optimizer.due() {
            let near = HostGradient::new(theta, |at: &[f64], out: &mut [f64]| {
                gradient(step, at, out);
                Ok(())
            });
            optimizer.refresh(&mut DifferenceQuotient::new(near))?;
        }
        gradient(step, theta, &mut g);
        optimizer.step(0.01, theta, &g)?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start = vec![1.0; VARIABLES];

    let mut whole = start.clone();
    let mut uninterrupted = optimizer()?;
    train(&mut uninterrupted, &mut whole, STEPS)?;

    // ANCHOR: resume
    let path = std::env::temp_dir().join(format!("fosi-resume-{}.safetensors", std::process::id()));
    let mut theta = start;
    let mut first = optimizer()?;
    train(&mut first, &mut theta, SAVED_AT)?;
    first.save(&path)?; // the optimizer's state; the program saves the parameters itself
    drop(first);

    let mut second = optimizer()?;
    second.load(&path)?;
    // ANCHOR_END: resume
    let size = std::fs::metadata(&path)?.len();
    std::fs::remove_file(&path)?;
    println!(
        "saved after step {SAVED_AT} in {} kB: Adam's state, {} eigenvectors and the mean over refreshes",
        size / 1024,
        second
            .spectrum()
            .map_or(0, |spectrum| spectrum.eigenvalues.len())
    );
    train(&mut second, &mut theta, STEPS)?;

    let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    println!(
        "|θ| after {STEPS} steps, uninterrupted: {:.17e}",
        length(&whole)
    );
    println!(
        "|θ| after {STEPS} steps, resumed:       {:.17e}",
        length(&theta)
    );
    let same = whole
        .iter()
        .zip(&theta)
        .all(|(a, b)| a.to_bits() == b.to_bits());
    println!("every bit of every parameter the same: {same}");
    if !same {
        return Err("a resumed run must end where an uninterrupted one does".into());
    }
    Ok(())
}
