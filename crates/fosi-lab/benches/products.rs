//! The cost of a Hessian-vector product relative to a gradient, for the paper's networks at the paper's size: a product
//! is one gradient on the f64 copy, because the gradient at the parameters is computed once per estimation.

use std::time::Duration;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use fosi_burn::{Precision, Replica, backward, like_module};
use fosi_lab::models::autoencoder::{Autoencoder, AutoencoderConfig};
use fosi_lab::models::char_lstm::{CharLstm, CharLstmConfig};
use fosi_lab::models::mobilenet::{MobileNet, MobileNetConfig};

fn measure<M: Module>(c: &mut Criterion, name: &str, model: &M, loss: impl Fn(&M) -> Tensor<1>) {
    let mut group = c.benchmark_group("product");
    group.sample_size(10);
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(10));
    group.bench_function(format!("{name}-gradient"), |bencher| {
        bencher.iter(|| backward(model, &loss).expect("a gradient"));
    });
    let replica = Replica::new(model, Precision::F64).expect("a copy in f64");
    let parameters = replica.parameters().expect("the parameters");
    group.bench_function(format!("{name}-product"), |bencher| {
        bencher.iter(|| {
            replica
                .value_and_gradient(&parameters, &loss)
                .expect("a gradient")
        });
    });
    group.finish();
}

/// The dense layers of `lr` on MNIST and of `tl` on ResNet-18's features, with their cross-entropy.
fn dense(c: &mut Criterion, name: &str, inputs: usize, batch: usize, device: &Device) {
    let model = LinearConfig::new(inputs, 10).init(device);
    let features = Tensor::<2>::random([batch, inputs], Distribution::Default, device);
    let labels = Tensor::<1, Int>::random([batch], Distribution::Uniform(0.0, 10.0), device);
    measure(c, name, &model, |model: &Linear| {
        let scores = model.forward(like_module(features.clone(), model));
        CrossEntropyLossConfig::new()
            .init(&scores.device())
            .forward(scores, labels.clone())
    });
}

fn products(c: &mut Criterion) {
    let device = Device::flex().autodiff();

    dense(c, "lr-batch256", 784, 256, &device);
    dense(c, "tl-batch128", 512, 128, &device);

    let model = AutoencoderConfig::default().init(1, &device);
    let images = Tensor::<4>::random([256, 3, 32, 32], Distribution::Uniform(-1.0, 1.0), &device);
    measure(c, "ae-batch256", &model, |model: &Autoencoder| {
        model.loss(images.clone())
    });

    let model = CharLstmConfig::default().init(1, &device);
    let codes = Tensor::<2, Int>::random([32, 128], Distribution::Uniform(0.0, 127.0), &device);
    measure(c, "lm-batch32", &model, |model: &CharLstm| {
        model.loss(codes.clone(), codes.clone())
    });

    let model = MobileNetConfig::default().init(1, &device);
    let patches = Tensor::<4>::random([16, 1, 96, 64], Distribution::Default, &device);
    let targets = Tensor::<2>::zeros([16, 527], &device);
    measure(c, "ac-batch16", &model, |model: &MobileNet| {
        model.loss(patches.clone(), targets.clone())
    });
}

criterion_group!(benches, products);
criterion_main!(benches);
