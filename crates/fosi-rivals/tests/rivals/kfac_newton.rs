//! On one dense layer with the squared error, K-FAC's step without damping is Newton's.

use burn::nn::Linear;
use burn::tensor::Tensor;
use faer::Mat;
use faer::linalg::solvers::Solve;
use fosi_burn::like_module;
use fosi_rivals::kfac::{Damping, Fisher, Momentum};
use fosi_rivals::{Kfac, KfacConfig, Loss, Prediction, Recorder, Rival};

use crate::common::{distance, entries, linear, parameters, tensor};

const ROWS: usize = 40;
const INPUTS: usize = 5;
const OUTPUTS: usize = 3;

struct LeastSquares {
    x: Tensor<2>,
    y: Tensor<2>,
}

impl Loss<Linear> for LeastSquares {
    fn loss(&self, model: &Linear) -> Tensor<1> {
        let x = like_module(self.x.clone(), model);
        let residual = model.forward(x) - like_module(self.y.clone(), model);
        residual.square().sum() / ROWS as f64
    }

    fn predict(&self, model: &Linear, recorder: &mut Recorder) -> Option<Prediction> {
        let x = like_module(self.x.clone(), model);
        Some(Prediction::squared_error(recorder.linear(model, x)))
    }
}

/// The weights and the bias of the least-squares solution.
fn solution() -> Vec<f64> {
    let (x, y) = (entries(ROWS * INPUTS, 10), entries(ROWS * OUTPUTS, 11));
    // Rounded to f32, as in the layer.
    let single = |x: f64| f64::from(x as f32);
    let design = Mat::from_fn(ROWS, INPUTS + 1, |i, j| match j {
        INPUTS => 1.0,
        _ => single(x[i * INPUTS + j]),
    });
    let targets = Mat::from_fn(ROWS, OUTPUTS, |i, j| single(y[i * OUTPUTS + j]));
    let gram = design.transpose() * &design;
    let solution = gram
        .llt(faer::Side::Lower)
        .unwrap()
        .solve(design.transpose() * targets);
    let at = |i: usize| solution[(i / OUTPUTS, i % OUTPUTS)];
    (0..(INPUTS + 1) * OUTPUTS).map(at).collect()
}

fn problem() -> (Linear, LeastSquares) {
    let loss = LeastSquares {
        x: tensor([ROWS, INPUTS], 10),
        y: tensor([ROWS, OUTPUTS], 11),
    };
    (linear(INPUTS, OUTPUTS, 1), loss)
}

#[test]
fn a_full_step_without_damping_is_newtons() {
    let (mut model, loss) = problem();
    let config = KfacConfig {
        momentum: Momentum::Fixed(0.0),
        initial_damping: 0.0,
        damping: Damping::Fixed,
        fisher: Fisher::Exact,
        ..KfacConfig::default()
    };
    let mut kfac = Kfac::new(&model, &loss, config).unwrap();
    kfac.step(1.0, &mut model, &loss).unwrap();
    let error = distance(&parameters(&model), &solution());
    assert!(error < 1e-5, "{error}");
}

#[test]
fn the_adaptive_rate_finds_the_full_step_itself() {
    let (mut model, loss) = problem();
    let config = KfacConfig {
        adaptive_learning_rate: true,
        momentum: Momentum::Adaptive,
        initial_damping: 0.0,
        damping: Damping::Fixed,
        fisher: Fisher::Exact,
        ..KfacConfig::default()
    };
    let mut kfac = Kfac::new(&model, &loss, config).unwrap();
    let done = kfac.step(0.0, &mut model, &loss).unwrap();
    assert!((done.learning_rate - 1.0).abs() < 1e-5, "{done:?}");
    assert_eq!(done.momentum, Some(0.0));
    let error = distance(&parameters(&model), &solution());
    assert!(error < 1e-5, "{error}");
}

#[test]
fn the_norm_constraint_shortens_the_step() {
    // The squared norm of the unconstrained step Δ = −0.5F⁻¹g is 0.25·gᵀF⁻¹g = 0.25·2(f(θ) − f(θ*)).
    let (start, loss) = problem();
    let minimum = {
        let layout = fosi_burn::FlatLayout::of(&start).unwrap();
        let best = layout.set_parameters(&start, &solution()[..]).unwrap();
        loss.loss(&best).into_scalar::<f64>()
    };
    let square = 0.5 * (loss.loss(&start).into_scalar::<f64>() - minimum);
    let config = KfacConfig {
        momentum: Momentum::Fixed(0.0),
        initial_damping: 0.0,
        damping: Damping::Fixed,
        fisher: Fisher::Exact,
        norm_constraint: Some(square / 4.0),
        ..KfacConfig::default()
    };
    let mut kfac = Kfac::new(&start, &loss, config).unwrap();
    let mut model = start.clone();
    kfac.step(0.5, &mut model, &loss).unwrap();
    // Half of half the distance.
    let (before, after) = (parameters(&start), parameters(&model));
    let expected: Vec<f64> = before
        .iter()
        .zip(solution())
        .map(|(x, best)| x + 0.25 * (best - x))
        .collect();
    let error = distance(&after, &expected);
    assert!(error < 1e-5, "{error}");
}
