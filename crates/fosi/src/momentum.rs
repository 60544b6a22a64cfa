//! The momentum rule of a base (paper, §3.4).

/// The linear momentum rule of a base. FOSI applies the same rule to the coefficients of the subspace (paper, §3.4).
///
/// For the gradient's coefficients c, c̄₊ = decay·c̄ + gain·c. The Newton step uses c̄₊ or, with `lookahead`, decay·c̄₊
/// + gain·c; with `bias_correction`, it divides this by 1 − decayᵗ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Momentum {
    /// β; 0 for a base without momentum.
    pub decay: f64,
    /// Weight of the new gradient.
    pub gain: f64,
    /// Nesterov's form: the direction looks one step ahead.
    pub lookahead: bool,
    /// Adam's form: corrects the bias of the start at zero.
    pub bias_correction: bool,
}

impl Momentum {
    /// No momentum: c̄ = c.
    pub const NONE: Self = Self {
        decay: 0.0,
        gain: 1.0,
        lookahead: false,
        bias_correction: false,
    };

    /// Updates c̄ with c at step t (from 1) and writes the coefficients for the Newton step to `out`.
    pub fn apply(&self, step: u64, c: &[f64], c_bar: &mut [f64], out: &mut [f64]) {
        let correction = if self.bias_correction {
            1.0 / (1.0 - self.decay.powf(step as f64))
        } else {
            1.0
        };
        for ((c, c_bar), out) in c.iter().zip(c_bar).zip(out) {
            *c_bar = self.decay * *c_bar + self.gain * c;
            let seen = if self.lookahead {
                self.decay * *c_bar + self.gain * c
            } else {
                *c_bar
            };
            *out = correction * seen;
        }
    }
}
