//! Layers and losses of Burn in a small model: the eigenvalues of a refresh against those of the dense Hessian.
//!
//! These tests assert the table of `docs/burn.md`.

use crate::common::{device, entries, generator};
use burn::module::Module;
use burn::nn::activation::{
    Activation, ActivationConfig, CeluConfig, EluConfig, GLU as Glu, HardShrinkConfig,
    HardSigmoidConfig, Hardtanh, HardtanhConfig, LeakyReluConfig, LogSigmoid, Mish, RRelu,
    RReluConfig, Relu6, ShrinkConfig, SiLU, SoftShrinkConfig, SoftplusConfig, Tanhshrink,
    Threshold, ThresholdConfig, ThresholdedReluConfig,
};
use burn::nn::attention::{
    CrossAttention, CrossAttentionConfig, MhaInput, MultiHeadAttention, MultiHeadAttentionConfig,
};
use burn::nn::conv::{
    Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, Conv3d, Conv3dConfig, ConvTranspose1d,
    ConvTranspose1dConfig, ConvTranspose2d, ConvTranspose2dConfig, ConvTranspose3d,
    ConvTranspose3dConfig, DeformConv2d, DeformConv2dConfig,
};
use burn::nn::interpolate::{
    Interpolate1d, Interpolate1dConfig, Interpolate2d, Interpolate2dConfig, InterpolateMode,
};
use burn::nn::loss::{
    BinaryCrossEntropyLossConfig, CTCLossConfig, CosineEmbeddingLossConfig, CrossEntropyLossConfig,
    GaussianNLLLossConfig, HingeEmbeddingLossConfig, HuberLossConfig, KLDivLossConfig,
    LpLossConfig, MarginRankingLossConfig, MseLoss, MultiMarginLossConfig, PoissonNllLossConfig,
    RNNTLossConfig, Reduction, SmoothL1LossConfig, SoftMarginLoss, TripletMarginLossConfig,
};
use burn::nn::pool::{
    AdaptiveAvgPool1d, AdaptiveAvgPool1dConfig, AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig,
    AdaptiveAvgPool3d, AdaptiveAvgPool3dConfig, AvgPool1d, AvgPool1dConfig, AvgPool2d,
    AvgPool2dConfig, MaxPool1d, MaxPool1dConfig, MaxPool2d, MaxPool2dConfig,
};
use burn::nn::transformer::{
    PositionWiseFeedForward, PositionWiseFeedForwardConfig, TransformerDecoder,
    TransformerDecoderConfig, TransformerDecoderInput, TransformerEncoder,
    TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{
    BatchNorm, BatchNormConfig, BiGru, BiGruConfig, BiLstm, BiLstmConfig, BiRnn, BiRnnConfig,
    CosineSimilarity, CosineSimilarityConfig, Embedding, EmbeddingConfig, Fold4d, Fold4dConfig,
    GaussianNoise, GaussianNoiseConfig, GroupNorm, GroupNormConfig, Gru, GruConfig, InstanceNorm,
    InstanceNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, LocalResponseNorm,
    LocalResponseNormConfig, Lstm, LstmConfig, PReluConfig, PairwiseDistance,
    PairwiseDistanceConfig, PixelShuffle, PixelShuffleConfig, PixelUnshuffle, PixelUnshuffleConfig,
    PositionalEncoding, PositionalEncodingConfig, RmsNorm, RmsNormConfig, Rnn, RnnConfig,
    RotaryEncoding, RotaryEncodingConfig, SwiGluConfig, Unfold4d, Unfold4dConfig,
};
use burn::tensor::activation::{log_softmax, sigmoid, softmax, softplus};
use burn::tensor::{DType, Int, Tensor, TensorData, s};
use faer::{Mat, Side};
use fosi::base::GradientDescent;
use fosi::{Averaging, FosiConfig};
use fosi_burn::{FosiOptimizer, Precision, Replica, float_dtype, like_module};

/// One type for all layers, so that generic code is compiled once.
#[derive(Module, Debug)]
struct Model {
    first: Option<Linear>,
    layer: Layer,
}

impl Model {
    /// `x` in the model's float type.
    fn cast<const D: usize>(&self, x: &Tensor<D>) -> Tensor<D> {
        like_module(x.clone(), self)
    }

    /// The output of the linear layer before the one tested.
    fn first<const D: usize>(&self, x: &Tensor<D>) -> Tensor<D> {
        self.first.as_ref().unwrap().forward(self.cast(x))
    }
}

/// A variant of [`Layer`].
trait Variant {
    fn into_layer(self) -> Layer;
    fn of(layer: &Layer) -> &Self;
}

macro_rules! layers {
    ($($layer:ident),* $(,)?) => {
        #[derive(Module, Debug)]
        #[expect(clippy::large_enum_variant, reason = "a test makes one at a time")]
        enum Layer {
            $($layer($layer)),*
        }

        $(
            impl Variant for $layer {
                fn into_layer(self) -> Layer {
                    Layer::$layer(self)
                }

                fn of(layer: &Layer) -> &Self {
                    let Layer::$layer(layer) = layer else {
                        unreachable!()
                    };
                    layer
                }
            }
        )*
    };
}

layers! {
    Activation, AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AvgPool1d, AvgPool2d, BatchNorm, BiGru, BiLstm,
    BiRnn, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, CosineSimilarity, CrossAttention,
    DeformConv2d, Embedding, Fold4d, Glu, GaussianNoise, GroupNorm, Gru, Hardtanh, InstanceNorm, Interpolate1d,
    Interpolate2d, LayerNorm, Linear, LocalResponseNorm, LogSigmoid, Lstm, MaxPool1d, MaxPool2d, Mish,
    MultiHeadAttention, PairwiseDistance, PixelShuffle, PixelUnshuffle, PositionWiseFeedForward, PositionalEncoding,
    RRelu, Relu6, RmsNorm, Rnn, RotaryEncoding, SiLU, Tanhshrink, Threshold, TransformerDecoder, TransformerEncoder,
    Unfold4d,
}

type Loss<'a, M> = &'a dyn Fn(&M) -> Tensor<1>;
type LayerLoss<'a, L> = &'a dyn Fn(&Model, &L) -> Tensor<1>;

/// Entries in [-1, 1).
fn input<const D: usize>(shape: [usize; D], salt: u64) -> Tensor<D> {
    let len = shape.iter().product();
    Tensor::from_data(TensorData::new(entries(len, salt), shape), &device())
}

fn classes<const D: usize>(shape: [usize; D], values: &[i64]) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &device())
}

/// A scalar function of any output, with curvature in all entries.
fn energy<const D: usize>(y: Tensor<D>) -> Tensor<1> {
    (y.sub_scalar(0.3)).tanh().square().mean()
}

/// The eigenvalues of the loss's Hessian by central differences of the gradient, in descending order.
fn dense_eigenvalues(precision: Precision, model: &Model, loss: Loss<Model>) -> Vec<f64> {
    let length = match precision {
        Precision::F64 => 1e-5,
        Precision::F32 => 3e-3,
    };
    let replica = Replica::new(model, precision).unwrap();
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

/// Asserts that the largest eigenvalues from a refresh are those of the dense Hessian.
fn same_curvature(
    name: &str,
    expected: Precision,
    model: &Model,
    loss: Loss<Model>,
    dense: &[f64],
) {
    let n = model.num_params();
    let config = FosiConfig {
        largest: 3,
        lanczos_steps: Some(n.min(80)),
        lanczos_tolerance: None,
        averaging: Averaging::Off,
        ..FosiConfig::default()
    };
    let mut optimizer = FosiOptimizer::new(model, GradientDescent, config).unwrap();
    let attempt = match optimizer.refresh(model, loss) {
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
    for (found, dense) in found.iter().zip(dense) {
        let error = (found - dense).abs() / scale;
        assert!(error <= allowed, "{name}: {found} {dense} ({error:.1e})");
    }
}

/// Tests a layer, after a linear one if `first` is given: a refresh in the `expected` precision against the dense
/// Hessian of `truth` in its precision.
fn compare<L: Variant>(
    name: &str,
    expected: Precision,
    first: Option<Linear>,
    layer: L,
    loss: LayerLoss<L>,
    (precision, truth): (Precision, LayerLoss<L>),
) {
    let layer = layer.into_layer();
    let model = Model { first, layer };
    let dense = dense_eigenvalues(precision, &model, &|m| truth(m, L::of(&m.layer)));
    let loss = |m: &Model| loss(m, L::of(&m.layer));
    same_curvature(name, expected, &model, &loss, &dense);
}

/// A layer that can be evaluated in f64.
fn double<L: Variant>(
    name: &str,
    first: Option<Linear>,
    layer: L,
    loss: impl Fn(&Model, &L) -> Tensor<1>,
) {
    compare(
        name,
        Precision::F64,
        first,
        layer,
        &loss,
        (Precision::F64, &loss),
    );
}

/// A layer that always computes in f32.
fn single_only<L: Variant>(
    name: &str,
    first: Option<Linear>,
    layer: L,
    loss: impl Fn(&Model, &L) -> Tensor<1>,
) {
    compare(
        name,
        Precision::F32,
        first,
        layer,
        &loss,
        (Precision::F32, &loss),
    );
}

/// A layer that creates f32 tensors internally; `truth` is the same layer without them.
fn single<L: Variant>(
    name: &str,
    first: Option<Linear>,
    layer: L,
    loss: impl Fn(&Model, &L) -> Tensor<1>,
    truth: impl Fn(&Model, &L) -> Tensor<1>,
) {
    compare(
        name,
        Precision::F32,
        first,
        layer,
        &loss,
        (Precision::F64, &truth),
    );
}

#[test]
fn linear_and_convolutions() {
    let _turn = generator();
    let device = device();
    device.seed(1);
    let x = input([6, 3], 1);
    let linear = LinearConfig::new(3, 2).init(&device);
    double("Linear", None, linear, |m, linear| {
        energy(linear.forward(m.cast(&x)))
    });
    let x = input([2, 2, 6], 2);
    let conv = Conv1dConfig::new(2, 2, 3).init(&device);
    double("Conv1d", None, conv, |m, conv| {
        energy(conv.forward(m.cast(&x)))
    });
    let x = input([2, 1, 5, 5], 3);
    let conv = Conv2dConfig::new([1, 2], [3, 3]).init(&device);
    double("Conv2d", None, conv, |m, conv| {
        energy(conv.forward(m.cast(&x)))
    });
    let x = input([2, 1, 3, 3, 3], 4);
    let conv = Conv3dConfig::new([1, 2], [2, 2, 2]).init(&device);
    double("Conv3d", None, conv, |m, conv| {
        energy(conv.forward(m.cast(&x)))
    });
    let x = input([2, 2, 4], 5);
    let conv = ConvTranspose1dConfig::new([2, 2], 2).init(&device);
    double("ConvTranspose1d", None, conv, |m, conv| {
        energy(conv.forward(m.cast(&x)))
    });
    let x = input([2, 1, 3, 3], 6);
    let conv = ConvTranspose2dConfig::new([1, 2], [2, 2]).init(&device);
    double("ConvTranspose2d", None, conv, |m, conv| {
        energy(conv.forward(m.cast(&x)))
    });
    let x = input([1, 1, 2, 2, 2], 7);
    let conv = ConvTranspose3dConfig::new([1, 2], [2, 2, 2]).init(&device);
    double("ConvTranspose3d", None, conv, |m, conv| {
        energy(conv.forward(m.cast(&x)))
    });
    // Burn computes its gradient in f32 for inputs of any type.
    let (x, offset) = (input([2, 1, 6, 6], 8), input([2, 8, 5, 5], 9) * 0.3);
    let conv = DeformConv2dConfig::new([1, 2], [2, 2]).init(&device);
    single_only("DeformConv2d", None, conv, |m, conv| {
        energy(conv.forward(m.cast(&x), m.cast(&offset), None))
    });
}

#[test]
fn tables_and_norms() {
    let _turn = generator();
    let device = device();
    device.seed(2);
    let tokens = classes([2, 4], &[0, 3, 1, 4, 2, 2, 0, 1]);
    let embedding = EmbeddingConfig::new(5, 3).init(&device);
    double("Embedding", None, embedding, |_, embedding| {
        energy(embedding.forward(tokens.clone()))
    });
    let x = input([3, 4, 5], 10);
    // Norms after a linear layer: channels of 4.
    let first = || Some(LinearConfig::new(5, 4).init(&device));
    let norm = LayerNormConfig::new(4).init(&device);
    double("LayerNorm", first(), norm, |m, norm| {
        energy(norm.forward(m.first(&x)))
    });
    // The root mean square is computed in f32.
    let rows = input([16, 4, 5], 24);
    single(
        "RmsNorm",
        first(),
        RmsNormConfig::new(4).init(&device),
        |m, norm| energy(norm.forward(m.first(&rows))),
        |m, norm| {
            let y = m.first(&rows);
            let rms = (y.clone().square().mean_dim(2) + norm.epsilon).sqrt();
            energy(y / rms * norm.gamma.val().unsqueeze())
        },
    );
    let norm = GroupNormConfig::new(2, 4).init(&device);
    double("GroupNorm", first(), norm, |m, norm| {
        energy(norm.forward(m.first(&x)))
    });
    let norm = InstanceNormConfig::new(4).init(&device);
    double("InstanceNorm", first(), norm, |m, norm| {
        energy(norm.forward(m.first(&x)))
    });
    let norm = BatchNormConfig::new(4).init(&device);
    double("BatchNorm", first(), norm, |m, norm| {
        energy(norm.forward(m.first(&x)))
    });
    let norm = LocalResponseNormConfig::new(3).init();
    double("LocalResponseNorm", first(), norm, |m, norm| {
        energy(norm.forward(m.first(&x).unsqueeze_dim::<4>(3)))
    });
}

#[test]
fn recurrent_layers() {
    let _turn = generator();
    let device = device();
    device.seed(3);
    // Burn collects their output in f32 for states of any type.
    let x = input([2, 3, 2], 11);
    let rnn = RnnConfig::new(2, 3, true).init(&device);
    single_only("Rnn", None, rnn, |m, rnn| {
        energy(rnn.forward(m.cast(&x), None).0)
    });
    let rnn = BiRnnConfig::new(2, 3, true).init(&device);
    single_only("BiRnn", None, rnn, |m, rnn| {
        energy(rnn.forward(m.cast(&x), None).0)
    });
    let gru = GruConfig::new(2, 3, true).init(&device);
    single_only("Gru", None, gru, |m, gru| {
        energy(gru.forward(m.cast(&x), None))
    });
    let gru = BiGruConfig::new(2, 3, true).init(&device);
    single_only("BiGru", None, gru, |m, gru| {
        energy(gru.forward(m.cast(&x), None).0)
    });
    let lstm = LstmConfig::new(2, 3, true).init(&device);
    single_only("Lstm", None, lstm, |m, lstm| {
        energy(lstm.forward(m.cast(&x), None).0)
    });
    let lstm = BiLstmConfig::new(2, 2, true).init(&device);
    single_only("BiLstm", None, lstm, |m, lstm| {
        energy(lstm.forward(m.cast(&x), None).0)
    });
}

#[test]
fn attention_and_transformers() {
    let _turn = generator();
    let device = device();
    device.seed(4);
    let (x, memory) = (input([2, 3, 4], 12), input([2, 2, 4], 13));
    let attention = MultiHeadAttentionConfig::new(4, 2)
        .with_dropout(0.0)
        .init(&device);
    double("MultiHeadAttention", None, attention, |m, attention| {
        energy(attention.forward(MhaInput::self_attn(m.cast(&x))).context)
    });
    let attention = CrossAttentionConfig::new(4, 4, 2, 2, 2)
        .with_dropout(0.0)
        .init(&device);
    double("CrossAttention", None, attention, |m, attention| {
        energy(attention.forward(m.cast(&x), m.cast(&memory), None))
    });
    let feed_forward = PositionWiseFeedForwardConfig::new(4, 8)
        .with_dropout(0.0)
        .init(&device);
    double(
        "PositionWiseFeedForward",
        None,
        feed_forward,
        |m, feed_forward| energy(feed_forward.forward(m.cast(&x))),
    );
    let encoder = TransformerEncoderConfig::new(4, 6, 2, 1)
        .with_dropout(0.0)
        .init(&device);
    double("TransformerEncoder", None, encoder, |m, encoder| {
        energy(encoder.forward(TransformerEncoderInput::new(m.cast(&x))))
    });
    let decoder = TransformerDecoderConfig::new(4, 6, 2, 1)
        .with_dropout(0.0)
        .init(&device);
    double("TransformerDecoder", None, decoder, |m, decoder| {
        energy(decoder.forward(TransformerDecoderInput::new(m.cast(&x), m.cast(&memory))))
    });
    let first = || Some(LinearConfig::new(4, 4).init(&device));
    single(
        "PositionalEncoding",
        first(),
        PositionalEncodingConfig::new(4)
            .with_max_sequence_size(3)
            .init(&device),
        |m, encoding| energy(encoding.forward(m.first(&x))),
        |m, encoding| {
            let y = m.first(&x);
            energy(y.clone() + encoding.sinusoids.clone().cast(y.dtype()))
        },
    );
    // The rotation at each of the three positions, from the layer's images of the unit vectors.
    let rotary = RotaryEncodingConfig::new(3, 4).init(&device);
    let units = Tensor::<2>::eye(4, &device)
        .unsqueeze_dim::<3>(1)
        .repeat_dim(1, 3);
    let turned = rotary.forward(units).swap_dims(0, 1);
    single(
        "RotaryEncoding",
        first(),
        rotary,
        |m, rotary| energy(rotary.forward(m.first(&x))),
        |m, _| energy(m.first(&x).swap_dims(0, 1).matmul(m.cast(&turned))),
    );
}

#[test]
fn layers_without_parameters() {
    let _turn = generator();
    let device = device();
    device.seed(5);
    let x = input([2, 2, 4], 14);
    let first = || Some(LinearConfig::new(4, 4).init(&device));
    let pool = MaxPool1dConfig::new(2).init();
    double("MaxPool1d", first(), pool, |m, pool| {
        energy(pool.forward(m.first(&x)))
    });
    let pool = AvgPool1dConfig::new(2).init();
    double("AvgPool1d", first(), pool, |m, pool| {
        energy(pool.forward(m.first(&x)))
    });
    let pool = AdaptiveAvgPool1dConfig::new(2).init();
    double("AdaptiveAvgPool1d", first(), pool, |m, pool| {
        energy(pool.forward(m.first(&x)))
    });
    let resize = Interpolate1dConfig::new()
        .with_output_size(Some(6))
        .with_mode(InterpolateMode::Linear)
        .init();
    double("Interpolate1d", first(), resize, |m, resize| {
        energy(resize.forward(m.first(&x)))
    });
    let image = input([2, 4, 4, 4], 15);
    let pool = MaxPool2dConfig::new([2, 2]).init();
    double("MaxPool2d", first(), pool, |m, pool| {
        energy(pool.forward(m.first(&image)))
    });
    let pool = AvgPool2dConfig::new([2, 2]).init();
    double("AvgPool2d", first(), pool, |m, pool| {
        energy(pool.forward(m.first(&image)))
    });
    let pool = AdaptiveAvgPool2dConfig::new([2, 2]).init();
    double("AdaptiveAvgPool2d", first(), pool, |m, pool| {
        energy(pool.forward(m.first(&image)))
    });
    let resize = Interpolate2dConfig::new()
        .with_output_size(Some([6, 6]))
        .with_mode(InterpolateMode::Linear)
        .init();
    double("Interpolate2d", first(), resize, |m, resize| {
        energy(resize.forward(m.first(&image)))
    });
    let shuffle = PixelShuffleConfig::new(2).init();
    double("PixelShuffle", first(), shuffle, |m, shuffle| {
        energy(shuffle.forward(m.first(&image)))
    });
    let shuffle = PixelUnshuffleConfig::new(2).init();
    double("PixelUnshuffle", first(), shuffle, |m, shuffle| {
        energy(shuffle.forward(m.first(&image)))
    });
    let unfold = Unfold4dConfig::new([2, 2]).init();
    double("Unfold4d", first(), unfold, |m, unfold| {
        energy(unfold.forward(m.first(&image)))
    });
    let fold = Fold4dConfig::new([3, 3], [2, 2]).init();
    double("Fold4d", first(), fold, |m, fold| {
        energy(fold.forward(m.first(&image).reshape([2, 16, 4])))
    });
    let (a, b) = (input([5, 4], 16), input([5, 4], 17));
    let similarity = CosineSimilarityConfig::new().init();
    double("CosineSimilarity", first(), similarity, |m, similarity| {
        energy(similarity.forward(m.first(&a), m.first(&b)))
    });
    let distance = PairwiseDistanceConfig::new().init();
    double("PairwiseDistance", first(), distance, |m, distance| {
        energy(distance.forward(m.first(&a), m.first(&b)))
    });
    let volume = input([2, 2, 4, 4, 4], 26);
    let pool = AdaptiveAvgPool3dConfig::new([2, 2, 2]).init();
    double("AdaptiveAvgPool3d", first(), pool, |m, pool| {
        energy(pool.forward(m.first(&volume)))
    });
}

#[test]
fn activations() {
    let _turn = generator();
    let device = device();
    device.seed(6);
    let x = input([6, 3], 18) * 2.0;
    let first = || Some(LinearConfig::new(3, 4).init(&device));
    let all = [
        ("Gelu", ActivationConfig::Gelu),
        ("PRelu", PReluConfig::new().into()),
        ("Relu", ActivationConfig::Relu),
        ("SwiGlu", SwiGluConfig::new(4, 4).into()),
        ("Selu", ActivationConfig::Selu),
        ("Sigmoid", ActivationConfig::Sigmoid),
        ("Tanh", ActivationConfig::Tanh),
        ("Shrink", ShrinkConfig::new().into()),
        ("SoftShrink", SoftShrinkConfig::new().into()),
    ];
    for (name, activation) in all {
        double(name, first(), activation.init(&device), |m, activation| {
            energy(activation.forward(m.first(&x)))
        });
    }
    // Burn computes the hard sigmoid in f32.
    let x = input([64, 3], 25) * 2.0;
    single(
        "HardSwish",
        first(),
        ActivationConfig::HardSwish.init(&device),
        |m, activation| energy(activation.forward(m.first(&x))),
        |m, _| {
            let y = m.first(&x);
            energy(y.clone() * (y / 6.0 + 0.5).clamp(0.0, 1.0))
        },
    );
}

#[test]
fn more_activations() {
    let _turn = generator();
    let device = device();
    device.seed(9);
    let x = input([6, 3], 27) * 2.0;
    let first = || Some(LinearConfig::new(3, 4).init(&device));
    let all = [
        ("Identity", ActivationConfig::Identity),
        ("GeluApproximate", ActivationConfig::GeluApproximate),
        ("LeakyRelu", LeakyReluConfig::new().into()),
        ("Softplus", SoftplusConfig::new().into()),
        ("Softsign", ActivationConfig::Softsign),
        ("Elu", EluConfig::new().into()),
        ("Celu", CeluConfig::new().with_alpha(0.7).into()),
        (
            "ThresholdedRelu",
            ThresholdedReluConfig::new().with_alpha(0.3).into(),
        ),
        ("HardShrink", HardShrinkConfig::new().into()),
    ];
    for (name, activation) in all {
        double(name, first(), activation.init(&device), |m, activation| {
            energy(activation.forward(m.first(&x)))
        });
    }
    double("GLU", first(), Glu::new(1), |m, glu| {
        energy(glu.forward(m.first(&x)))
    });
    double("LogSigmoid", first(), LogSigmoid::new(), |m, log| {
        energy(log.forward(m.first(&x)))
    });
    double("Mish", first(), Mish::new(), |m, mish| {
        energy(mish.forward(m.first(&x)))
    });
    double("SiLU", first(), SiLU::new(), |m, silu| {
        energy(silu.forward(m.first(&x)))
    });
    double("Tanhshrink", first(), Tanhshrink::new(), |m, shrink| {
        energy(shrink.forward(m.first(&x)))
    });
    double(
        "Hardtanh",
        first(),
        HardtanhConfig::new().init(),
        |m, tanh| energy(tanh.forward(m.first(&x))),
    );
    double("Relu6", first(), Relu6::new(), |m, relu| {
        energy(relu.forward(m.first(&x) * 10.0) / 5.0)
    });
    double(
        "Threshold",
        first(),
        ThresholdConfig::new(0.3, -0.2).init(),
        |m, threshold| energy(threshold.forward(m.first(&x))),
    );
    // Rounded to f32, as in `HardSwish`.
    let x = input([12, 3], 53) * 5.0;
    single(
        "HardSigmoid",
        first(),
        ActivationConfig::from(HardSigmoidConfig::new()).init(&device),
        |m, activation| energy(activation.forward(m.first(&x))),
        |m, _| energy((m.first(&x) * 0.2 + 0.5).clamp(0.0, 1.0)),
    );
}

/// All evaluations of a refresh use the same random numbers; otherwise it would be refused. The curvature here does not
/// depend on the numbers.
#[test]
fn layers_that_draw_random_numbers() {
    let _turn = generator();
    let device = device();
    device.seed(10);
    let x = input([6, 3], 29) * 2.0;
    let first = || Some(LinearConfig::new(3, 4).init(&device));
    // Its noise is in f32.
    single(
        "GaussianNoise",
        first(),
        GaussianNoiseConfig::new(0.5).init(),
        |m, noise| noise.forward(m.first(&x)).cumsum(1).square().mean(),
        |m, _| m.first(&x).cumsum(1).square().mean(),
    );
    // Piecewise linear for all slopes.
    compare(
        "RRelu",
        Precision::F64,
        first(),
        RReluConfig::new().init(),
        &|m, relu| relu.forward(m.first(&x)).mean() + energy(m.first(&x)),
        (Precision::F64, &|m, _| energy(m.first(&x))),
    );
}

#[test]
fn losses_of_numbers() {
    let _turn = generator();
    let device = device();
    device.seed(7);
    let (x, t) = (input([6, 3], 19), input([6, 2], 20));
    let double = |name: &str, loss: Loss<Linear>| {
        double(name, None, LinearConfig::new(3, 2).init(&device), |_, m| {
            loss(m)
        });
    };
    let y = |m: &Linear| m.forward(like_module(x.clone(), m));
    let target = |m: &Linear| like_module(t.clone(), m);
    let mean = Reduction::Mean;
    double("MseLoss", &|m| {
        MseLoss::new().forward(y(m), target(m), mean.clone())
    });
    double("HuberLoss", &|m| {
        HuberLossConfig::new(0.5)
            .init()
            .forward(y(m), target(m), mean.clone())
    });
    double("SmoothL1Loss", &|m| {
        SmoothL1LossConfig::new()
            .init()
            .forward_with_reduction(y(m), target(m), mean.clone())
    });
    double("LpLoss, p = 3", &|m| {
        LpLossConfig::new(3.0)
            .init()
            .forward(y(m), target(m), mean.clone())
    });
    double("PoissonNllLoss", &|m| {
        let loss = PoissonNllLossConfig::new().init();
        loss.forward(y(m), target(m).abs(), mean.clone())
    });
    double("GaussianNLLLoss", &|m| {
        let variance = softplus(y(m), 1.0).add_scalar(0.1);
        GaussianNLLLossConfig::new()
            .init()
            .forward(y(m), target(m), variance, mean.clone())
    });
    double("KLDivLoss", &|m| {
        let target = softmax(target(m), 1);
        KLDivLossConfig::new()
            .init()
            .forward(log_softmax(y(m), 1), target, mean.clone())
    });
    let other = |m: &Linear| m.forward(like_module(t.clone().repeat_dim(1, 2).narrow(1, 0, 3), m));
    double("MarginRankingLoss", &|m| {
        let sign = target(m).sign();
        let loss = MarginRankingLossConfig::new().with_margin(3.0).init();
        loss.forward(y(m).tanh(), other(m).tanh(), sign, mean.clone())
    });
    double("TripletMarginLoss", &|m| {
        let loss = TripletMarginLossConfig::new().with_margin(3.0).init();
        loss.forward(y(m), other(m), target(m), mean.clone())
    });
}

/// Losses with classes. Those that build an f32 table of the classes are computed in f32.
#[test]
fn losses_of_classes() {
    let _turn = generator();
    let device = device();
    device.seed(8);
    let x = input([6, 3], 21);
    let labels = classes([6], &[0, 2, 1, 1, 0, 2]);
    let first = || LinearConfig::new(3, 3).init(&device);
    let double = |name: &str, loss: Loss<Linear>| double(name, None, first(), |_, m| loss(m));
    let single = |name: &str, loss: Loss<Linear>, truth: Loss<Linear>| {
        single(name, None, first(), |_, m| loss(m), |_, m| truth(m));
    };
    let y = |m: &Linear| m.forward(like_module(x.clone(), m));
    let picked = |scores: Tensor<2>| scores.gather(1, labels.clone().unsqueeze_dim(1));

    let plain = CrossEntropyLossConfig::new().init(&device);
    double("CrossEntropyLoss", &|m| plain.forward(y(m), labels.clone()));
    let weights = [0.5, 1.0, 2.0];
    let weighted = CrossEntropyLossConfig::new().with_weights(Some(weights.to_vec()));
    let weighted = weighted.init(&device);
    single(
        "CrossEntropyLoss with weights",
        &|m| weighted.forward(y(m), labels.clone()),
        &|m| {
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
        &|m| smoothed.forward(y(m), labels.clone()),
        &|m| {
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
        &|m| cross_entropy.forward(y(m), binary.clone()),
        &|m| {
            let t = binary.clone().float().cast(float_dtype(m).unwrap());
            // −t ln σ(y) − (1 − t) ln σ(−y)
            (softplus(y(m), 1.0) - y(m) * t).mean()
        },
    );
    double("MultiMarginLoss", &|m| {
        let loss = MultiMarginLossConfig::new().with_p(2).init();
        loss.forward(y(m), labels.clone(), Reduction::Mean)
    });
    let signs = classes([6], &[1, -1, 1, 1, -1, -1]);
    double("CosineEmbeddingLoss", &|m| {
        let loss = CosineEmbeddingLossConfig::new().with_margin(-1.0).init();
        loss.forward(y(m), sigmoid(y(m).flip([0])), signs.clone())
    });
    let signs = input([6, 3], 22).sign();
    double("SoftMarginLoss", &|m| {
        SoftMarginLoss::new().forward(y(m), like_module(signs.clone(), m), Reduction::Mean)
    });
    double("HingeEmbeddingLoss", &|m| {
        let loss = HingeEmbeddingLossConfig::new().init();
        loss.forward(
            y(m).square(),
            like_module(signs.clone(), m),
            Reduction::Mean,
        )
    });
    let (steps, texts) = (input([4, 2, 3], 23), classes([2, 2], &[1, 2, 2, 1]));
    let lengths = || (classes([2], &[4, 4]), classes([2], &[2, 2]));
    double("CTCLoss", &|m| {
        let (inputs, targets) = lengths();
        let log = log_softmax(m.forward(like_module(steps.clone(), m)), 2);
        let loss = CTCLossConfig::new().init();
        loss.forward(log, texts.clone(), inputs, targets).mean()
    });
    // The lattice starts in f32. The reference is the sum over all alignments, which emit the two labels at times s ≤
    // r.
    let (joined, texts) = (input([2, 3, 3, 3], 30), classes([2, 2], &[1, 2, 1, 2]));
    let scores = |m: &Linear| m.forward(like_module(joined.clone(), m));
    single(
        "RNNTLoss",
        &|m| {
            let (inputs, targets) = (classes([2], &[3, 3]), classes([2], &[2, 2]));
            let loss = RNNTLossConfig::new().init();
            loss.forward(scores(m), texts.clone(), inputs, targets)
                .mean()
        },
        &|m| {
            let p = softmax(scores(m), 3);
            let p = |t: usize, emitted: usize, class: usize| -> Tensor<1> {
                p.clone().slice(s![.., t, emitted, class]).reshape([2])
            };
            let alignment = |s: usize, r: usize| {
                let label = p(s, 0, 1) * p(r, 1, 2);
                (0..3).fold(label, |product, t| {
                    let emitted = usize::from(t >= s) + usize::from(t >= r);
                    product * p(t, emitted, 0)
                })
            };
            let pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)];
            let sum = pairs
                .into_iter()
                .map(|(s, r)| alignment(s, r))
                .reduce(|a, b| a + b);
            sum.unwrap().log().mean().neg()
        },
    );
}
