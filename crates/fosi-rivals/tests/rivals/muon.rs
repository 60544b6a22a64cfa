//! Muon's steps of matrices are orthogonal matrices; AdamW moves the other parameters.

use burn::nn::Linear;
use burn::tensor::Tensor;
use faer::Mat;
use fosi_rivals::{Muon, MuonConfig, Rival, RivalError};

use crate::common::{Perceptron, Regression, bits, linear, parameters, tensor};

const ROWS: usize = 4;
const COLUMNS: usize = 6;

fn loss(model: &Linear) -> Tensor<1> {
    let bias = model.bias.as_ref().unwrap().val();
    let of_weight = model.weight.val() * tensor::<2>([ROWS, COLUMNS], 5);
    of_weight.sum() + (bias * tensor::<1>([COLUMNS], 6)).sum()
}

/// The change of weight and bias in a step.
fn change(config: &MuonConfig) -> (Vec<f64>, Vec<f64>) {
    let start = linear(ROWS, COLUMNS, 1);
    let mut model = start.clone();
    let mut muon = Muon::new(&model, config).unwrap();
    muon.step(0.01, &mut model, &loss).unwrap();
    let (before, after) = (parameters(&start), parameters(&model));
    let change: Vec<f64> = after.iter().zip(&before).map(|(a, b)| a - b).collect();
    let (weight, bias) = change.split_at(ROWS * COLUMNS);
    (weight.to_vec(), bias.to_vec())
}

/// The first step of AdamW without decay, −ηg/(|g| + ε) with Burn's ε.
fn assert_adamws(step: &[f64], gradient: &[f64]) {
    for (step, g) in step.iter().zip(gradient) {
        let expected = -0.01 * g / (g.abs() + 1e-5);
        assert!((step - expected).abs() < 1e-6, "{step}, not {expected}");
    }
}

#[test]
fn a_matrix_moves_along_an_orthogonal_one_and_a_vector_by_adamw() {
    let (weight, bias) = change(&MuonConfig::default());
    let weight = Mat::from_fn(ROWS, COLUMNS, |i, j| weight[i * COLUMNS + j]);
    let scale = 0.01 * 0.2 * (ROWS.max(COLUMNS) as f64).sqrt();
    // Five iterations bring singular values to about 0.7 to 1.2.
    for value in weight.singular_values().unwrap() {
        let value = value / scale;
        assert!(value > 0.6 && value < 1.3, "{value}");
    }
    assert_adamws(&bias, &crate::common::entries(COLUMNS, 6));
}

#[test]
fn named_matrices_are_adamws() {
    let config = MuonConfig {
        with_adamw: vec!["weight".to_owned()],
        ..MuonConfig::default()
    };
    let (weight, _) = change(&config);
    assert_adamws(&weight, &crate::common::entries(ROWS * COLUMNS, 5));
    let unknown = MuonConfig {
        with_adamw: vec!["wieght".to_owned()],
        ..MuonConfig::default()
    };
    let error = Muon::new(&linear(2, 3, 1), &unknown).unwrap_err();
    assert!(matches!(error, RivalError::UnknownParameter { path } if path == "wieght"));
}

#[test]
fn a_resumed_run_has_the_same_bits() {
    let batch = Regression::new(16, 4, 2, 20);
    let new = |model: &Perceptron| Muon::new(model, &MuonConfig::default()).unwrap();
    let mut whole = Perceptron::new(4, 6, 2);
    let mut muon = new(&whole);
    let mut halfway = None;
    for step in 0..6 {
        if step == 3 {
            halfway = Some((whole.clone(), muon.to_bytes().unwrap()));
        }
        muon.step(0.01, &mut whole, &batch).unwrap();
    }
    let (mut model, bytes) = halfway.unwrap();
    let mut resumed = new(&model);
    resumed.load(&bytes).unwrap();
    for _ in 3..6 {
        resumed.step(0.01, &mut model, &batch).unwrap();
    }
    assert_eq!(bits(&model), bits(&whole));
    assert_eq!(resumed.steps(), 6);
    // One moment for the matrices, two for the vectors.
    assert_eq!(muon.kept_floats(), 4 * 6 + 6 * 2 + 2 * (6 + 2));
}
