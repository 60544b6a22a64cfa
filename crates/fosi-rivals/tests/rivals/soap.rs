//! SOAP against its formulas, written out in f64 for a 2×3 matrix and a vector.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::Tensor;
use faer::{Mat, Side};
use fosi_rivals::{Rival, Soap, SoapConfig};

use crate::common::{Perceptron, Regression, bits, distance, entries, linear, parameters, tensor};

const ROWS: usize = 2;
const COLUMNS: usize = 3;

fn config(interval: u64) -> SoapConfig {
    SoapConfig {
        interval,
        ..SoapConfig::default()
    }
}

/// The loss of step t from 0: Σ c x²/2 + x³/3 + d x, with a different d at each step, like batches. (If the first
/// gradient occurred twice, the rotated gradient would be diagonal up to rounding, which the division by its own
/// magnitude would make as large as the other entries.)
fn loss(t: u64, model: &Linear) -> Tensor<1> {
    let part = |x: Tensor<2>, salt: u64| {
        let [rows, columns] = x.dims();
        let c: Tensor<2> = tensor([rows, columns], salt) + 2.0;
        let d: Tensor<2> = tensor([rows, columns], salt + 1 + t);
        (c * x.clone().square() * 0.5 + x.clone().powf_scalar(3.0) / 3.0 + d * x).sum()
    };
    let bias = model.bias.as_ref().unwrap().val();
    part(model.weight.val(), 40) + part(bias.unsqueeze(), 60)
}

/// Its gradient.
fn gradient(t: u64, x: &[f64], salt: u64) -> Vec<f64> {
    let (c, d) = (entries(x.len(), salt), entries(x.len(), salt + 1 + t));
    let terms = x.iter().zip(c.iter().zip(&d));
    terms.map(|(x, (c, d))| (c + 2.0) * x + x * x + d).collect()
}

/// The reference: one preconditioner's moment and basis.
struct Axis {
    moment: Mat<f64>,
    basis: Mat<f64>,
}

impl Axis {
    fn new(moment: Mat<f64>) -> Self {
        let n = moment.nrows();
        let vectors = moment
            .self_adjoint_eigen(Side::Lower)
            .unwrap()
            .U()
            .to_owned();
        let basis = Mat::from_fn(n, n, |i, j| vectors[(i, n - 1 - j)]);
        Self { moment, basis }
    }

    /// Returns the order of the columns.
    fn renew(&mut self) -> Vec<usize> {
        let n = self.moment.nrows();
        let along = self.basis.transpose() * &self.moment * &self.basis;
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| along[(j, j)].total_cmp(&along[(i, i)]));
        let product = &self.moment * &self.basis;
        // Gram–Schmidt.
        let mut basis = Mat::<f64>::zeros(n, n);
        for (k, &from) in order.iter().enumerate() {
            let mut column: Vec<f64> = (0..n).map(|i| product[(i, from)]).collect();
            for j in 0..k {
                let dot: f64 = (0..n).map(|i| basis[(i, j)] * column[i]).sum();
                (0..n).for_each(|i| column[i] -= dot * basis[(i, j)]);
            }
            let norm = column.iter().map(|x| x * x).sum::<f64>().sqrt();
            (0..n).for_each(|i| basis[(i, k)] = column[i] / norm);
        }
        self.basis = basis;
        order
    }
}

fn matrix(x: &[f64]) -> Mat<f64> {
    Mat::from_fn(ROWS, COLUMNS, |i, j| x[i * COLUMNS + j])
}

fn mix(old: &Mat<f64>, new: &Mat<f64>) -> Mat<f64> {
    let (beta, share) = (0.95, 0.05);
    Mat::from_fn(old.nrows(), old.ncols(), |i, j| {
        beta * old[(i, j)] + share * new[(i, j)]
    })
}

/// The matrix after each of `steps` from the second on.
fn reference(mut x: Vec<f64>, steps: u64, rate: f64, interval: u64) -> Vec<f64> {
    let first = matrix(&gradient(0, &x, 40));
    let zeros = Mat::<f64>::zeros(ROWS, COLUMNS);
    let outer = |g: &Mat<f64>| [g * g.transpose(), g.transpose() * g];
    let [left, right] = outer(&first);
    let share = faer::Scale(0.05);
    let (mut left, mut right) = (Axis::new(left * share), Axis::new(right * share));
    let (mut m, mut v) = (zeros.clone(), zeros);
    for t in 1..steps {
        let g = matrix(&gradient(t, &x, 40));
        let rotated = left.basis.transpose() * &g * &right.basis;
        let squared = Mat::from_fn(ROWS, COLUMNS, |i, j| rotated[(i, j)] * rotated[(i, j)]);
        (m, v) = (mix(&m, &g), mix(&v, &squared));
        let rotated = left.basis.transpose() * &m * &right.basis;
        let scaled = Mat::from_fn(ROWS, COLUMNS, |i, j| {
            rotated[(i, j)] / (v[(i, j)].sqrt() + 1e-8)
        });
        let step = &left.basis * scaled * right.basis.transpose();
        let correction = 1.0 - 0.95f64.powf(t as f64);
        let rate_now = rate * correction.sqrt() / correction;
        for i in 0..ROWS {
            for j in 0..COLUMNS {
                let x = &mut x[i * COLUMNS + j];
                *x = (*x - rate_now * step[(i, j)]) * (1.0 - rate * 0.01);
            }
        }
        let [l, r] = outer(&g);
        left.moment = mix(&left.moment, &l);
        right.moment = mix(&right.moment, &r);
        if t.is_multiple_of(interval) {
            let (rows, columns) = (left.renew(), right.renew());
            v = Mat::from_fn(ROWS, COLUMNS, |i, j| v[(rows[i], columns[j])]);
        }
    }
    x
}

/// AdamW in the same form.
fn reference_of_vector(mut x: Vec<f64>, steps: u64, rate: f64) -> Vec<f64> {
    let (mut m, mut v) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    for t in 1..steps {
        let g = gradient(t, &x, 60);
        let correction = 1.0 - 0.95f64.powf(t as f64);
        for i in 0..x.len() {
            m[i] = 0.95 * m[i] + 0.05 * g[i];
            v[i] = 0.95 * v[i] + 0.05 * g[i] * g[i];
            let step = correction.sqrt() / correction * m[i] / (f64::sqrt(v[i]) + 1e-8);
            x[i] = (x[i] - rate * step) * (1.0 - rate * 0.01);
        }
    }
    x
}

#[test]
fn steps_are_those_of_the_formulas() {
    for interval in [1, 3] {
        let start = linear(ROWS, COLUMNS, 1);
        let mut model = start.clone();
        let mut soap = Soap::new(&model, config(interval)).unwrap();
        for steps in 1..=8 {
            let loss = |model: &Linear| loss(steps - 1, model);
            soap.step(0.02, &mut model, &loss).unwrap();
            let (x, at) = (parameters(&start), parameters(&model));
            let (weight, bias) = x.split_at(ROWS * COLUMNS);
            let mut expected = reference(weight.to_vec(), steps, 0.02, interval);
            expected.extend(reference_of_vector(bias.to_vec(), steps, 0.02));
            let error = distance(&at, &expected);
            assert!(error < 1e-5, "interval {interval}, step {steps}: {error}");
        }
        assert_eq!(soap.cost().gradients, 8);
    }
}

#[test]
fn long_sides_have_no_preconditioner() {
    let model = linear(ROWS, COLUMNS, 1);
    let kept = |longest_side: usize| {
        let config = SoapConfig {
            longest_side,
            ..SoapConfig::default()
        };
        Soap::new(&model, config).unwrap().kept_floats()
    };
    let moments = 2 * (ROWS * COLUMNS + COLUMNS);
    assert_eq!(kept(3), moments + 2 * (4 + 9));
    assert_eq!(kept(2), moments + 2 * 4);
    assert_eq!(kept(1), moments);
}

#[test]
fn a_resumed_run_has_the_same_bits() {
    let batch = Regression::new(16, 4, 2, 20);
    let mut whole = Perceptron::new(4, 6, 2);
    let mut soap = Soap::new(&whole, config(2)).unwrap();
    let mut halfway = None;
    for step in 0..10 {
        if step == 5 {
            halfway = Some((whole.clone(), soap.to_bytes().unwrap()));
        }
        soap.step(0.01, &mut whole, &batch).unwrap();
    }
    let (mut model, bytes) = halfway.unwrap();
    let mut resumed = Soap::new(&model, config(2)).unwrap();
    resumed.load(&bytes).unwrap();
    for _ in 5..10 {
        resumed.step(0.01, &mut model, &batch).unwrap();
    }
    assert_eq!(bits(&model), bits(&whole));
    assert_eq!(resumed.to_bytes().unwrap(), soap.to_bytes().unwrap());
}

#[test]
fn kernels_of_convolutions_are_matrices() {
    let device = crate::common::device();
    let mut layer = burn::nn::conv::Conv2dConfig::new([2, 3], [2, 2])
        .with_bias(false)
        .init(&device);
    layer.weight = Param::from_tensor(tensor([3, 2, 2, 2], 4));
    let loss = |model: &burn::nn::conv::Conv2d| (model.weight.val() - 1.0).square().sum();
    let mut soap = Soap::new(&layer, SoapConfig::default()).unwrap();
    assert_eq!(soap.kept_floats(), 2 * 24 + 2 * (9 + 64));
    let first = soap.step(0.05, &mut layer, &loss).unwrap().loss;
    for _ in 0..200 {
        soap.step(0.05, &mut layer, &loss).unwrap();
    }
    let last = soap.step(0.05, &mut layer, &loss).unwrap().loss;
    assert!(last < 0.05 * first, "from {first} to {last}");
}
