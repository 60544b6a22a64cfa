//! A metered function in argmin's interface: value, gradient and Hessian separately.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, IterState, Solver, State};
use argmin_math::ArgminDot;
use thiserror::Error;

use super::meter::{Meter, Stop};
use super::solver::Ending;

/// The maximum number of consecutive requests for the same point; a solver with more is in an endless loop without
/// cost.
const MOST_REPEATS: u32 = 1_000;

/// The solver is in an endless loop.
#[derive(Debug, Error)]
#[error("it asks for the same point again and again")]
struct Circles;

/// A metered function. Value and gradient at one point are one evaluation, whichever is requested first.
#[derive(Clone)]
pub(super) struct ArgminProblem<'m, 'p> {
    meter: &'m RefCell<Meter<'p>>,
    last: Rc<RefCell<Evaluated>>,
}

/// The last point evaluated.
#[derive(Default)]
struct Evaluated {
    parameters: Vec<f64>,
    gradient: Vec<f64>,
    value: f64,
    /// The number of requests since then.
    repeats: u32,
}

impl<'m, 'p> ArgminProblem<'m, 'p> {
    pub fn new(meter: &'m RefCell<Meter<'p>>) -> Self {
        Self {
            meter,
            last: Rc::default(),
        }
    }

    /// f(x), and ∇f(x) if `read` uses it.
    fn at<T>(&self, x: &[f64], read: impl FnOnce(&Evaluated) -> T) -> Result<T, Error> {
        let last = &mut *self.last.borrow_mut();
        if last.parameters == x {
            last.repeats += 1;
            if last.repeats > MOST_REPEATS {
                return Err(Circles.into());
            }
            // A product that failed in the meantime could not report it.
            match self.meter.borrow().stop() {
                Some(stop) => return Err(stop.into()),
                None => return Ok(read(last)),
            }
        }
        last.gradient.resize(x.len(), 0.0);
        last.parameters.clear();
        last.value = self.meter.borrow_mut().evaluate(x, &mut last.gradient)?;
        last.parameters.extend_from_slice(x);
        last.repeats = 0;
        Ok(read(last))
    }

    /// Runs `solver` from `start` until it ends or the meter stops the run.
    pub fn minimize<S, H>(self, solver: S, start: &[f64]) -> Ending
    where
        S: Solver<Self, IterState<Vec<f64>, Vec<f64>, (), H, (), f64>>,
        H: Clone,
    {
        let executor = Executor::new(self, solver)
            .configure(|state| state.param(start.to_vec()))
            .ctrlc(false);
        guarded(|| {
            let result = executor.run()?;
            let reason = result.state.get_termination_reason();
            Ok(reason
                .map_or("it ended without a reason", |reason| reason.text())
                .to_owned())
        })
    }
}

/// The ending of a solver that states its reason. Errors of the meter are passed on. A panic fails only this run:
/// argmin's trust region takes the first element of a list that is empty if all values are NaN.
pub(super) fn guarded(solve: impl FnOnce() -> Result<String, Error>) -> Ending {
    match catch_unwind(AssertUnwindSafe(solve)) {
        Ok(Ok(reason)) => Ending::converged(&reason),
        Ok(Err(error)) => match error.downcast_ref::<Stop>() {
            Some(&stop) => stop.into(),
            None => Ending::failed(&error),
        },
        Err(_) => Ending::failed(&"argmin panicked"),
    }
}

impl CostFunction for ArgminProblem<'_, '_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        self.at(x, |last| last.value)
    }
}

impl Gradient for ArgminProblem<'_, '_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        self.at(x, |last| last.gradient.clone())
    }
}

impl<'m, 'p> Hessian for ArgminProblem<'m, 'p> {
    type Param = Vec<f64>;
    type Hessian = HessianAt<'m, 'p>;

    fn hessian(&self, x: &Vec<f64>) -> Result<HessianAt<'m, 'p>, Error> {
        Ok(HessianAt {
            meter: self.meter,
            x: x.as_slice().into(),
            last: Rc::default(),
        })
    }
}

/// The Hessian at a point, given by its products. A product with the previous vector is computed only once, because
/// argmin requests both Hp and pᵀHp.
#[derive(Clone)]
pub(super) struct HessianAt<'m, 'p> {
    meter: &'m RefCell<Meter<'p>>,
    x: Rc<[f64]>,
    last: Rc<RefCell<(Vec<f64>, Vec<f64>)>>,
}

impl ArgminDot<Vec<f64>, Vec<f64>> for HessianAt<'_, '_> {
    fn dot(&self, v: &Vec<f64>) -> Vec<f64> {
        let (last, product) = &mut *self.last.borrow_mut();
        if last != v {
            last.clone_from(v);
            product.resize(v.len(), 0.0);
            // This interface cannot report errors: the solver sees a zero Hessian, and its next evaluation fails.
            if self
                .meter
                .borrow_mut()
                .product(&self.x, v, product)
                .is_err()
            {
                product.fill(0.0);
            }
        }
        product.clone()
    }
}
