//! The pairs of L-BFGS and their two-loop recursion (Nocedal, 1980; Nocedal and Wright, *Numerical Optimization*, §7.2).

use std::borrow::Borrow;
use std::collections::VecDeque;

use crate::space::Space;

/// One pair: a step s = x₊ − x and the change y = ∇f(x₊) − ∇f(x) of the gradient along it.
struct Pair<S: Space> {
    step: S::Owned,
    change: S::Owned,
    /// ρ = 1/(sᵀy).
    reciprocal: f64,
}

/// The newest pairs, at most `memory` of them.
pub(super) struct Pairs<S: Space> {
    pairs: VecDeque<Pair<S>>,
    memory: usize,
    /// a of the two-loop recursion, one for each pair.
    coefficients: Vec<f64>,
}

impl<S: Space> Pairs<S> {
    pub(super) fn new(memory: usize) -> Self {
        Self {
            pairs: VecDeque::with_capacity(memory),
            memory,
            coefficients: Vec::with_capacity(memory),
        }
    }

    pub(super) fn clear(&mut self) {
        self.pairs.clear();
    }

    /// Two vectors for the next pair: those of the oldest one, where it has to make room.
    pub(super) fn memory_for_next(&mut self, space: &S) -> (S::Owned, S::Owned) {
        let full = self.pairs.len() == self.memory;
        match self.pairs.pop_front().filter(|_| full) {
            Some(oldest) => (oldest.step, oldest.change),
            None => (space.zeros(), space.zeros()),
        }
    }

    /// Takes in a pair of positive curvature, sᵀy > 0.
    pub(super) fn push(&mut self, step: S::Owned, change: S::Owned, curvature: f64) {
        if self.memory == 0 {
            return;
        }
        self.pairs.push_back(Pair {
            step,
            change,
            reciprocal: 1.0 / curvature,
        });
    }

    /// q ← Hq, where H is H₀ updated with the pairs, oldest first. `initial` computes q ← H₀q.
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
