//! Float buffers of a module: its tensors that are not parameters, such as batch norm's running statistics.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::error::BridgeError;
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
        let value = param.base();
        let entries = value.shape().num_elements();
        if param.is_require_grad() || entries == 0 || !is_plain_float(&value.dtype()) {
            return;
        }
        let value = value.without_autodiff().reshape([entries]);
        self.found.push((self.path.join("."), value));
    }
}
