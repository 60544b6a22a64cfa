//! The UCI handwritten digits (Alpaydin and Kaynak 1998, CC BY 4.0), embedded in the program.

use std::io::Read;

use flate2::read::GzDecoder;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{DataError, Dataset, DatasetSplit};

const COMPRESSED: &[u8] = include_bytes!("../../data/digits/digits.csv.gz");
const DIM: usize = 64;
const CLASSES: usize = 10;
const LARGEST_PIXEL: u8 = 16;
const TRAIN: usize = 1437;
/// The split is part of the data set: it is the same for all seeds of runs.
const SPLIT_SEED: u64 = 1797;

/// The digits, shuffled once and split into 1,437 training and 360 validation images. Pixels are divided by 16.
///
/// # Errors
/// [`DataError::Embedded`] if the embedded copy is damaged.
pub fn digits() -> Result<DatasetSplit, DataError> {
    let all = parse(&decompress()?)?;
    let mut order: Vec<u32> = (0..all.len() as u32).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(SPLIT_SEED));
    let (train, validation) = order.split_at(TRAIN.min(order.len()));
    Ok(DatasetSplit {
        train: all.subset(train),
        validation: all.subset(validation),
    })
}

fn decompress() -> Result<String, DataError> {
    let mut text = String::new();
    GzDecoder::new(COMPRESSED)
        .read_to_string(&mut text)
        .map_err(|error| embedded(0, error.to_string()))?;
    Ok(text)
}

fn parse(text: &str) -> Result<Dataset, DataError> {
    let mut features = Vec::new();
    let mut labels = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut values = Vec::with_capacity(DIM + 1);
        for field in line.split(',') {
            let value: u8 = field
                .parse()
                .map_err(|_| embedded(number + 1, format!("`{field}` is not a number")))?;
            values.push(value);
        }
        match values.split_last() {
            Some((&label, pixels))
                if pixels.len() == DIM
                    && usize::from(label) < CLASSES
                    && pixels.iter().all(|&p| p <= LARGEST_PIXEL) =>
            {
                let scale = f32::from(LARGEST_PIXEL);
                features.extend(pixels.iter().map(|&p| f32::from(p) / scale));
                labels.push(label);
            }
            _ => {
                let reason = "not 64 pixels of 0 to 16 and a class of 0 to 9".to_owned();
                return Err(embedded(number + 1, reason));
            }
        }
    }
    Ok(Dataset {
        name: "digits".to_owned(),
        features,
        labels,
        dim: DIM,
        classes: CLASSES,
    })
}

fn embedded(line: usize, reason: String) -> DataError {
    DataError::Embedded { line, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counts of the whole set in its authors' description.
    #[test]
    fn the_split_holds_each_image_once() {
        let split = digits().unwrap();
        assert_eq!((split.train.len(), split.validation.len()), (1437, 360));
        assert_eq!(split.train.features.len(), 1437 * 64);

        let mut counts = [0; 10];
        for &label in split.train.labels.iter().chain(&split.validation.labels) {
            counts[usize::from(label)] += 1;
        }
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);

        let all = parse(&decompress().unwrap()).unwrap();
        let rows = |set: &Dataset| -> Vec<Vec<u8>> {
            let row = |r: &[f32]| r.iter().map(|x| (x * 16.0) as u8).collect();
            set.features.chunks(64).map(row).collect()
        };
        let mut joined = rows(&split.train);
        joined.extend(rows(&split.validation));
        let mut expected = rows(&all);
        joined.sort();
        expected.sort();
        assert_eq!(joined, expected);
    }

    #[test]
    fn pixels_are_scaled_to_the_unit_interval() {
        let split = digits().unwrap();
        let features = &split.train.features;
        assert!(features.iter().all(|x| (0.0..=1.0).contains(x)));
        assert!(features.contains(&1.0));
    }

    #[test]
    fn a_damaged_line_is_named() {
        let good = format!("{}7", "0,".repeat(64));
        let bad = format!("{good}\n{}10", "0,".repeat(64));
        assert_eq!(parse(&good).unwrap().labels, [7]);
        assert!(matches!(
            parse(&bad).unwrap_err(),
            DataError::Embedded { line: 2, .. }
        ));
    }
}
