//! Every reader of files, fed with damaged ones: no panic, and no more memory than the file's size accounts for.
//!
//! Each file is a good one with some bits flipped, bytes replaced, parts cut out, doubled or exchanged, or numbers made
//! huge. `FOSI_MUTATIONS` sets how many for each reader, `FOSI_MUTATION_SEED` the seed; `scripts/mutations` is the way to
//! a longer campaign.

mod folder;

use std::fs;
use std::path::Path;

use allocation_counter::measure;
use folder::Folder;
use fosi::base::HeavyBall;
use fosi::{Fosi, FosiConfig, Host, operator};
use fosi_lab::config::{Preset, TaskName, TrainConfig, TrainOptions};
use fosi_lab::data::{
    AudioSetFiles, ClassList, Damaged, NonAscii, class_folders, read_cifar10_file, read_images,
    read_labels, read_text, read_wav,
};
use fosi_lab::runs::{
    Checkpoint, DataDescription, MetricsRow, ModelDescription, Progress, Run, RunRecord,
    TraineeState,
};
use image::{ImageFormat, Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a reader may take beside the file: buffers, messages, tables of decoders.
const FIXED: u64 = 4 << 20;
/// Bytes that a byte of the file may become: gzip's best ratio is about 1,000, a pixel becomes four bytes.
const FACTOR: u64 = 5_000;

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is `{text}`, no number")),
        Err(_) => default,
    }
}

/// A damaged copy.
fn mutated(good: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..random.random_range(1..=4) {
        if bytes.is_empty() {
            break;
        }
        // Headers are where a byte decides most.
        let reach = match random.random_bool(0.5) {
            true => bytes.len().min(64),
            false => bytes.len(),
        };
        let at = random.random_range(0..reach);
        let end = (at + random.random_range(1..=16)).min(bytes.len());
        match random.random_range(0..8) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            5 => bytes[at..end].fill(*[0, 0x7f, 0xff].get(random.random_range(0..3)).unwrap()),
            6 => {
                let text = [
                    "-1",
                    "1e999",
                    "nan",
                    "18446744073709551616",
                    "\"",
                    "{",
                    "\n",
                    ",",
                ];
                let text = text[random.random_range(0..text.len())];
                bytes.splice(at..end, text.bytes());
            }
            _ => {
                let other = random.random_range(0..bytes.len());
                bytes.swap(at, other);
            }
        }
    }
    bytes
}

/// Reads damaged copies of `good`; both outcomes are allowed, and how often each came is returned.
fn campaign(name: &str, good: &[u8], read: &mut dyn FnMut(&[u8]) -> Result<(), String>) {
    assert_eq!(read(good), Ok(()), "{name}: the good file");
    let (count, seed) = (
        number("FOSI_MUTATIONS", 300),
        number("FOSI_MUTATION_SEED", 1),
    );
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut refused = 0;
    for round in 0..count {
        let bytes = mutated(good, &mut random);
        let mut outcome = Ok(());
        let used = measure(|| outcome = read(&bytes));
        let allowed = FIXED + FACTOR * bytes.len() as u64;
        assert!(
            used.bytes_max <= allowed,
            "{name}, round {round}: {} bytes",
            used.bytes_max
        );
        if let Err(message) = outcome {
            assert!(message.len() > 10, "{name}, round {round}: `{message}`");
            refused += 1;
        }
    }
    eprintln!("{name}: {count} damaged files, {refused} refused, seed {seed}");
    assert!(refused > 0, "{name}: nothing was refused");
}

/// The same for a reader of files.
fn file_campaign<T, E: std::fmt::Display>(
    name: &str,
    good: &[u8],
    read: impl Fn(&Path) -> Result<T, E>,
) {
    let folder = Folder::new();
    let path = folder.path().join(name);
    campaign(name, good, &mut |bytes| {
        fs::write(&path, bytes).unwrap();
        read(&path).map(drop).map_err(|error| error.to_string())
    });
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn idx_plain_and_compressed() {
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 3];
    images.extend((0..60).map(|i| (i * 4) as u8));
    let labels = [0, 0, 8, 1, 0, 0, 0, 5, 1, 2, 3, 4, 5];
    file_campaign("images", &images, read_images);
    file_campaign("images.gz", &gzip(&images), read_images);
    file_campaign("labels", &labels, |path| read_labels(path, 10));
}

#[test]
fn cifar10_and_images() {
    let record: Vec<u8> = (0..2 * 3073).map(|i| (i % 10) as u8).collect();
    file_campaign("batch.bin", &record, read_cifar10_file);
    for (name, format) in [("a.png", ImageFormat::Png), ("a.jpg", ImageFormat::Jpeg)] {
        let image = RgbImage::from_fn(12, 12, |x, y| Rgb([9 * x as u8, 7 * y as u8, 40]));
        let mut good = std::io::Cursor::new(Vec::new());
        image.write_to(&mut good, format).unwrap();
        let folder = Folder::new();
        for part in ["train/b", "test/a", "test/b"] {
            folder.write(&format!("{part}/{name}"), good.get_ref());
        }
        campaign(name, good.get_ref(), &mut |bytes| {
            folder.write(&format!("train/a/{name}"), bytes);
            let read = class_folders(folder.path(), Some((12, 12)), Damaged::Refuse);
            read.map(drop).map_err(|error| error.to_string())
        });
    }
}

#[test]
fn sound_and_its_lists() {
    let mut wav = b"RIFF\xa4\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wav.extend([8000_u32, 16_000].map(u32::to_le_bytes).concat());
    wav.extend(b"\x02\0\x10\0data\x80\0\0\0");
    wav.extend((0..128).map(|i| i as u8));
    file_campaign("a.wav", &wav, read_wav);

    let classes = "index,mid,display_name\n0,/m/1,Speech\n1,/m/2,\"Bark, loud\"\n";
    file_campaign("classes.csv", classes.as_bytes(), ClassList::read);
    let folder = Folder::new();
    folder.write("class_labels_indices.csv", classes);
    for clip in ["a", "b"] {
        folder.write(&format!("audio/{clip}.wav"), &wav);
    }
    folder.write("eval.csv", "file,labels\na.wav,/m/1\n");
    let list = "file,labels\na.wav,\"/m/1,/m/2\"\nb.wav,/m/2\n";
    campaign("train.csv", list.as_bytes(), &mut |bytes| {
        folder.write("train.csv", bytes);
        let files = AudioSetFiles::find(folder.path()).map_err(|e| e.to_string())?;
        files
            .read(Damaged::Refuse)
            .map(drop)
            .map_err(|e| e.to_string())
    });
    file_campaign("input.txt", b"To be, or not to be\n", |path| {
        read_text(path, NonAscii::Refuse)
    });
}

#[test]
fn settings_and_results() {
    let settings =
        "optimizers = ['hb', 'fosi-hb']\nk = 3\nlr = { hb = 0.1, adam = 1e-3 }\nseeds = [1, 2]\n";
    file_campaign("run.toml", settings.as_bytes(), |path| {
        let options = TrainOptions::from_file(path)?;
        TrainConfig::resolve(TaskName::Lr, &[options])
    });

    let mut metrics = MetricsRow::COLUMNS.join(",");
    metrics += "\nhb,0,1,23,0.5,0.6,0.9,0.1,0,23,0\nfosi-hb,0,1,23,0.5,0.6,,0.1,0,23,40\n";
    let config = TrainConfig::defaults(TaskName::Lr, None, Preset::Small);
    let model = ModelDescription {
        name: "m".to_owned(),
        parameters: 650,
    };
    let data = DataDescription {
        name: "digits".to_owned(),
        train: 1437,
        validation: 360,
        shape: vec![64],
        classes: 10,
    };
    let record = serde_json::to_vec(&RunRecord::start("r", &config, model, data)).unwrap();
    let folder = Folder::new();
    folder.write("metrics.csv", &metrics);
    folder.write("run.json", &record);
    let read = || {
        Run::read(folder.path())
            .map(drop)
            .map_err(|e| e.to_string())
    };
    campaign("metrics.csv", metrics.as_bytes(), &mut |bytes| {
        folder.write("metrics.csv", bytes);
        read()
    });
    folder.write("metrics.csv", &metrics);
    campaign("run.json", &record, &mut |bytes| {
        folder.write("run.json", bytes);
        read()
    });
}

#[test]
fn checkpoints() {
    let checkpoint = Checkpoint {
        progress: Progress {
            format: Progress::FORMAT,
            number: 1,
            optimizer: "fosi-hb".parse().unwrap(),
            seed: 3,
            epoch: 2,
            epoch_step: 5,
            step: 28,
            seconds: 0.5,
            gradients: 28,
            products: 40,
            refresh_seconds: 0.1,
            rows: 1,
            refreshes: Vec::new(),
            failures: Vec::new(),
        },
        trainee: TraineeState {
            model: (0..=255).collect(),
            optimizer: vec![7; 100],
        },
    };
    let folder = Folder::new();
    let path = folder.path().join("good");
    checkpoint.write_to(&path).unwrap();
    file_campaign("checkpoint", &fs::read(&path).unwrap(), Checkpoint::read);

    let make = || {
        let config = FosiConfig {
            largest: 2,
            ..FosiConfig::quadratic()
        };
        Fosi::new(Host::<f32>::new(6), HeavyBall::new(0.9), 0.1, config).unwrap()
    };
    let mut trained = make();
    let mut hessian = operator::from_fn(|v: &[f32], out: &mut [f32]| {
        for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
            *out = (i + 1) as f32 * v;
        }
    });
    trained.refresh(&mut hessian).unwrap();
    trained.step(&mut [1.0; 6], &[1.0; 6]).unwrap();
    campaign("fosi", &trained.to_bytes().unwrap(), &mut |bytes| {
        let mut optimizer = make();
        let before = optimizer.to_bytes().unwrap();
        let outcome = optimizer.restore(bytes).map_err(|error| error.to_string());
        if outcome.is_err() {
            assert_eq!(
                optimizer.to_bytes().unwrap(),
                before,
                "an error must change nothing"
            );
        }
        outcome
    });
}
