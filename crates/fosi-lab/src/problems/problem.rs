//! A function to minimise, with its start and its known minima.

use std::fmt;

use fosi::minimize::Objective;

use super::{Function, Solution};

/// The relative gap at which a problem with a known minimum counts as solved.
const TOLERANCE: f64 = 1e-8;

/// Computes the solution of a network's equation for given parameters.
type Solve = Box<dyn Fn(&[f64]) -> Solution + Send + Sync>;

/// A function to minimise.
/// The fields contain known facts about the function; [`Problem::function`] returns the function for other callers,
/// [`Problem::objective`] for [`fosi::minimize::minimize`].
pub struct Problem {
    /// The name by which [`named`](super::named) finds it.
    pub name: &'static str,
    /// A short description.
    pub summary: &'static str,
    /// The dimension n.
    pub dim: usize,
    /// The values of f at the known local minima, the lowest first, or the infimum if there is no minimum; empty if
    /// unknown. The values for the set of Moré, Garbow and Hillstrom are theirs (ACM TOMS 7, 1981), refined to double
    /// precision.
    pub minima: Vec<f64>,
    /// Whether f ≥ 0 everywhere.
    pub nonnegative: bool,
    /// The relative gap (f − f*)/(f₀ − f*) at which the problem counts as solved, usually 1e-8.
    pub tolerance: f64,
    start: Box<dyn Fn(u64) -> Vec<f64> + Send + Sync>,
    function: Box<dyn Fn() -> Box<dyn Function> + Send + Sync>,
    solution: Option<Solve>,
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem")
            .field("name", &self.name)
            .field("dim", &self.dim)
            .field("minima", &self.minima)
            .finish_non_exhaustive()
    }
}

impl Problem {
    /// A nonnegative function without a known minimum, starting from 0.
    pub(crate) fn new(
        name: &'static str,
        summary: &'static str,
        dim: usize,
        function: impl Fn() -> Box<dyn Function> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            summary,
            dim,
            minima: Vec::new(),
            nonnegative: true,
            tolerance: TOLERANCE,
            start: Box::new(move |_| vec![0.0; dim]),
            function: Box::new(function),
            solution: None,
        }
    }

    /// Starts at the point that `start` returns for a seed.
    pub(crate) fn starting_at(
        mut self,
        start: impl Fn(u64) -> Vec<f64> + Send + Sync + 'static,
    ) -> Self {
        self.start = Box::new(start);
        self
    }

    pub(crate) fn with_minima(mut self, minima: Vec<f64>) -> Self {
        self.minima = minima;
        self
    }

    pub(super) fn with_solution(
        mut self,
        solution: impl Fn(&[f64]) -> Solution + Send + Sync + 'static,
    ) -> Self {
        self.solution = Some(Box::new(solution));
        self
    }

    /// The start point. If the function has its own start, it is the same for all seeds.
    pub fn start(&self, seed: u64) -> Vec<f64> {
        (self.start)(seed)
    }

    /// The function, with its own memory.
    pub fn function(&self) -> Box<dyn Function> {
        (self.function)()
    }

    /// The function and its exact products for [`fosi::minimize::minimize`].
    pub fn objective(&self) -> Objective<'static> {
        let (mut gradient, mut product) = (self.function(), self.function());
        Objective::new(self.dim, move |x, g| Ok(gradient.gradient(x, g))).with_product(
            move |x, v, out| {
                product.product(x, v, out);
                Ok(())
            },
        )
    }

    /// Whether `value` counts as solved after a start at `start_value`: f − f* ≤ ε(f₀ − f*) for a known minimum f*.
    /// `None` without a known minimum: such problems are compared by the value reached within a budget.
    pub fn solved(&self, start_value: f64, value: f64) -> Option<bool> {
        let reaches = |minimum: &f64| value - minimum <= self.tolerance * (start_value - minimum);
        let (lowest, others) = self.minima.split_first()?;
        let at_other = |minimum: &f64| {
            reaches(minimum) && minimum - value <= self.tolerance * (start_value - minimum)
        };
        Some(reaches(lowest) || others.iter().any(at_other))
    }

    /// Whether this is a physics-informed network whose equation has a known solution.
    pub fn has_solution(&self) -> bool {
        self.solution.is_some()
    }

    /// The solution of the network with the parameters `x` and the exact solution, if there is one.
    pub fn solution(&self, x: &[f64]) -> Option<Solution> {
        Some(self.solution.as_ref()?(x))
    }

    /// ‖u − u*‖/‖u*‖ on the grid of [`solution`](Self::solution).
    pub fn relative_error(&self, x: &[f64]) -> Option<f64> {
        Some(self.solution(x)?.relative_error())
    }
}
