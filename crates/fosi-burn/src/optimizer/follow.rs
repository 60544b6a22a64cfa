//! Following a module whose trainable parameters change: a layer is frozen, unfrozen, added or removed.

use std::borrow::{Borrow, BorrowMut};
use std::collections::HashMap;

use burn::module::Module;
use fosi::base::Base;

use super::FosiOptimizer;
use crate::error::{BridgeError, OptimizerError};
use crate::flat::{Block, FlatLayout, FlatVector, Slot};
use crate::module_space::ModuleSpace;

impl<S: ModuleSpace, B: Base<S>> FosiOptimizer<B, S> {
    /// Continues with `module`, whose trainable parameters have changed. Parameters with the same path and shape keep
    /// their base state and master weights; new ones start with zero state. The spectrum belongs to the old parameters
    /// and is dropped: its momentum returns to the base, and the step is the base's own until the next refresh, which
    /// is due at once after the warm-up. See [`Fosi::change_parameters`](fosi::Fosi::change_parameters).
    ///
    /// `base` is the base for the changed module: for a native base a copy of the old one, otherwise a new
    /// [`BurnBase`](crate::BurnBase) around the old base's optimizer, which keeps its state by the parameters' ids.
    ///
    /// ```
    /// use burn::module::Module;
    /// use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::{Device, Tensor};
    /// use fosi::{FosiConfig, base::Adam};
    /// use fosi_burn::{FosiOptimizer, like_module};
    ///
    /// # let device = Device::flex().autodiff();
    /// # let batch = Tensor::<2>::ones([4, 3], &device);
    /// let mut layers = vec![LinearConfig::new(3, 3).init(&device), LinearConfig::new(3, 1).init(&device)];
    /// let loss = |layers: &Vec<Linear>| {
    ///     let x = like_module(batch.clone(), layers);
    ///     layers.iter().fold(x, |x, layer| layer.forward(x).tanh()).square().mean()
    /// };
    /// let mut optimizer = FosiOptimizer::new(&layers, Adam::default(), FosiConfig::default())?;
    /// optimizer.step(1e-3, &mut layers, &loss)?;
    ///
    /// layers[0] = layers[0].clone().no_grad();
    /// optimizer.follow(&layers, Adam::default())?;
    /// optimizer.step(1e-3, &mut layers, &loss)?;
    /// # Ok::<(), fosi_burn::OptimizerError>(())
    /// ```
    ///
    /// # Errors
    /// [`BridgeError::NothingToTrain`], [`BridgeError::ConflictingShapes`], those of
    /// [`Fosi::change_parameters`](fosi::Fosi::change_parameters); the optimizer is then unchanged.
    pub fn follow(&mut self, module: &impl Module, base: B) -> Result<(), OptimizerError> {
        let layout = FlatLayout::of(module)?;
        let space = self.fosi.space().with_dim(layout.len());
        let old: HashMap<_, &Slot> = self.layout.slots().iter().map(key).collect();
        let carry = |vector: &S::Vector| -> Result<S::Owned, BridgeError> {
            let block = |slot: &Slot| {
                let from = old.get(&key(slot).0)?;
                Some(Block {
                    range: slot.range(),
                    values: vector.part(from.range()).values,
                })
            };
            let mut carried = space.whole_zeros();
            let blocks = layout.slots().iter().filter_map(block).collect();
            let out: &mut S::Vector = carried.borrow_mut();
            out.assign(blocks)?;
            Ok(carried)
        };
        let parameters = carry(self.parameters.borrow())?;
        let changed = self.fosi.space().with_dim(layout.len());
        let unchanged = self.fosi.space().with_dim(self.layout.len());
        self.fosi.change_parameters(changed, base, |vector| {
            let carried = carry(unchanged.whole(vector).borrow());
            let carried = carried.map_err(|error| fosi::Error::User(error.into()))?;
            Ok(space.own_part(carried.borrow()))
        })?;
        self.fosi.set_signature(layout.signature());
        self.parameters = parameters;
        self.gradient = self.fosi.space().whole_zeros();
        self.layout = layout;
        self.products.check_again();
        Ok(())
    }
}

/// The path and shape by which a parameter is recognised.
fn key(slot: &Slot) -> ((&str, &[usize]), &Slot) {
    ((&slot.path, &slot.shape), slot)
}
