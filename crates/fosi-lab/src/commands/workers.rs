//! Processes that make a study's runs beside this one.

use std::process::{Child, ChildStdin, Command, Stdio};

use super::CommandError;

/// Processes with this one's command line. They end when none of the study's runs is missing, or when their standard
/// input is closed, as it is where this process ends in any way.
#[derive(Debug)]
pub(super) struct Workers(Vec<(Child, Option<ChildStdin>)>);

impl Workers {
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Starts `count` of them.
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

    /// Has them end after the step that they are in, and waits for that.
    pub(super) fn finish(self) {
        let (mut children, inputs): (Vec<Child>, Vec<Option<ChildStdin>>) =
            self.0.into_iter().unzip();
        drop(inputs);
        for child in &mut children {
            // What a worker has not made is missing in the report.
            let _ = child.wait();
        }
    }
}
