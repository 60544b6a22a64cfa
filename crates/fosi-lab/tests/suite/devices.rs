//! Devices other than the CPU: an absent device is refused by name, an available one trains.
//!
//! These tests require a device's feature. Graphics cards are found through Vulkan's list of drivers, which the
//! environment can replace: by an empty list, or by Mesa's CPU driver (`mesa-vulkan-drivers` in Debian).
#![cfg(any(feature = "cuda", feature = "wgpu"))]

use std::path::Path;
use std::process::{Command, Output};

use fosi_lab::runs::{RefreshOutcome, Run};

/// The variables for Vulkan's list of drivers, by its old and its new name, and for OpenGL's.
const DRIVERS: [&str; 3] = [
    "VK_ICD_FILENAMES",
    "VK_DRIVER_FILES",
    "__EGL_VENDOR_LIBRARY_FILENAMES",
];

/// A short run of logistic regression with the graphics drivers of `list` and without CUDA's.
fn train(folder: &Path, device: &str, list: &str) -> Output {
    let line = [
        "train",
        "lr",
        "--epochs",
        "2",
        "--optimizers",
        "hb,fosi-hb",
        "--warmup",
        "10",
        "--interval",
        "20",
        "--device",
        device,
        "--name",
        device,
    ];
    Command::new(env!("CARGO_BIN_EXE_fosi"))
        .args(line)
        .current_dir(folder)
        .envs(DRIVERS.map(|variable| (variable, list)))
        .env("CUDA_VISIBLE_DEVICES", "")
        .output()
        .unwrap()
}

#[test]
fn a_device_without_a_driver_is_refused_before_anything_is_written() {
    let cases = [
        (
            cfg!(feature = "cuda"),
            "cuda",
            "no NVIDIA driver (libcuda) that knows a GPU was found",
        ),
        (
            cfg!(feature = "wgpu") && cfg!(target_os = "linux"),
            "wgpu",
            "no driver for a graphics API",
        ),
    ];
    for (_, device, missing) in cases.into_iter().filter(|(built, ..)| *built) {
        let folder = tempfile::tempdir().unwrap();
        let output = train(folder.path(), device, "/nonexistent");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        let start = format!("error: there is no device for --device {device}: ");
        assert!(message.starts_with(&start), "{message}");
        assert!(message.contains(missing), "{message}");
        assert!(message.contains("there are: cpu"), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

/// The description file of Mesa's CPU driver for Vulkan.
#[cfg(all(feature = "wgpu", target_os = "linux"))]
fn software_driver() -> Option<String> {
    let entries = std::fs::read_dir("/usr/share/vulkan/icd.d").ok()?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let software = paths.find(|path| path.to_string_lossy().contains("/lvp_icd"));
    software.map(|path| path.to_string_lossy().into_owned())
}

#[cfg(all(feature = "wgpu", target_os = "linux"))]
#[test]
fn a_software_driver_trains_as_the_cpu_does() {
    let Some(driver) = software_driver() else {
        eprintln!("skipped: no software driver of Vulkan");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let runs = ["cpu", "wgpu"].map(|device| {
        let output = train(folder.path(), device, &driver);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{device}: {message}");
        Run::read(&folder.path().join("runs").join(device)).unwrap()
    });
    let [on_cpu, on_gpu] = &runs;
    assert_eq!(on_gpu.record.config.device.to_string(), "wgpu");
    assert_eq!((on_cpu.rows.len(), on_gpu.rows.len()), (4, 4));
    for (expected, found) in on_cpu.rows.iter().zip(&on_gpu.rows) {
        let name = expected.optimizer;
        let difference = (expected.valid_loss - found.valid_loss).abs();
        // Sums have another order; with FOSI, products are also in f32, and directions overshoot at other steps.
        let allowed = if name.fosi { 0.15 } else { 0.02 };
        assert!(
            difference < allowed * expected.valid_loss,
            "{name}: {} and {}",
            expected.valid_loss,
            found.valid_loss
        );
    }
    assert_eq!(on_gpu.record.refreshes.len(), on_cpu.record.refreshes.len());
    for refresh in &on_gpu.record.refreshes {
        let accepted = matches!(refresh.outcome, RefreshOutcome::Accepted { .. });
        assert!(accepted, "{refresh:?}");
    }
}
