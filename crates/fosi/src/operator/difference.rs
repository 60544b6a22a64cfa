//! Hessian-vector products as difference quotients of gradients.
//!
//! Av ≈ (∇f(θ + εv) − ∇f(θ))/ε, in `f64` and with a small ε. A step that crosses the kink of a ReLU adds
//! jump/ε to the product, and one hit among 40 products plants a false top eigenvalue; the smaller the
//! step, the rarer. Lanczos sees a hit as an asymmetry and asks for another step size ([`StepSizes`]).

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::SymmetricOperator;
use crate::error::{BoxError, Error, require};
use crate::space::{Host, Scalar};

/// The step sizes that a guarded forward difference tries: ε, −ε, ε/10, −ε/10, … down to the smallest.
///
/// A product starts from the size that served the one before; the size never grows again.
#[derive(Debug, Clone, PartialEq)]
pub struct StepSizes {
    start: f64,
    current: f64,
    smallest: f64,
}

impl StepSizes {
    /// Sizes from `start` to `smallest`, both positive.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] where the sizes are not finite and positive, or out of order.
    pub fn new(start: f64, smallest: f64) -> Result<Self, Error> {
        let allowed = "positive and finite";
        require(
            start > 0.0 && start.is_finite(),
            "difference step",
            start,
            allowed,
        )?;
        let ordered = smallest > 0.0 && smallest <= start;
        require(
            ordered,
            "smallest difference step",
            smallest,
            "positive, at most the first step",
        )?;
        Ok(Self {
            start,
            current: start,
            smallest,
        })
    }

    /// The first size for a new product.
    pub fn first(&mut self) -> f64 {
        self.start = self.start.min(self.current.abs());
        self.current = self.start;
        self.current
    }

    /// The next size for the same product; `None` when all have been tried.
    pub fn next_size(&mut self) -> Option<f64> {
        let next = if self.current > 0.0 {
            -self.current
        } else {
            -self.current / 10.0
        };
        // The tolerance absorbs the rounding of repeated divisions by ten.
        if next.abs() < 0.999 * self.smallest {
            return None;
        }
        self.current = next;
        Some(next)
    }
}

/// How the quotient is taken.
#[derive(Debug, Clone)]
enum Scheme {
    Forward(StepSizes),
    Central(f64),
}

/// The Hessian of a function at θ, by difference quotients of its gradient in `f64`.
///
/// The gradient must be that of the same function at every call: one batch, one dropout mask.
///
/// ```
/// use fosi::{Host, operator::{DifferenceQuotient, SymmetricOperator}};
///
/// // f(x) = x₀⁴ + x₁², with Hessian diag(12x₀², 2).
/// let gradient = |x: &[f64], g: &mut [f64]| {
///     g[0] = 4.0 * x[0].powi(3);
///     g[1] = 2.0 * x[1];
///     Ok(())
/// };
/// let mut hessian = DifferenceQuotient::new(&[1.0, 5.0], gradient)?;
/// let mut out = [0.0; 2];
/// SymmetricOperator::<Host<f64>>::apply(&mut hessian, &[1.0, 0.0], &mut out).unwrap();
/// assert!((out[0] - 12.0).abs() < 1e-4 && out[1].abs() < 1e-4);
/// # Ok::<(), fosi::Error>(())
/// ```
pub struct DifferenceQuotient<F> {
    gradient: F,
    point: Vec<f64>,
    at_point: Vec<f64>,
    moved: Vec<f64>,
    at_moved: Vec<f64>,
    scheme: Scheme,
    /// Steps are relative to this: max(1, ‖θ‖∞), lest a step drown in the rounding of a large θ.
    unit: f64,
    shift_seed: Option<u64>,
    gradients: u64,
}

impl<F: FnMut(&[f64], &mut [f64]) -> Result<(), BoxError>> DifferenceQuotient<F> {
    /// The Hessian at `point`, by forward differences with ε = 1e-9 (‖v‖ = 1), retried down to 1e-11, each times
    /// max(1, ‖θ‖∞). Computes the gradient at the point.
    ///
    /// # Errors
    /// [`Error::User`] where the gradient fails.
    pub fn new(point: &[f64], gradient: F) -> Result<Self, Error> {
        Self::with_steps(point, gradient, StepSizes::new(1e-9, 1e-11)?)
    }

    /// The same with other step sizes. Larger steps suit smooth functions whose gradient is large beside its
    /// curvature.
    ///
    /// # Errors
    /// [`Error::User`] where the gradient fails.
    pub fn with_steps(point: &[f64], gradient: F, steps: StepSizes) -> Result<Self, Error> {
        let mut quotient = Self::bare(point, gradient, Scheme::Forward(steps));
        quotient.start().map_err(Error::User)?;
        Ok(quotient)
    }

    /// The Hessian by central differences with ε = 1e-3, (∇f(θ+εv) − ∇f(θ−εv))/2ε, for gradients in `f32`. Two
    /// gradients a product and no second try: for smooth functions only.
    pub fn central(point: &[f64], gradient: F) -> Self {
        Self::bare(point, gradient, Scheme::Central(1e-3))
    }

    fn bare(point: &[f64], gradient: F, scheme: Scheme) -> Self {
        let largest = point.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        Self {
            gradient,
            at_point: vec![0.0; point.len()],
            moved: vec![0.0; point.len()],
            at_moved: vec![0.0; point.len()],
            point: point.to_vec(),
            scheme,
            unit: largest.max(1.0),
            shift_seed: Some(0x7469_6573),
            gradients: 0,
        }
    }

    /// The point at which the Hessian is taken: θ, or θ + ζ after a [`shift`](SymmetricOperator::shift).
    pub fn point(&self) -> &[f64] {
        &self.point
    }

    /// Gradients computed so far.
    pub fn gradients(&self) -> u64 {
        self.gradients
    }

    fn start(&mut self) -> Result<(), BoxError> {
        self.gradients += 1;
        (self.gradient)(&self.point, &mut self.at_point)
    }

    /// The gradient at θ + εv, left in `at_moved`.
    fn gradient_at<T: Scalar>(&mut self, epsilon: f64, v: &[T]) -> Result<(), BoxError> {
        for ((moved, point), v) in self.moved.iter_mut().zip(&self.point).zip(v) {
            *moved = point + epsilon * v.load();
        }
        self.gradients += 1;
        (self.gradient)(&self.moved, &mut self.at_moved)
    }

    fn forward<T: Scalar>(&mut self, epsilon: f64, v: &[T], out: &mut [T]) -> Result<(), BoxError> {
        let epsilon = epsilon * self.unit;
        self.gradient_at(epsilon, v)?;
        for ((out, moved), at_point) in out.iter_mut().zip(&self.at_moved).zip(&self.at_point) {
            *out = T::store((moved - at_point) / epsilon);
        }
        Ok(())
    }
}

impl<T, F> SymmetricOperator<Host<T>> for DifferenceQuotient<F>
where
    T: Scalar,
    F: FnMut(&[f64], &mut [f64]) -> Result<(), BoxError>,
{
    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<(), BoxError> {
        match &mut self.scheme {
            Scheme::Forward(steps) => {
                let epsilon = steps.first();
                self.forward(epsilon, v, out)
            }
            Scheme::Central(epsilon) => {
                let epsilon = *epsilon * self.unit;
                self.gradient_at(epsilon, v)?;
                std::mem::swap(&mut self.at_moved, &mut self.at_point);
                self.gradient_at(-epsilon, v)?;
                for ((out, minus), plus) in out.iter_mut().zip(&self.at_moved).zip(&self.at_point) {
                    *out = T::store((plus - minus) / (2.0 * epsilon));
                }
                Ok(())
            }
        }
    }

    fn retry(&mut self, v: &[T], out: &mut [T]) -> Result<bool, BoxError> {
        let Scheme::Forward(steps) = &mut self.scheme else {
            return Ok(false);
        };
        let Some(epsilon) = steps.next_size() else {
            return Ok(false);
        };
        self.forward(epsilon, v, out)?;
        Ok(true)
    }

    fn shift(&mut self) -> Result<bool, BoxError> {
        let (Scheme::Forward(_), Some(seed)) = (&self.scheme, self.shift_seed.take()) else {
            return Ok(false);
        };
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let size = 1e-6 * self.unit / (self.point.len() as f64).sqrt();
        for x in &mut self.point {
            let normal: f64 = StandardNormal.sample(&mut random);
            *x += size * normal;
        }
        self.start()?;
        Ok(true)
    }

    fn tolerance(&self) -> f64 {
        match self.scheme {
            Scheme::Forward(_) => 1e-2,
            Scheme::Central(_) => 3e-2,
        }
    }
}
