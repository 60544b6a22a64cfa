//! The pairs of L-BFGS and their two-loop recursion (Nocedal, 1980; Nocedal and Wright, *Numerical Optimization*,
//! §7.2).

use std::borrow::Borrow;
use std::collections::VecDeque;

use crate::space::Space;

/// One pair: a step s = x₊ − x and the change y = ∇f(x₊) − ∇f(x) of the gradient along it.
pub(super) struct Pair<S: Space> {
    pub(super) step: S::Owned,
    pub(super) change: S::Owned,
    /// ρ = 1/(sᵀy).
    pub(super) reciprocal: f64,
}

/// The newest pairs, at most `memory` of them.
pub(super) struct Pairs<S: Space> {
    pairs: VecDeque<Pair<S>>,
    memory: usize,
    /// The coefficient a of the two-loop recursion for each pair.
    coefficients: Vec<f64>,
    /// Memory for the next pair.
    spare: Option<(S::Owned, S::Owned)>,
}

impl<S: Space> Pairs<S> {
    pub(super) fn new(memory: usize) -> Self {
        Self {
            pairs: VecDeque::new(),
            memory,
            coefficients: Vec::new(),
            spare: None,
        }
    }

    pub(super) fn clear(&mut self) {
        self.pairs.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Two vectors for the next pair.
    pub(super) fn take_memory(&mut self, space: &S) -> (S::Owned, S::Owned) {
        self.spare
            .take()
            .unwrap_or_else(|| (space.zeros(), space.zeros()))
    }

    /// Takes back vectors that were not needed.
    pub(super) fn return_memory(&mut self, vectors: (S::Owned, S::Owned)) {
        self.spare = Some(vectors);
    }

    /// The pairs, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pair<S>> {
        self.pairs.iter()
    }

    /// Adds a pair with positive curvature, sᵀy > 0; drops the oldest pair if the memory is full.
    pub(super) fn push(&mut self, pair: Pair<S>) {
        self.pairs.push_back(pair);
        if self.pairs.len() > self.memory {
            let oldest = self.pairs.pop_front();
            self.spare = oldest.map(|oldest| (oldest.step, oldest.change));
        }
    }

    /// q ← Hq, where H is H₀ updated with the pairs from oldest to newest. `initial` computes q ← H₀q.
    pub(super) fn apply(
        &mut self,
        space: &S,
        q: &mut S::Vector,
        initial: impl FnOnce(&mut S::Vector),
    ) {
        self.coefficients.clear();
        for pair in self.pairs.iter().rev() {
            let a = pair.reciprocal * space.dot(pair.step.borrow(), q);
            space.axpby(-a, pair.change.borrow(), 1.0, q);
            self.coefficients.push(a);
        }
        initial(q);
        for (pair, a) in self.pairs.iter().zip(self.coefficients.iter().rev()) {
            let b = pair.reciprocal * space.dot(pair.change.borrow(), q);
            space.axpby(a - b, pair.step.borrow(), 1.0, q);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Host;

    /// Hq by the dense formula H₊ = (I − ρsyᵀ)H(I − ρysᵀ) + ρssᵀ, from H₀ = 0.5·I, newest pair last.
    fn dense(pairs: &[([f64; 3], [f64; 3])], q: [f64; 3]) -> Vec<f64> {
        let dot = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let Some(((s, y), before)) = pairs.split_last() else {
            return q.iter().map(|q| 0.5 * q).collect();
        };
        let reciprocal = 1.0 / dot(s, y);
        let along = reciprocal * dot(s, &q);
        let inner = dense(before, std::array::from_fn(|i| q[i] - along * y[i]));
        let back = reciprocal * inner.iter().zip(y).map(|(a, b)| a * b).sum::<f64>();
        (0..3).map(|i| inner[i] + (along - back) * s[i]).collect()
    }

    #[test]
    fn the_recursion_is_the_bfgs_update_with_the_newest_pairs() {
        let space = Host::<f64>::new(3);
        let given = [
            ([1.0, 0.2, 0.0], [3.0, 0.5, 0.1]),
            ([0.1, 1.0, -0.3], [0.2, 2.0, 0.4]),
            ([0.3, -0.2, 1.0], [0.5, 0.1, 1.5]),
            ([-0.5, 0.4, 0.6], [-1.0, 0.7, 1.2]),
        ];
        let q = [1.0, -2.0, 0.7];
        for memory in 0..=5 {
            let mut pairs = Pairs::<Host<f64>>::new(memory);
            for (s, y) in &given {
                let (mut step, mut change) = pairs.take_memory(&space);
                step.copy_from_slice(s);
                change.copy_from_slice(y);
                let reciprocal = 1.0 / space.dot(s, y);
                pairs.push(Pair {
                    step,
                    change,
                    reciprocal,
                });
            }
            let mut found = q;
            pairs.apply(&space, &mut found, |q| q.iter_mut().for_each(|q| *q *= 0.5));
            let kept = &given[given.len() - memory.min(given.len())..];
            for (found, expected) in found.iter().zip(dense(kept, q)) {
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{memory}: {found} {expected}"
                );
            }
        }
    }
}
