use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use strum::IntoEnumIterator;

use super::argmin_problem::guarded;
use super::meter::Meter;
use super::record::Stopped;
use super::solver::{Solver, SolverOptions};
use crate::interrupt::Interrupt;
use crate::problems::{Function, Problem};

/// Counts of function calls.
#[derive(Clone, Default)]
struct Calls {
    gradients: Arc<AtomicU64>,
    products: Arc<AtomicU64>,
}

/// Rosenbrock's function with a count of its calls.
struct Counting(Calls);

impl Function for Counting {
    fn gradient(&mut self, x: &[f64], gradient: &mut [f64]) -> f64 {
        self.0.gradients.fetch_add(1, Ordering::Relaxed);
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        gradient.copy_from_slice(&[-2.0 * a - 400.0 * x[0] * b, 200.0 * b]);
        a * a + 100.0 * b * b
    }

    fn product(&mut self, x: &[f64], v: &[f64], out: &mut [f64]) {
        self.0.products.fetch_add(1, Ordering::Relaxed);
        let (xx, xy) = (2.0 - 400.0 * (x[1] - 3.0 * x[0] * x[0]), -400.0 * x[0]);
        out.copy_from_slice(&[xx * v[0] + xy * v[1], xy * v[0] + 200.0 * v[1]]);
    }
}

fn rosenbrock(calls: &Calls) -> Problem {
    let calls = calls.clone();
    let function = move || -> Box<dyn Function> { Box::new(Counting(calls.clone())) };
    Problem::new("test", "Rosenbrock's function", 2, function)
        .starting_at(|_| vec![-1.2, 1.0])
        .with_minima(vec![0.0])
}

const OPTIONS: SolverOptions = SolverOptions { memory: 5, seed: 0 };

#[test]
fn the_cost_is_the_number_of_calls() {
    for budget in [7, 5_000] {
        for solver in Solver::iter() {
            let calls = Calls::default();
            let problem = rosenbrock(&calls);
            let interrupt = Interrupt::new();
            let meter = RefCell::new(Meter::new(
                &problem,
                &[-1.2, 1.0],
                budget,
                &interrupt,
                &|_| {},
            ));
            solver.minimize(&meter, &[-1.2, 1.0], OPTIONS);
            let metered = meter.into_inner().finish();
            let gradients = calls.gradients.load(Ordering::Relaxed);
            let products = calls.products.load(Ordering::Relaxed);
            assert_eq!(metered.gradients, gradients, "{solver}");
            assert_eq!(metered.products, products, "{solver}");
            assert!(gradients + products <= budget, "{solver}");
            let solved = metered.best.value <= 1e-8 * 24.2;
            assert_eq!(metered.solved_at.is_some(), solved, "{solver}");
            assert_eq!(solved, budget > 7, "{solver}: f = {}", metered.best.value);
        }
    }
}

#[test]
fn an_interrupt_ends_every_solver() {
    for solver in Solver::iter() {
        let calls = Calls::default();
        let problem = rosenbrock(&calls);
        let interrupt = Interrupt::new();
        interrupt.request();
        let meter = RefCell::new(Meter::new(
            &problem,
            &[-1.2, 1.0],
            1_000,
            &interrupt,
            &|_| {},
        ));
        solver.minimize(&meter, &[-1.2, 1.0], OPTIONS);
        assert_eq!(calls.gradients.load(Ordering::Relaxed), 1, "{solver}");
    }
}

#[test]
fn a_panic_of_a_solver_is_a_failure_of_its_run() {
    let empty: [f64; 0] = std::hint::black_box([]);
    let ending = guarded(|| Ok(empty.first().unwrap().to_string()));
    assert_eq!(ending.stopped, Stopped::Failed);
}
