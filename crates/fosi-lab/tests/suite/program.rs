//! Runs the program like a user.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the program in a folder until it ends.
pub fn fosi(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fosi"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Runs the program with its standard error or output connected to a pipe without a reader.
fn unread(arguments: &[&str], close_stderr: bool) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fosi"));
    command.args(arguments).current_dir(folder.path());
    match close_stderr {
        true => command.stdout(Stdio::piped()).stderr(writer),
        false => command.stdout(writer).stderr(Stdio::piped()),
    };
    command.spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn an_error_that_nobody_reads_keeps_its_exit_status() {
    let output = unread(&["train", "lr", "--alpha", "-1"], true);
    assert_eq!(output.status.code(), Some(2));
    let output = unread(
        &["train", "lr", "--epochs", "1", "--optimizers", "hb"],
        true,
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn output_that_nobody_reads_ends_quietly() {
    let output = unread(&["train", "lr", "--dry-run"], false);
    assert_eq!(output.status.code(), Some(141));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.is_empty(), "{message}");
}

#[test]
fn runs_of_one_name_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    for out in ["z1", "z2"] {
        let arguments = [
            "train",
            "lr",
            "--epochs",
            "1",
            "--optimizers",
            "hb",
            "--out",
            out,
            "--name",
            "r",
        ];
        let output = fosi(folder.path(), &arguments);
        assert!(output.status.success());
    }
    for command in ["compare", "table"] {
        let output = fosi(folder.path(), &[command, "z1/r", "z2/r", "z2/../z1/r"]);
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains("z2/../z1/r is given twice"), "{message}");
    }
    let output = fosi(folder.path(), &["compare", "z1/r", "z2/r"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("z1/r hb") && text.contains("z2/r hb"),
        "{text}"
    );
}
