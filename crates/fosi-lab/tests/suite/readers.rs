//! All readers of files, on bytes in memory: used by the mutation tests, the corpus and the fuzzer.

use std::cell::RefCell;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use fosi::base::HeavyBall;
use fosi::minimize::{Minimizer, Objective, Options};
use fosi::{Fosi, FosiConfig, Host};
use fosi_lab::config::{TaskName, TrainConfig, TrainOptions};
use fosi_lab::data::{
    AudioSetFiles, ClassList, Damaged, NonAscii, class_folders, read_cifar10_file, read_images,
    read_labels, read_text, read_wav,
};
use fosi_lab::problems;
use fosi_lab::runs::{Checkpoint, Run};
use fosi_lab::solve::RunsFolder;

/// A reader, and the file that it takes.
pub type Reader = fn(&[u8]) -> Result<(), String>;

/// All readers, by the names of their corpora.
pub const READERS: [(&str, Reader); 19] = [
    ("idx-images", idx_images),
    ("idx-labels", idx_labels),
    ("cifar10", cifar10),
    ("png", png),
    ("jpeg", jpeg),
    ("wav", wav),
    ("audioset-classes", audioset_classes),
    ("audioset-list", audioset_list),
    ("text", text),
    ("settings", settings),
    ("metrics", metrics),
    ("run", run),
    ("checkpoint", checkpoint),
    ("optimizer", optimizer),
    ("optimizer-sealed", optimizer_sealed),
    ("minimizer", minimizer),
    ("minimizer-sealed", minimizer_sealed),
    ("solver-record", solver_record),
    ("solver-curve", solver_curve),
];

thread_local! {
    static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

/// A folder for this thread, deleted when the thread ends.
fn folder() -> PathBuf {
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| tempfile::tempdir().expect("a temporary folder"));
        folder.path().to_owned()
    })
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
    fs::write(path, bytes).expect("a file");
}

fn from_file<T, E: Display>(
    name: &str,
    bytes: &[u8],
    read: impl Fn(&Path) -> Result<T, E>,
) -> Result<(), String> {
    let path = folder().join(name);
    put(&path, bytes);
    read(&path).map(drop).map_err(|error| error.to_string())
}

/// IDX images, plain or compressed.
pub fn idx_images(bytes: &[u8]) -> Result<(), String> {
    from_file("images", bytes, read_images)
}

/// IDX labels of ten classes.
pub fn idx_labels(bytes: &[u8]) -> Result<(), String> {
    from_file("labels", bytes, |path| read_labels(path, 10))
}

/// A file of CIFAR-10's binary version.
pub fn cifar10(bytes: &[u8]) -> Result<(), String> {
    from_file("batch.bin", bytes, read_cifar10_file)
}

/// Class folders with one given image among valid ones.
fn image(name: &str, bytes: &[u8]) -> Result<(), String> {
    let root = folder().join("images-of").join(name);
    let good = include_bytes!("data/pixel.png");
    for part in ["train/b", "test/a", "test/b"] {
        put(&root.join(part).join("good.png"), good);
    }
    put(&root.join("train/a").join(name), bytes);
    let read = class_folders(&root, Some((12, 12)), Damaged::Refuse);
    read.map(drop).map_err(|error| error.to_string())
}

/// A PNG image.
pub fn png(bytes: &[u8]) -> Result<(), String> {
    image("a.png", bytes)
}

/// A JPEG image; if it is valid, it is also valid with any bytes after its end.
pub fn jpeg(bytes: &[u8]) -> Result<(), String> {
    let outcome = image("a.jpg", bytes);
    if outcome.is_ok() {
        let with_trailer = [bytes, b"\xff\xda\0\x0c of another program"].concat();
        assert_eq!(image("a.jpg", &with_trailer), Ok(()));
    }
    outcome
}

/// A recording; if it is valid, a chunk of odd size before its format changes nothing.
pub fn wav(bytes: &[u8]) -> Result<(), String> {
    let path = folder().join("a.wav");
    let read = |bytes: &[u8]| {
        put(&path, bytes);
        read_wav(&path).map_err(|error| error.to_string())
    };
    let sound = read(bytes)?;
    assert!(!sound.samples.is_empty() && sound.samples.len() <= bytes.len());
    // Other file forms state their lengths elsewhere.
    if !bytes.starts_with(b"RIFF") {
        return Ok(());
    }
    let (header, chunks) = bytes.split_at(12);
    let mut more = [header, b"JUNK\x03\0\0\0odd\0", chunks].concat();
    let length = u32::from_le_bytes([more[4], more[5], more[6], more[7]]);
    more[4..8].copy_from_slice(&length.wrapping_add(12).to_le_bytes());
    assert_eq!(read(&more), Ok(sound));
    Ok(())
}

/// The result of `read` on a text; a byte-order mark must not change it.
fn marked(bytes: &[u8], read: impl Fn(&[u8]) -> Result<(), String>) -> Result<(), String> {
    let mark = "\u{feff}".as_bytes();
    if !bytes.starts_with(mark) {
        let with_mark = read(&[mark, bytes].concat());
        assert_eq!(with_mark.is_ok(), read(bytes).is_ok());
    }
    read(bytes)
}

/// AudioSet's list of classes.
pub fn audioset_classes(bytes: &[u8]) -> Result<(), String> {
    marked(bytes, |bytes| {
        from_file("classes.csv", bytes, ClassList::read)
    })
}

/// AudioSet's list of recordings and labels, with two recordings.
pub fn audioset_list(bytes: &[u8]) -> Result<(), String> {
    marked(bytes, read_audioset_list)
}

fn read_audioset_list(bytes: &[u8]) -> Result<(), String> {
    let root = folder().join("audioset");
    let classes = b"index,mid,display_name\n0,/m/1,Speech\n1,/m/2,\"Bark, loud\"\n";
    put(&root.join("class_labels_indices.csv"), classes);
    for clip in ["a", "b"] {
        put(&root.join(format!("audio/{clip}.wav")), &small_wav());
    }
    put(&root.join("eval.csv"), b"file,labels\na.wav,/m/1\n");
    put(&root.join("train.csv"), bytes);
    let files = AudioSetFiles::find(&root).map_err(|error| error.to_string())?;
    let read = files.read(Damaged::Refuse);
    read.map(drop).map_err(|error| error.to_string())
}

/// 64 samples at 8 kHz.
pub fn small_wav() -> Vec<u8> {
    let mut wav = b"RIFF\xa4\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wav.extend([8000_u32, 16_000].map(u32::to_le_bytes).concat());
    wav.extend(b"\x02\0\x10\0data\x80\0\0\0");
    wav.extend((0..128).map(|i| i as u8));
    wav
}

/// A text.
pub fn text(bytes: &[u8]) -> Result<(), String> {
    from_file("input.txt", bytes, |path| read_text(path, NonAscii::Refuse))
}

/// Settings in TOML.
pub fn settings(bytes: &[u8]) -> Result<(), String> {
    marked(bytes, |bytes| {
        from_file("run.toml", bytes, |path| {
            let options = TrainOptions::from_file(path)?;
            TrainConfig::resolve(TaskName::Lr, &[options])
        })
    })
}

/// A run's metrics, with a valid record.
pub fn metrics(bytes: &[u8]) -> Result<(), String> {
    let root = folder().join("run-of-metrics");
    put(&root.join("run.json"), include_bytes!("data/run.json"));
    marked(bytes, |bytes| {
        put(&root.join("metrics.csv"), bytes);
        Run::read(&root).map(drop).map_err(|e| e.to_string())
    })
}

/// A run's record, with valid metrics.
pub fn run(bytes: &[u8]) -> Result<(), String> {
    let root = folder().join("run-of-record");
    put(
        &root.join("metrics.csv"),
        include_bytes!("data/metrics.csv"),
    );
    marked(bytes, |bytes| {
        put(&root.join("run.json"), bytes);
        Run::read(&root).map(drop).map_err(|e| e.to_string())
    })
}

/// A run's checkpoint.
pub fn checkpoint(bytes: &[u8]) -> Result<(), String> {
    from_file("checkpoint", bytes, Checkpoint::read)
}

/// The optimizer that [`optimizer`] restores: n = 6, Heavy-Ball, k = 2.
pub fn small_optimizer() -> Fosi<Host<f32>, HeavyBall> {
    let config = FosiConfig {
        largest: 2,
        ..FosiConfig::quadratic()
    };
    Fosi::new(Host::new(6), HeavyBall::new(0.9), config).expect("settings that are allowed")
}

/// An optimizer's state; if it is refused, nothing may have changed.
pub fn optimizer(bytes: &[u8]) -> Result<(), String> {
    let mut optimizer = small_optimizer();
    let before = optimizer.to_bytes().expect("a state");
    let outcome = optimizer.restore(bytes).map_err(|error| error.to_string());
    if outcome.is_err() {
        let after = optimizer.to_bytes().expect("a state");
        assert_eq!(after, before, "an error must change nothing");
    }
    outcome
}

/// The same with a valid checksum, so that the content is parsed.
pub fn optimizer_sealed(bytes: &[u8]) -> Result<(), String> {
    optimizer(&sealed(bytes).unwrap_or_else(|| bytes.to_vec()))
}

/// Rosenbrock's function in three pairs of variables, with its exact products.
pub fn three_valleys() -> Objective<'static> {
    let gradient = |x: &[f64], g: &mut [f64]| {
        let mut value = 0.0;
        for (x, g) in x.chunks(2).zip(g.chunks_mut(2)) {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            g.copy_from_slice(&[-2.0 * a - 400.0 * x[0] * b, 200.0 * b]);
            value += a * a + 100.0 * b * b;
        }
        Ok(value)
    };
    Objective::new(6, gradient).with_product(|x, v, out| {
        let parts = x.chunks(2).zip(v.chunks(2)).zip(out.chunks_mut(2));
        for ((x, v), out) in parts {
            let (xx, xy) = (2.0 - 400.0 * (x[1] - 3.0 * x[0] * x[0]), -400.0 * x[0]);
            out.copy_from_slice(&[xx * v[0] + xy * v[1], xy * v[0] + 200.0 * v[1]]);
        }
        Ok(())
    })
}

/// The settings of [`minimizer`].
pub fn minimizer_options() -> Options {
    Options {
        memory: 3,
        lanczos_steps: 4,
        first_estimation: Some(5),
        gradient_norm: 0.0,
        max_cost: u64::MAX,
        ..Options::default()
    }
}

/// A minimiser's state; if it is valid, the minimiser continues and is written again.
pub fn minimizer(bytes: &[u8]) -> Result<(), String> {
    let space = Host::<f64>::new(6);
    let load = |bytes: &[u8]| Minimizer::from_bytes(space.clone(), minimizer_options(), bytes);
    let mut run = load(bytes).map_err(|error| error.to_string())?;
    let state = run.to_bytes().map_err(|error| error.to_string())?;
    load(&state).map_err(|error| format!("what was read is written, and refused: {error}"))?;
    let mut objective = three_valleys();
    for _ in 0..10 {
        if run.step(&mut objective).is_some() {
            break;
        }
    }
    Ok(())
}

/// The same with a valid checksum.
pub fn minimizer_sealed(bytes: &[u8]) -> Result<(), String> {
    minimizer(&sealed(bytes).unwrap_or_else(|| bytes.to_vec()))
}

/// A file of a solver's run, next to valid ones.
fn solver_file(name: &str, bytes: &[u8]) -> Result<(), String> {
    let root = folder().join("solver-of").join(name);
    let problem = problems::named("mgh:rosenbrock").map_err(|error| error.to_string())?;
    let runs = RunsFolder::new(&root, &problem);
    let good: [(&str, &[u8]); 2] = [
        ("fosi-0.json", include_bytes!("data/solver-record.json")),
        ("fosi-0.csv", include_bytes!("data/solver-curve.csv")),
    ];
    for (file, content) in good {
        let content = if file == name { bytes } else { content };
        put(&runs.path().join(file), content);
    }
    runs.all().map(drop).map_err(|error| error.to_string())
}

/// The record of a solver's run, with a valid curve.
pub fn solver_record(bytes: &[u8]) -> Result<(), String> {
    solver_file("fosi-0.json", bytes)
}

/// The curve of a solver's run, with a valid record.
pub fn solver_curve(bytes: &[u8]) -> Result<(), String> {
    solver_file("fosi-0.csv", bytes)
}

/// The file with the correct checksum of its content; `None` if the container is invalid.
fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let file = safetensors::SafeTensors::deserialize(bytes).ok()?;
    let (_, metadata) = safetensors::SafeTensors::read_metadata(bytes).ok()?;
    let entry = metadata.metadata().as_ref()?.get("fosi")?.clone();
    let (sum, header) = entry.split_at_checked(8)?;
    let mut views = file.tensors();
    views.sort_by(|a, b| a.0.cmp(&b.0));
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header.as_bytes());
    for (name, view) in views {
        hasher.update(format!("{name} {:?} {:?}", view.dtype(), view.shape()).as_bytes());
        hasher.update(view.data());
    }
    let at = bytes
        .windows(sum.len())
        .position(|window| window == sum.as_bytes())?;
    let mut fixed = bytes.to_vec();
    fixed[at..at + sum.len()].copy_from_slice(format!("{:08x}", hasher.finalize()).as_bytes());
    Some(fixed)
}
