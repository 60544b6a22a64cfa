//! Float buffers of a module: its tensors that are not parameters, such as batch norm's running statistics.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use fosi::Ranks;
use fosi::communicator::Numbers;

use crate::error::{BridgeError, OptimizerError};
use crate::precision::is_plain_float;

/// Path of the first buffer (or frozen parameter) that differs between two copies of one module.
pub(crate) fn first_change<M: Module>(
    before: &M,
    after: &M,
) -> Result<Option<String>, BridgeError> {
    for ((path, before), (_, after)) in Buffers::of(before).into_iter().zip(Buffers::of(after)) {
        if before.not_equal(after).any().try_into_scalar::<bool>()? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The float tensors that are not trained, with their paths.
#[derive(Default)]
struct Buffers {
    path: Vec<String>,
    found: Vec<(String, Tensor<1>)>,
}

impl Buffers {
    fn of(module: &impl Module) -> Vec<(String, Tensor<1>)> {
        let mut buffers = Self::default();
        module.visit(&mut buffers);
        buffers.found
    }
}

impl ModuleVisitor for Buffers {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !is_buffer(param) {
            return;
        }
        let value = param.base();
        let entries = value.shape().num_elements();
        let value = value.without_autodiff().reshape([entries]);
        self.found.push((self.path.join("."), value));
    }
}

/// Whether a tensor is a buffer: floats that are not trained.
fn is_buffer<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    let value = param.base();
    let empty = value.shape().num_elements() == 0;
    !param.is_require_grad() && !empty && is_plain_float(&value.dtype())
}

/// Gives the module the buffers of rank 0.
pub(crate) fn broadcast<M: Module>(ranks: &Ranks, module: &mut M) -> Result<(), OptimizerError> {
    exchange(ranks, module, |values| ranks.agree(values))
}

/// Gives the module the mean over the ranks of each buffer, with the ranks' numbers of examples as weights.
pub(crate) fn average<M: Module>(
    ranks: &Ranks,
    module: &mut M,
    examples: f64,
) -> Result<(), OptimizerError> {
    exchange(ranks, module, |values| {
        // Relative to rank 0's, so that equal values stay as they are.
        let mut first = values.to_vec();
        ranks.agree(&mut first);
        for (value, first) in values.iter_mut().zip(&first) {
            *value = examples * (*value - first);
        }
        let mut total = [examples];
        if let Some(communicator) = ranks.communicator() {
            communicator.sum(Numbers::F64(values), &mut total);
        }
        let total = if total[0] > 0.0 { total[0] } else { 1.0 };
        for (value, first) in values.iter_mut().zip(&first) {
            *value = first + *value / total;
        }
    })
}

/// Replaces all buffers by what `collective` makes of them, unless some rank cannot read its own. All ranks must have as
/// many, as modules of one architecture do.
fn exchange<M: Module>(
    ranks: &Ranks,
    module: &mut M,
    collective: impl FnOnce(&mut [f64]),
) -> Result<(), OptimizerError> {
    if ranks.size() == 1 {
        return Ok(());
    }
    // Burn keeps the last forward's running statistics apart from their value until `valid` or the next forward.
    drop(module.valid());
    let read = values_of(module).map_err(OptimizerError::from);
    let mut values = ranks.fail_together_with(read, OptimizerError::from)?;
    collective(&mut values);
    *module = module.clone().map(&mut Replace { values, next: 0 });
    Ok(())
}

/// All buffers' values, one after the other.
fn values_of(module: &impl Module) -> Result<Vec<f64>, BridgeError> {
    let mut values = Vec::new();
    for (_, buffer) in Buffers::of(module) {
        values.extend(buffer.try_into_vec_as::<f64>()?);
    }
    Ok(values)
}

/// Writes the buffers' values, in the order of [`Buffers`].
struct Replace {
    values: Vec<f64>,
    next: usize,
}

impl ModuleMapper for Replace {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !is_buffer(&param) {
            return param;
        }
        let value = param.base();
        let (shape, dtype) = (value.shape(), value.dtype());
        let entries = shape.num_elements();
        let values = self.values[self.next..self.next + entries].to_vec();
        self.next += entries;
        let device = value.device();
        let value = Tensor::from_data(TensorData::new(values, shape), (&device, dtype));
        param.map(|_| value)
    }
}
