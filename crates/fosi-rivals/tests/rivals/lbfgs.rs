//! L-BFGS against BFGS with a dense matrix, on a convex quadratic.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{DType, Tensor, TensorData};
use faer::linalg::solvers::Solve;
use faer::{Col, Mat, Side};
use fosi_rivals::{Lbfgs, LbfgsConfig, Rival, RivalError};

use crate::common::{Perceptron, Regression, bits, device, distance, entries, parameters};

const N: usize = 8;

/// f(x) = ½xᵀHx − bᵀx.
struct Quadratic {
    hessian: Mat<f64>,
    linear: Col<f64>,
}

impl Quadratic {
    fn new() -> Self {
        let root = entries(N * N, 1);
        let root = Mat::from_fn(N, N, |i, j| root[i * N + j]);
        let diagonal = Mat::from_fn(
            N,
            N,
            |i, j| if i == j { 0.1 * i as f64 + 0.05 } else { 0.0 },
        );
        let linear = entries(N, 2);
        Self {
            hessian: root.transpose() * &root + diagonal,
            linear: Col::from_fn(N, |i| linear[i]),
        }
    }

    fn value(&self, x: &Col<f64>) -> f64 {
        (x.transpose() * (&self.hessian * x)) * 0.5 - self.linear.transpose() * x
    }

    fn gradient(&self, x: &Col<f64>) -> Col<f64> {
        &self.hessian * x - &self.linear
    }

    /// The loss of a layer whose weights are x, in f64.
    fn loss(&self) -> impl Fn(&Linear) -> Tensor<1> + use<> {
        let tensor = |values: Vec<f64>, shape: [usize; 2]| -> Tensor<2> {
            Tensor::from_data(TensorData::new(values, shape), (&device(), DType::F64))
        };
        let hessian = (0..N * N).map(|at| self.hessian[(at / N, at % N)]);
        let hessian = tensor(hessian.collect(), [N, N]);
        let linear = tensor((0..N).map(|i| self.linear[i]).collect(), [1, N]);
        move |model: &Linear| {
            let x = model.weight.val();
            let curved = (x.clone() * x.clone().matmul(hessian.clone())).sum() * 0.5;
            curved - (x * linear.clone()).sum()
        }
    }
}

fn start() -> Linear {
    let data = TensorData::new(entries(N, 3), [1, N]);
    Linear {
        weight: Param::from_tensor(Tensor::from_data(data, (&device(), DType::F64))),
        bias: None,
    }
}

fn point(model: &Linear) -> Col<f64> {
    let x = parameters(model);
    Col::from_fn(N, |i| x[i])
}

fn slice(x: &Col<f64>) -> Vec<f64> {
    x.iter().copied().collect()
}

/// −Hg with the matrix H from BFGS's formula for the pairs, starting from (sᵀy/yᵀy)I of the newest pair.
fn direction(pairs: &[(Col<f64>, Col<f64>)], gradient: &Col<f64>) -> Col<f64> {
    let identity = Mat::<f64>::identity(N, N);
    let mut inverse = identity.clone();
    if let Some((s, y)) = pairs.last() {
        inverse *= faer::Scale((s.transpose() * y) / (y.transpose() * y));
    }
    for (s, y) in pairs {
        let rho = 1.0 / (s.transpose() * y);
        let left = &identity - s * y.transpose() * faer::Scale(rho);
        inverse = &left * inverse * left.transpose() + s * s.transpose() * faer::Scale(rho);
    }
    inverse * gradient * faer::Scale(-1.0)
}

#[test]
fn each_step_is_bfgss_with_the_kept_pairs_and_satisfies_the_strong_wolfe_conditions() {
    let quadratic = Quadratic::new();
    let loss = quadratic.loss();
    let mut model = start();
    let history = 4;
    let config = LbfgsConfig {
        history,
        ..LbfgsConfig::default()
    };
    let mut lbfgs = Lbfgs::new(&model, config).unwrap();
    let mut pairs: Vec<(Col<f64>, Col<f64>)> = Vec::new();
    for _ in 0..12 {
        let before = point(&model);
        let gradient = quadratic.gradient(&before);
        let done = lbfgs.step(f64::NAN, &mut model, &loss).unwrap();
        let after = point(&model);
        let kept = &pairs[pairs.len().saturating_sub(history)..];
        let expected = direction(kept, &gradient) * faer::Scale(done.learning_rate);
        let step = &after - &before;
        // Pairs are kept in f32.
        let error = distance(&slice(&step), &slice(&expected));
        assert!(error < 1e-4, "{error}");
        let slope = gradient.transpose() * &step;
        let end = quadratic.gradient(&after);
        assert!(quadratic.value(&after) <= quadratic.value(&before) + 1e-4 * slope);
        assert!((end.transpose() * &step).abs() <= 0.9 * slope.abs());
        pairs.push((step, end - gradient));
    }
    assert_eq!(lbfgs.pairs(), history);
    assert_eq!(lbfgs.kept_floats(), 2 * history * N);
}

#[test]
fn it_finds_the_minimum() {
    let quadratic = Quadratic::new();
    let loss = quadratic.loss();
    let mut model = start();
    let mut lbfgs = Lbfgs::new(&model, LbfgsConfig::default()).unwrap();
    for _ in 0..40 {
        lbfgs.step(0.0, &mut model, &loss).unwrap();
    }
    let minimum = quadratic
        .hessian
        .llt(Side::Lower)
        .unwrap()
        .solve(&quadratic.linear);
    let error = distance(&parameters(&model), &slice(&minimum));
    assert!(error < 1e-6, "{error}");
    let cost = lbfgs.cost();
    assert_eq!(cost.gradients, 40);
    assert!(cost.line_search >= 20 && cost.line_search < 100, "{cost:?}");
}

#[test]
fn a_pair_without_positive_curvature_is_left_out() {
    // −½‖x‖² has no minimum along a line: no step length satisfies the second condition.
    let loss = |model: &Linear| model.weight.val().square().sum() * -0.5;
    let mut model = start();
    let mut lbfgs = Lbfgs::new(&model, LbfgsConfig::default()).unwrap();
    let first = lbfgs.step(0.0, &mut model, &loss).unwrap();
    assert!(first.learning_rate > 0.0);
    assert_eq!(lbfgs.pairs(), 0);
    let second = lbfgs.step(0.0, &mut model, &loss).unwrap();
    assert!(second.loss < first.loss);
}

#[test]
fn where_the_loss_is_not_finite_a_shorter_step_is_taken() {
    // NaN beyond a thousandth of the first trial step.
    let begin = start();
    let origin = begin.weight.val().detach();
    let loss = move |model: &Linear| {
        let moved = (model.weight.val() - origin.clone()).square().sum();
        // The square root of a negative number is NaN.
        let inside = (moved.detach().neg() + 1e-6).sqrt();
        (model.weight.val().square().sum() * 0.5 + inside * 1e-9).reshape([1])
    };
    let mut model = begin;
    let mut lbfgs = Lbfgs::new(&model, LbfgsConfig::default()).unwrap();
    let done = lbfgs.step(0.0, &mut model, &loss).unwrap();
    assert!(
        done.learning_rate > 0.0 && done.learning_rate < 1e-2,
        "{done:?}"
    );
}

#[test]
fn a_resumed_run_has_the_same_bits() {
    let batch = |step: u64| Regression::new(16, 4, 2, 20 + 2 * (step % 3));
    let config = LbfgsConfig {
        history: 3,
        ..LbfgsConfig::default()
    };
    let mut whole = Perceptron::new(4, 6, 2);
    let mut lbfgs = Lbfgs::new(&whole, config).unwrap();
    let mut halfway = None;
    for step in 0..10 {
        if step == 5 {
            halfway = Some((whole.clone(), lbfgs.to_bytes().unwrap()));
        }
        lbfgs.step(0.0, &mut whole, &batch(step)).unwrap();
    }
    let (mut model, bytes) = halfway.unwrap();
    let mut resumed = Lbfgs::new(&model, config).unwrap();
    resumed.load(&bytes).unwrap();
    for step in 5..10 {
        resumed.step(0.0, &mut model, &batch(step)).unwrap();
    }
    assert_eq!(bits(&model), bits(&whole));
    assert_eq!(resumed.to_bytes().unwrap(), lbfgs.to_bytes().unwrap());
    let none = LbfgsConfig {
        history: 0,
        ..config
    };
    let error = Lbfgs::new(&model, none).unwrap_err();
    assert!(matches!(
        error,
        RivalError::Setting {
            name: "history",
            ..
        }
    ));
}
