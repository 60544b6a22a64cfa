//! Records the commit and the build environment for `run.json`.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| std::env::var(name).unwrap_or_default();
    let version = output(Command::new(variable("RUSTC")).arg("--version"));
    println!(
        "cargo::rustc-env=FOSI_RUSTC={}",
        version.unwrap_or_default()
    );
    let features = variable("CARGO_CFG_TARGET_FEATURE");
    println!("cargo::rustc-env=FOSI_TARGET_FEATURES={features}");
    println!(
        "cargo::rustc-env=FOSI_COMMIT={}",
        commit().unwrap_or_default()
    );
}

/// The commit of the repository whose root is two folders up; `None` without git, or for a copy inside another
/// repository.
fn commit() -> Option<String> {
    let root = Path::new("../..").canonicalize().ok()?;
    let git = |arguments: &[&str]| output(Command::new("git").args(arguments).current_dir(&root));
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root {
        return None;
    }
    // The log of HEAD grows with every commit and checkout.
    for file in ["HEAD", "logs/HEAD"] {
        let path = root.join(git(&["rev-parse", "--git-path", file])?);
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let built = [
        "crates/fosi/src",
        "crates/fosi-burn/src",
        "crates/fosi-lab/src",
        "Cargo.lock",
    ];
    for path in built {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    let commit = git(&["rev-parse", "HEAD"])?;
    let status = git(&[&["status", "--porcelain", "--"], &built[..]].concat())?;
    let modified = if status.is_empty() { "" } else { "-modified" };
    Some(commit + modified)
}

/// The output of a program; `None` if it fails.
fn output(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
