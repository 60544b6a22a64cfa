//! Hessian-vector products as difference quotients of gradients.
//!
//! Av ≈ (∇f(θ + εv) − ∇f(θ))/ε, in `f64` and with a small ε. A step that crosses a ReLU kink adds jump/ε to the
//! product, and one such product among 40 creates a false top eigenvalue. Smaller steps cross kinks less often. Lanczos
//! detects a crossing as asymmetry and asks for another step size ([`StepSizes`]).

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::symmetric::SymmetricOperator;
use crate::error::{BoxError, Error, require};
use crate::float::norm;
use crate::space::{Host, Scalar, Space};

/// The step sizes that a guarded difference quotient tries, relative to the coordinates'
/// [units](GradientOracle::units).
///
/// The first product of an estimation starts at ε = `start`; ε grows tenfold, up to `largest`, while the gradients'
/// rounding, ‖∇f(θ)‖·`roundoff`/ε, is not small relative to the product. From that ε on, the tries are ε, −ε, ε/10,
/// −ε/10, … down to `smallest`·max{1, ε/`start`}. The first product ends with ±10ε, since along a random direction the
/// product may be hidden by rounding at ε. A later product starts from the smallest size accepted so far; the size
/// never grows again.
#[derive(Debug, Clone, PartialEq)]
pub struct StepSizes {
    start: f64,
    smallest: f64,
    largest: f64,
    /// The size of the first try at the current product.
    first: f64,
    current: f64,
    /// Products started.
    products: u64,
}

impl Default for StepSizes {
    /// Starts at 1e-9, with bounds of 1e-11 and 1e-4.
    fn default() -> Self {
        Self::bounded(1e-9, 1e-11, 1e-4)
    }
}

impl StepSizes {
    /// Sizes from `start` down to `smallest`, both positive; up to 1e-4, or `start` where that is larger.
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
        Ok(Self::bounded(start, smallest, start.max(1e-4)))
    }

    const fn bounded(start: f64, smallest: f64, largest: f64) -> Self {
        Self {
            start,
            smallest,
            largest,
            first: start,
            current: start,
            products: 0,
        }
    }

    /// The first size for a new product.
    pub fn first(&mut self) -> f64 {
        self.products += 1;
        self.first = self.first.min(self.current.abs());
        self.current = self.first;
        self.current
    }

    /// Raises the size tenfold, for the first product of an estimation; `None` if that is too large, and for other
    /// products.
    pub fn raise(&mut self) -> Option<f64> {
        let raised = 10.0 * self.first;
        // The tolerance absorbs the rounding of repeated multiplications.
        if !self.is_first_product() || self.current != self.first || raised > 1.001 * self.largest {
            return None;
        }
        self.first = raised;
        self.current = raised;
        Some(raised)
    }

    fn is_first_product(&self) -> bool {
        self.products == 1
    }

    /// Discards the failed tries, so that the next product may use all sizes again.
    pub fn restart(&mut self) {
        self.products = 0;
        self.first = self.first.min(self.start);
        self.current = self.first;
    }

    /// The next size for the same product; `None` once all have been tried.
    pub fn next_size(&mut self) -> Option<f64> {
        let next = if self.current > 0.0 {
            -self.current
        } else if self.current < -self.first {
            return None;
        } else {
            -self.current / 10.0
        };
        let smallest = self.smallest * (self.first / self.start).max(1.0);
        // The tolerance absorbs the rounding of repeated divisions by ten.
        let next = if next.abs() >= 0.999 * smallest {
            next
        } else if self.is_first_product() {
            10.0 * self.first
        } else {
            return None;
        };
        self.current = next;
        Some(next)
    }

    /// The last size tried.
    fn current(&self) -> f64 {
        self.current
    }
}

/// The gradient of one function near a point θ, from which a [`DifferenceQuotient`] is computed, in any space.
///
/// Every call must use the same function: one batch, one dropout mask. [`HostGradient`] wraps a closure.
///
/// Difference steps are relative to the magnitude of the coordinates: one absolute step would be lost to rounding at a
/// large θᵢ or be too long at a small θⱼ. Coordinates of similar magnitude (|θᵢ| ≤ 1e3, ≤ 1e6, …) form a group G with
/// the unit max{1, max |θᵢ|}. A quotient is the sum over groups of the quotient along v_G, which is v with the other
/// groups' entries zero: Σ_G (∇f(θ + ε·unit_G·v_G) − ∇f(θ))/(ε·unit_G). If no |θᵢ| exceeds 1,000, there is one group.
pub trait GradientOracle {
    /// The space of the directions and products.
    type Space: Space;

    /// The space.
    fn space(&self) -> &Self::Space;
    /// The groups' units, ascending; at least one.
    fn units(&self) -> &[f64];
    /// The unit roundoff u of the precision in which the gradient is computed.
    fn roundoff(&self) -> f64;
    /// Computes and stores ∇f(θ) and returns its norm. Costs one gradient.
    fn start(&mut self) -> Result<f64, BoxError>;
    /// out ← ∇f(θ) as stored by [`start`](Self::start).
    fn gradient(&self, out: &mut <Self::Space as Space>::Vector);
    /// out ← the forward difference quotient along v with the relative step ε; requires [`start`](Self::start). Costs
    /// one gradient per group.
    fn forward(
        &mut self,
        epsilon: f64,
        v: &<Self::Space as Space>::Vector,
        out: &mut <Self::Space as Space>::Vector,
    ) -> Result<(), BoxError>;
    /// out ← the central difference quotient along v with the relative step ε. Costs two gradients per group and may
    /// overwrite the gradient stored by [`start`](Self::start).
    fn central(
        &mut self,
        epsilon: f64,
        v: &<Self::Space as Space>::Vector,
        out: &mut <Self::Space as Space>::Vector,
    ) -> Result<(), BoxError>;
    /// θ ← θ + ζ, with ζᵢ = `size`·max{1, |θᵢ|}·ξᵢ/√n and ξ standard normal, drawn from `seed`.
    fn shift(&mut self, seed: u64, size: f64);
    /// Exchanges θ with the point before the last [`shift`](Self::shift), if there was a shift.
    fn exchange_shifted(&mut self);
}

/// The first group contains magnitudes up to this; the bound of each next group is larger by this factor.
const GROUP_RATIO: f64 = 1e3;

/// The index of the group of a coordinate: 0 for |θᵢ| ≤ 1e3, 1 for |θᵢ| ≤ 1e6, and so on.
pub fn magnitude_group(theta: f64) -> usize {
    let (mut group, mut bound) = (0, GROUP_RATIO);
    while theta.abs() > bound && bound.is_finite() {
        group += 1;
        bound *= GROUP_RATIO;
    }
    group
}

/// The difference scheme.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scheme {
    Forward,
    Central,
}

/// The Hessian of a function at θ, from difference quotients of its gradient.
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
    oracle: G,
    scheme: Scheme,
    steps: StepSizes,
    /// ‖∇f(θ)‖, once it is known.
    gradient_norm: Option<f64>,
    shift_seed: Option<u64>,
    shifted: bool,
    gradients: u64,
}

/// The size of the shift away from an exact tie, relative to the coordinates' magnitudes.
const SHIFT: f64 = 1e-6;
/// The step, relative to the units, over which the curvature at the tie is averaged: the length of a training step.
/// Over shorter steps the jump of the gradient at the kink dominates.
const AVERAGED: f64 = 1e-3;

impl<G: GradientOracle> DifferenceQuotient<G> {
    /// Forward differences with ε = 1e-9 (‖v‖ = 1) times the [units](GradientOracle::units); ε grows up to 1e-4 if the
    /// gradients are so large that their rounding would hide the curvature. Retries go down to ε/100 and, for the first
    /// product of an estimation, finally to 10ε. The first product also computes the gradient at the point.
    pub fn new(oracle: G) -> Self {
        Self::with_steps(oracle, StepSizes::default())
    }

    /// Like `new`, with other step sizes. Larger steps suit smooth functions.
    pub fn with_steps(oracle: G, steps: StepSizes) -> Self {
        Self::bare(oracle, Scheme::Forward, steps)
    }

    /// Central differences for gradients in `f32`, with ε = 1e-3 times the units, up to 0.1 if the gradients are large.
    /// A product costs two gradients and has no retry; one more gradient, at the point, gives the norm. For smooth
    /// functions only.
    pub fn central(oracle: G) -> Self {
        let steps = StepSizes::bounded(1e-3, 1e-3, 0.1);
        Self::bare(oracle, Scheme::Central, steps)
    }

    fn bare(oracle: G, scheme: Scheme, steps: StepSizes) -> Self {
        Self {
            oracle,
            scheme,
            steps,
            gradient_norm: None,
            shift_seed: Some(0x7469_6573),
            shifted: false,
            gradients: 0,
        }
    }

    /// Computes the gradient at the point unless it is known.
    fn start(&mut self) -> Result<(), BoxError> {
        if self.gradient_norm.is_none() {
            self.gradients += 1;
            self.gradient_norm = Some(self.oracle.start()?);
        }
        Ok(())
    }

    /// Computes the quotient with one step size.
    fn quotient(
        &mut self,
        epsilon: f64,
        v: &<G::Space as Space>::Vector,
        out: &mut <G::Space as Space>::Vector,
    ) -> Result<(), BoxError> {
        let groups = self.oracle.units().len() as u64;
        match self.scheme {
            Scheme::Forward => {
                self.gradients += groups;
                self.oracle.forward(epsilon, v, out)
            }
            Scheme::Central => {
                self.gradients += 2 * groups;
                self.oracle.central(epsilon, v, out)
            }
        }
    }

    /// u‖∇f(θ)‖/ε: the rounding error of a quotient.
    fn rounding(&self) -> f64 {
        let unit = self.oracle.units().first().copied().unwrap_or(1.0);
        let norm = self.gradient_norm.unwrap_or(0.0);
        self.oracle.roundoff() * norm / (self.steps.current().abs() * unit)
    }

    /// Whether rounding is so large a part of the quotient that agreement of two quotients proves nothing.
    fn drowns_in_rounding(&self, quotient: &<G::Space as Space>::Vector) -> bool {
        let length = self.oracle.space().norm(quotient);
        length.is_finite() && self.rounding() > 0.1 * self.allowed_asymmetry() * length
    }

    fn allowed_asymmetry(&self) -> f64 {
        match self.scheme {
            Scheme::Forward => 1e-2,
            Scheme::Central => 3e-2,
        }
    }

    /// The number of gradients computed so far.
    pub fn gradients(&self) -> u64 {
        self.gradients
    }

    /// The gradient oracle, at θ, or at θ + ζ after a [`shift`](SymmetricOperator::shift).
    pub fn oracle(&self) -> &G {
        &self.oracle
    }
}

impl<G: GradientOracle> SymmetricOperator<G::Space> for DifferenceQuotient<G> {
    fn dim(&self) -> Option<usize> {
        Some(self.oracle.space().dim())
    }

    fn noise(&self) -> f64 {
        self.rounding()
    }

    fn apply(
        &mut self,
        v: &<G::Space as Space>::Vector,
        out: &mut <G::Space as Space>::Vector,
    ) -> Result<(), BoxError> {
        let mut epsilon = Some(self.steps.first());
        self.start()?;
        while let Some(size) = epsilon {
            self.quotient(size, v, out)?;
            epsilon = if self.steps.is_first_product() && self.drowns_in_rounding(out) {
                self.steps.raise()
            } else {
                None
            };
        }
        Ok(())
    }

    fn retry(
        &mut self,
        v: &<G::Space as Space>::Vector,
        out: &mut <G::Space as Space>::Vector,
    ) -> Result<bool, BoxError> {
        if self.scheme == Scheme::Central {
            return Ok(false);
        }
        let Some(epsilon) = self.steps.next_size() else {
            return Ok(false);
        };
        self.quotient(epsilon, v, out)?;
        Ok(true)
    }

    fn shift(&mut self) -> Result<bool, BoxError> {
        if self.scheme == Scheme::Central {
            return Ok(false);
        }
        let Some(seed) = self.shift_seed.take() else {
            return Ok(false);
        };
        // All sizes failed; the last one tried is the most affected by rounding.
        self.steps.restart();
        self.oracle.shift(seed, SHIFT);
        self.gradient_norm = None;
        self.shifted = true;
        Ok(true)
    }

    fn apply_before_shift(
        &mut self,
        v: &<G::Space as Space>::Vector,
        out: &mut <G::Space as Space>::Vector,
    ) -> Result<bool, BoxError> {
        if !self.shifted {
            return Ok(false);
        }
        self.gradients += 2 * self.oracle.units().len() as u64;
        self.oracle.exchange_shifted();
        let result = self.oracle.central(AVERAGED, v, out);
        self.oracle.exchange_shifted();
        // The stored gradient at the point may be overwritten.
        self.gradient_norm = None;
        result.map(|()| true)
    }

    /// ∇f(θ).
    fn start_vector(&mut self, out: &mut <G::Space as Space>::Vector) -> Result<bool, BoxError> {
        if self.scheme == Scheme::Central {
            // A central quotient may have overwritten the stored gradient.
            self.gradient_norm = None;
        }
        self.start()?;
        self.oracle.gradient(out);
        Ok(true)
    }

    fn tolerance(&self) -> f64 {
        self.allowed_asymmetry()
    }
}

/// A gradient on the host, from a closure that writes ∇f(θ) in `f64`; products have the type `T` of Lanczos' vectors.
#[derive(Debug, Clone)]
pub struct HostGradient<F, T> {
    gradient: F,
    space: Host<T>,
    point: Vec<f64>,
    /// θ, if `point` is θ + ζ.
    before_shift: Option<Vec<f64>>,
    at_point: Vec<f64>,
    moved: Vec<f64>,
    at_moved: Vec<f64>,
    units: Vec<f64>,
    /// Each coordinate's group; empty if there is only one group.
    groups: Vec<u8>,
    roundoff: f64,
}

impl<F, T> HostGradient<F, T>
where
    T: Scalar,
    F: FnMut(&[f64], &mut [f64]) -> Result<(), BoxError>,
{
    /// The gradient near `point`.
    pub fn new(point: &[f64], gradient: F) -> Self {
        let zeros = vec![0.0; point.len()];
        let (units, groups) = magnitude_groups(point);
        Self {
            gradient,
            space: Host::new(point.len()),
            at_point: zeros.clone(),
            moved: zeros.clone(),
            at_moved: zeros,
            point: point.to_vec(),
            before_shift: None,
            units,
            groups,
            roundoff: f64::EPSILON / 2.0,
        }
    }

    /// Sets the unit roundoff of the precision in which the gradient is computed; default that of `f64`.
    pub fn with_roundoff(mut self, roundoff: f64) -> Self {
        self.roundoff = roundoff;
        self
    }

    /// θ.
    pub fn point(&self) -> &[f64] {
        &self.point
    }

    /// Writes the gradient at θ + εv_G to `at_moved`, for the group G with this index.
    fn gradient_at(&mut self, epsilon: f64, v: &[T], group: usize) -> Result<(), BoxError> {
        let entries = self.moved.iter_mut().zip(&self.point).zip(v);
        if self.groups.is_empty() {
            entries.for_each(|((moved, point), v)| *moved = point + epsilon * v.load());
        } else {
            for (((moved, point), v), of) in entries.zip(&self.groups) {
                let inside = usize::from(*of) == group;
                *moved = if inside {
                    point + epsilon * v.load()
                } else {
                    *point
                };
            }
        }
        (self.gradient)(&self.moved, &mut self.at_moved)
    }

    /// Adds (a − b)/ε to `out`; for the first group, sets `out` to it.
    fn accumulate(group: usize, out: &mut [T], a: &[f64], b: &[f64], epsilon: f64) {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            let sum = if group == 0 { 0.0 } else { out.load() };
            *out = T::store(sum + (a - b) / epsilon);
        }
    }
}

/// The units of the nonempty groups, and each coordinate's index into them; no indices if there is one group.
fn magnitude_groups(point: &[f64]) -> (Vec<f64>, Vec<u8>) {
    let of: Vec<usize> = point.iter().map(|x| magnitude_group(*x)).collect();
    let mut present = of.clone();
    present.sort_unstable();
    present.dedup();
    let unit = |group: &usize| {
        let members = point.iter().zip(&of).filter(|(_, of)| *of == group);
        members.fold(1.0, |unit: f64, (x, _)| unit.max(x.abs()))
    };
    if present.len() < 2 {
        return (vec![present.first().map_or(1.0, unit)], Vec::new());
    }
    // At most 103 groups, since f64 ends at 1.8e308.
    let index = |of: &usize| present.binary_search(of).unwrap_or(0) as u8;
    (
        present.iter().map(unit).collect(),
        of.iter().map(index).collect(),
    )
}

impl<F, T> GradientOracle for HostGradient<F, T>
where
    T: Scalar,
    F: FnMut(&[f64], &mut [f64]) -> Result<(), BoxError>,
{
    type Space = Host<T>;

    fn space(&self) -> &Host<T> {
        &self.space
    }

    fn units(&self) -> &[f64] {
        &self.units
    }

    fn roundoff(&self) -> f64 {
        self.roundoff
    }

    fn start(&mut self) -> Result<f64, BoxError> {
        (self.gradient)(&self.point, &mut self.at_point)?;
        Ok(norm(self.at_point.iter().copied()))
    }

    fn gradient(&self, out: &mut [T]) {
        for (out, x) in out.iter_mut().zip(&self.at_point) {
            *out = T::store(*x);
        }
    }

    fn forward(&mut self, epsilon: f64, v: &[T], out: &mut [T]) -> Result<(), BoxError> {
        for group in 0..self.units.len() {
            let epsilon = epsilon * self.units[group];
            self.gradient_at(epsilon, v, group)?;
            Self::accumulate(group, out, &self.at_moved, &self.at_point, epsilon);
        }
        Ok(())
    }

    fn central(&mut self, epsilon: f64, v: &[T], out: &mut [T]) -> Result<(), BoxError> {
        for group in 0..self.units.len() {
            let epsilon = epsilon * self.units[group];
            self.gradient_at(epsilon, v, group)?;
            std::mem::swap(&mut self.at_moved, &mut self.at_point);
            self.gradient_at(-epsilon, v, group)?;
            Self::accumulate(group, out, &self.at_point, &self.at_moved, 2.0 * epsilon);
        }
        Ok(())
    }

    fn shift(&mut self, seed: u64, size: f64) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let size = size / (self.point.len() as f64).sqrt();
        self.before_shift = Some(self.point.clone());
        for x in &mut self.point {
            let normal: f64 = StandardNormal.sample(&mut random);
            *x += size * x.abs().max(1.0) * normal;
        }
    }

    fn exchange_shifted(&mut self) {
        if let Some(before) = &mut self.before_shift {
            std::mem::swap(before, &mut self.point);
        }
    }
}
