//! Reverse-mode differentiation over dual numbers: gradients and exact Hessian-vector products of functions written as
//! formulas.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::dual::{Dual, Scalar};

/// One operation: the positions of its operands, and the derivatives with respect to them. A missing second operand has
/// derivative 0.
#[derive(Debug)]
struct Node {
    operands: [(u32, Dual); 2],
}

/// The operations of a computation, in order.
#[derive(Debug, Default)]
pub(super) struct Tape {
    nodes: RefCell<Vec<Node>>,
}

/// A number whose operations are recorded on a [`Tape`].
#[derive(Clone, Copy)]
pub(super) struct Var<'t> {
    tape: &'t Tape,
    index: u32,
    value: Dual,
}

impl fmt::Debug for Var<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}: {:?}", self.index, self.value)
    }
}

impl Tape {
    /// Clears the record but keeps the memory.
    pub fn clear(&mut self) {
        self.nodes.get_mut().clear();
    }

    /// An independent variable. The first ones have the indices 0, 1, …
    pub fn variable(&self, value: Dual) -> Var<'_> {
        self.push(value, [(0, Dual::default()); 2])
    }

    fn push(&self, value: Dual, operands: [(u32, Dual); 2]) -> Var<'_> {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node { operands });
        Var {
            tape: self,
            index: nodes.len() as u32 - 1,
            value,
        }
    }

    /// The derivatives of Σ wᵢ·outputᵢ with respect to every recorded number, independent variables first, given pairs
    /// of an output and wᵢ. For dual numbers, the tangents of these derivatives are included.
    pub fn reverse<'t>(
        &self,
        outputs: impl IntoIterator<Item = (Var<'t>, Dual)>,
        adjoints: &mut Vec<Dual>,
    ) {
        let nodes = self.nodes.borrow();
        adjoints.clear();
        adjoints.resize(nodes.len(), Dual::default());
        for (output, weight) in outputs {
            adjoints[output.index as usize] += weight;
        }
        for (index, node) in nodes.iter().enumerate().rev() {
            let adjoint = adjoints[index];
            for (operand, derivative) in node.operands {
                // Unused operands have index 0 and derivative 0; 0·∞ must not affect that variable.
                if derivative != Dual::default() {
                    adjoints[operand as usize] += adjoint * derivative;
                }
            }
        }
    }
}

impl<'t> Var<'t> {
    pub fn value(self) -> Dual {
        self.value
    }

    /// A constant on the same tape.
    pub fn constant(self, value: f64) -> Self {
        self.tape.variable(Dual::constant(value))
    }

    /// f of this number, given f, f′ and f″ at its value.
    fn chain(self, [f, slope, curvature]: [f64; 3]) -> Self {
        let derivative = self.value.chain(slope, curvature);
        let operands = [(self.index, derivative), (0, Dual::default())];
        self.tape.push(self.value.chain(f, slope), operands)
    }

    fn binary(self, other: Self, value: Dual, derivatives: [Dual; 2]) -> Self {
        let operands = [(self.index, derivatives[0]), (other.index, derivatives[1])];
        self.tape.push(value, operands)
    }

    pub fn exp(self) -> Self {
        self.chain([self.value.value.exp(); 3])
    }

    pub fn ln(self) -> Self {
        let x = self.value.value;
        self.chain([x.ln(), x.recip(), -(x * x).recip()])
    }

    pub fn sin(self) -> Self {
        let (sin, cos) = self.value.value.sin_cos();
        self.chain([sin, cos, -sin])
    }

    pub fn cos(self) -> Self {
        let (sin, cos) = self.value.value.sin_cos();
        self.chain([cos, -sin, -cos])
    }

    pub fn atan(self) -> Self {
        let x = self.value.value;
        let slope = (1.0 + x * x).recip();
        self.chain([x.atan(), slope, -2.0 * x * slope * slope])
    }

    pub fn sqrt(self) -> Self {
        let root = self.value.value.sqrt();
        let slope = 0.5 / root;
        self.chain([root, slope, -0.5 * slope / self.value.value])
    }

    pub fn recip(self) -> Self {
        let inverse = self.value.value.recip();
        self.chain([
            inverse,
            -inverse * inverse,
            2.0 * inverse * inverse * inverse,
        ])
    }

    pub fn square(self) -> Self {
        self * self
    }

    pub fn cube(self) -> Self {
        self * self * self
    }
}

impl Add for Var<'_> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let one = Dual::constant(1.0);
        self.binary(other, self.value + other.value, [one, one])
    }
}

impl Sub for Var<'_> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let derivatives = [Dual::constant(1.0), Dual::constant(-1.0)];
        self.binary(other, self.value - other.value, derivatives)
    }
}

impl Mul for Var<'_> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let value = self.value * other.value;
        self.binary(other, value, [other.value, self.value])
    }
}

impl Div for Var<'_> {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let inverse = other.value.recip();
        let value = self.value * inverse;
        self.binary(other, value, [inverse, -(value * inverse)])
    }
}

impl Neg for Var<'_> {
    type Output = Self;

    fn neg(self) -> Self {
        self * -1.0
    }
}

impl Add<f64> for Var<'_> {
    type Output = Self;

    fn add(self, c: f64) -> Self {
        self.chain([self.value.value + c, 1.0, 0.0])
    }
}

impl Sub<f64> for Var<'_> {
    type Output = Self;

    fn sub(self, c: f64) -> Self {
        self + -c
    }
}

impl Mul<f64> for Var<'_> {
    type Output = Self;

    fn mul(self, c: f64) -> Self {
        self.chain([self.value.value * c, c, 0.0])
    }
}

impl<'t> Add<Var<'t>> for f64 {
    type Output = Var<'t>;

    fn add(self, x: Var<'t>) -> Var<'t> {
        x + self
    }
}

impl<'t> Sub<Var<'t>> for f64 {
    type Output = Var<'t>;

    fn sub(self, x: Var<'t>) -> Var<'t> {
        -x + self
    }
}

impl<'t> Mul<Var<'t>> for f64 {
    type Output = Var<'t>;

    fn mul(self, x: Var<'t>) -> Var<'t> {
        x * self
    }
}
