//! Interrupts in every long operation: it ends soon, and the next start continues with the same bits.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;

use crate::folder::Folder;
use crate::tasks::{arguments, data_of};
use fosi_lab::cli::{Cli, Command};
use fosi_lab::commands::{self, CommandError};
use fosi_lab::config::TrainConfig;
use fosi_lab::interrupt::{EXIT_STATUS, Interrupt};
use fosi_lab::quadratic::Tick;
use fosi_lab::runs::{Failure, MetricsRow, RefreshRecord, Run, RunStatus};
use fosi_lab::tasks::{self, Advance, Opening, Preparation, TaskError};
use fosi_lab::train::{Observer, Start, StepError, TrainEvent, Workload};

fn silent(_: &'static str, _: u64) -> Advance {
    Box::new(|_| ())
}

fn open(
    config: &TrainConfig,
    opening: Opening,
    interrupt: &Interrupt,
) -> Result<Box<dyn Workload>, TaskError> {
    let progress = &silent;
    tasks::open(
        config,
        opening,
        &Preparation {
            interrupt,
            progress,
            communicator: None,
        },
    )
}

/// Interrupts when an operation starts for the `left`-th time.
struct Interrupter {
    stretch: &'static str,
    left: usize,
    interrupt: Interrupt,
}

impl Observer for Interrupter {
    fn started(&mut self, _: &Start) {}
    fn busy(&mut self, with: Option<&'static str>) {
        if with == Some(self.stretch) && self.left > 0 {
            self.left -= 1;
            if self.left == 0 {
                self.interrupt.request();
            }
        }
    }
    fn stepped(&mut self, _: f64) {
        assert!(!self.interrupt.requested(), "a step after the interrupt");
    }
    fn epoch(&mut self, _: &MetricsRow) {
        assert!(!self.interrupt.requested(), "an epoch after the interrupt");
    }
    fn refused(&mut self, _: &RefreshRecord, reason: &str, _: bool) {
        panic!("a refusal: {reason}");
    }
    fn failed(&mut self, failure: &Failure, _: usize) {
        panic!("a failure: {failure:?}");
    }
    fn ended(&mut self) {}
    fn notice(&mut self, _: &str) {}
}

/// Runs `fosi` with a command line; returns its exit status.
fn fosi(line: &[&str], stretch: &'static str, left: usize) -> i32 {
    let parsed = Cli::parse_from([&["fosi"], line].concat());
    let Command::Train(command) = parsed.command_or_default() else {
        panic!("a training command")
    };
    let interrupt = Interrupt::new();
    let mut observer = Interrupter {
        stretch,
        left,
        interrupt: interrupt.clone(),
    };
    let make = |config: &TrainConfig, opening| open(config, opening, &interrupt);
    commands::train(&command, &make, &mut observer, &interrupt, &mut Vec::new()).unwrap()
}

/// All contents of a run except times.
fn content(run: &Run) -> Vec<String> {
    let rows = run.rows.iter().map(|row| {
        let bits = [row.train_loss, row.valid_loss].map(f64::to_bits);
        format!(
            "{} {} {} {bits:x?} {} {}",
            row.optimizer, row.epoch, row.step, row.gradients, row.products
        )
    });
    let refreshes = run.record.refreshes.iter();
    rows.chain(refreshes.map(|refresh| {
        format!(
            "{} {} {:?}",
            refresh.optimizer, refresh.step, refresh.outcome
        )
    }))
    .collect()
}

#[test]
fn a_run_interrupted_in_a_refresh_or_an_evaluation_goes_on_with_the_same_bits() {
    // The task must not initialise from Burn's generator, which other tests of this process use.
    let folder = data_of("lm");
    let place = folder.path().to_str().unwrap();
    let line = |name: &'static str| {
        let mut line = arguments("lm");
        for word in &mut line {
            match *word {
                "." => *word = place,
                "r" => *word = name,
                _ => {}
            }
        }
        let more = [
            "--optimizers",
            "fosi-hb,adam,fosi-adam",
            "--checkpoint-every",
            "7",
            "--out",
            place,
        ];
        [&line[..], &more].concat()
    };
    assert_eq!(fosi(&line("alone"), "none", 0), 0);
    let expected = Run::read(&folder.path().join("alone")).unwrap();
    assert_eq!(
        (expected.rows.len(), expected.record.refreshes.len()),
        (6, 12)
    );
    let cases = [
        ("refresh-1", "estimating the spectrum", 1),
        ("refresh-3", "estimating the spectrum", 3),
        ("refresh-8", "estimating the spectrum", 8),
        ("evaluation-1", "evaluating", 1),
        ("evaluation-3", "evaluating", 3),
        ("evaluation-6", "evaluating", 6),
    ];
    for (name, stretch, left) in cases {
        assert_eq!(fosi(&line(name), stretch, left), EXIT_STATUS, "{name}");
        let run = folder.path().join(name);
        let status = Run::read_record(&run).unwrap().status;
        assert_eq!(status, RunStatus::Interrupted);
        // One more interruption, then an uninterrupted run.
        let resume = ["train", "--resume", run.to_str().unwrap()];
        assert_eq!(fosi(&resume, stretch, 1), EXIT_STATUS, "{name}");
        assert_eq!(fosi(&resume, "none", 0), 0, "{name}");
        let found = Run::read(&run).unwrap();
        assert_eq!(found.record.status, RunStatus::Finished);
        assert_eq!(content(&found), content(&expected), "{name}");
    }
}

#[test]
fn an_interrupted_refresh_leaves_the_optimizer_as_it_was() {
    let config = |task: &str, folder: &Path| {
        let line = arguments(task);
        let parsed = Cli::parse_from([&["fosi"], &line[..], &["--checkpoint-every", "9"]].concat());
        let Command::Train(command) = parsed.command_or_default() else {
            panic!("a training command")
        };
        let mut options = command.options;
        options.data_dir = Some(folder.to_owned());
        TrainConfig::resolve(command.task.unwrap(), &[options]).unwrap()
    };
    for task in ["ae", "lm", "ac"] {
        let folder = data_of(task);
        let interrupt = Interrupt::new();
        let config = config(task, folder.path());
        let workload = open(&config, Opening::Whole, &interrupt).unwrap();
        let mut trainer = workload.trainer("fosi-adam".parse().unwrap(), 0).unwrap();
        let batches: [&[u32]; 4] = [&[0, 1], &[2, 3], &[4, 5], &[0, 3]];
        let first = trainer.train(&batches[..2], &mut |_| ControlFlow::Continue(()));
        assert!(first.is_ok(), "{task}: {first:?}");
        let before = trainer.state().unwrap();
        // The first refresh is due after two steps.
        let outcome = trainer.train(&batches[2..], &mut |event| {
            match event {
                TrainEvent::Refreshing => interrupt.request(),
                other => panic!("{task}: {other:?}"),
            }
            ControlFlow::Continue(())
        });
        assert!(
            matches!(outcome, Err(StepError::Interrupted)),
            "{task}: {outcome:?}"
        );
        assert_eq!(trainer.cost().products, 0, "{task}");
        let after = trainer.state().unwrap();
        assert!(after.optimizer == before.optimizer, "{task}: the optimizer");
        assert_eq!(tensors(&after.model), tensors(&before.model), "{task}");
    }
}

/// The tensors of a model's file by name; the order of its other contents is not fixed.
fn tensors(file: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let file = safetensors::SafeTensors::deserialize(file).unwrap();
    let tensors = file.tensors();
    tensors
        .into_iter()
        .map(|(name, tensor)| (name, tensor.data().to_vec()))
        .collect()
}

/// A pipe without a writer never delivers settings.
#[cfg(unix)]
#[test]
fn a_program_that_waits_for_its_settings_ends_on_a_signal() {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    let folder = Folder::new();
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_fosi"))
        .args(["train", "lr", "--config", "pipe"])
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Long enough for the handler to be installed; an earlier signal also ends the program.
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none());
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), Some(EXIT_STATUS));
}

#[test]
fn every_preparation_looks_at_the_interrupt() {
    for task in ["ae", "lm", "tl", "ac"] {
        let folder = data_of(task);
        let line = [&["fosi"], &arguments(task)[..]].concat();
        let Command::Train(command) = Cli::parse_from(line).command_or_default() else {
            panic!("a training command")
        };
        let mut options = command.options;
        options.data_dir = Some(folder.path().to_owned());
        options.cache = (task == "tl").then(|| folder.path().join("cache"));
        let config = TrainConfig::resolve(command.task.unwrap(), &[options]).unwrap();
        let interrupt = Interrupt::new();
        interrupt.request();
        let error = open(&config, Opening::Whole, &interrupt).err().unwrap();
        assert!(
            matches!(error, TaskError::Interrupted { .. }),
            "{task}: {error}"
        );
        assert_eq!(CommandError::from(error).exit_status(), EXIT_STATUS);
    }
}

/// Runs `fosi quadratic spectrum` and interrupts it after this number of pieces.
fn quadratic(out: &Path, after: u64) -> Result<i32, Box<CommandError>> {
    let out = out.to_str().unwrap();
    let line = [
        "fosi",
        "quadratic",
        "spectrum",
        "--bases",
        "2",
        "--out",
        out,
    ];
    let Command::Quadratic(command) = Cli::parse_from(line).command_or_default() else {
        panic!("a command on quadratics")
    };
    let interrupt = Interrupt::new();
    let own = interrupt.clone();
    let ticks = Arc::new(AtomicU64::new(0));
    let progress = move |_: &'static str, _: u64| -> Box<Tick<'static>> {
        let (interrupt, ticks) = (own.clone(), Arc::clone(&ticks));
        Box::new(move || {
            if ticks.fetch_add(1, Ordering::Relaxed) + 1 == after {
                interrupt.request();
            }
        })
    };
    commands::quadratic(&command, &progress, &interrupt, &mut Vec::new()).map_err(Box::new)
}

#[test]
fn interrupted_quadratics_go_on_where_they_were() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let error = quadratic(folders[0].path(), 2).unwrap_err();
    let CommandError::Interrupted { done, part, .. } = &*error else {
        panic!("{error}")
    };
    assert!((2..10).contains(done), "{error}");
    assert!(part.is_file() && error.exit_status() == EXIT_STATUS);
    for folder in &folders {
        assert_eq!(quadratic(folder.path(), u64::MAX).unwrap(), 0);
    }
    let csv =
        |folder: &tempfile::TempDir| std::fs::read(folder.path().join("figure3.csv")).unwrap();
    assert!(csv(&folders[0]) == csv(&folders[1]));
    assert!(!part.exists());
}

/// More images of the two classes than the frozen network processes in a few seconds.
#[cfg(unix)]
fn many_images(folder: &Folder) {
    for (class, byte) in [("dark", 40_u8), ("light", 200)] {
        for part in ["train", "test"] {
            let count = if part == "train" { 250 } else { 1 };
            for index in 0..count {
                let image = image::RgbImage::from_fn(32, 32, |x, y| {
                    image::Rgb([byte, (x * y) as u8, (index % 40) as u8])
                });
                let path = folder.write(&format!("cifar10/{part}/{class}/{index}.png"), "");
                image.save(path).unwrap();
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn the_frozen_network_ends_on_a_signal_and_the_next_start_goes_on() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let folder = Folder::new();
    many_images(&folder);
    let line = |cache: &'static str, name: &'static str| {
        let common = [
            "train",
            "tl",
            "--data-dir",
            ".",
            "--weights",
            "random",
            "--optimizers",
            "hb",
        ];
        [
            &common[..],
            &[
                "--epochs", "2", "--batch", "64", "--cache", cache, "--name", name,
            ],
        ]
        .concat()
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_fosi"))
        .args(line("cache", "r"))
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(
        first.starts_with("features: ") && first.ends_with(" of 450"),
        "{first}"
    );
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(sent.success());
    let signalled = Instant::now();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(EXIT_STATUS), "{rest:?}");
    // The goal is one second; the machine may be busy.
    assert!(signalled.elapsed() < Duration::from_secs(8), "{rest:?}");
    let told = rest.last().unwrap();
    assert!(
        told.starts_with("error: interrupted while computing the features")
            && told.contains("are kept in cache/"),
        "{told}"
    );
    assert!(!folder.path().join("runs").exists());

    let run = |cache, name| {
        let output = crate::program::fosi(folder.path(), &line(cache, name));
        assert_eq!(output.status.code(), Some(0));
        Run::read(&folder.path().join("runs").join(name)).unwrap()
    };
    let resumed = run("cache", "r");
    let notes = resumed.record.notes.join("\n");
    assert!(
        notes.contains("of them by a run that was cut off"),
        "{notes}"
    );
    let whole = run("other", "whole");
    assert_eq!(content(&resumed), content(&whole));
    assert_eq!(resumed.record.data.checksum, whole.record.data.checksum);
    // The temporary file is deleted.
    let entries = std::fs::read_dir(folder.path().join("cache")).unwrap();
    assert_eq!(entries.count(), 2);
}
