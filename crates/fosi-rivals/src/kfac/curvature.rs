//! The approximate Fisher matrix of a network, with one block per layer.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use fosi_burn::{FlatLayout, Slot};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::block::Block;
use super::config::KfacConfig;
use super::outputs::{cotangent, passes};
use crate::copies::Copies;
use crate::error::RivalError;
use crate::loss::Loss;
use crate::prediction::Prediction;
use crate::recorder::{Recorded, Recorder};

/// The blocks, and the weight of their averages.
#[derive(Debug, Clone)]
pub(super) struct Curvature {
    pub blocks: Vec<Block>,
    /// The total weight w of all steps so far: w ← decay·w + 1.
    pub weight: f64,
    pub device: Device,
}

impl Curvature {
    /// Empty blocks for the layers that a forward pass of `model` calls.
    pub fn of<M: Module>(model: &M, loss: &dyn Loss<M>) -> Result<Self, RivalError> {
        let layout = FlatLayout::of(model)?;
        let copies = Copies::of(model)?;
        let mut recorder = Recorder::on();
        let copy = copies.at(&copies.parameters()?)?;
        let [batch, _] = predict(&copy, loss, &mut recorder)?.outputs.dims();
        let blocks: Vec<Block> = trained(recorder.into_layers(), &layout, batch)?
            .into_iter()
            .map(|(block, _)| block)
            .collect();
        check_coverage(&blocks, &layout)?;
        let device = model.devices().into_iter().next().unwrap_or_default();
        Ok(Self {
            blocks,
            weight: 0.0,
            device: device.without_autodiff(),
        })
    }

    /// Updates the averages with the network's Fisher matrix at `parameters` on the loss's batch. Returns the number of
    /// passes.
    pub fn update<M: Module>(
        &mut self,
        copies: &Copies<M>,
        parameters: &[f64],
        loss: &dyn Loss<M>,
        config: &KfacConfig,
        step: u64,
    ) -> Result<u64, RivalError> {
        let mut random = ChaCha8Rng::seed_from_u64(config.seed);
        random.set_stream(step);
        let (mut pass, mut count) = (0, 1);
        while pass < count {
            let copy = copies.at(parameters)?;
            let layout = FlatLayout::of(&copy)?;
            let mut recorder = Recorder::on();
            let prediction = predict(&copy, loss, &mut recorder)?;
            let [batch, outputs] = prediction.outputs.dims();
            count = passes(config.fisher, outputs);
            let layers = self.matched(trained(recorder.into_layers(), &layout, batch)?)?;
            let at_outputs = cotangent(&prediction, config.fisher, pass, &mut random)?;
            let sum: Tensor<1> = (prediction.outputs * at_outputs).sum();
            let mut gradients = sum.backward();
            let parameters = GradientsParams::from_module(&mut gradients, &copy);
            for (block, layer) in self.blocks.iter_mut().zip(&layers) {
                block.see(layer, batch, &gradients, &parameters);
            }
            pass += 1;
        }
        self.weight = config.decay * self.weight + 1.0;
        let share = 1.0 / self.weight;
        self.blocks.iter_mut().for_each(|b| b.end_step(share));
        Ok(pass as u64)
    }

    /// The recorded layers; an error unless they match the blocks in the same order.
    fn matched(&self, layers: Vec<(Block, Recorded)>) -> Result<Vec<Recorded>, RivalError> {
        let found: Vec<&str> = layers.iter().map(|(block, _)| &*block.path).collect();
        let own: Vec<&str> = self.blocks.iter().map(|block| &*block.path).collect();
        if found != own {
            let what = format!("before {}, now {}", own.join(", "), found.join(", "));
            return Err(RivalError::LayersChanged { what });
        }
        Ok(layers.into_iter().map(|(_, layer)| layer).collect())
    }

    /// Inverts all factors with the damping.
    pub fn invert(&mut self, damping: f64) -> Result<(), RivalError> {
        self.blocks.iter_mut().try_for_each(|b| b.invert(damping))
    }

    /// (F + λI)⁻¹v.
    pub fn solve(&self, damping: f64, vector: &[f64]) -> Result<Vec<f64>, RivalError> {
        let mut out = vec![0.0; vector.len()];
        for block in &self.blocks {
            block.solve(damping, vector, &mut out, &self.device)?;
        }
        Ok(out)
    }

    /// Fv.
    pub fn multiply(&self, vector: &[f64]) -> Result<Vec<f64>, RivalError> {
        let mut out = vec![0.0; vector.len()];
        for block in &self.blocks {
            block.multiply(vector, &mut out, &self.device)?;
        }
        Ok(out)
    }
}

/// The outputs, with the layers in the recorder.
pub(super) fn predict<M>(
    model: &M,
    loss: &dyn Loss<M>,
    recorder: &mut Recorder,
) -> Result<Prediction, RivalError> {
    loss.predict(model, recorder)
        .ok_or(RivalError::NoPrediction)
}

/// The recorded layers with trained parameters, each with an empty block.
fn trained(
    layers: Vec<Recorded>,
    layout: &FlatLayout,
    batch: usize,
) -> Result<Vec<(Block, Recorded)>, RivalError> {
    let mut trained: Vec<(Block, Recorded)> = Vec::with_capacity(layers.len());
    for layer in layers {
        let Some(block) = Block::of(&layer, layout)? else {
            continue;
        };
        let shares = |(other, _): &(Block, Recorded)| {
            let theirs = other.slots();
            let same = |slot: &&Slot| theirs.iter().any(|s| s.offset == slot.offset);
            block.slots().iter().any(same)
        };
        if trained.iter().any(shares) {
            let reason = "it is called twice in a forward pass, but a block supports one call";
            let path = block.path;
            return Err(RivalError::Unsupported { path, reason });
        }
        if !layer.is_of(batch) {
            let reason = "it is not called on the examples that the outputs belong to";
            let path = block.path;
            return Err(RivalError::Unsupported { path, reason });
        }
        trained.push((block, layer));
    }
    Ok(trained)
}

/// An error unless every trainable parameter belongs to a block.
fn check_coverage(blocks: &[Block], layout: &FlatLayout) -> Result<(), RivalError> {
    let covered = |offset: usize| {
        let mut slots = blocks.iter().flat_map(Block::slots);
        slots.any(|slot| slot.offset == offset)
    };
    match layout.slots().iter().find(|slot| !covered(slot.offset)) {
        Some(slot) => Err(RivalError::Unrecorded {
            path: slot.path.clone(),
        }),
        None => Ok(()),
    }
}
