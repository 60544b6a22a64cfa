//! The solver under argmin's executor: minima, counts, observers, checkpoints, errors.

use argmin::core::checkpointing::{Checkpoint, CheckpointingFrequency};
use argmin::core::{CostFunction, Error, Executor, Gradient, IterState, State, TerminationReason};
use argmin_checkpointing_file::FileCheckpoint;
use fosi::minimize::{Objective, Options, minimize};
use fosi_argmin::{HessianProduct, SpectralLbfgs};

type Iterate = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// The chained Rosenbrock function.
#[derive(Clone)]
struct Valley;

fn value_and_gradient(x: &[f64]) -> (f64, Vec<f64>) {
    let mut gradient = vec![0.0; x.len()];
    let mut value = 0.0;
    for i in 0..x.len() - 1 {
        let (a, b) = (1.0 - x[i], x[i + 1] - x[i] * x[i]);
        value += a * a + 100.0 * b * b;
        gradient[i] += -2.0 * a - 400.0 * x[i] * b;
        gradient[i + 1] += 200.0 * b;
    }
    (value, gradient)
}

impl CostFunction for Valley {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        Ok(value_and_gradient(x).0)
    }
}

impl Gradient for Valley {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(value_and_gradient(x).1)
    }
}

impl HessianProduct for Valley {
    fn hessian_product(&self, x: &[f64], v: &[f64]) -> Result<Vec<f64>, Error> {
        let mut out = vec![0.0; x.len()];
        for i in 0..x.len() - 1 {
            let cross = -400.0 * x[i];
            out[i] += (2.0 + 1200.0 * x[i] * x[i] - 400.0 * x[i + 1]) * v[i] + cross * v[i + 1];
            out[i + 1] += cross * v[i] + 200.0 * v[i + 1];
        }
        Ok(out)
    }
}

fn start() -> Vec<f64> {
    [-1.2, 1.0].repeat(30)
}

fn options() -> Options {
    Options {
        first_estimation: Some(20),
        lanczos_steps: 30,
        ..Options::default()
    }
}

/// A run of argmin takes the same steps as [`minimize`] and counts each evaluation.
#[test]
fn the_executor_takes_the_steps_of_minimize() {
    let f = Objective::new(60, |x: &[f64], g: &mut [f64]| {
        let (value, gradient) = value_and_gradient(x);
        g.copy_from_slice(&gradient);
        Ok(value)
    });
    let expected = minimize(f, &start(), options()).unwrap();
    let result = Executor::new(Valley, SpectralLbfgs::new(options()))
        .configure(|state| state.param(start()).counting(true))
        .run()
        .unwrap();
    let state = result.state();
    assert_eq!(
        state.get_termination_reason(),
        Some(&TerminationReason::SolverConverged)
    );
    assert_eq!(state.get_best_param().unwrap(), &expected.best.parameters);
    let run = result.solver().minimizer().unwrap();
    assert_eq!((run.cost(), run.steps()), (expected.cost, expected.steps));
    // The checks at the start add seven: one for determinism, two for each of three directions.
    let counts = state.get_func_counts();
    assert_eq!(counts["gradient_count"], expected.gradients + 7);
    assert_eq!(counts["cost_count"], counts["gradient_count"]);
    assert!(!expected.estimations.is_empty());
}

#[test]
fn exact_products_are_the_problems_own() {
    let result = Executor::new(Valley, SpectralLbfgs::with_products(options()))
        .configure(|state| state.param(start()).counting(true))
        .run()
        .unwrap();
    let state = result.state();
    assert!(state.get_best_cost() < 1e-12, "{}", state.get_best_cost());
    let run = result.solver().minimizer().unwrap();
    let products: usize = run.estimations().iter().map(|e| e.info.products).sum();
    assert!(products >= 30);
    assert_eq!(
        state.get_func_counts()["hessian_product_count"],
        products as u64
    );
}

#[test]
fn the_limits_of_argmin_hold() {
    let run = |configure: fn(Iterate) -> Iterate| {
        let executor = Executor::new(Valley, SpectralLbfgs::new(options())).configure(configure);
        let result = executor.run().unwrap();
        let state = result.state();
        (state.get_iter(), state.get_termination_reason().cloned())
    };
    let (iterations, reason) = run(|state| state.param(start()).max_iters(7));
    assert_eq!(
        (iterations, reason),
        (7, Some(TerminationReason::MaxItersReached))
    );
    let (_, reason) = run(|state| state.param(start()).target_cost(50.0));
    assert_eq!(reason, Some(TerminationReason::TargetCostReached));
}

#[test]
fn a_run_resumed_from_argmins_checkpoint_is_bit_equal() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = |name| {
        let frequency = CheckpointingFrequency::Always;
        FileCheckpoint::new(folder.path().to_str().unwrap(), name, frequency)
    };
    let run = |name, iterations| {
        let result = Executor::new(Valley, SpectralLbfgs::new(options()))
            .configure(|state| state.param(start()).max_iters(iterations))
            .checkpointing(checkpoint(name))
            .run()
            .unwrap();
        let bits: Vec<u64> = result
            .state()
            .get_param()
            .unwrap()
            .iter()
            .map(|x| x.to_bits())
            .collect();
        (
            bits,
            result.state().get_iter(),
            result.solver().minimizer().unwrap().cost(),
        )
    };
    let expected = run("whole", 90);
    run("half", 40);
    // argmin's checkpoint includes the iteration limit.
    let (solver, state): (SpectralLbfgs, Iterate) = checkpoint("half").load().unwrap().unwrap();
    assert_eq!(solver.minimizer().unwrap().steps(), 40);
    checkpoint("half")
        .save(&solver, &state.max_iters(90))
        .unwrap();
    assert_eq!(run("half", 1), expected);
}

/// A gradient of a different function.
struct Wrong;

impl CostFunction for Wrong {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        Ok(x.iter().map(|x| x * x).sum())
    }
}

impl Gradient for Wrong {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(x.iter().map(|x| -2.0 * x).collect())
    }
}

#[test]
fn bad_input_is_an_error_with_its_reason() {
    let message = |result: Result<(), Error>| result.unwrap_err().to_string();
    let run = |start: Option<Vec<f64>>| {
        let executor = Executor::new(Wrong, SpectralLbfgs::default());
        let executor = executor.configure(|state| match start {
            Some(start) => state.param(start),
            None => state,
        });
        executor.run().map(drop)
    };
    assert!(message(run(None)).contains("the start is missing"));
    assert!(message(run(Some(vec![1.0, 2.0]))).contains("check the gradient"));
    assert!(message(run(Some(Vec::new()))).contains("at least 1"));
}
