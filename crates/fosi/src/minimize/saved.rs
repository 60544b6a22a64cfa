//! Conversion of a minimisation's complete state to bytes and back.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::estimation::EstimationRule;
use super::history::{Counters, Stopwatch};
use super::lbfgs::{Pair, Pairs};
use super::metric::SavedMetric;
use super::minimizer::Minimizer;
use super::minimum::{Curvature, Estimation, Evaluated, FailedEstimation};
use super::options::Options;
use crate::checkpoint::{Contents, Part, Parts, deserialize, load, save, take, to_bytes};
use crate::error::Error;
use crate::space::{Array, Space};

/// The format's version; files of other versions are refused.
const VERSION: u32 = 1;
const KIND: &str = "a minimisation";

/// The scalars of a saved minimisation.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    kind: String,
    dim: usize,
    value: f64,
    gradient_norm: f64,
    best_value: f64,
    best_gradient_norm: f64,
    counters: Counters,
    rule: EstimationRule,
    metric: SavedMetric,
    /// ρ of each pair, oldest first.
    pairs: Vec<f64>,
    curvature: Curvature,
    estimations: Vec<Estimation>,
    failed_estimations: Vec<FailedEstimation>,
    seconds: f64,
}

/// Names of the arrays in a file.
const POINT: &str = "parameters";
const GRADIENT: &str = "gradient";
const BEST: &str = "best";
const BASIS: &str = "basis";

fn pair_names(index: usize) -> [String; 2] {
    [
        format!("pair.{index}.step"),
        format!("pair.{index}.gradient_change"),
    ]
}

impl<S: Space + Clone> Minimizer<S> {
    /// The complete state as bytes, without the settings. A restored run continues bit for bit like this one, except
    /// for [`Options::max_time`].
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where the header cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let (header, parts) = self.parts()?;
        to_bytes(&self.space, &header, parts)
    }

    /// The contents of a file, with references to the vectors.
    fn parts(&self) -> Result<(Header, Parts<'_, S>), Error> {
        let space = &self.space;
        let mut parts = vec![
            (POINT.to_owned(), Part::Vector(self.x.borrow())),
            (GRADIENT.to_owned(), Part::Vector(self.gradient.borrow())),
            (BEST.to_owned(), Part::Vector(self.best.parameters.borrow())),
        ];
        if let Some(basis) = self.metric.basis() {
            parts.push((BASIS.to_owned(), Part::Basis(basis)));
        }
        for (i, pair) in self.pairs.iter().enumerate() {
            let [step, change] = pair_names(i);
            parts.push((step, Part::Vector(pair.step.borrow())));
            parts.push((change, Part::Vector(pair.change.borrow())));
        }
        let header = Header {
            version: VERSION,
            kind: KIND.to_owned(),
            dim: space.dim(),
            value: self.value,
            gradient_norm: self.gradient_norm,
            best_value: self.best.value,
            best_gradient_norm: self.best.gradient_norm,
            counters: self.history.counters,
            rule: self.rule.clone(),
            metric: self.metric.save(),
            pairs: self.pairs.iter().map(|pair| pair.reciprocal).collect(),
            curvature: self.history.curvature,
            estimations: self.history.estimations.clone(),
            failed_estimations: self.history.failed_estimations.clone(),
            seconds: self.history.stopwatch.seconds(),
        };
        check(&header, space.dim())?;
        Ok((header, parts))
    }

    /// The run from the bytes of [`to_bytes`](Self::to_bytes); the settings may differ. Does not call the function.
    /// With a smaller [memory](Options::memory), the newest pairs are kept.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for the settings, [`Error::Checkpoint`] where the bytes are damaged or belong to
    /// another space.
    pub fn from_bytes(space: S, options: Options, bytes: &[u8]) -> Result<Self, Error> {
        Self::from_contents(space, options, deserialize(bytes, VERSION, KIND))
    }

    /// The run from what this rank has read, once all ranks have read the same.
    fn from_contents(
        space: S,
        options: Options,
        read: Result<Contents<Header>, Error>,
    ) -> Result<Self, Error> {
        let ranks = space.ranks();
        let (header, arrays, checksum) = ranks.fail_together(read)?;
        // With equal files, settings and dimensions all ranks fail alike or not at all. What follows calls collectives.
        ranks.compare("the checkpoint", 0, || checksum)?;
        options.compare(space.dim(), ranks)?;
        Self::from_parts(space, options, header, arrays)
    }

    fn from_parts(
        space: S,
        options: Options,
        header: Header,
        mut arrays: HashMap<String, Array>,
    ) -> Result<Self, Error> {
        options.validate()?;
        check(&header, space.dim())?;
        let best = Evaluated {
            parameters: import(&space, &mut arrays, BEST)?,
            value: header.best_value,
            gradient_norm: header.best_gradient_norm,
        };
        let x = import(&space, &mut arrays, POINT)?;
        let gradient = import(&space, &mut arrays, GRADIENT)?;
        let stopwatch = Stopwatch::start(header.seconds, space.ranks());
        let counters = header.counters;
        let mut run = Self::at(space, options, stopwatch, x, gradient, best, counters);
        run.value = header.value;
        run.gradient_norm = header.gradient_norm;
        run.rule = header.rule;
        run.rule.resume(
            run.options.first_estimation,
            run.options.products(run.space.dim()),
        );
        run.history.curvature = header.curvature;
        run.history.estimations = header.estimations;
        run.history.failed_estimations = header.failed_estimations;
        run.pairs = import_pairs(&run.space, run.options.memory, &header.pairs, &mut arrays)?;
        let basis = match header.metric.eigenpairs() {
            0 => None,
            _ => Some(run.space.import_basis(&take(&mut arrays, BASIS)?)?),
        };
        run.metric.restore(&run.space, header.metric, basis)?;
        Ok(run)
    }

    /// Writes the state to a file, atomically: see [`to_bytes`](Self::to_bytes). On several ranks all call it, and rank 0
    /// writes; shards are gathered one vector at a time.
    ///
    /// # Errors
    /// Those of [`to_bytes`](Self::to_bytes), and [`Error::Io`]; an existing file is then unchanged.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        save(&self.space, path.as_ref(), self.parts())
    }

    /// The run that [`save`](Self::save) wrote: see [`from_bytes`](Self::from_bytes).
    ///
    /// # Errors
    /// [`Error::Io`], those of [`from_bytes`](Self::from_bytes), and [`Error::RanksDiffer`] where the ranks read different
    /// files or have different settings.
    pub fn load(space: S, options: Options, path: impl AsRef<Path>) -> Result<Self, Error> {
        let ranks = space.ranks();
        let part = |_: &str, len| ranks.range(len);
        let read = load(ranks, path.as_ref(), VERSION, KIND, part);
        Self::from_contents(space, options, read)
    }
}

/// Refuses a header that no run can produce.
fn check(header: &Header, dim: usize) -> Result<(), Error> {
    if header.dim != dim {
        let message = format!("it has {} variables, and the space {dim}", header.dim);
        return Err(Error::Checkpoint(message));
    }
    let scalars = [
        header.value,
        header.gradient_norm,
        header.best_value,
        header.best_gradient_norm,
    ];
    let counts = header.counters.are_possible() && header.rule.is_possible(header.counters.cost);
    if !counts || header.dim == 0 || header.seconds < 0.0 {
        return Err(Error::Checkpoint("its counts are impossible".into()));
    }
    let norms = [header.gradient_norm, header.best_gradient_norm];
    let finite = scalars.iter().chain(&header.pairs).all(|x| x.is_finite());
    if !finite || norms.iter().any(|norm| *norm < 0.0) || header.pairs.iter().any(|x| *x <= 0.0) {
        return Err(Error::Checkpoint("its values are impossible".into()));
    }
    Ok(())
}

fn import<S: Space>(
    space: &S,
    arrays: &mut HashMap<String, Array>,
    name: &str,
) -> Result<S::Owned, Error> {
    let vector = space.import(&take(arrays, name)?)?;
    match space.max_abs(vector.borrow()).is_finite() {
        true => Ok(vector),
        false => Err(Error::Checkpoint(format!("array {name:?} is not finite"))),
    }
}

fn import_pairs<S: Space>(
    space: &S,
    memory: usize,
    reciprocals: &[f64],
    arrays: &mut HashMap<String, Array>,
) -> Result<Pairs<S>, Error> {
    let mut pairs = Pairs::new(memory);
    let older = reciprocals.len().saturating_sub(memory);
    for (i, &reciprocal) in reciprocals.iter().enumerate().skip(older) {
        let [step, change] = pair_names(i);
        pairs.push(Pair {
            step: import(space, arrays, &step)?,
            change: import(space, arrays, &change)?,
            reciprocal,
        });
    }
    Ok(pairs)
}
