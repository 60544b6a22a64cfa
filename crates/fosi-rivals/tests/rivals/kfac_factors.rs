//! Blocks against the Fisher matrix computed example by example, in cases where their structure is exact.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, PaddingConfig2d};
use burn::tensor::{DType, Tensor, TensorData};
use fosi_burn::{Precision, Replica, like_module};
use fosi_rivals::kfac::{Damping, FactorValues, Fisher, Momentum};
use fosi_rivals::{Kfac, KfacConfig, Loss, Prediction, Recorder, Rival, Targets};

use crate::common::{device, distance, linear, tensor};

/// A network whose last layer is the one of interest.
trait Layer<const D: usize>: Module {
    fn call(&self, x: Tensor<D>, recorder: &mut Recorder) -> Tensor<D>;
}

struct OneLayer<const D: usize> {
    x: Tensor<D>,
    targets: Targets,
}

impl<const D: usize, M: Layer<D>> Loss<M> for OneLayer<D> {
    fn loss(&self, model: &M) -> Tensor<1> {
        let x = like_module(self.x.clone(), model);
        model.call(x, &mut Recorder::off()).square().sum()
    }

    fn predict(&self, model: &M, recorder: &mut Recorder) -> Option<Prediction> {
        let z = model.call(like_module(self.x.clone(), model), recorder);
        let [batch, entries] = [z.dims()[0], z.shape().num_elements()];
        Some(match self.targets {
            Targets::Normal => Prediction::squared_error(z),
            Targets::Categorical => Prediction::softmax(z.reshape([batch, entries / batch])),
            Targets::Bernoulli => Prediction::sigmoid(z),
        })
    }
}

impl<const D: usize> Layer<D> for Linear {
    fn call(&self, x: Tensor<D>, recorder: &mut Recorder) -> Tensor<D> {
        recorder.linear(self, x)
    }
}

impl Layer<4> for Conv2d {
    fn call(&self, x: Tensor<4>, recorder: &mut Recorder) -> Tensor<4> {
        recorder.conv2d(self, x)
    }
}

impl Layer<4> for ConvTranspose2d {
    fn call(&self, x: Tensor<4>, recorder: &mut Recorder) -> Tensor<4> {
        recorder.conv_transpose2d(self, x)
    }
}

impl<const D: usize> Layer<D> for BatchNorm {
    fn call(&self, x: Tensor<D>, recorder: &mut Recorder) -> Tensor<D> {
        recorder.batch_norm(self, x)
    }
}

/// K-FAC's factors after one step at rate 0, by layer.
fn factors<M: Module>(model: &M, loss: &dyn Loss<M>, config: KfacConfig) -> Vec<Vec<FactorValues>> {
    let config = KfacConfig {
        momentum: Momentum::Fixed(0.0),
        damping: Damping::Fixed,
        ..config
    };
    let mut kfac = Kfac::new(model, loss, config).unwrap();
    kfac.step(0.0, &mut model.clone(), loss).unwrap();
    let layers = kfac.factors().unwrap();
    layers.into_iter().map(|layer| layer.factors).collect()
}

fn exact() -> KfacConfig {
    KfacConfig {
        fisher: Fisher::Exact,
        ..KfacConfig::default()
    }
}

/// The Fisher matrix from the Jacobian of the outputs, by differences in f64, and each example's Fisher matrix of the
/// outputs.
fn fisher<M: Module>(model: &M, loss: &dyn Loss<M>) -> Vec<Vec<f64>> {
    let replica = Replica::new(model, Precision::F64).unwrap();
    let theta = replica.parameters().unwrap();
    let prediction = |theta: &[f64]| {
        let model = replica.at(theta).unwrap();
        loss.predict(&model, &mut Recorder::off()).unwrap()
    };
    let outputs =
        |theta: &[f64]| -> Vec<f64> { prediction(theta).outputs.try_into_vec_as::<f64>().unwrap() };
    let at = prediction(&theta);
    let [batch, k] = at.outputs.dims();
    let z = outputs(&theta);
    let column = |i: usize| -> Vec<f64> {
        let moved = |step: f64| {
            let mut theta = theta.clone();
            theta[i] += step;
            outputs(&theta)
        };
        let (after, before) = (moved(1e-5), moved(-1e-5));
        let change = after.iter().zip(&before);
        change
            .map(|(after, before)| (after - before) / 2e-5)
            .collect()
    };
    let jacobian: Vec<Vec<f64>> = (0..theta.len()).map(column).collect();
    let mut fisher = vec![vec![0.0; theta.len()]; theta.len()];
    for example in 0..batch {
        let range = example * k..(example + 1) * k;
        let of_outputs = outputs_fisher(at.targets, &z[range.clone()]);
        for (row, ji) in fisher.iter_mut().zip(&jacobian) {
            for (entry, jj) in row.iter_mut().zip(&jacobian) {
                for (a, row) in ji[range.clone()].iter().zip(&of_outputs) {
                    for (f, b) in row.iter().zip(&jj[range.clone()]) {
                        *entry += a * f * b / batch as f64;
                    }
                }
            }
        }
    }
    fisher
}

/// Second derivatives of −log p with respect to the outputs.
fn outputs_fisher(targets: Targets, z: &[f64]) -> Vec<Vec<f64>> {
    let sum: f64 = z.iter().map(|z| z.exp()).sum();
    let entry = |i: usize, j: usize| {
        let same = if i == j { 1.0 } else { 0.0 };
        match targets {
            Targets::Normal => 2.0 * same,
            Targets::Categorical => z[i].exp() / sum * (same - z[j].exp() / sum),
            Targets::Bernoulli => same * z[i].exp() / (1.0 + z[i].exp()).powi(2),
        }
    };
    let row = |i| (0..z.len()).map(|j| entry(i, j)).collect();
    (0..z.len()).map(row).collect()
}

/// T·A⊗G with rows in the order of the flat parameters: `place(row, column)` is the position of a matrix entry there.
fn block(
    factors: &[FactorValues],
    positions: usize,
    place: impl Fn(usize, usize) -> usize,
) -> Vec<Vec<f64>> {
    let [a, g] = factors else {
        panic!("a Kronecker block has two factors");
    };
    let (n, m) = (a.shape[0], g.shape[0]);
    let (a, g) = (&a.entries, &g.entries);
    let mut block = vec![vec![0.0; n * m]; n * m];
    for i in 0..n * m {
        for j in 0..n * m {
            let (a, g) = (a[i / m * n + j / m], g[i % m * m + j % m]);
            let at = (place(i / m, i % m), place(j / m, j % m));
            block[at.0][at.1] = positions as f64 * f64::from(a) * f64::from(g);
        }
    }
    block
}

fn assert_same(found: &[Vec<f64>], expected: &[Vec<f64>]) {
    let error = distance(&found.concat(), &expected.concat());
    assert!(error < 1e-5, "{error}");
}

#[test]
fn a_dense_layers_block_is_exact_for_squared_errors() {
    let layer = linear(4, 3, 1);
    let loss = OneLayer {
        x: tensor([6, 4], 2),
        targets: Targets::Normal,
    };
    let found = factors(&layer, &loss, exact());
    assert_same(
        &block(&found[0], 1, |i, o| i * 3 + o),
        &fisher(&layer, &loss),
    );
}

#[test]
fn a_dense_layers_block_is_exact_for_one_example_with_softmax_or_sigmoid() {
    for targets in [Targets::Categorical, Targets::Bernoulli] {
        let layer = linear(4, 3, 1);
        let x = tensor([1, 4], 2);
        let loss = OneLayer { x, targets };
        let found = factors(&layer, &loss, exact());
        assert_same(
            &block(&found[0], 1, |i, o| i * 3 + o),
            &fisher(&layer, &loss),
        );
    }
}

#[test]
fn a_dense_layer_along_a_sequence_has_a_position_for_each_element() {
    let layer = linear(4, 3, 1);
    let loss = OneLayer {
        x: tensor([2, 5, 4], 2),
        targets: Targets::Normal,
    };
    let found = factors(&layer, &loss, exact());
    assert_same(
        &block(&found[0], 5, |i, o| i * 3 + o),
        &fisher(&layer, &loss),
    );
}

#[test]
fn a_convolutions_block_is_exact_for_squared_errors_at_each_position() {
    let padding = |sides: [usize; 4]| {
        let [top, left, bottom, right] = sides;
        PaddingConfig2d::Explicit(top, left, bottom, right)
    };
    let plain = || Conv2dConfig::new([2, 3], [3, 2]);
    let configs = [
        plain(),
        plain()
            .with_stride([2, 1])
            .with_padding(padding([1, 0, 2, 1])),
        plain()
            .with_dilation([1, 2])
            .with_padding(padding([1, 1, 1, 1])),
        plain()
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Same),
        Conv2dConfig::new([2, 3], [1, 1]).with_stride([2, 2]),
        plain().with_bias(false),
    ];
    for config in configs {
        device().seed(3);
        let layer = config.init(&device());
        let loss = OneLayer {
            x: tensor([2, 2, 5, 6], 2),
            targets: Targets::Normal,
        };
        let [_, _, height, width] = layer.forward(loss.x.clone()).dims();
        let found = factors(&layer, &loss, exact());
        let inputs = layer.weight.shape().num_elements() / 3;
        // Outputs×inputs, then the bias.
        let place = |row: usize, output: usize| match row == inputs {
            true => 3 * inputs + output,
            false => output * inputs + row,
        };
        let found = block(&found[0], height * width, place);
        assert_same(&found, &fisher(&layer, &loss));
    }
}

#[test]
fn a_transposed_convolutions_block_is_exact_for_squared_errors_at_each_position() {
    let plain = || ConvTranspose2dConfig::new([2, 3], [3, 2]);
    let configs = [
        plain(),
        plain()
            .with_stride([2, 3])
            .with_padding([1, 0])
            .with_padding_out([1, 2]),
        plain().with_dilation([2, 1]).with_padding([3, 1]),
        ConvTranspose2dConfig::new([2, 3], [3, 2])
            .with_stride([2, 2])
            .with_padding([1, 1])
            .with_padding_out([1, 1])
            .with_bias(false),
    ];
    for config in configs {
        device().seed(3);
        let layer = config.init(&device());
        let loss = OneLayer {
            x: tensor([2, 2, 4, 3], 2),
            targets: Targets::Normal,
        };
        let [_, _, height, width] = layer.forward(loss.x.clone()).dims();
        let found = factors(&layer, &loss, exact());
        // Inputs×outputs×kernel, then the bias.
        let kernel = 6;
        let place = |row: usize, output: usize| match row == 2 * kernel {
            true => 2 * 3 * kernel + output,
            false => (row / kernel * 3 + output) * kernel + row % kernel,
        };
        let found = block(&found[0], height * width, place);
        assert_same(&found, &fisher(&layer, &loss));
    }
}

/// Diagonals in the order of the flat parameters.
fn diagonals(factors: &[FactorValues]) -> Vec<f64> {
    let entries = factors.iter().flat_map(|part| &part.entries);
    entries.map(|x| f64::from(*x)).collect()
}

fn diagonal(matrix: &[Vec<f64>]) -> Vec<f64> {
    matrix.iter().enumerate().map(|(i, row)| row[i]).collect()
}

#[test]
fn a_depthwise_convolutions_diagonal_is_exact_for_one_example() {
    device().seed(3);
    let layer = Conv2dConfig::new([3, 3], [2, 3])
        .with_groups(3)
        .with_stride([2, 1])
        .init(&device());
    for targets in [Targets::Normal, Targets::Bernoulli] {
        let x = tensor([1, 3, 5, 4], 2);
        let loss = OneLayer { x, targets };
        let found = diagonals(&factors(&layer, &loss, exact())[0]);
        let error = distance(&found, &diagonal(&fisher(&layer, &loss)));
        assert!(error < 1e-5, "{error}");
    }
}

#[test]
fn batch_norms_diagonal_is_exact_where_examples_do_not_meet() {
    let running = |salt: u64, least: f64| -> Tensor<1> {
        let values = crate::common::entries(3, salt);
        let values: Vec<f64> = values.iter().map(|x| x.abs() + least).collect();
        Tensor::from_data(TensorData::new(values, [3]), (&device(), DType::F32))
    };
    let mut layer = BatchNormConfig::new(3).init(&device());
    layer.gamma = Param::from_tensor(tensor([3], 5));
    layer.beta = Param::from_tensor(tensor([3], 6));
    layer.running_mean.update(running(7, 0.0));
    layer.running_var.update(running(8, 0.5));
    layer.training = layer.training.map(|flag| flag.with(false));
    for targets in [Targets::Normal, Targets::Bernoulli] {
        let x = tensor([4, 3, 5], 2);
        let loss = OneLayer { x, targets };
        let found = diagonals(&factors(&layer, &loss, exact())[0]);
        let error = distance(&found, &diagonal(&fisher(&layer, &loss)));
        assert!(error < 1e-5, "{error}");
    }
}

#[test]
fn sampled_targets_give_the_exact_factors_on_average() {
    let layer = linear(3, 4, 1);
    for targets in [Targets::Normal, Targets::Categorical, Targets::Bernoulli] {
        let x = tensor([50, 3], 2);
        let loss = OneLayer { x, targets };
        let expected = factors(&layer, &loss, exact());
        let config = KfacConfig {
            momentum: Momentum::Fixed(0.0),
            damping: Damping::Fixed,
            decay: 0.999,
            ..KfacConfig::default()
        };
        let mut kfac = Kfac::new(&layer, &loss, config).unwrap();
        for _ in 0..200 {
            kfac.step(0.0, &mut layer.clone(), &loss).unwrap();
        }
        let found = &kfac.factors().unwrap()[0].factors;
        let doubles = |x: &[f32]| -> Vec<f64> { x.iter().map(|x| f64::from(*x)).collect() };
        // The factor A is not random; the factor G from 10,000 targets is accurate to a few percent.
        for (index, allowed) in [1e-5, 0.05].into_iter().enumerate() {
            let (own, exact) = (&found[index].entries, &expected[0][index].entries);
            let error = distance(&doubles(own), &doubles(exact));
            assert!(error < allowed, "{targets:?}, factor {index}: {error}");
        }
    }
}
