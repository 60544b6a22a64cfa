//! One optimizer on several ranks, threads here, compared with one alone.

#[path = "../../../fosi/tests/suite/ranks/threads.rs"]
mod threads;

use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::nn::Linear;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use fosi::base::{Adam, Base, HeavyBall};
use fosi::communicator::{Communicator, shard};
use fosi::{FosiConfig, Host, Schedule};
use fosi_burn::{BurnBase, FosiOptimizer, OptimizerError, like_module};

use crate::common::{
    Batch, INPUTS, Network, OUTPUTS, bits, device, every, generator, linear, matrix,
};
use threads::on_ranks;

/// Without batch norm, so that the loss is a mean over examples.
#[derive(Module, Debug)]
struct Plain {
    input: Linear,
    output: Linear,
}

const HIDDEN: usize = 6;

impl Plain {
    fn new(salt: u64, device: &Device) -> Self {
        Self {
            input: linear(INPUTS, HIDDEN, salt, device),
            output: linear(HIDDEN, OUTPUTS, salt + 1, device),
        }
    }

    fn loss(&self, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<1> {
        let hidden = self.input.forward(like_module(x.clone(), self)).tanh();
        let error = self.output.forward(hidden) - like_module(y.clone(), self);
        error.square().mean()
    }
}

/// The examples of a step's batch: 14, at every fifth step two.
fn batch(step: u64, device: &Device) -> (Tensor<2>, Tensor<2>) {
    let rows = if step % 5 == 4 { 2 } else { 14 };
    let x = matrix(rows, INPUTS, 50 + step % 9, device);
    let y = x.clone().slice([0..rows, 0..OUTPUTS]).sin() + matrix(rows, OUTPUTS, 70, device) * 0.1;
    (x, y)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Layout {
    Replicated,
    Sharded,
}

const LAYOUTS: [Layout; 2] = [Layout::Replicated, Layout::Sharded];

type Ranks = Option<(Arc<dyn Communicator>, Layout)>;

/// A training run of one rank.
struct Run<B> {
    optimizer: FosiOptimizer<B>,
    model: Plain,
    ranks: Ranks,
    rate: f64,
    losses: Vec<f64>,
    refreshes: Vec<u64>,
    /// Whether the loss of the next step is no number.
    fault: bool,
}

impl<B: Base<Host<f32>>> Run<B> {
    fn new(base: B, rate: f64, config: FosiConfig, ranks: Ranks) -> Self {
        // Only rank 0 has the model that counts.
        let rank = ranks
            .as_ref()
            .map_or(0, |(communicator, _)| communicator.rank());
        let mut model = Plain::new(1 + rank as u64, &device());
        let mut optimizer = FosiOptimizer::new(&model, base, config).unwrap();
        if let Some((communicator, layout)) = ranks.clone() {
            optimizer = match layout {
                Layout::Replicated => optimizer.data_parallel(communicator, &mut model),
                Layout::Sharded => optimizer.sharded(communicator, &mut model),
            }
            .unwrap();
        }
        Self {
            optimizer,
            model,
            ranks,
            rate,
            losses: Vec::new(),
            refreshes: Vec::new(),
            fault: false,
        }
    }

    fn step(&mut self) -> Result<(), OptimizerError> {
        let step = self.optimizer.fosi().steps();
        let (x, y) = batch(step, &device());
        let rows = x.dims()[0];
        let (rank, size) = match &self.ranks {
            Some((communicator, _)) => (communicator.rank(), communicator.size()),
            None => (0, 1),
        };
        let own = shard(rows, rank, size);
        self.optimizer.set_examples(own.len());
        // A rank without examples has a batch that must not be looked at.
        let own = if own.is_empty() { 0..1 } else { own };
        let (x, y) = (x.slice([own.clone()]), y.slice([own]));
        let fault = self.fault;
        let loss = |model: &Plain| match fault {
            true => Tensor::cat(vec![model.loss(&x, &y); 2], 0),
            false => model.loss(&x, &y),
        };
        let report = self.optimizer.step(self.rate, &mut self.model, loss)?;
        if let Some(refresh) = report.refresh {
            refresh.result?;
            self.refreshes.push(step);
        }
        self.losses.push(report.loss);
        Ok(())
    }

    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step().unwrap();
        }
    }

    /// All that must be equal on all ranks.
    fn state(&self) -> (Vec<u32>, Vec<u8>, Vec<f64>, Vec<u64>) {
        (
            bits(&self.model),
            self.optimizer.to_bytes().unwrap(),
            self.losses.clone(),
            self.refreshes.clone(),
        )
    }
}

fn off(found: &[f64], expected: &[f64]) -> f64 {
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max)
}

/// 200 steps with four refreshes.
fn compare<B: Base<Host<f32>>>(base: impl Fn() -> B + Sync, rate: f64) {
    let _turn = generator();
    let mut alone = Run::new(base(), rate, every(5, 50), None);
    alone.steps(200);
    let expected = alone.state();
    assert_eq!(expected.3, [5, 55, 105, 155]);
    assert!(expected.2[195] < 0.5 * expected.2[0], "{:?}", expected.2);
    for layout in LAYOUTS {
        for size in 1..=4 {
            let all = on_ranks(size, |communicator| {
                let ranks = Some((communicator, layout));
                let mut run = Run::new(base(), rate, every(5, 50), ranks);
                run.steps(200);
                run.state()
            });
            for found in &all {
                assert!(*found == all[0], "{size} {layout:?}: ranks differ");
            }
            if size == 1 {
                assert!(all[0] == expected, "{layout:?}: not bit-equal");
            }
            let off = off(&all[0].2, &expected.2);
            assert!(off < 1e-4, "{size} {layout:?}: {off}");
            assert_eq!(all[0].3, expected.3);
        }
    }
}

#[test]
fn heavy_ball_trains_alike_on_any_number_of_ranks() {
    compare(|| HeavyBall::new(0.9), 0.02);
}

#[test]
fn adam_trains_alike_on_any_number_of_ranks() {
    compare(Adam::default, 0.01);
}

#[test]
fn one_of_burns_optimizers_trains_on_ranks_but_not_in_shards() {
    let _turn = generator();
    let base = || BurnBase::new(&Plain::new(1, &device()), AdamConfig::new().init()).unwrap();
    let mut alone = Run::new(base(), 0.01, every(2, 5), None);
    alone.steps(12);
    let all = on_ranks(3, |communicator| {
        let ranks = Some((Arc::clone(&communicator), Layout::Replicated));
        let mut run = Run::new(base(), 0.01, every(2, 5), ranks);
        run.steps(12);
        let mut model = Plain::new(1, &device());
        let optimizer = FosiOptimizer::new(&model, base(), FosiConfig::default()).unwrap();
        let refused = optimizer.sharded(communicator, &mut model).unwrap_err();
        ((bits(&run.model), run.losses), refused.to_string())
    });
    for (found, refused) in &all {
        assert!(*found == all[0].0);
        assert!(off(&found.1, &alone.losses) < 1e-4);
        assert!(refused.contains("data_parallel"), "{refused}");
    }
}

#[test]
fn an_error_on_one_rank_is_one_on_all() {
    let _turn = generator();
    // In the first step's check, in a gradient, in a refresh.
    for (layout, at) in [
        (Layout::Replicated, 0),
        (Layout::Sharded, 8),
        (Layout::Replicated, 5),
    ] {
        let all = on_ranks(3, |communicator| {
            let rank = communicator.rank();
            let ranks = Some((communicator, layout));
            let mut run = Run::new(Adam::default(), 0.01, every(5, 5), ranks);
            run.steps(at);
            let before = bits(&run.model);
            run.fault = rank == 1;
            let error = run.step().unwrap_err().to_string();
            assert_eq!(bits(&run.model), before);
            run.fault = false;
            run.steps(8);
            (error, run.state())
        });
        for (rank, (error, state)) in all.iter().enumerate() {
            assert!(error.contains("2 entries"), "{at}: {error}");
            assert_eq!(error.contains("rank 1 failed"), rank != 1, "{at}: {error}");
            assert!(*state == all[0].1, "{at}");
        }
    }
}

#[test]
fn ranks_with_different_models_are_refused() {
    let all = on_ranks(2, |communicator| {
        let hidden = 2 + communicator.rank();
        let mut model = linear(3, hidden, 1, &device());
        let optimizer = FosiOptimizer::new(&model, Adam::default(), FosiConfig::default()).unwrap();
        let refused = optimizer
            .data_parallel(communicator, &mut model)
            .unwrap_err();
        refused.to_string()
    });
    for refused in all {
        assert!(refused.contains("rank 1"), "{refused}");
    }
}

fn resumed(
    size: usize,
    layout: Layout,
    path: &Path,
    module: &[u8],
) -> Vec<(Vec<f64>, Vec<u32>, Vec<u8>)> {
    on_ranks(size, |communicator| {
        let ranks = Some((communicator, layout));
        let mut run = Run::new(Adam::default(), 0.01, every(5, 20), ranks);
        run.optimizer.load(path).unwrap();
        let layout = run.optimizer.layout().clone();
        let parameters: Vec<f32> = module
            .chunks_exact(4)
            .map(|bits| f32::from_le_bytes(bits.try_into().unwrap()))
            .collect();
        run.model = layout.set_parameters(&run.model, &parameters[..]).unwrap();
        run.steps(30);
        let (bits, state, losses, _) = run.state();
        (losses, bits, state)
    })
}

#[test]
fn a_checkpoint_goes_on_on_another_number_of_ranks() {
    let _turn = generator();
    let folder = tempfile::tempdir().unwrap();
    for layout in LAYOUTS {
        let path = folder.path().join(format!("{layout:?}"));
        let saved = on_ranks(2, |communicator| {
            let ranks = Some((communicator, layout));
            let mut run = Run::new(Adam::default(), 0.01, every(5, 20), ranks);
            run.steps(30);
            run.optimizer.save(&path).unwrap();
            let half = bits(&run.model);
            run.steps(30);
            let (bits, state, losses, _) = run.state();
            (half, losses[30..].to_vec(), bits, state)
        });
        let (half, losses, at_end, state) = &saved[0];
        let module: Vec<u8> = half.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        for size in [1, 2, 4] {
            let all = resumed(size, layout, &path, &module);
            assert!(off(&all[0].0, losses) < 1e-4, "{size} {layout:?}");
            if size == 2 {
                assert!(all[0].1 == *at_end && all[0].2 == *state, "{layout:?}");
            }
        }
    }
}

#[test]
fn running_statistics_are_averaged() {
    let _turn = generator();
    let all = on_ranks(2, |communicator| {
        let rank = communicator.rank();
        let batch = Batch::new(8 + 8 * rank, &device());
        let trained = || {
            let mut network = Network::new(&device());
            let optimizer = FosiOptimizer::new(&network, Adam::default(), every(2, 3)).unwrap();
            let optimizer = optimizer.data_parallel(communicator.clone(), &mut network);
            let mut optimizer = optimizer.unwrap();
            optimizer.set_examples(8 + 8 * rank);
            for _ in 0..4 {
                optimizer
                    .step(0.01, &mut network, |network: &Network| network.loss(&batch))
                    .unwrap();
            }
            (network, optimizer)
        };
        // In a run of its own, since reading the statistics also brings them up to date.
        let own = trained().0.running_statistics();
        let (mut network, mut optimizer) = trained();
        optimizer.average_buffers(&mut network).unwrap();
        let mean = network.valid().running_statistics();
        optimizer
            .step(0.01, &mut network, |network: &Network| network.loss(&batch))
            .unwrap();
        (own, mean, bits(&network))
    });
    let [(first, mean, parameters), (second, other, others)] = &all[..] else {
        panic!("two ranks");
    };
    assert_ne!(first, second);
    assert_eq!(mean, other);
    assert_eq!(parameters, others);
    for ((a, b), found) in first.0.iter().zip(&second.0).zip(&mean.0) {
        // Weighted by 8 and 16 examples.
        assert!(
            ((a + 2.0 * b) / 3.0 - found).abs() < 1e-6,
            "{a} {b} {found}"
        );
    }
}

#[test]
fn a_base_alone_trains_on_ranks() {
    let _turn = generator();
    let config = || FosiConfig {
        schedule: Schedule::Never,
        ..FosiConfig::default()
    };
    let mut alone = Run::new(Adam::default(), 0.01, config(), None);
    alone.steps(20);
    let all = on_ranks(2, |communicator| {
        let ranks = Some((communicator, Layout::Sharded));
        let mut run = Run::new(Adam::default(), 0.01, config(), ranks);
        run.steps(20);
        run.losses
    });
    assert!(off(&all[0], &alone.losses) < 1e-4);
}
