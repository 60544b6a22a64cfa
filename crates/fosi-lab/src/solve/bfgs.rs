//! BFGS with a dense inverse Hessian.
//!
//! argmin's BFGS updates the matrix by matrix products with n³ operations per step, which takes minutes for n = 1000.
//! This one applies the same rank-two update in n² operations. The line search is argmin's.

use std::cell::RefCell;

use argmin::core::{Error, Executor, Gradient, IterState, LineSearch, OptimizationResult};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin_math::ArgminSub;

use super::argmin_problem::{ArgminProblem, guarded};
use super::meter::Meter;
use super::solver::Ending;

/// Starts from H₀ = I, scaled to sᵀy/yᵀy by the first pair. Pairs with sᵀy ≤ 0 are skipped.
pub(super) fn bfgs(meter: &RefCell<Meter<'_>>, start: &[f64]) -> Ending {
    let problem = ArgminProblem::new(meter);
    guarded(|| {
        steps(&problem, start.to_vec())?;
        Ok("no step changes the point any more".to_owned())
    })
}

fn steps(problem: &ArgminProblem<'_, '_>, mut x: Vec<f64>) -> Result<(), Error> {
    let mut inverse = InverseHessian::new(x.len());
    let mut gradient = problem.gradient(&x)?;
    loop {
        let direction = inverse.times(&gradient).into_iter().map(|d| -d).collect();
        let next = search(problem, &x, &gradient, direction)?;
        let next_gradient = problem.gradient(&next)?;
        let (s, y) = (next.sub(&x), next_gradient.sub(&gradient));
        if s.iter().all(|s| *s == 0.0) {
            return Ok(());
        }
        inverse.update(&s, &y);
        (x, gradient) = (next, next_gradient);
    }
}

/// The point accepted by the line search.
fn search(
    problem: &ArgminProblem<'_, '_>,
    x: &[f64],
    gradient: &[f64],
    direction: Vec<f64>,
) -> Result<Vec<f64>, Error> {
    type Along = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;
    let mut line_search = MoreThuenteLineSearch::new();
    line_search.search_direction(direction);
    let OptimizationResult { mut state, .. } =
        Executor::<_, _, Along>::new(problem.clone(), line_search)
            .configure(|state| state.param(x.to_vec()).gradient(gradient.to_vec()))
            .ctrlc(false)
            .run()?;
    Ok(state.take_param().unwrap_or_else(|| x.to_vec()))
}

/// The inverse Hessian approximated from the pairs, row by row.
struct InverseHessian {
    rows: Vec<f64>,
    n: usize,
    scaled: bool,
}

impl InverseHessian {
    fn new(n: usize) -> Self {
        let mut rows = vec![0.0; n * n];
        rows.iter_mut().step_by(n + 1).for_each(|h| *h = 1.0);
        Self {
            rows,
            n,
            scaled: false,
        }
    }

    fn times(&self, v: &[f64]) -> Vec<f64> {
        self.rows
            .chunks_exact(self.n)
            .map(|row| dot(row, v))
            .collect()
    }

    /// H + (1 + yᵀHy/sᵀy)·ssᵀ/sᵀy − (s(Hy)ᵀ + (Hy)sᵀ)/sᵀy.
    fn update(&mut self, s: &[f64], y: &[f64]) {
        let sy = dot(s, y);
        if sy.is_nan() || sy <= 0.0 {
            return;
        }
        if !self.scaled {
            let scale = sy / dot(y, y);
            self.rows
                .iter_mut()
                .step_by(self.n + 1)
                .for_each(|h| *h = scale);
            self.scaled = true;
        }
        let hy = self.times(y);
        let along = (1.0 + dot(&hy, y) / sy) / sy;
        for ((row, si), hyi) in self.rows.chunks_exact_mut(self.n).zip(s).zip(&hy) {
            let (of_s, of_hy) = (along * si - hyi / sy, -si / sy);
            for ((h, s), hy) in row.iter_mut().zip(s).zip(&hy) {
                *h += of_s * s + of_hy * hy;
            }
        }
    }
}

/// Uses several running sums, so that an addition need not wait for the previous one.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}
