//! IDX files and the MNIST loader, against files made here byte by byte.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use fosi_lab::data::{DataError, mnist, read_images, read_labels};

fn images(count: u32, rows: u32, columns: u32, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3];
    for axis in [count, rows, columns] {
        bytes.extend(axis.to_be_bytes());
    }
    bytes.extend(pixels);
    bytes
}

fn labels(count: u32, values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 1];
    bytes.extend(count.to_be_bytes());
    bytes.extend(values);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Three training and two validation images of 2×2.
    fn with_mnist(prefix: &str) -> Self {
        let folder = Self::new();
        let name = |rest: &str| format!("{prefix}{rest}");
        folder.write(
            &name("train-images-idx3-ubyte"),
            &images(3, 2, 2, &[0, 51, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        );
        folder.write(&name("train-labels-idx1-ubyte"), &labels(3, &[9, 0, 4]));
        folder.write(
            &name("t10k-images-idx3-ubyte.gz"),
            &gzip(&images(2, 2, 2, &[255; 8])),
        );
        folder.write(&name("t10k-labels-idx1-ubyte"), &gzip(&labels(2, &[1, 2])));
        folder
    }
}

/// The error, whose message must name the file.
fn named<T: std::fmt::Debug>(result: Result<T, DataError>, path: &Path) -> DataError {
    let error = result.unwrap_err();
    let message = error.to_string();
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    error
}

#[test]
fn images_and_labels_are_read_plain_and_compressed_whatever_the_name() {
    let folder = Folder::new();
    let bytes = images(2, 1, 3, &[1, 2, 3, 4, 5, 6]);
    let plain = read_images(&folder.write("x.gz", &bytes)).unwrap();
    let compressed = read_images(&folder.write("x", &gzip(&bytes))).unwrap();
    assert_eq!(plain, compressed);
    assert_eq!((plain.count, plain.rows, plain.columns), (2, 1, 3));
    assert_eq!(plain.pixels, [1, 2, 3, 4, 5, 6]);
    let path = folder.write("l", &gzip(&labels(3, &[7, 0, 9])));
    assert_eq!(read_labels(&path, 10).unwrap(), [7, 0, 9]);
}

#[test]
fn every_cut_of_a_file_is_an_error() {
    let folder = Folder::new();
    let whole = images(2, 1, 3, &[1, 2, 3, 4, 5, 6]);
    for length in 0..whole.len() {
        let path = folder.write("cut", &whole[..length]);
        let error = named(read_images(&path), &path);
        match length {
            0 => assert!(
                matches!(error, DataError::Empty { what: "images", .. }),
                "{error}"
            ),
            1..4 => assert!(
                matches!(error, DataError::NotIdx { .. }),
                "{length}: {error}"
            ),
            4..16 => assert!(
                matches!(error, DataError::Truncated { expected: 16, .. }),
                "{length}: {error}"
            ),
            _ => assert!(
                matches!(error, DataError::Truncated { expected: 22, found, .. } if found == length as u64),
                "{length}: {error}"
            ),
        }
    }
    let whole = gzip(&whole);
    for length in 2..whole.len() {
        let path = folder.write("cut", &whole[..length]);
        let error = named(read_images(&path), &path);
        assert!(matches!(error, DataError::Gzip { .. }), "{length}: {error}");
    }
}

#[test]
fn a_damaged_gzip_stream_is_an_error() {
    let folder = Folder::new();
    let mut bytes = gzip(&labels(4, &[1, 2, 3, 4]));
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    let path = folder.write("l", &bytes);
    assert!(matches!(
        named(read_labels(&path, 10), &path),
        DataError::Gzip { .. }
    ));
}

#[test]
fn bytes_after_the_last_element_are_an_error() {
    let folder = Folder::new();
    let mut bytes = labels(2, &[1, 2, 3]);
    for bytes in [bytes.clone(), gzip(&std::mem::take(&mut bytes))] {
        let path = folder.write("l", &bytes);
        let error = named(read_labels(&path, 10), &path);
        assert!(matches!(
            error,
            DataError::TrailingBytes { expected: 10, .. }
        ));
    }
}

#[test]
fn swapped_files_are_told_from_damaged_ones() {
    let folder = Folder::new();
    let path = folder.write("a", &labels(1, &[1]));
    let error = named(read_images(&path), &path);
    assert!(matches!(
        error,
        DataError::WrongKind {
            found: "labels",
            expected: "images",
            ..
        }
    ));
    let path = folder.write("b", &images(1, 1, 1, &[1]));
    let error = named(read_labels(&path, 10), &path);
    assert!(matches!(
        error,
        DataError::WrongKind {
            found: "images",
            expected: "labels",
            ..
        }
    ));
    // Floats (type 0x0d), and no IDX at all.
    for bytes in [&[0, 0, 0x0d, 1, 0, 0, 0, 0][..], b"<!DOCTYPE html>"] {
        let path = folder.write("c", bytes);
        assert!(matches!(
            named(read_labels(&path, 10), &path),
            DataError::NotIdx { .. }
        ));
    }
}

/// 2³²−1 images of (2³²−1)² pixels are more bytes than u64 counts; nothing of that size may be allocated.
#[test]
fn a_header_that_claims_the_impossible_costs_no_memory() {
    let folder = Folder::new();
    let bytes = images(u32::MAX, u32::MAX, u32::MAX, &[1, 2, 3]);
    for bytes in [gzip(&bytes), bytes] {
        let path = folder.write("huge", &bytes);
        let error = named(read_images(&path), &path);
        assert!(
            matches!(error, DataError::Truncated { found: 19, .. }),
            "{error}"
        );
    }
}

#[test]
fn files_without_content_are_an_error() {
    let folder = Folder::new();
    let path = folder.write("a", &images(0, 28, 28, &[]));
    assert!(matches!(
        named(read_images(&path), &path),
        DataError::Empty { what: "images", .. }
    ));
    let path = folder.write("b", &images(5, 28, 0, &[]));
    assert!(matches!(
        named(read_images(&path), &path),
        DataError::Empty { what: "pixels", .. }
    ));
    let path = folder.write("c", &labels(0, &[]));
    assert!(matches!(
        named(read_labels(&path, 10), &path),
        DataError::Empty { what: "labels", .. }
    ));
}

#[test]
fn a_label_out_of_range_is_named_with_its_place() {
    let folder = Folder::new();
    let path = folder.write("l", &labels(3, &[0, 9, 10]));
    let error = named(read_labels(&path, 10), &path);
    assert!(matches!(
        error,
        DataError::LabelOutOfRange {
            index: 2,
            label: 10,
            ..
        }
    ));
    assert!(
        error
            .to_string()
            .contains("label 2 is 10, allowed are 0 to 9")
    );
}

#[test]
fn mnist_is_read_from_its_folder_or_from_the_one_above() {
    let folder = Folder::with_mnist("");
    let split = mnist(folder.path()).unwrap();
    assert_eq!(split.train.labels, [9, 0, 4]);
    assert_eq!(split.train.features[..4], [0.0, 0.2, 1.0, 1.0 / 255.0]);
    assert_eq!((split.train.dim, split.train.classes), (4, 10));
    assert_eq!(split.validation.labels, [1, 2]);
    assert_eq!(split.validation.features, [1.0; 8]);
    let above = Folder::with_mnist("mnist/");
    assert_eq!(mnist(above.path()).unwrap(), split);
}

#[test]
fn files_that_do_not_fit_each_other_are_an_error() {
    let folder = Folder::with_mnist("");
    let path = folder.write("train-labels-idx1-ubyte", &labels(2, &[1, 2]));
    let error = named(mnist(folder.path()), &path);
    assert!(matches!(
        error,
        DataError::CountMismatch {
            image_count: 3,
            label_count: 2,
            ..
        }
    ));

    let folder = Folder::with_mnist("");
    let path = folder.write(
        "t10k-images-idx3-ubyte.gz",
        &gzip(&images(2, 1, 2, &[0; 4])),
    );
    let error = named(mnist(folder.path()), &path);
    assert!(matches!(
        error,
        DataError::SizeMismatch {
            found: (1, 2),
            expected: (2, 2),
            ..
        }
    ));
}

#[test]
fn a_missing_file_is_named_with_the_folders_searched() {
    let folder = Folder::with_mnist("");
    fs::remove_file(folder.path().join("t10k-labels-idx1-ubyte")).unwrap();
    let error = mnist(folder.path()).unwrap_err();
    assert!(matches!(&error, DataError::Missing { name, .. } if name == "t10k-labels-idx1-ubyte"));
    assert!(error.to_string().contains(folder.path().to_str().unwrap()));
}

/// Counts and sums of the real files, as their authors and everybody's first look at them give: 60,000 and 10,000
/// images of 28×28, the first labels, and the pixels' means 0.1307 and 0.1325.
#[test]
fn the_real_mnist_is_read() {
    let Some(directory) = std::env::var_os("FOSI_DATA_DIR") else {
        eprintln!("skipped: FOSI_DATA_DIR names no folder with mnist/");
        return;
    };
    let split = mnist(Path::new(&directory)).unwrap();
    assert_eq!(
        (split.train.len(), split.validation.len(), split.train.dim),
        (60_000, 10_000, 784)
    );
    assert_eq!(split.train.labels[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    assert_eq!(split.validation.labels[..5], [7, 2, 1, 0, 4]);
    let mean = |features: &[f32]| {
        features.iter().map(|x| f64::from(*x)).sum::<f64>() / features.len() as f64
    };
    assert!((mean(&split.train.features) - 0.1307).abs() < 5e-5);
    assert!((mean(&split.validation.features) - 0.1325).abs() < 5e-5);
}
