//! Features of images by a frozen ResNet-18, computed once and kept on disk.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use sha2::{Digest, Sha256};

use super::device::device;
use super::{TaskError, left_out};
use crate::config::{TrainConfig, Weights};
use crate::data::{ColourSplit, DataError, Dataset, Images, Split};
use crate::models::resnet18::{FEATURES, ResNet18, WEIGHTS_HINT};
use crate::models::weights::WeightsError;

/// Width and height to which images are scaled.
const SIDE: usize = 128;
/// ImageNet's mean and standard deviation of red, green and blue.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
/// Images at once through the network.
const BATCH: usize = 32;
/// Raise it when the same weights and images would give other features.
const VERSION: u32 = 1;
const TENSOR: &str = "features";
const SECONDS: &str = "seconds";

/// The features of CIFAR-10's images, scaled to 128×128, with their classes.
///
/// They are kept in the folder of `config.cache` in a file named after all that they depend on: the weights' bytes and
/// the images'. A file that is damaged is computed anew. Answers also say how long computing and reading took.
pub(super) fn of_cifar10(config: &TrainConfig) -> Result<(Split, Vec<String>), TaskError> {
    let weights = match &config.weights {
        Some(weights) => weights,
        None => return Err(TaskError::NoWeights { hint: WEIGHTS_HINT }),
    };
    let mut backbone = Backbone::new(weights, device(config.device))?;
    let ColourSplit {
        train,
        validation,
        skipped,
    } = ColourSplit::open(config)?;
    let name = config.data.to_string();
    let mut notes = left_out(&skipped);
    let mut part = |images: Images| -> Result<Dataset, TaskError> {
        let (features, note) = backbone.cached_features(&images, &config.cache)?;
        notes.push(note);
        Ok(Dataset {
            name: name.clone(),
            features,
            dim: FEATURES,
            classes: images.class_names.len(),
            labels: images.labels,
        })
    };
    let split = Split {
        train: part(train)?,
        validation: part(validation)?,
    };
    Ok((split, notes))
}

/// The network, made when it is needed.
struct Backbone<'a> {
    weights: &'a Weights,
    /// Names the weights' bytes.
    key: Vec<u8>,
    device: Device,
    model: Option<ResNet18>,
}

impl<'a> Backbone<'a> {
    fn new(weights: &'a Weights, device: Device) -> Result<Self, TaskError> {
        let key = match weights {
            Weights::Random => b"random".to_vec(),
            Weights::File(path) if !path.is_file() => {
                return Err(WeightsError::Missing {
                    path: path.clone(),
                    hint: WEIGHTS_HINT,
                }
                .into());
            }
            Weights::File(path) => fs::read(path)
                .map_err(|source| DataError::Read {
                    path: path.clone(),
                    source,
                })
                .map(|bytes| Sha256::digest(bytes).to_vec())?,
        };
        let model = None;
        Ok(Self {
            weights,
            key,
            device,
            model,
        })
    }

    /// The features, and a note of how long it took.
    fn cached_features(
        &mut self,
        images: &Images,
        cache: &Path,
    ) -> Result<(Vec<f32>, String), TaskError> {
        let started = Instant::now();
        let path = cache.join(self.file_name(images));
        let count = images.len();
        let (place, elapsed) = (path.display(), || started.elapsed().as_secs_f64());
        if let Some((features, computed)) = read(&path, count) {
            let read = elapsed();
            let note = format!(
                "Features of {count} images: read from {place} in {read:.2} s; computing them took {computed} s"
            );
            return Ok((features, note));
        }
        let features = self.features(images)?;
        let computed = elapsed();
        write(&path, &features, computed)?;
        let note = format!(
            "Features of {count} images: computed in {computed:.2} s and kept in {place} for the next run"
        );
        Ok((features, note))
    }

    /// Of weights, images and the way from the one to the other.
    fn file_name(&self, images: &Images) -> PathBuf {
        let mut hash = Sha256::new();
        for number in [VERSION as usize, SIDE, images.width, images.height] {
            hash.update((number as u64).to_le_bytes());
        }
        hash.update(&self.key);
        hash.update(&images.pixels);
        let name: String = hash.finalize()[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("resnet18-{name}.safetensors").into()
    }

    fn features(&mut self, images: &Images) -> Result<Vec<f32>, TaskError> {
        let device = self.device.clone();
        let model = match self.model.take() {
            Some(model) => model,
            None => match self.weights {
                Weights::Random => ResNet18::random(0, &device),
                Weights::File(path) => ResNet18::from_file(path, &device)?,
            },
        };
        let mut features = Vec::with_capacity(images.len() * FEATURES);
        let indices: Vec<u32> = (0..images.len() as u32).collect();
        for indices in indices.chunks(BATCH) {
            let batch = images.gather(indices).resized(SIDE, SIDE);
            let pixels = batch.normalized(MEAN, DEVIATION);
            let pixels = TensorData::new(pixels, [indices.len(), 3, SIDE, SIDE]);
            let rows = model
                .features(Tensor::from_data(pixels, &device))
                .into_data();
            let rows: Vec<f32> = rows
                .try_to_vec()
                .map_err(|e| TaskError::Other(Box::new(e)))?;
            features.extend(rows);
        }
        self.model = Some(model);
        Ok(features)
    }
}

/// The features in a file and the seconds that computing them took; `None` where there is none, or not a whole one of
/// `images` rows.
fn read(path: &Path, images: usize) -> Option<(Vec<f32>, String)> {
    let bytes = fs::read(path).ok()?;
    let (_, header) = SafeTensors::read_metadata(&bytes).ok()?;
    let seconds = header.metadata().as_ref()?.get(SECONDS)?.clone();
    let file = SafeTensors::deserialize(&bytes).ok()?;
    let tensor = file.tensor(TENSOR).ok()?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != [images, FEATURES] {
        return None;
    }
    let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    Some((tensor.data().chunks_exact(4).map(number).collect(), seconds))
}

fn write(path: &Path, features: &[f32], seconds: f64) -> Result<(), TaskError> {
    let bytes: Vec<u8> = features.iter().flat_map(|x| x.to_le_bytes()).collect();
    let shape = vec![features.len() / FEATURES, FEATURES];
    let view = TensorView::new(Dtype::F32, shape, &bytes).map_err(failed)?;
    let header = HashMap::from([(SECONDS.to_owned(), format!("{seconds:.2}"))]);
    let file = serialize([(TENSOR, view)], Some(header)).map_err(failed)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fosi::checkpoint::write_atomically(path, &file).map_err(failed)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> TaskError {
    TaskError::Other(Box::new(error))
}
