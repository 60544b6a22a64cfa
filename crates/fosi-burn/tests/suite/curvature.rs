//! Spectra through Burn against exact ones: the analytic Hessian of logistic regression, and Hessian-vector products by
//! dual numbers of a second implementation of small networks.

use crate::common::device;
use crate::common::exact::{Activation, Perceptron};
use crate::common::network::{Network, classification};
use faer::{Mat, Side};
use fosi::Host;
use fosi::error::{BoxError, Error, LanczosError};
use fosi::operator::{self, DifferenceQuotient, HostGradient, StepSizes};
use fosi::spectrum::{Spectrum, SpectrumParams, estimate};
use fosi_burn::{FlatLayout, Precision, Replica};

/// A perceptron with hidden layers of 16, on 32 examples of 8 inputs and 4 classes.
fn perceptron(activation: Activation, norm: bool, salt: u64) -> Perceptron {
    let (x, labels) = classification(32, 8, 4, salt);
    Perceptron {
        widths: vec![8, 16, 16, 4],
        activation,
        norm,
        bias: true,
        patches: 1,
        x,
        labels,
    }
}

/// `steps` steps of Heavy-Ball with the second implementation's gradients; the result is exactly representable in f32.
fn trained(of: &Perceptron, network: &Network, steps: usize) -> Network {
    let layout = FlatLayout::of(network).unwrap();
    let mut theta: Vec<f64> = layout.parameters(network).unwrap();
    let mut momentum = vec![0.0; theta.len()];
    for _ in 0..steps {
        let gradient = of.gradient(&theta);
        for ((m, theta), g) in momentum.iter_mut().zip(&mut theta).zip(gradient) {
            *m = 0.9 * *m + g;
            *theta -= 0.05 * *m;
        }
    }
    layout.set_parameters(network, &theta[..]).unwrap()
}

/// The spectrum from differences of Burn's gradients, and that of the exact Hessian at the same point.
enum Outcome {
    Found {
        found: Box<Spectrum<Host<f64>>>,
        exact: Vec<f64>,
    },
    Refused,
}

impl Outcome {
    /// The largest relative error of the ten eigenvalues.
    fn error(&self) -> Option<f64> {
        let Self::Found { found, exact } = self else {
            return None;
        };
        let pairs = found.eigenvalues.iter().zip(exact);
        Some(
            pairs
                .map(|(a, b)| (a - b).abs() / b.abs())
                .fold(0.0, f64::max),
        )
    }
}

/// Lanczos on the quotient and, from the same start, on exact products.
fn estimate_both(
    of: &Perceptron,
    network: &Network,
    precision: Precision,
    first_step: f64,
    seed: u64,
) -> Outcome {
    let replica = Replica::new(network, precision).unwrap();
    let loss = |network: &Network| network.loss(of);
    let gradient = |theta: &[f64], out: &mut [f64]| -> Result<(), BoxError> {
        out.copy_from_slice(&replica.value_and_gradient(theta, &loss)?.1);
        Ok(())
    };
    let steps = StepSizes::new(first_step, 1e-11).unwrap();
    let oracle = HostGradient::new(&replica.parameters().unwrap(), gradient);
    let mut quotient = match precision {
        Precision::F64 => DifferenceQuotient::with_steps(oracle, steps),
        Precision::F32 => DifferenceQuotient::central(oracle),
    };
    let params = SpectrumParams {
        seed,
        ..SpectrumParams::default()
    };
    let space = Host::<f64>::new(of.len());
    let found = match estimate(&space, &mut quotient, &params) {
        Ok(found) => found,
        Err(Error::Lanczos(
            LanczosError::Unresolved { .. }
            | LanczosError::Asymmetric { .. }
            | LanczosError::Shifted { .. },
        )) => {
            return Outcome::Refused;
        }
        Err(error) => panic!("{error}"),
    };
    let point = quotient.oracle().point().to_vec();
    let mut product = operator::from_fn::<Host<f64>, _>(|v: &[f64], out: &mut [f64]| {
        out.copy_from_slice(&of.hessian_product(&point, v));
    });
    let exact = estimate(&space, &mut product, &params).unwrap().eigenvalues;
    Outcome::Found {
        found: Box::new(found),
        exact,
    }
}

#[test]
fn the_second_implementation_has_burns_gradient() {
    for (activation, norm) in [
        (Activation::Relu, false),
        (Activation::Relu, true),
        (Activation::Tanh, true),
    ] {
        let of = perceptron(activation, norm, 1);
        let network = Network::new(&of, 0.1, 1, &device());
        let replica = Replica::new(&network, Precision::F64).unwrap();
        let loss = |network: &Network| network.loss(&of);
        let (_, gradient) = replica
            .value_and_gradient(&replica.parameters().unwrap(), &loss)
            .unwrap();
        let expected = of.gradient(&replica.parameters().unwrap());
        assert_eq!(gradient.len(), expected.len());
        for (found, expected) in gradient.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}

/// (1/N)·Σ (diag(p) − ppᵀ) ⊗ x̃x̃ᵀ with x̃ = (x, 1), in the order of the parameters: weight by inputs, then bias.
fn logistic_hessian(of: &Perceptron, theta: &[f64]) -> Mat<f64> {
    let (inputs, classes) = (of.widths[0], of.widths[1]);
    let mut hessian = Mat::zeros(theta.len(), theta.len());
    for x in of.x.chunks(inputs) {
        let extended = || x.iter().copied().chain([1.0]).enumerate();
        let score = |c: usize| {
            extended()
                .map(|(i, x)| x * theta[i * classes + c])
                .sum::<f64>()
        };
        let exps: Vec<f64> = (0..classes).map(|c| score(c).exp()).collect();
        let total: f64 = exps.iter().sum();
        let p: Vec<f64> = exps.iter().map(|e| e / total).collect();
        for (i, xi) in extended() {
            for (j, xj) in extended() {
                for a in 0..classes {
                    for b in 0..classes {
                        let diagonal = if a == b { p[a] } else { 0.0 };
                        let value = (diagonal - p[a] * p[b]) * xi * xj / of.labels.len() as f64;
                        hessian[(i * classes + a, j * classes + b)] += value;
                    }
                }
            }
        }
    }
    hessian
}

#[test]
fn logistic_regression_has_the_analytic_spectrum() {
    let (x, labels) = classification(200, 12, 5, 7);
    let of = Perceptron {
        widths: vec![12, 5],
        x,
        labels,
        ..perceptron(Activation::Tanh, false, 1)
    };
    let start = Network::new(&of, 0.1, 3, &device());
    for steps in [0, 300] {
        let network = trained(&of, &start, steps);
        let layout = FlatLayout::of(&network).unwrap();
        let theta: Vec<f64> = layout.parameters(&network).unwrap();
        let dense = logistic_hessian(&of, &theta);
        let mut truth = dense.self_adjoint_eigenvalues(Side::Lower).unwrap();
        truth.reverse();
        for (precision, allowed) in [(Precision::F64, 1e-5), (Precision::F32, 1e-2)] {
            for seed in 0..5 {
                let Outcome::Found { found, .. } =
                    estimate_both(&of, &network, precision, 1e-9, seed)
                else {
                    panic!("refused");
                };
                for (found, truth) in found.eigenvalues.iter().zip(&truth) {
                    let error = (found / truth - 1.0).abs();
                    assert!(
                        error <= allowed,
                        "{precision:?} after {steps} steps: {found} {truth}"
                    );
                }
            }
        }
    }
}

/// If the first steps are so large that they cross kinks, the guard reduces them until they do not.
#[test]
fn relu_with_batch_norm_never_gives_a_false_eigenvalue() {
    for steps in [0, 2000] {
        let mut retries = 0;
        for salt in 1..=2 {
            let of = perceptron(Activation::Relu, true, salt);
            let network = trained(&of, &Network::new(&of, 0.1, salt, &device()), steps);
            for first_step in [1e-9, 1e-7, 1e-5] {
                for seed in 0..10 {
                    let outcome = estimate_both(&of, &network, Precision::F64, first_step, seed);
                    if let Outcome::Found { found, .. } = &outcome {
                        retries += found.info.retries;
                    }
                    if let Some(error) = outcome.error() {
                        let what = format!("step {first_step:e}, seed {seed}, after {steps} steps");
                        assert!(error <= 1e-4, "{what}: {error:e}");
                    } else {
                        assert!(
                            first_step > 1e-9,
                            "the default step was refused, seed {seed}"
                        );
                    }
                }
            }
        }
        // In the trained network the guard had to act, so its inactivity here is meaningful.
        assert!(steps == 0 || retries > 0);
    }
}

#[test]
fn in_f32_smooth_networks_are_estimated_and_kinks_are_refused() {
    let mut refused = 0;
    for (activation, norm) in [(Activation::Tanh, true), (Activation::Relu, true)] {
        for seed in 0..10 {
            let of = perceptron(activation, norm, seed + 1);
            let network = Network::new(&of, 0.1, seed, &device());
            match estimate_both(&of, &network, Precision::F32, 1e-9, seed).error() {
                Some(error) => assert!(error <= 3e-2, "{activation:?}, seed {seed}: {error:e}"),
                None if activation == Activation::Tanh => panic!("a smooth network was refused"),
                None => refused += 1,
            }
        }
    }
    assert!(refused > 0, "no kink was met");
}

/// Zero biases on a background of zeros give pre-activations of exactly 0, where every difference step crosses a kink.
#[test]
fn exact_ties_are_shifted_or_refused() {
    let (mut found, mut refused) = (0, 0);
    for seed in 0..10 {
        let (mut x, labels) = classification(32 * 4, 8, 4, seed + 1);
        for (row, x) in x.chunks_mut(8).enumerate() {
            if row % 4 < 2 {
                x.fill(0.0);
            }
        }
        let of = Perceptron {
            widths: vec![8, 16, 4],
            patches: 4,
            labels: labels[..32].to_vec(),
            x,
            ..perceptron(Activation::Relu, false, 1)
        };
        let network = Network::new(&of, 0.0, seed, &device());
        let outcome = estimate_both(&of, &network, Precision::F64, 1e-9, seed);
        match &outcome {
            Outcome::Found {
                found: spectrum, ..
            } => {
                assert!(
                    spectrum.info.shifted,
                    "seed {seed}: there is no second derivative"
                );
                let error = outcome.error().unwrap();
                assert!(error <= 1e-4, "seed {seed}: {error:e}");
                found += 1;
            }
            Outcome::Refused => refused += 1,
        }
    }
    println!("{found} resolved by the shift, {refused} refused");
}
