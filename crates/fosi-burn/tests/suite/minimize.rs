//! Minimisation of a module's loss on all data, without a learning rate.

use std::cell::Cell;

use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::{DType, FloatDType, Tensor};
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use fosi::minimize::{Curvature, Options, Status};
use fosi_burn::{
    BridgeError, FlatLayout, OptimizerError, Precision, Replica, backward, like_module, minimize,
    minimize_mean,
};

use crate::common::{Batch, Network, bits, device, generator, linear, matrix};

const ROWS: usize = 20;
const INPUTS: usize = 3;

/// A linear model in f32 and its data, rows of 3 inputs and a target.
fn least_squares() -> (Linear, Tensor<2>, Tensor<2>) {
    let device = device();
    let x = matrix(ROWS, INPUTS, 7, &device);
    let y = matrix(ROWS, 1, 8, &device);
    (linear(INPUTS, 1, 9, &device), x, y)
}

fn mean_square(model: &Linear, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<1> {
    let residual = model.forward(like_module(x.clone(), model)) - like_module(y.clone(), model);
    residual.square().mean()
}

/// AᵀWA and AᵀWy for the rows a = (x, 1), weighted.
fn normal_equations(
    x: &Tensor<2>,
    y: &Tensor<2>,
    weight: impl Fn(usize) -> f64,
) -> (Mat<f64>, Mat<f64>) {
    let x = x.clone().try_into_vec_as::<f64>().unwrap();
    let y = y.clone().try_into_vec_as::<f64>().unwrap();
    let a = Mat::from_fn(ROWS, INPUTS + 1, |i, j| {
        if j < INPUTS { x[i * INPUTS + j] } else { 1.0 }
    });
    let weighted = Mat::from_fn(ROWS, INPUTS + 1, |i, j| weight(i) * a[(i, j)]);
    let y = Mat::from_fn(ROWS, 1, |i, _| y[i]);
    (weighted.transpose() * &a, weighted.transpose() * y)
}

/// Weights and bias that minimise Σ wᵢ(aᵢᵀθ − yᵢ)².
fn solution(x: &Tensor<2>, y: &Tensor<2>, weight: impl Fn(usize) -> f64) -> Vec<f64> {
    let (matrix, right) = normal_equations(x, y, weight);
    let theta = matrix.llt(Side::Lower).unwrap().solve(right);
    (0..=INPUTS).map(|i| theta[(i, 0)]).collect()
}

fn in_double<M: Module>(module: &M) -> M {
    let replica = Replica::new(module, Precision::F64).unwrap();
    replica.at(&replica.parameters().unwrap()).unwrap()
}

fn parameters(module: &impl Module) -> Vec<f64> {
    FlatLayout::of(module).unwrap().parameters(module).unwrap()
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found} {expected}");
    }
}

fn precise() -> Options {
    Options {
        gradient_norm: 1e-9,
        ..Options::default()
    }
}

#[test]
fn least_squares_are_those_of_the_normal_equations() {
    let (model, x, y) = least_squares();
    let mut model = in_double(&model);
    let loss = |model: &Linear| mean_square(model, &x, &y);
    let options = Options {
        check_minimum: true,
        ..precise()
    };
    let minimum = minimize(&mut model, &loss, options).unwrap();

    assert_close(&parameters(&model), &solution(&x, &y, |_| 1.0), 1e-7);
    assert!(matches!(minimum.status, Status::GradientNorm));
    assert_eq!(minimum.precision, Precision::F64);
    assert_eq!(minimum.value, loss(&model).into_scalar::<f64>());
    // The Hessian is 2AᵀA/rows; Lanczos finds all of its four eigenvalues.
    let (gram, _) = normal_equations(&x, &y, |_| 2.0 / ROWS as f64);
    let smallest = gram.self_adjoint_eigenvalues(Side::Lower).unwrap()[0];
    match minimum.curvature {
        Curvature::NoneNegative { smallest: found } => {
            assert!(
                (found - smallest).abs() <= 1e-6 * smallest,
                "{found} {smallest}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[derive(Module, Debug)]
struct Perceptron {
    hidden: Linear,
    output: Linear,
}

impl Perceptron {
    fn new() -> Self {
        let device = device();
        Self {
            hidden: linear(4, 8, 21, &device),
            output: linear(8, 2, 22, &device),
        }
    }

    fn loss(&self, batch: &(Tensor<2>, Tensor<2>)) -> Tensor<1> {
        let (x, y) = (
            like_module(batch.0.clone(), self),
            like_module(batch.1.clone(), self),
        );
        let output = self.output.forward(self.hidden.forward(x).tanh());
        (output - y).square().mean()
    }

    fn batch(rows: usize) -> (Tensor<2>, Tensor<2>) {
        let device = device();
        (matrix(rows, 4, 23, &device), matrix(rows, 2, 24, &device))
    }
}

#[test]
fn value_and_gradient_at_the_end_are_those_of_burns_own_backward() {
    let batch = Perceptron::batch(40);
    let mut network = in_double(&Perceptron::new());
    let loss = |network: &Perceptron| network.loss(&batch);
    let before = loss(&network).into_scalar::<f64>();
    let options = Options {
        gradient_norm: 0.0,
        max_cost: 1000,
        ..Options::default()
    };
    let minimum = minimize(&mut network, &loss, options).unwrap();

    let (value, gradients) = backward(&network, loss).unwrap();
    let layout = FlatLayout::of(&network).unwrap();
    let gradient: Vec<f64> = layout.gradient(&network, gradients).unwrap();
    let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    assert!(matches!(minimum.status, Status::MaxCost), "{minimum:?}");
    assert!((norm - minimum.gradient_norm).abs() <= 1e-12 * norm.max(1.0));
    assert_eq!(value, minimum.value);
    assert!(value < 0.5 * before, "{value} {before}");
    let products: usize = minimum.estimations.iter().map(|e| e.info.products).sum();
    assert!(products > 0);
    assert_eq!(usize::try_from(minimum.products), Ok(products));
}

/// The rows before and after the 6th.
fn slices(x: &Tensor<2>) -> [Tensor<2>; 2] {
    [x.clone().slice(0..6), x.clone().slice(6..ROWS)]
}

#[test]
fn slices_by_their_sizes_are_the_whole_and_other_weights_another_loss() {
    let (start, x, y) = least_squares();
    let start = in_double(&start);
    let [x0, x1] = slices(&x);
    let [y0, y1] = slices(&y);
    let parts = [(x0, y0), (x1, y1)];
    let loss_on = |(x, y): &(Tensor<2>, Tensor<2>)| {
        let (x, y) = (x.clone(), y.clone());
        move |model: &Linear| mean_square(model, &x, &y)
    };
    let losses = parts.each_ref().map(loss_on);

    let mut model = start.clone();
    let minimum = minimize_mean(&mut model, &losses, &[6.0, 14.0], precise()).unwrap();
    assert_close(&parameters(&model), &solution(&x, &y, |_| 1.0), 1e-7);
    let whole = mean_square(&model, &x, &y).into_scalar::<f64>();
    assert!((minimum.value - whole).abs() <= 1e-14 * whole);

    let mut model = start.clone();
    minimize_mean(&mut model, &losses, &[5.0, 5.0], precise()).unwrap();
    let equal = |row: usize| if row < 6 { 1.0 / 6.0 } else { 1.0 / 14.0 };
    let expected = solution(&x, &y, equal);
    assert_close(&parameters(&model), &expected, 1e-7);
    let difference = expected[0] - solution(&x, &y, |_| 1.0)[0];
    assert!(
        difference.abs() > 1e-3,
        "{difference}: the weights must show"
    );
}

#[test]
fn weights_that_mean_nothing_are_refused() {
    let (mut model, x, y) = least_squares();
    let before = bits(&model);
    let loss = |model: &Linear| mean_square(model, &x, &y);
    let losses = [loss, loss];
    let cases: [(&[_], &[f64], &str); 5] = [
        (&losses, &[1.0], "1 for 2 losses"),
        (&losses, &[1.0, 0.0], "a weight is 0"),
        (&losses, &[1.0, f64::NAN], "a weight is NaN"),
        (
            &losses,
            &[f64::MAX, f64::MAX],
            "the sum of the weights is inf",
        ),
        (&losses[..0], &[], "the number of losses is 0"),
    ];
    for (losses, weights, message) in cases {
        let error = minimize_mean(&mut model, losses, weights, Options::default()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
    assert_eq!(bits(&model), before);
}

#[test]
fn batch_norm_in_training_is_refused_and_its_running_statistics_are_left() {
    let device = device();
    let (mut network, batch) = (Network::new(&device), Batch::new(16, &device));
    network.loss(&batch);
    let (before, statistics) = (bits(&network), network.running_statistics());
    let loss = |n: &Network| n.loss(&batch);
    let error = minimize(&mut network, &loss, Options::default()).unwrap_err();
    assert!(
        matches!(&error, OptimizerError::Bridge(BridgeError::ChangedBuffer { path }) if path == "norm.running_mean"),
        "{error}"
    );
    assert!(error.to_string().contains("batch norm"), "{error}");
    assert_eq!(bits(&network), before);
    assert_eq!(network.running_statistics(), statistics);

    // Outside training it is an affine map.
    network.norm.training = network.norm.training.with_value(false);
    let start = loss(&network).into_scalar::<f64>();
    let options = Options {
        max_cost: 30,
        ..Options::default()
    };
    let minimum = minimize(&mut network, &loss, options).unwrap();
    assert!(minimum.value < start);
    assert_eq!(network.running_statistics(), statistics);
    assert!(!network.norm.training.is_enabled());
    assert!(!network.frozen.weight.is_require_grad());
}

#[derive(Module, Debug)]
struct WithDropout {
    hidden: Linear,
    dropout: Dropout,
    output: Linear,
}

#[test]
fn dropout_is_refused_by_its_name_and_a_fixed_mask_accepted() {
    let _turn = generator();
    let device = device();
    let mut model = WithDropout {
        hidden: linear(6, 30, 1, &device),
        dropout: DropoutConfig::new(0.5).init(),
        output: linear(30, 2, 2, &device),
    };
    let x = matrix(12, 6, 3, &device);
    let loss = |model: &WithDropout| {
        let hidden = model.hidden.forward(like_module(x.clone(), model)).tanh();
        model
            .output
            .forward(model.dropout.forward(hidden))
            .square()
            .mean()
    };
    let before = bits(&model);
    let error = minimize(&mut model, &loss, Options::default()).unwrap_err();
    assert!(
        matches!(error, OptimizerError::Bridge(BridgeError::LossNotDeterministic { first, second }) if first != second),
        "{error}"
    );
    assert!(error.to_string().contains("dropout"), "{error}");
    assert_eq!(bits(&model), before);

    let seeded = |model: &WithDropout| {
        device.seed(9);
        loss(model)
    };
    let options = Options {
        max_cost: 30,
        ..Options::default()
    };
    let start = seeded(&model).into_scalar::<f64>();
    assert!(minimize(&mut model, &seeded, options).unwrap().value < 0.5 * start);
}

#[test]
fn a_refusal_leaves_the_module_as_it_was() {
    let (mut model, x, y) = least_squares();
    let before = bits(&model);
    let uncast = |model: &Linear| (model.forward(x.clone()) - y.clone()).square().mean();
    let error = minimize(&mut model, &uncast, Options::default()).unwrap_err();
    let of_type = |error: &OptimizerError| {
        matches!(
            error,
            OptimizerError::Bridge(BridgeError::LossPrecision { .. })
        )
    };
    assert!(of_type(&error), "{error}");

    let loss = |model: &Linear| mean_square(model, &x, &y);
    let options = Options {
        gradient_norm: -1.0,
        ..Options::default()
    };
    let error = minimize(&mut model, &loss, options).unwrap_err();
    assert!(error.to_string().contains("gradient_norm is -1"), "{error}");

    let infinite = |model: &Linear| loss(model).div_scalar(0.0);
    let error = minimize(&mut model, &infinite, Options::default()).unwrap_err();
    assert!(
        matches!(
            error,
            OptimizerError::Fosi(fosi::Error::NonFiniteStart { .. })
        ),
        "{error}"
    );
    assert_eq!(bits(&model), before);
}

#[test]
fn a_loss_that_fails_on_the_way_leaves_the_best_point() {
    let batch = Perceptron::batch(40);
    let mut network = in_double(&Perceptron::new());
    let calls = Cell::new(0);
    let loss = |network: &Perceptron| {
        calls.set(calls.get() + 1);
        match calls.get() > 30 {
            true => network.output.bias.as_ref().unwrap().val(),
            false => network.loss(&batch),
        }
    };
    let start = network.loss(&batch).into_scalar::<f64>();
    let minimum = minimize(&mut network, &loss, Options::default()).unwrap();
    assert!(
        matches!(&minimum.status, Status::Failed(error) if error.to_string().contains("2 entries"))
    );
    assert!(minimum.value < 0.9 * start);
    assert_eq!(network.loss(&batch).into_scalar::<f64>(), minimum.value);
}

#[test]
fn each_module_gets_its_own_float_type_back() {
    let (single, x, y) = least_squares();
    let half = Linear {
        weight: single.weight.clone().map(|w| {
            w.set_require_grad(false)
                .cast(FloatDType::BF16)
                .require_grad()
        }),
        bias: single.bias.clone().map(|b: Param<Tensor<1>>| {
            b.map(|b| {
                b.set_require_grad(false)
                    .cast(FloatDType::BF16)
                    .require_grad()
            })
        }),
    };
    let expected = solution(&x, &y, |_| 1.0);
    for (mut model, dtype, roundoff) in [
        (single, DType::F32, 2f64.powi(-24)),
        (half, DType::BF16, 2f64.powi(-8)),
    ] {
        let loss = |model: &Linear| mean_square(model, &x, &y);
        let ids = (model.weight.id, model.bias.as_ref().unwrap().id);
        let minimum = minimize(&mut model, &loss, precise()).unwrap();
        assert_eq!(minimum.precision, Precision::F64);
        assert_eq!(model.weight.val().dtype(), dtype);
        assert_eq!((model.weight.id, model.bias.as_ref().unwrap().id), ids);
        assert!(model.weight.is_require_grad());
        // Rounded once, or twice via f32.
        for (found, expected) in parameters(&model).iter().zip(&expected) {
            let allowed = roundoff * expected.abs() * (1.0 + 1e-4);
            assert!(
                (found - expected).abs() <= allowed + 1e-7,
                "{found} {expected}"
            );
        }
    }
}

#[test]
fn equal_calls_give_equal_bits() {
    let batch = Perceptron::batch(40);
    let start = in_double(&Perceptron::new());
    let loss = |network: &Perceptron| network.loss(&batch);
    let run = || {
        let mut network = start.clone();
        let minimum = minimize(&mut network, &loss, Options::default()).unwrap();
        let bits: Vec<u64> = parameters(&network).into_iter().map(f64::to_bits).collect();
        (
            bits,
            minimum.value.to_bits(),
            minimum.gradients,
            minimum.steps,
        )
    };
    let first = run();
    assert_eq!(run(), first);
    let start_bits: Vec<u64> = parameters(&start).into_iter().map(f64::to_bits).collect();
    assert_ne!(first.0, start_bits);
}
