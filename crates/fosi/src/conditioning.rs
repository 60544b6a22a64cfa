//! Lemma 4 of the paper: the Newton rates α for which FOSI does not worsen the condition number.

/// The eigenvalues of a positive definite Hessian on which Lemma 4 depends, as a refresh estimates them.
///
/// With the identity as the base's preconditioner and the base's learning rate η, the effective Hessian P⁻¹H has the
/// eigenvalue α in the Newton step's subspace and ηλ_{k+1} ≥ … ≥ ηλ_{n−ℓ} in its complement. Lemma 4 says when its
/// condition number is at most κ = λ₁/λ_n, that of H.
///
/// ```
/// use fosi::{Conditioning, Lemma4};
///
/// let hessian = Conditioning { largest: 10.0, next: 0.1, last: 0.01, smallest: 0.01 };
/// let eta = 0.5;
/// let (low, high) = hessian.newton_rates(eta);
/// assert!((low / 5e-5 - 1.0).abs() < 1e-12 && (high / 5.0 - 1.0).abs() < 1e-12);
/// assert_eq!(hessian.lemma_4(eta, 1.0), Some(Lemma4::Above));
/// assert_eq!(hessian.lemma_4(eta, 6.0), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditioning {
    /// λ₁.
    pub largest: f64,
    /// λ_{k+1}: the largest eigenvalue of the complement.
    pub next: f64,
    /// λ_{n−ℓ}: the smallest eigenvalue of the complement.
    pub last: f64,
    /// λ_n.
    pub smallest: f64,
}

/// The cases of Lemma 4. In each, the condition number of P⁻¹H is at most that of H.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lemma4 {
    /// ηλ_{k+1}/κ ≤ α < ηλ_{n−ℓ}.
    Below,
    /// ηλ_{n−ℓ} ≤ α ≤ ηλ_{k+1}.
    Between,
    /// ηλ_{k+1} < α ≤ ηλ_{n−ℓ}·κ, which is ηλ₁ for ℓ = 0.
    Above,
}

impl Conditioning {
    /// `None` unless the eigenvalues are positive and finite.
    pub fn new(largest: f64, next: f64, last: f64, smallest: f64) -> Option<Self> {
        let eigenvalues = [largest, next, last, smallest];
        let positive = eigenvalues.iter().all(|x| *x > 0.0 && x.is_finite());
        positive.then_some(Self {
            largest,
            next,
            last,
            smallest,
        })
    }

    /// κ = λ₁/λ_n: the condition number of H.
    pub fn condition(&self) -> f64 {
        self.largest / self.smallest
    }

    /// The condition number of P⁻¹H.
    pub fn effective_condition(&self, learning_rate: f64, newton_rate: f64) -> f64 {
        let (next, last) = (learning_rate * self.next, learning_rate * self.last);
        newton_rate.max(next) / newton_rate.min(last)
    }

    /// The interval [ηλ_{k+1}/κ, ηλ_{n−ℓ}·κ] of the Newton rates α for which one of the cases holds.
    pub fn newton_rates(&self, learning_rate: f64) -> (f64, f64) {
        let condition = self.condition();
        (
            learning_rate * self.next / condition,
            learning_rate * self.last * condition,
        )
    }

    /// The case that holds; `None` if α is outside the [interval](Self::newton_rates).
    pub fn lemma_4(&self, learning_rate: f64, newton_rate: f64) -> Option<Lemma4> {
        let (low, high) = self.newton_rates(learning_rate);
        let case = if newton_rate < learning_rate * self.last {
            Lemma4::Below
        } else if newton_rate > learning_rate * self.next {
            Lemma4::Above
        } else {
            Lemma4::Between
        };
        (low <= newton_rate && newton_rate <= high).then_some(case)
    }
}
