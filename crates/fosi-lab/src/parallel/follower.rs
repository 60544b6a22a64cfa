//! The other ranks: each makes rank 0's calls on its own workload and trainer.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use fosi::communicator::Communicator;

use super::leader::together;
use super::message::{Call, hear, receive};
use crate::config::TrainConfig;
use crate::data::Part;
use crate::runs::TrainerState;
use crate::train::{Cost, StepError, Trainer, Workload};

/// Makes the calls of rank 0 until it ends; `open` opens this rank's workload. Errors are told to rank 0, which reports
/// them.
pub fn follow<E: fmt::Display>(
    communicator: &Arc<dyn Communicator>,
    open: impl Fn(&TrainConfig) -> Result<Box<dyn Workload>, E>,
    refuse: impl Fn(fosi::Error) -> E,
) {
    let mut next = hear(&**communicator);
    loop {
        next = match next {
            Call::End => return,
            Call::Open(config) => match together(communicator, open(&config), &refuse) {
                Ok(workload) => follow_workload(communicator, &*workload),
                Err(_) => hear(&**communicator),
            },
            call => communicator.abort(&format!("there is no workload for {call:?}")),
        };
    }
}

/// Makes calls on one workload, and returns the one that needs another.
fn follow_workload(communicator: &Arc<dyn Communicator>, workload: &dyn Workload) -> Call {
    let mut trainer: Option<Box<dyn Trainer + '_>> = None;
    loop {
        let call = hear(&**communicator);
        match (call, &mut trainer) {
            (Call::Trainer(optimizer, seed), trainer) => {
                *trainer = None;
                let own = workload.trainer(optimizer, seed);
                *trainer = together(communicator, own, StepError::other).ok();
            }
            (call @ (Call::End | Call::Open(_)), _) => return call,
            (call, Some(trainer)) => follow_call(&**communicator, call, trainer.as_mut()),
            (call, None) => communicator.abort(&format!("there is no trainer for {call:?}")),
        }
    }
}

/// Makes one call on a trainer. An error is one on all ranks, so that rank 0 has it too.
fn follow_call(communicator: &dyn Communicator, call: Call, trainer: &mut dyn Trainer) {
    let outcome = match call {
        Call::Train(batches) => {
            let batches: Vec<&[u32]> = batches.iter().map(Vec::as_slice).collect();
            let go_on = &mut |_| ControlFlow::Continue(());
            trainer.train(&batches, go_on).map(drop)
        }
        Call::Evaluate { validation } => trainer
            .evaluate(match validation {
                true => Part::Validation,
                false => Part::Train,
            })
            .map(drop),
        Call::SetWeights => trainer.set_weights(&receive(communicator)),
        Call::Restore => {
            let (model, optimizer) = (receive(communicator), receive(communicator));
            trainer.restore(&TrainerState { model, optimizer }, Cost::default())
        }
        Call::Open(_) | Call::Trainer(..) | Call::End => Ok(()),
    };
    drop(outcome);
}
