//! The Hessian of a loss through Burn against the dense one, whose columns are exact products by dual numbers.

use std::cell::Cell;
use std::ops::ControlFlow;

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::Tensor;
use faer::{Mat, Side};
use fosi::density::{self, DensityParams};
use fosi::operator;
use fosi::spectrum::SpectrumParams;
use fosi::trace::{self, TraceParams};
use fosi::{Host, SampleMean, Space};
use fosi_burn::{BridgeError, FlatLayout, Hessian, OptimizerError, Precision, like_module};

use crate::common::exact::{Activation, Perceptron};
use crate::common::network::{Network, classification};
use crate::common::{bits, device, generator, linear, matrix};

/// A perceptron with 4·5+5 + 5·4+4 + 4·3+3 = 64 parameters, on `samples` examples.
fn perceptron(samples: usize, salt: u64) -> Perceptron {
    let (x, labels) = classification(samples, 4, 3, salt);
    Perceptron {
        widths: vec![4, 5, 4, 3],
        activation: Activation::Tanh,
        norm: false,
        bias: true,
        patches: 1,
        x,
        labels,
    }
}

const N: usize = 64;

fn theta(network: &Network) -> Vec<f64> {
    let layout = FlatLayout::of(network).unwrap();
    layout.parameters(network).unwrap()
}

/// H, column by column.
fn dense(of: &Perceptron, theta: &[f64]) -> Mat<f64> {
    let column = |j: usize| {
        let mut unit = vec![0.0; N];
        unit[j] = 1.0;
        of.hessian_product(theta, &unit)
    };
    let columns: Vec<Vec<f64>> = (0..N).map(column).collect();
    Mat::from_fn(N, N, |i, j| columns[j][i])
}

fn trace_of(h: &Mat<f64>) -> f64 {
    (0..N).map(|i| h[(i, i)]).sum()
}

fn frobenius_square(h: &Mat<f64>) -> f64 {
    h.norm_l2().powi(2)
}

fn within(found: SampleMean, truth: f64, errors: f64) {
    let error = found.standard_error.unwrap();
    let off = (found.mean - truth).abs();
    assert!(off <= errors * error, "{found:?} instead of {truth}");
}

fn close(found: f64, expected: f64, tolerance: f64) {
    let off = (found - expected).abs();
    assert!(
        off <= tolerance * expected.abs(),
        "{found} instead of {expected}"
    );
}

fn spectrum_params() -> SpectrumParams {
    SpectrumParams {
        largest: 6,
        smallest: 6,
        lanczos_steps: Some(N),
        ..SpectrumParams::default()
    }
}

fn density_params() -> DensityParams {
    DensityParams {
        probes: 40,
        lanczos_steps: 12,
        ..DensityParams::default()
    }
}

#[test]
fn all_three_estimates_are_those_of_the_dense_hessian() {
    let of = perceptron(40, 1);
    let network = Network::new(&of, 0.3, 1, &device());
    let before = bits(&network);
    let exact = dense(&of, &theta(&network));
    let truth = exact.self_adjoint_eigenvalues(Side::Lower).unwrap();
    let (trace, square) = (trace_of(&exact), frobenius_square(&exact));
    // The Hessian has curvature of both signs.
    assert!(truth[0] < -1e-2 && truth[N - 1] > 0.1, "{truth:?}");

    let evaluations = Cell::new(0);
    let loss = |network: &Network| {
        evaluations.set(evaluations.get() + 1);
        network.loss(&of)
    };
    let mut hessian = Hessian::new(&network, &loss).unwrap();
    assert_eq!((hessian.dim(), evaluations.get()), (N, 0));
    let spectrum = hessian.spectrum(&spectrum_params()).unwrap();
    let ends = (0..6)
        .map(|i| truth[N - 1 - i])
        .chain((0..6).map(|i| truth[i]));
    for (found, expected) in spectrum.eigenvalues.iter().zip(ends) {
        assert!(
            (found - expected).abs() < 1e-6 * truth[N - 1],
            "{found} {expected}"
        );
    }

    let found = hessian.trace(&TraceParams::default()).unwrap();
    within(found.trace, trace, 3.0);
    within(found.frobenius_square, square, 3.0);
    let density = hessian.density(&density_params()).unwrap();
    let n = N as f64;
    within(density.moment(1), trace / n, 3.0);
    within(density.moment(2), square / n, 3.0);
    // Precise enough for the comparison to be meaningful.
    assert!(found.trace.standard_error.unwrap() < 0.2 * trace);
    assert!(density.moment(2).standard_error.unwrap() < 0.2 * square / n);

    assert_eq!(hessian.precision(), Precision::F64);
    assert_eq!(hessian.gradients(), evaluations.get());
    assert_eq!(bits(&network), before);
}

/// With the same random vectors, differences of Burn's gradients and exact products give the same numbers.
#[test]
fn random_vectors_apart_the_estimates_are_exact() {
    let of = perceptron(40, 2);
    let network = Network::new(&of, 0.3, 2, &device());
    let theta = theta(&network);
    let mut product = operator::from_fn::<Host<f64>, _>(|v: &[f64], out: &mut [f64]| {
        out.copy_from_slice(&of.hessian_product(&theta, v));
    });
    let (space, params) = (Host::<f64>::new(N), TraceParams::default());
    let exact = trace::estimate(&space, &mut product, &params).unwrap();
    let exact_density = density::estimate(&space, &mut product, &density_params()).unwrap();
    let loss = |network: &Network| network.loss(&of);
    for (precision, tolerance) in [(Precision::F64, 1e-5), (Precision::F32, 3e-2)] {
        let mut hessian = Hessian::new(&network, &loss)
            .unwrap()
            .with_precision(precision);
        let found = hessian.trace(&params).unwrap();
        close(found.trace.mean, exact.trace.mean, tolerance);
        close(
            found.frobenius_square.mean,
            exact.frobenius_square.mean,
            tolerance,
        );
        let density = hessian.density(&density_params()).unwrap();
        for power in 1..=4 {
            let (found, exact) = (density.moment(power), exact_density.moment(power));
            close(found.mean, exact.mean, tolerance);
        }
        assert_eq!(hessian.precision(), precision);
    }
}

#[test]
fn of_several_losses_it_is_the_means() {
    let (first, second) = (perceptron(30, 3), perceptron(30, 4));
    let network = Network::new(&first, 0.3, 3, &device());
    let theta = theta(&network);
    let mean = (dense(&first, &theta) + dense(&second, &theta)) * faer::Scale(0.5);
    let truth = mean.self_adjoint_eigenvalues(Side::Lower).unwrap();
    let losses: Vec<_> = [&first, &second]
        .into_iter()
        .map(|of| move |network: &Network| network.loss(of))
        .collect();
    let mut hessian = Hessian::of_mean(&network, &losses).unwrap();
    let spectrum = hessian.spectrum(&spectrum_params()).unwrap();
    for (i, found) in spectrum.eigenvalues[..6].iter().enumerate() {
        close(*found, truth[N - 1 - i], 1e-5);
    }
    within(
        hessian.trace(&TraceParams::default()).unwrap().trace,
        trace_of(&mean),
        3.0,
    );
}

#[test]
fn on_a_device_it_is_the_same() {
    let of = perceptron(40, 5);
    let network = Network::new(&of, 0.3, 5, &device());
    let loss = |network: &Network| network.loss(&of);
    let mut host = Hessian::new(&network, &loss).unwrap();
    let mut device = Hessian::new(&network, &loss).unwrap().on_device();
    let params = TraceParams::default();
    let (found, expected) = (device.trace(&params).unwrap(), host.trace(&params).unwrap());
    close(found.trace.mean, expected.trace.mean, 1e-3);
    let (found, expected) = (
        device.density(&density_params()).unwrap(),
        host.density(&density_params()).unwrap(),
    );
    for power in 1..=3 {
        let size = expected.moment(power).mean;
        close(found.moment(power).mean, size, 1e-3);
    }
    let spectrum = device.spectrum(&SpectrumParams::default()).unwrap();
    let expected = host.spectrum(&SpectrumParams::default()).unwrap();
    close(spectrum.eigenvalues[0], expected.eigenvalues[0], 1e-3);
}

/// A batch that is not cast to the module's type.
#[test]
fn a_loss_that_is_not_to_be_had_in_f64_is_taken_in_f32() {
    let device = device();
    let layer = linear(3, 2, 1, &device);
    let x = matrix(20, 3, 2, &device);
    let uncast = |layer: &Linear| layer.forward(x.clone()).square().mean();
    let cast = |layer: &Linear| layer.forward(like_module(x.clone(), layer)).square().mean();
    let params = TraceParams::default();
    let mut single = Hessian::new(&layer, &uncast).unwrap();
    let mut double = Hessian::new(&layer, &cast).unwrap();
    let (found, expected) = (
        single.trace(&params).unwrap(),
        double.trace(&params).unwrap(),
    );
    assert_eq!(single.precision(), Precision::F32);
    close(found.trace.mean, expected.trace.mean, 1e-2);
    let mut strict = Hessian::new(&layer, &uncast)
        .unwrap()
        .with_precision(Precision::F64);
    let error = strict.trace(&params).unwrap_err();
    assert!(
        matches!(
            error,
            OptimizerError::Bridge(BridgeError::LossPrecision { .. })
        ),
        "{error}"
    );
}

#[derive(Module, Debug)]
struct WithDropout {
    hidden: Linear,
    dropout: Dropout,
    output: Linear,
}

#[test]
fn all_estimates_see_one_mask_of_dropout() {
    let _turn = generator();
    let device = device();
    let module = WithDropout {
        hidden: linear(4, 8, 1, &device),
        dropout: DropoutConfig::new(0.5).init(),
        output: linear(8, 1, 2, &device),
    };
    let x = matrix(10, 4, 3, &device);
    let loss = |module: &WithDropout| {
        let hidden = module.hidden.forward(like_module(x.clone(), module)).tanh();
        let dropped = module.dropout.forward(hidden);
        module.output.forward(dropped).square().mean()
    };
    let mut hessian = Hessian::new(&module, &loss).unwrap();
    let largest = |hessian: &mut Hessian<'_, WithDropout>| {
        let spectrum = hessian.spectrum(&SpectrumParams::default()).unwrap();
        spectrum.eigenvalues[0]
    };
    let first = largest(&mut hessian);
    assert_eq!(first, largest(&mut hessian));
    // Another seed draws other numbers.
    assert_ne!(first, largest(&mut Hessian::new(&module, &loss).unwrap()));
}

#[test]
fn an_estimation_says_how_far_it_is_and_can_be_cancelled() {
    let of = perceptron(20, 6);
    let network = Network::new(&of, 0.3, 6, &device());
    let loss = |network: &Network| network.loss(&of);
    let params = DensityParams {
        probes: 3,
        lanczos_steps: 4,
        ..DensityParams::default()
    };
    let mut hessian = Hessian::new(&network, &loss)
        .unwrap()
        .with_progress(|progress| {
            // Each probe computes its first product twice.
            assert_eq!(progress.at_most, 3 * (4 + 1));
            match progress.products < 7 {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
    let error = hessian.density(&params).unwrap_err();
    assert!(
        matches!(
            error,
            OptimizerError::Bridge(BridgeError::Cancelled { products: 7 })
        ),
        "{error}"
    );
    let mut hessian = hessian.with_progress(|_| ControlFlow::Continue(()));
    assert_eq!(hessian.density(&params).unwrap().products(), 15);
}

#[test]
fn what_is_wrong_with_a_loss_or_a_setting_is_said() {
    let of = perceptron(20, 7);
    let network = Network::new(&of, 0.3, 7, &device());
    let none: [fn(&Network) -> Tensor<1>; 0] = [];
    let error = Hessian::of_mean(&network, &none).unwrap_err();
    assert!(
        matches!(
            error,
            OptimizerError::Fosi(fosi::Error::InvalidSetting { .. })
        ),
        "{error}"
    );
    let elsewhere = |_: &Network| network.loss(&of);
    let error = Hessian::new(&network, &elsewhere)
        .unwrap()
        .trace(&TraceParams::default())
        .unwrap_err();
    assert!(
        matches!(
            error,
            OptimizerError::Bridge(BridgeError::LossIgnoresModule)
        ),
        "{error}"
    );
    let calls = Cell::new(0);
    let loss = |network: &Network| {
        calls.set(calls.get() + 1);
        network.loss(&of)
    };
    let mut hessian = Hessian::new(&network, &loss).unwrap();
    let no_probe = TraceParams {
        probes: 0,
        ..TraceParams::default()
    };
    let error = hessian.trace(&no_probe).unwrap_err();
    assert!(
        matches!(
            error,
            OptimizerError::Fosi(fosi::Error::InvalidSetting { .. })
        ),
        "{error}"
    );
    // An invalid setting is refused before any evaluation.
    assert_eq!(calls.get(), 0);
    assert_eq!(hessian.space().dim(), N);
}
