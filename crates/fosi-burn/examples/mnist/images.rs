//! Images of digits: MNIST's files, or the digits of this repository.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use flate2::read::GzDecoder;

/// 1,797 lines of 64 pixels from 0 to 16 and a digit (Alpaydin and Kaynak, UCI Machine Learning Repository, CC BY 4.0).
const DIGITS: &[u8] = include_bytes!("../../../fosi-lab/data/digits/digits.csv.gz");
/// One in this many digits is for validation.
const VALIDATION: usize = 5;

pub struct Images {
    pub train: Set,
    pub validation: Set,
}

/// Square images with values from 0 to 1, and their digits.
pub struct Set {
    size: usize,
    pixels: Vec<f32>,
    labels: Vec<i64>,
}

impl Set {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn batch(&self, indices: &[usize], device: &Device) -> (Tensor<3>, Tensor<1, Int>) {
        let (n, area) = (indices.len(), self.size * self.size);
        let image = |&i: &usize| self.pixels[i * area..(i + 1) * area].iter().copied();
        let pixels: Vec<f32> = indices.iter().flat_map(image).collect();
        let labels: Vec<i64> = indices.iter().map(|&i| self.labels[i]).collect();
        let images = TensorData::new(pixels, [n, self.size, self.size]);
        (
            Tensor::from_data(images, device),
            Tensor::from_data(TensorData::new(labels, [n]), device),
        )
    }
}

/// MNIST in `folder`, or the repository's digits, with at most `examples` training examples.
pub fn read(folder: Option<&Path>, examples: usize) -> Result<Images, Box<dyn Error>> {
    match folder {
        Some(folder) => Ok(Images {
            train: mnist(folder, "train", examples)?,
            validation: mnist(folder, "t10k", usize::MAX)?,
        }),
        None => digits(examples),
    }
}

fn digits(examples: usize) -> Result<Images, Box<dyn Error>> {
    let mut text = String::new();
    GzDecoder::new(DIGITS).read_to_string(&mut text)?;
    let empty = || Set {
        size: 8,
        pixels: Vec::new(),
        labels: Vec::new(),
    };
    let (mut train, mut validation) = (empty(), empty());
    for (number, line) in text.lines().enumerate() {
        let values: Vec<i64> = line.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let set = match number % VALIDATION {
            0 => &mut validation,
            _ if train.len() < examples => &mut train,
            _ => continue,
        };
        if let Some((label, pixels)) = values.split_last() {
            set.labels.push(*label);
            set.pixels.extend(pixels.iter().map(|&p| p as f32 / 16.0));
        }
    }
    Ok(Images { train, validation })
}

fn mnist(folder: &Path, part: &str, examples: usize) -> Result<Set, Box<dyn Error>> {
    let images = idx(folder, &format!("{part}-images-idx3-ubyte"), 16)?;
    let labels = idx(folder, &format!("{part}-labels-idx1-ubyte"), 8)?;
    let count = labels.len().min(examples);
    const SIZE: usize = 28;
    if images.len() != labels.len() * SIZE * SIZE {
        return Err(format!("{}: as many images as labels are needed", folder.display()).into());
    }
    let pixels = images.iter().take(count * SIZE * SIZE);
    Ok(Set {
        size: SIZE,
        pixels: pixels.map(|&p| f32::from(p) / 255.0).collect(),
        labels: labels[..count].iter().map(|&label| label.into()).collect(),
    })
}

/// The content of an IDX file after its header, unpacked.
fn idx(folder: &Path, name: &str, header: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let (plain, packed) = (folder.join(name), folder.join(format!("{name}.gz")));
    let mut content = Vec::new();
    if plain.exists() {
        File::open(plain)?.read_to_end(&mut content)?;
    } else {
        let file = File::open(&packed).map_err(|error| format!("{}: {error}", packed.display()))?;
        GzDecoder::new(file).read_to_end(&mut content)?;
    }
    if content.len() < header {
        return Err(format!("{name} is cut short").into());
    }
    Ok(content.split_off(header))
}
