//! One step: a direction, a line search along it, and the resulting pair.

use std::borrow::{Borrow, BorrowMut};
use std::sync::Arc;

use super::lbfgs::Pair;
use super::line_search::{Found, Trial, search};
use super::minimizer::Minimizer;
use super::minimum::Status;
use super::objective::Objective;
use crate::error::Error;
use crate::space::Space;

/// The directions that a step tries in turn, until one lowers f.
#[derive(Clone, Copy)]
enum Direction {
    /// −H∇f.
    QuasiNewton,
    /// −H₀∇f, without pairs.
    Metric,
    /// −∇f/‖∇f‖.
    Gradient,
}

/// An increase of f up to this relative amount counts as rounding if the slope is negative.
const ROUNDING: f64 = 1e-10;

impl<S: Space + Clone> Minimizer<S> {
    /// Moves to a lower point; [`Status::Stalled`] if no direction leads to one, `Status::NonFinite` if no trial is
    /// finite.
    pub(super) fn descend(&mut self, objective: &mut Objective<'_, S>) -> Result<(), Status> {
        let directions = [
            Direction::QuasiNewton,
            Direction::Metric,
            Direction::Gradient,
        ];
        self.any_finite = false;
        for direction in directions {
            if self.repeats(direction) {
                continue;
            }
            let slope = self.aim(direction);
            if !(slope < 0.0 && slope.is_finite()) {
                continue;
            }
            let first = match direction {
                Direction::Gradient => self.first_length(),
                _ => 1.0,
            };
            if self.line_search(objective, slope, first)? {
                self.accept();
                return Ok(());
            }
            if let Some(status) = self.exhausted() {
                return Err(status);
            }
        }
        Err(match self.any_finite {
            true => Status::Stalled,
            false => Status::NonFinite,
        })
    }

    /// Whether the next direction is the same one: without pairs −H∇f is −H₀∇f, and that is −∇f as long as there is no
    /// spectrum and γ is not measured.
    fn repeats(&self, direction: Direction) -> bool {
        match direction {
            Direction::QuasiNewton => self.pairs.is_empty(),
            Direction::Metric => !self.metric.is_measured() && self.metric.len() == 0,
            Direction::Gradient => false,
        }
    }

    /// The first step length along the gradient: min{‖∇f‖, 1}, but large enough to change x.
    fn first_length(&self) -> f64 {
        let size = self.space.norm(self.x.borrow()).max(1.0);
        self.gradient_norm.min(1.0).max(1e-8 * size)
    }

    /// Computes a direction and returns the slope along it.
    fn aim(&mut self, direction: Direction) -> f64 {
        let (space, d) = (&self.space, self.direction.borrow_mut());
        space.axpby(-1.0, self.gradient.borrow(), 0.0, d);
        match direction {
            Direction::QuasiNewton => {
                let metric = &mut self.metric;
                self.pairs.apply(space, d, |q| metric.apply(space, q));
            }
            Direction::Metric => {
                self.pairs.clear();
                self.metric.apply(space, d);
            }
            Direction::Gradient => {
                space.axpby(-1.0 / self.gradient_norm, self.gradient.borrow(), 0.0, d);
                return -self.gradient_norm;
            }
        }
        space.dot(self.gradient.borrow(), self.direction.borrow())
    }

    /// Searches along the direction and writes the accepted point to `trial`; `Ok(false)` if no point is lower.
    fn line_search(
        &mut self,
        objective: &mut Objective<'_, S>,
        slope: f64,
        first: f64,
    ) -> Result<bool, Status> {
        let start = Trial {
            step: 0.0,
            value: self.value,
            slope,
        };
        let rounding = ROUNDING.max(1e3 * self.space.epsilon()) * self.value.abs();
        let evaluate = |step| self.evaluate_at(objective, step);
        match search(start, first, rounding, evaluate)? {
            Found::Last(trial) => self.value = trial.value,
            Found::Lower(trial) => self.value = self.evaluate_at(objective, trial.step)?.value,
            Found::Nothing => return Ok(false),
        }
        Ok(true)
    }

    /// f and its slope at x + αd.
    pub(super) fn evaluate_at(
        &mut self,
        objective: &mut Objective<'_, S>,
        step: f64,
    ) -> Result<Trial, Status> {
        let (trial, gradient) = (self.trial.borrow_mut(), self.trial_gradient.borrow_mut());
        self.space.axpby(1.0, self.x.borrow(), 0.0, trial);
        self.space.axpby(step, self.direction.borrow(), 1.0, trial);
        self.history.counters.count_gradient();
        let value = (objective.evaluate)(self.trial.borrow(), gradient);
        let value = value.map_err(|error| Status::Failed(Arc::new(Error::User(error))))?;
        if value == f64::NEG_INFINITY {
            return Err(Status::Unbounded);
        }
        let slope = self
            .space
            .dot(self.trial_gradient.borrow(), self.direction.borrow());
        // A shorter step may round to x itself.
        let moves = step > self.space.epsilon();
        self.any_finite |= moves && value.is_finite() && slope.is_finite();
        Ok(Trial { step, value, slope })
    }

    /// Moves to the trial point and stores the pair.
    pub(super) fn accept(&mut self) {
        let space = &self.space;
        std::mem::swap(&mut self.x, &mut self.trial);
        std::mem::swap(&mut self.gradient, &mut self.trial_gradient);
        self.gradient_norm = space.norm(self.gradient.borrow());
        let (mut step, mut change) = self.pairs.take_memory(space);
        let (s, y) = (step.borrow_mut(), change.borrow_mut());
        space.axpby(1.0, self.x.borrow(), 0.0, s);
        space.axpby(-1.0, self.trial.borrow(), 1.0, s);
        space.axpby(1.0, self.gradient.borrow(), 0.0, y);
        space.axpby(-1.0, self.trial_gradient.borrow(), 1.0, y);
        let curvature = space.dot(s, y);
        let reciprocal = 1.0 / curvature;
        let positive = curvature > space.epsilon() * space.norm(s) * space.norm(y);
        if positive && reciprocal.is_finite() {
            self.metric.measure(space, s, y, curvature);
            self.pairs.push(Pair {
                step,
                change,
                reciprocal,
            });
        } else {
            self.pairs.return_memory((step, change));
        }
    }
}
