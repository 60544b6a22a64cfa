//! Learning-rate schedules in the trainer: each step equals a step at the schedule's rate.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use clap::Parser;
use fosi_lab::cli::{Cli, Command};
use fosi_lab::config::TrainConfig;
use fosi_lab::interrupt::Interrupt;
use fosi_lab::tasks::{self, Advance, Opening, Preparation};
use fosi_lab::train::{Cost, Trainer, Workload};

/// Logistic regression on the digits with further options.
pub fn digits_task(more: &[&str]) -> Box<dyn Workload> {
    let Command::Train(command) =
        Cli::parse_from([&["fosi", "train", "lr"], more].concat()).command_or_default()
    else {
        panic!("a training command")
    };
    let config = TrainConfig::resolve(command.task.unwrap(), &[command.options]).unwrap();
    let silent = |_: &'static str, _: u64| -> Advance { Box::new(|_| ()) };
    let preparation = Preparation {
        interrupt: &Interrupt::new(),
        progress: &silent,
        communicator: None,
    };
    tasks::open(&config, Opening::Whole, &preparation).unwrap()
}

fn step(trainer: &mut dyn Trainer, batch: &[u32]) {
    let outcome = trainer.train(&[batch], &mut |_| ControlFlow::Continue(()));
    assert!(outcome.is_ok(), "{outcome:?}");
}

/// The model's tensors by name; the order of its file's other contents is not fixed.
pub fn model(trainer: &dyn Trainer) -> BTreeMap<String, Vec<u8>> {
    let state = trainer.state().unwrap();
    let file = safetensors::SafeTensors::deserialize(&state.model).unwrap();
    let tensors = file.tensors().into_iter();
    tensors
        .map(|(name, tensor)| (name, tensor.data().to_vec()))
        .collect()
}

#[test]
fn a_step_has_the_rate_of_the_schedule_and_a_resumed_one_too() {
    let rates = ["--steps", "12", "--warmup-rate", "4", "--lr", "0.5"];
    let scheduled = digits_task(&[&rates[..], &["--schedule", "linear"]].concat());
    // Without rounding: ½·j/4, then ½(1 − t/8).
    let warmup = (1..=4).map(|j| 0.125 * f64::from(j));
    let expected = warmup.chain((0..8).map(|t| 0.5 - f64::from(t) / 16.0));
    let name = "gd".parse().unwrap();
    let mut trainer = scheduled.trainer(name, 0).unwrap();
    for (taken, rate) in expected.enumerate() {
        let first = 64 * taken as u32;
        let batch: Vec<u32> = (first..first + 64).collect();
        let before = trainer.state().unwrap();
        step(trainer.as_mut(), &batch);
        let moved = model(trainer.as_ref());
        let constant = digits_task(&["--lr", &rate.to_string()]);
        for workload in [&constant, &scheduled] {
            let mut other = workload.trainer(name, 0).unwrap();
            other.restore(&before, Cost::default()).unwrap();
            assert_ne!(model(other.as_ref()), moved, "step {taken} moves nothing");
            step(other.as_mut(), &batch);
            assert_eq!(model(other.as_ref()), moved, "step {taken}");
        }
    }
}

#[test]
fn a_factor_of_the_grid_multiplies_the_whole_schedule() {
    let schedule = ["--steps", "6", "--schedule", "cosine", "--warmup-rate", "2"];
    let half = digits_task(&[&schedule[..], &["--lr", "0.25"]].concat());
    let whole = digits_task(&[&schedule[..], &["--lr", "0.5"]].concat());
    let mut expected = half.trainer("hb".parse().unwrap(), 0).unwrap();
    let mut found = whole.trainer("hb*0.5".parse().unwrap(), 0).unwrap();
    // Initial values come from Burn's generator, which other tests of this process use.
    let start = expected.state().unwrap();
    found.restore(&start, Cost::default()).unwrap();
    for taken in 0..6 {
        let batch: Vec<u32> = (64 * taken..64 * (taken + 1)).collect();
        step(expected.as_mut(), &batch);
        step(found.as_mut(), &batch);
        assert_eq!(
            model(found.as_ref()),
            model(expected.as_ref()),
            "step {taken}"
        );
    }
}
