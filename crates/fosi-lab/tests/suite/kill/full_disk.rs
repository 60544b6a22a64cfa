//! Full disks, simulated by small in-memory file systems.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::{ARGUMENTS, content, left_alone};
use crate::campaign::number;
use fosi_lab::runs::{Checkpoint, Run};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Runs shell commands in a folder with `disk`, a file system of `size` kilobytes that is removed afterwards; the
/// commands find the program as `$fosi`. `None` if this user may not mount.
fn on_small_disk(folder: &Path, size: u64, lines: &str) -> Option<Output> {
    let shell = |lines: &str| {
        Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", lines])
            .current_dir(folder)
            .env("fosi", env!("CARGO_BIN_EXE_fosi"))
            .output()
    };
    fs::create_dir_all(folder.join("disk")).unwrap();
    let mount = format!("mount -t tmpfs -o size={size}k none disk");
    if !shell(&mount).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not mount a file system");
        return None;
    }
    Some(shell(&format!("{mount} || exit 99; {lines}")).unwrap())
}

#[test]
fn a_disk_that_fills_up_ends_a_run_that_can_be_resumed() {
    let (kills, seed) = (number("FOSI_KILLS", 3), number("FOSI_KILL_SEED", 1));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let expected = &left_alone().run;
    let line = ARGUMENTS.join(" ");
    let lines = format!(
        "cd disk; $fosi {line} >/dev/null; echo $? >../status; cp -r runs/r ../full
         mount -o remount,size=64m . && $fosi train --resume runs/r >/dev/null && cp -r runs/r ../done"
    );
    let (mut filled, mut resumed) = (0, 0);
    for _ in 0..kills {
        let folder = tempfile::tempdir().unwrap();
        // The sizes range from too small for a second checkpoint to large enough for everything except the figures.
        let size = random.random_range(84..240);
        let Some(output) = on_small_disk(folder.path(), size, &lines) else {
            return;
        };
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{size} kB: {message}");
        let status = fs::read_to_string(folder.path().join("status")).unwrap();
        match status.trim() {
            "0" => {}
            "1" => {
                assert!(
                    message.contains("error: cannot write") && message.contains("free some space"),
                    "{size} kB: {message}"
                );
                filled += 1;
                // The newest checkpoint on the full disk is undamaged.
                if let Some((_, damaged)) =
                    Checkpoint::read_newest(&folder.path().join("full")).unwrap()
                {
                    assert!(damaged.is_empty(), "{size} kB: {damaged:?}");
                    resumed += 1;
                }
            }
            other => panic!("{size} kB: status {other}: {message}"),
        }
        let found = Run::read(&folder.path().join("done")).unwrap();
        assert_eq!(content(&found), content(expected), "{size} kB, seed {seed}");
        assert_eq!(found.record.notes, expected.record.notes);
    }
    assert!(
        filled > 0 && resumed > 0,
        "no disk was full after a checkpoint"
    );
    eprintln!(
        "{filled} of {kills} disks filled up, {resumed} after a checkpoint, seed {seed}: each run ended bit-equal"
    );
}

#[test]
fn a_full_disk_is_found_before_anything_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "head -c 4000000 /dev/zero >disk/ballast 2>/dev/null; $fosi train lr --out disk/runs --epochs 100000; echo $?
                 $fosi quadratic illustrate --out disk/quadratic; echo $?; ls disk";
    let Some(output) = on_small_disk(folder.path(), 256, lines) else {
        return;
    };
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n1\nballast\n");
    for folder in ["disk/runs", "disk/quadratic"] {
        let told = format!("error: cannot write {folder}: No space left on device");
        assert!(message.contains(&told), "{message}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_found_before_anything_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "mount -o remount,ro disk; $fosi train lr --out disk/runs --epochs 100000; echo $?
                 $fosi train lr --out disk --epochs 100000; echo $?; $fosi train lr --out disk --dry-run >/dev/null; echo $?";
    let Some(output) = on_small_disk(folder.path(), 256, lines) else {
        return;
    };
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n1\n0\n");
    for folder in ["disk/runs", "disk"] {
        let told = format!("error: cannot write {folder}: Read-only file system");
        assert!(message.contains(&told), "{message}");
    }
}
