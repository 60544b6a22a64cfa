//! Dual numbers: a value and its derivative along one direction.

use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// a + b·ε with ε² = 0: in a computation on these, b is the derivative of a along the direction given by the inputs' b.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Dual {
    pub value: f64,
    pub tangent: f64,
}

impl Dual {
    pub fn constant(value: f64) -> Self {
        Self {
            value,
            tangent: 0.0,
        }
    }

    pub fn recip(self) -> Self {
        let inverse = self.value.recip();
        self.chain(inverse, -inverse * inverse)
    }
}

impl Add for Dual {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            tangent: self.tangent + other.tangent,
        }
    }
}

impl AddAssign for Dual {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Dual {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Neg for Dual {
    type Output = Self;

    fn neg(self) -> Self {
        Self {
            value: -self.value,
            tangent: -self.tangent,
        }
    }
}

impl Mul for Dual {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self {
            value: self.value * other.value,
            tangent: self.value * other.tangent + self.tangent * other.value,
        }
    }
}

impl Mul<f64> for Dual {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self {
            value: factor * self.value,
            tangent: factor * self.tangent,
        }
    }
}

/// Numbers of a computation: plain for gradients, dual for Hessian-vector products.
pub(super) trait Scalar:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Mul<f64, Output = Self>
{
    /// Whether the number has a tangent.
    const DUAL: bool;

    fn new(value: f64, tangent: f64) -> Self;
    fn value(self) -> f64;
    /// The tangent; 0 for a plain number.
    fn tangent(self) -> f64;
    /// f of this number, given the values of f and f′ there.
    fn chain(self, f: f64, slope: f64) -> Self;
}

impl Scalar for f64 {
    const DUAL: bool = false;

    fn new(value: f64, _tangent: f64) -> Self {
        value
    }

    fn value(self) -> f64 {
        self
    }

    fn tangent(self) -> f64 {
        0.0
    }

    fn chain(self, f: f64, _slope: f64) -> Self {
        f
    }
}

impl Scalar for Dual {
    const DUAL: bool = true;

    fn new(value: f64, tangent: f64) -> Self {
        Self { value, tangent }
    }

    fn value(self) -> f64 {
        self.value
    }

    fn tangent(self) -> f64 {
        self.tangent
    }

    fn chain(self, f: f64, slope: f64) -> Self {
        Self {
            value: f,
            tangent: slope * self.tangent,
        }
    }
}
