//! Quadratics with a million variables.

use std::sync::Arc;

use fosi::{Host, Space};

use super::{Function, Problem};

const N: usize = 1_000_000;
const OUTLIERS: i32 = 10;

/// f(x) = ½ Σ λᵢxᵢ² in its eigenbasis: λ is geometrically spaced from 1 to `condition`, plus ten outliers, from
/// 10·`condition` on with a factor of two. The start is normal.
///
/// A rotated basis would not affect methods that only use inner products, but would dominate the cost.
pub(super) fn outliers(name: &'static str, summary: &'static str, condition: f64) -> Problem {
    let eigenvalues: Arc<[f64]> = eigenvalues(condition).into();
    let function = move || -> Box<dyn Function> {
        Box::new(Diagonal {
            eigenvalues: eigenvalues.clone(),
        })
    };
    Problem::new(name, summary, N, function)
        .starting_at(|seed| Host::<f64>::new(N).normal(seed))
        .with_minima(vec![0.0])
}

fn eigenvalues(condition: f64) -> Vec<f64> {
    let bulk = N - OUTLIERS as usize;
    let step = condition.ln() / (bulk - 1) as f64;
    let bulk = (0..bulk).map(|i| (i as f64 * step).exp());
    let outliers = (0..OUTLIERS).map(|j| 10.0 * condition * 2f64.powi(j));
    bulk.chain(outliers).collect()
}

struct Diagonal {
    eigenvalues: Arc<[f64]>,
}

impl Function for Diagonal {
    fn gradient(&mut self, x: &[f64], gradient: &mut [f64]) -> f64 {
        const LANES: usize = 8;
        // Several running sums, so that an addition need not wait for the previous one.
        let mut sums = [0.0; LANES];
        let blocks = x.chunks(LANES).zip(self.eigenvalues.chunks(LANES));
        for ((x, eigenvalues), g) in blocks.zip(gradient.chunks_mut(LANES)) {
            for (((sum, g), x), eigenvalue) in sums.iter_mut().zip(g).zip(x).zip(eigenvalues) {
                *g = eigenvalue * x;
                *sum += *g * x;
            }
        }
        0.5 * sums.iter().sum::<f64>()
    }

    fn product(&mut self, _x: &[f64], v: &[f64], out: &mut [f64]) {
        for ((out, v), eigenvalue) in out.iter_mut().zip(v).zip(self.eigenvalues.iter()) {
            *out = eigenvalue * v;
        }
    }
}
