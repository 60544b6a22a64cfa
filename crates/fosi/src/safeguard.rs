//! Safeguards between refreshes: does the function follow the quadratic model along V, and does the gradient grow
//! outside V?
//!
//! Along an eigenvector v̂ the quadratic model predicts that a move of δ changes the gradient's coefficient c = v̂ᵀ∇f
//! by λ̂δ, whatever the rest of the step does. Each step computes c anyway, so this test costs nothing. The complement
//! has no model, only a bound: with a suitable s, ‖g₂‖ does not grow beyond the transients of the base's momentum.

use serde::{Deserialize, Serialize};

use crate::momentum::Momentum;

/// The interventions of the safeguards so far; under the paper's algorithm, those that they would have made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Interventions {
    /// Number of unresolved pairs, summed over all refreshes.
    pub unresolved: u64,
    /// Number of directions that overshot and were released to the base.
    pub overshot: u64,
    /// The step at which the gradient outside V had grown too far; s is 1 from then on.
    pub grew: Option<u64>,
}

/// The direction of one pair, between refreshes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Direction {
    /// Whether the pair is unresolved or has overshot: the base takes the direction until the next refresh.
    pub(crate) released: bool,
    /// c before the last move; `None` before the first.
    coefficient: Option<f64>,
    /// δ: the last move along v̂.
    displacement: f64,
    /// |λ̂|·δ, damping included.
    predicted: f64,
    /// Whether the last move was long: longer than `Observation::long`.
    long: bool,
    /// The sum of the long moves since the last move that the model predicted well.
    offset: f64,
    /// ΣΔ·p, Σp² and the number of recent moves, with the observed change Δ of c and p = |λ̂|·δ; weights decay by 1/32
    /// per move.
    change_times_predicted: f64,
    predicted_squared: f64,
    moves: f64,
}

/// A step's data on all directions.
pub(crate) struct Observation<'a> {
    /// c of the gradient: clamped by [`Clipping::Value`](crate::Clipping), not yet scaled down by `Clipping::Norm`.
    pub(crate) coefficients: &'a [f64],
    /// λ̂.
    pub(crate) eigenvalues: &'a [f64],
    /// αu⊙c̄: the next moves.
    pub(crate) next: &'a [f64],
    /// c̄ without the newest c.
    pub(crate) momentum_coefficients: &'a [f64],
    /// The largest recent ‖θₜ − θₜ₋₁‖, decaying per step.
    pub(crate) recent_move: f64,
    /// |λ̂|, damped as in the Newton step.
    pub(crate) curvature: &'a [f64],
    /// A bound on ‖Hv̂ − λ̂v̂‖ of each pair.
    pub(crate) error: &'a dyn Fn(usize) -> f64,
    /// A bound on the rounding error of c.
    pub(crate) rounding: f64,
    /// ‖θₜ − θₜ₋₁‖ of the last step and of its base part, which may lie slightly outside the complement.
    pub(crate) last_move: f64,
    pub(crate) base_move: f64,
    /// αᵢ.
    pub(crate) newton_rates: &'a [f64],
    /// The base's momentum rule.
    pub(crate) momentum: Momentum,
    /// A move above this counts as long: the norm of the base's last step over √(k+ℓ).
    pub(crate) long: f64,
    /// Whether directions with long moves are released to the base.
    pub(crate) cautious: bool,
}

impl Observation<'_> {
    /// An upper bound on |c̄ᵢ| from past gradients of a quadratic. Past c differ by at most |λ̂| times the distance, so
    /// Σβʲ|c₋ⱼ| ≤ |c|/(1−β) + |λ̂|·β/(1−β)²·‖step‖; a factor of 2 in the last term allows for larger earlier steps.
    fn greatest_momentum(&self, i: usize) -> f64 {
        let (beta, gain) = (self.momentum.decay, self.momentum.gain);
        let change = (self.eigenvalues[i].abs() + (self.error)(i)) * self.recent_move;
        let past = (self.coefficients[i].abs() + (self.rounding)) / (1.0 - beta);
        gain * (past + 2.0 * change * beta / (1.0 - beta).powi(2))
    }

    /// The deviation of the change of c from the model that the rest of the step and rounding can explain.
    fn tolerance(&self, i: usize) -> f64 {
        (self.error)(i) * self.last_move + self.curvature[i] * self.base_move + self.rounding
    }
}

/// Decay of the averages per move.
const FORGET: f64 = 1.0 / 32.0;
/// The averages count only once the moves' total weight reaches this.
const ENOUGH: f64 = 20.0;
/// The ratio of the observed to the predicted change of c above which a direction has overshot.
const OVERSHOOT: f64 = 1.5;

/// A change of c counts as predicted if its relative error is at most this.
const FORETOLD: f64 = 0.5;

impl Direction {
    /// The state after a refresh.
    pub(crate) fn new(resolved: bool) -> Self {
        Self {
            released: !resolved,
            ..Self::default()
        }
    }

    /// Records the coefficient after the last move. Returns whether the direction has just overshot.
    fn observe(&mut self, i: usize, seen: &Observation<'_>, limit: f64) -> bool {
        let c = seen.coefficients[i];
        let next = seen.next[i].abs();
        self.released = seen.cautious && next > seen.long;
        let Some(before) = self.coefficient.replace(c) else {
            // Momentum that gradients of this function cannot explain comes from others, such as other batches.
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
        // Around a long move, past or next, a single deviation from the model counts, because such moves can diverge.
        let beyond =
            change * predicted > 0.0 && change.abs() > OVERSHOOT * predicted.abs() + tolerance;
        let expected = before.abs().max((before + model).abs());
        let grown = c.abs() > OVERSHOOT * expected + tolerance;
        let sudden = (self.long || next > seen.long) && (beyond || grown);
        // For short moves, noise between batches looks the same at single steps, but not on average.
        let steep =
            self.moves >= ENOUGH && self.change_times_predicted > limit * self.predicted_squared;
        self.released |= sudden || steep;
        sudden || steep
    }

    /// The move that undoes the long moves that the model did not predict.
    pub(crate) fn way_back(&self) -> f64 {
        -self.offset
    }

    /// Records the step's move along v̂; it is long if it exceeds `long`.
    pub(crate) fn moved(&mut self, displacement: f64, curvature: f64, long: f64) {
        self.displacement = displacement;
        self.predicted = curvature * displacement;
        self.long = displacement.abs() > long;
    }
}

/// Records the coefficients of a step; sets `overshot` for the directions that have just overshot.
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
/// If c is white noise, as between batches, the ratio is w₀/(αΣwⱼ²), with the momentum's weights w of past gradients.
/// At the limit of stability it is 2(1+β)/(α·gain), divided by 1+2β with lookahead. The limit is three times the
/// former, but at most nine tenths of the latter.
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

/// The norm of the gradient outside V since a refresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Growth {
    /// The reference for ‖g₂‖: the mean of ‖∇f‖ before the refresh or, if there was no step before it, the first ‖g₂‖.
    reference: Option<f64>,
    /// The mean of ‖g₂‖ over about ten steps; `None` before the first.
    average: Option<f64>,
}

/// Growth below this factor is normal in training.
const LEAST_GROWTH: f64 = 10.0;

impl Growth {
    /// The state without a subspace.
    pub(crate) const NONE: Self = Self {
        reference: None,
        average: None,
    };

    /// The state after a refresh, given the mean of ‖∇f‖ before it.
    pub(crate) fn new(before: Option<f64>) -> Self {
        Self {
            reference: before,
            average: None,
        }
    }

    /// Records ‖g₂‖. Returns whether it has grown so far that s must be too large.
    pub(crate) fn observe(&mut self, norm: f64, momentum: &Momentum) -> bool {
        let reference = *self.reference.get_or_insert(norm);
        let average = self.average.get_or_insert(norm);
        *average += 0.1 * (norm - *average);
        // Momentum alone can make the gradient grow by about 1/(1 − β) temporarily.
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
    /// Records ‖∇f‖.
    pub(crate) fn add(&mut self, norm: f64) {
        self.steps = (self.steps + 1).min(100);
        self.mean += (norm - self.mean) / self.steps as f64;
    }

    /// The mean; `None` before the first step.
    pub(crate) fn get(&self) -> Option<f64> {
        (self.steps > 0).then_some(self.mean)
    }
}

/// After an overshoot, directions with long moves are released to the base for 2ᶠ − 1 refreshes, the f-th time in a
/// row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Caution {
    failures: u32,
    refreshes_left: u64,
}

impl Caution {
    /// Updates at a refresh, given whether a direction has overshot since the previous one. Returns whether to be
    /// cautious until the next refresh.
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

/// The state of the safeguards between refreshes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Monitor {
    /// The direction of each pair.
    pub(crate) directions: Vec<Direction>,
    pub(crate) growth: Growth,
    /// Whether directions with long moves are released to the base.
    pub(crate) cautious: bool,
    /// Whether a direction has overshot since the refresh.
    pub(crate) overshot: bool,
    /// ‖θₜ − θₜ₋₁‖ and ‖∇f(θₜ₋₁)‖ of the last step.
    pub(crate) last_move: f64,
    pub(crate) last_gradient_norm: f64,
}

impl Monitor {
    /// The number of directions released to the base.
    pub(crate) fn released(&self) -> usize {
        self.directions.iter().filter(|d| d.released).count()
    }
}

#[cfg(test)]
mod tests {
    use super::overshoot_limit;
    use crate::base::{Adam, GradientDescent, HeavyBall, Nesterov, UpdateRule};

    /// ΣΔp/Σp² for white noise c, with p minus the momentum of c.
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
