//! Pairs of steps and gradient changes, and the inverse Hessian that they define.

use std::collections::VecDeque;

use crate::error::RivalError;
use crate::numbers::{dot, norm};
use crate::state::Arrays;

/// The minimum of sᵀy/(‖s‖‖y‖).
const LEAST_CURVATURE: f64 = 1e-10;

/// The pairs, oldest first, in f32.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    pairs: VecDeque<Pair>,
}

#[derive(Debug, Clone)]
struct Pair {
    step: Vec<f32>,
    change: Vec<f32>,
    /// sᵀy.
    curvature: f64,
    /// sᵀy/yᵀy.
    scale: f64,
}

impl Pair {
    /// A pair; `None` without positive curvature.
    fn new(step: Vec<f32>, change: Vec<f32>) -> Option<Self> {
        let (s, y) = (doubles(&step), doubles(&change));
        let curvature = dot(&s, &y);
        let square = dot(&y, &y);
        (curvature > LEAST_CURVATURE * norm(&s) * square.sqrt()).then(|| Self {
            scale: curvature / square,
            step,
            change,
            curvature,
        })
    }
}

impl History {
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    /// Adds a pair if its curvature is positive; drops the oldest pair if there are already `most`.
    pub fn push(&mut self, step: &[f64], change: &[f64], most: usize) {
        let single = |x: &[f64]| x.iter().map(|x| *x as f32).collect();
        if let Some(pair) = Pair::new(single(step), single(change)) {
            if self.pairs.len() == most {
                self.pairs.pop_front();
            }
            self.pairs.push_back(pair);
        }
    }

    /// −Hg (Nocedal, Wright 2006, algorithm 7.4).
    pub fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut d: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut along = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let a = mixed_dot(&pair.step, &d) / pair.curvature;
            mixed_axpy(-a, &pair.change, &mut d);
            along.push(a);
        }
        if let Some(newest) = self.pairs.back() {
            d.iter_mut().for_each(|d| *d *= newest.scale);
        }
        for (pair, a) in self.pairs.iter().zip(along.into_iter().rev()) {
            let b = mixed_dot(&pair.change, &d) / pair.curvature;
            mixed_axpy(a - b, &pair.step, &mut d);
        }
        d
    }

    pub fn store(&self, arrays: &mut Arrays) {
        for (index, pair) in self.pairs.iter().enumerate() {
            arrays.put(format!("step{index}"), &pair.step);
            arrays.put(format!("change{index}"), &pair.change);
        }
    }

    /// The history of `count` pairs of length `n` from the arrays of [`store`](Self::store).
    pub fn restored(count: usize, n: usize, arrays: &mut Arrays) -> Result<Self, RivalError> {
        let pair = |index| {
            let step = arrays.take(&format!("step{index}"), n)?;
            let change = arrays.take(&format!("change{index}"), n)?;
            let flat = || RivalError::State(format!("pair {index} has no positive curvature"));
            Pair::new(step, change).ok_or_else(flat)
        };
        let pairs = (0..count).map(pair).collect::<Result<_, _>>()?;
        Ok(Self { pairs })
    }
}

fn doubles(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

/// xᵀy in f64, with several running sums.
fn mixed_dot(x: &[f32], y: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    for (x, y) in x.chunks(LANES).zip(y.chunks(LANES)) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += f64::from(*x) * y;
        }
    }
    sums.iter().sum()
}

fn mixed_axpy(a: f64, x: &[f32], y: &mut [f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * f64::from(*x);
    }
}
