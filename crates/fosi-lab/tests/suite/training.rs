//! The training loop and its files, with a hand-written model instead of Burn's.

use std::path::Path;
use std::time::Duration;

use crate::softmax::Softmax;
use clap::Parser;
use fosi::timing::{OverheadStatus, Timing};
use fosi_lab::cli::{Cli, Command};
use fosi_lab::commands;
use fosi_lab::config::TrainConfig;
use fosi_lab::data::digits;
use fosi_lab::interrupt::{EXIT_STATUS, Interrupt};
use fosi_lab::runs::{Failure, MetricsRow, RefreshOutcome, RefreshRecord, Run, RunStatus};
use fosi_lab::tasks::{Opening, TaskError};
use fosi_lab::train::{Observer, Start, Workload};

/// Counts the notifications and may interrupt.
#[derive(Default)]
struct Recorder {
    steps: usize,
    rows: Vec<MetricsRow>,
    failures: Vec<Failure>,
    /// The number of remaining optimizers at each failure.
    others: Vec<usize>,
    /// Whether there was an older spectrum at each refusal, and the number of steps reported until then.
    refused: Vec<(bool, usize)>,
    ended: usize,
    interrupt_at: Option<(usize, Interrupt)>,
}

impl Observer for Recorder {
    fn started(&mut self, _: &Start) {}
    fn busy(&mut self, _: Option<&'static str>) {}
    fn stepped(&mut self, loss: f64) {
        assert!(loss.is_finite());
        self.steps += 1;
        if let Some((step, interrupt)) = &self.interrupt_at
            && self.steps == *step
        {
            interrupt.request();
        }
    }
    fn epoch(&mut self, row: &MetricsRow) {
        self.rows.push(*row);
    }
    fn refused(&mut self, _: &RefreshRecord, reason: &str, spectrum: bool) {
        assert_eq!(reason, "no curvature today");
        self.refused.push((spectrum, self.steps));
    }
    fn failed(&mut self, failure: &Failure, others: usize) {
        self.others.push(others);
        self.failures.push(failure.clone());
    }
    fn ended(&mut self) {
        self.ended += 1;
    }
    fn notice(&mut self, _: &str) {}
}

/// Runs `fosi train lr` on the digits with `arguments` into `out/run`; returns the exit status and the output.
fn train(out: &Path, arguments: &[&str], setup: Setup, recorder: &mut Recorder) -> (i32, String) {
    let mut line = vec![
        "fosi",
        "train",
        "lr",
        "--name",
        "run",
        "--out",
        out.to_str().unwrap(),
    ];
    line.extend(arguments);
    let Command::Train(command) = Cli::parse_from(line).command_or_default() else {
        panic!("a training command")
    };
    let interrupt = match &recorder.interrupt_at {
        Some((_, interrupt)) => interrupt.clone(),
        None => Interrupt::new(),
    };
    let mut text = Vec::new();
    let make = |_: &TrainConfig, _: Opening| -> Result<Box<dyn Workload>, TaskError> {
        let mut model = Softmax::new(digits()?);
        setup(&mut model);
        Ok(Box::new(model))
    };
    let status = commands::train(&command, &make, recorder, &interrupt, &mut text).unwrap();
    (status, String::from_utf8(text).unwrap())
}

type Setup = fn(&mut Softmax);

const AS_IS: Setup = |_| {};

#[test]
fn a_run_writes_metrics_record_curves_and_table() {
    let out = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::default();
    let arguments = [
        "--optimizers",
        "hb,fosi-hb",
        "--epochs",
        "5",
        "--seeds",
        "1,2",
    ];
    let (status, text) = train(out.path(), &arguments, AS_IS, &mut recorder);
    assert_eq!(status, 0);

    let folder = out.path().join("run");
    let csv = std::fs::read_to_string(folder.join("metrics.csv")).unwrap();
    assert_eq!(
        csv.lines().next().unwrap(),
        "optimizer,seed,epoch,step,learning_rate,train_loss,valid_loss,valid_accuracy,train_seconds,refresh_seconds,gradients,products"
    );
    let run = Run::read(&folder).unwrap();
    assert_eq!(run.rows, recorder.rows);
    // 1,437 examples in batches of 64 give 23 steps per epoch; 5 epochs, 2 optimizers, 2 seeds.
    assert_eq!(
        (run.rows.len(), recorder.steps, recorder.ended),
        (20, 23 * 20, 4)
    );
    let last = run.rows.last().unwrap();
    assert_eq!(
        (last.epoch, last.step, last.gradients, last.products),
        (5, 115, 115, 80)
    );
    assert!(last.valid_accuracy.unwrap() > 0.9, "{last:?}");

    assert_eq!(run.record.status, RunStatus::Finished);
    assert_eq!(run.record.model.parameters, 650);
    assert_eq!(
        (run.record.data.train, run.record.data.validation),
        (1437, 360)
    );
    assert_eq!(run.record.refreshes.len(), 4);
    assert!(
        matches!(&run.record.refreshes[0].outcome, RefreshOutcome::Accepted { eigenvalues, .. } if eigenvalues[0] == 2.0)
    );

    for figure in ["curves.svg", "curves.png"] {
        assert!(
            folder.join(figure).metadata().unwrap().len() > 1000,
            "{figure}"
        );
    }
    for part in [
        "Validation accuracy",
        "Training loss",
        "fosi-hb",
        "Medians over 2 seeds",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn steps_cut_the_last_epoch_short() {
    let out = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::default();
    let arguments = [
        "--optimizers",
        "hb",
        "--lr-grid",
        "0.5",
        "--steps",
        "50",
        "--schedule",
        "linear",
        "--warmup-rate",
        "10",
        "--lr",
        "0.4",
    ];
    let (status, text) = train(out.path(), &arguments, AS_IS, &mut recorder);
    assert_eq!((status, recorder.steps), (0, 100), "{text}");
    let run = Run::read(&out.path().join("run")).unwrap();
    // 23 steps per epoch; the rate of the last step, 36, 13 or 1 of 40 steps before the end.
    let found = run.rows.iter().map(|r| (r.epoch, r.step, r.learning_rate));
    let expected = |largest: f64| {
        let row = |epoch, step: u64| {
            let left = (50 - (step - 1)) as f64;
            (epoch, step, largest * (left / 40.0))
        };
        [row(1, 23), row(2, 46), row(3, 50)]
    };
    let both = [expected(0.4), expected(0.2)].concat();
    assert_eq!(found.collect::<Vec<_>>(), both);
}

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let run = |seed: &str| {
        let out = tempfile::tempdir().unwrap();
        let arguments = ["--optimizers", "hb", "--epochs", "2", "--seed", seed];
        train(out.path(), &arguments, AS_IS, &mut Recorder::default());
        let rows = Run::read(&out.path().join("run")).unwrap().rows;
        rows.iter()
            .map(|row| row.train_loss.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(run("7"), run("7"));
    assert_ne!(run("7"), run("8"));
}

#[test]
fn a_diverging_optimizer_is_stopped_and_the_others_go_on() {
    let out = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::default();
    let setup: Setup = |model| model.diverges = Some("fosi-hb".parse().unwrap());
    let arguments = ["--optimizers", "fosi-hb,hb", "--epochs", "3"];
    let (status, text) = train(out.path(), &arguments, setup, &mut recorder);
    assert_eq!(status, 0);
    let run = Run::read(&out.path().join("run")).unwrap();
    let epochs = |name: &str| {
        let own = |row: &&MetricsRow| row.optimizer == name.parse().unwrap();
        run.rows.iter().filter(own).count()
    };
    // The optimizer diverges at its 30th step, in the second epoch of 23 steps.
    assert_eq!((epochs("fosi-hb"), epochs("hb")), (1, 3));
    assert_eq!(run.record.failures, recorder.failures);
    let failure = &run.record.failures[0];
    assert_eq!((failure.epoch, failure.step), (2, 29));
    assert!(
        failure.reason.contains("the training loss is NaN"),
        "{}",
        failure.reason
    );
    assert!(
        text.contains("fosi-hb (seed 0) was stopped in epoch 2"),
        "{text}"
    );
    assert_eq!(run.record.status, RunStatus::Finished);
    assert_eq!(recorder.others, [1]);
    let state = "Its last good state is in stopped-fosi-hb-0.safetensors.";
    assert!(text.contains(state), "{text}");
}

#[test]
fn refused_refreshes_are_told_at_once_and_at_the_end() {
    let out = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::default();
    let setup: Setup = |model| model.refuses = true;
    let arguments = ["--optimizers", "hb,fosi-hb", "--epochs", "4"];
    let (_, text) = train(out.path(), &arguments, setup, &mut recorder);
    // 92 steps each in epochs of 23, with a refresh at every 40th step, reported within an epoch.
    assert_eq!(recorder.refused, [(false, 92 + 39), (false, 92 + 79)]);
    assert!(
        text.contains("2 of 2 refreshes of fosi-hb were refused (first: no curvature today)"),
        "{text}"
    );
}

#[test]
fn an_overhead_that_no_interval_keeps_is_said_once() {
    let setup: Setup = |model| {
        model.timing = Some(Timing {
            base_step: Some(1.0),
            fosi_step: Some(1.25),
            refresh: Some(60.0),
            interval: Some(500),
            overhead: OverheadStatus::Unattainable,
        });
    };
    let attainable: Setup = |model| {
        model.timing = Some(Timing {
            base_step: Some(1.0),
            fosi_step: Some(1.05),
            refresh: Some(60.0),
            interval: Some(1200),
            overhead: OverheadStatus::Attainable,
        });
    };
    let said = |optimizers, schedule: [&str; 2], setup| {
        let out = tempfile::tempdir().unwrap();
        let common = [
            "--epochs",
            "2",
            "--seeds",
            "1,2",
            "--optimizers",
            optimizers,
        ];
        let arguments = [&common[..], &schedule].concat();
        let (_, text) = train(out.path(), &arguments, setup, &mut Recorder::default());
        let notes = Run::read(&out.path().join("run")).unwrap().record.notes;
        let told = text.matches("no interval keeps --overhead 1.1").count();
        assert_eq!(told, notes.len(), "{text}");
        told
    };
    let overhead = ["--overhead", "1.1"];
    assert_eq!(said("hb,fosi-hb,fosi-adam", overhead, setup), 1);
    assert_eq!(said("hb,fosi-hb,fosi-adam", overhead, attainable), 0);
    assert_eq!(said("fosi-hb", ["--interval", "9"], setup), 0);
}

#[test]
fn a_run_in_which_nothing_survives_says_so() {
    let out = tempfile::tempdir().unwrap();
    let setup: Setup = |model| model.rate = f64::INFINITY;
    let arguments = ["--optimizers", "hb", "--epochs", "3"];
    let (status, text) = train(out.path(), &arguments, setup, &mut Recorder::default());
    assert_eq!(status, 1);
    assert!(text.contains("No epoch was finished."), "{text}");
    assert!(!out.path().join("run/curves.svg").exists());
    assert!(text.contains("\nmetrics.csv and run.json are in"), "{text}");
    assert!(!text.contains("checkpoint"), "{text}");
}

#[test]
fn an_interruption_keeps_the_finished_epochs_and_writes_everything() {
    let out = tempfile::tempdir().unwrap();
    let mut recorder = Recorder {
        interrupt_at: Some((23 * 3 + 5, Interrupt::new())),
        ..Recorder::default()
    };
    let arguments = ["--optimizers", "hb,fosi-hb", "--epochs", "9"];
    let (status, text) = train(out.path(), &arguments, AS_IS, &mut recorder);
    assert_eq!(status, EXIT_STATUS);
    let run = Run::read(&out.path().join("run")).unwrap();
    assert_eq!(
        (run.rows.len(), run.record.status),
        (3, RunStatus::Interrupted)
    );
    assert_eq!(recorder.ended, 1, "the second optimizer must not start");
    assert!(out.path().join("run/curves.png").exists());
    assert!(text.contains("Validation accuracy"), "{text}");
}

/// No bound on real time is needed: the pauses alone would exceed the allowed sum.
#[test]
fn evaluation_is_not_training_time() {
    let out = tempfile::tempdir().unwrap();
    let setup: Setup = |model| model.evaluation_pause = Duration::from_millis(300);
    let begin = std::time::Instant::now();
    train(
        out.path(),
        &["--optimizers", "hb", "--epochs", "4"],
        setup,
        &mut Recorder::default(),
    );
    let whole = begin.elapsed().as_secs_f64();
    let rows = Run::read(&out.path().join("run")).unwrap().rows;
    let last = rows.last().unwrap();
    assert!(last.train_seconds > 0.0);
    assert!(
        last.train_seconds <= whole - 8.0 * 0.3,
        "{} of {whole}",
        last.train_seconds
    );
    assert!(
        rows.windows(2)
            .all(|pair| pair[0].train_seconds < pair[1].train_seconds)
    );
}

#[test]
fn a_dry_run_tells_every_setting_and_writes_nothing() {
    let out = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::default();
    let (status, text) = train(out.path(), &["--dry-run", "--k", "7"], AS_IS, &mut recorder);
    assert_eq!((status, recorder.steps), (0, 0));
    for part in [
        "logistic regression, 64 inputs, 10 classes",
        "parameters       650",
        "m                28",
        "warmup           23 steps",
        "schedule         constant",
        "warmup-rate      0 steps",
        "epochs           60 of 23 steps",
        "curvature-floor  0.000001",
        "curvature-batch  16",
        // Four-byte numbers, for n = 650, k = 7 and a mean of rank 14, m = 28 and the probe's four steps.
        "memory           3(k+l)n: 54.6 kB kept for 21 eigenvectors; mn: 83.2 kB for 32 Lanczos vectors",
        "refresh          at most about 8.25 s: 33 gradients in f64 of 0.250 s, timed on 16 of 16 examples",
    ] {
        assert!(text.contains(part), "`{part}` in\n{text}");
    }
    for option in [
        "optimizers",
        "alpha",
        "interval",
        "clip",
        "lr",
        "momentum",
        "batch",
        "epochs",
        "seed",
        "threads",
        "hvp",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(option)),
            "{option} in\n{text}"
        );
    }
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}
