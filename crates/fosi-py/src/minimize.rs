//! `fosi._fosi.minimize`.

use std::cell::RefCell;
use std::time::Duration;

use fosi::error::BoxError;
use fosi::minimize::{
    Count, Curvature, Estimation, FailedEstimation, Minimizer, Minimum, Objective, Options, Status,
};
use fosi::{Error, Host, Space};
use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::arrays::{Number, array, copy_vector, number, rows};
use crate::callbacks::Callbacks;
use crate::errors::exception;
use crate::lent::Lent;
use crate::threads::join_pool;

/// The settings of a minimisation; Python passes all of them.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub struct Settings {
    gtol: f64,
    gtol_rel: f64,
    ftol: f64,
    maxfun: u64,
    maxiter: Option<u64>,
    maxtime: Option<f64>,
    maxcor: usize,
    eigenpairs: Option<usize>,
    max_eigenpairs: usize,
    lanczos_steps: usize,
    estimate: bool,
    first_estimation: Option<u64>,
    lower_bound: Option<f64>,
    check_gradient: bool,
    check_minimum: bool,
    seed: u64,
    return_eigenvectors: bool,
}

impl Settings {
    fn options(&self) -> PyResult<Options> {
        let max_time = self.maxtime.map(|seconds| {
            Duration::try_from_secs_f64(seconds).map_err(|_| {
                let message =
                    format!("maxtime is {seconds:?}, but must be a number of seconds, at least 0");
                PyValueError::new_err(message)
            })
        });
        Ok(Options {
            gradient_norm: self.gtol,
            relative_gradient_norm: self.gtol_rel,
            value_change: self.ftol,
            max_cost: self.maxfun,
            max_steps: self.maxiter.unwrap_or(u64::MAX),
            max_time: max_time.transpose()?,
            memory: self.maxcor,
            eigenpairs: match self.eigenpairs {
                Some(count) => Count::Fixed(count),
                None => Count::Resolved(self.max_eigenpairs),
            },
            lanczos_steps: self.lanczos_steps,
            first_estimation: match self.estimate {
                true => self.first_estimation,
                false => Some(u64::MAX),
            },
            lower_bound: self.lower_bound,
            check_gradient: self.check_gradient,
            check_minimum: self.check_minimum,
            seed: self.seed,
            ..Options::default()
        })
    }
}

/// The result, a dictionary in Python.
#[derive(Debug, IntoPyObject)]
pub struct Outcome {
    x: Py<PyAny>,
    fun: f64,
    /// The gradient at x, if it is known.
    jac: Option<Py<PyAny>>,
    status: &'static str,
    message: String,
    steps: u64,
    cost: u64,
    /// Calls of `evaluate` and of `product`.
    evaluations: u64,
    products: u64,
    estimations: Vec<EstimationRecord>,
    failed_estimations: Vec<FailedRecord>,
    /// One per row: those of the last estimation that the minimiser used.
    eigenvectors: Option<Py<PyAny>>,
    curvature: &'static str,
    smallest_curvature: Option<f64>,
    seconds: f64,
}

/// See [`Estimation`].
#[derive(Debug, IntoPyObject)]
struct EstimationRecord {
    step: u64,
    cost: u64,
    eigenvalues: Py<PyAny>,
    residuals: Py<PyAny>,
    maximum: f64,
    minimum: f64,
    noise: f64,
    products: usize,
    gradients: u64,
    seconds: f64,
    in_metric: bool,
}

/// See [`FailedEstimation`].
#[derive(Debug, IntoPyObject)]
struct FailedRecord {
    step: u64,
    cost: u64,
    reason: String,
}

/// Minimises from `start`, a vector of f32 or f64.
///
/// `evaluate(x)` returns the value and the gradient, `product(x, v)` the Hessian-vector product; without `product`,
/// products are differences of gradients. `observe(x, value, steps, cost)` is called after each step with a new array, and
/// ends the run if it returns True.
///
/// Returns the outcome, and the exception that ended the run if one did. There is no outcome if the run had not begun.
#[pyfunction]
#[pyo3(signature = (evaluate, product, start, observe, settings))]
pub fn minimize(
    py: Python<'_>,
    evaluate: Py<PyAny>,
    product: Option<Py<PyAny>>,
    start: &Bound<'_, PyAny>,
    observe: Option<Py<PyAny>>,
    settings: Settings,
) -> PyResult<(Option<Outcome>, Option<PyErr>)> {
    let functions = Functions {
        evaluate,
        product,
        observe,
    };
    if let Ok(start) = start.cast::<PyArray1<f64>>() {
        return run(py, &functions, start, &settings);
    }
    match start.cast::<PyArray1<f32>>() {
        Ok(start) => run(py, &functions, start, &settings),
        Err(_) => Err(PyTypeError::new_err(
            "the start must be a vector of f32 or f64",
        )),
    }
}

/// The Python functions.
#[derive(Debug)]
struct Functions {
    evaluate: Py<PyAny>,
    product: Option<Py<PyAny>>,
    observe: Option<Py<PyAny>>,
}

fn run<T: Number>(
    py: Python<'_>,
    functions: &Functions,
    start: &Bound<'_, PyArray1<T>>,
    settings: &Settings,
) -> PyResult<(Option<Outcome>, Option<PyErr>)> {
    let options = settings.options()?;
    join_pool()?;
    let start = start.try_readonly()?.as_array().to_vec();
    let with_basis = settings.return_eigenvectors;
    let (found, calls) = py.detach(move || {
        let calls = RefCell::new(Calls::new(functions));
        let found = minimized(&calls, &start, options, with_basis);
        (found, calls.into_inner())
    });
    let outcome = match found {
        Ok(found) => Some(found.into_outcome(py, &calls)?),
        Err(error) if calls.callbacks.exception().is_none() => return Err(exception(error)),
        Err(_) => None,
    };
    Ok((outcome, calls.callbacks.into_exception()))
}

/// The functions of a run, and the numbers of their calls.
#[derive(Debug)]
struct Calls<'a> {
    functions: &'a Functions,
    callbacks: Callbacks,
    point: Lent,
    direction: Lent,
    evaluations: u64,
    products: u64,
}

impl<'a> Calls<'a> {
    fn new(functions: &'a Functions) -> Self {
        Self {
            functions,
            callbacks: Callbacks::default(),
            point: Lent::default(),
            direction: Lent::default(),
            evaluations: 0,
            products: 0,
        }
    }

    fn evaluate<T: Number>(&mut self, x: &[T], gradient: &mut [T]) -> Result<f64, BoxError> {
        let (evaluate, point) = (&self.functions.evaluate, &mut self.point);
        self.callbacks.call(|py| {
            self.evaluations += 1;
            let found = evaluate.bind(py).call1((point.fill(py, x)?,))?;
            let pair = (found.get_item(0), found.get_item(1));
            let (Ok(value), Ok(slope)) = pair else {
                let message = "with jac=True the function must return its value and its gradient; \
                               if it doesn't, give another function for the gradient as jac";
                return Err(PyTypeError::new_err(message));
            };
            copy_vector(&slope, "the gradient", gradient)?;
            number(&value, "the function")
        })
    }

    fn product<T: Number>(&mut self, x: &[T], v: &[T], out: &mut [T]) -> Result<(), BoxError> {
        let Some(product) = &self.functions.product else {
            return Ok(());
        };
        let (point, direction) = (&mut self.point, &mut self.direction);
        self.callbacks.call(|py| {
            self.products += 1;
            let arguments = (point.fill(py, x)?, direction.fill(py, v)?);
            let found = product.bind(py).call1(arguments)?;
            copy_vector(&found, "the Hessian-vector product", out)
        })
    }

    /// Whether the callback ends the run.
    fn observe<T: Number>(&mut self, run: &Minimizer<Host<T>>) -> Result<bool, BoxError> {
        let Some(observe) = &self.functions.observe else {
            return Ok(false);
        };
        self.callbacks.call(|py| {
            let x = PyArray1::from_slice(py, run.parameters());
            let arguments = (x, run.value(), run.steps(), run.cost());
            observe.bind(py).call1(arguments)?.extract()
        })
    }
}

/// The result of a minimisation, with the gradient and the eigenvectors.
struct Found<T: Number> {
    minimum: Minimum<Host<T>>,
    /// ∇f at the point of the outcome, if it is known.
    gradient: Option<Vec<T>>,
    basis: Option<Vec<Vec<T>>>,
}

/// Minimises step by step.
///
/// # Errors
/// If the run can't begin.
fn minimized<T: Number>(
    calls: &RefCell<Calls<'_>>,
    start: &[T],
    options: Options,
    with_basis: bool,
) -> Result<Found<T>, Error> {
    let space = Host::new(start.len());
    let evaluate = |x: &[T], g: &mut [T]| calls.borrow_mut().evaluate(x, g);
    let mut objective = Objective::on_host(space.clone(), evaluate);
    if calls.borrow().functions.product.is_some() {
        objective = objective.with_product(|x, v, out| calls.borrow_mut().product(x, v, out));
    }
    let mut run = Minimizer::new(&mut objective, start, options)?;
    let status = loop {
        if let Some(status) = run.step(&mut objective) {
            break status;
        }
        match calls.borrow_mut().observe(&run) {
            Ok(false) => {}
            Ok(true) => break Status::Stopped,
            Err(error) => break Status::Failed(Error::User(error).into()),
        }
    };
    // The point with the lowest value may differ from the last one, usually through rounding of the values.
    let gradient = match is_last(&status, run.best().value, run.value()) {
        true => Some(run.gradient().to_vec()),
        false => {
            let mut gradient = space.zeros();
            let again = calls
                .borrow_mut()
                .evaluate(&run.best().parameters, &mut gradient);
            again.is_ok().then_some(gradient)
        }
    };
    let vectors = |basis| {
        let column = |index| space.column(basis, index);
        (0..space.size(basis)).map(column).collect()
    };
    Ok(Found {
        gradient,
        basis: run.basis().filter(|_| with_basis).map(vectors),
        minimum: run.finish(status),
    })
}

/// Whether the outcome is the last point and not the one with the lowest value: if its value is as low, or its gradient is
/// as small as requested.
fn is_last(status: &Status, best: f64, last: f64) -> bool {
    matches!(status, Status::GradientNorm) || best >= last
}

impl<T: Number> Found<T> {
    fn into_outcome(self, py: Python<'_>, calls: &Calls<'_>) -> PyResult<Outcome> {
        let minimum = self.minimum;
        let dim = minimum.last.parameters.len();
        let last = is_last(&minimum.status, minimum.best.value, minimum.last.value);
        let point = if last { minimum.last } else { minimum.best };
        let (curvature, smallest_curvature) = match minimum.curvature {
            Curvature::NoneNegative { smallest } => ("none negative", Some(smallest)),
            Curvature::Unresolved { smallest } => ("unresolved", Some(smallest)),
            Curvature::Negative { smallest } => ("negative", Some(smallest)),
            _ => ("not examined", None),
        };
        let estimations = minimum.estimations.into_iter();
        Ok(Outcome {
            x: array(py, point.parameters),
            fun: point.value,
            jac: self.gradient.map(|gradient| array(py, gradient)),
            status: name(&minimum.status),
            message: minimum.status.to_string(),
            steps: minimum.steps,
            cost: minimum.cost,
            evaluations: calls.evaluations,
            products: calls.products,
            estimations: estimations.map(|e| EstimationRecord::of(py, e)).collect(),
            failed_estimations: minimum
                .failed_estimations
                .into_iter()
                .map(FailedRecord::of)
                .collect(),
            eigenvectors: self.basis.map(|basis| rows(py, basis, dim)).transpose()?,
            curvature,
            smallest_curvature,
            seconds: minimum.seconds,
        })
    }
}

/// The reason why a run stopped, as a word.
fn name(status: &Status) -> &'static str {
    match status {
        Status::GradientNorm => "gradient",
        Status::ValueChange => "value",
        Status::Stalled => "stalled",
        Status::MaxCost => "cost",
        Status::MaxSteps => "steps",
        Status::MaxTime => "time",
        Status::Stopped => "stopped",
        Status::NonFinite => "non-finite",
        Status::Unbounded => "unbounded",
        _ => "failed",
    }
}

impl EstimationRecord {
    fn of(py: Python<'_>, estimation: Estimation) -> Self {
        Self {
            step: estimation.step,
            cost: estimation.cost,
            eigenvalues: array(py, estimation.eigenvalues),
            residuals: array(py, estimation.residuals),
            maximum: estimation.largest,
            minimum: estimation.smallest,
            noise: estimation.info.noise,
            products: estimation.info.products,
            gradients: estimation.gradients,
            seconds: estimation.seconds,
            in_metric: estimation.in_metric,
        }
    }
}

impl FailedRecord {
    fn of(failed: FailedEstimation) -> Self {
        Self {
            step: failed.step,
            cost: failed.cost,
            reason: failed.reason,
        }
    }
}
