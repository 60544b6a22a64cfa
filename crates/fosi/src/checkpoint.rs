//! Conversion of the optimizer's complete state to bytes and back.
//!
//! The format (`checkpoint/container.rs`) is safetensors with a JSON header and a checksum over everything; the header
//! holds the format's version. On ranks with shards (`checkpoint/pieces.rs`) it is gathered and read vector by vector,
//! and the file is the same as that of a single rank. A file (`checkpoint/files.rs`) is written next to its destination,
//! synced and renamed, so a crash leaves either the old or the new file.

mod container;
mod contents;
mod files;
mod pieces;

use std::borrow::Borrow;
use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use container::OPTIMIZER;
pub(crate) use container::{deserialize, take};
pub(crate) use contents::{Contents, load, save, to_bytes};
pub use files::{read, replace, write_atomically};
pub(crate) use pieces::{Part, Parts};

use crate::averaging::{self, Average, Pairs};
use crate::base::Base;
use crate::error::Error;
use crate::lanczos::LanczosInfo;
use crate::optimizer::{Fosi, Progress};
use crate::ranks::Ranks;
use crate::safeguard::Monitor;
use crate::signal::Signal;
use crate::space::{Array, Space};
use crate::spectrum::Spectrum;
use crate::subspace::{Kept, Subspace};
use crate::timing::{Measurements, SavedMeasurements};

/// The format's version; files of other versions are refused.
pub const VERSION: u32 = 5;

/// The scalars of a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    base: String,
    signature: String,
    dim: usize,
    progress: Progress,
    /// The measured times that T depends on, if T is measured.
    #[serde(default)]
    times: Option<SavedMeasurements>,
    subspace: Option<SubspaceHeader>,
    average: Option<AverageHeader>,
}

/// The scalars of the mean over refreshes.
#[derive(Debug, Serialize, Deserialize)]
struct AverageHeader {
    last_largest: usize,
    state: averaging::State,
}

#[derive(Debug, Serialize, Deserialize)]
struct SubspaceHeader {
    largest: usize,
    last_of_largest: Option<f64>,
    last_of_smallest: Option<f64>,
    maximum: f64,
    minimum: f64,
    missed: Option<f64>,
    noise: f64,
    scale: f64,
    info: LanczosInfo,
    monitor: Monitor,
    signal: Signal,
}

/// The contents of a checkpoint before they replace an optimizer's state.
struct State<S: Space> {
    base: Vec<u8>,
    state: Vec<S::Owned>,
    subspace: Option<Subspace<S>>,
    average: Option<Average<S>>,
    progress: Progress,
    times: Measurements,
    master_weights: Option<S::Owned>,
}

/// Names of the arrays in a file.
const BASIS: &str = "basis";
const BASE: &str = "base";
const MASTER_WEIGHTS: &str = "master_weights";
const PAIR_ARRAYS: [&str; 5] = [
    "eigenvalues",
    "residuals",
    "curvature",
    "momentum",
    "gram_inverse",
];

/// Names of the bases and arrays of the mean over refreshes.
const FURTHER: &str = "average.further";
const LAST: &str = "average.last";
const AVERAGE_ARRAYS: [&str; 4] = [
    "average.eigenvalues",
    "average.residuals",
    "average.last_eigenvalues",
    "average.gram",
];

/// The prefix of the names of the base's state vectors.
const STATE: &str = "state.";

fn state_name(index: usize) -> String {
    format!("{STATE}{index}")
}

impl<S: Space, B: Base<S>> Fosi<S, B> {
    /// The complete state as bytes: the base's vectors, basis, eigenvalues, momentum, scale, counters and, if
    /// [`Schedule::Overhead`](crate::Schedule::Overhead) measures them, the times that determine T.
    ///
    /// The parameters, which the caller owns, and the settings are not included. With vectors in shards, all ranks call it
    /// together, and each gets the whole state.
    ///
    /// # Errors
    /// [`Error::Spoiled`] after a step that spoiled the state, [`Error::Checkpoint`] where the base cannot export its
    /// own state.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.to_bytes_with(None)
    }

    /// Like [`to_bytes`](Self::to_bytes), plus the master weights of a caller whose parameters have a narrower float
    /// type.
    pub fn to_bytes_with(&self, master_weights: Option<&S::Vector>) -> Result<Vec<u8>, Error> {
        let (header, parts) = self.parts(master_weights)?;
        to_bytes(&self.space, &header, parts)
    }

    /// The contents of a checkpoint, with references to the vectors.
    fn parts<'a>(
        &'a self,
        master_weights: Option<&'a S::Vector>,
    ) -> Result<(Header, Parts<'a, S>), Error> {
        self.refuse_spoiled()?;
        let mut parts: Parts<'a, S> = Vec::new();
        if let Some(master_weights) = master_weights {
            parts.push((MASTER_WEIGHTS.into(), Part::Vector(master_weights)));
        }
        for (i, vector) in self.state.iter().enumerate() {
            parts.push((state_name(i), Part::Vector(vector.borrow())));
        }
        let base = Array::from_rows(&[self.base.export()?]);
        parts.push((BASE.into(), Part::Numbers(base)));
        let mut subspace = None;
        if let Some(s) = &self.subspace {
            parts.push((BASIS.into(), Part::Basis(&s.spectrum.basis)));
            let arrays_of_pairs = [
                &s.spectrum.eigenvalues,
                &s.spectrum.residuals,
                &s.curvature,
                &s.momentum,
                &s.spectrum.gram_inverse,
            ];
            for (name, values) in PAIR_ARRAYS.iter().zip(arrays_of_pairs) {
                parts.push(((*name).into(), Part::numbers(values)));
            }
            subspace = Some(SubspaceHeader {
                largest: s.spectrum.largest,
                last_of_largest: s.spectrum.last_of_largest,
                last_of_smallest: s.spectrum.last_of_smallest,
                maximum: s.spectrum.maximum,
                minimum: s.spectrum.minimum,
                missed: s.spectrum.missed,
                noise: s.spectrum.noise,
                scale: s.scale,
                info: s.spectrum.info,
                monitor: s.monitor.clone(),
                signal: s.signal.clone(),
            });
        }
        if let Some(average) = &self.average {
            parts_of_average(average, &mut parts);
        }
        let header = Header {
            version: VERSION,
            base: self.base.name().into(),
            signature: self.signature.clone(),
            dim: self.space.dim(),
            progress: self.progress,
            times: self.timer.save(),
            subspace,
            average: self.average.as_ref().map(|average| AverageHeader {
                last_largest: average.last_largest,
                state: average.state,
            }),
        };
        Ok((header, parts))
    }

    /// Restores a state from [`to_bytes`](Self::to_bytes) of an optimizer with the same base and dimension. Settings
    /// are not restored: T follows from the saved times, if any, and this optimizer's ρ and m.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where the bytes are damaged or do not fit this optimizer, which is then unchanged.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.restore_with(bytes).map(|_| ())
    }

    /// Like [`restore`](Self::restore), and returns the master weights in the bytes, if any.
    ///
    /// # Errors
    /// Those of [`restore`](Self::restore).
    pub fn restore_with(&mut self, bytes: &[u8]) -> Result<Option<S::Owned>, Error> {
        self.take_over(deserialize(bytes, VERSION, OPTIMIZER))
    }

    /// Takes over what this rank has read, once all ranks have read the same.
    fn take_over(
        &mut self,
        contents: Result<Contents<Header>, Error>,
    ) -> Result<Option<S::Owned>, Error> {
        let ranks = self.space.ranks();
        let read = contents.and_then(|(header, arrays, checksum)| {
            Ok((self.read_state(header, arrays)?, checksum))
        });
        let (mut read, checksum) = ranks.fail_together(read)?;
        ranks.compare("the checkpoint", self.progress.step, || checksum)?;
        if let Some(subspace) = &mut read.subspace {
            subspace.join(ranks);
        }
        self.import_base(&read.base)?;
        self.state = read.state;
        self.subspace = read.subspace;
        self.average = read.average;
        self.progress = read.progress;
        self.spoiled = None;
        self.timer.restore(read.times);
        self.forget_comparison();
        Ok(read.master_weights)
    }

    /// Restores the base's own state; if one rank's base refuses it, all keep theirs.
    fn import_base(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let ranks = self.space.ranks();
        if ranks.size() == 1 {
            return self.base.import(bytes);
        }
        let before = ranks.fail_together(self.base.export())?;
        let imported = self.base.import(bytes);
        let changed = imported.is_ok();
        let imported = ranks.fail_together(imported);
        if imported.is_err() && changed {
            self.base.import(&before)?;
        }
        imported
    }

    fn read_state(
        &self,
        header: Header,
        mut arrays: HashMap<String, Array>,
    ) -> Result<State<S>, Error> {
        self.fits(&header)?;
        let master_weights = match arrays.remove(MASTER_WEIGHTS) {
            Some(array) => Some(self.space.import(&array)?),
            None => None,
        };
        let mut state = Vec::new();
        for i in 0..self.state.len() {
            state.push(self.space.import(&take(&mut arrays, &state_name(i))?)?);
        }
        let subspace = match header.subspace {
            Some(scalars) => Some(self.import_subspace(scalars, &mut arrays)?),
            None => None,
        };
        let average = match (header.average, &subspace) {
            (Some(scalars), Some(subspace)) => {
                let leading = subspace.spectrum.eigenvalues.len();
                Some(self.import_average(scalars, leading, &mut arrays)?)
            }
            (Some(_), None) => {
                let message = "it has a mean over refreshes and no spectrum".into();
                return Err(Error::Checkpoint(message));
            }
            (None, _) => None,
        };
        let progress = resumed(header.progress)?;
        let times = header.times.map(|times| times.check()).transpose()?;
        let mut base: Vec<Vec<u8>> = take(&mut arrays, BASE)?.into_rows()?;
        Ok(State {
            base: base.pop().unwrap_or_default(),
            state,
            subspace,
            average,
            progress,
            times: times.unwrap_or_default(),
            master_weights,
        })
    }

    fn fits(&self, header: &Header) -> Result<(), Error> {
        let own = self.base.name();
        if header.base != own {
            let message = format!(
                "it was made by base {}, and this optimizer's is {own}",
                header.base
            );
            return Err(Error::Checkpoint(message));
        }
        let dim = self.space.dim();
        if header.dim != dim {
            let message = format!("it has {} parameters, and this optimizer {dim}", header.dim);
            return Err(Error::Checkpoint(message));
        }
        let (own, found) = (&self.signature, &header.signature);
        if own != found {
            let message = format!("its parameters are {found}, this optimizer's {own}");
            return Err(Error::Checkpoint(message));
        }
        Ok(())
    }

    fn import_subspace(
        &self,
        scalars: SubspaceHeader,
        arrays: &mut HashMap<String, Array>,
    ) -> Result<Subspace<S>, Error> {
        let basis = self.space.import_basis(&take(arrays, BASIS)?)?;
        let k = self.space.size(&basis);
        let mut arrays_of_pairs = Vec::new();
        for name in PAIR_ARRAYS {
            let len = if name == "gram_inverse" { k * k } else { k };
            arrays_of_pairs.push(take(arrays, name)?.to_finite_row(name, len)?);
        }
        let [eigenvalues, residuals, curvature, momentum, gram_inverse]: [Vec<f64>; 5] =
            arrays_of_pairs
                .try_into()
                .map_err(|_| Error::Checkpoint("it lacks a part of the spectrum".into()))?;
        if scalars.largest > k {
            let message = format!("it has {k} pairs, but claims {} largest", scalars.largest);
            return Err(Error::Checkpoint(message));
        }
        if !(scalars.scale >= 1.0 && scalars.scale.is_finite()) {
            let message = format!("its scale is {}, which is impossible", scalars.scale);
            return Err(Error::Checkpoint(message));
        }
        let watched = scalars.monitor.directions.len();
        if watched != k {
            let message = format!("it has {k} pairs, but safeguards for {watched}");
            return Err(Error::Checkpoint(message));
        }
        if !scalars.signal.is_possible(k) {
            let message = "its means of the gradient's coefficients are impossible".into();
            return Err(Error::Checkpoint(message));
        }
        let spectrum = Spectrum {
            eigenvalues,
            residuals,
            largest: scalars.largest,
            basis,
            gram_inverse,
            last_of_largest: scalars.last_of_largest,
            last_of_smallest: scalars.last_of_smallest,
            maximum: scalars.maximum,
            minimum: scalars.minimum,
            missed: scalars.missed,
            noise: scalars.noise,
            info: scalars.info,
        };
        let (directions, safeguards) = (&scalars.monitor.directions, self.config.safeguards);
        // On this rank alone: until all have read the checkpoint, another may fail.
        let kept = Kept::new(&spectrum, directions, safeguards, &Ranks::ALONE);
        Ok(Subspace::new(
            spectrum,
            curvature,
            momentum,
            scalars.scale,
            scalars.monitor,
            scalars.signal,
            kept,
        ))
    }

    /// The mean over refreshes, with `leading` leading pairs.
    fn import_average(
        &self,
        scalars: AverageHeader,
        leading: usize,
        arrays: &mut HashMap<String, Array>,
    ) -> Result<Average<S>, Error> {
        let mut basis = |name: &str| self.space.import_basis(&take(arrays, name)?);
        let (further, last) = (basis(FURTHER)?, basis(LAST)?);
        let rank = leading + self.space.size(&further);
        let mut row = |name: &str, len: usize| take(arrays, name)?.to_finite_row(name, len);
        let [eigenvalues, residuals, last_eigenvalues, gram] = AVERAGE_ARRAYS;
        let size = rank + self.space.size(&last);
        let pairs = Pairs {
            eigenvalues: row(eigenvalues, rank)?,
            residuals: row(residuals, rank)?,
            last_eigenvalues: row(last_eigenvalues, size - rank)?,
            gram: row(gram, size * size)?,
        };
        let AverageHeader {
            last_largest,
            state,
        } = scalars;
        let possible = last_largest <= self.space.size(&last) && state.is_possible();
        if !possible || !pairs.are_of_unit_vectors() {
            let message = format!("its mean over refreshes, {state:?}, is impossible");
            return Err(Error::Checkpoint(message));
        }
        Ok(Average {
            further,
            last,
            last_largest,
            pairs,
            state,
        })
    }

    /// Atomically writes the state to a file. On several ranks, all call it and rank 0 writes; shards are gathered one
    /// vector at a time.
    ///
    /// # Errors
    /// Those of [`to_bytes`](Self::to_bytes), and [`Error::Io`]; an existing file is then unchanged.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.save_with(path, None)
    }

    /// Like [`save`](Self::save), plus master weights; see [`to_bytes_with`](Self::to_bytes_with).
    ///
    /// # Errors
    /// Those of [`save`](Self::save).
    pub fn save_with(
        &self,
        path: impl AsRef<Path>,
        master_weights: Option<&S::Vector>,
    ) -> Result<(), Error> {
        save(&self.space, path.as_ref(), self.parts(master_weights))
    }

    /// Reads the state from a file; see [`restore`](Self::restore). On several ranks, all call it and each reads its shard;
    /// the number of ranks may differ from that at the save.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Checkpoint`]; the optimizer is then unchanged.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.load_with(path).map(drop)
    }

    /// Like [`load`](Self::load), and returns the master weights in the file, if any.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn load_with(&mut self, path: impl AsRef<Path>) -> Result<Option<S::Owned>, Error> {
        let (ranks, dim) = (self.space.ranks(), self.space.dim());
        let own = ranks.range(dim);
        let is_vector = |name: &str| {
            [BASIS, FURTHER, LAST, MASTER_WEIGHTS].contains(&name) || name.starts_with(STATE)
        };
        let part = |name: &str, len: usize| match is_vector(name) && len == dim {
            true => own.clone(),
            false => 0..len,
        };
        let contents = load(ranks, path.as_ref(), VERSION, OPTIMIZER, part);
        self.take_over(contents)
    }
}

/// The vectors and numbers of a mean over refreshes.
fn parts_of_average<'a, S: Space>(average: &'a Average<S>, parts: &mut Parts<'a, S>) {
    for (name, basis) in [(FURTHER, &average.further), (LAST, &average.last)] {
        parts.push((name.into(), Part::Basis(basis)));
    }
    let Pairs {
        eigenvalues,
        residuals,
        last_eigenvalues,
        gram,
    } = &average.pairs;
    let arrays = [eigenvalues, residuals, last_eigenvalues, gram];
    for (name, values) in AVERAGE_ARRAYS.iter().zip(arrays) {
        parts.push(((*name).into(), Part::numbers(values)));
    }
}

/// The saved progress; an error if no run can reach it.
fn resumed(saved: Progress) -> Result<Progress, Error> {
    // Far beyond any run, and far below overflow.
    const MOST: u64 = 1 << 53;
    let last = saved.last_refresh.unwrap_or(0);
    if saved.step > MOST || saved.refreshes > MOST || last > saved.step {
        let message = format!("its step {} is impossible", saved.step);
        return Err(Error::Checkpoint(message));
    }
    let largest = saved.largest_rate;
    if !(largest >= 0.0 && largest.is_finite()) {
        let message = format!("its largest learning rate {largest} is impossible");
        return Err(Error::Checkpoint(message));
    }
    Ok(saved)
}
