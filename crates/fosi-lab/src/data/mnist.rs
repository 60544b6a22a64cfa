//! MNIST (LeCun, Cortes, Burges) from its four published files.

use std::path::{Path, PathBuf};

use super::file::first_file;
use super::{DataError, Dataset, DatasetSplit, read_images, read_labels};

const CLASSES: usize = 10;

/// Reads MNIST from `directory` or `directory/mnist`: the training images for training, the test images for validation.
///
/// The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
/// `t10k-labels-idx1-ubyte`, each plain or with `.gz`. Pixels are divided by 255. The number and the size of the images
/// are arbitrary, so that other data in this format (Fashion-MNIST) can replace MNIST.
///
/// # Errors
/// [`DataError`] with the file's name if one is missing, damaged or inconsistent with the others.
pub fn mnist(directory: &Path) -> Result<DatasetSplit, DataError> {
    let folders = [directory.to_owned(), directory.join("mnist")];
    let (train_images, train_labels) = (
        find(&folders, "train-images-idx3-ubyte")?,
        find(&folders, "train-labels-idx1-ubyte")?,
    );
    let (test_images, test_labels) = (
        find(&folders, "t10k-images-idx3-ubyte")?,
        find(&folders, "t10k-labels-idx1-ubyte")?,
    );
    let (train, size) = read_part(&train_images, &train_labels)?;
    let (validation, validation_size) = read_part(&test_images, &test_labels)?;
    if validation_size != size {
        return Err(DataError::SizeMismatch {
            path: test_images,
            found: validation_size,
            expected: size,
        });
    }
    Ok(DatasetSplit { train, validation })
}

fn find(folders: &[PathBuf], name: &str) -> Result<PathBuf, DataError> {
    let paths = folders
        .iter()
        .flat_map(|folder| [folder.join(name), folder.join(format!("{name}.gz"))]);
    first_file(paths)?.ok_or_else(|| DataError::Missing {
        name: name.to_owned(),
        looked_in: folders.to_vec(),
    })
}

/// Reads one part, and returns the rows and columns of its images.
fn read_part(images: &Path, labels: &Path) -> Result<(Dataset, (usize, usize)), DataError> {
    let pixels = read_images(images)?;
    let classes_of = read_labels(labels, CLASSES)?;
    if pixels.count != classes_of.len() {
        return Err(DataError::CountMismatch {
            images: images.to_owned(),
            image_count: pixels.count,
            labels: labels.to_owned(),
            label_count: classes_of.len(),
        });
    }
    let dataset = Dataset {
        name: "mnist".to_owned(),
        features: pixels
            .pixels
            .iter()
            .map(|&p| f32::from(p) / 255.0)
            .collect(),
        labels: classes_of,
        dim: pixels.rows * pixels.columns,
        classes: CLASSES,
    };
    Ok((dataset, (pixels.rows, pixels.columns)))
}
