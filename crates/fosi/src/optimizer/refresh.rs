//! A refresh: a new spectrum, and the momentum split anew (paper, UpdatePreconditioner in Algorithm 2, and §3.4).

use std::borrow::BorrowMut;

use crate::base::Base;
use crate::error::Error;
use crate::lanczos::Workspace;
use crate::operator::{SymmetricOperator, check_dim};
use crate::report::Refresh;
use crate::safeguard::{Direction, Growth, Monitor};
use crate::scaling::limited;
use crate::space::Space;
use crate::spectrum::{Spectrum, estimate_with};
use crate::subspace::{Subspace, apply_inverse, kept_gram_inverse};
use crate::timing::RefreshTimer;

use super::Fosi;

impl<S: Space, B: Base<S>> Fosi<S, B> {
    /// Estimates the spectrum of the Hessian at the current parameters and adopts it; the momentum is split anew.
    ///
    /// The public Python implementation leaves the base's momentum as it is, with what of it lies in the new
    /// subspace. Measured against each other with Heavy-Ball: where the subspace turns steadily, splitting anew is
    /// far ahead (the mean of ln f over a run is lower by 2 to 3); where it turns slowly, they differ by less than
    /// 0.3 (`tests/suite/momentum.rs`, quadratics). On a small network (`fosi-burn`'s example `momentum`, T = 10, 50,
    /// 200, five seeds) there is little between them: losses after 600 steps differ by at most 0.3 %, the other way's
    /// being the lower ones in 14 of 15 runs.
    ///
    /// # Errors
    /// [`Error::Refresh`] where the estimation fails; the old spectrum stays in use, and the next try is an interval
    /// away. [`Error::DimensionMismatch`] where the operator says that its dimension isn't the space's.
    pub fn refresh(&mut self, hessian: &mut impl SymmetricOperator<S>) -> Result<Refresh, Error> {
        self.refuse_spoiled()?;
        if let Some(found) = hessian.dim() {
            check_dim(self.space.dim(), found)?;
        }
        let mut timer = self.timer.start_refresh();
        let step = self.progress.step;
        let params = self.config.spectrum_params(self.progress.refreshes);
        self.progress.refreshes += 1;
        self.progress.last_refresh = Some(step);
        let products = params.products(self.space.dim());
        let workspace = self
            .workspace
            .get_or_insert_with(|| Workspace::new(&self.space, products));
        let spectrum = estimate_with(&self.space, &mut timer.watch(hessian), &params, workspace)
            .inspect_err(|error| tracing::warn!(step, %error, "refresh failed"))
            .map_err(|source| Error::Refresh { step, source })?;
        let refresh = self.adopt(spectrum, &timer);
        tracing::info!(step, eigenvalues = ?refresh.eigenvalues, scale = refresh.scale, "refreshed");
        Ok(refresh)
    }

    /// UpdatePreconditioner after its estimation: u, the momentum's split and s.
    fn adopt(&mut self, spectrum: Spectrum<S>, timer: &RefreshTimer) -> Refresh {
        let safeguards = self.config.safeguards;
        let resolved = spectrum.resolved();
        let unresolved = resolved.iter().filter(|resolved| !**resolved).count();
        self.progress.interventions.unresolved += unresolved as u64;
        let curvature = spectrum.damped_curvature(self.config.curvature_floor);
        let directions: Vec<Direction> = resolved.iter().map(|r| Direction::new(*r)).collect();
        // Without curvature there is no Newton step to replace the base's: all of the space is the base's again.
        let no_curvature = match safeguards {
            true => resolved.iter().all(|resolved| !resolved),
            false => curvature.iter().all(|curvature| *curvature == 0.0),
        };
        let gram_inverse = kept_gram_inverse(&spectrum, &directions, safeguards);
        let momentum = self.split_momentum(&spectrum, &gram_inverse, no_curvature);
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
            info: spectrum.info,
            seconds: self.timer.finish_refresh(timer),
            timing: self.timer.timing(),
        };
        let overshot = self
            .subspace
            .as_ref()
            .is_some_and(|old| old.monitor.overshot);
        let monitor = Monitor {
            directions,
            growth: Growth::new(self.progress.gradient_norm.get()),
            cautious: self.progress.caution.refreshed(overshot),
            ..Monitor::default()
        };
        let new = (!no_curvature)
            .then(|| Subspace::new(spectrum, curvature, momentum, scale, monitor, safeguards));
        let old = std::mem::replace(&mut self.subspace, new);
        if let (Some(workspace), Some(old)) = (&mut self.workspace, old) {
            workspace.recycle(self.space.release(old.spectrum.basis));
        }
        refresh
    }

    /// Splits the total momentum M = V_old·c̄ + m anew: c̄ = (VᵀV)⁻¹VᵀM over the directions that aren't the base's,
    /// and m = M − Vc̄ stays with the base. Of a base that keeps m to itself, M is the subspace's part alone, and
    /// what doesn't fit into the new one is dropped. Without a new subspace (`no_curvature`) all of M stays with the
    /// base.
    fn split_momentum(
        &mut self,
        new: &Spectrum<S>,
        gram_inverse: &[f64],
        no_curvature: bool,
    ) -> Vec<f64> {
        let mut momentum = vec![0.0; new.eigenvalues.len()];
        if self.base.momentum().decay == 0.0 {
            return momentum;
        }
        if self.state.is_empty() {
            self.scratch = self.space.zeros();
        }
        let m = self.state.first_mut().unwrap_or(&mut self.scratch);
        let m = m.borrow_mut();
        if let Some(old) = &self.subspace {
            let negative: Vec<f64> = old.momentum.iter().map(|c| -c).collect();
            self.space.subtract(&old.spectrum.basis, &negative, m);
        }
        if !no_curvature {
            let mut projection = momentum.clone();
            self.space.project(&new.basis, m, &mut projection);
            apply_inverse(gram_inverse, &projection, &mut momentum);
            self.space.subtract(&new.basis, &momentum, m);
        }
        momentum
    }
}
