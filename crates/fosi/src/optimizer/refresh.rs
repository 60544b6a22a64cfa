//! A refresh: a new spectrum and a new split of the momentum (paper, UpdatePreconditioner in Algorithm 2, and §3.4).

use std::borrow::{Borrow, BorrowMut};

use crate::averaging::{Average, Averaging, Before, Merge};
use crate::base::Base;
use crate::error::{Error, LanczosError};
use crate::lanczos::{Start, Workspace};
use crate::operator::{SymmetricOperator, check_dim};
use crate::report::Refresh;
use crate::safeguard::{Direction, Growth, Monitor};
use crate::scaling::limited;
use crate::signal::Signal;
use crate::space::Space;
use crate::spectrum::{Ritz, Spectrum, SpectrumParams, ritz_pairs};
use crate::subspace::{Kept, Subspace, apply_inverse};
use crate::timing::RefreshTimer;

use super::Fosi;

impl<S: Space, B: Base<S>> Fosi<S, B> {
    /// Estimates the spectrum of the Hessian at the current parameters, adopts it, and splits the momentum along it.
    ///
    /// Lanczos starts from a random vector. With a [tolerance](crate::FosiConfig::lanczos_tolerance) and an operator
    /// that [provides the gradient](SymmetricOperator::start_vector), as a
    /// [`DifferenceQuotient`](crate::operator::DifferenceQuotient) does, it starts from the gradient plus a random
    /// vector of a tenth of its norm.
    ///
    /// The public Python implementation does not split the momentum: the base's momentum keeps its part in the new
    /// subspace. Comparison with Heavy-Ball: where the subspace rotates fast, splitting is far better (the mean of
    /// ln f over a run is lower by 2 to 3); where it rotates slowly, the two differ by less than 0.3
    /// (`tests/suite/momentum.rs`, quadratics). On a small network (`fosi-burn`'s example `momentum`, T = 10, 50, 200,
    /// five seeds) they are nearly equal: losses after 600 steps differ by at most 0.3 %, and the loss without
    /// splitting is lower in 14 of 15 runs.
    ///
    /// # Errors
    /// [`Error::Refresh`] where the estimation fails; the old spectrum stays in use, and the next attempt is due after
    /// one interval. [`Error::DimensionMismatch`] where the operator reports a dimension other than the space's.
    /// [`Error::RanksDiffer`] where the ranks have different states.
    pub fn refresh(&mut self, hessian: &mut impl SymmetricOperator<S>) -> Result<Refresh, Error> {
        self.refresh_with(hessian, None)
    }

    /// Like [`refresh`](Self::refresh), but Lanczos starts from `gradient`, the gradient at the current parameters,
    /// plus a random vector of a tenth of its norm.
    ///
    /// # Errors
    /// Those of [`refresh`](Self::refresh), and [`Error::DimensionMismatch`] for a gradient of another dimension.
    pub fn refresh_from(
        &mut self,
        hessian: &mut impl SymmetricOperator<S>,
        gradient: &S::Vector,
    ) -> Result<Refresh, Error> {
        self.refresh_with(hessian, Some(gradient))
    }

    fn refresh_with(
        &mut self,
        hessian: &mut impl SymmetricOperator<S>,
        start: Option<&S::Vector>,
    ) -> Result<Refresh, Error> {
        let possible = self.check_refresh(hessian.dim(), start);
        self.compare_state(possible)?;
        let mut timer = self.timer.start_refresh();
        let step = self.progress.step;
        let params = self.config.spectrum_params(self.progress.refreshes);
        self.progress.refreshes += 1;
        self.progress.last_refresh = Some(step);
        let products = params.products(self.space.dim());
        let mut workspace = self
            .workspace
            .take()
            .unwrap_or_else(|| Workspace::new(&self.space, products));
        let mut hessian = timer.watch(hessian);
        let known = match start {
            None if params.tolerance.is_some() => hessian.start_vector(self.scratch.borrow_mut()),
            _ => Ok(false),
        };
        let refresh = known
            .map_err(|source| LanczosError::Operator { step: 0, source })
            .and_then(|known| {
                let start = start.or(known.then(|| self.scratch.borrow()));
                let start = start.map_or(Start::Random, Start::Near);
                ritz_pairs(&self.space, &mut hessian, &params, &start, &mut workspace)
            })
            .and_then(|ritz| self.adopt(&params, ritz, &mut workspace, &timer));
        self.workspace = Some(workspace);
        let refresh = refresh
            .inspect_err(|error| tracing::warn!(step, %error, "refresh failed"))
            .map_err(|source| Error::Refresh { step, source })?;
        tracing::info!(step, eigenvalues = ?refresh.eigenvalues, scale = refresh.scale, "refreshed");
        Ok(refresh)
    }

    /// An error unless a refresh from this operator and gradient is possible.
    fn check_refresh(
        &self,
        operator_dim: Option<usize>,
        gradient: Option<&S::Vector>,
    ) -> Result<(), Error> {
        self.refuse_spoiled()?;
        if let Some(gradient) = gradient {
            self.space.check("the gradient", gradient)?;
        }
        operator_dim.map_or(Ok(()), |found| check_dim(self.space.dim(), found))
    }

    /// The rest of UpdatePreconditioner, after the estimation: the spectrum in use, u, the split of the momentum, and
    /// s.
    fn adopt(
        &mut self,
        params: &SpectrumParams,
        ritz: Ritz,
        workspace: &mut Workspace<S>,
        timer: &RefreshTimer,
    ) -> Result<Refresh, LanczosError> {
        let merge = self.plan_merge(params, &ritz, workspace)?;
        // No failure from here on.
        let overshot = self
            .subspace
            .as_ref()
            .is_some_and(|old| old.monitor.overshot);
        self.join_momentum();
        let weight = merge.as_ref().map(|merge| merge.weight);
        let captured_by_last = merge.as_ref().and_then(|merge| merge.captured_by_last);
        let seen = merge.as_ref().map(|merge| merge.curvature.clone());
        let next_eigenvalue = ritz.next_largest(params.largest);
        let conditioning = ritz.conditioning(
            params.largest,
            params.smallest,
            self.config.strong_convexity,
        );
        let (spectrum, average) = self.replace_spectrum(params, ritz, merge, workspace);
        let safeguards = self.config.safeguards;
        let resolved = spectrum.resolved();
        let unresolved = resolved.iter().filter(|resolved| !**resolved).count();
        self.progress.interventions.unresolved += unresolved as u64;
        let mut curvature = spectrum.damped_curvature(self.config.curvature_floor);
        // In a direction that is new to the mean, λ̄ is only a fraction of the curvature.
        for (curvature, seen) in curvature.iter_mut().zip(seen.iter().flatten()) {
            *curvature = curvature.max(seen.abs());
        }
        let directions: Vec<Direction> = resolved.iter().map(|r| Direction::new(*r)).collect();
        // Without curvature no Newton step can replace the base's: the base takes the whole space.
        let no_curvature = match safeguards {
            true => resolved.iter().all(|resolved| !resolved),
            false => curvature.iter().all(|curvature| *curvature == 0.0),
        };
        let kept = Kept::new(&spectrum, &directions, safeguards, self.space.ranks());
        let momentum = self.split_momentum(&spectrum, &kept.gram_inverse, no_curvature);
        let extremes = spectrum.extremes(self.config.strong_convexity);
        let ratio = self.base.rate_ratio(&extremes);
        let scale = match self.progress.interventions.grew.is_some() && safeguards {
            true => 1.0,
            false => limited(&extremes, ratio, self.config.scale_limit),
        };
        let refresh = Refresh {
            step: self.progress.step,
            eigenvalues: spectrum.eigenvalues.clone(),
            residuals: spectrum.residuals.clone(),
            resolved,
            scale,
            next_eigenvalue,
            captured_by_last,
            conditioning,
            weight,
            info: spectrum.info,
            seconds: self.timer.finish_refresh(timer, self.space.ranks()),
            timing: self.timer.timing(),
        };
        let monitor = Monitor {
            directions,
            growth: Growth::new(self.progress.gradient_norm.get()),
            cautious: self.progress.caution.refreshed(overshot),
            ..Monitor::default()
        };
        if !no_curvature {
            let signal = Signal::new(self.base_rates(&spectrum));
            self.average = average;
            self.subspace = Some(Subspace::new(
                spectrum, curvature, momentum, scale, monitor, signal, kept,
            ));
        }
        Ok(refresh)
    }

    /// Plans how the refresh updates the mean over refreshes; `None` without averaging.
    fn plan_merge(
        &self,
        params: &SpectrumParams,
        ritz: &Ritz,
        workspace: &Workspace<S>,
    ) -> Result<Option<Merge>, LanczosError> {
        let averaging = self.config.averaging;
        if averaging == Averaging::Off {
            return Ok(None);
        }
        let before = self.average.as_ref().zip(self.subspace.as_ref());
        let before = before.map(|(average, subspace)| Before {
            average,
            spectrum: &subspace.spectrum,
        });
        Merge::plan(
            averaging,
            params,
            &self.space,
            before.as_ref(),
            ritz,
            workspace,
        )
        .map(Some)
    }

    /// Replaces the spectrum in use, reusing its memory.
    fn replace_spectrum(
        &mut self,
        params: &SpectrumParams,
        ritz: Ritz,
        merge: Option<Merge>,
        workspace: &mut Workspace<S>,
    ) -> (Spectrum<S>, Option<Average<S>>) {
        let space = &self.space;
        let leading = self.subspace.take().map(|old| old.spectrum.basis);
        let average = self.average.take();
        let Some(merge) = merge else {
            let chosen = ritz.extreme(params.largest, params.smallest);
            let spectrum = ritz.spectrum(space, workspace, &chosen, params.largest);
            let bases = average.map(|average| [average.further, average.last]);
            for basis in leading.into_iter().chain(bases.into_iter().flatten()) {
                workspace.recycle(space.release(basis));
            }
            return (spectrum, None);
        };
        let mut old = Vec::new();
        match (leading, average) {
            (Some(leading), Some(average)) => {
                workspace.recycle(space.release(average.last));
                old = space.take_vectors(leading);
                old.extend(space.take_vectors(average.further));
            }
            (Some(leading), None) => workspace.recycle(space.release(leading)),
            (None, _) => {}
        }
        let (spectrum, average) = merge.apply(space, old, ritz, workspace);
        (spectrum, Some(average))
    }

    /// The base's learning rate along each direction in units of η; 0 where it is unknown or α is not
    /// [adaptive](crate::NewtonRate::Adaptive).
    fn base_rates(&mut self, spectrum: &Spectrum<S>) -> Vec<f64> {
        let pairs = spectrum.eigenvalues.len();
        if self.config.newton_rate.decay().is_none() {
            return vec![0.0; pairs];
        }
        if self.base.is_linear() {
            return vec![1.0; pairs];
        }
        let (space, step) = (&self.space, self.progress.step);
        let rate = |i: usize| {
            let column = space.column(&spectrum.basis, i);
            let mut preconditioned = space.column(&spectrum.basis, i);
            let x: &mut S::Vector = preconditioned.borrow_mut();
            let known = self.base.precondition(space, step, &mut self.state, x);
            let rate = space.dot(column.borrow(), x);
            if known && rate.is_finite() {
                rate.max(0.0)
            } else {
                0.0
            }
        };
        (0..pairs).map(rate).collect()
    }

    /// Adds the subspace's momentum V·c̄ to the base's m: M = V·c̄ + m. For a base that keeps m in its own state, M is
    /// V·c̄ alone.
    fn join_momentum(&mut self) {
        if self.base.momentum().decay == 0.0 {
            return;
        }
        if self.state.is_empty() {
            self.scratch = self.space.zeros();
        }
        let m = self.state.first_mut().unwrap_or(&mut self.scratch);
        if let Some(old) = &self.subspace {
            old.add_momentum(&self.space, m.borrow_mut());
        }
    }

    /// Splits the total momentum M, held by the base: c̄ = (VᵀV)⁻¹VᵀM along the directions that the base does not take,
    /// and m = M − Vc̄. For a base that keeps m in its own state, the rest of M is dropped. Without a new subspace
    /// (`no_curvature`) the base keeps all of M.
    fn split_momentum(
        &mut self,
        new: &Spectrum<S>,
        gram_inverse: &[f64],
        no_curvature: bool,
    ) -> Vec<f64> {
        let mut momentum = vec![0.0; new.eigenvalues.len()];
        if self.base.momentum().decay == 0.0 || no_curvature {
            return momentum;
        }
        let m = self.state.first_mut().unwrap_or(&mut self.scratch);
        let m = m.borrow_mut();
        let mut projection = momentum.clone();
        self.space.project(&new.basis, m, &mut projection);
        apply_inverse(gram_inverse, &projection, &mut momentum);
        self.space.subtract(&new.basis, &momentum, m);
        momentum
    }
}
