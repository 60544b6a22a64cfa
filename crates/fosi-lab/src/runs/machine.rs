//! The machine on which a run's times were measured.

use serde::{Deserialize, Serialize};

/// Processor, cores and operating system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name, or its architecture where the system doesn't tell.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// The operating system.
    pub os: String,
}

impl Machine {
    /// The machine that this process runs on.
    pub fn here() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cpu: cpu_name().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores,
            os: os_name().unwrap_or_else(|| std::env::consts::OS.to_owned()),
        }
    }
}

/// Linux names the processor in `/proc/cpuinfo`; elsewhere there is no way without calling the system.
fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn os_name() -> Option<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(format!("{} {}", std::env::consts::OS, release.trim()))
}
