//! The options of `fosi train` that a study refuses.

use super::PaysError;
use crate::config::TrainOptions;

/// An option that a study refuses, and what to give instead.
pub type Refused = (&'static str, &'static str);

const CHECKPOINTS: Refused = ("checkpoint-every", "it resumes run by run; leave it out");
const TENSORBOARD: Refused = (
    "tensorboard",
    "it stores the runs' numbers without their folders; leave it out",
);
const NAME: Refused = ("name", "give its folder with --out");

/// The options that `fosi study pays` refuses.
pub const PAYS: [Refused; 6] = [
    ("optimizers", "give the base optimizers with --bases"),
    ("epochs", "give --steps S"),
    (
        "lr-grid",
        "it searches for the best rate of every method; --grid-factor sets the resolution",
    ),
    CHECKPOINTS,
    TENSORBOARD,
    NAME,
];

/// The options that `fosi study stale` refuses.
pub const STALE: [Refused; 8] = [
    ("optimizers", "give --optimizer"),
    ("interval", "give --intervals"),
    ("overhead", "give --intervals"),
    ("refresh-delay", "give --delays"),
    ("lr-grid", "it compares at a single rate; give --lr"),
    CHECKPOINTS,
    TENSORBOARD,
    NAME,
];

/// An error if one of the layers gives an option that the study refuses.
pub(crate) fn refuse(layers: &[TrainOptions], refused: &[Refused]) -> Result<(), PaysError> {
    for layer in layers {
        let given = layer.given_names();
        let found = refused
            .iter()
            .find(|(option, _)| given.iter().any(|name| name == option));
        if let Some(&(option, instead)) = found {
            return Err(PaysError::NoEffect { option, instead });
        }
    }
    Ok(())
}
