//! Times one operation of this library for `bench/peers`: `peers hb|adam|estimation|estimation-again N` prints the
//! seconds as JSON.

use std::time::{Duration, Instant};

use fosi::base::{Adam, Base, GradientDescent, HeavyBall};
use fosi::{Averaging, Fosi, FosiConfig, Host, operator};

const STEPS: usize = 20;

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn step(base: impl Base<Host<f32>>, n: usize) -> Result<f64, fosi::Error> {
    let mut optimizer = Fosi::new(Host::new(n), base, FosiConfig::base_only())?;
    let mut x: Vec<f32> = (0..n).map(|i| (0.37 * i as f32).sin()).collect();
    let gradient = x.clone();
    let mut times = Vec::new();
    for _ in 0..STEPS {
        let started = Instant::now();
        optimizer.step(1e-3, &mut x, &gradient)?;
        times.push(started.elapsed().as_secs_f64());
    }
    Ok(median(times))
}

/// An estimation for diag(1, 1/2, …, 1/n), without the time of its products; unless `repeated`, it includes memory
/// allocation.
fn estimation(n: usize, repeated: bool) -> Result<f64, fosi::Error> {
    let config = FosiConfig {
        largest: 10,
        lanczos_steps: Some(40),
        lanczos_tolerance: None,
        averaging: Averaging::Off,
        ..FosiConfig::default()
    };
    let mut optimizer = Fosi::new(Host::<f32>::new(n), GradientDescent, config)?;
    let diagonal: Vec<f32> = (1..=n).map(|i| 1.0 / i as f32).collect();
    let mut refresh = || -> Result<Duration, fosi::Error> {
        let mut products = Duration::ZERO;
        let mut hessian = operator::from_fn(|v: &[f32], out: &mut [f32]| {
            let started = Instant::now();
            for ((out, v), d) in out.iter_mut().zip(v).zip(&diagonal) {
                *out = d * v;
            }
            products += started.elapsed();
        });
        let started = Instant::now();
        optimizer.refresh(&mut hessian)?;
        Ok(started.elapsed() - products)
    };
    let first = refresh()?;
    let time = if repeated { refresh()? } else { first };
    Ok(time.as_secs_f64())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, n] = arguments.as_slice() else {
        return Err("usage: peers hb|adam|estimation|estimation-again N".into());
    };
    let n = n.parse()?;
    let seconds = match what.as_str() {
        "hb" => step(HeavyBall::new(0.9), n)?,
        "adam" => step(Adam::default(), n)?,
        "estimation" => estimation(n, false)?,
        "estimation-again" => estimation(n, true)?,
        _ => return Err(format!("no {what}").into()),
    };
    println!("{{\"seconds\": {seconds:e}}}");
    Ok(())
}
