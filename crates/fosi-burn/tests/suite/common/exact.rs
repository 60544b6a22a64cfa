//! A second implementation of the small networks, in plain Rust, generic over the scalar type. With dual numbers the
//! derivative of its gradient along v is the exact Hessian-vector product, without a difference that could cross a
//! kink.

use std::ops::{Add, Div, Mul, Sub};

/// The scalar type of the computation.
pub trait Number:
    Copy + From<f64> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    fn value(self) -> f64;
    /// f(x) with the derivative f′(x), given f and f′ at the value.
    fn map(self, value: f64, derivative: f64) -> Self;

    fn exp(self) -> Self {
        let e = self.value().exp();
        self.map(e, e)
    }
    fn tanh(self) -> Self {
        let t = self.value().tanh();
        self.map(t, 1.0 - t * t)
    }
    fn sqrt(self) -> Self {
        let root = self.value().sqrt();
        self.map(root, 0.5 / root)
    }
}

impl Number for f64 {
    fn value(self) -> f64 {
        self
    }
    fn map(self, value: f64, _derivative: f64) -> Self {
        value
    }
}

/// a + ȧε with ε² = 0.
#[derive(Clone, Copy)]
pub struct Dual {
    pub value: f64,
    pub slope: f64,
}

impl From<f64> for Dual {
    fn from(value: f64) -> Self {
        Self { value, slope: 0.0 }
    }
}

impl Add for Dual {
    type Output = Self;
    fn add(self, b: Self) -> Self {
        Self {
            value: self.value + b.value,
            slope: self.slope + b.slope,
        }
    }
}

impl Sub for Dual {
    type Output = Self;
    fn sub(self, b: Self) -> Self {
        Self {
            value: self.value - b.value,
            slope: self.slope - b.slope,
        }
    }
}

impl Mul for Dual {
    type Output = Self;
    fn mul(self, b: Self) -> Self {
        Self {
            value: self.value * b.value,
            slope: self.slope * b.value + self.value * b.slope,
        }
    }
}

impl Div for Dual {
    type Output = Self;
    fn div(self, b: Self) -> Self {
        let value = self.value / b.value;
        Self {
            value,
            slope: (self.slope - value * b.slope) / b.value,
        }
    }
}

impl Number for Dual {
    fn value(self) -> f64 {
        self.value
    }
    fn map(self, value: f64, derivative: f64) -> Self {
        Self {
            value,
            slope: derivative * self.slope,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    Relu,
    Tanh,
}

impl Activation {
    fn apply<R: Number>(self, x: R) -> R {
        match self {
            Self::Relu if x.value() > 0.0 => x,
            Self::Relu => R::from(0.0),
            Self::Tanh => x.tanh(),
        }
    }

    /// The derivative at the input whose output is `y`.
    fn derivative<R: Number>(self, y: R) -> R {
        match self {
            Self::Relu if y.value() > 0.0 => R::from(1.0),
            Self::Relu => R::from(0.0),
            Self::Tanh => R::from(1.0) - y * y,
        }
    }
}

/// A perceptron with softmax cross-entropy, and its data.
///
/// Parameters, in order: for each hidden layer the weight (inputs × outputs, row by row), the bias if it has one, γ
/// and β if it is normalised; then the last layer's weight and bias.
#[derive(Debug, Clone)]
pub struct Perceptron {
    pub widths: Vec<usize>,
    pub activation: Activation,
    /// Batch norm in training mode after each hidden layer's affine part.
    pub norm: bool,
    /// Whether the hidden layers have biases.
    pub bias: bool,
    /// Rows that are averaged after the first hidden layer: the patches of an image, for a convolution.
    pub patches: usize,
    pub x: Vec<f64>,
    pub labels: Vec<usize>,
}

/// The values of a hidden layer that the reverse pass needs.
struct Hidden<R> {
    input: Vec<R>,
    /// x̂ and 1/√(variance + ε).
    normalised: Option<(Vec<R>, Vec<R>)>,
    output: Vec<R>,
}

/// The constant that Burn's batch norm adds to the variance.
const NORM_EPSILON: f64 = 1e-5;

impl Perceptron {
    /// Number of parameters.
    pub fn len(&self) -> usize {
        let last = self.widths.len() - 2;
        let layer = |l: usize| {
            let (inputs, outputs) = (self.widths[l], self.widths[l + 1]);
            let bias = usize::from(self.bias || l == last);
            let norm = 2 * usize::from(self.norm && l != last);
            inputs * outputs + (bias + norm) * outputs
        };
        (0..=last).map(layer).sum()
    }

    /// The gradient of the mean loss at θ.
    pub fn gradient<R: Number>(&self, theta: &[R]) -> Vec<R> {
        assert_eq!(theta.len(), self.len());
        let mut rest = theta;
        let mut take = |n: usize| {
            let (head, tail) = rest.split_at(n);
            rest = tail;
            head
        };
        let last = self.widths.len() - 2;
        let mut tape: Vec<Hidden<R>> = Vec::new();
        let mut a: Vec<R> = self.x.iter().map(|&x| x.into()).collect();
        let mut weights = Vec::new();
        let mut gammas = Vec::new();
        for l in 0..last {
            let (inputs, outputs) = (self.widths[l], self.widths[l + 1]);
            let weight = take(inputs * outputs);
            let bias = self.bias.then(|| take(outputs));
            let mut z = affine(&a, weight, bias, outputs);
            let mut normalised = None;
            if self.norm {
                let (gamma, beta) = (take(outputs), take(outputs));
                let (hat, inverse) = normalise(&z, outputs);
                for (z, hat) in z.chunks_mut(outputs).zip(hat.chunks(outputs)) {
                    for j in 0..outputs {
                        z[j] = gamma[j] * hat[j] + beta[j];
                    }
                }
                normalised = Some((hat, inverse));
                gammas.push(gamma);
            }
            weights.push(weight);
            let output: Vec<R> = z.iter().map(|&z| self.activation.apply(z)).collect();
            let next = if l == 0 {
                pool(&output, outputs, self.patches)
            } else {
                output.clone()
            };
            tape.push(Hidden {
                input: std::mem::replace(&mut a, next),
                normalised,
                output,
            });
        }
        let (inputs, classes) = (self.widths[last], self.widths[last + 1]);
        let weight = take(inputs * classes);
        let scores = affine(&a, weight, Some(take(classes)), classes);
        let mut delta = self.softmax_error(&scores, classes);
        // Blocks of the gradient, from the last to the first.
        let mut blocks = vec![
            column_sums(&delta, classes),
            outer(&a, &delta, inputs, classes),
        ];
        let mut back = backward(&delta, weight, inputs, classes);
        for l in (0..last).rev() {
            let (inputs, outputs) = (self.widths[l], self.widths[l + 1]);
            let Hidden {
                input,
                normalised,
                output,
            } = &tape[l];
            if l == 0 {
                back = unpool(&back, outputs, self.patches);
            }
            delta = back
                .iter()
                .zip(output)
                .map(|(&back, &y)| back * self.activation.derivative(y))
                .collect();
            if let Some((hat, inverse)) = normalised {
                blocks.push(column_sums(&delta, outputs));
                let weighted: Vec<R> = delta.iter().zip(hat).map(|(&d, &h)| d * h).collect();
                blocks.push(column_sums(&weighted, outputs));
                delta = denormalise(&delta, hat, inverse, gammas[l]);
            }
            if self.bias {
                blocks.push(column_sums(&delta, outputs));
            }
            blocks.push(outer(input, &delta, inputs, outputs));
            back = backward(&delta, weights[l], inputs, outputs);
        }
        blocks.into_iter().rev().flatten().collect()
    }

    /// Hv at θ, exactly.
    pub fn hessian_product(&self, theta: &[f64], v: &[f64]) -> Vec<f64> {
        let dual: Vec<Dual> = theta
            .iter()
            .zip(v)
            .map(|(&value, &slope)| Dual { value, slope })
            .collect();
        self.gradient(&dual).iter().map(|g| g.slope).collect()
    }

    /// (softmax(scores) − one-hot(label))/N.
    fn softmax_error<R: Number>(&self, scores: &[R], classes: usize) -> Vec<R> {
        let samples = self.labels.len() as f64;
        let mut error = Vec::with_capacity(scores.len());
        for (scores, &label) in scores.chunks(classes).zip(&self.labels) {
            let largest = scores.iter().map(|s| s.value()).fold(f64::MIN, f64::max);
            let exps: Vec<R> = scores.iter().map(|&s| (s - largest.into()).exp()).collect();
            let total = sum(exps.iter().copied());
            for (class, &e) in exps.iter().enumerate() {
                let target = f64::from(u8::from(class == label));
                error.push((e / total - target.into()) / samples.into());
            }
        }
        error
    }
}

fn sum<R: Number>(terms: impl Iterator<Item = R>) -> R {
    terms.fold(R::from(0.0), |sum, x| sum + x)
}

/// xW + b, row by row.
fn affine<R: Number>(x: &[R], weight: &[R], bias: Option<&[R]>, outputs: usize) -> Vec<R> {
    let inputs = weight.len() / outputs;
    let mut z = Vec::with_capacity(x.len() / inputs * outputs);
    for row in x.chunks(inputs) {
        for j in 0..outputs {
            let start = bias.map_or(0.0.into(), |bias| bias[j]);
            z.push(
                start
                    + sum(row
                        .iter()
                        .enumerate()
                        .map(|(i, &x)| x * weight[i * outputs + j])),
            );
        }
    }
    z
}

/// δWᵀ, row by row.
fn backward<R: Number>(delta: &[R], weight: &[R], inputs: usize, outputs: usize) -> Vec<R> {
    let mut back = Vec::with_capacity(delta.len() / outputs * inputs);
    for row in delta.chunks(outputs) {
        for i in 0..inputs {
            back.push(sum(row
                .iter()
                .enumerate()
                .map(|(j, &d)| d * weight[i * outputs + j])));
        }
    }
    back
}

/// xᵀδ.
fn outer<R: Number>(x: &[R], delta: &[R], inputs: usize, outputs: usize) -> Vec<R> {
    let mut product = vec![R::from(0.0); inputs * outputs];
    for (x, delta) in x.chunks(inputs).zip(delta.chunks(outputs)) {
        for i in 0..inputs {
            for j in 0..outputs {
                product[i * outputs + j] = product[i * outputs + j] + x[i] * delta[j];
            }
        }
    }
    product
}

fn column_sums<R: Number>(x: &[R], columns: usize) -> Vec<R> {
    let mut sums = vec![R::from(0.0); columns];
    for row in x.chunks(columns) {
        sums.iter_mut()
            .zip(row)
            .for_each(|(sum, &x)| *sum = *sum + x);
    }
    sums
}

/// x̂ = (x − mean)/√(variance + ε) by columns, and 1/√(variance + ε); the variance is the biased one.
fn normalise<R: Number>(x: &[R], columns: usize) -> (Vec<R>, Vec<R>) {
    let rows = R::from((x.len() / columns) as f64);
    let mean: Vec<R> = column_sums(x, columns).iter().map(|&s| s / rows).collect();
    let mut centred = x.to_vec();
    for row in centred.chunks_mut(columns) {
        row.iter_mut()
            .zip(&mean)
            .for_each(|(x, &mean)| *x = *x - mean);
    }
    let squares: Vec<R> = centred.iter().map(|&x| x * x).collect();
    let inverse: Vec<R> = column_sums(&squares, columns)
        .iter()
        .map(|&s| R::from(1.0) / (s / rows + NORM_EPSILON.into()).sqrt())
        .collect();
    for row in centred.chunks_mut(columns) {
        row.iter_mut()
            .zip(&inverse)
            .for_each(|(x, &inverse)| *x = *x * inverse);
    }
    (centred, inverse)
}

/// δ before batch norm from δ after it: γ/√(variance + ε)·(δ − mean(δ) − x̂·mean(δx̂)).
fn denormalise<R: Number>(delta: &[R], hat: &[R], inverse: &[R], gamma: &[R]) -> Vec<R> {
    let columns = gamma.len();
    let rows = R::from((delta.len() / columns) as f64);
    let weighted: Vec<R> = delta.iter().zip(hat).map(|(&d, &h)| d * h).collect();
    let (sums, weighted) = (column_sums(delta, columns), column_sums(&weighted, columns));
    let mut before = Vec::with_capacity(delta.len());
    for (delta, hat) in delta.chunks(columns).zip(hat.chunks(columns)) {
        for j in 0..columns {
            let centred = delta[j] - sums[j] / rows - hat[j] * weighted[j] / rows;
            before.push(gamma[j] * inverse[j] * centred);
        }
    }
    before
}

/// Means over groups of `patches` rows.
fn pool<R: Number>(x: &[R], columns: usize, patches: usize) -> Vec<R> {
    let mean = |group: &[R]| -> Vec<R> {
        let sums = column_sums(group, columns);
        sums.iter().map(|&s| s / R::from(patches as f64)).collect()
    };
    x.chunks(columns * patches).flat_map(mean).collect()
}

fn unpool<R: Number>(delta: &[R], columns: usize, patches: usize) -> Vec<R> {
    let spread = |row: &[R]| -> Vec<R> {
        let each: Vec<R> = row.iter().map(|&d| d / R::from(patches as f64)).collect();
        each.repeat(patches)
    };
    delta.chunks(columns).flat_map(spread).collect()
}
