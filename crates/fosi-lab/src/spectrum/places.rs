//! The places along a run whose parameters are available.

use std::fmt;
use std::path::Path;

use super::error::SpectrumError;
use crate::files;
use crate::optimizers::OptimizerName;
use crate::runs::{Checkpoint, Run, RunError, weights_file};

/// A place along a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before the first step.
    Start,
    /// After this number of steps.
    Checkpoint(u64),
    /// After the last step, which has this number.
    End(u64),
}

impl Place {
    /// The number of steps taken.
    pub fn step(self) -> u64 {
        match self {
            Self::Start => 0,
            Self::Checkpoint(step) | Self::End(step) => step,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.pad("start"),
            Self::Checkpoint(step) => f.pad(&format!("step {step}")),
            Self::End(step) => f.pad(&format!("end, step {step}")),
        }
    }
}

/// A place, and the model's parameters and buffers there; `None` for the model's start.
pub type Located = (Place, Option<Vec<u8>>);

/// The parameters at the places of a run, in the order of training.
#[derive(Debug)]
pub struct Places {
    /// Each place with its parameters.
    pub places: Vec<Located>,
    /// Errors of damaged checkpoints.
    pub damaged: Vec<RunError>,
}

impl Places {
    /// Only the start.
    pub fn start() -> Self {
        Self {
            places: vec![(Place::Start, None)],
            damaged: Vec::new(),
        }
    }
}

/// The start, the kept checkpoints and the end of one optimizer's training with one seed. A run of an older program or
/// an unfinished run has no end.
///
/// # Errors
/// [`SpectrumError::NotInRun`], [`SpectrumError::Weights`].
pub fn places(
    folder: &Path,
    run: &Run,
    (optimizer, seed): (OptimizerName, u64),
) -> Result<Places, SpectrumError> {
    let config = &run.record.config;
    let optimizers = config.all_optimizers();
    if !(optimizers.contains(&optimizer) && config.seeds.contains(&seed)) {
        let pairs = config.seeds.iter().flat_map(|seed| {
            let names = optimizers.iter();
            names.map(move |name| format!("{name} with seed {seed}"))
        });
        return Err(SpectrumError::NotInRun {
            run: folder.to_owned(),
            optimizer,
            seed,
            there: pairs.collect(),
        });
    }
    let mut places = Places::start().places;
    let (checkpoints, damaged) = Checkpoint::read_all(folder);
    let own = checkpoints
        .into_iter()
        .filter(|checkpoint| {
            let header = &checkpoint.header;
            (header.optimizer, header.seed) == (optimizer, seed)
        })
        .map(|checkpoint| {
            let place = Place::Checkpoint(checkpoint.header.step);
            (place, Some(checkpoint.state.model))
        });
    places.extend(own);
    places.extend(end(folder, run, (optimizer, seed))?);
    // A resumed run may have two checkpoints at the same step, and one at its end.
    places.sort_by_key(|(place, _)| place.step());
    places.dedup_by(|later, earlier| {
        let same = later.0.step() == earlier.0.step();
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
    Ok(Places { places, damaged })
}

/// The final parameters, if the training finished.
fn end(
    folder: &Path,
    run: &Run,
    (optimizer, seed): (OptimizerName, u64),
) -> Result<Option<Located>, SpectrumError> {
    let path = folder.join(weights_file(optimizer, seed));
    let mut own = run.rows.iter().rev();
    let last = own.find(|row| (row.optimizer, row.seed) == (optimizer, seed));
    let Some(step) = last.map(|row| row.step).filter(|_| path.exists()) else {
        return Ok(None);
    };
    let weights = files::read(&path).map_err(|source| SpectrumError::Weights { path, source })?;
    Ok(Some((Place::End(step), Some(weights))))
}
