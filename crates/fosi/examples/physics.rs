//! A physics-informed network: −u″ = f on (0, 1), u(0) = u(1) = 0, with u = Σ aⱼ tanh(wⱼx + bⱼ) and all derivatives
//! written by hand.
//!
//! `cargo run --release -p fosi --example physics -- physics.svg` fits the network with `minimize` and with L-BFGS alone
//! (the same program without spectra), prints losses and errors, and draws both curves into the file, if one is named.

use std::f64::consts::PI;
use std::fmt::Write;

use fosi::minimize::{Minimizer, Objective, Options, Status};

/// Units of the hidden layer; there are three parameters for each.
const WIDTH: usize = 40;
const POINTS: usize = 80;
const MAX_COST: u64 = 4000;

/// The solution: a slow wave and a fast one.
fn solution(x: f64) -> f64 {
    (PI * x).sin() + 0.3 * (4.0 * PI * x).sin()
}

/// f = −u″.
fn source(x: f64) -> f64 {
    PI * PI * ((PI * x).sin() + 4.8 * (4.0 * PI * x).sin())
}

/// θ = (a, w, b).
fn value(theta: &[f64], x: f64) -> f64 {
    let unit = |j: usize| theta[j] * (theta[WIDTH + j] * x + theta[2 * WIDTH + j]).tanh();
    (0..WIDTH).map(unit).sum()
}

/// The mean squared residual at the points, plus the mean squared value at the two ends; and its gradient.
fn loss(theta: &[f64], gradient: &mut [f64]) -> f64 {
    gradient.fill(0.0);
    let (a, rest) = theta.split_at(WIDTH);
    let (w, b) = rest.split_at(WIDTH);
    let mut loss = 0.0;
    for i in 0..POINTS {
        let x = (i as f64 + 0.5) / POINTS as f64;
        let t: Vec<f64> = (0..WIDTH).map(|j| (w[j] * x + b[j]).tanh()).collect();
        let second = |j: usize| -2.0 * t[j] * (1.0 - t[j] * t[j]);
        let third = |j: usize| (1.0 - t[j] * t[j]) * (6.0 * t[j] * t[j] - 2.0);
        // u″ + f
        let curvature = |j: usize| a[j] * w[j] * w[j] * second(j);
        let residual = (0..WIDTH).map(curvature).sum::<f64>() + source(x);
        loss += residual * residual / POINTS as f64;
        let factor = 2.0 * residual / POINTS as f64;
        for j in 0..WIDTH {
            let slope = a[j] * w[j] * w[j] * third(j);
            gradient[j] += factor * w[j] * w[j] * second(j);
            gradient[WIDTH + j] += factor * (2.0 * a[j] * w[j] * second(j) + slope * x);
            gradient[2 * WIDTH + j] += factor * slope;
        }
    }
    for x in [0.0, 1.0] {
        let u = value(theta, x);
        loss += 0.5 * u * u;
        for j in 0..WIDTH {
            let t = (w[j] * x + b[j]).tanh();
            let slope = a[j] * (1.0 - t * t);
            gradient[j] += u * t;
            gradient[WIDTH + j] += u * slope * x;
            gradient[2 * WIDTH + j] += u * slope;
        }
    }
    loss
}

/// ‖u − u*‖/‖u*‖ at 101 even points.
fn relative_error(theta: &[f64]) -> f64 {
    let points = || (0..=100).map(|i| f64::from(i) / 100.0);
    let difference = |x: f64| (value(theta, x) - solution(x)).powi(2);
    let (error, size): (f64, f64) = (
        points().map(difference).sum(),
        points().map(|x| solution(x).powi(2)).sum(),
    );
    (error / size).sqrt()
}

struct Curve {
    name: &'static str,
    colour: &'static str,
    /// Gradients so far, and the loss.
    points: Vec<(f64, f64)>,
    error: f64,
    status: Status,
}

fn fit(name: &'static str, colour: &'static str, spectra: bool) -> Result<Curve, fosi::Error> {
    // Slopes of both signs, with the units' centres spread over the interval and a little beyond.
    let mut theta = vec![0.0; 3 * WIDTH];
    for j in 0..WIDTH {
        let centre = -0.1 + 1.2 * (j as f64 + 0.5) / WIDTH as f64;
        theta[j] = 0.3 * (j as f64 * 2.3).sin();
        theta[WIDTH + j] = if j % 2 == 0 { 6.0 } else { -6.0 };
        theta[2 * WIDTH + j] = -theta[WIDTH + j] * centre;
    }
    let options = Options {
        max_cost: MAX_COST,
        lower_bound: Some(0.0),
        // Without this line, or with `None`, spectra are estimated where L-BFGS becomes slow.
        first_estimation: if spectra { None } else { Some(u64::MAX) },
        ..Options::default()
    };
    let mut objective = Objective::new(3 * WIDTH, |theta, gradient| Ok(loss(theta, gradient)));
    let mut run = Minimizer::new(&mut objective, &theta, options)?;
    let mut points = vec![(run.cost() as f64, run.value())];
    let status = loop {
        let status = run.step(&mut objective);
        points.push((run.cost() as f64, run.value()));
        if let Some(status) = status {
            break status;
        }
    };
    let minimum = run.finish(status);
    Ok(Curve {
        name,
        colour,
        points,
        error: relative_error(&minimum.best.parameters),
        status: minimum.status,
    })
}

/// The curves as a picture, with a logarithmic axis for the loss.
fn draw(curves: &[Curve]) -> Result<String, std::fmt::Error> {
    let losses = || curves.iter().flat_map(|c| &c.points).map(|p| p.1.log10());
    let (low, high) = (
        losses().fold(f64::INFINITY, f64::min).floor() as i32,
        losses().fold(f64::NEG_INFINITY, f64::max).ceil() as i32,
    );
    let x = |cost: f64| 70.0 + 550.0 * cost / MAX_COST as f64;
    let y = |log: f64| 30.0 + 270.0 * (f64::from(high) - log) / f64::from(high - low);
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 360\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"640\" height=\"360\" fill=\"white\"/>\n",
    );
    for decade in low..=high {
        let y = y(f64::from(decade));
        writeln!(svg, "<path d=\"M70 {y:.1}H620\" stroke=\"#ddd\"/>")?;
        writeln!(
            svg,
            "<text x=\"62\" y=\"{:.1}\" text-anchor=\"end\">1e{decade}</text>",
            y + 4.0
        )?;
    }
    for cost in (0..=MAX_COST).step_by(1000) {
        let x = x(cost as f64);
        writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"320\" text-anchor=\"middle\">{cost}</text>"
        )?;
    }
    writeln!(
        svg,
        "<text x=\"345\" y=\"345\" text-anchor=\"middle\">gradients</text>"
    )?;
    writeln!(svg, "<text x=\"70\" y=\"18\">loss</text>")?;
    for (i, curve) in curves.iter().enumerate() {
        let mut path = String::new();
        let mut drawn = f64::NEG_INFINITY;
        for (cost, loss) in &curve.points {
            // Points less than a pixel apart are one.
            if x(*cost) - drawn < 1.0 {
                continue;
            }
            drawn = x(*cost);
            let command = if path.is_empty() { 'M' } else { 'L' };
            write!(path, "{command}{drawn:.1} {:.1}", y(loss.log10()))?;
        }
        let (name, colour) = (curve.name, curve.colour);
        writeln!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>"
        )?;
        let y = 48.0 + 20.0 * i as f64;
        writeln!(
            svg,
            "<path d=\"M440 {:.1}h26\" stroke=\"{colour}\" stroke-width=\"3\"/>",
            y - 4.0
        )?;
        writeln!(svg, "<text x=\"474\" y=\"{y:.1}\">{name}</text>")?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let curves = [
        fit("L-BFGS alone", "#888888", false)?,
        fit("minimize", "#c0392b", true)?,
    ];
    println!(
        "gradients  loss of {:14}  {}",
        curves[0].name, curves[1].name
    );
    for cost in [100.0, 300.0, 1000.0, 2000.0, MAX_COST as f64] {
        let loss = |curve: &Curve| {
            let before = curve.points.iter().take_while(|(c, _)| *c <= cost);
            before.last().map_or(f64::NAN, |(_, loss)| *loss)
        };
        println!(
            "{cost:9}  {:22.3e}  {:12.3e}",
            loss(&curves[0]),
            loss(&curves[1])
        );
    }
    for curve in &curves {
        println!(
            "{}: {}; relative error of u: {:.1e}",
            curve.name, curve.status, curve.error
        );
    }
    if let Some(path) = std::env::args_os().nth(1) {
        std::fs::write(&path, draw(&curves)?)?;
        println!("drawn: {}", path.display());
    }
    Ok(())
}
