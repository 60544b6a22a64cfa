//! Two processes that resume the same run: one succeeds, and the other is told which process has it.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::{ARGUMENTS, LeftAlone, content, left_alone, start};
use crate::campaign::number;
use crate::program::fosi;
use fosi_lab::runs::{Run, RunStatus};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Starts a process that resumes the run, and captures its output.
fn resume(folder: &std::path::Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_fosi"))
        .args(["train", "--resume", "runs/r"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Status and message of a process that has ended or is killed now; the status is `None` if it was killed.
fn end(mut child: Child, kill: bool) -> (Option<i32>, String) {
    if kill && child.try_wait().unwrap().is_none() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), message)
}

/// The number of processes that were refused because of the other.
fn refusals(children: [Child; 2], kill: bool) -> u64 {
    let ids = [children[1].id(), children[0].id()];
    let mut refused = 0;
    for (child, other) in children.into_iter().zip(ids) {
        let (status, message) = end(child, kill);
        match status {
            Some(2) => {
                let told = format!("the run runs/r is being trained by process {other}");
                assert!(message.contains(&told), "{other}: {message}");
                refused += 1;
            }
            None | Some(0) => {}
            other => panic!("{other:?}: {message}"),
        }
    }
    refused
}

#[test]
fn two_processes_that_fight_for_a_run_end_it_bit_equal() {
    let (kills, seed) = (number("FOSI_KILLS", 6), number("FOSI_KILL_SEED", 1));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let LeftAlone {
        run: expected,
        duration,
    } = left_alone();
    let (mut fights, mut refused, mut ended) = (0, 0, 0);
    while fights < kills {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("runs/r");
        let mut child = start(folder.path(), &ARGUMENTS);
        while !run.join("run.json").exists() {
            sleep(Duration::from_millis(1));
        }
        // A later process is refused in favour of the first owner.
        let (status, message) = end(resume(folder.path()), false);
        if child.try_wait().unwrap().is_none() {
            assert_eq!(status, Some(2), "{message}");
            let told = format!("is being trained by process {}", child.id());
            assert!(message.contains(&told), "{message}");
            refused += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Two processes that start and are killed simultaneously.
        while fights < kills && Run::read_record(&run).unwrap().status != RunStatus::Finished {
            let both = [resume(folder.path()), resume(folder.path())];
            sleep(duration.mul_f64(0.6 * random.random::<f64>()));
            refused += refusals(both, true);
            fights += 1;
        }
        // Two processes that start simultaneously and are not killed: one finishes the run.
        let both = [resume(folder.path()), resume(folder.path())];
        refused += refusals(both, false);
        let found = Run::read(&run).unwrap();
        assert_eq!(found.record.status, RunStatus::Finished);
        assert_eq!(content(&found), content(expected), "seed {seed}");
        ended += 1;
    }
    assert!(refused > 0, "nobody was refused");
    eprintln!(
        "{fights} fights for {ended} runs, {refused} refusals, seed {seed}: each run ended bit-equal"
    );
}

#[test]
fn runs_that_start_in_the_same_second_get_two_names() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["train", "lr", "--epochs", "1", "--optimizers", "hb"];
    let mut children: Vec<Child> = (0..3).map(|_| start(folder.path(), &arguments)).collect();
    assert!(
        children
            .iter_mut()
            .all(|child| child.wait().unwrap().success())
    );
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path().join("runs")).unwrap() {
        let path = entry.unwrap().path();
        let run = Run::read(&path).unwrap();
        assert_eq!(run.rows.len(), 1);
        assert_eq!(run.record.name, path.file_name().unwrap().to_string_lossy());
        names.push(run.record.name);
    }
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn a_finished_run_is_reported_to_everyone() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "train",
        "lr",
        "--epochs",
        "1",
        "--optimizers",
        "hb",
        "--name",
        "r",
    ];
    assert!(start(folder.path(), &arguments).wait().unwrap().success());
    let both = [resume(folder.path()), resume(folder.path())];
    assert_eq!(refusals(both, false), 0);
    let output = fosi(folder.path(), &["train", "--resume", "runs/r"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("is finished"));
}
