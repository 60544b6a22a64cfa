//! What the program is built with, for `run.json`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| std::env::var(name).unwrap_or_default();
    let compiler = Command::new(variable("RUSTC")).arg("--version").output();
    let version = compiler.map_or_else(|_| Vec::new(), |output| output.stdout);
    let version = String::from_utf8_lossy(&version);
    println!("cargo::rustc-env=FOSI_RUSTC={}", version.trim());
    let features = variable("CARGO_CFG_TARGET_FEATURE");
    println!("cargo::rustc-env=FOSI_TARGET_FEATURES={features}");
}
