//! A run on several processes, which are threads here, compared with one process.

#[path = "../../../fosi/tests/suite/ranks/threads.rs"]
mod threads;

use std::ops::ControlFlow;
use std::sync::Arc;

use clap::Parser;
use fosi::communicator::Communicator;
use fosi_lab::cli::{Cli, Command};
use fosi_lab::config::TrainConfig;
use fosi_lab::data::Part;
use fosi_lab::interrupt::Interrupt;
use fosi_lab::parallel::{Leader, end, follow};
use fosi_lab::runs::TrainerState;
use fosi_lab::tasks::{self, Advance, Opening, Preparation, TaskError};
use fosi_lab::train::{Cost, TrainEvent, Trainer, Workload};

use threads::on_ranks;

const SETTINGS: [&str; 11] = [
    "fosi",
    "train",
    "lr",
    "--warmup",
    "3",
    "--interval",
    "5",
    "--k",
    "3",
    "--m",
    "12",
];

fn config(more: &[&str]) -> TrainConfig {
    let Command::Train(command) =
        Cli::parse_from([&SETTINGS[..], more].concat()).command_or_default()
    else {
        panic!("a training command")
    };
    TrainConfig::resolve(command.task.unwrap(), &[command.options]).unwrap()
}

fn open(
    config: &TrainConfig,
    communicator: Option<&Arc<dyn Communicator>>,
) -> Result<Box<dyn Workload>, TaskError> {
    let silent = |_: &'static str, _: u64| -> Advance { Box::new(|_| ()) };
    let preparation = Preparation {
        interrupt: &Interrupt::new(),
        progress: &silent,
        communicator,
    };
    tasks::open(config, Opening::Whole, &preparation)
}

/// What `lead` returns on rank 0 of so many.
fn on_processes<R: Send>(
    size: usize,
    config: &TrainConfig,
    lead: impl Fn(Result<&dyn Workload, TaskError>) -> R + Sync,
) -> R {
    let all = on_ranks(size, |communicator| {
        let open = |config: &TrainConfig| open(config, Some(&communicator));
        if communicator.rank() > 0 {
            follow(&communicator, open, TaskError::OtherProcess);
            return None;
        }
        let refuse = TaskError::OtherProcess;
        let leader = Leader::open(config, Arc::clone(&communicator), || open(config), refuse);
        let result = match leader {
            Ok(leader) => lead(Ok(&leader)),
            Err(error) => lead(Err(error)),
        };
        end(&*communicator);
        Some(result)
    });
    all.into_iter().flatten().next().unwrap()
}

/// Steps on batches of 30 examples, every fourth with 2; returns the losses and the steps of refreshes.
fn train(trainer: &mut dyn Trainer, steps: std::ops::Range<u32>) -> (Vec<f64>, Vec<u64>) {
    let batch = |step: u32| -> Vec<u32> {
        let count = if step % 4 == 1 { 2 } else { 30 };
        (step * 30..step * 30 + count).collect()
    };
    let batches: Vec<Vec<u32>> = steps.map(batch).collect();
    let batches: Vec<&[u32]> = batches.iter().map(Vec::as_slice).collect();
    let (mut losses, mut refreshes) = (Vec::new(), Vec::new());
    let flow = trainer.train(&batches, &mut |event| {
        match event {
            TrainEvent::Stepped { loss } => losses.push(loss),
            TrainEvent::Refreshed(refresh) => refreshes.push(refresh.step),
            TrainEvent::Refreshing => (),
        }
        ControlFlow::Continue(())
    });
    assert!(flow.unwrap().is_continue());
    (losses, refreshes)
}

fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a / b - 1.0).abs() < 1e-4, "{found:?} {expected:?}");
    }
}

/// Losses, steps of refreshes, evaluation.
type Outcome = (Vec<f64>, Vec<u64>, Vec<f64>);

fn compare(found: &Outcome, expected: &Outcome) {
    assert_near(&found.0, &expected.0);
    assert_eq!(found.1, expected.1);
    assert_near(&found.2, &expected.2);
}

/// Trains and evaluates.
fn run(trainer: &mut dyn Trainer, steps: std::ops::Range<u32>) -> Outcome {
    let (losses, refreshes) = train(trainer, steps);
    let mut evaluated = Vec::new();
    for part in [Part::Train, Part::Validation] {
        let evaluation = trainer.evaluate(part).unwrap();
        evaluated.extend([evaluation.loss, evaluation.accuracy.unwrap()]);
    }
    (losses, refreshes, evaluated)
}

#[test]
fn training_is_that_of_one_process_and_goes_on_on_another_number() {
    for name in ["fosi-adam", "hb"] {
        let name = name.parse().unwrap();
        let config = config(&[]);
        let workload = open(&config, None).unwrap();
        let mut alone = workload.trainer(name, 0).unwrap();
        let start = alone.weights().unwrap();
        let expected = run(alone.as_mut(), 0..12);
        let state = alone.state().unwrap();
        let later = run(alone.as_mut(), 12..20);
        for size in [2, 3] {
            let (found, saved) = on_processes(size, &config, |workload| {
                let mut trainer = workload.unwrap().trainer(name, 0).unwrap();
                trainer.set_weights(&start).unwrap();
                (run(trainer.as_mut(), 0..12), trainer.state().unwrap())
            });
            compare(&found, &expected);
            // On one process after several, and the other way.
            let mut resumed = workload.trainer(name, 0).unwrap();
            resumed.restore(&saved, Cost::default()).unwrap();
            compare(&run(resumed.as_mut(), 12..20), &later);
            let found = on_processes(size, &config, |workload| {
                resume(workload.unwrap(), name, &state)
            });
            compare(&found, &later);
        }
    }
}

fn resume(
    workload: &dyn Workload,
    name: fosi_lab::optimizers::OptimizerName,
    state: &TrainerState,
) -> Outcome {
    let mut trainer = workload.trainer(name, 0).unwrap();
    trainer.restore(state, Cost::default()).unwrap();
    run(trainer.as_mut(), 12..20)
}

#[test]
fn rank_0_ends_the_training_of_all() {
    let config = config(&[]);
    let name = "fosi-hb".parse().unwrap();
    let steps = on_processes(2, &config, |workload| {
        let mut trainer = workload.unwrap().trainer(name, 0).unwrap();
        let batches: [&[u32]; 3] = [&[0, 1, 2], &[3, 4], &[5, 6]];
        let mut steps = 0;
        let flow = trainer.train(&batches, &mut |_| {
            steps += 1;
            ControlFlow::Break(())
        });
        assert!(flow.unwrap().is_break());
        // The trainers are still in step.
        train(trainer.as_mut(), 0..2);
        steps
    });
    assert_eq!(steps, 1);
}

#[test]
fn settings_for_one_process_are_refused() {
    let refused = |more: &[&str]| {
        on_processes(2, &config(more), |workload| {
            workload.err().map(|error| error.to_string())
        })
    };
    let message = refused(&["--optimizers", "fosi-adam,kfac"]).unwrap();
    assert!(
        message.contains("--optimizers kfac runs in one process only"),
        "{message}"
    );
    assert_eq!(refused(&["--optimizers", "fosi-adam,muon"]), None);
}
