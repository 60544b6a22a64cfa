//! CIFAR-10's binary version and class folders, tested on generated files.

use std::io::Cursor;
use std::path::Path;

use crate::folder::{Folder, named, real_data};
use fosi_lab::data::{
    CIFAR10_CLASSES, Damaged, DataError, ImageSplit, Images, ImagesError, class_folders,
    colour_images, read_cifar10_file,
};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const RECORD: usize = 3073;

/// A record whose pixels encode its number and position.
fn record(label: u8, number: u8) -> Vec<u8> {
    let mut bytes = vec![label];
    bytes.extend((0..3072).map(|i| (i % 251) as u8 ^ number));
    bytes
}

fn cifar(folder: &Folder, prefix: &str) {
    for batch in 1..=5 {
        let bytes = [record(batch, batch), record(0, 10 + batch)].concat();
        folder.write(&format!("{prefix}data_batch_{batch}.bin"), bytes);
    }
    let bytes = [record(9, 100), record(8, 101)].concat();
    folder.write(&format!("{prefix}test_batch.bin"), bytes);
}

fn load(folder: &Folder) -> Result<ImageSplit, DataError> {
    colour_images(folder.path(), None, Damaged::Refuse)
}

fn images_error<T: std::fmt::Debug>(result: Result<T, DataError>) -> ImagesError {
    match result.unwrap_err() {
        DataError::Images(error) => error,
        other => panic!("{other}"),
    }
}

/// Red increases with x, green with y, and blue is `blue`.
fn picture(width: u32, height: u32, blue: u8) -> RgbImage {
    let pixel = |x, y| Rgb([(x * 8) as u8, (y * 8) as u8, blue]);
    RgbImage::from_fn(width, height, pixel)
}

fn encode(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(blue: u8) -> Vec<u8> {
    encode(picture(4, 3, blue), ImageFormat::Png)
}

/// Two classes, with three training and two test images.
fn class_folder() -> Folder {
    let folder = Folder::new();
    folder.write("train/dog/b.png", png(1));
    folder.write("train/dog/a.png", png(2));
    folder.write("train/cat/z.png", png(3));
    folder.write("test/dog/a.PNG", png(4));
    folder.write("test/cat/a.png", png(5));
    folder
}

fn blues(images: &Images) -> Vec<u8> {
    let last_plane = images.pixels.chunks(images.image_len());
    last_plane.map(|image| *image.last().unwrap()).collect()
}

#[test]
fn the_binary_version_is_read_in_the_order_of_its_files() {
    for prefix in ["", "cifar-10-batches-bin/"] {
        let folder = Folder::new();
        cifar(&folder, prefix);
        let split = load(&folder).unwrap();
        assert_eq!(split.train.labels, [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
        assert_eq!(split.test.labels, [9, 8]);
        assert_eq!(
            (split.train.width, split.train.height, split.train.channels),
            (32, 32, 3)
        );
        assert_eq!(split.train.class_names, CIFAR10_CLASSES);
        let third = split.train.gather(&[2]);
        assert_eq!(third.pixels, record(2, 2)[1..]);
        assert_eq!(third.labels, [2]);
    }
}

#[test]
fn a_file_that_ends_inside_a_record_is_refused() {
    let folder = Folder::new();
    let whole = [record(1, 1), record(2, 2)].concat();
    for length in [1, 2, RECORD - 1, RECORD + 1, 2 * RECORD - 1] {
        let path = folder.write("x.bin", &whole[..length]);
        let error = named(read_cifar10_file(&path), &path);
        assert!(
            matches!(error, DataError::Images(ImagesError::CutRecord { found, .. }) if found == length)
        );
    }
    let path = folder.write("x.bin", []);
    let error = named(read_cifar10_file(&path), &path);
    assert!(matches!(error, DataError::Empty { .. }));
}

#[test]
fn a_label_that_is_no_class_is_refused() {
    let folder = Folder::new();
    let path = folder.write("x.bin", [record(9, 1), record(10, 2)].concat());
    assert!(matches!(
        named(read_cifar10_file(&path), &path),
        DataError::LabelOutOfRange {
            index: 1,
            label: 10,
            classes: 10,
            ..
        }
    ));
}

#[test]
fn all_six_files_must_be_there_and_equally_long() {
    for missing in ["data_batch_1.bin", "data_batch_4.bin", "test_batch.bin"] {
        let folder = Folder::new();
        cifar(&folder, "");
        let path = folder.path().join(missing);
        std::fs::remove_file(&path).unwrap();
        let error = named(load(&folder), &path);
        assert!(matches!(
            error,
            DataError::Images(ImagesError::MissingBatch { .. })
        ));
    }
    let folder = Folder::new();
    cifar(&folder, "");
    let path = folder.write("data_batch_3.bin", record(1, 1));
    let error = named(load(&folder), &path);
    assert!(matches!(
        error,
        DataError::Images(ImagesError::RecordCount {
            found: 1,
            expected: 2,
            ..
        })
    ));
}

#[test]
fn class_folders_come_in_the_order_of_names() {
    let folder = class_folder();
    folder.write("train/dog/.hidden", "not an image");
    let split = load(&folder).unwrap();
    assert_eq!(split.train.class_names, ["cat", "dog"]);
    assert_eq!(split.train.labels, [0, 1, 1]);
    assert_eq!(blues(&split.train), [3, 2, 1]);
    assert_eq!(split.test.labels, [0, 1]);
    assert_eq!(blues(&split.test), [5, 4]);
    assert!(split.skipped.is_empty());
    // PNG is lossless: planes of red, green, blue.
    let (width, height) = (split.train.width, split.train.height);
    assert_eq!((width, height), (4, 3));
    let image = &split.train.pixels[..36];
    for (y, x) in (0..3).flat_map(|y| (0..4).map(move |x| (y, x))) {
        assert_eq!(image[y * 4 + x], x as u8 * 8);
        assert_eq!(image[12 + y * 4 + x], y as u8 * 8);
        assert_eq!(image[24 + y * 4 + x], 3);
    }
}

#[test]
fn grey_transparent_and_deep_images_become_rgb_of_eight_bits() {
    let rgb = DynamicImage::from(picture(4, 3, 77));
    let folder = class_folder();
    let path = |name: &str| format!("train/cat/{name}");
    folder.write(&path("1.png"), encode(rgb.to_rgba8(), ImageFormat::Png));
    folder.write(&path("2.png"), encode(rgb.to_rgb16(), ImageFormat::Png));
    folder.write(&path("3.png"), encode(rgb.to_luma8(), ImageFormat::Png));
    let images = load(&folder).unwrap().train;
    let expected = {
        let only = class_folder();
        only.write(&path("0.png"), png(77));
        load(&only).unwrap().train.gather(&[0]).pixels
    };
    assert_eq!(images.gather(&[0]).pixels, expected);
    assert_eq!(images.gather(&[1]).pixels, expected);
    let grey = images.gather(&[2]).pixels;
    assert_eq!(grey[..12], grey[12..24]);
    assert_eq!(grey[..12], grey[24..]);
}

#[test]
fn a_jpeg_comes_out_as_it_went_in_but_for_its_loss() {
    let folder = class_folder();
    let jpeg = encode(picture(32, 32, 90), ImageFormat::Jpeg);
    // The format is detected by content, not by name.
    folder.write("train/cat/z.png", &jpeg);
    folder.write("train/cat/a.jpg", &jpeg);
    folder.write(
        "train/cat/b.jpeg",
        encode(picture(32, 32, 90), ImageFormat::Png),
    );
    let split = colour_images(folder.path(), Some((32, 32)), Damaged::Refuse).unwrap();
    let [first, exact, last] = [0, 1, 2].map(|i| split.train.gather(&[i]).pixels);
    assert_eq!(first, last);
    let worst = first.iter().zip(&exact).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst.unwrap() <= 16, "{worst:?}");
}

#[test]
fn classes_must_be_the_same_in_both_parts() {
    let folder = class_folder();
    folder.write("train/ape/a.png", png(1));
    folder.write("test/bee/a.png", png(1));
    folder.write("test/cow/a.png", png(1));
    let error = named(load(&folder), folder.path());
    let message = error.to_string();
    assert!(message.contains("only in train/: ape"), "{message}");
    assert!(message.contains("only in test/: bee, cow"), "{message}");
}

#[test]
fn missing_parts_and_empty_classes_are_named() {
    let folder = Folder::new();
    assert!(matches!(
        images_error(load(&folder)),
        ImagesError::NoImages { .. }
    ));
    folder.write("train/dog/a.png", png(1));
    assert!(matches!(
        images_error(load(&folder)),
        ImagesError::NoPart { part: "test", .. }
    ));
    std::fs::create_dir(folder.path().join("test")).unwrap();
    assert!(matches!(
        images_error(load(&folder)),
        ImagesError::ClassCount { found: 0, .. }
    ));
    let class = folder.path().join("test/dog");
    std::fs::create_dir(&class).unwrap();
    let error = named(load(&folder), &class);
    assert!(matches!(
        error,
        DataError::Images(ImagesError::EmptyClass { .. })
    ));
}

#[test]
fn every_cut_of_an_image_is_refused_by_name_and_skipped_when_asked() {
    let formats = [(ImageFormat::Png, "png"), (ImageFormat::Jpeg, "jpg")];
    for (format, extension) in formats {
        let whole = encode(picture(4, 3, 9), format);
        let folder = class_folder();
        for length in 0..whole.len() {
            // A PNG's end chunk is empty: the picture is complete without it.
            if format == ImageFormat::Png && length >= whole.len() - 12 {
                break;
            }
            let path = folder.write(&format!("train/cat/cut.{extension}"), &whole[..length]);
            named(load(&folder), &path);
            let split = colour_images(folder.path(), None, Damaged::Skip).unwrap();
            assert_eq!(split.skipped.len(), 1, "{length} bytes of {extension}");
            assert_eq!(split.train.len(), 3);
        }
    }
}

/// JPEG files written by libjpeg; `data/jpeg/make.py` documents how.
const JPEGS: [(&str, &[u8]); 5] = [
    ("baseline", include_bytes!("data/jpeg/baseline.jpg")),
    ("restarts", include_bytes!("data/jpeg/restarts.jpg")),
    ("progressive", include_bytes!("data/jpeg/progressive.jpg")),
    ("comment", include_bytes!("data/jpeg/comment.jpg")),
    ("thumbnail", include_bytes!("data/jpeg/thumbnail.jpg")),
];

/// Reads class folders whose only training image in `cat` is the JPEG.
fn read_jpeg(folder: &Folder, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
    folder.write("train/cat/z.png", bytes);
    let split = colour_images(folder.path(), Some((40, 24)), Damaged::Refuse)?;
    assert_eq!(split.train.labels, [0, 1, 1]);
    Ok(split.train.gather(&[0]).pixels)
}

/// Data that programs append to a picture: arbitrary bytes, including markers.
fn trailer(random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..random.random_range(1..2000))
        .map(|_| random.random())
        .collect();
    for _ in 0..random.random_range(0..4) {
        let marker = [[0xff, 0xda], [0xff, 0xd8], [0xff, 0xd9], [0xff, 0xff]];
        let at = random.random_range(0..bytes.len());
        bytes.splice(at..at, marker[random.random_range(0..4)]);
    }
    bytes
}

#[test]
fn bytes_after_a_jpeg_change_nothing() {
    let folder = class_folder();
    let mut random = ChaCha8Rng::seed_from_u64(16);
    for (name, jpeg) in JPEGS {
        let expected = read_jpeg(&folder, jpeg).unwrap();
        let mut trailers: Vec<Vec<u8>> = (0..40).map(|_| trailer(&mut random)).collect();
        trailers.extend(JPEGS.map(|(_, other)| other[..other.len() / 2].to_vec()));
        trailers.extend([vec![0; 5000], vec![0xff; 5000], b"\xff\xda".to_vec()]);
        for (index, trailer) in trailers.iter().enumerate() {
            let found = read_jpeg(&folder, &[jpeg, trailer].concat());
            assert_eq!(found.unwrap(), expected, "{name}, trailer {index}");
        }
    }
}

#[test]
fn every_cut_of_a_jpeg_is_refused_also_where_a_file_is_filled_up_with_zeros() {
    let folder = class_folder();
    for (name, jpeg) in JPEGS {
        for length in 0..jpeg.len() {
            for filled in [0, 600] {
                let bytes = [&jpeg[..length], &vec![0; filled]].concat();
                let refused = read_jpeg(&folder, &bytes);
                assert!(refused.is_err(), "{name}: {length} bytes, {filled} zeros");
            }
        }
    }
}

/// The picture's colours as set by `make.py`; libjpeg's decoder differs from them by 5.8 and 4.9 on average.
#[test]
fn jpegs_of_libjpeg_are_read_with_their_colours() {
    let folder = class_folder();
    for (name, jpeg) in JPEGS {
        let pixels = read_jpeg(&folder, jpeg).unwrap();
        let mut error = [0.0; 2];
        for (index, (red, green)) in pixels[..960].iter().zip(&pixels[960..1920]).enumerate() {
            let truth = [6 * (index % 40), 10 * (index / 40)];
            for (error, (found, truth)) in error.iter_mut().zip([red, green].iter().zip(truth)) {
                *error += (f64::from(**found) - truth as f64).abs() / 960.0;
            }
        }
        assert!(error[0] < 8.0 && error[1] < 8.0, "{name}: {error:?}");
    }
}

#[test]
fn what_is_no_image_is_refused_and_skipped_when_asked() {
    let folder = class_folder();
    let readme = folder.write("train/cat/README.md", "cats");
    let error = named(load(&folder), &readme);
    assert!(matches!(
        error,
        DataError::Images(ImagesError::NotAnImage { .. })
    ));
    std::fs::create_dir(folder.path().join("test/dog/more.png")).unwrap();
    let split = colour_images(folder.path(), None, Damaged::Skip).unwrap();
    assert_eq!(split.skipped.len(), 2);
    assert_eq!((split.train.len(), split.test.len()), (3, 2));
}

#[test]
fn images_of_two_sizes_need_a_size() {
    let folder = class_folder();
    let path = folder.write("test/dog/b.png", encode(picture(5, 3, 1), ImageFormat::Png));
    assert!(matches!(
        named(load(&folder), &path),
        DataError::Images(ImagesError::Size {
            found: (5, 3),
            expected: (4, 3),
            ..
        })
    ));
    let split = colour_images(folder.path(), Some((8, 6)), Damaged::Refuse).unwrap();
    assert_eq!(split.test.len(), 3);
    assert_eq!((split.test.width, split.test.height), (8, 6));
    assert_eq!(split.test.pixels.len(), 3 * 3 * 8 * 6);
}

/// CRC-32 of a PNG chunk, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    })
}

#[test]
fn a_header_that_claims_a_huge_picture_costs_no_memory() {
    let folder = class_folder();
    let mut bytes = png(1);
    bytes[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let check = crc(&bytes[12..29]).to_be_bytes();
    bytes[29..33].copy_from_slice(&check);
    let path = folder.write("train/cat/huge.png", &bytes);
    assert!(matches!(
        named(load(&folder), &path),
        DataError::Images(ImagesError::Claim {
            width: 60_000,
            height: 60_000,
            ..
        })
    ));
    std::fs::remove_file(path).unwrap();

    let mut bytes = encode(picture(4, 3, 9), ImageFormat::Jpeg);
    let frame = bytes
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    bytes[frame + 5..frame + 9].fill(0xff);
    let path = folder.write("train/cat/huge.jpg", &bytes);
    assert!(matches!(
        named(load(&folder), &path),
        DataError::Images(ImagesError::Claim {
            width: 65_535,
            height: 65_535,
            ..
        })
    ));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = Folder::new();
    for (part, class) in [("train", "a"), ("train", "b"), ("test", "a"), ("test", "b")] {
        for index in 0..40 {
            let name = format!("{part}/{class}/{index}.png");
            folder.write(&name, png(index));
        }
        folder.write(&format!("{part}/{class}/17.png"), "damaged");
    }
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let split = pool
            .build()
            .unwrap()
            .install(|| class_folders(folder.path(), None, Damaged::Skip).unwrap());
        let skipped: Vec<String> = split.skipped.iter().map(DataError::to_string).collect();
        (split.train, split.test, skipped)
    };
    let one = with(1);
    assert_eq!(one.2.len(), 4);
    assert_eq!(one, with(3));
}

/// Bilinear interpolation with pixel centres at half-integers and constant extension at the edges.
fn bilinear(plane: &[u8], width: usize, height: usize, x: f64, y: f64) -> f64 {
    let at = |x: f64, y: f64| {
        let clamp = |v: f64, n: usize| v.clamp(0.0, (n - 1) as f64) as usize;
        f64::from(plane[clamp(y, height) * width + clamp(x, width)])
    };
    let (left, top) = (x.floor(), y.floor());
    let (u, v) = (x - left, y - top);
    at(left, top) * (1.0 - u) * (1.0 - v)
        + at(left + 1.0, top) * u * (1.0 - v)
        + at(left, top + 1.0) * (1.0 - u) * v
        + at(left + 1.0, top + 1.0) * u * v
}

#[test]
fn growing_is_bilinear_interpolation() {
    let (width, height) = (5, 4);
    let pixels: Vec<u8> = (0..2 * 3 * width * height)
        .map(|i| (i * 97 % 256) as u8)
        .collect();
    let images = Images {
        width,
        height,
        channels: 3,
        pixels: pixels.clone(),
        labels: vec![0, 1],
        class_names: vec!["a".into(), "b".into()],
    };
    let (wide, high) = (17, 12);
    let grown = images.resized(wide, high);
    assert_eq!((grown.width, grown.height, grown.len()), (wide, high, 2));
    let planes = grown
        .pixels
        .chunks(wide * high)
        .zip(pixels.chunks(width * height));
    for (plane, source) in planes {
        for (index, &found) in plane.iter().enumerate() {
            let (x, y) = ((index % wide) as f64, (index / wide) as f64);
            let x = (x + 0.5) * width as f64 / wide as f64 - 0.5;
            let y = (y + 0.5) * height as f64 / high as f64 - 0.5;
            let expected = bilinear(source, width, height, x, y);
            assert!(
                (f64::from(found) - expected).abs() <= 1.01,
                "{found} {expected}"
            );
        }
    }
}

#[test]
fn held_out_images_are_drawn_by_the_seed_and_never_twice() {
    let images = Images {
        width: 1,
        height: 1,
        channels: 3,
        pixels: (0..30).collect(),
        labels: (0..10).collect(),
        class_names: (0..10).map(|i| i.to_string()).collect(),
    };
    let (rest, held_out) = images.hold_out(3, 5);
    assert_eq!((rest.len(), held_out.len()), (7, 3));
    let mut all: Vec<u8> = [&rest.pixels[..], &held_out.pixels].concat();
    all.sort();
    assert_eq!(all, (0..30).collect::<Vec<u8>>());
    assert!(
        held_out
            .pixels
            .chunks(3)
            .zip(&held_out.labels)
            .all(|(p, &l)| p[0] == 3 * l)
    );
    assert_eq!(images.hold_out(3, 5), (rest.clone(), held_out));
    assert_ne!(images.hold_out(3, 6).0, rest);
    assert_eq!(images.hold_out(99, 5).1.len(), 10);
}

#[test]
fn normalised_values_follow_the_formula_of_their_colour() {
    let images = Images {
        width: 1,
        height: 2,
        channels: 3,
        pixels: (0..12).map(|i| i * 20).collect(),
        labels: vec![0, 0],
        class_names: vec!["a".into()],
    };
    let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let scaled = images.normalized(mean, deviation);
    for (index, &value) in scaled.iter().enumerate() {
        let colour = index / 2 % 3;
        let expected = (index as f32 * 20.0 / 255.0 - mean[colour]) / deviation[colour];
        assert!((value - expected).abs() < 1e-6);
    }
}

/// The published means of CIFAR-10's training images for each colour.
const CIFAR10_MEAN: [f64; 3] = [0.4914, 0.4822, 0.4465];

fn check_cifar10(directory: &Path, tolerance: f64) {
    let split = colour_images(directory, None, Damaged::Refuse).unwrap();
    assert_eq!((split.train.len(), split.test.len()), (50_000, 10_000));
    assert_eq!(split.train.class_names, CIFAR10_CLASSES);
    let mut counts = [0; 10];
    for &label in &split.train.labels {
        counts[usize::from(label)] += 1;
    }
    assert_eq!(counts, [5000; 10]);
    let mut sums = [0u64; 3];
    for (index, plane) in split.train.pixels.chunks(1024).enumerate() {
        sums[index % 3] += plane.iter().map(|&x| u64::from(x)).sum::<u64>();
    }
    for (sum, mean) in sums.iter().zip(CIFAR10_MEAN) {
        let found = *sum as f64 / (255.0 * 1024.0 * 50_000.0);
        assert!((found - mean).abs() < tolerance, "{found} {mean}");
    }
}

/// JPEG decoders round colour differences differently: this one's blue exceeds libjpeg's by 0.35 of 255 levels on
/// average.
#[test]
fn real_cifar10_in_class_folders() {
    if let Some(directory) = real_data("cifar10") {
        check_cifar10(&directory, 0.5 / 255.0);
    }
}

#[test]
fn real_cifar10_in_its_binary_version() {
    if let Some(directory) = real_data("cifar-10-batches-bin") {
        check_cifar10(&directory, 1e-3);
    }
}
