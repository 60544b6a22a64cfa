//! The features of images from a frozen ResNet-18, computed once and cached on disk.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use sha2::{Digest, Sha256};

use super::checksum::Checksum;
use super::device::device;
use super::{Preparation, TaskError, left_out, placeholder};
use crate::config::{TrainConfig, WeightsSource};
use crate::data::{
    ColourCounts, ColourImages, ColourSplit, DataError, Dataset, DatasetSplit, Images,
};
use crate::models::resnet18::{FEATURES, ResNet18, WEIGHTS_HINT};
use crate::models::weights::WeightsError;
use crate::runs::{RunError, check_writable, replace_file};

/// The width and height to which images are scaled.
const SIDE: usize = 128;
/// ImageNet's mean and standard deviation of red, green and blue.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
/// Images per pass through the network: few enough to check for an interrupt several times per second.
const BATCH: usize = 8;
/// The version of the cache; increment it if the same weights and images would give other features, or if older files
/// can no longer be read.
const VERSION: u32 = 2;
const TENSOR: &str = "features";
const SECONDS: &str = "seconds";
const HASH: &str = "sha256";
/// The time between two writes of incomplete features.
const PAUSE: Duration = Duration::from_secs(60);

/// Features with their classes and source.
pub(super) struct Features {
    /// The features.
    pub(super) split: DatasetSplit,
    /// SHA-256 of the weights and of both parts' images.
    pub(super) checksum: String,
    /// Notes on the time of computing or reading, and on omitted files.
    pub(super) notes: Vec<String>,
}

/// The features of the CIFAR-10 images, scaled to 128×128, with their classes.
///
/// They are cached in the folder `config.cache`, in a file whose name depends on the weights' and the images' bytes. A
/// damaged file is recomputed. An interrupted or killed run saves its features in another file, from which the next run
/// continues.
pub(super) fn of_cifar10(
    config: &TrainConfig,
    preparation: &Preparation,
) -> Result<Features, TaskError> {
    let weights = weights(config)?;
    check_writable(&config.cache)?;
    let mut backbone = Backbone::new(weights, device(config.device))?;
    let images = colour_images(config)?;
    let ColourSplit {
        train,
        validation,
        skipped,
    } = preparation.wait("reading the images", move || images.read())?;
    let name = config.data.to_string();
    let mut notes = left_out(&skipped);
    let mut checksum = Checksum::default();
    checksum.bytes(&backbone.key);
    let mut part = |images: Images| -> Result<Dataset, TaskError> {
        checksum.images(&images);
        let (features, note) = backbone.cached_features(&images, &config.cache, preparation)?;
        notes.push(note);
        Ok(Dataset {
            name: name.clone(),
            features,
            dim: FEATURES,
            classes: images.class_names.len(),
            labels: images.labels,
        })
    };
    let split = DatasetSplit {
        train: part(train)?,
        validation: part(validation)?,
    };
    Ok(Features {
        split,
        checksum: checksum.finish(),
        notes,
    })
}

/// The numbers of images, and a note on the cost of computing their features.
pub(super) fn outline(config: &TrainConfig) -> Result<(ColourCounts, Vec<String>), TaskError> {
    let weights = weights(config)?;
    if let WeightsSource::File(path) = weights {
        check_file(path)?;
    }
    let counts = colour_images(config)?.count()?;
    let device = device(config.device);
    let model = ResNet18::random(0, &device);
    let images = placeholder::images(BATCH, counts.size, counts.classes);
    let started = Instant::now();
    rows(&model, &images, &device)?;
    let count = counts.train + counts.validation;
    let seconds = started.elapsed().as_secs_f64() * count as f64 / BATCH as f64;
    let note = format!(
        "Features of {count} images are computed first, in about {seconds:.0} s, unless they are in {}",
        config.cache.display()
    );
    Ok((counts, vec![note]))
}

/// The colour images of a run.
pub(super) fn colour_images(config: &TrainConfig) -> Result<ColourImages, DataError> {
    Ok(ColourImages {
        directory: config.data_directory()?.to_owned(),
        damaged: config.damaged(),
        train_limit: config.examples,
        validation_limit: config.eval_examples,
    })
}

fn weights(config: &TrainConfig) -> Result<&WeightsSource, TaskError> {
    let hint = WEIGHTS_HINT;
    config.weights.as_ref().ok_or(TaskError::NoWeights { hint })
}

fn check_file(path: &Path) -> Result<(), WeightsError> {
    match path.is_file() {
        true => Ok(()),
        false => Err(WeightsError::Missing {
            path: path.to_owned(),
            hint: WEIGHTS_HINT,
        }),
    }
}

/// The features of a few images, one row per image.
fn rows(model: &ResNet18, images: &Images, device: &Device) -> Result<Vec<f32>, TaskError> {
    let pixels = images.resized(SIDE, SIDE).normalized(MEAN, DEVIATION);
    let pixels = TensorData::new(pixels, [images.len(), 3, SIDE, SIDE]);
    let rows = model.features(Tensor::from_data(pixels, device));
    rows.into_data().try_to_vec().map_err(TaskError::other)
}

/// The network, loaded on first use.
struct Backbone<'a> {
    weights: &'a WeightsSource,
    /// A hash of the weights' bytes.
    key: Vec<u8>,
    device: Device,
    model: Option<ResNet18>,
}

impl<'a> Backbone<'a> {
    fn new(weights: &'a WeightsSource, device: Device) -> Result<Self, TaskError> {
        let key = match weights {
            WeightsSource::Random => b"random".to_vec(),
            WeightsSource::File(path) => {
                check_file(path)?;
                let bytes = fs::read(path).map_err(|source| DataError::Read {
                    path: path.clone(),
                    source,
                })?;
                Sha256::digest(bytes).to_vec()
            }
        };
        let model = None;
        Ok(Self {
            weights,
            key,
            device,
            model,
        })
    }

    /// The features, and a note on the time they took.
    fn cached_features(
        &mut self,
        images: &Images,
        cache: &Path,
        preparation: &Preparation,
    ) -> Result<(Vec<f32>, String), TaskError> {
        let started = Instant::now();
        let path = cache.join(self.file_name(images));
        let count = images.len();
        let (place, elapsed) = (path.display(), || started.elapsed().as_secs_f64());
        if let Some(Stored { rows, seconds }) = Stored::read(&path)
            && rows.len() == count * FEATURES
        {
            let read = elapsed();
            let note = format!(
                "Features of {count} images: read from {place} in {read:.2} s; computing them took {seconds:.2} s"
            );
            return Ok((rows, note));
        }
        let part = path.with_extension("part");
        let before = Stored::read(&part).filter(|stored| stored.fits(count));
        let before = before.unwrap_or_default();
        let known = before.rows.len() / FEATURES;
        let stored = self.features(images, before, &part, preparation)?;
        stored.write(&path)?;
        // A leftover file is harmless.
        let _ = fs::remove_file(&part);
        let went_on = match known {
            0 => String::new(),
            known => format!(", {known} of them by a run that was cut off,"),
        };
        let note = format!(
            "Features of {count} images: computed{went_on} in {:.2} s and kept in {place} for the next run",
            stored.seconds
        );
        Ok((stored.rows, note))
    }

    /// The file name, which depends on weights, images and the computation.
    fn file_name(&self, images: &Images) -> PathBuf {
        let mut hash = Sha256::new();
        for number in [VERSION as usize, SIDE, images.width, images.height] {
            hash.update((number as u64).to_le_bytes());
        }
        hash.update(&self.key);
        hash.update(&images.pixels);
        let digits = format!("{:x}", hash.finalize());
        format!("resnet18-{}.safetensors", &digits[..32]).into()
    }

    /// Computes the features that follow those of the first images. Writes incomplete features to `part` every minute
    /// and on an interrupt.
    fn features(
        &mut self,
        images: &Images,
        before: Stored,
        part: &Path,
        preparation: &Preparation,
    ) -> Result<Stored, TaskError> {
        let device = self.device.clone();
        let model = match self.model.take() {
            Some(model) => model,
            None => match self.weights {
                WeightsSource::Random => ResNet18::random(0, &device),
                WeightsSource::File(path) => ResNet18::from_file(path, &device)?,
            },
        };
        let count = images.len();
        let Stored { mut rows, seconds } = before;
        let started = Instant::now();
        let spent = || seconds + started.elapsed().as_secs_f64();
        let advance = (preparation.progress)("features", count as u64);
        let done = rows.len() / FEATURES;
        advance(done as u64);
        let mut written = Instant::now();
        let indices: Vec<u32> = (done as u32..count as u32).collect();
        for indices in indices.chunks(BATCH) {
            let interrupted = preparation.interrupt.requested();
            if interrupted || written.elapsed() >= PAUSE {
                let stored = Stored {
                    rows: rows.clone(),
                    seconds: spent(),
                };
                stored.write(part)?;
                written = Instant::now();
            }
            let done = rows.len() / FEATURES;
            preparation.check("computing the features of the images", || {
                format!(
                    "{done} of {count} are kept in {}, and the next run continues from there",
                    part.display()
                )
            })?;
            rows.extend(self::rows(&model, &images.gather(indices), &device)?);
            advance(indices.len() as u64);
        }
        self.model = Some(model);
        let seconds = spent();
        Ok(Stored { rows, seconds })
    }
}

/// Features in a file, complete or not.
#[derive(Debug, Default)]
struct Stored {
    /// The features, row by row.
    rows: Vec<f32>,
    /// The seconds that computing them took.
    seconds: f64,
}

impl Stored {
    /// The content of a file; `None` if it is missing or damaged.
    fn read(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let (_, header) = SafeTensors::read_metadata(&bytes).ok()?;
        let fields = header.metadata().as_ref()?;
        let file = SafeTensors::deserialize(&bytes).ok()?;
        let tensor = file.tensor(TENSOR).ok()?;
        let data = tensor.data();
        let whole = tensor.dtype() == Dtype::F32
            && matches!(tensor.shape(), [_, FEATURES])
            && *fields.get(HASH)? == hash(data);
        let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        whole.then_some(Self {
            rows: data.chunks_exact(4).map(number).collect(),
            seconds: fields.get(SECONDS)?.parse().ok()?,
        })
    }

    /// Whether these can be features of the first of `images` images.
    fn fits(&self, images: usize) -> bool {
        // Only whole batches count, so that the remaining batches equal those of an uninterrupted run.
        let done = self.rows.len() / FEATURES;
        done <= images && done.is_multiple_of(BATCH)
    }

    fn write(&self, path: &Path) -> Result<(), TaskError> {
        let bytes: Vec<u8> = self.rows.iter().flat_map(|x| x.to_le_bytes()).collect();
        let shape = vec![self.rows.len() / FEATURES, FEATURES];
        let view = TensorView::new(Dtype::F32, shape, &bytes).map_err(TaskError::other)?;
        let header = HashMap::from([
            (SECONDS.to_owned(), format!("{:.2}", self.seconds)),
            (HASH.to_owned(), hash(&bytes)),
        ]);
        let file = serialize([(TENSOR, view)], Some(header)).map_err(TaskError::other)?;
        if let Some(folder) = path.parent() {
            let refused = |source| RunError::Write {
                path: folder.to_owned(),
                source,
            };
            fs::create_dir_all(folder).map_err(refused)?;
        }
        Ok(replace_file(path, &file)?)
    }
}

fn hash(bytes: &[u8]) -> String {
    let mut sum = Checksum::default();
    sum.bytes(bytes);
    sum.finish()
}
