//! The machine on which a run's times were measured.

use serde::{Deserialize, Serialize};

/// Processor, cores and operating system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name, or its architecture if the system does not report the name.
    pub cpu: String,
    /// The cores available to this process.
    pub cores: usize,
    /// The operating system.
    pub os: String,
}

impl Machine {
    /// The machine that runs this process.
    pub fn here() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cpu: cpu_name().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores,
            os: os_name().unwrap_or_else(|| std::env::consts::OS.to_owned()),
        }
    }
}

/// The peak resident memory of this process in bytes; `None` if the system does not report it.
pub fn peak_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kibibytes)
}

/// Linux reports the name in `/proc/cpuinfo`; other systems would need a system call.
fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn os_name() -> Option<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(format!("{} {}", std::env::consts::OS, release.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_grows_with_what_is_held() {
        let before = peak_memory().unwrap();
        let held = vec![1_u8; before as usize + (1 << 20)];
        assert!(peak_memory().unwrap() >= before + (1 << 20));
        assert_eq!(held[held.len() / 2], 1);
    }
}
