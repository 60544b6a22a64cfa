//! One optimizer on several ranks, threads here, compared with one alone.

#[path = "../../../fosi/tests/suite/ranks/layout.rs"]
mod layout;
mod regression;
#[path = "../../../fosi/tests/suite/ranks/threads.rs"]
mod threads;

use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use fosi::base::{Adam, Base, HeavyBall};
use fosi::operator::{self, Reduced};
use fosi::{Distributed, Fosi, FosiConfig, NewtonRate, Schedule};
use fosi_burn::{BurnBase, FosiOptimizer, ModuleSpace, Precision, TensorSpace};

use crate::common::{Batch, Network, bits, device, every, generator, linear};
use layout::{LAYOUTS, Layout};
use regression::{Plain, Ranks, Run, off, train_in_single_precision, train_with_dropout};
use threads::on_ranks;

/// 200 steps with four refreshes.
fn compare<B: Base<S>, S: ModuleSpace>(run: impl Fn(Ranks) -> Run<B, S> + Sync) {
    let _turn = generator();
    let mut alone = run(None);
    alone.steps(200);
    let expected = alone.state();
    assert_eq!(expected.3, [5, 55, 105, 155]);
    assert!(expected.2[195] < 0.5 * expected.2[0], "{:?}", expected.2);
    for layout in LAYOUTS {
        for size in 1..=4 {
            let all = on_ranks(size, |communicator| {
                let mut run = run(Some((communicator, layout)));
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
    compare(|ranks| Run::new(HeavyBall::new(0.9), 0.02, every(5, 50), ranks));
}

#[test]
fn adam_trains_alike_on_any_number_of_ranks() {
    compare(|ranks| Run::new(Adam::default(), 0.01, every(5, 50), ranks));
}

#[test]
fn vectors_on_a_device_train_alike_on_any_number_of_ranks() {
    compare(|ranks| Run::on_device(HeavyBall::new(0.9), 0.02, every(5, 50), ranks));
    compare(|ranks| Run::on_device(Adam::default(), 0.01, every(5, 50), ranks));
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

/// Losses, parameters and state of each rank, 30 steps after the checkpoint.
fn resumed<S: ModuleSpace>(
    run: &(impl Fn(Ranks) -> Run<Adam, S> + Sync),
    size: usize,
    layout: Layout,
    path: &Path,
    parameters: &[f32],
) -> Vec<(Vec<f64>, Vec<u32>, Vec<u8>)> {
    on_ranks(size, |communicator| {
        let mut run = run(Some((communicator, layout)));
        run.optimizer.load(path).unwrap();
        let flat = run.optimizer.layout().clone();
        run.model = flat.set_parameters(&run.model, parameters).unwrap();
        run.steps(30);
        let (bits, state, losses, _) = run.state();
        (losses, bits, state)
    })
}

/// Saves on two ranks in each layout, and goes on in each layout on one, two and four.
fn compare_checkpoints<S: ModuleSpace>(run: impl Fn(Ranks) -> Run<Adam, S> + Sync) {
    let _turn = generator();
    let folder = tempfile::tempdir().unwrap();
    for before in LAYOUTS {
        let path = folder.path().join(format!("{before:?}"));
        let saved = on_ranks(2, |communicator| {
            let mut run = run(Some((communicator, before)));
            run.steps(30);
            run.optimizer.save(&path).unwrap();
            let half = bits(&run.model);
            run.steps(30);
            let (bits, state, losses, _) = run.state();
            (half, losses[30..].to_vec(), bits, state)
        });
        let (half, losses, at_end, state) = &saved[0];
        let half: Vec<f32> = half.iter().map(|bits| f32::from_bits(*bits)).collect();
        for after in LAYOUTS {
            for size in [1, 2, 4] {
                let all = resumed(&run, size, after, &path, &half);
                assert!(off(&all[0].0, losses) < 1e-4, "{size} {before:?} {after:?}");
                if size == 2 && before == after {
                    assert!(all[0].1 == *at_end && all[0].2 == *state, "{before:?}");
                }
            }
        }
    }
}

#[test]
fn a_checkpoint_resumes_on_another_number_of_ranks_and_in_another_layout() {
    compare_checkpoints(|ranks| Run::new(Adam::default(), 0.01, every(5, 20), ranks));
}

#[test]
fn a_checkpoint_of_vectors_on_a_device_resumes_on_other_ranks() {
    compare_checkpoints(|ranks| Run::on_device(Adam::default(), 0.01, every(5, 20), ranks));
}

/// As the defaults are, but for the schedule: a mean over refreshes and early ends. The Newton rate is adaptive.
fn averaged() -> FosiConfig {
    FosiConfig {
        largest: 3,
        newton_rate: NewtonRate::adaptive(0.01),
        schedule: Schedule::Every {
            warmup: 5,
            interval: 50,
        },
        ..FosiConfig::default()
    }
}

#[test]
fn averaged_curvature_and_an_adaptive_rate_are_alike_on_any_number_of_ranks() {
    compare(|ranks| Run::new(Adam::default(), 0.01, averaged(), ranks));
    compare(|ranks| Run::on_device(Adam::default(), 0.01, averaged(), ranks));
}

/// x after 30 steps on a diagonal quadratic of n variables, with refreshes.
fn quadratic(n: usize, ranks: Ranks) -> Vec<f32> {
    let curvatures: Vec<f32> = (1..=n).map(|i| i as f32).collect();
    let curvatures = Tensor::<1>::from_floats(&curvatures[..], &Device::flex());
    let config = FosiConfig {
        largest: 2,
        ..FosiConfig::quadratic()
    };
    let space = TensorSpace::new(n, &Device::flex());
    let mut x = Tensor::<1>::ones([n], &Device::flex());
    let mut optimizer = Fosi::new(space, Adam::default(), config).unwrap();
    if let Some((communicator, layout)) = ranks {
        optimizer = layout.put(optimizer, communicator, &mut x);
    }
    let space = optimizer.space().clone();
    for _ in 0..30 {
        if optimizer.due() {
            let hessian = operator::from_fn(|v: &Tensor<1>, out: &mut Tensor<1>| {
                *out = v.clone() * curvatures.clone();
            });
            let mut hessian = Reduced::new(&space, 1.0, Ok(hessian)).unwrap();
            optimizer.refresh(&mut hessian).unwrap();
        }
        let mut gradient = x.clone() * curvatures.clone();
        space.average(1.0, Ok(0.0), &mut gradient).unwrap();
        space.with_own_mut(&mut x, |own| {
            space
                .with_own(&gradient, |g| optimizer.step(0.01, own, g))
                .unwrap()
        });
        space.gather(&mut x);
    }
    x.try_into_vec_as::<f32>().unwrap()
}

#[test]
fn fewer_parameters_than_ranks_on_a_device() {
    for n in [1, 2, 3, 7] {
        let expected = quadratic(n, None);
        for layout in LAYOUTS {
            let all = on_ranks(4, |communicator| quadratic(n, Some((communicator, layout))));
            for found in &all {
                assert_eq!(found, &all[0]);
                let pairs = found.iter().zip(&expected);
                let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off < 1e-5, "{n} {layout:?}: {off}");
            }
        }
    }
}

#[test]
fn a_loss_that_is_f32_on_one_rank_is_refreshed_in_f32_on_all() {
    let _turn = generator();
    for check in [true, false] {
        let all = on_ranks(3, |communicator| {
            train_in_single_precision(communicator, check)
        });
        for found in &all {
            assert_eq!(found.0, [Precision::F32; 2]);
            assert!(found.1 == all[0].1, "ranks differ");
        }
    }
}

#[test]
fn a_module_that_diverges_is_refused_with_shards_too() {
    let _turn = generator();
    let all = on_ranks(2, |communicator| {
        let rank = communicator.rank();
        let ranks = Some((communicator, Layout::Sharded));
        let mut run = Run::new(Adam::default(), 0.01, every(5, 5), ranks);
        run.steps(10);
        // Before a refresh, after which the parameters are compared. Any step makes sharded parameters equal.
        if rank == 1 {
            run.model = Plain::new(9, &device());
        }
        run.step().unwrap_err().to_string()
    });
    for error in all {
        assert!(error.contains("parameter vector of rank 1"), "{error}");
    }
}

#[test]
fn a_loss_train_with_dropout_trains_on_ranks() {
    let _turn = generator();
    let all = on_ranks(2, train_with_dropout);
    assert_eq!(all[0].1, 2);
    assert!(all[0].0 == all[1].0, "ranks differ");
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
            for step in 0..4 {
                // Rank 1 has no examples at the last step.
                let empty = rank == 1 && step == 3;
                optimizer.set_examples(if empty { 0 } else { 8 + 8 * rank });
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
        // Weighted by 4·8 and 3·16 examples.
        assert!((0.4 * a + 0.6 * b - found).abs() < 1e-6, "{a} {b} {found}");
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
