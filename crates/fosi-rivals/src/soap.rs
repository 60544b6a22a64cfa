//! SOAP: AdamW in the eigenbasis of Shampoo's preconditioner.

use std::marker::PhantomData;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use faer::{Mat, Side};
use fosi_burn::{FlatLayout, Slot};
use serde::{Deserialize, Serialize};

use crate::copies::gradient;
use crate::error::{RivalError, require, require_decay, require_rate};
use crate::loss::Loss;
use crate::numbers::{all_finite, read, read_doubles, tensor};
use crate::rival::{Cost, Rival, StepDone};
use crate::state::{Arrays, deserialize, serialize};

const NAME: &str = "soap";

/// The settings of [`Soap`]. The defaults are the authors'.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoapConfig {
    /// β₁ in [0, 1); default 0.95.
    pub beta1: f64,
    /// β₂ in [0, 1), for the second moment and the preconditioners; default 0.95.
    pub beta2: f64,
    /// ε > 0, added to the denominator; default 1e-8.
    pub epsilon: f64,
    /// Decoupled weight decay λ ≥ 0; default 0.01.
    pub weight_decay: f64,
    /// Steps between updates of the eigenbases, at least 1; default 10.
    pub interval: u64,
    /// The longest side of a matrix with a preconditioner; longer sides have none. Default 10,000.
    pub longest_side: usize,
}

impl Default for SoapConfig {
    fn default() -> Self {
        Self {
            beta1: 0.95,
            beta2: 0.95,
            epsilon: 1e-8,
            weight_decay: 0.01,
            interval: 10,
            longest_side: 10_000,
        }
    }
}

/// SOAP (Vyas, Morwani, Zhao, Kwun, Shapira, Brandfonbrener, Janson, Kakade 2024), as in the authors' code.
///
/// Each step, for a matrix with gradient G: G′ = U_LᵀGU_R; M ← β₁M + (1−β₁)G; V ← β₂V + (1−β₂)G′²; W ← W −
/// η·√(1−β₂ᵗ)/(1−β₁ᵗ)·U_L\[(U_LᵀMU_R)/(√V + ε)\]U_Rᵀ, then W ← (1−ηλ)W; L ← β₂L + (1−β₂)GGᵀ and R ← β₂R + (1−β₂)GᵀG.
/// Every `interval` steps, U_L becomes the orthonormal factor of LU_L (one step of orthogonal iteration, after sorting
/// the columns and V's entries by descending u_iᵀLu_i), and likewise U_R. The first gradient only initialises L, R and
/// their eigenvectors; the parameters do not change. Vectors take AdamW's step, which is the same with U = I.
/// Convolution kernels are matrices with one row per entry of the first dimension.
#[derive(Debug)]
pub struct Soap<M> {
    config: SoapConfig,
    layout: FlatLayout,
    device: Device,
    states: Vec<SlotState>,
    steps: u64,
    cost: Cost,
    module: PhantomData<fn() -> M>,
}

/// The state of one parameter, rows×columns; vectors have one column.
#[derive(Debug, Clone)]
struct SlotState {
    first: Tensor<2>,
    second: Tensor<2>,
    sides: [Option<Preconditioner>; 2],
}

/// L or R, and its eigenvectors in the columns.
#[derive(Debug, Clone)]
struct Preconditioner {
    moment: Tensor<2>,
    basis: Tensor<2>,
}

/// The header of the state.
#[derive(Serialize, Deserialize)]
struct Header {
    steps: u64,
}

impl<M: Module> Soap<M> {
    /// SOAP for modules like `model`.
    ///
    /// # Errors
    /// [`RivalError::Setting`], or [`RivalError::Bridge`] for a module without trainable parameters.
    pub fn new(model: &M, config: SoapConfig) -> Result<Self, RivalError> {
        require_decay("beta1", config.beta1)?;
        require_decay("beta2", config.beta2)?;
        let (epsilon, decay) = (config.epsilon, config.weight_decay);
        let positive = epsilon > 0.0 && epsilon.is_finite();
        require(positive, "epsilon", epsilon, "positive and finite")?;
        let nonnegative = decay >= 0.0 && decay.is_finite();
        require(nonnegative, "weight_decay", decay, "finite and at least 0")?;
        let interval = config.interval;
        require(interval >= 1, "interval", interval as f64, "at least 1")?;
        let layout = FlatLayout::of(model)?;
        let device = model.devices().into_iter().next().unwrap_or_default();
        let device = device.without_autodiff();
        let states = layout.slots().iter();
        let states = states.map(|slot| SlotState::new(slot, config.longest_side, &device));
        Ok(Self {
            states: states.collect(),
            config,
            layout,
            device,
            steps: 0,
            cost: Cost::default(),
            module: PhantomData,
        })
    }
}

/// Rows and columns of a parameter as a matrix.
fn sides(slot: &Slot) -> [usize; 2] {
    let rows = slot.shape.first().copied().unwrap_or(1);
    [rows, slot.len() / rows.max(1)]
}

impl SlotState {
    fn new(slot: &Slot, longest: usize, device: &Device) -> Self {
        let shape = sides(slot);
        let side = |size: usize| {
            let preconditioned = slot.shape.len() > 1 && size <= longest;
            preconditioned.then(|| Preconditioner {
                moment: Tensor::zeros([size, size], device),
                basis: Tensor::eye(size, device),
            })
        };
        Self {
            first: Tensor::zeros(shape, device),
            second: Tensor::zeros(shape, device),
            sides: shape.map(side),
        }
    }

    /// U_LᵀXU_R.
    fn project(&self, x: Tensor<2>) -> Tensor<2> {
        let [left, right] = &self.sides;
        let x = match left {
            Some(left) => left.basis.clone().transpose().matmul(x),
            None => x,
        };
        match right {
            Some(right) => x.matmul(right.basis.clone()),
            None => x,
        }
    }

    /// U_LXU_Rᵀ.
    fn project_back(&self, x: Tensor<2>) -> Tensor<2> {
        let [left, right] = &self.sides;
        let x = match left {
            Some(left) => left.basis.clone().matmul(x),
            None => x,
        };
        match right {
            Some(right) => x.matmul(right.basis.clone().transpose()),
            None => x,
        }
    }

    /// Updates the moments with the `t`-th gradient, counted from 1. Returns the direction of the step, to be
    /// subtracted.
    fn direction(&mut self, gradient: Tensor<2>, t: u64, config: &SoapConfig) -> Tensor<2> {
        let projected = self.project(gradient.clone());
        let mix =
            |old: &Tensor<2>, new: Tensor<2>, beta: f64| old.clone() * beta + new * (1.0 - beta);
        self.first = mix(&self.first, gradient, config.beta1);
        self.second = mix(&self.second, projected.square(), config.beta2);
        let size = self.second.clone().sqrt() + config.epsilon;
        let step = self.project_back(self.project(self.first.clone()) / size);
        let correction = |beta: f64| 1.0 - beta.powf(t as f64);
        step * (correction(config.beta2).sqrt() / correction(config.beta1))
    }

    /// L ← β₂L + (1−β₂)GGᵀ, and likewise R.
    fn update_moments(&mut self, gradient: &Tensor<2>, beta: f64) {
        let [left, right] = &mut self.sides;
        let outer = |x: Tensor<2>| x.clone().matmul(x.transpose());
        if let Some(left) = left {
            let new = outer(gradient.clone());
            left.moment = left.moment.clone() * beta + new * (1.0 - beta);
        }
        if let Some(right) = right {
            let new = outer(gradient.clone().transpose());
            right.moment = right.moment.clone() * beta + new * (1.0 - beta);
        }
    }

    /// Computes the eigenvectors of L and R.
    fn diagonalise(&mut self, path: &str) -> Result<(), RivalError> {
        for side in self.sides.iter_mut().flatten() {
            side.basis = eigenvectors(&side.moment, path)?;
        }
        Ok(())
    }

    /// Takes one step of orthogonal iteration for both bases.
    fn renew(&mut self) -> Result<(), RivalError> {
        for (dim, side) in self.sides.iter_mut().enumerate() {
            if let Some(side) = side {
                let (order, basis) = iterate(side)?;
                self.second = self.second.clone().select(dim, order);
                side.basis = basis;
            }
        }
        Ok(())
    }

    fn arrays(&self) -> Vec<(String, &Tensor<2>)> {
        let mut arrays = vec![
            ("first".to_owned(), &self.first),
            ("second".to_owned(), &self.second),
        ];
        for (name, side) in ["left", "right"].iter().zip(&self.sides) {
            if let Some(side) = side {
                arrays.push((format!("{name}_moment"), &side.moment));
                arrays.push((format!("{name}_basis"), &side.basis));
            }
        }
        arrays
    }

    /// The state of the same parameter from the arrays stored for `path`.
    fn restored(&self, path: &str, stored: &mut Arrays) -> Result<Self, RivalError> {
        let mut take = |name: &str, like: &Tensor<2>| {
            let shape = like.dims();
            let values = stored.take(&format!("{path}/{name}"), shape[0] * shape[1])?;
            Ok::<_, RivalError>(tensor(values, shape, &like.device()))
        };
        let mut state = self.clone();
        state.first = take("first", &self.first)?;
        state.second = take("second", &self.second)?;
        for (name, side) in ["left", "right"].iter().zip(&mut state.sides) {
            if let Some(side) = side {
                side.moment = take(&format!("{name}_moment"), &side.moment)?;
                side.basis = take(&format!("{name}_basis"), &side.basis)?;
            }
        }
        Ok(state)
    }
}

/// A tensor as a matrix on the host.
fn host(matrix: &Tensor<2>) -> Result<Mat<f64>, RivalError> {
    let [rows, columns] = matrix.dims();
    let entries = read_doubles(matrix)?;
    Ok(Mat::from_fn(rows, columns, |i, j| entries[i * columns + j]))
}

fn on_device(matrix: &Mat<f64>, device: &Device) -> Tensor<2> {
    let (rows, columns) = (matrix.nrows(), matrix.ncols());
    let entries = (0..rows * columns).map(|at| matrix[(at / columns, at % columns)] as f32);
    tensor(entries.collect(), [rows, columns], device)
}

/// Eigenvectors in the columns, by descending eigenvalue.
fn eigenvectors(moment: &Tensor<2>, path: &str) -> Result<Tensor<2>, RivalError> {
    let pairs = host(moment)?.self_adjoint_eigen(Side::Lower);
    let pairs = pairs.map_err(|_| RivalError::Eigensolver {
        path: path.to_owned(),
    })?;
    let vectors = pairs.U();
    let n = vectors.ncols();
    let descending = Mat::from_fn(n, n, |i, j| vectors[(i, n - 1 - j)]);
    Ok(on_device(&descending, &moment.device()))
}

/// The order of the basis's columns u by descending uᵀLu, and the orthonormal factor of L times the columns in that
/// order.
fn iterate(side: &Preconditioner) -> Result<(Tensor<1, Int>, Tensor<2>), RivalError> {
    let (moment, basis) = (host(&side.moment)?, host(&side.basis)?);
    let n = basis.ncols();
    let product = &moment * &basis;
    let along = |j: usize| (0..n).map(|i| basis[(i, j)] * product[(i, j)]).sum();
    let values: Vec<f64> = (0..n).map(along).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| values[j].total_cmp(&values[i]));
    let sorted = Mat::from_fn(n, n, |i, j| product[(i, order[j])]);
    let renewed = sorted.qr().compute_thin_Q();
    let device = side.basis.device();
    let order: Vec<i64> = order.into_iter().map(|index| index as i64).collect();
    let order = Tensor::from_data(TensorData::new(order, [n]), &device);
    Ok((order, on_device(&renewed, &device)))
}

impl<M: Module> Rival<M> for Soap<M> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn step(
        &mut self,
        learning_rate: f64,
        model: &mut M,
        loss: &dyn Loss<M>,
    ) -> Result<StepDone, RivalError> {
        require_rate(learning_rate)?;
        let config = self.config;
        let mut parameters: Vec<f64> = self.layout.parameters(&*model)?;
        let (value, gradient) = gradient(&self.layout, &*model, loss)?;
        let not_finite = |what| RivalError::NotFinite {
            what,
            step: self.steps,
        };
        if !value.is_finite() || !all_finite(&gradient) {
            return Err(not_finite("loss or gradient"));
        }
        let mut states = self.states.clone();
        for (slot, state) in self.layout.slots().iter().zip(&mut states) {
            let part = gradient[slot.range()].iter().map(|x| *x as f32);
            let part = tensor(part.collect(), sides(slot), &self.device);
            if self.steps == 0 {
                state.update_moments(&part, config.beta2);
                state.diagonalise(&slot.path)?;
                continue;
            }
            let step = read(&state.direction(part.clone(), self.steps, &config))?;
            for (x, step) in parameters[slot.range()].iter_mut().zip(step) {
                *x -= learning_rate * f64::from(step);
                *x -= learning_rate * config.weight_decay * *x;
            }
            state.update_moments(&part, config.beta2);
            if self.steps.is_multiple_of(config.interval) {
                state.renew()?;
            }
        }
        if !all_finite(&parameters) {
            return Err(not_finite("step"));
        }
        *model = self.layout.set_parameters(&*model, &parameters[..])?;
        self.states = states;
        self.steps += 1;
        self.cost.gradients += 1;
        Ok(StepDone::new(value, learning_rate))
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn kept_floats(&self) -> usize {
        let arrays = self.states.iter().flat_map(SlotState::arrays);
        arrays.map(|(_, array)| array.shape().num_elements()).sum()
    }

    fn to_bytes(&self) -> Result<Vec<u8>, RivalError> {
        let mut arrays = Arrays::default();
        for (slot, state) in self.layout.slots().iter().zip(&self.states) {
            for (name, values) in state.arrays() {
                arrays.put(format!("{}/{name}", slot.path), &read(values)?);
            }
        }
        let header = Header { steps: self.steps };
        serialize(NAME, &self.layout, header, &arrays)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), RivalError> {
        let (header, mut arrays): (Header, _) = deserialize(NAME, &self.layout, bytes)?;
        let slots = self.layout.slots().iter().zip(&self.states);
        let states = slots.map(|(slot, state)| state.restored(&slot.path, &mut arrays));
        self.states = states.collect::<Result<_, _>>()?;
        self.steps = header.steps;
        self.cost = Cost::default();
        Ok(())
    }
}
