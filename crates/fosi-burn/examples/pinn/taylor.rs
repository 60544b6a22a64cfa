//! Derivatives of a network's output with respect to its inputs, propagated forward through the layers (Taylor mode).
//!
//! Burn's backward pass gives derivatives with respect to the parameters and cannot be nested. A loss with derivatives
//! with respect to the inputs therefore computes these in its forward pass: each layer maps a [`Jet`] to a [`Jet`] by
//! the chain rule, and `backward` differentiates the result. A mixed derivative is ½(∂ᵥᵥ − ∂ₓₓ − ∂ᵧᵧ) with v = x + y:
//! pass such a direction to [`Jet::along`].

use burn::nn::Linear;
use burn::tensor::Tensor;

/// u at N points, and its first and second derivatives along one or more directions v. Each tensor is N×features.
#[derive(Debug, Clone)]
pub struct Jet {
    /// u.
    pub value: Tensor<2>,
    /// vᵀ∇u for each direction v.
    pub first: Vec<Tensor<2>>,
    /// vᵀ∇²u v for each direction v.
    pub second: Vec<Tensor<2>>,
}

impl Jet {
    /// The points (N×inputs) as the first layer's input; each direction has one entry per input.
    pub fn along(points: Tensor<2>, directions: &[&[f64]]) -> Self {
        let zeros = points.zeros_like();
        let direction = |v: &&[f64]| {
            let columns = v.iter().enumerate();
            columns.fold(zeros.clone(), |x, (i, v)| {
                x.slice_fill([0..zeros.dims()[0], i..i + 1], *v)
            })
        };
        Self {
            first: directions.iter().map(direction).collect(),
            second: vec![zeros.clone(); directions.len()],
            value: points,
        }
    }

    /// z = Wu + b: z′ = Wu′, z″ = Wu″.
    pub fn linear(&self, layer: &Linear) -> Self {
        let product = |x: &Tensor<2>| x.clone().matmul(layer.weight.val());
        Self {
            value: layer.forward(self.value.clone()),
            first: self.first.iter().map(product).collect(),
            second: self.second.iter().map(product).collect(),
        }
    }

    /// t = tanh u: t′ = (1 − t²)u′, t″ = (1 − t²)(u″ − 2t u′²).
    pub fn tanh(&self) -> Self {
        let t = self.value.clone().tanh();
        let slope = t.clone().square().neg().add_scalar(1.0);
        let first = |u1: &Tensor<2>| slope.clone() * u1.clone();
        let second = |(u1, u2): (&Tensor<2>, &Tensor<2>)| {
            slope.clone() * (u2.clone() - t.clone().mul_scalar(2.0) * u1.clone().square())
        };
        Self {
            first: self.first.iter().map(first).collect(),
            second: self.first.iter().zip(&self.second).map(second).collect(),
            value: t,
        }
    }
}
