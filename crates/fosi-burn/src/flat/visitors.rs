//! Walks over a module that read its parameters and gradients, or write them.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::{GradAdaptor, GradientsParams};
use burn::tensor::Tensor;

use super::layout::{Cursor, FlatLayout};
use super::vector::{Block, FlatVector};
use crate::error::BridgeError;

/// The parameters' values.
pub(super) fn read_parameters(
    layout: &FlatLayout,
    module: &impl Module,
) -> Result<Vec<Block>, BridgeError> {
    let mut visitor = ReadParameters {
        cursor: Cursor::new(layout),
        blocks: Vec::with_capacity(layout.slots().len()),
    };
    module.visit(&mut visitor);
    visitor.cursor.finish()?;
    Ok(visitor.blocks)
}

struct ReadParameters<'a> {
    cursor: Cursor<'a>,
    blocks: Vec<Block>,
}

impl ModuleVisitor for ReadParameters<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.cursor.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.cursor.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(slot) = self.cursor.slot(param) {
            let values = param.base().inner().reshape([slot.len()]);
            let range = slot.range();
            self.blocks.push(Block { range, values });
        }
    }
}

/// The gradients of the parameters that the loss reaches.
pub(super) fn read_gradients(
    layout: &FlatLayout,
    module: &impl Module,
    gradients: GradAdaptor,
) -> Result<Vec<Block>, BridgeError> {
    let mut visitor = ReadGradients {
        cursor: Cursor::new(layout),
        gradients,
        blocks: Vec::with_capacity(layout.slots().len()),
        mismatch: None,
    };
    module.visit(&mut visitor);
    visitor.cursor.finish()?;
    match visitor.mismatch {
        Some(error) => Err(error),
        None => Ok(visitor.blocks),
    }
}

struct ReadGradients<'a> {
    cursor: Cursor<'a>,
    gradients: GradAdaptor,
    blocks: Vec<Block>,
    mismatch: Option<BridgeError>,
}

impl ModuleVisitor for ReadGradients<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.cursor.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.cursor.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(slot) = self.cursor.slot(param) else {
            return;
        };
        // Removed from the container, a gradient is the only handle to its memory and is read without a copy.
        let Some((gradient, _)) = self.gradients.remove::<D>(param.id) else {
            return;
        };
        if gradient.shape().as_slice() != slot.shape {
            self.mismatch.get_or_insert(BridgeError::GradientShape {
                path: slot.path.clone(),
                expected: slot.shape.clone(),
                found: gradient.shape().to_vec(),
            });
            return;
        }
        let values = gradient.reshape([slot.len()]);
        let range = slot.range();
        self.blocks.push(Block { range, values });
    }
}

/// Converts the blocks of `gradient` to the parameters' gradients.
pub(super) fn write_gradients(
    layout: &FlatLayout,
    module: &impl Module,
    gradient: &(impl FlatVector + ?Sized),
) -> Result<GradientsParams, BridgeError> {
    let mut visitor = WriteGradients {
        cursor: Cursor::new(layout),
        gradient,
        gradients: GradientsParams::new(),
    };
    module.visit(&mut visitor);
    visitor.cursor.finish()?;
    Ok(visitor.gradients)
}

struct WriteGradients<'a, V: ?Sized> {
    cursor: Cursor<'a>,
    gradient: &'a V,
    gradients: GradientsParams,
}

impl<V: FlatVector + ?Sized> ModuleVisitor for WriteGradients<'_, V> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.cursor.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.cursor.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(slot) = self.cursor.slot(param) {
            let value = self.gradient.block(slot.range(), &param.base().inner());
            self.gradients.register(param.id, value);
        }
    }
}

/// The module with the blocks of `parameters` as its parameters.
pub(super) fn write_parameters<M: Module>(
    layout: &FlatLayout,
    module: &M,
    parameters: &(impl FlatVector + ?Sized),
) -> Result<M, BridgeError> {
    // Checked first, since a mapper cannot stop half-way.
    layout.check(module)?;
    Ok(module.clone().map(&mut WriteParameters {
        cursor: Cursor::new(layout),
        parameters,
        tied: HashMap::new(),
    }))
}

struct WriteParameters<'a, V: ?Sized> {
    cursor: Cursor<'a>,
    parameters: &'a V,
    /// Tied parameters share one leaf of the autodiff graph, so their gradients add up.
    tied: HashMap<ParamId, Box<dyn Any>>,
}

impl<V: FlatVector + ?Sized> WriteParameters<'_, V> {
    fn value<const D: usize>(&mut self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        let Some(slot) = self.cursor.slot(param) else {
            let leaf = self.tied.get(&param.id)?;
            return leaf.downcast_ref::<Tensor<D>>().cloned();
        };
        let like = param.base();
        let value = self.parameters.block(slot.range(), &like).require_grad();
        let value = if like.is_distributed() {
            value.set_distributed(param.id)
        } else {
            value
        };
        if slot.tied {
            self.tied.insert(param.id, Box::new(value.clone()));
        }
        Some(value)
    }
}

impl<V: FlatVector + ?Sized> ModuleMapper for WriteParameters<'_, V> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.cursor.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.cursor.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.value(&param) {
            Some(value) => param.map(|_| value),
            None => param,
        }
    }
}
