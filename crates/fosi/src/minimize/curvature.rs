//! The curvature at the current point: the metric's eigenpairs, and the escape from saddles.

use std::borrow::{Borrow, BorrowMut};
use std::time::Instant;

use super::hessian::{Late, with_hessian};
use super::minimizer::Minimizer;
use super::minimum::{Curvature, Estimation, FailedEstimation, Status};
use super::objective::Objective;
use crate::error::LanczosError;
use crate::lanczos::Workspace;
use crate::space::Space;
use crate::spectrum::{Ritz, Spectrum, SpectrumParams, estimate_chosen};

impl<S: Space + Clone> Minimizer<S> {
    /// Estimates the spectrum at x for the metric. A failure is recorded and leaves the metric unchanged.
    pub(super) fn estimate(&mut self, objective: &mut Objective<'_, S>) -> Result<(), Status> {
        let steps = self.options.products(self.space.dim());
        let left = self
            .options
            .max_cost
            .saturating_sub(self.history.counters.cost);
        if (steps as u64) > left {
            return Ok(());
        }
        let (count, dim) = (self.options.eigenpairs, self.space.dim());
        self.rule.begin();
        let before = self.history.counters.cost;
        let result = self.spectrum(objective, steps, true, |ritz| count.choose(ritz, dim));
        self.rule.end(
            self.history.counters.cost,
            self.history.counters.cost - before,
        );
        if let Some((spectrum, exact)) = result? {
            self.history.curvature = Curvature::of(&spectrum, exact);
            // The floor of |λ|, relative to the largest.
            let floor = (10.0 * self.space.epsilon()).max(1e-12);
            self.metric.set_spectrum(spectrum, floor);
            // If V spans the whole space, the pairs from earlier points add nothing.
            if self.metric.len() == self.space.dim() {
                self.pairs.clear();
            }
        }
        Ok(())
    }

    /// The eigenpairs at x whose indices `choose` returns, and whether products are exact; `None` if the estimation
    /// fails. `counted`: whether its products count as cost.
    fn spectrum(
        &mut self,
        objective: &mut Objective<'_, S>,
        steps: usize,
        counted: bool,
        choose: impl FnOnce(&Ritz) -> Vec<usize>,
    ) -> Result<Option<(Spectrum<S>, bool)>, Status> {
        let started = Instant::now();
        let tried = self.history.estimations.len() + self.history.failed_estimations.len();
        let params = SpectrumParams {
            lanczos_steps: Some(steps),
            probe: false,
            seed: self.options.seed.wrapping_add(tried as u64),
            ..SpectrumParams::default()
        };
        let mut workspace = match self.workspace.take() {
            Some(workspace) => workspace,
            None => Workspace::new(&self.space, steps),
        };
        let deadline = self.history.stopwatch.deadline(self.options.max_time);
        let x: &S::Vector = self.x.borrow();
        let (result, taken) =
            with_hessian(objective, x, deadline.as_ref(), |space, mut hessian| {
                estimate_chosen(space, &mut hessian, &params, &mut workspace, choose)
            });
        self.workspace = Some(workspace);
        let (step, cost) = (self.history.counters.steps, self.history.counters.cost);
        if counted {
            self.history
                .counters
                .count_products(taken.products, taken.gradients);
        }
        match result {
            Ok(spectrum) => {
                self.history.estimations.push(Estimation {
                    step,
                    cost,
                    eigenvalues: spectrum.eigenvalues.clone(),
                    residuals: spectrum.residuals.clone(),
                    largest: spectrum.maximum,
                    smallest: spectrum.minimum,
                    info: spectrum.info,
                    gradients: taken.gradients,
                    seconds: started.elapsed().as_secs_f64(),
                    in_metric: counted,
                });
                Ok(Some((spectrum, taken.is_exact())))
            }
            Err(LanczosError::Operator { source, .. }) if source.is::<Late>() => {
                Err(Status::MaxTime)
            }
            Err(error) => {
                self.history.failed_estimations.push(FailedEstimation {
                    step,
                    cost,
                    reason: error.to_string(),
                });
                Ok(None)
            }
        }
    }

    /// Examines the curvature at a stationary point and moves along negative curvature; `Ok(false)` if there is none or
    /// f does not decrease along it.
    pub(super) fn leave_saddle(
        &mut self,
        objective: &mut Objective<'_, S>,
    ) -> Result<bool, Status> {
        let steps = self.options.products(self.space.dim());
        let smallest = |ritz: &Ritz| {
            let negative = |i: &usize| ritz.values[*i] < -ritz.noise;
            (0..ritz.values.len().min(1)).filter(negative).collect()
        };
        let Some((spectrum, exact)) = self.spectrum(objective, steps, false, smallest)? else {
            return Ok(false);
        };
        self.history.curvature = Curvature::of(&spectrum, exact);
        if spectrum.eigenvalues.is_empty() {
            return Ok(false);
        }
        let size = self.space.norm(self.x.borrow()).max(1.0);
        for sign in [1.0, -1.0] {
            self.space
                .copy_column(&spectrum.basis, 0, self.direction.borrow_mut());
            self.space
                .subtract_scaled(&[], &[], sign * size, self.direction.borrow_mut());
            // From long enough for a visible decrease to short enough for the quadratic model.
            for step in [1.0, 0.1, 1e-2, 1e-3, 1e-4] {
                let trial = self.evaluate_at(objective, step)?;
                if trial.value < self.value && trial.slope.is_finite() {
                    self.value = trial.value;
                    self.history.curvature = Curvature::NotExamined;
                    self.pairs.clear();
                    self.accept();
                    self.keep_best();
                    self.history.counters.count_step(true, self.gradient_norm);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
