//! The program as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

/// Runs the program in a folder, to its end.
pub fn fosi(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fosi"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}
