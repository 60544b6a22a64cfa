//! What a run watches between refreshes: whether the function follows the quadratic model along V, and whether the
//! gradient grows outside of V.
//!
//! Along an eigenvector v̂ the quadratic model says that a move of δ changes the gradient's coefficient c = v̂ᵀ∇f by
//! λ̂δ, whatever the rest of the step does. Each step computes c anyway, so the model is tested for nothing. The
//! complement has no model but a bound: where s is right, ‖g₂‖ doesn't grow beyond the transients of the base's
//! momentum.

use serde::{Deserialize, Serialize};

use crate::momentum::Momentum;

/// What the safeguards of a run have done so far or, under the paper's algorithm, would have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Interventions {
    /// Pairs that weren't resolved, over all refreshes.
    pub unresolved: u64,
    /// Directions that overshot and went back to the base.
    pub overshot: u64,
    /// The step at which the gradient had grown outside of V, so that s is 1 from there on.
    pub grew: Option<u64>,
}

/// One pair's direction, from a refresh to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Direction {
    /// Whether the pair isn't resolved or has overshot: the direction is the base's until the next refresh.
    pub(crate) released: bool,
    /// c before the last move; `None` where there was none.
    coefficient: Option<f64>,
    /// δ: the last move along v̂.
    displacement: f64,
    /// |λ̂|·δ, damping included.
    predicted: f64,
    /// Whether the last move was longer than what the base makes of a step.
    long: bool,
    /// The sum of the long moves since the last one that the model foretold.
    offset: f64,
    /// ΣΔ·p and Σp² over recent moves, for the observed change Δ of c and p = |λ̂|·δ, and their number; weights fall
    /// by 1/32 a move.
    change_times_predicted: f64,
    predicted_squared: f64,
    moves: f64,
}

/// What a step knows of all directions.
pub(crate) struct Observation<'a> {
    /// c of the gradient: clamped by [`Clipping::Value`](crate::Clipping), not yet scaled down by `Clipping::Norm`.
    pub(crate) coefficients: &'a [f64],
    /// λ̂.
    pub(crate) eigenvalues: &'a [f64],
    /// αu⊙c̄: the moves to come.
    pub(crate) next: &'a [f64],
    /// c̄ without the newest c.
    pub(crate) momentum_coefficients: &'a [f64],
    /// The longest step of late, ‖θₜ − θₜ₋₁‖.
    pub(crate) recent_move: f64,
    /// |λ̂|, damped as in the Newton step.
    pub(crate) curvature: &'a [f64],
    /// ‖Hv̂ − λ̂v̂‖ at most.
    pub(crate) error: &'a dyn Fn(usize) -> f64,
    /// How far c may be off by rounding.
    pub(crate) rounding: f64,
    /// ‖θₜ − θₜ₋₁‖ of the last step, and the base's part of it, which may not be exactly in the complement.
    pub(crate) last_move: f64,
    pub(crate) base_move: f64,
    /// αᵢ.
    pub(crate) newton_rates: &'a [f64],
    /// The base's momentum rule.
    pub(crate) momentum: Momentum,
    /// A move as long as this is long: the length of the base's last step over √(k+ℓ).
    pub(crate) long: f64,
    /// Whether long moves are left to the base.
    pub(crate) cautious: bool,
}

impl Observation<'_> {
    /// The largest |c̄ᵢ| that past gradients of a quadratic can have left: c was at most |λ̂| times the way
    /// different, so that Σβʲ|c₋ⱼ| ≤ |c|/(1−β) + |λ̂|·β/(1−β)²·‖step‖, twice for steps that were longer before.
    fn greatest_momentum(&self, i: usize) -> f64 {
        let (beta, gain) = (self.momentum.decay, self.momentum.gain);
        let change = (self.eigenvalues[i].abs() + (self.error)(i)) * self.recent_move;
        let past = (self.coefficients[i].abs() + (self.rounding)) / (1.0 - beta);
        gain * (past + 2.0 * change * beta / (1.0 - beta).powi(2))
    }

    /// How far the change of c may be from the model, by the rest of the step.
    fn tolerance(&self, i: usize) -> f64 {
        (self.error)(i) * self.last_move + self.curvature[i] * self.base_move + self.rounding
    }
}

/// The forgetting of a move per step.
const FORGET: f64 = 1.0 / 32.0;
/// The weight of moves below which their average says nothing.
const ENOUGH: f64 = 20.0;
/// The least ratio of an observed to the predicted change of c that is an overshoot.
const OVERSHOOT: f64 = 1.5;

/// A change of c is foretold where it is the predicted one to this share.
const FORETOLD: f64 = 0.5;

impl Direction {
    /// After a refresh.
    pub(crate) fn new(resolved: bool) -> Self {
        Self {
            released: !resolved,
            ..Self::default()
        }
    }

    /// Takes in the coefficient that the last move led to. Returns whether the direction has overshot now.
    fn observe(&mut self, i: usize, seen: &Observation<'_>, limit: f64) -> bool {
        let c = seen.coefficients[i];
        let next = seen.next[i].abs();
        self.released = seen.cautious && next > seen.long;
        let Some(before) = self.coefficient.replace(c) else {
            // Momentum of other functions, say of other batches, is no momentum of this one.
            let foreign = seen.momentum_coefficients[i].abs() > seen.greatest_momentum(i);
            self.released |= foreign && next > seen.long;
            return false;
        };
        let (change, predicted) = (c - before, self.predicted);
        let sum = |sum: f64, term: f64| ((1.0 - FORGET) * sum + term).clamp(-f64::MAX, f64::MAX);
        self.change_times_predicted = sum(self.change_times_predicted, change * predicted);
        self.predicted_squared = sum(self.predicted_squared, predicted * predicted);
        self.moves = sum(self.moves, 1.0);
        let tolerance = seen.tolerance(i);
        let model = predicted * seen.eigenvalues[i].signum();
        let error = (change - model).abs();
        if error <= tolerance + FORETOLD * predicted.abs() {
            self.offset = 0.0;
        } else if self.long {
            self.offset += self.displacement;
        }
        if error <= tolerance {
            return false;
        }
        // A long move, made or to come, has to follow the model at once: no base would have survived it elsewhere.
        let beyond =
            change * predicted > 0.0 && change.abs() > OVERSHOOT * predicted.abs() + tolerance;
        let expected = before.abs().max((before + model).abs());
        let grown = c.abs() > OVERSHOOT * expected + tolerance;
        let sudden = (self.long || next > seen.long) && (beyond || grown);
        // Short ones look like that between batches, too, but not on average.
        let steep =
            self.moves >= ENOUGH && self.change_times_predicted > limit * self.predicted_squared;
        self.released |= sudden || steep;
        sudden || steep
    }

    /// What takes the long moves back that the model hasn't foretold.
    pub(crate) fn way_back(&self) -> f64 {
        -self.offset
    }

    /// Notes the move that the step has made along v̂, `long` being the least long one.
    pub(crate) fn moved(&mut self, displacement: f64, curvature: f64, long: f64) {
        self.displacement = displacement;
        self.predicted = curvature * displacement;
        self.long = displacement.abs() > long;
    }
}

/// Takes in the coefficients of a step; `overshot` tells which of the directions have overshot now.
pub(crate) fn observe(directions: &mut [Direction], seen: &Observation<'_>, overshot: &mut [bool]) {
    let limit = overshoot_limit(&seen.momentum);
    for (i, (direction, overshot)) in directions.iter_mut().zip(overshot).enumerate() {
        let rate = seen.newton_rates[i];
        let judged = !direction.released && rate > 0.0;
        let limit = (limit / rate).max(OVERSHOOT);
        *overshot = judged && direction.observe(i, seen, limit);
    }
}

/// The ratio ΣΔp/Σp², times α, above which a direction overshoots.
///
/// Where c is white noise, as between batches, the ratio is w₀/Σwⱼ² over α, with w the momentum's weights of past
/// gradients; where the iteration is at the end of its stability, it is that end, 2(1+β)/gain over α (divided by 1+2β
/// with a lookahead). The limit is three times the one, but not above nine tenths of the other.
fn overshoot_limit(momentum: &Momentum) -> f64 {
    let (beta, gain) = (momentum.decay, momentum.gain);
    let (first, square, stable) = if momentum.lookahead {
        let first = gain * (1.0 + beta);
        let later = gain * beta * beta;
        let square = first * first + later * later / (1.0 - beta * beta);
        (
            first,
            square,
            2.0 * (1.0 + beta) / (gain * (1.0 + 2.0 * beta)),
        )
    } else {
        let square = gain * gain / (1.0 - beta * beta);
        (gain, square, 2.0 * (1.0 + beta) / gain)
    };
    (3.0 * first / square).min(0.9 * stable)
}

/// The gradient's length outside of V, from a refresh on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Growth {
    /// What ‖g₂‖ is compared with: the mean of ‖∇f‖ until the refresh, or ‖g₂‖ after it where there was no step before.
    reference: Option<f64>,
    /// The mean of ‖g₂‖ over about ten steps; `None` before the first.
    average: Option<f64>,
}

/// Growth by less is training's own.
const LEAST_GROWTH: f64 = 10.0;

impl Growth {
    /// Where there is nothing to watch.
    pub(crate) const NONE: Self = Self {
        reference: None,
        average: None,
    };

    /// After a refresh, given the mean of ‖∇f‖ until then.
    pub(crate) fn new(before: Option<f64>) -> Self {
        Self {
            reference: before,
            average: None,
        }
    }

    /// Takes in ‖g₂‖. Returns whether it has grown as it does where s is too large.
    pub(crate) fn observe(&mut self, norm: f64, momentum: &Momentum) -> bool {
        let reference = *self.reference.get_or_insert(norm);
        let average = self.average.get_or_insert(norm);
        *average += 0.1 * (norm - *average);
        // Momentum alone lets a gradient grow about 1/(1 − β)-fold for a while.
        let allowed = (3.0 / (1.0 - momentum.decay)).max(LEAST_GROWTH);
        *average > allowed * reference
    }
}

/// The mean of ‖∇f‖ over about a hundred steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MeanNorm {
    mean: f64,
    steps: u64,
}

impl MeanNorm {
    /// Takes in ‖∇f‖.
    pub(crate) fn add(&mut self, norm: f64) {
        self.steps = (self.steps + 1).min(100);
        self.mean += (norm - self.mean) / self.steps as f64;
    }

    /// The mean; `None` before the first step.
    pub(crate) fn get(&self) -> Option<f64> {
        (self.steps > 0).then_some(self.mean)
    }
}

/// How long after an overshoot long moves are left to the base: twice as many refreshes after each try that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Caution {
    failures: u32,
    refreshes_left: u64,
}

impl Caution {
    /// At a refresh, given whether a direction has overshot since the one before. Returns whether to be cautious from
    /// here on.
    pub(crate) fn refreshed(&mut self, overshot: bool) -> bool {
        if overshot {
            self.failures = (self.failures + 1).min(30);
            self.refreshes_left = 1 << self.failures;
        } else if self.refreshes_left == 0 {
            self.failures = 0;
        }
        self.refreshes_left = self.refreshes_left.saturating_sub(1);
        self.refreshes_left > 0
    }
}

/// What is watched from one refresh to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Monitor {
    /// One for each pair.
    pub(crate) directions: Vec<Direction>,
    pub(crate) growth: Growth,
    /// Whether long moves are left to the base.
    pub(crate) cautious: bool,
    /// Whether a direction has overshot since the refresh.
    pub(crate) overshot: bool,
    /// ‖θₜ − θₜ₋₁‖ and ‖∇f(θₜ₋₁)‖ of the last step.
    pub(crate) last_move: f64,
    pub(crate) last_gradient_norm: f64,
}

impl Monitor {
    /// How many directions are the base's.
    pub(crate) fn released(&self) -> usize {
        self.directions.iter().filter(|d| d.released).count()
    }
}

#[cfg(test)]
mod tests {
    use super::overshoot_limit;
    use crate::base::{Adam, GradientDescent, HeavyBall, Nesterov, UpdateRule};

    /// ΣΔp/Σp² for c white noise, and p = −seen(c).
    fn slope_of_noise(momentum: &crate::base::Momentum) -> f64 {
        use rand::SeedableRng;
        use rand_distr::{Distribution, StandardNormal};
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let (mut c_bar, mut seen) = ([0.0], [0.0]);
        let (mut products, mut squares) = (0.0, 0.0);
        let mut before: f64 = StandardNormal.sample(&mut random);
        for _ in 0..200_000 {
            momentum.apply(1_000_000, &[before], &mut c_bar, &mut seen);
            let c: f64 = StandardNormal.sample(&mut random);
            products -= (c - before) * seen[0];
            squares += seen[0] * seen[0];
            before = c;
        }
        products / squares
    }

    #[test]
    fn the_limit_is_far_from_noise_and_within_stability() {
        let rules = [
            (GradientDescent.momentum(), 1.8),
            (HeavyBall::new(0.9).momentum(), 0.57),
            (Nesterov::new(0.9).momentum(), 0.8068),
            (Adam::default().momentum(), 5.7),
        ];
        for (momentum, expected) in rules {
            let limit = overshoot_limit(&momentum);
            assert!(
                (limit / expected - 1.0).abs() < 1e-3,
                "{momentum:?}: {limit}"
            );
            let noise = slope_of_noise(&momentum);
            assert!(
                limit > 1.75 * noise,
                "{momentum:?}: {limit} against {noise}"
            );
        }
    }
}
