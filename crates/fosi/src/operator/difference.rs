//! Hessian-vector products as difference quotients of gradients.
//!
//! Av ≈ (∇f(θ + εv) − ∇f(θ))/ε, in `f64` and with a small ε. A step that crosses the kink of a ReLU adds
//! jump/ε to the product, and one hit among 40 products plants a false top eigenvalue; the smaller the
//! step, the rarer. Lanczos sees a hit as an asymmetry and asks for another step size ([`StepSizes`]).

use std::marker::PhantomData;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::SymmetricOperator;
use crate::error::{BoxError, Error, require};
use crate::space::{Host, Scalar, Space};

/// The step sizes that a guarded forward difference tries: ε, −ε, ε/10, −ε/10, … down to the smallest; for the first
/// product at last ±10ε, since along a random direction a product can be so short that it drowns in rounding at ε.
///
/// A product starts from the size that served the one before; the size never grows again.
#[derive(Debug, Clone, PartialEq)]
pub struct StepSizes {
    start: f64,
    current: f64,
    smallest: f64,
    /// Products begun.
    products: u64,
}

impl Default for StepSizes {
    /// From 1e-9 to 1e-11.
    fn default() -> Self {
        Self {
            start: 1e-9,
            current: 1e-9,
            smallest: 1e-11,
            products: 0,
        }
    }
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
            products: 0,
        })
    }

    /// The first size for a new product.
    pub fn first(&mut self) -> f64 {
        self.products += 1;
        self.start = self.start.min(self.current.abs());
        self.current = self.start;
        self.current
    }

    /// Forgets the sizes tried since the last one that served: all are open again for the next product.
    pub fn restart(&mut self) {
        self.products = 0;
        self.current = self.start;
    }

    /// The next size for the same product; `None` when all have been tried.
    pub fn next_size(&mut self) -> Option<f64> {
        let next = if self.current > 0.0 {
            -self.current
        } else if self.current < -self.start {
            return None;
        } else {
            -self.current / 10.0
        };
        // The tolerance absorbs the rounding of repeated divisions by ten.
        let next = if next.abs() >= 0.999 * self.smallest {
            next
        } else if self.products == 1 {
            10.0 * self.start
        } else {
            return None;
        };
        self.current = next;
        Some(next)
    }
}

/// The gradient of one function near a point θ, wherever its vectors live: what a [`DifferenceQuotient`] is made of.
///
/// The gradient must be that of the same function at every call: one batch, one dropout mask. [`HostGradient`] makes one of a
/// closure.
pub trait GradientNear {
    /// The space of the directions and products.
    type Space: Space;

    /// max(1, ‖θ‖∞): difference steps are relative to it, lest one drown in the rounding of a large θ.
    fn unit(&self) -> f64;
    /// Computes ∇f(θ) and keeps it: one gradient.
    fn start(&mut self) -> Result<(), BoxError>;
    /// out ← (∇f(θ + εv) − ∇f(θ))/ε, after [`start`](Self::start): one gradient.
    fn forward(
        &mut self,
        epsilon: f64,
        v: &<Self::Space as Space>::Vector,
        out: &mut <Self::Space as Space>::Vector,
    ) -> Result<(), BoxError>;
    /// out ← (∇f(θ + εv) − ∇f(θ − εv))/2ε: two gradients. May overwrite what [`start`](Self::start) kept.
    fn central(
        &mut self,
        epsilon: f64,
        v: &<Self::Space as Space>::Vector,
        out: &mut <Self::Space as Space>::Vector,
    ) -> Result<(), BoxError>;
    /// θ ← θ + ζ, with ζ normal from the seed, ‖ζ‖ about `size`·unit.
    fn shift(&mut self, seed: u64, size: f64);
}

/// How the quotient is taken.
#[derive(Debug, Clone)]
enum Scheme {
    Forward(StepSizes),
    Central(f64),
}

/// The Hessian of a function at θ, by difference quotients of its gradient.
///
/// ```
/// use fosi::operator::{DifferenceQuotient, HostGradient, SymmetricOperator};
///
/// // f(x) = x₀⁴ + x₁², with Hessian diag(12x₀², 2).
/// let gradient = |x: &[f64], g: &mut [f64]| {
///     g[0] = 4.0 * x[0].powi(3);
///     g[1] = 2.0 * x[1];
///     Ok(())
/// };
/// let mut hessian = DifferenceQuotient::new(HostGradient::new(&[1.0, 5.0], gradient));
/// let mut out = [0.0_f64; 2];
/// hessian.apply(&[1.0, 0.0], &mut out).unwrap();
/// assert!((out[0] - 12.0).abs() < 1e-4 && out[1].abs() < 1e-4);
/// ```
#[derive(Debug, Clone)]
pub struct DifferenceQuotient<G> {
    near: G,
    scheme: Scheme,
    /// Whether the gradient at the point is known.
    started: bool,
    shift_seed: Option<u64>,
    gradients: u64,
}

impl<G: GradientNear> DifferenceQuotient<G> {
    /// By forward differences with ε = 1e-9 (‖v‖ = 1), retried down to 1e-11, the first product of an estimation at last
    /// also at 1e-8, each times max(1, ‖θ‖∞). The gradient at the point is computed with the first product.
    pub fn new(near: G) -> Self {
        Self::with_steps(near, StepSizes::default())
    }

    /// The same with other step sizes. Larger steps suit smooth functions whose gradient is large beside its
    /// curvature.
    pub fn with_steps(near: G, steps: StepSizes) -> Self {
        Self::bare(near, Scheme::Forward(steps))
    }

    /// By central differences with ε = 1e-3 times max(1, ‖θ‖∞), for gradients in `f32`. Two gradients a product and no
    /// second try: for smooth functions only.
    pub fn central(near: G) -> Self {
        Self::bare(near, Scheme::Central(1e-3))
    }

    fn bare(near: G, scheme: Scheme) -> Self {
        Self {
            near,
            scheme,
            started: false,
            shift_seed: Some(0x7469_6573),
            gradients: 0,
        }
    }

    fn start(&mut self) -> Result<(), BoxError> {
        if !self.started {
            self.gradients += 1;
            self.near.start()?;
            self.started = true;
        }
        Ok(())
    }

    /// Gradients computed so far.
    pub fn gradients(&self) -> u64 {
        self.gradients
    }

    /// The gradient that it is made of, at θ, or θ + ζ after a [`shift`](SymmetricOperator::shift).
    pub fn near(&self) -> &G {
        &self.near
    }
}

impl<G: GradientNear> SymmetricOperator<G::Space> for DifferenceQuotient<G> {
    fn apply(
        &mut self,
        v: &<G::Space as Space>::Vector,
        out: &mut <G::Space as Space>::Vector,
    ) -> Result<(), BoxError> {
        let unit = self.near.unit();
        match &mut self.scheme {
            Scheme::Forward(steps) => {
                let epsilon = steps.first() * unit;
                self.start()?;
                self.gradients += 1;
                self.near.forward(epsilon, v, out)
            }
            Scheme::Central(epsilon) => {
                self.gradients += 2;
                self.near.central(*epsilon * unit, v, out)
            }
        }
    }

    fn retry(
        &mut self,
        v: &<G::Space as Space>::Vector,
        out: &mut <G::Space as Space>::Vector,
    ) -> Result<bool, BoxError> {
        let Scheme::Forward(steps) = &mut self.scheme else {
            return Ok(false);
        };
        let Some(epsilon) = steps.next_size() else {
            return Ok(false);
        };
        self.gradients += 1;
        self.near.forward(epsilon * self.near.unit(), v, out)?;
        Ok(true)
    }

    fn shift(&mut self) -> Result<bool, BoxError> {
        let (Scheme::Forward(steps), Some(seed)) = (&mut self.scheme, self.shift_seed.take())
        else {
            return Ok(false);
        };
        // None of them served; the last one tried is the one that drowns in rounding first.
        steps.restart();
        self.near.shift(seed, 1e-6);
        self.started = false;
        Ok(true)
    }

    fn tolerance(&self) -> f64 {
        match self.scheme {
            Scheme::Forward(_) => 1e-2,
            Scheme::Central(_) => 3e-2,
        }
    }
}

/// A gradient on the host, from a closure that writes ∇f(θ) in `f64`; products are in the type `T` of Lanczos' vectors.
#[derive(Debug, Clone)]
pub struct HostGradient<F, T> {
    gradient: F,
    point: Vec<f64>,
    at_point: Vec<f64>,
    moved: Vec<f64>,
    at_moved: Vec<f64>,
    unit: f64,
    scalar: PhantomData<T>,
}

impl<F, T> HostGradient<F, T>
where
    T: Scalar,
    F: FnMut(&[f64], &mut [f64]) -> Result<(), BoxError>,
{
    /// The gradient near `point`.
    pub fn new(point: &[f64], gradient: F) -> Self {
        let largest = point.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        let zeros = vec![0.0; point.len()];
        Self {
            gradient,
            at_point: zeros.clone(),
            moved: zeros.clone(),
            at_moved: zeros,
            point: point.to_vec(),
            unit: largest.max(1.0),
            scalar: PhantomData,
        }
    }

    /// θ.
    pub fn point(&self) -> &[f64] {
        &self.point
    }

    /// The gradient at θ + εv, left in `at_moved`.
    fn gradient_at(&mut self, epsilon: f64, v: &[T]) -> Result<(), BoxError> {
        for ((moved, point), v) in self.moved.iter_mut().zip(&self.point).zip(v) {
            *moved = point + epsilon * v.load();
        }
        (self.gradient)(&self.moved, &mut self.at_moved)
    }
}

impl<F, T> GradientNear for HostGradient<F, T>
where
    T: Scalar,
    F: FnMut(&[f64], &mut [f64]) -> Result<(), BoxError>,
{
    type Space = Host<T>;

    fn unit(&self) -> f64 {
        self.unit
    }

    fn start(&mut self) -> Result<(), BoxError> {
        (self.gradient)(&self.point, &mut self.at_point)
    }

    fn forward(&mut self, epsilon: f64, v: &[T], out: &mut [T]) -> Result<(), BoxError> {
        self.gradient_at(epsilon, v)?;
        for ((out, moved), at_point) in out.iter_mut().zip(&self.at_moved).zip(&self.at_point) {
            *out = T::store((moved - at_point) / epsilon);
        }
        Ok(())
    }

    fn central(&mut self, epsilon: f64, v: &[T], out: &mut [T]) -> Result<(), BoxError> {
        self.gradient_at(epsilon, v)?;
        std::mem::swap(&mut self.at_moved, &mut self.at_point);
        self.gradient_at(-epsilon, v)?;
        for ((out, minus), plus) in out.iter_mut().zip(&self.at_moved).zip(&self.at_point) {
            *out = T::store((plus - minus) / (2.0 * epsilon));
        }
        Ok(())
    }

    fn shift(&mut self, seed: u64, size: f64) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let size = size * self.unit / (self.point.len() as f64).sqrt();
        for x in &mut self.point {
            let normal: f64 = StandardNormal.sample(&mut random);
            *x += size * normal;
        }
    }
}
