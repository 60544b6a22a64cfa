//! Learning rates of groups of parameters.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;

use crate::error::BridgeError;
use crate::flat::{Block, FlatLayout, FlatVector, Slot};

/// The learning rates of a module's trainable parameters, in the order of its layout.
pub(super) struct Rates(Vec<f64>);

impl Rates {
    /// The rates that `policy` gives the parameters of `module`.
    pub(super) fn new(
        policy: &ModuleLearningRate,
        layout: &FlatLayout,
        module: &impl Module,
    ) -> Result<Self, BridgeError> {
        let ids = layout.ids(module)?.into_iter();
        let slots = ids.zip(layout.slots());
        let rate = |(id, slot): (_, &Slot)| policy.lr_from_param(id, Some(&slot.path));
        Ok(Self(slots.map(rate).collect()))
    }

    /// The rate of each parameter.
    pub(super) fn all(&self) -> &[f64] {
        &self.0
    }

    /// η, the largest.
    pub(super) fn largest(&self) -> f64 {
        self.0.iter().fold(0.0, |largest, rate| rate.max(largest))
    }

    /// Before a step: the entries of `parameters` with rates below the largest.
    pub(super) fn slowed(
        &self,
        layout: &FlatLayout,
        parameters: &(impl FlatVector + ?Sized),
    ) -> Vec<Block> {
        let largest = self.largest();
        let slots = layout.slots().iter().zip(&self.0);
        let slowed = slots.filter(|(_, rate)| **rate < largest);
        slowed
            .map(|(slot, _)| parameters.part(slot.range()))
            .collect()
    }

    /// After a step from `before`: θ ← θ₀ + (r/η)(θ − θ₀) for these entries.
    pub(super) fn slow(
        &self,
        layout: &FlatLayout,
        before: Vec<Block>,
        parameters: &mut (impl FlatVector + ?Sized),
    ) -> Result<(), BridgeError> {
        if before.is_empty() {
            return Ok(());
        }
        let largest = self.largest();
        let mut before = before.into_iter().peekable();
        let slots = layout.slots().iter().zip(&self.0);
        let blocks = slots.map(|(slot, rate)| {
            let Block { range, values } = parameters.part(slot.range());
            let values = match before.next_if(|before| before.range == range) {
                Some(before) => before.values.clone() + (values - before.values) * (rate / largest),
                None => values,
            };
            Block { range, values }
        });
        let blocks = blocks.collect();
        parameters.assign(blocks)
    }
}
