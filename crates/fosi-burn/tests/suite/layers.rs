//! Layers and losses of Burn in a small model: the eigenvalues of a refresh against those of the dense Hessian.
//!
//! The table of `docs/burn-layers.md` is what these tests assert.

use crate::common::{device, entries, generator};
use burn::module::Module;
use burn::nn::activation::{ActivationConfig, ShrinkConfig, SoftShrinkConfig};
use burn::nn::attention::{CrossAttentionConfig, MhaInput, MultiHeadAttentionConfig};
use burn::nn::conv::{
    Conv1dConfig, Conv2dConfig, Conv3dConfig, ConvTranspose1dConfig, ConvTranspose2dConfig,
    ConvTranspose3dConfig, DeformConv2dConfig,
};
use burn::nn::interpolate::{Interpolate1dConfig, Interpolate2dConfig, InterpolateMode};
use burn::nn::loss::{
    BinaryCrossEntropyLossConfig, CTCLossConfig, CosineEmbeddingLossConfig, CrossEntropyLossConfig,
    GaussianNLLLossConfig, HingeEmbeddingLossConfig, HuberLossConfig, KLDivLossConfig,
    LpLossConfig, MarginRankingLossConfig, MseLoss, MultiMarginLossConfig, PoissonNllLossConfig,
    Reduction, SmoothL1LossConfig, SoftMarginLoss, TripletMarginLossConfig,
};
use burn::nn::pool::{
    AdaptiveAvgPool1dConfig, AdaptiveAvgPool2dConfig, AvgPool1dConfig, AvgPool2dConfig,
    MaxPool1dConfig, MaxPool2dConfig,
};
use burn::nn::transformer::{
    PositionWiseFeedForwardConfig, TransformerDecoderConfig, TransformerDecoderInput,
    TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{
    BatchNormConfig, BiGruConfig, BiLstmConfig, BiRnnConfig, CosineSimilarityConfig,
    EmbeddingConfig, Fold4dConfig, GroupNormConfig, GruConfig, InstanceNormConfig, LayerNormConfig,
    Linear, LinearConfig, LocalResponseNormConfig, LstmConfig, PReluConfig, PairwiseDistanceConfig,
    PixelShuffleConfig, PixelUnshuffleConfig, PositionalEncodingConfig, RmsNormConfig, RnnConfig,
    RotaryEncodingConfig, SwiGluConfig, Unfold4dConfig,
};
use burn::tensor::activation::{log_softmax, sigmoid, softplus};
use burn::tensor::{DType, Int, Tensor, TensorData};
use faer::{Mat, Side};
use fosi::base::GradientDescent;
use fosi::{Averaging, FosiConfig};
use fosi_burn::{FosiOptimizer, Precision, Replica, float_dtype, like_module};

/// Entries in [-1, 1).
fn input<const D: usize>(shape: [usize; D], salt: u64) -> Tensor<D> {
    let len = shape.iter().product();
    Tensor::from_data(TensorData::new(entries(len, salt), shape), &device())
}

fn classes<const D: usize>(shape: [usize; D], values: &[i64]) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &device())
}

/// One number of any output, curved in all of it.
fn energy<const D: usize>(y: Tensor<D>) -> Tensor<1> {
    (y.sub_scalar(0.3)).tanh().square().mean()
}

/// The eigenvalues of the loss's Hessian by central differences of the gradient, in descending order.
fn dense_eigenvalues<M: Module>(
    precision: Precision,
    module: &M,
    loss: &dyn Fn(&M) -> Tensor<1>,
) -> Vec<f64> {
    let length = match precision {
        Precision::F64 => 1e-5,
        Precision::F32 => 3e-3,
    };
    let replica = Replica::new(module, precision).unwrap();
    let theta = replica.parameters().unwrap();
    let gradient = |i: usize, step: f64| {
        let mut theta = theta.clone();
        theta[i] += step;
        replica.value_and_gradient(&theta, &loss).unwrap().1
    };
    let n = theta.len();
    let columns: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let (after, before) = (gradient(i, length), gradient(i, -length));
            let difference = after
                .iter()
                .zip(before)
                .map(|(a, b)| (a - b) / (2.0 * length));
            difference.collect()
        })
        .collect();
    let hessian = Mat::from_fn(n, n, |i, j| 0.5 * (columns[i][j] + columns[j][i]));
    let mut values = hessian.self_adjoint_eigenvalues(Side::Lower).unwrap();
    values.reverse();
    values
}

/// The largest eigenvalues that a refresh finds are the dense Hessian's.
fn same_curvature<M: Module>(
    name: &str,
    expected: Precision,
    module: &M,
    loss: &dyn Fn(&M) -> Tensor<1>,
    dense: Vec<f64>,
) {
    let n = module.num_params();
    let config = FosiConfig {
        largest: 3,
        lanczos_steps: Some(n.min(80)),
        lanczos_tolerance: None,
        averaging: Averaging::Off,
        ..FosiConfig::default()
    };
    let mut optimizer = FosiOptimizer::new(module, GradientDescent, config).unwrap();
    let attempt = match optimizer.refresh(module, loss) {
        Ok(attempt) => attempt,
        Err(error) => panic!("{name}: {error}"),
    };
    assert_eq!(attempt.precision, expected, "{name}");
    let found = match attempt.result {
        Ok(refresh) => refresh.eigenvalues,
        Err(error) => panic!("{name}: {error}"),
    };
    let scale = dense[0].abs().max(dense[dense.len() - 1].abs());
    assert!(scale > 1e-4, "{name} has no curvature to compare");
    let allowed = match expected {
        Precision::F64 => 1e-6,
        Precision::F32 => 1e-2,
    };
    for (found, dense) in found.iter().zip(&dense) {
        let error = (found - dense).abs() / scale;
        assert!(error <= allowed, "{name}: {found} {dense} ({error:.1e})");
    }
}

/// A layer that can be evaluated in f64.
fn double<M: Module>(name: &str, module: M, loss: impl Fn(&M) -> Tensor<1>) {
    let dense = dense_eigenvalues(Precision::F64, &module, &loss);
    same_curvature(name, Precision::F64, &module, &loss, dense);
}

/// A layer that is in f32 whatever is done.
fn single_only<M: Module>(name: &str, module: M, loss: impl Fn(&M) -> Tensor<1>) {
    let dense = dense_eigenvalues(Precision::F32, &module, &loss);
    same_curvature(name, Precision::F32, &module, &loss, dense);
}

/// A layer that makes f32 tensors of its own; `truth` is the same without them.
fn single<M: Module>(
    name: &str,
    module: M,
    loss: impl Fn(&M) -> Tensor<1>,
    truth: impl Fn(&M) -> Tensor<1>,
) {
    let dense = dense_eigenvalues(Precision::F64, &module, &truth);
    same_curvature(name, Precision::F32, &module, &loss, dense);
}

#[test]
fn linear_and_convolutions() {
    let _turn = generator();
    let device = device();
    device.seed(1);
    let x = input([6, 3], 1);
    double("Linear", LinearConfig::new(3, 2).init(&device), |m| {
        energy(m.forward(like_module(x.clone(), m)))
    });
    let x = input([2, 2, 6], 2);
    double("Conv1d", Conv1dConfig::new(2, 2, 3).init(&device), |m| {
        energy(m.forward(like_module(x.clone(), m)))
    });
    let x = input([2, 1, 5, 5], 3);
    double(
        "Conv2d",
        Conv2dConfig::new([1, 2], [3, 3]).init(&device),
        |m| energy(m.forward(like_module(x.clone(), m))),
    );
    let x = input([2, 1, 3, 3, 3], 4);
    let conv = Conv3dConfig::new([1, 2], [2, 2, 2]).init(&device);
    double("Conv3d", conv, |m| {
        energy(m.forward(like_module(x.clone(), m)))
    });
    let x = input([2, 2, 4], 5);
    let conv = ConvTranspose1dConfig::new([2, 2], 2).init(&device);
    double("ConvTranspose1d", conv, |m| {
        energy(m.forward(like_module(x.clone(), m)))
    });
    let x = input([2, 1, 3, 3], 6);
    let conv = ConvTranspose2dConfig::new([1, 2], [2, 2]).init(&device);
    double("ConvTranspose2d", conv, |m| {
        energy(m.forward(like_module(x.clone(), m)))
    });
    let x = input([1, 1, 2, 2, 2], 7);
    let conv = ConvTranspose3dConfig::new([1, 2], [2, 2, 2]).init(&device);
    double("ConvTranspose3d", conv, |m| {
        energy(m.forward(like_module(x.clone(), m)))
    });
    // Burn takes its gradient in f32, whatever the input is in.
    let (x, offset) = (input([2, 1, 6, 6], 8), input([2, 8, 5, 5], 9) * 0.3);
    let conv = DeformConv2dConfig::new([1, 2], [2, 2]).init(&device);
    single_only("DeformConv2d", conv, |m| {
        let offset = like_module(offset.clone(), m);
        energy(m.forward(like_module(x.clone(), m), offset, None))
    });
}

#[test]
fn tables_and_norms() {
    let _turn = generator();
    let device = device();
    device.seed(2);
    let tokens = classes([2, 4], &[0, 3, 1, 4, 2, 2, 0, 1]);
    double("Embedding", EmbeddingConfig::new(5, 3).init(&device), |m| {
        energy(m.forward(tokens.clone()))
    });
    let x = input([3, 4, 5], 10);
    let first = || LinearConfig::new(5, 4).init(&device);
    // Norms after a linear layer: channels of 4.
    let y = |m: &Linear, x: &Tensor<3>| m.forward(like_module(x.clone(), m));
    double(
        "LayerNorm",
        (first(), LayerNormConfig::new(4).init(&device)),
        |m| energy(m.1.forward(y(&m.0, &x))),
    );
    // The root of the mean square is taken in f32.
    let rows = input([16, 4, 5], 24);
    single(
        "RmsNorm",
        (first(), RmsNormConfig::new(4).init(&device)),
        |m| energy(m.1.forward(y(&m.0, &rows))),
        |m| {
            let y = y(&m.0, &rows);
            let rms = (y.clone().square().mean_dim(2) + m.1.epsilon).sqrt();
            energy(y / rms * m.1.gamma.val().unsqueeze())
        },
    );
    double(
        "GroupNorm",
        (first(), GroupNormConfig::new(2, 4).init(&device)),
        |m| energy(m.1.forward(y(&m.0, &x))),
    );
    double(
        "InstanceNorm",
        (first(), InstanceNormConfig::new(4).init(&device)),
        |m| energy(m.1.forward(y(&m.0, &x))),
    );
    double(
        "BatchNorm",
        (first(), BatchNormConfig::new(4).init(&device)),
        |m| energy(m.1.forward(y(&m.0, &x))),
    );
    let norm = LocalResponseNormConfig::new(3).init();
    double("LocalResponseNorm", (first(), norm), |m| {
        energy(m.1.forward(y(&m.0, &x).unsqueeze_dim::<4>(3)))
    });
}

#[test]
fn recurrent_layers() {
    let _turn = generator();
    let device = device();
    device.seed(3);
    // Burn collects their output in f32, whatever the state is in.
    let x = input([2, 3, 2], 11);
    single_only("Rnn", RnnConfig::new(2, 3, true).init(&device), |m| {
        energy(m.forward(like_module(x.clone(), m), None).0)
    });
    single_only("BiRnn", BiRnnConfig::new(2, 3, true).init(&device), |m| {
        energy(m.forward(like_module(x.clone(), m), None).0)
    });
    single_only("Gru", GruConfig::new(2, 3, true).init(&device), |m| {
        energy(m.forward(like_module(x.clone(), m), None))
    });
    single_only("BiGru", BiGruConfig::new(2, 3, true).init(&device), |m| {
        energy(m.forward(like_module(x.clone(), m), None).0)
    });
    single_only("Lstm", LstmConfig::new(2, 3, true).init(&device), |m| {
        energy(m.forward(like_module(x.clone(), m), None).0)
    });
    single_only("BiLstm", BiLstmConfig::new(2, 2, true).init(&device), |m| {
        energy(m.forward(like_module(x.clone(), m), None).0)
    });
}

#[test]
fn attention_and_transformers() {
    let _turn = generator();
    let device = device();
    device.seed(4);
    let (x, memory) = (input([2, 3, 4], 12), input([2, 2, 4], 13));
    let attention = MultiHeadAttentionConfig::new(4, 2).with_dropout(0.0);
    double("MultiHeadAttention", attention.init(&device), |m| {
        energy(
            m.forward(MhaInput::self_attn(like_module(x.clone(), m)))
                .context,
        )
    });
    let attention = CrossAttentionConfig::new(4, 4, 2, 2, 2).with_dropout(0.0);
    double("CrossAttention", attention.init(&device), |m| {
        let memory = like_module(memory.clone(), m);
        energy(m.forward(like_module(x.clone(), m), memory, None))
    });
    let feed_forward = PositionWiseFeedForwardConfig::new(4, 8).with_dropout(0.0);
    double("PositionWiseFeedForward", feed_forward.init(&device), |m| {
        energy(m.forward(like_module(x.clone(), m)))
    });
    let encoder = TransformerEncoderConfig::new(4, 6, 2, 1).with_dropout(0.0);
    double("TransformerEncoder", encoder.init(&device), |m| {
        energy(m.forward(TransformerEncoderInput::new(like_module(x.clone(), m))))
    });
    let decoder = TransformerDecoderConfig::new(4, 6, 2, 1).with_dropout(0.0);
    double("TransformerDecoder", decoder.init(&device), |m| {
        let memory = like_module(memory.clone(), m);
        let input = TransformerDecoderInput::new(like_module(x.clone(), m), memory);
        energy(m.forward(input))
    });
    let encoding = PositionalEncodingConfig::new(4).with_max_sequence_size(3);
    single(
        "PositionalEncoding",
        (
            LinearConfig::new(4, 4).init(&device),
            encoding.init(&device),
        ),
        |m| energy(m.1.forward(m.0.forward(like_module(x.clone(), m)))),
        |m| {
            let y = m.0.forward(like_module(x.clone(), m));
            energy(y.clone() + m.1.sinusoids.clone().cast(y.dtype()))
        },
    );
    // A rotation at each of the three positions, as the layer turns the unit vectors.
    let rotary = RotaryEncodingConfig::new(3, 4).init(&device);
    let units = Tensor::<2>::eye(4, &device)
        .unsqueeze_dim::<3>(1)
        .repeat_dim(1, 3);
    let turned = rotary.forward(units).swap_dims(0, 1);
    single(
        "RotaryEncoding",
        (LinearConfig::new(4, 4).init(&device), rotary),
        |m| energy(m.1.forward(m.0.forward(like_module(x.clone(), m)))),
        |m| {
            let y = m.0.forward(like_module(x.clone(), m)).swap_dims(0, 1);
            let turned = turned.clone().cast(y.dtype());
            energy(y.matmul(turned))
        },
    );
}

#[test]
fn layers_without_parameters() {
    let _turn = generator();
    let device = device();
    device.seed(5);
    let x = input([2, 2, 4], 14);
    let first = || LinearConfig::new(4, 4).init(&device);
    let y = |m: &Linear, x: &Tensor<3>| m.forward(like_module(x.clone(), m));
    double(
        "MaxPool1d",
        (first(), MaxPool1dConfig::new(2).init()),
        |m| energy(m.1.forward(y(&m.0, &x))),
    );
    double(
        "AvgPool1d",
        (first(), AvgPool1dConfig::new(2).init()),
        |m| energy(m.1.forward(y(&m.0, &x))),
    );
    let pool = AdaptiveAvgPool1dConfig::new(2).init();
    double("AdaptiveAvgPool1d", (first(), pool), |m| {
        energy(m.1.forward(y(&m.0, &x)))
    });
    let interpolate = Interpolate1dConfig::new()
        .with_output_size(Some(6))
        .with_mode(InterpolateMode::Linear);
    double("Interpolate1d", (first(), interpolate.init()), |m| {
        energy(m.1.forward(y(&m.0, &x)))
    });
    let image = input([2, 4, 4, 4], 15);
    let z = |m: &Linear| m.forward(like_module(image.clone(), m));
    double(
        "MaxPool2d",
        (first(), MaxPool2dConfig::new([2, 2]).init()),
        |m| energy(m.1.forward(z(&m.0))),
    );
    double(
        "AvgPool2d",
        (first(), AvgPool2dConfig::new([2, 2]).init()),
        |m| energy(m.1.forward(z(&m.0))),
    );
    let pool = AdaptiveAvgPool2dConfig::new([2, 2]).init();
    double("AdaptiveAvgPool2d", (first(), pool), |m| {
        energy(m.1.forward(z(&m.0)))
    });
    let interpolate = Interpolate2dConfig::new()
        .with_output_size(Some([6, 6]))
        .with_mode(InterpolateMode::Linear);
    double("Interpolate2d", (first(), interpolate.init()), |m| {
        energy(m.1.forward(z(&m.0)))
    });
    double(
        "PixelShuffle",
        (first(), PixelShuffleConfig::new(2).init()),
        |m| energy(m.1.forward(z(&m.0))),
    );
    double(
        "PixelUnshuffle",
        (first(), PixelUnshuffleConfig::new(2).init()),
        |m| energy(m.1.forward(z(&m.0))),
    );
    double(
        "Unfold4d",
        (first(), Unfold4dConfig::new([2, 2]).init()),
        |m| energy(m.1.forward(z(&m.0))),
    );
    let fold = Fold4dConfig::new([3, 3], [2, 2]).init();
    double("Fold4d", (first(), fold), |m| {
        energy(m.1.forward(z(&m.0).reshape([2, 16, 4])))
    });
    let (a, b) = (input([5, 4], 16), input([5, 4], 17));
    let pair = |m: &Linear| {
        let [a, b] = [&a, &b].map(|x| m.forward(like_module(x.clone(), m)));
        (a, b)
    };
    double(
        "CosineSimilarity",
        (first(), CosineSimilarityConfig::new().init()),
        |m| {
            let (a, b) = pair(&m.0);
            energy(m.1.forward(a, b))
        },
    );
    double(
        "PairwiseDistance",
        (first(), PairwiseDistanceConfig::new().init()),
        |m| {
            let (a, b) = pair(&m.0);
            energy(m.1.forward(a, b))
        },
    );
}

#[test]
fn activations() {
    let _turn = generator();
    let device = device();
    device.seed(6);
    let x = input([6, 3], 18) * 2.0;
    let all = [
        ("Gelu", ActivationConfig::Gelu),
        ("PRelu", ActivationConfig::PRelu(PReluConfig::new())),
        ("Relu", ActivationConfig::Relu),
        ("SwiGlu", ActivationConfig::SwiGlu(SwiGluConfig::new(4, 4))),
        ("Selu", ActivationConfig::Selu),
        ("Sigmoid", ActivationConfig::Sigmoid),
        ("Tanh", ActivationConfig::Tanh),
        ("Shrink", ActivationConfig::Shrink(ShrinkConfig::new())),
        (
            "SoftShrink",
            ActivationConfig::SoftShrink(SoftShrinkConfig::new()),
        ),
    ];
    for (name, activation) in all {
        let module = (
            LinearConfig::new(3, 4).init(&device),
            activation.init(&device),
        );
        double(name, module, |m| {
            energy(m.1.forward(m.0.forward(like_module(x.clone(), m))))
        });
    }
    // Burn takes the hard sigmoid in f32.
    let x = input([64, 3], 25) * 2.0;
    single(
        "HardSwish",
        (
            LinearConfig::new(3, 4).init(&device),
            ActivationConfig::HardSwish.init(&device),
        ),
        |m| energy(m.1.forward(m.0.forward(like_module(x.clone(), m)))),
        |m| {
            let y = m.0.forward(like_module(x.clone(), m));
            energy(y.clone() * (y / 6.0 + 0.5).clamp(0.0, 1.0))
        },
    );
}

#[test]
fn losses_of_numbers() {
    let _turn = generator();
    let device = device();
    device.seed(7);
    let (x, t) = (input([6, 3], 19), input([6, 2], 20));
    let first = || LinearConfig::new(3, 2).init(&device);
    let y = |m: &Linear| m.forward(like_module(x.clone(), m));
    let target = |m: &Linear| like_module(t.clone(), m);
    let mean = Reduction::Mean;
    double("MseLoss", first(), |m| {
        MseLoss::new().forward(y(m), target(m), mean.clone())
    });
    double("HuberLoss", first(), |m| {
        HuberLossConfig::new(0.5)
            .init()
            .forward(y(m), target(m), mean.clone())
    });
    double("SmoothL1Loss", first(), |m| {
        SmoothL1LossConfig::new()
            .init()
            .forward_with_reduction(y(m), target(m), mean.clone())
    });
    double("LpLoss, p = 3", first(), |m| {
        LpLossConfig::new(3.0)
            .init()
            .forward(y(m), target(m), mean.clone())
    });
    double("PoissonNllLoss", first(), |m| {
        let loss = PoissonNllLossConfig::new().init();
        loss.forward(y(m), target(m).abs(), mean.clone())
    });
    double("GaussianNLLLoss", first(), |m| {
        let variance = softplus(y(m), 1.0).add_scalar(0.1);
        GaussianNLLLossConfig::new()
            .init()
            .forward(y(m), target(m), variance, mean.clone())
    });
    double("KLDivLoss", first(), |m| {
        let target = burn::tensor::activation::softmax(target(m), 1);
        KLDivLossConfig::new()
            .init()
            .forward(log_softmax(y(m), 1), target, mean.clone())
    });
    let other = |m: &Linear| m.forward(like_module(t.clone().repeat_dim(1, 2).narrow(1, 0, 3), m));
    double("MarginRankingLoss", first(), |m| {
        let sign = target(m).sign();
        let loss = MarginRankingLossConfig::new().with_margin(3.0).init();
        loss.forward(y(m).tanh(), other(m).tanh(), sign, mean.clone())
    });
    double("TripletMarginLoss", first(), |m| {
        let loss = TripletMarginLossConfig::new().with_margin(3.0).init();
        loss.forward(y(m), other(m), target(m), mean.clone())
    });
}

/// Losses with classes. Those that make a table in f32 of them are taken in f32.
#[test]
fn losses_of_classes() {
    let _turn = generator();
    let device = device();
    device.seed(8);
    let x = input([6, 3], 21);
    let labels = classes([6], &[0, 2, 1, 1, 0, 2]);
    let first = || LinearConfig::new(3, 3).init(&device);
    let y = |m: &Linear| m.forward(like_module(x.clone(), m));
    let picked = |scores: Tensor<2>| scores.gather(1, labels.clone().unsqueeze_dim(1));

    let plain = CrossEntropyLossConfig::new().init(&device);
    double("CrossEntropyLoss", first(), |m| {
        plain.forward(y(m), labels.clone())
    });
    let weights = [0.5, 1.0, 2.0];
    let weighted = CrossEntropyLossConfig::new().with_weights(Some(weights.to_vec()));
    let weighted = weighted.init(&device);
    single(
        "CrossEntropyLoss with weights",
        first(),
        |m| weighted.forward(y(m), labels.clone()),
        |m| {
            let w = [0.5, 2.0, 1.0, 1.0, 0.5, 2.0];
            let w = Tensor::<1>::from_data(TensorData::from(w), (&device, DType::F64));
            let log = picked(log_softmax(y(m), 1)).squeeze_dim::<1>(1);
            (log * w.clone()).sum().neg() / w.sum()
        },
    );
    let smoothed = CrossEntropyLossConfig::new()
        .with_smoothing(Some(0.1))
        .init(&device);
    single(
        "CrossEntropyLoss with smoothing",
        first(),
        |m| smoothed.forward(y(m), labels.clone()),
        |m| {
            let log = log_softmax(y(m), 1);
            let uniform = log.clone().mean_dim(1).mul_scalar(0.1);
            (picked(log).mul_scalar(0.9) + uniform).mean().neg()
        },
    );
    let binary = classes(
        [6, 3],
        &[0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0, 1, 0, 1, 1, 1],
    );
    let cross_entropy = BinaryCrossEntropyLossConfig::new()
        .with_logits(true)
        .init(&device);
    single(
        "BinaryCrossEntropyLoss",
        first(),
        |m| cross_entropy.forward(y(m), binary.clone()),
        |m| {
            let t = binary.clone().float().cast(float_dtype(m).unwrap());
            // −t ln σ(y) − (1 − t) ln σ(−y)
            (softplus(y(m), 1.0) - y(m) * t).mean()
        },
    );
    double("MultiMarginLoss", first(), |m| {
        let loss = MultiMarginLossConfig::new().with_p(2).init();
        loss.forward(y(m), labels.clone(), Reduction::Mean)
    });
    let signs = classes([6], &[1, -1, 1, 1, -1, -1]);
    double("CosineEmbeddingLoss", first(), |m| {
        let loss = CosineEmbeddingLossConfig::new().with_margin(-1.0).init();
        loss.forward(y(m), sigmoid(y(m).flip([0])), signs.clone())
    });
    let signs = input([6, 3], 22).sign();
    double("SoftMarginLoss", first(), |m| {
        SoftMarginLoss::new().forward(y(m), like_module(signs.clone(), m), Reduction::Mean)
    });
    double("HingeEmbeddingLoss", first(), |m| {
        let loss = HingeEmbeddingLossConfig::new().init();
        loss.forward(
            y(m).square(),
            like_module(signs.clone(), m),
            Reduction::Mean,
        )
    });
    let (steps, texts) = (input([4, 2, 3], 23), classes([2, 2], &[1, 2, 2, 1]));
    let lengths = || (classes([2], &[4, 4]), classes([2], &[2, 2]));
    double("CTCLoss", first(), |m| {
        let (inputs, targets) = lengths();
        let log = log_softmax(m.forward(like_module(steps.clone(), m)), 2);
        let loss = CTCLossConfig::new().init();
        loss.forward(log, texts.clone(), inputs, targets).mean()
    });
}
