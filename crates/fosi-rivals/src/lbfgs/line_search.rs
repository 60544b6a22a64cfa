//! The line search on the batch's loss along a direction.

use std::cell::RefCell;

use argmin::core::{CostFunction, Error, Executor, Gradient, IterState, LineSearch};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use burn::module::Module;

use crate::copies::Copies;
use crate::error::RivalError;
use crate::loss::Loss;
use crate::numbers::{all_finite, axpy, dot};

/// c₁ and c₂ of the strong Wolfe conditions.
const SUFFICIENT_DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;
/// If the loss is not finite, the first length is reduced by the factor `SHORTER`, down to the fraction `SHORTEST`.
const SHORTER: f64 = 0.1;
const SHORTEST: f64 = 1e-8;

/// φ(α) = f(θ + αd).
pub(super) struct Line<'a, M> {
    copies: &'a Copies<M>,
    loss: &'a dyn Loss<M>,
    parameters: &'a [f64],
    direction: &'a [f64],
    value: f64,
    slope: f64,
    seen: RefCell<Seen>,
}

/// A trial point.
#[derive(Debug, Clone, Default)]
pub(super) struct Trial {
    /// α.
    pub length: f64,
    /// g(θ + αd).
    pub gradient: Vec<f64>,
    value: f64,
    slope: f64,
}

#[derive(Default)]
struct Seen {
    trials: u64,
    most: u64,
    last: Option<Trial>,
    /// The lowest trial with sufficient decrease.
    lowest: Option<Trial>,
    stop: Option<Stop>,
}

/// The reason why a search ends early.
enum Stop {
    NotFinite,
    Exhausted,
    Failed(RivalError),
}

impl<'a, M: Module> Line<'a, M> {
    pub fn new(
        copies: &'a Copies<M>,
        loss: &'a dyn Loss<M>,
        parameters: &'a [f64],
        direction: &'a [f64],
    ) -> Self {
        Self {
            copies,
            loss,
            parameters,
            direction,
            value: 0.0,
            slope: 0.0,
            seen: RefCell::default(),
        }
    }

    /// Sets φ(0) and φ′(0).
    pub fn start(&mut self, value: f64, slope: f64) {
        (self.value, self.slope) = (value, slope);
    }

    /// The number of points tried so far.
    pub fn trials(&self) -> u64 {
        self.seen.borrow().trials
    }

    /// The point that the search accepts; `None` if no point is low enough, or if the predicted decrease is below the
    /// loss's rounding.
    ///
    /// # Errors
    /// If the loss cannot be evaluated.
    pub fn search(&self, first: f64, most: u64) -> Result<Option<Trial>, RivalError> {
        self.seen.borrow_mut().most = most;
        let descends = self.slope < 0.0;
        if !descends || -self.slope * first <= self.copies.roundoff() * self.value.abs() {
            return Ok(None);
        }
        let mut share = 1.0;
        while share >= SHORTEST {
            // An error is either the line's, with the reason in `stop`, or argmin's, which gives up.
            let _ = self.run(first * share);
            let seen = &mut *self.seen.borrow_mut();
            match seen.stop.take() {
                Some(Stop::Failed(error)) => return Err(error),
                Some(Stop::NotFinite) if seen.lowest.is_none() => share *= SHORTER,
                _ => break,
            }
        }
        let seen = &mut *self.seen.borrow_mut();
        let last = seen.last.take().filter(|trial| self.accepts(trial));
        Ok(last.or_else(|| seen.lowest.take()))
    }

    fn run(&self, first: f64) -> Result<(), Error> {
        type Along = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;
        let mut search = MoreThuenteLineSearch::new().with_c(SUFFICIENT_DECREASE, CURVATURE)?;
        search.search_direction(vec![1.0]);
        search.initial_step_length(first)?;
        let executor = Executor::<_, _, Along>::new(Phi(self), search);
        let start = (vec![0.0], self.value, vec![self.slope]);
        executor
            .configure(|state| state.param(start.0).cost(start.1).gradient(start.2))
            .ctrlc(false)
            .run()?;
        Ok(())
    }

    /// Whether both strong Wolfe conditions hold.
    fn accepts(&self, trial: &Trial) -> bool {
        self.decreases(trial) && trial.slope.abs() <= CURVATURE * self.slope.abs()
    }

    fn decreases(&self, trial: &Trial) -> bool {
        trial.value <= self.value + SUFFICIENT_DECREASE * trial.length * self.slope
    }

    /// φ(α) and φ′(α).
    fn at(&self, length: f64) -> Result<(f64, f64), Error> {
        if length == 0.0 {
            return Ok((self.value, self.slope));
        }
        let seen = &mut *self.seen.borrow_mut();
        if let Some(last) = seen.last.as_ref().filter(|last| last.length == length) {
            return Ok((last.value, last.slope));
        }
        if seen.trials == seen.most {
            seen.stop = Some(Stop::Exhausted);
            return Err(Error::msg("no trials are left"));
        }
        seen.trials += 1;
        let trial = match self.evaluate(length) {
            Ok(trial) => trial,
            Err(error) => {
                seen.stop = Some(Stop::Failed(error));
                return Err(Error::msg("the loss can't be evaluated"));
            }
        };
        if !trial.value.is_finite() || !all_finite(&trial.gradient) {
            seen.stop = Some(Stop::NotFinite);
            return Err(Error::msg("the loss is not finite"));
        }
        let lower = |lowest: &Trial| trial.value < lowest.value;
        if self.decreases(&trial) && seen.lowest.as_ref().is_none_or(lower) {
            seen.lowest = Some(trial.clone());
        }
        let result = (trial.value, trial.slope);
        seen.last = Some(trial);
        Ok(result)
    }

    fn evaluate(&self, length: f64) -> Result<Trial, RivalError> {
        let mut point = self.parameters.to_vec();
        axpy(length, self.direction, &mut point);
        let (value, gradient) = self.copies.gradient(&point, self.loss)?;
        Ok(Trial {
            length,
            slope: dot(&gradient, self.direction),
            value,
            gradient,
        })
    }
}

/// A line as a function of one variable, for argmin.
struct Phi<'l, 'a, M>(&'l Line<'a, M>);

impl<M: Module> CostFunction for Phi<'_, '_, M> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, length: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.0.at(length[0])?.0)
    }
}

impl<M: Module> Gradient for Phi<'_, '_, M> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, length: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(vec![self.0.at(length[0])?.1])
    }
}
