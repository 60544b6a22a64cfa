//! Jobs of several processes under `mpirun`, each compared with one process alone.
//!
//! Every test starts this program again on the ranks of a job, where the test `on_a_rank` runs the scenario that the
//! environment names.

#[path = "../../fosi-burn/tests/suite/common/basics.rs"]
mod common;
mod launch;
#[path = "../../fosi/tests/suite/ranks/layout.rs"]
mod layout;
#[path = "../../fosi-burn/tests/suite/ranks/regression.rs"]
mod regression;
mod scenarios;
#[path = "../../fosi/tests/suite/ranks/softmax.rs"]
mod softmax;

use std::path::Path;
use std::process::Output;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use launch::{mpirun, texts};

/// A rank's part in a job; does nothing without a job.
#[test]
#[ignore = "runs on the ranks of the other tests' jobs"]
fn on_a_rank() {
    if let Ok(scenario) = std::env::var(scenarios::SCENARIO) {
        scenarios::run(&scenario);
    }
}

/// A job to start.
struct Job<'a> {
    scenario: &'a str,
    ranks: usize,
    /// The folder that the ranks share.
    folder: &'a Path,
    /// The numbers of threads of even and odd ranks.
    threads: [usize; 2],
}

impl<'a> Job<'a> {
    fn new(scenario: &'a str, ranks: usize, folder: &'a Path) -> Self {
        Self {
            scenario,
            ranks,
            folder,
            threads: [1, 1],
        }
    }

    /// Runs the job, one at a time; returns the output and the time.
    fn output(&self) -> (Output, Duration) {
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = mpirun();
        for rank in 0..self.ranks {
            let threads = self.threads[rank % 2];
            if rank > 0 {
                command.arg(":");
            }
            command.args(["-n", "1", "env", &format!("RAYON_NUM_THREADS={threads}")]);
            command.arg(std::env::current_exe().unwrap());
            command.args(["--exact", "on_a_rank", "--ignored", "--nocapture"]);
            command.arg("--test-threads=1");
        }
        command.env(scenarios::SCENARIO, self.scenario);
        command.env(scenarios::FOLDER, self.folder);
        let started = Instant::now();
        let output = command.output().expect(launch::LAUNCH_ERROR);
        (output, started.elapsed())
    }

    /// The results that its ranks report.
    fn results(&self) -> Vec<String> {
        let (output, _) = self.output();
        let (out, err) = texts(&output);
        let ranks = self.ranks;
        assert!(
            output.status.success(),
            "{} on {ranks}: {}\n{out}\n{err}",
            self.scenario,
            output.status
        );
        let marked = out
            .lines()
            .filter_map(|line| line.split_once(scenarios::MARK));
        marked.map(|(_, result)| result.to_owned()).collect()
    }
}

/// Runs a scenario whose ranks check everything themselves and report `done`.
fn all_done(scenario: &str, ranks: usize, threads: [usize; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let job = Job {
        threads,
        ..Job::new(scenario, ranks, folder.path())
    };
    let results = job.results();
    assert_eq!(results, vec!["done"; ranks], "{scenario} on {ranks}");
}

#[test]
fn collectives_do_what_they_say() {
    for ranks in 1..=4 {
        all_done("collectives", ranks, [1, 1]);
    }
}

#[test]
fn training_is_that_of_one_process() {
    for ranks in 1..=4 {
        all_done("train", ranks, [1, 2]);
    }
}

#[test]
fn a_burn_module_is_trained_as_by_one_process() {
    for ranks in 1..=4 {
        all_done("module", ranks, [1, 2]);
    }
}

#[test]
fn an_error_in_a_modules_loss_is_one_on_all() {
    all_done("module_errors", 3, [1, 1]);
}

#[test]
fn a_caught_panic_does_not_end_the_job() {
    all_done("single", 2, [1, 1]);
}

#[test]
fn dropout_masks_differ_between_ranks() {
    all_done("dropout", 2, [1, 1]);
}

#[test]
fn few_and_many_parameters_on_ranks_with_different_numbers_of_threads() {
    for ranks in [2, 3, 4] {
        all_done("sizes", ranks, [1, 2]);
    }
}

#[test]
fn the_default_schedule_goes_by_the_clock_of_rank_0() {
    for ranks in [2, 4] {
        all_done("clock", ranks, [1, 1]);
    }
}

#[test]
fn an_error_on_one_rank_is_one_on_all() {
    all_done("errors", 3, [1, 1]);
}

#[test]
fn a_minimisation_on_ranks_finds_the_same_minimum() {
    for ranks in [2, 3] {
        all_done("minimize", ranks, [1, 1]);
    }
}

#[test]
fn a_rank_that_waits_says_so() {
    all_done("wait", 2, [1, 1]);
}

/// Runs a job that one rank leaves; checks that it ends within seconds.
fn ends(scenario: &str, folder: &Path) -> String {
    let job = Job::new(scenario, 3, folder);
    let (output, took) = job.output();
    let (out, err) = texts(&output);
    assert!(!output.status.success(), "{out}\n{err}");
    // Ranks write when the one that ends the job does so.
    let left = std::fs::metadata(folder.join("left")).unwrap();
    let since = left.modified().unwrap().elapsed().unwrap();
    assert!(
        since < Duration::from_secs(10),
        "{since:?} of {took:?}\n{out}\n{err}"
    );
    err
}

#[test]
fn a_panic_ends_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let said = ends("panic", folder.path());
    assert!(said.contains("a rank panics"), "{said}");
}

#[test]
fn a_killed_rank_ends_the_job_and_the_checkpoint_is_good() {
    for layout in ["replicated", "sharded"] {
        let folder = tempfile::tempdir().unwrap();
        let job = |part: &str| format!("{part}-{layout}");
        let whole = Job::new(&job("whole"), 3, folder.path()).results();
        ends(&job("killed"), folder.path());
        let resumed = Job::new(&job("resumed"), 3, folder.path()).results();
        assert_eq!(whole.len(), 3);
        assert_eq!(resumed, whole);
    }
}

#[test]
fn a_run_resumes_on_another_number_of_ranks() {
    for layout in ["replicated", "sharded"] {
        for (before, after) in [(2, 4), (4, 1)] {
            let folder = tempfile::tempdir().unwrap();
            let job = |part: &str| format!("{part}-{layout}");
            // Stops at the checkpoint, and goes on beyond it.
            Job::new(&job("whole"), before, folder.path()).results();
            let name = job("continued");
            let done = Job::new(&name, after, folder.path()).results();
            assert_eq!(done, vec!["done"; after]);
        }
    }
}

#[test]
fn memory_per_rank_is_as_computed() {
    for ranks in [1, 2, 4] {
        let folder = tempfile::tempdir().unwrap();
        let peaks = |millions: usize| -> Vec<f64> {
            let name = format!("memory-{millions}");
            let results = Job::new(&name, ranks, folder.path()).results();
            let mut peaks: Vec<(usize, f64)> = results
                .iter()
                .map(|line| {
                    let (rank, peak) = line.split_once(' ').unwrap();
                    (rank.parse().unwrap(), peak.parse().unwrap())
                })
                .collect();
            peaks.sort_by_key(|(rank, _)| *rank);
            peaks.into_iter().map(|(_, peak)| peak).collect()
        };
        let expected = scenarios::bytes_per_parameter(ranks);
        for (rank, (less, more)) in peaks(2).iter().zip(peaks(4)).enumerate() {
            let found = (more - less) / 2e6;
            println!(
                "{ranks} ranks, rank {rank}: {found:.1} bytes a parameter, by the formula {expected:.1}"
            );
            assert!((found / expected - 1.0).abs() < 0.2, "{found} {expected}");
        }
    }
}

/// Times for `docs/mpi.md`.
#[test]
#[ignore = "measures"]
fn scaling() {
    let folder = tempfile::tempdir().unwrap();
    for ranks in [1, 2] {
        for line in Job::new("scaling", ranks, folder.path()).results() {
            println!("{ranks} ranks: {line}");
        }
    }
}
