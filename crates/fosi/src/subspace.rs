//! The subspace in use: its Newton step, and the directions in it that the base takes (paper, Algorithm 2).

use crate::float::{FloatLimits, norm};
use crate::momentum::Momentum;
use crate::ranks::Ranks;
use crate::safeguard::{Direction, Growth, Monitor, Observation, observe};
use crate::signal::Signal;
use crate::space::Space;
use crate::spectrum::Spectrum;
use crate::split::Split;

/// The subspace in use.
pub(crate) struct Subspace<S: Space> {
    pub(crate) spectrum: Spectrum<S>,
    /// 1/u = max{|λ̂|, ε·max|λ̂|}; with averaging also at least |v̂ᵀHv̂| of the last refresh.
    pub(crate) curvature: Vec<f64>,
    /// c̄: the momentum's coefficients.
    pub(crate) momentum: Vec<f64>,
    /// s.
    pub(crate) scale: f64,
    pub(crate) monitor: Monitor,
    pub(crate) signal: Signal,
    kept: Kept,
    scratch: Scratch,
}

/// The directions that are not released to the base. Along the others the coefficients are zero, and the base's direction
/// keeps its component.
pub(crate) struct Kept {
    /// Whether each direction is among them.
    directions: Vec<bool>,
    /// Their (VᵀV)⁻¹, with zero rows and columns for the others.
    pub(crate) gram_inverse: Vec<f64>,
}

impl Kept {
    /// Without safeguards, all directions are kept. All ranks use rank 0's inverse.
    pub(crate) fn new<S: Space>(
        spectrum: &Spectrum<S>,
        directions: &[Direction],
        safeguards: bool,
        ranks: &Ranks,
    ) -> Self {
        let kept = |d: &Direction| !(safeguards && d.released);
        let directions: Vec<bool> = directions.iter().map(kept).collect();
        Self {
            gram_inverse: spectrum.gram_inverse_of(&directions, ranks),
            directions,
        }
    }
}

/// Coefficient vectors of one step, kept so that steps do not allocate.
struct Scratch {
    projection: Vec<f64>,
    unclipped: Vec<f64>,
    coefficients: Vec<f64>,
    momentum: Vec<f64>,
    newton: Vec<f64>,
    /// αᵢ.
    newton_rates: Vec<f64>,
    signal: Signal,
    directions: Vec<Direction>,
    overshot: Vec<bool>,
}

impl<S: Space> Subspace<S> {
    pub(crate) fn new(
        spectrum: Spectrum<S>,
        curvature: Vec<f64>,
        momentum: Vec<f64>,
        scale: f64,
        monitor: Monitor,
        signal: Signal,
        kept: Kept,
    ) -> Self {
        let zeros = vec![0.0; momentum.len()];
        let scratch = Scratch {
            projection: zeros.clone(),
            unclipped: zeros.clone(),
            coefficients: zeros.clone(),
            momentum: zeros.clone(),
            newton: zeros.clone(),
            newton_rates: zeros,
            signal: signal.clone(),
            directions: monitor.directions.clone(),
            overshot: vec![false; momentum.len()],
        };
        Self {
            spectrum,
            curvature,
            momentum,
            scale,
            monitor,
            signal,
            kept,
            scratch,
        }
    }
}

impl<S: Space> Subspace<S> {
    /// Puts a subspace that each rank has read alone on the ranks of the space, which then all use rank 0's inverse.
    pub(crate) fn join(&mut self, ranks: &Ranks) {
        ranks.agree(&mut self.kept.gram_inverse);
    }
}

/// Norms that the safeguards compare a step's coefficients with.
pub(crate) struct Lengths {
    /// ‖∇f‖ before clipping.
    pub(crate) gradient: f64,
    /// ‖d₂‖ of the last step.
    pub(crate) base: f64,
    /// The largest recent ‖θₜ − θₜ₋₁‖, decaying per step.
    pub(crate) recent_move: f64,
}

/// The inputs of the Newton step besides the spectrum.
pub(crate) struct NewtonStep {
    /// t, counted from 1.
    pub(crate) step: u64,
    /// α.
    pub(crate) newton_rate: f64,
    /// δ, if α is [adaptive](crate::NewtonRate::Adaptive).
    pub(crate) decay: Option<f64>,
    /// η.
    pub(crate) learning_rate: f64,
    /// γ, the clipping factor.
    pub(crate) gradient_scale: f64,
    pub(crate) momentum: Momentum,
}

/// A step's plan along V.
pub(crate) struct Plan {
    /// s.
    pub(crate) scale: f64,
    /// ‖d₁‖.
    pub(crate) newton_norm: f64,
    /// Number of directions that overshot at this step.
    pub(crate) overshot: usize,
    /// Whether the gradient has grown outside V.
    pub(crate) grew: bool,
    growth: Growth,
}

impl Plan {
    /// The plan without a subspace.
    pub(crate) const BASE_ALONE: Self = Self {
        scale: 1.0,
        newton_norm: 0.0,
        overshot: 0,
        grew: false,
        growth: Growth::NONE,
    };
}

impl<S: Space> Subspace<S> {
    /// m ← m + Vc̄: the total momentum, from the base's part.
    pub(crate) fn add_momentum(&self, space: &S, m: &mut S::Vector) {
        let negative: Vec<f64> = self.momentum.iter().map(|c| -c).collect();
        space.subtract(&self.spectrum.basis, &negative, m);
    }

    /// V, and memory for Vᵀg.
    pub(crate) fn projection(&mut self) -> (&S::Basis, &mut [f64]) {
        (&self.spectrum.basis, &mut self.scratch.projection)
    }

    /// Plans the step from the projected gradient. Only scratch memory changes.
    pub(crate) fn plan(
        &mut self,
        at: &NewtonStep,
        lengths: &Lengths,
        limits: &FloatLimits,
        safeguards: bool,
    ) -> Plan {
        self.propose(at);
        self.watch(at, lengths, limits);
        let mut growth = self.monitor.growth;
        let grew = growth.observe(self.complement_gradient(lengths.gradient), &at.momentum);
        let scratch = &self.scratch;
        let planned = |i: usize| match safeguards && scratch.directions[i].released {
            true => self.taken_back(i),
            false => scratch.newton[i],
        };
        Plan {
            scale: self.scale,
            newton_norm: norm((0..scratch.newton.len()).map(planned)),
            overshot: scratch
                .overshot
                .iter()
                .filter(|overshot| **overshot)
                .count(),
            grew,
            growth,
        }
    }

    /// Releases directions to the base as planned, and moves back along those that have overshot. `m` is the base's
    /// momentum.
    pub(crate) fn settle(&mut self, at: &NewtonStep, space: &S, m: Option<&mut S::Vector>) {
        if self.withdrawn() {
            self.release(space, m);
            self.propose(at);
        }
        for i in 0..self.scratch.newton.len() {
            if self.scratch.overshot[i] {
                self.scratch.newton[i] = self.taken_back(i);
                // The gradient at the overshot point must not enter the momentum.
                self.scratch.momentum[i] = self.momentum[i];
            }
        }
    }

    /// Writes the subspace's part of the step to `split`.
    pub(crate) fn fill<'a>(&'a self, split: &mut Split<'a, S::Basis>) {
        split.basis = Some(&self.spectrum.basis);
        split.gram_inverse = &self.kept.gram_inverse;
        split.coefficients = &self.scratch.coefficients;
        split.subspace_step = &self.scratch.newton;
    }

    /// Makes the results of the step the new state.
    pub(crate) fn commit(&mut self, plan: &Plan, gradient_norm: f64, base_norm: f64) {
        self.scale = plan.scale;
        self.momentum.copy_from_slice(&self.scratch.momentum);
        std::mem::swap(&mut self.signal, &mut self.scratch.signal);
        let long = base_norm / (self.momentum.len() as f64).sqrt();
        let monitor = &mut self.monitor;
        std::mem::swap(&mut monitor.directions, &mut self.scratch.directions);
        let moves = monitor.directions.iter_mut().zip(&self.scratch.newton);
        for ((direction, newton), curvature) in moves.zip(&self.curvature) {
            direction.moved(-newton, *curvature, long);
        }
        monitor.growth = plan.growth;
        monitor.overshot |= plan.overshot > 0;
        monitor.last_move = base_norm.hypot(plan.newton_norm);
        monitor.last_gradient_norm = gradient_norm;
    }

    /// Releases the directions along which the last step moved back.
    pub(crate) fn release_overshot(&mut self, space: &S, m: Option<&mut S::Vector>) {
        self.scratch.overshot.fill(false);
        self.scratch.directions.clone_from(&self.monitor.directions);
        self.release(space, m);
    }

    /// The subspace step's coefficient of a released direction: the way back if it has overshot, 0 otherwise.
    fn taken_back(&self, i: usize) -> f64 {
        match self.scratch.overshot[i] {
            true => -self.scratch.directions[i].way_back(),
            false => 0.0,
        }
    }

    /// Computes c, c̄ and αu⊙c̄ of the step from Vᵀg, with g clamped but not yet scaled down.
    fn propose(&mut self, at: &NewtonStep) {
        let scratch = &mut self.scratch;
        apply_inverse(
            &self.kept.gram_inverse,
            &scratch.projection,
            &mut scratch.unclipped,
        );
        let pairs = scratch.coefficients.iter_mut().zip(&scratch.unclipped);
        pairs.for_each(|(c, unclipped)| *c = at.gradient_scale * unclipped);
        scratch.momentum.copy_from_slice(&self.momentum);
        at.momentum.apply(
            at.step,
            &scratch.coefficients,
            &mut scratch.momentum,
            &mut scratch.newton,
        );
        self.choose_rates(at);
        let scratch = &mut self.scratch;
        let rates = self.curvature.iter().zip(&scratch.newton_rates);
        for (newton, (curvature, rate)) in scratch.newton.iter_mut().zip(rates) {
            if *newton != 0.0 {
                // A division, since the reciprocal of a curvature below 1e-308 overflows.
                *newton = rate * *newton / curvature;
            }
        }
    }

    /// Computes αᵢ from the step's coefficients; see [`NewtonRate`](crate::NewtonRate).
    fn choose_rates(&mut self, at: &NewtonStep) {
        let scratch = &mut self.scratch;
        let alpha = at.newton_rate;
        scratch.newton_rates.fill(alpha);
        scratch.signal.copy_from(&self.signal);
        let Some(decay) = at.decay else { return };
        scratch.signal.advance(&scratch.coefficients, decay);
        let rates = scratch.newton_rates.iter_mut().zip(&self.curvature);
        for (i, (rate, curvature)) in rates.enumerate() {
            let base = at.learning_rate * self.signal.base_rate(i);
            let highest = (base * curvature).min(1.0).max(alpha);
            *rate += scratch.signal.share(i, decay) * (highest - alpha);
        }
    }

    /// Compares the gradient's coefficients with the quadratic model.
    fn watch(&mut self, at: &NewtonStep, lengths: &Lengths, limits: &FloatLimits) {
        let scratch = &mut self.scratch;
        scratch.directions.clone_from(&self.monitor.directions);
        let (spectrum, monitor) = (&self.spectrum, &self.monitor);
        let error = |i: usize| spectrum.residuals[i] + spectrum.noise;
        let seen = Observation {
            coefficients: &scratch.unclipped,
            eigenvalues: &spectrum.eigenvalues,
            next: &scratch.newton,
            momentum_coefficients: &self.momentum,
            recent_move: lengths.recent_move,
            curvature: &self.curvature,
            error: &error,
            rounding: ROUNDINGS * limits.epsilon * (lengths.gradient + monitor.last_gradient_norm),
            last_move: monitor.last_move,
            base_move: lengths.base.min(monitor.last_move).max(SMALLEST_NORM),
            newton_rates: &scratch.newton_rates,
            momentum: at.momentum,
            long: lengths.base / (scratch.newton.len() as f64).sqrt(),
            cautious: monitor.cautious,
        };
        observe(&mut scratch.directions, &seen, &mut scratch.overshot);
    }

    /// Releases directions to the base from this step on and returns their momentum to it.
    fn release(&mut self, space: &S, m: Option<&mut S::Vector>) {
        let scratch = &mut self.scratch;
        let mut given = vec![0.0; self.momentum.len()];
        for (i, direction) in scratch.directions.iter().enumerate() {
            if direction.released && !scratch.overshot[i] {
                self.kept.directions[i] = false;
                given[i] = -std::mem::take(&mut self.momentum[i]);
            }
        }
        if let (Some(m), true) = (m, given.iter().any(|c| *c != 0.0)) {
            space.subtract(&self.spectrum.basis, &given, m);
        }
        let kept = &mut self.kept;
        kept.gram_inverse = self
            .spectrum
            .gram_inverse_of(&kept.directions, space.ranks());
    }

    /// Whether some direction goes to the base at this step, without moving back first.
    fn withdrawn(&self) -> bool {
        let planned = self.scratch.directions.iter().zip(&self.scratch.overshot);
        planned
            .zip(&self.kept.directions)
            .any(|((d, overshot), kept)| *kept && d.released && !overshot)
    }

    /// ‖g₂‖ before scaling by the clipping factor, given ‖g‖. An upper bound if entries are clamped.
    fn complement_gradient(&self, norm: f64) -> f64 {
        if norm == 0.0 {
            return 0.0;
        }
        let scratch = &self.scratch;
        let pairs = scratch.projection.iter().zip(&scratch.unclipped);
        let inside: f64 = pairs.map(|(p, c)| (p / norm) * (c / norm)).sum();
        norm * (1.0 - inside).max(0.0).sqrt()
    }
}

/// A norm below this may have underflowed to zero.
const SMALLEST_NORM: f64 = 1e-140;
/// The error of c through rounding, in units of the rounding of ‖g‖.
const ROUNDINGS: f64 = 100.0;

/// out ← (VᵀV)⁻¹·projection.
pub(crate) fn apply_inverse(gram_inverse: &[f64], projection: &[f64], out: &mut [f64]) {
    let k = projection.len();
    for (i, out) in out.iter_mut().enumerate() {
        let row = &gram_inverse[i * k..(i + 1) * k];
        *out = row.iter().zip(projection).map(|(a, b)| a * b).sum();
    }
}
