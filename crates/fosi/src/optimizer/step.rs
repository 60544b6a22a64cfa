//! One step (paper, Algorithm 2).

use std::borrow::{Borrow, BorrowMut};

use crate::base::{Base, BaseStep};
use crate::config::Clipping;
use crate::error::{Error, require};
use crate::float::FloatLimits;
use crate::momentum::Momentum;
use crate::report::StepReport;
use crate::schedule::check_rate;
use crate::space::Space;
use crate::split::Split;
use crate::subspace::{Lengths, NewtonStep, Plan};

use super::Fosi;

impl<S: Space, B: Base<S>> Fosi<S, B> {
    /// Takes one step from `parameters` with the learning rate η and the gradient there.
    ///
    /// θ ← θ − s·d_b + V(s·e − α u⊙c̄), with the base's direction d_b for the gradient in the complement of V. Before
    /// the first refresh, the step is bit for bit the base's own.
    ///
    /// # Errors
    /// [`Error::DimensionMismatch`], [`Error::NonFiniteGradient`], [`Error::GradientOverflow`],
    /// [`Error::StepOverflow`], or [`Error::InvalidSetting`] where [η](Self::check_learning_rate) or α is negative or
    /// not finite, or a setting of the base is invalid: parameters and optimizer are then unchanged. [`Error::Spoiled`]
    /// where the step leaves parameters or state infinite or NaN, and at every later step until
    /// [`restore`](Self::restore) or [`load`](Self::load). [`Error::RanksDiffer`] where ranks have different learning
    /// rates, or different parameters, which the first step and the first one after each refresh compare.
    pub fn step(
        &mut self,
        learning_rate: f64,
        parameters: &mut S::Vector,
        gradient: &S::Vector,
    ) -> Result<StepReport, Error> {
        let limits = self.space.limits();
        let step = self.progress.step;
        let possible = self.check_step(parameters, gradient, &limits);
        self.compare_rate(possible, learning_rate)?;
        self.compare_parameters(parameters)?;
        self.check_learning_rate(learning_rate)?;
        let largest_rate = self.progress.largest_rate.max(learning_rate);
        let newton_rate = self
            .config
            .newton_rate
            .checked(step, learning_rate, largest_rate)?;
        let norm = self.project_gradient(gradient)?;
        self.refuse_overflow(norm)?;
        let gradient_scale = match self.config.clipping {
            Clipping::Norm(limit) if norm > limit => limit / norm,
            _ => 1.0,
        };
        let newton = NewtonStep {
            step: step + 1,
            newton_rate,
            decay: self.config.newton_rate.decay(),
            learning_rate,
            gradient_scale,
            momentum: self.base.momentum(),
        };
        let plan = self.plan(&newton, norm, &limits);
        let reach = self.reach(
            &newton,
            self.clipped_norm(norm),
            plan.scale * learning_rate,
            &plan,
        );
        reach.check(step, &limits)?;
        let mut split = Split {
            gradient_scale,
            decay: self.decay(learning_rate),
            scale: plan.scale,
            norm_unit: reach.unit(),
            ..Split::NONE
        };
        if let Some(subspace) = &mut self.subspace {
            if self.config.safeguards {
                let m = self.state.first_mut().map(BorrowMut::borrow_mut);
                subspace.settle(&newton, &self.space, m);
            }
            subspace.fill(&mut split);
        }
        let gradient = match (self.config.clipping, &self.clipped) {
            (Clipping::Value(_), Some(clipped)) => clipped.borrow(),
            _ => gradient,
        };
        let at = BaseStep {
            space: &self.space,
            step: step + 1,
            learning_rate,
            state: &mut self.state,
        };
        let moved = self
            .base
            .step(at, gradient, &split, parameters, &mut self.scratch)?;
        if !moved.finite {
            self.spoiled = Some(step + 1);
            return Err(Error::Spoiled { step: step + 1 });
        }
        let base_norm = plan.scale * moved.complement_norm;
        self.progress.largest_rate = largest_rate;
        self.advance(&plan, norm, base_norm, reach.momentum);
        Ok(StepReport {
            step: self.progress.step,
            gradient_norm: norm,
            scale: plan.scale,
            newton_norm: plan.newton_norm,
            base_norm,
            released: self.subspace.as_ref().map_or(0, |s| s.monitor.released()),
            overshot: plan.overshot,
            grew: plan.grew,
        })
    }

    /// The displacement d of a [step](Self::step) with this gradient, θ₊ = θ + d, for callers with their own line
    /// search. Note the sign: d is added, whereas a base's direction is subtracted. The optimizer's momentum and
    /// counters advance as in a step.
    ///
    /// # Errors
    /// Those of [`step`](Self::step), and [`Error::InvalidSetting`] for a base with weight decay, which depends on θ.
    pub fn direction(
        &mut self,
        learning_rate: f64,
        gradient: &S::Vector,
    ) -> Result<S::Owned, Error> {
        let decay = self.base.weight_decay();
        require(decay == 0.0, "weight_decay", decay, "0 for a direction")?;
        let mut direction = self.space.zeros();
        self.step(learning_rate, direction.borrow_mut(), gradient)?;
        Ok(direction)
    }

    /// Checks whether [`step`](Self::step) accepts the learning rate η. Changes nothing.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] where η is negative or not finite, or where η or η·`weight_decay` exceeds the largest
    /// number of the vectors' precision.
    pub fn check_learning_rate(&self, learning_rate: f64) -> Result<(), Error> {
        check_rate("learning_rate (η)", learning_rate)?;
        let limits = self.space.limits();
        for (setting, value) in [
            ("learning_rate (η)", learning_rate),
            ("η·weight_decay", self.decay(learning_rate)),
        ] {
            let allowed = "at most the largest number of the vectors' precision";
            require(value <= limits.max, setting, value, allowed)?;
        }
        Ok(())
    }

    /// An error unless a step with these vectors is possible.
    fn check_step(
        &self,
        parameters: &S::Vector,
        gradient: &S::Vector,
        limits: &FloatLimits,
    ) -> Result<(), Error> {
        self.refuse_spoiled()?;
        self.space.check("the parameter vector", parameters)?;
        self.space.check("the gradient", gradient)?;
        self.base.validate(limits)
    }

    /// η·λ: the fraction by which decoupled weight decay shrinks the parameters.
    fn decay(&self, learning_rate: f64) -> f64 {
        learning_rate * self.base.weight_decay()
    }

    /// Plans the step along V from the projected gradient. Only scratch memory changes.
    fn plan(&mut self, newton: &NewtonStep, norm: f64, limits: &FloatLimits) -> Plan {
        let lengths = Lengths {
            gradient: norm,
            // Before the first step there is no norm to compare with.
            base: self.progress.base_norm.unwrap_or(f64::INFINITY),
            recent_move: self.progress.recent_move,
        };
        let grew_before = self.progress.interventions.grew.is_some();
        match &mut self.subspace {
            Some(subspace) => {
                let mut plan = subspace.plan(newton, &lengths, limits, self.config.safeguards);
                plan.grew &= subspace.scale > 1.0 && !grew_before;
                if plan.grew && self.config.safeguards {
                    plan.scale = 1.0;
                }
                plan
            }
            None => Plan::BASE_ALONE,
        }
    }

    /// Bounds on the step, for a clipped gradient of norm `norm` and s·η = `rate`.
    fn reach(&self, newton: &NewtonStep, norm: f64, rate: f64, plan: &Plan) -> Reach {
        let Momentum { decay, gain, .. } = newton.momentum;
        let momentum = decay * self.progress.momentum_bound + gain * norm;
        Reach {
            momentum,
            keeps_momentum: decay > 0.0,
            // A base that keeps squares divides by their root, so its steps do not grow with the gradient.
            base: if self.base.squares() {
                0.0
            } else {
                rate * momentum
            },
            newton: plan.newton_norm,
        }
    }

    /// Records the step that was taken.
    fn advance(&mut self, plan: &Plan, norm: f64, base_norm: f64, momentum_bound: f64) {
        let safeguards = self.config.safeguards;
        if let Some(subspace) = &mut self.subspace {
            subspace.commit(plan, norm, base_norm);
            if safeguards && plan.overshot > 0 {
                let m = self.state.first_mut().map(BorrowMut::borrow_mut);
                subspace.release_overshot(&self.space, m);
            }
        }
        let progress = &mut self.progress;
        let step = progress.step;
        progress.step += 1;
        progress.momentum_bound = momentum_bound;
        progress.gradient_norm.add(norm);
        progress.base_norm = Some(base_norm);
        progress.recent_move = base_norm
            .hypot(plan.newton_norm)
            .max(FADE * progress.recent_move);
        progress.interventions.overshot += plan.overshot as u64;
        if plan.grew {
            progress.interventions.grew = Some(progress.step);
        }
        let (overshot, grew) = (plan.overshot, plan.grew);
        if grew || overshot > 0 {
            tracing::info!(
                step,
                overshot,
                grew,
                acted = safeguards,
                "the gradient contradicts the spectrum"
            );
        }
        let ranks = self.space.ranks();
        self.timer.step_taken(self.subspace.is_some(), ranks);
    }

    /// A bound on the norm of the clipped gradient.
    fn clipped_norm(&self, norm: f64) -> f64 {
        match self.config.clipping {
            Clipping::None => norm,
            Clipping::Norm(limit) => norm.min(limit),
            Clipping::Value(limit) => norm.min(limit * (self.space.dim() as f64).sqrt()),
        }
    }

    /// An error if the base squares gradients and the square could overflow.
    fn refuse_overflow(&self, norm: f64) -> Result<(), Error> {
        // The base squares single entries; either kind of clipping bounds an entry by its limit.
        let reaches_base = match self.config.clipping {
            Clipping::None => norm,
            Clipping::Norm(limit) | Clipping::Value(limit) => norm.min(limit),
        };
        // The factor ½ leaves room for rounding in v̂ = v/(1 − β₂ᵗ).
        let limit = 0.5 * self.space.max_value().sqrt();
        if !self.base.squares() || reaches_base <= limit {
            return Ok(());
        }
        Err(Error::GradientOverflow {
            step: self.progress.step,
            norm: reaches_base,
            limit,
        })
    }

    /// Writes Vᵀg, with g clamped by `Clipping::Value`, to the subspace's projection; returns ‖g‖ before clamping.
    fn project_gradient(&mut self, gradient: &S::Vector) -> Result<f64, Error> {
        let square = match (&mut self.subspace, self.config.clipping) {
            (Some(subspace), Clipping::None | Clipping::Norm(_)) => {
                let (basis, projection) = subspace.projection();
                self.space.project(basis, gradient, projection)
            }
            _ => self.space.dot(gradient, gradient),
        };
        let norm = self.space.norm_of_square(gradient, square);
        if !norm.is_finite() {
            let step = self.progress.step;
            return Err(Error::NonFiniteGradient { step });
        }
        if let Clipping::Value(limit) = self.config.clipping {
            let clipped = self.clipped.get_or_insert_with(|| self.space.zeros());
            self.space.clamp(limit, gradient, clipped.borrow_mut());
            if let Some(subspace) = &mut self.subspace {
                let (basis, projection) = subspace.projection();
                let clipped: &S::Vector = (*clipped).borrow();
                self.space.project(basis, clipped, projection);
            }
        }
        Ok(norm)
    }
}

/// Decay per step of the largest recent ‖θₜ − θₜ₋₁‖.
const FADE: f64 = 0.97;

/// Bounds on the norms of a step's parts.
struct Reach {
    momentum: f64,
    /// Whether the base stores a vector of that norm.
    keeps_momentum: bool,
    base: f64,
    newton: f64,
}

impl Reach {
    /// The unit for the base's norm: 1 unless its square is near the ends of the floating-point range.
    fn unit(&self) -> f64 {
        if self.base == 0.0 || (1e-100..1e100).contains(&self.base) {
            return 1.0;
        }
        // Not subnormal: the reciprocal would overflow.
        self.base.log2().floor().max(-1022.0).exp2()
    }

    /// An error if parameters or momentum might overflow.
    fn check(&self, step: u64, limits: &FloatLimits) -> Result<(), Error> {
        let limit = 0.25 * limits.max;
        let kept = if self.keeps_momentum {
            self.momentum
        } else {
            0.0
        };
        for norm in [kept, self.base, self.newton] {
            // This form also refuses NaN.
            let allowed = norm <= limit;
            if !allowed {
                return Err(Error::StepOverflow { step, norm, limit });
            }
        }
        Ok(())
    }
}
