//! Runs that are killed at random moments and resumed are identical to uninterrupted ones; this includes runs contested
//! by two processes, on a full disk, and with a lost page cache.
//!
//! `FOSI_KILLS` and `FOSI_KILL_SEED` set the number of kills and the seed of the moments; `scripts/kill-test` runs a
//! longer campaign.
#![cfg(unix)]

mod fight;
mod full_disk;
mod lost_cache;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::campaign::number;
use fosi_lab::runs::{Checkpoint, MetricsRow, RefreshOutcome, Run, RunStatus};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A run whose batches, refreshes and checkpoints occur in all relative positions; its twelfth epoch is incomplete.
const ARGUMENTS: [&str; 19] = [
    "train",
    "lr",
    "--name",
    "r",
    "--optimizers",
    "hb,fosi-hb,fosi-adam",
    "--seeds",
    "3,4",
    "--steps",
    "270",
    "--schedule",
    "cosine",
    "--warmup-rate",
    "20",
    "--interval",
    "30",
    "--checkpoint-every",
    "7",
    "--threads=1",
];

fn start(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_fosi"))
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// All contents of a run except times.
fn content(run: &Run) -> (Vec<String>, Vec<String>) {
    let row = |row: &MetricsRow| {
        let numbers = [
            row.learning_rate,
            row.train_loss,
            row.valid_loss,
            row.valid_accuracy.unwrap(),
        ];
        let bits = numbers.map(f64::to_bits);
        format!(
            "{} {} {} {} {bits:x?} {} {}",
            row.optimizer, row.seed, row.epoch, row.step, row.gradients, row.products
        )
    };
    let refreshes = run.record.refreshes.iter().map(|refresh| {
        let RefreshOutcome::Accepted { eigenvalues, .. } = &refresh.outcome else {
            panic!("a refused refresh: {refresh:?}")
        };
        let bits: Vec<u64> = eigenvalues.iter().map(|x| x.to_bits()).collect();
        format!(
            "{} {} {} {bits:x?}",
            refresh.optimizer, refresh.seed, refresh.step
        )
    });
    (run.rows.iter().map(row).collect(), refreshes.collect())
}

/// The uninterrupted run.
struct LeftAlone {
    run: Run,
    duration: Duration,
}

fn left_alone() -> &'static LeftAlone {
    static RUN: OnceLock<LeftAlone> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let started = Instant::now();
        assert!(start(folder.path(), &ARGUMENTS).wait().unwrap().success());
        LeftAlone {
            duration: started.elapsed(),
            run: Run::read(&folder.path().join("runs/r")).unwrap(),
        }
    })
}

/// Resumes the run in `folder` until its end.
fn resumed(folder: &Path) -> Run {
    let mut child = start(folder, &["train", "--resume", "runs/r"]);
    assert!(child.wait().unwrap().success());
    Run::read(&folder.join("runs/r")).unwrap()
}

#[test]
fn runs_killed_at_any_moment_end_bit_equal() {
    let (kills, seed) = (number("FOSI_KILLS", 15), number("FOSI_KILL_SEED", 1));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let LeftAlone {
        run: expected,
        duration,
    } = left_alone();
    assert_eq!(expected.rows.len(), 6 * 12);

    let (mut killed, mut ended) = (0, 0);
    while killed < kills {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("runs/r");
        let mut interrupted = 0;
        loop {
            // A run killed before its first file is complete counts as not started.
            let begun = run.join("run.json").exists();
            if !begun && run.exists() {
                fs::remove_dir_all(&run).unwrap();
            }
            let mut child = match begun {
                true => start(folder.path(), &["train", "--resume", "runs/r"]),
                false => start(folder.path(), &ARGUMENTS),
            };
            if killed < kills {
                sleep(duration.mul_f64(0.6 * random.random::<f64>()));
            }
            if killed == kills || child.try_wait().unwrap().is_some() {
                assert!(child.wait().unwrap().success());
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            interrupted += 1;
            let newest = Checkpoint::read_newest(&run).unwrap();
            let damaged = newest.map_or(0, |(_, damaged)| damaged.len());
            assert_eq!(damaged, 0, "an unreadable checkpoint after kill {killed}");
        }
        let found = Run::read(&run).unwrap();
        assert_eq!(found.record.status, RunStatus::Finished);
        assert_eq!(
            content(&found),
            content(expected),
            "after {interrupted} kills, seed {seed}"
        );
        assert_eq!(found.record.notes, expected.record.notes);
        ended += 1;
    }
    eprintln!(
        "{killed} kills in {ended} runs, seed {seed}: each run ended bit-equal to the one left alone"
    );
}

#[test]
fn a_full_disk_leaves_the_last_good_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    // The first refresh makes checkpoints exceed the allowed file size, which simulates a full disk.
    let program = env!("CARGO_BIN_EXE_fosi");
    let line = format!(
        "trap '' XFSZ; ulimit -f 40; exec {program} {}",
        ARGUMENTS.join(" ")
    );
    let limited = Command::new("sh")
        .args(["-c", &line])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&limited.stderr);
    assert_eq!(limited.status.code(), Some(1), "{message}");
    assert!(
        message.contains("cannot write") && message.contains("checkpoint-"),
        "{message}"
    );
    let run = folder.path().join("runs/r");
    let (checkpoint, damaged) = Checkpoint::read_newest(&run).unwrap().unwrap();
    assert!(damaged.is_empty() && checkpoint.header.step > 0);

    let found = resumed(folder.path());
    assert_eq!(content(&found), content(&left_alone().run));
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("runs/r");
    let mut child = start(folder.path(), &ARGUMENTS);
    let checkpoints = || {
        let entries = fs::read_dir(&run).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.to_string_lossy().ends_with(".safetensors"));
        paths.sort();
        paths
    };
    while checkpoints().len() < 2 {
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let newest = checkpoints().pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&newest, bytes).unwrap();
    let found = resumed(folder.path());
    let name = newest.file_name().unwrap().to_string_lossy().into_owned();
    assert!(
        found.record.notes[0].contains(&name),
        "{:?}",
        found.record.notes
    );

    assert_eq!(content(&found), content(&left_alone().run));
}
