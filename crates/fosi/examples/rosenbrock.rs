//! Minimising a function of one's own, without a learning rate: Rosenbrock's valley in 20 dimensions.
//!
//! `cargo run --release -p fosi --example rosenbrock` prints the way down, then what the run found and what it cost.

// ANCHOR: function
use fosi::minimize::{Minimizer, Objective, Options};

const VARIABLES: usize = 20;

/// Σ 100(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)², and its gradient. The minimum is 0, at x = (1, …, 1).
fn rosenbrock(x: &[f64], gradient: &mut [f64]) -> f64 {
    gradient.fill(0.0);
    let mut value = 0.0;
    for i in 0..x.len() - 1 {
        let (a, b) = (1.0 - x[i], x[i + 1] - x[i] * x[i]);
        value += a * a + 100.0 * b * b;
        gradient[i] += -2.0 * a - 400.0 * x[i] * b;
        gradient[i + 1] += 200.0 * b;
    }
    value
}
// ANCHOR_END: function

fn main() -> Result<(), fosi::Error> {
    // ANCHOR: run
    let mut objective = Objective::new(VARIABLES, |x, gradient| Ok(rosenbrock(x, gradient)));
    let options = Options {
        gradient_norm: 1e-8,
        check_minimum: true,
        ..Options::default()
    };
    let mut run = Minimizer::new(&mut objective, &[-1.0; VARIABLES], options)?;
    println!("step  gradients           f    |∇f|");
    let status = loop {
        if run.steps().is_multiple_of(10) {
            println!(
                "{:4}  {:9}  {:10.3e}  {:.0e}",
                run.steps(),
                run.cost(),
                run.value(),
                run.gradient_norm()
            );
        }
        if let Some(status) = run.step(&mut objective) {
            break status;
        }
    };
    let minimum = run.finish(status);
    // ANCHOR_END: run

    let farthest = minimum.best.parameters.iter().map(|x| (x - 1.0).abs());
    println!(
        "\n{}: f = {:.1e} after {} steps and {} gradients; every variable is within {:.0e} of 1",
        minimum.status,
        minimum.best.value,
        minimum.steps,
        minimum.gradients,
        farthest.fold(0.0, f64::max)
    );
    for estimation in &minimum.estimations {
        println!(
            "spectrum after step {}: eigenvalues from {:.2} to {:.0}, {} products",
            estimation.step, estimation.smallest, estimation.largest, estimation.info.products
        );
    }
    println!("curvature at the end: {:?}", minimum.curvature);
    Ok(())
}
