//! The Hessian of an [`Objective`] at a point, and the cost of its products.

use std::borrow::{Borrow, BorrowMut};

use super::history::Deadline;
use super::objective::Objective;
use crate::error::BoxError;
use crate::operator::{
    Counted, DifferenceQuotient, GradientOracle, HostGradient, SymmetricOperator,
};
use crate::space::{Host, Scalar, Space};

/// The cost of an estimation's products.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ProductCost {
    /// Gradients computed for difference quotients.
    pub(super) gradients: u64,
    /// Hessian-vector products.
    pub(super) products: u64,
}

impl ProductCost {
    /// Whether the products are exact rather than difference quotients.
    pub(super) fn is_exact(&self) -> bool {
        self.gradients == 0
    }
}

/// The error of evaluations after the deadline.
#[derive(Debug, thiserror::Error)]
#[error("the time is used up")]
pub(super) struct Late;

/// # Errors
/// [`Late`] after the deadline.
fn check_deadline(deadline: Option<&Deadline>) -> Result<(), BoxError> {
    match deadline {
        Some(deadline) if deadline.is_over() => Err(Late.into()),
        _ => Ok(()),
    }
}

/// Calls `with` with the Hessian at x: exact, or guarded difference quotients of gradients, central ones in less than
/// f64. After the deadline every product, and every gradient of a quotient, fails with [`Late`].
pub(super) fn with_hessian<S: Space + Clone, R>(
    objective: &mut Objective<'_, S>,
    x: &S::Vector,
    deadline: Option<&Deadline>,
    with: impl FnOnce(&S, &mut dyn SymmetricOperator<S>) -> R,
) -> (R, ProductCost) {
    let space = objective.space.clone();
    let in_time = || check_deadline(deadline);
    let mut cost = ProductCost::default();
    if let Some(product) = &mut objective.product {
        let product = |x: &S::Vector, v: &S::Vector, out: &mut S::Vector| {
            in_time()?;
            cost.products += 1;
            product(x, v, out)
        };
        let result = with(&space, &mut Exact { x, product });
        return (result, cost);
    }
    let mut gradient = |x: &S::Vector, g: &mut S::Vector| {
        in_time()?;
        cost.gradients += 1;
        (objective.evaluate)(x, g).map(drop)
    };
    let mut quotient = (objective.quotient)(&space, x, &mut gradient);
    let result = with(&space, &mut *quotient);
    let products = quotient.products();
    drop(quotient);
    cost.products = products;
    (result, cost)
}

/// ∇f.
type Gradient<'a, V> = &'a mut dyn FnMut(&V, &mut V) -> Result<(), BoxError>;

/// An operator that counts its products.
pub(super) trait CountedOperator<S: Space>: SymmetricOperator<S> {
    fn products(&self) -> u64;
}

impl<S: Space, A: SymmetricOperator<S>> CountedOperator<S> for Counted<A> {
    fn products(&self) -> u64 {
        self.products
    }
}

/// Builds the operator of difference quotients of a gradient at x.
pub(super) type Quotient<S> = for<'a> fn(
    &'a S,
    &<S as Space>::Vector,
    Gradient<'a, <S as Space>::Vector>,
) -> Box<dyn CountedOperator<S> + 'a>;

/// Difference quotients with one unit for all variables.
pub(super) fn quotient_in_one_unit<'a, S: Space>(
    space: &'a S,
    x: &S::Vector,
    gradient: Gradient<'a, S::Vector>,
) -> Box<dyn CountedOperator<S> + 'a> {
    quotient(SpaceGradient::new(space, x, gradient), space.epsilon())
}

/// Difference quotients with one unit per group of variables of similar magnitude.
pub(super) fn quotient_in_groups<'a, T: Scalar>(
    space: &'a Host<T>,
    x: &[T],
    gradient: Gradient<'a, [T]>,
) -> Box<dyn CountedOperator<Host<T>> + 'a> {
    let (mut at, mut found) = (x.to_vec(), x.to_vec());
    let gradient = move |x: &[f64], g: &mut [f64]| {
        at.iter_mut().zip(x).for_each(|(at, x)| *at = T::of(*x));
        gradient(&at, &mut found)?;
        let pairs = g.iter_mut().zip(&found);
        pairs.for_each(|(g, found)| *g = f64::of(*found));
        Ok(())
    };
    let point: Vec<f64> = x.iter().map(|x| f64::of(*x)).collect();
    let oracle = HostGradient::new(&point, gradient).with_roundoff(space.epsilon());
    quotient(oracle, space.epsilon())
}

fn quotient<'a, S: Space, O>(oracle: O, epsilon: f64) -> Box<dyn CountedOperator<S> + 'a>
where
    O: GradientOracle<Space = S> + 'a,
{
    Box::new(Counted::new(match epsilon < DOUBLE {
        true => DifferenceQuotient::new(oracle),
        false => DifferenceQuotient::central(oracle),
    }))
}

/// A roundoff below this means double precision.
const DOUBLE: f64 = 1e-12;

/// The user's exact product at x.
struct Exact<'a, S: Space, P> {
    x: &'a S::Vector,
    product: P,
}

impl<S, P> SymmetricOperator<S> for Exact<'_, S, P>
where
    S: Space,
    P: FnMut(&S::Vector, &S::Vector, &mut S::Vector) -> Result<(), BoxError>,
{
    fn apply(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<(), BoxError> {
        (self.product)(self.x, v, out)
    }
}

/// The gradient near a point of any space. All coordinates form one group, with the unit max{1, ‖θ‖∞}.
struct SpaceGradient<'a, S: Space, F> {
    space: &'a S,
    gradient: F,
    point: S::Owned,
    /// θ, if `point` is θ + ζ.
    before_shift: Option<S::Owned>,
    at_point: S::Owned,
    moved: S::Owned,
    unit: [f64; 1],
}

impl<'a, S: Space, F> SpaceGradient<'a, S, F>
where
    F: FnMut(&S::Vector, &mut S::Vector) -> Result<(), BoxError>,
{
    fn new(space: &'a S, point: &S::Vector, gradient: F) -> Self {
        let mut copy = space.zeros();
        space.axpby(1.0, point, 0.0, copy.borrow_mut());
        Self {
            space,
            gradient,
            point: copy,
            before_shift: None,
            at_point: space.zeros(),
            moved: space.zeros(),
            unit: [space.max_abs(point).max(1.0)],
        }
    }

    /// out ← ∇f(θ + εv).
    fn gradient_at(
        &mut self,
        epsilon: f64,
        v: &S::Vector,
        out: &mut S::Vector,
    ) -> Result<(), BoxError> {
        let moved = self.moved.borrow_mut();
        self.space.axpby(1.0, self.point.borrow(), 0.0, moved);
        self.space.axpby(epsilon, v, 1.0, moved);
        (self.gradient)(self.moved.borrow(), out)
    }
}

impl<S: Space, F> GradientOracle for SpaceGradient<'_, S, F>
where
    F: FnMut(&S::Vector, &mut S::Vector) -> Result<(), BoxError>,
{
    type Space = S;

    fn space(&self) -> &S {
        self.space
    }

    fn units(&self) -> &[f64] {
        &self.unit
    }

    fn roundoff(&self) -> f64 {
        self.space.epsilon()
    }

    fn start(&mut self) -> Result<f64, BoxError> {
        (self.gradient)(self.point.borrow(), self.at_point.borrow_mut())?;
        Ok(self.space.norm(self.at_point.borrow()))
    }

    fn gradient(&self, out: &mut S::Vector) {
        self.space.axpby(1.0, self.at_point.borrow(), 0.0, out);
    }

    fn forward(
        &mut self,
        epsilon: f64,
        v: &S::Vector,
        out: &mut S::Vector,
    ) -> Result<(), BoxError> {
        let epsilon = epsilon * self.unit[0];
        self.gradient_at(epsilon, v, out)?;
        let inverse = 1.0 / epsilon;
        self.space
            .axpby(-inverse, self.at_point.borrow(), inverse, out);
        Ok(())
    }

    fn central(
        &mut self,
        epsilon: f64,
        v: &S::Vector,
        out: &mut S::Vector,
    ) -> Result<(), BoxError> {
        let epsilon = epsilon * self.unit[0];
        let mut behind = std::mem::replace(&mut self.at_point, self.space.zeros());
        self.gradient_at(-epsilon, v, behind.borrow_mut())?;
        self.gradient_at(epsilon, v, out)?;
        let inverse = 0.5 / epsilon;
        self.space.axpby(-inverse, behind.borrow(), inverse, out);
        self.at_point = behind;
        Ok(())
    }

    fn shift(&mut self, seed: u64, size: f64) {
        let zeta = self.space.normal(seed);
        let size = size * self.unit[0] / (self.space.dim() as f64).sqrt();
        let mut shifted = self.space.zeros();
        self.space
            .axpby(1.0, self.point.borrow(), 0.0, shifted.borrow_mut());
        self.space
            .axpby(size, zeta.borrow(), 1.0, shifted.borrow_mut());
        self.before_shift = Some(std::mem::replace(&mut self.point, shifted));
    }

    fn exchange_shifted(&mut self) {
        if let Some(before) = &mut self.before_shift {
            std::mem::swap(before, &mut self.point);
        }
    }
}
