//! Everything that may exist in place of a file: nothing, folders, links, pipes, devices, names that are not UTF-8,
//! files without read permission.
#![cfg(unix)]

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::folder::Folder;
use crate::readers::{READERS, small_wav};
use fosi_lab::config::TrainOptions;
use fosi_lab::data::{
    AudioSetFiles, ClassList, Damaged, NonAscii, class_folders, colour_images, find_text, fsdd,
    mnist, read_cifar10_file, read_images, read_labels, read_text, read_wav,
};
use fosi_lab::runs::{Checkpoint, Run};

const PIXEL: &[u8] = include_bytes!("data/pixel.png");
const CLASSES: &str = "index,mid,display_name\n0,/m/1,Speech\n";

type FromPath = fn(&Path) -> Result<(), String>;

fn result<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

/// All readers of single files, each with a valid file.
fn readers() -> Vec<(&'static str, FromPath, Vec<u8>)> {
    let good = |name: &str| {
        let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        fs::read(corpus.join(name)).unwrap()
    };
    let metrics: FromPath = |path| {
        let folder = path.parent().unwrap();
        fs::write(folder.join("run.json"), include_bytes!("data/run.json")).unwrap();
        result(Run::read(folder))
    };
    let record: FromPath = |path| result(Run::read_record(path.parent().unwrap()));
    vec![
        (
            "images",
            |path| result(read_images(path)),
            good("idx-images/good-gzip"),
        ),
        (
            "labels",
            |path| result(read_labels(path, 10)),
            good("idx-labels/good"),
        ),
        (
            "batch.bin",
            |path| result(read_cifar10_file(path)),
            good("cifar10/good"),
        ),
        ("a.wav", |path| result(read_wav(path)), small_wav()),
        (
            "classes.csv",
            |path| result(ClassList::read(path)),
            CLASSES.into(),
        ),
        (
            "input.txt",
            |path| result(read_text(path, NonAscii::Refuse)),
            b"to be".to_vec(),
        ),
        (
            "checkpoint",
            |path| result(Checkpoint::read(path)),
            good("checkpoint/good"),
        ),
        (
            "metrics.csv",
            metrics,
            include_bytes!("data/metrics.csv").to_vec(),
        ),
        ("run.json", record, include_bytes!("data/run.json").to_vec()),
        (
            "run.toml",
            |path| result(TrainOptions::from_file(path)),
            b"epochs = 3\n".to_vec(),
        ),
    ]
}

#[test]
fn a_link_is_followed_and_what_is_no_file_refused_by_name() {
    for (name, read, good) in readers() {
        let folder = Folder::new();
        let path = folder.path().join(name);
        let refused = |what: &str| {
            let message = read(&path).unwrap_err();
            assert!(
                message.contains(path.to_str().unwrap()),
                "{name}, {what}: {message}"
            );
            fs::remove_file(&path)
                .or_else(|_| fs::remove_dir(&path))
                .unwrap();
        };
        let elsewhere = folder.write("elsewhere/file", &good);
        symlink(&elsewhere, &path).unwrap();
        assert_eq!(read(&path), Ok(()), "{name}: a link");
        fs::remove_file(&path).unwrap();

        symlink(folder.path().join("nothing"), &path).unwrap();
        refused("a link to nothing");
        symlink(&path, &path).unwrap();
        refused("a link to itself");
        fs::create_dir(&path).unwrap();
        refused("a folder");
        symlink("/dev/zero", &path).unwrap();
        refused("a device without an end");
        // Settings may come from a pipe (`--config <(…)`).
        if name != "run.toml" {
            assert!(
                Command::new("mkfifo")
                    .arg(&path)
                    .status()
                    .unwrap()
                    .success()
            );
            refused("a pipe");
        }
    }
}

#[test]
fn settings_come_from_a_pipe_too() {
    let folder = Folder::new();
    let path = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    std::thread::scope(|scope| {
        scope.spawn(|| fs::write(&path, "epochs = 3\n").unwrap());
        assert_eq!(TrainOptions::from_file(&path).unwrap().epochs, Some(3));
    });
}

/// Only the operating system can refuse, and it refuses nothing to its administrator.
#[test]
fn what_may_not_be_read_is_told_apart_from_what_is_missing() {
    for (name, read, good) in readers() {
        let folder = Folder::new();
        let path = folder.write(name, &good);
        fs::set_permissions(&path, Permissions::from_mode(0o0)).unwrap();
        if fs::File::open(&path).is_ok() {
            eprintln!("skipped: this user may read everything");
            return;
        }
        let message = read(&path).unwrap_err();
        assert!(message.contains("ermission denied"), "{name}: {message}");
    }
}

/// A circular link is an error for every user; a folder without search permission is one for most.
#[test]
fn data_sets_that_cannot_be_looked_for_are_not_called_missing() {
    let finders: [(&str, FromPath); 6] = [
        ("train-images-idx3-ubyte", |path| result(mnist(path))),
        ("data_batch_2.bin", |path| {
            result(colour_images(path, None, Damaged::Refuse))
        }),
        ("input.txt", |path| result(find_text(path))),
        ("class_labels_indices.csv", |path| {
            result(AudioSetFiles::find(path))
        }),
        ("train.csv", |path| {
            fs::write(path.join("class_labels_indices.csv"), CLASSES).unwrap();
            result(AudioSetFiles::find(path))
        }),
        ("a.wav", |path| {
            fs::write(path.join("class_labels_indices.csv"), CLASSES).unwrap();
            fs::write(path.join("labels.csv"), "file,labels\na.wav,/m/1\n").unwrap();
            result(AudioSetFiles::find(path).and_then(|files| files.read(Damaged::Refuse)))
        }),
    ];
    for (name, find) in finders {
        let folder = Folder::new();
        let path = folder.path().join(name);
        symlink(&path, &path).unwrap();
        let message = find(folder.path()).unwrap_err();
        let named = format!("cannot read {}", path.display());
        assert!(
            message.contains(&named) && message.contains("symbolic link"),
            "{name}: {message}"
        );
    }
}

/// Latin-1, which is not valid UTF-8.
fn latin() -> &'static OsStr {
    OsStr::from_bytes(b"caf\xe9")
}

#[test]
fn names_that_are_no_utf8_are_read_as_others() {
    let folder = Folder::new();
    let root = folder.path().join(latin());
    let wav = |name: &[u8]| {
        let path = root.join("recordings").join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, small_wav()).unwrap();
    };
    wav(b"3_jos\xe9_1.wav");
    wav(b"3_jos\xe9_7.wav");
    let split = fsdd(&root).unwrap();
    assert_eq!((split.train.len(), split.validation.len()), (1, 1));
    assert_eq!(split.train.decode_all(Damaged::Refuse).unwrap().len(), 1);

    for part in ["train", "test"] {
        for class in [latin(), OsStr::from_bytes(b"caf\xe8")] {
            let path = root.join(part).join(class);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join(OsStr::from_bytes(b"\xff.png")), PIXEL).unwrap();
            fs::write(path.join(OsStr::from_bytes(b".\xff")), "hidden").unwrap();
        }
    }
    let split = class_folders(&root, None, Damaged::Refuse).unwrap();
    assert_eq!(
        (split.train.labels, split.test.labels),
        (vec![0, 1], vec![0, 1])
    );
    fs::remove_dir_all(root.join("test").join(latin())).unwrap();
    let message = class_folders(&root, None, Damaged::Refuse)
        .unwrap_err()
        .to_string();
    assert!(message.contains("only in train/: caf"), "{message}");
}

#[test]
fn links_among_images_are_followed_and_broken_ones_told() {
    let folder = Folder::new();
    let good = folder.write("elsewhere.png", PIXEL);
    for part in ["train/a", "test/a"] {
        fs::create_dir_all(folder.path().join(part)).unwrap();
        symlink(&good, folder.path().join(part).join("good.png")).unwrap();
    }
    let read = |damaged| class_folders(folder.path(), None, damaged);
    assert_eq!(read(Damaged::Refuse).unwrap().train.len(), 1);
    let broken = folder.path().join("train/a/broken.png");
    symlink("nowhere", &broken).unwrap();
    let message = read(Damaged::Refuse).unwrap_err().to_string();
    assert!(
        message.contains("cannot read") && message.contains("broken.png"),
        "{message}"
    );
    let split = read(Damaged::Skip).unwrap();
    assert_eq!((split.train.len(), split.skipped.len()), (1, 1));
    // A class that is a circular link is not a folder.
    symlink("loop", folder.path().join("train/loop")).unwrap();
    assert!(read(Damaged::Skip).is_ok());
}

#[test]
fn an_empty_file_is_refused_by_every_reader_that_needs_content() {
    for (name, read) in READERS {
        let outcome = read(b"");
        match name {
            // Text and settings may be absent until they are used.
            "text" | "settings" => assert_eq!(outcome, Ok(()), "{name}"),
            _ => assert!(outcome.is_err(), "{name}"),
        }
    }
}
