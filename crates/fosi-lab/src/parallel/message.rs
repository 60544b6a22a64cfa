//! What rank 0 tells the other ranks to do.

use fosi::communicator::{Communicator, Numbers};
use serde::{Deserialize, Serialize};

use crate::config::TrainConfig;
use crate::optimizers::OptimizerName;

/// A call that all ranks make together.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Call {
    /// Read the data and set up the model of these settings.
    Open(Box<TrainConfig>),
    /// Create a trainer, in place of the one before.
    Trainer(OptimizerName, u64),
    /// Train on these batches.
    Train(Vec<Vec<u32>>),
    /// Evaluate on the training data or the validation data.
    Evaluate {
        /// Which of the two.
        validation: bool,
    },
    /// Replace the model's parameters; they follow.
    SetWeights,
    /// Restore a state; the model's and the optimizer's follow.
    Restore,
    /// The program ends.
    End,
}

/// The bytes in one number, which represents them exactly.
const PER_NUMBER: usize = 4;

/// Tells the other ranks the call that this rank makes next.
pub(super) fn tell(communicator: &dyn Communicator, call: &Call) {
    // The types above have a JSON form; a call that has none ends the job rather than leaving the others behind.
    match serde_json::to_vec(call) {
        Ok(bytes) => send(communicator, &bytes),
        Err(error) => communicator.abort(&format!("a call cannot be sent: {error}")),
    }
}

/// The call that rank 0 makes next.
pub(super) fn hear(communicator: &dyn Communicator) -> Call {
    match serde_json::from_slice(&receive(communicator)) {
        Ok(call) => call,
        Err(error) => communicator.abort(&format!("rank 0's call cannot be read: {error}")),
    }
}

/// Sends bytes from rank 0.
pub(super) fn send(communicator: &dyn Communicator, bytes: &[u8]) {
    communicator.broadcast(Numbers::F64(&mut [bytes.len() as f64]));
    let number = |bytes: &[u8]| {
        let mut padded = [0; PER_NUMBER];
        padded[..bytes.len()].copy_from_slice(bytes);
        f64::from(u32::from_le_bytes(padded))
    };
    let mut numbers: Vec<f64> = bytes.chunks(PER_NUMBER).map(number).collect();
    communicator.broadcast(Numbers::F64(&mut numbers));
}

/// Receives bytes from rank 0.
pub(super) fn receive(communicator: &dyn Communicator) -> Vec<u8> {
    let mut len = [0.0];
    communicator.broadcast(Numbers::F64(&mut len));
    let len = len[0] as usize;
    let mut numbers = vec![0.0; len.div_ceil(PER_NUMBER)];
    communicator.broadcast(Numbers::F64(&mut numbers));
    let bytes = numbers.iter().flat_map(|x| (*x as u32).to_le_bytes());
    bytes.take(len).collect()
}
