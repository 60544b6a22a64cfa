//! The paper's networks: their sizes, and their values against PyTorch and explicit sums.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{DType, Device, Distribution, Int, Tensor, TensorData};
use fosi_burn::{FlatLayout, Precision, Replica};
use fosi_lab::models::autoencoder::AutoencoderConfig;
use fosi_lab::models::char_lstm::{CharLstm, CharLstmConfig};
use fosi_lab::models::deep_autoencoder::DeepAutoencoderConfig;
use fosi_lab::models::mobilenet::MobileNetConfig;
use fosi_lab::models::resnet18::{FEATURES, ResNet18};
use fosi_lab::models::weights::WeightsError;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

fn parameters(module: &impl Module) -> usize {
    FlatLayout::of(module).unwrap().len()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    let data = tensor.into_data().convert_dtype(DType::F64);
    data.try_to_vec::<f64>().unwrap()
}

#[test]
fn sizes_are_the_papers() {
    let device = Device::flex().autodiff();
    let autoencoder = AutoencoderConfig::default().init(0, &device);
    assert_eq!(parameters(&autoencoder), 468_227);
    let characters = CharLstmConfig::default().init(0, &device);
    assert_eq!(parameters(&characters), 1_018_240);
    // MobileNetV1 has 3,206,976; one input channel instead of three saves 576; each class adds 1,025.
    let classes = 527;
    let mobilenet = MobileNetConfig::default().init(0, &device);
    assert_eq!(parameters(&mobilenet), 3_206_976 - 576 + 1025 * classes);
}

#[test]
fn the_deep_autoencoder_for_mnist_has_435536_parameters() {
    let device = Device::flex().autodiff();
    let autoencoder = DeepAutoencoderConfig::default().init(0, &device);
    let layers = [(784, 256), (256, 64), (64, 256), (256, 784)];
    let expected: usize = layers.iter().map(|(m, n)| m * n + n).sum();
    assert_eq!(expected, 435_536);
    assert_eq!(parameters(&autoencoder), expected);
}

#[test]
fn the_same_seed_gives_the_same_start_and_another_another() {
    let device = Device::flex();
    let start = |seed| {
        let config = CharLstmConfig {
            symbols: 5,
            hidden: 3,
        };
        let model = config.init(seed, &device);
        values(model.forward(Tensor::from_ints([[1, 4, 0]], &device)))
    };
    assert_eq!(start(1), start(1));
    assert_ne!(start(1), start(2));
}

/// All parameters of a module in f64, in the order of its fields.
fn flat(module: &CharLstm) -> Vec<f64> {
    let replica = Replica::new(module, Precision::F64).unwrap();
    replica.parameters().unwrap()
}

/// Takes the next rows×columns numbers as a matrix.
fn matrix<'a>(rest: &mut &'a [f64], rows: usize, columns: usize) -> Vec<&'a [f64]> {
    let (taken, left) = rest.split_at(rows * columns);
    *rest = left;
    taken.chunks(columns).collect()
}

/// xᵀA.
fn product(x: &[f64], a: &[&[f64]]) -> Vec<f64> {
    let column = |j: usize| x.iter().zip(a).map(|(x, row)| x * row[j]).sum();
    (0..a[0].len()).map(column).collect()
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// States after each input, one input and one entry of a gate at a time.
fn lstm(inputs: &[Vec<f64>], rest: &mut &[f64], hidden: usize) -> Vec<Vec<f64>> {
    let input = matrix(rest, inputs[0].len(), 4 * hidden);
    let recurrent = matrix(rest, hidden, 4 * hidden);
    let bias = matrix(rest, 1, 4 * hidden)[0];
    let (mut h, mut c) = (vec![0.0; hidden], vec![0.0; hidden]);
    let step = |x: &Vec<f64>| {
        let gates = sum(&sum(&product(x, &input), &product(&h, &recurrent)), bias);
        for j in 0..hidden {
            let gate = |index: usize| gates[index * hidden + j];
            c[j] = sigmoid(gate(2)) * c[j] + sigmoid(gate(0)) * gate(1).tanh();
            h[j] = sigmoid(gate(3)) * c[j].tanh();
        }
        h.clone()
    };
    inputs.iter().map(step).collect()
}

fn relu(x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| x.max(0.0)).collect()
}

#[test]
fn the_language_model_is_what_its_sums_written_out_are() {
    let (symbols, hidden) = (6, 4);
    let config = CharLstmConfig { symbols, hidden };
    let model = config.init(7, &Device::flex().autodiff());
    let codes = [[1_usize, 5, 0, 3, 3], [2, 2, 4, 1, 0]];
    let targets = [[5_usize, 0, 3, 3, 1], [2, 4, 1, 0, 5]];

    let parameters = flat(&model);
    let mut loss = 0.0;
    let mut scores = Vec::new();
    for (codes, targets) in codes.iter().zip(targets) {
        let mut rest = parameters.as_slice();
        let one_hot = |&code: &usize| (0..symbols).map(|s| f64::from(s == code)).collect();
        let inputs: Vec<Vec<f64>> = codes.iter().map(one_hot).collect();
        let states = lstm(&inputs, &mut rest, hidden);
        let states: Vec<Vec<f64>> = states.iter().map(|state| relu(state)).collect();
        let states = lstm(&states, &mut rest, hidden);
        let dense = matrix(&mut rest, hidden, hidden);
        let dense_bias = matrix(&mut rest, 1, hidden)[0];
        let output = matrix(&mut rest, hidden, symbols);
        let output_bias = matrix(&mut rest, 1, symbols)[0];
        assert!(rest.is_empty());
        for (state, target) in states.iter().zip(targets) {
            let state = relu(&sum(&product(state, &dense), dense_bias));
            let row = sum(&product(&state, &output), output_bias);
            let total: f64 = row.iter().map(|score| score.exp()).sum();
            loss += (total.ln() - row[target]) / 10.0;
            scores.extend(row);
        }
    }

    let device = Device::flex();
    let tensor = |rows: [[usize; 5]; 2], device: &Device| {
        let codes: Vec<i64> = rows.concat().iter().map(|&code| code as i64).collect();
        Tensor::<2, Int>::from_data(TensorData::new(codes, [2, 5]), device)
    };
    let ours = values(model.valid().forward(tensor(codes, &device)));
    for (ours, theirs) in ours.iter().zip(&scores) {
        assert!((ours - theirs).abs() < 1e-6, "{ours} {theirs}");
    }
    // This holds on the f64 copy, too: no intermediate value is rounded to f32.
    let training = Device::flex().autodiff();
    let replica = Replica::new(&model, Precision::F64).unwrap();
    let value = replica.value_and_gradient(&parameters, &|model: &CharLstm| {
        model.loss(tensor(codes, &training), tensor(targets, &training))
    });
    let value = value.unwrap().0;
    assert!((value - loss).abs() < 1e-14, "{value} {loss}");
}

#[test]
fn the_autoencoders_loss_sums_over_pixels_and_averages_over_the_batch() {
    let device = Device::flex();
    let config = AutoencoderConfig {
        channels: 3,
        latent: 5,
        side: 16,
    };
    let model = config.init(3, &device);
    let images = Tensor::<4>::random([4, 3, 16, 16], Distribution::Uniform(-1.0, 1.0), &device);
    let (inputs, outputs) = (
        values(images.clone()),
        values(model.forward(images.clone())),
    );
    assert!(outputs.iter().all(|x| x.abs() < 1.0));
    let squares: f64 = inputs
        .iter()
        .zip(&outputs)
        .map(|(x, y)| (x - y).powi(2))
        .sum();
    let loss = values(model.loss(images))[0];
    assert!((loss - squares / 4.0).abs() < 1e-5 * loss, "{loss}");
}

/// The layers computed entry by entry, from the parameters in the order of the module's fields.
#[test]
fn the_deep_autoencoders_loss_is_that_of_its_layers() {
    let device = Device::flex().autodiff();
    let config = DeepAutoencoderConfig {
        inputs: 6,
        hidden: 4,
        code: 2,
    };
    let model = config.init(5, &device);
    let replica = Replica::new(&model, Precision::F64).unwrap();
    let parameters = replica.parameters().unwrap();
    let images = Tensor::<2>::random([3, 6], Distribution::Uniform(0.0, 1.0), &device);
    let mut squares = 0.0;
    for input in values(images.clone()).chunks(6) {
        let mut rest = &parameters[..];
        let mut x = input.to_vec();
        for (layer, (inputs, outputs)) in [(6, 4), (4, 2), (2, 4), (4, 6)].into_iter().enumerate() {
            let weights = matrix(&mut rest, inputs, outputs);
            let bias = matrix(&mut rest, 1, outputs)[0];
            x = sum(&product(&x, &weights), bias);
            match layer {
                0 | 2 => x.iter_mut().for_each(|x| *x = x.tanh()),
                3 => x.iter_mut().for_each(|x| *x = sigmoid(*x)),
                _ => {}
            }
        }
        assert_eq!(x.len(), 6);
        squares += input
            .iter()
            .zip(&x)
            .map(|(a, b)| (a - b).powi(2))
            .sum::<f64>();
    }
    let loss = values(model.loss(images))[0];
    assert!(
        (loss - squares / 3.0).abs() < 1e-5 * loss,
        "{loss} {squares}"
    );
}

#[test]
fn the_sigmoid_loss_is_the_mean_cross_entropy_of_every_class() {
    let device = Device::flex();
    let config = MobileNetConfig {
        width: 0.125,
        classes: 3,
    };
    let model = config.init(3, &device);
    let patches = Tensor::<4>::random([2, 1, 96, 64], Distribution::Default, &device);
    let targets = [1.0_f64, 0.0, 1.0, 0.0, 0.0, 1.0];
    let scores = values(model.forward(patches.clone()));
    let terms = scores.iter().zip(targets).map(|(&score, target)| {
        let p = sigmoid(score);
        -(target * p.ln() + (1.0 - target) * (1.0 - p).ln())
    });
    let expected = terms.sum::<f64>() / 6.0;
    let targets = TensorData::new(targets.map(|t| t as f32).to_vec(), [2, 3]);
    let loss = values(model.loss(patches, Tensor::from_data(targets, &device)))[0];
    assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/suite/data/resnet18")
        .join(name)
}

#[test]
fn resnet18_with_torchvisions_weights_gives_torchvisions_features() {
    let device = Device::flex();
    let model = ResNet18::from_file(&golden("weights.pth"), &device).unwrap();
    let entry = |i: u32| (f64::from(i).powi(2) / 10_000.0).sin() as f32;
    let side = 64;
    let entries: Vec<f32> = (0..2 * 3 * 64 * 64).map(entry).collect();
    let images = TensorData::new(entries, [2, 3, side, side]);
    let features = model.features(Tensor::from_data(images, &device));
    assert_eq!(features.dims(), [2, FEATURES]);

    let text = std::fs::read_to_string(golden("features.csv")).unwrap();
    let expected = text.split([',', '\n']).filter(|field| !field.is_empty());
    let expected: Vec<f64> = expected.map(|field| field.parse().unwrap()).collect();
    let ours = values(features);
    assert_eq!(ours.len(), expected.len());
    for (index, (ours, theirs)) in ours.iter().zip(&expected).enumerate() {
        let bound = 1e-4 * theirs.abs().max(1.0);
        assert!((ours - theirs).abs() < bound, "{index}: {ours} {theirs}");
    }
}

#[test]
fn weights_that_cannot_be_used_are_refused_by_name() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let read = |path: &Path| ResNet18::from_file(path, &device).unwrap_err();

    let missing = read(&folder.path().join("resnet18.pth"));
    assert!(matches!(missing, WeightsError::Missing { .. }));
    assert!(missing.to_string().contains("https://"), "{missing}");

    let other = folder.path().join("weights.bin");
    std::fs::write(&other, b"weights").unwrap();
    let unknown = read(&other);
    assert!(matches!(unknown, WeightsError::UnknownFormat { .. }));

    for name in ["damaged.pth", "damaged.safetensors"] {
        let damaged = folder.path().join(name);
        let bytes = std::fs::read(golden("weights.pth")).unwrap();
        std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
        let error = read(&damaged);
        assert!(
            matches!(error, WeightsError::Unreadable { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(name));
    }
}

#[test]
fn weights_of_another_network_are_refused_by_the_tensors_names() {
    use burn_store::{ModuleSnapshot, SafetensorsStore};
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let save = |name: &str, module: &dyn Fn(&mut SafetensorsStore)| {
        let path = folder.path().join(name);
        module(&mut SafetensorsStore::from_file(&path));
        path
    };
    let stranger = save("stranger.safetensors", &|store| {
        let other = CharLstmConfig {
            symbols: 4,
            hidden: 2,
        }
        .init(0, &device);
        other.save_into(store).unwrap();
    });
    let error = ResNet18::from_file(&stranger, &device).unwrap_err();
    match &error {
        WeightsError::Lacking { names, .. } => {
            assert_eq!(names.len(), 100);
            assert!(error.to_string().contains(&names[0]));
        }
        other => panic!("{other}"),
    }
}

/// The golden weights as safetensors with torchvision's names, after `change` modified names, types, shapes and bytes.
fn changed(path: &Path, change: impl Fn(&mut Vec<(String, Dtype, Vec<usize>, Vec<u8>)>)) {
    use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore};
    let model = ResNet18::from_file(&golden("weights.pth"), &Device::flex()).unwrap();
    let mut store = SafetensorsStore::from_bytes(None).with_to_adapter(BurnToPyTorchAdapter);
    model.save_into(&mut store).unwrap();
    let bytes = store.get_bytes().unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let entry = |(name, view): (String, TensorView<'_>)| {
        (
            name,
            view.dtype(),
            view.shape().to_vec(),
            view.data().to_vec(),
        )
    };
    let mut tensors: Vec<_> = file.tensors().into_iter().map(entry).collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.clone(), bytes).unwrap();
        (name.as_str(), view)
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn weights_that_almost_fit_are_refused_by_the_tensors_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let read = || ResNet18::from_file(&path, &Device::flex());
    changed(&path, |_| {});
    read().unwrap();

    changed(&path, |tensors| {
        tensors.push(("layer5.weight".into(), Dtype::F32, vec![1], vec![0; 4]));
    });
    let error = read().unwrap_err();
    assert!(matches!(error, WeightsError::Unexpected { .. }), "{error}");
    assert!(error.to_string().contains("`layer5.weight`"), "{error}");

    let first = |tensors: &mut Vec<(String, Dtype, Vec<usize>, Vec<u8>)>| {
        tensors.iter().position(|t| t.0 == "conv1.weight").unwrap()
    };
    changed(&path, |tensors| {
        let first = first(tensors);
        tensors[first].2 = vec![64, 3, 49];
    });
    let error = read().unwrap_err();
    assert!(matches!(error, WeightsError::Shape { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("[64, 3, 49]") && message.contains("[64, 3, 7, 7]"),
        "{message}"
    );

    changed(&path, |tensors| {
        let first = first(tensors);
        tensors[first].1 = Dtype::I32;
    });
    let error = read().unwrap_err();
    assert!(matches!(error, WeightsError::Type { .. }), "{error}");
    assert!(error.to_string().contains("`conv1.weight`"), "{error}");
}
