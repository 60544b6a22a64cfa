//! The program under `mpirun`, compared with itself as one process.
#![cfg(target_os = "linux")]

mod launch;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fosi_lab::runs::{Run, RunStatus};
use launch::{mpirun, texts};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fosi-mpi");

/// 1,437 examples in batches of 64: the last batch of an epoch has fewer. The twelfth epoch is incomplete.
const ARGUMENTS: [&str; 17] = [
    "train",
    "lr",
    "--name",
    "r",
    "--optimizers",
    "hb,fosi-hb,fosi-adam",
    "--seeds",
    "3",
    "--steps",
    "270",
    "--schedule",
    "cosine",
    "--interval",
    "30",
    "--checkpoint-every",
    "7",
    "--threads=1",
];

/// The program on so many ranks, in `folder`.
fn job(ranks: usize, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = mpirun();
    command.args(["-n", &ranks.to_string(), PROGRAM]);
    command.args(arguments).current_dir(folder);
    command
}

/// Runs a job to its end.
fn finish(ranks: usize, folder: &Path, arguments: &[&str]) -> Run {
    let output = job(ranks, folder, arguments)
        .output()
        .expect(launch::LAUNCH_ERROR);
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{ranks} ranks\n{out}\n{err}");
    let run = Run::read(&folder.join("runs/r")).unwrap();
    assert_eq!(run.record.status, RunStatus::Finished);
    run
}

/// The losses and accuracies of all epochs agree.
fn assert_near(found: &Run, expected: &Run) {
    assert_eq!(found.rows.len(), expected.rows.len());
    for (a, b) in found.rows.iter().zip(&expected.rows) {
        assert_eq!(
            (a.optimizer, a.epoch, a.step),
            (b.optimizer, b.epoch, b.step)
        );
        for (a, b) in [
            (a.train_loss, b.train_loss),
            (a.valid_loss, b.valid_loss),
            (a.valid_accuracy.unwrap(), b.valid_accuracy.unwrap()),
        ] {
            assert!((a / b - 1.0).abs() < 1e-4, "{a} {b}");
        }
    }
    let steps = |run: &Run| {
        run.record
            .refreshes
            .iter()
            .map(|r| r.step)
            .collect::<Vec<_>>()
    };
    assert_eq!(steps(found), steps(expected));
}

#[test]
fn training_is_that_of_one_process_and_writes_once() {
    let alone = tempfile::tempdir().unwrap();
    let expected = finish(1, alone.path(), &ARGUMENTS);
    assert_eq!(expected.rows.len(), 3 * 12);
    for ranks in [2, 3] {
        let folder = tempfile::tempdir().unwrap();
        assert_near(&finish(ranks, folder.path(), &ARGUMENTS), &expected);
        assert_eq!(fs::read_dir(folder.path().join("runs")).unwrap().count(), 1);
    }
}

fn losses(run: &Run) -> Vec<[f64; 2]> {
    let rows = run.rows.iter();
    rows.map(|row| [row.train_loss, row.valid_loss]).collect()
}

/// The process of a rank of the job that runs in `folder`.
fn process_of(rank: usize, folder: &Path) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let variable = format!("OMPI_COMM_WORLD_RANK={rank}");
    let mut ids = processes.filter_map(|process| {
        let path = process.path();
        let here = fs::read_link(path.join("cwd")).ok()? == folder;
        let program = fs::read_link(path.join("exe")).ok()? == Path::new(PROGRAM);
        let environment = fs::read(path.join("environ")).ok()?;
        let has_rank = environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == variable.as_bytes());
        let id = process.file_name().to_str()?.parse().ok()?;
        (here && program && has_rank).then_some(id)
    });
    ids.next()
}

fn has_checkpoint(run: &Path) -> bool {
    let entries = fs::read_dir(run).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .any(|path| path.extension().is_some_and(|e| e == "safetensors"))
}

#[test]
fn a_run_whose_rank_is_killed_resumes_on_any_number_of_ranks() {
    let whole = tempfile::tempdir().unwrap();
    let expected = finish(2, whole.path(), &ARGUMENTS);
    for (killed, after) in [(1, 1), (0, 2), (1, 3)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let mut job = job(2, &path, &ARGUMENTS)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect(launch::LAUNCH_ERROR);
        while !has_checkpoint(&path.join("runs/r")) {
            assert!(
                job.try_wait().unwrap().is_none(),
                "ended before a checkpoint"
            );
            sleep(Duration::from_millis(1));
        }
        let process = process_of(killed, &path)
            .expect("a running rank")
            .to_string();
        let kill = Command::new("kill").args(["-9", &process]).status();
        assert!(kill.unwrap().success());
        let since = Instant::now();
        assert!(
            !job.wait().unwrap().success(),
            "the job ended before the kill"
        );
        assert!(since.elapsed() < Duration::from_secs(10));
        let resumed = finish(after, &path, &["train", "--resume", "runs/r"]);
        assert_near(&resumed, &expected);
        assert!(
            after != 2 || losses(&resumed) == losses(&expected),
            "not bit-equal"
        );
    }
}

#[test]
fn help_and_usage_errors_end_the_job_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let help = job(1, folder.path(), &["--help"]).output();
    let help = help.expect(launch::LAUNCH_ERROR);
    let (out, err) = texts(&help);
    assert!(
        help.status.success() && out.contains("Usage:"),
        "{out}\n{err}"
    );
    for (arguments, reason) in [
        (
            &["solve"][..],
            "only `fosi train` runs on several processes",
        ),
        (&["train", "lr", "--no-such-option"], "unexpected argument"),
    ] {
        let refused = job(2, folder.path(), arguments).output();
        let refused = refused.expect(launch::LAUNCH_ERROR);
        let (out, err) = texts(&refused);
        assert_eq!(refused.status.code(), Some(2), "{out}\n{err}");
        assert_eq!(err.matches(reason).count(), 1, "{out}\n{err}");
    }
}
