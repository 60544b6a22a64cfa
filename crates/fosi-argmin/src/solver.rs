//! The solver: one step of [`fosi::minimize::Minimizer`] per iteration.

use std::cell::RefCell;
use std::marker::PhantomData;

use argmin::core::{ArgminError, Error, IterState, KV, Problem, Solver, State, TerminationReason};
use argmin::kv;
use fosi::Host;
use fosi::minimize::{Minimizer, Objective, Options, Status};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::product::{Exact, Products, Quotients};

/// The state that argmin keeps for this solver.
type Iterate = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// L-BFGS on the spectral metric, without a learning rate: [`fosi::minimize::minimize`], one step per iteration of
/// argmin.
///
/// A run ends at the first limit reached, whether argmin's (`max_iters`, `target_cost`, a timeout) or one of
/// [`Options`]. Observers get `gradient_norm`, `cost_units` (gradients and exact products), `eigenpairs` and
/// `estimations`. A checkpoint holds the complete state; a resumed run is bit-equal to an uninterrupted one.
///
/// argmin's counts (`cost_count`, `gradient_count`, `hessian_product_count`) include the evaluations for difference
/// quotients and for [`Options::check_gradient`].
///
/// # Errors
/// Those of [`fosi::minimize::minimize`] and of the problem, and [`ArgminError::NotInitialized`] if no start was set
/// (`state.param(…)`).
#[derive(Debug)]
pub struct SpectralLbfgs<P = Quotients> {
    options: Options,
    run: Option<Minimizer<Host<f64>>>,
    products: PhantomData<P>,
}

/// A solver with the default settings.
impl Default for SpectralLbfgs {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl SpectralLbfgs {
    /// A solver with these settings, whose Hessian-vector products are difference quotients of gradients.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            run: None,
            products: PhantomData,
        }
    }
}

impl SpectralLbfgs<Exact> {
    /// A solver with these settings and the problem's own Hessian-vector products.
    pub fn with_products(options: Options) -> Self {
        Self {
            options,
            run: None,
            products: PhantomData,
        }
    }
}

impl<P> SpectralLbfgs<P> {
    /// The minimisation in progress, with its estimations, best point and counts; `None` before the start.
    pub fn minimizer(&self) -> Option<&Minimizer<Host<f64>>> {
        self.run.as_ref()
    }

    fn begin(
        &mut self,
        objective: &mut Objective<'_>,
        start: &[f64],
        state: Iterate,
    ) -> Result<(Iterate, Option<KV>), Error> {
        let run = Minimizer::new(objective, start, self.options.clone())?;
        let (state, kv) = (observed(&run, state), report(&run));
        self.run = Some(run);
        Ok((state, Some(kv)))
    }

    fn advance(
        &mut self,
        objective: &mut Objective<'_>,
        state: Iterate,
    ) -> Result<(Iterate, Option<KV>), Error> {
        let run = self
            .run
            .as_mut()
            .ok_or_else(|| not_initialized("the run"))?;
        let status = run.step(objective);
        let state = observed(run, state);
        let state = match status {
            None => state,
            Some(Status::Failed(error)) => return Err(Error::from(error)),
            Some(status) => state.terminate_with(reason(&status)),
        };
        Ok((state, Some(report(run))))
    }
}

/// argmin's state for the run's last point.
fn observed(run: &Minimizer<Host<f64>>, state: Iterate) -> Iterate {
    state
        .param(run.parameters().to_vec())
        .gradient(run.gradient().to_vec())
        .cost(run.value())
}

fn report(run: &Minimizer<Host<f64>>) -> KV {
    kv!(
        "gradient_norm" => run.gradient_norm();
        "cost_units" => run.cost();
        "eigenpairs" => run.eigenpairs() as u64;
        "estimations" => run.estimations().len() as u64;
    )
}

fn reason(status: &Status) -> TerminationReason {
    match status {
        Status::GradientNorm | Status::ValueChange => TerminationReason::SolverConverged,
        Status::MaxSteps => TerminationReason::MaxItersReached,
        Status::MaxTime => TerminationReason::Timeout,
        other => TerminationReason::SolverExit(other.to_string()),
    }
}

fn not_initialized(what: &str) -> Error {
    let text = format!("{what} is missing: give a start with `.configure(|state| state.param(…))`");
    Error::from(ArgminError::NotInitialized { text })
}

fn start(state: &mut Iterate) -> Result<Vec<f64>, Error> {
    state
        .take_param()
        .ok_or_else(|| not_initialized("the start"))
}

impl<O, P: Products<O>> Solver<O, Iterate> for SpectralLbfgs<P> {
    fn name(&self) -> &str {
        P::NAME
    }

    fn init(
        &mut self,
        problem: &mut Problem<O>,
        mut state: Iterate,
    ) -> Result<(Iterate, Option<KV>), Error> {
        let start = start(&mut state)?;
        let problem = RefCell::new(problem);
        self.begin(&mut P::objective(start.len(), &problem), &start, state)
    }

    fn next_iter(
        &mut self,
        problem: &mut Problem<O>,
        state: Iterate,
    ) -> Result<(Iterate, Option<KV>), Error> {
        let problem = RefCell::new(problem);
        self.advance(&mut P::objective(self.dim()?, &problem), state)
    }
}

impl<P> SpectralLbfgs<P> {
    fn dim(&self) -> Result<usize, Error> {
        let run = self.run.as_ref();
        Ok(run
            .ok_or_else(|| not_initialized("the run"))?
            .parameters()
            .len())
    }
}

/// The serialized form of a solver in argmin's checkpoints.
#[derive(Serialize, Deserialize)]
struct Saved {
    options: Options,
    dim: usize,
    /// See [`Minimizer::to_bytes`].
    run: Option<Vec<u8>>,
}

impl<P> Serialize for SpectralLbfgs<P> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        let run = self.run.as_ref().map(Minimizer::to_bytes).transpose();
        let saved = Saved {
            options: self.options.clone(),
            dim: self.run.as_ref().map_or(0, |run| run.parameters().len()),
            run: run.map_err(serde::ser::Error::custom)?,
        };
        saved.serialize(serializer)
    }
}

impl<'de, P> Deserialize<'de> for SpectralLbfgs<P> {
    fn deserialize<T: Deserializer<'de>>(deserializer: T) -> Result<Self, T::Error> {
        let saved = Saved::deserialize(deserializer)?;
        let options = saved.options;
        let restored =
            |bytes: Vec<u8>| Minimizer::from_bytes(Host::new(saved.dim), options.clone(), &bytes);
        let run = saved.run.map(restored).transpose();
        Ok(Self {
            run: run.map_err(serde::de::Error::custom)?,
            options,
            products: PhantomData,
        })
    }
}
