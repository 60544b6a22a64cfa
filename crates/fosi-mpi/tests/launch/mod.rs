//! Starting jobs.

use std::process::{Command, Output};

/// The time limit of a job in seconds.
const LONGEST: &str = "240";

/// The message of a test that cannot start a job.
pub const LAUNCH_ERROR: &str = "`timeout` and `mpirun` are installed";

/// `mpirun` under the time limit, on a machine that may have fewer cores than the job has ranks.
pub fn mpirun() -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", LONGEST, "mpirun", "--allow-run-as-root"]);
    command.args(["--oversubscribe", "--bind-to", "none"]);
    command
}

/// What a job wrote to standard output and standard error.
pub fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
