//! Worker processes that make a study's runs in parallel with this process.

use std::process::{Child, ChildStdin, Command, Stdio};

use super::CommandError;

/// Processes with this one's command line. They end when no run of the study is missing, or when their standard input
/// is closed, which happens whenever this process ends.
#[derive(Debug)]
pub(super) struct Workers(Vec<(Child, Option<ChildStdin>)>);

impl Workers {
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Starts `count` workers.
    pub(super) fn start(count: usize) -> Result<Self, CommandError> {
        let mut workers = Self::none();
        for _ in 0..count {
            let program = std::env::current_exe()?;
            let mut child = Command::new(program)
                .args(std::env::args_os().skip(1))
                .arg("--worker")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()?;
            let input = child.stdin.take();
            workers.0.push((child, input));
        }
        Ok(workers)
    }

    /// Asks the workers to end after their current step, and waits for them.
    pub(super) fn finish(self) {
        let (mut children, inputs): (Vec<Child>, Vec<Option<ChildStdin>>) =
            self.0.into_iter().unzip();
        drop(inputs);
        for child in &mut children {
            // The report shows any runs that a worker did not finish as missing.
            let _ = child.wait();
        }
    }
}
