//! One optimizer on several ranks, compared with one alone.

mod layout;
mod softmax;
mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fosi::base::{Adam, Base, HeavyBall};
use fosi::communicator::Communicator;
use fosi::minimize::{Minimizer, Objective, Options, Status, minimize};
use fosi::operator::{self, Reduced};
use fosi::space::Scalar;
use fosi::timing::Clock;
use fosi::{
    Averaging, Distributed, Error, Fosi, FosiConfig, Host, NewtonRate, Ranks, Schedule, Space,
    Storage,
};

use layout::{LAYOUTS, Layout};
use softmax::{Fault, N, Run, Softmax, config, dot, relative_difference};
use threads::on_ranks;

/// What every rank has after so many steps; all have the same.
fn trained<B: Base<Host<f64>>>(
    size: usize,
    layout: Layout,
    base: impl Fn() -> B + Sync,
    rate: f64,
    config: &(impl Fn() -> FosiConfig + Sync),
    steps: usize,
) -> (Vec<f64>, Vec<u8>, Vec<f64>, Vec<u64>) {
    let problem = Softmax::new();
    let all = on_ranks(size, |communicator| {
        let ranks = Some((communicator, layout));
        let mut run = Run::new(&problem, base(), rate, config(), ranks);
        run.steps(steps);
        run.state()
    });
    assert!(
        all.iter().all(|state| *state == all[0]),
        "{size} {layout:?}"
    );
    all.into_iter().next().unwrap()
}

fn alone<B: Base<Host<f64>>>(
    base: B,
    rate: f64,
    config: FosiConfig,
    steps: usize,
) -> (Vec<f64>, Vec<u8>, Vec<f64>, Vec<u64>) {
    let problem = Softmax::new();
    let mut run = Run::new(&problem, base, rate, config, None);
    run.steps(steps);
    run.state()
}

/// 200 steps with four refreshes on 1 to 4 ranks.
fn compare<B: Base<Host<f64>>>(base: impl Fn() -> B + Sync, rate: f64) {
    let expected = alone(base(), rate, config(), 200);
    assert_eq!(expected.3, [5, 55, 105, 155]);
    let (first, last) = (expected.2[0], expected.2[199]);
    assert!(last < 0.7 * first, "{first} {last}");
    for layout in LAYOUTS {
        assert_eq!(trained(1, layout, &base, rate, &config, 200), expected);
        for size in 2..=4 {
            let found = trained(size, layout, &base, rate, &config, 200);
            let off = relative_difference(&found.2, &expected.2);
            assert!(off < 1e-4, "{size} {layout:?}: {off}");
            assert_eq!(found.3, expected.3);
        }
    }
}

#[test]
fn heavy_ball_trains_alike_on_any_number_of_ranks() {
    compare(HeavyBall::default, 0.05);
}

#[test]
fn adam_trains_alike_on_any_number_of_ranks() {
    compare(Adam::default, 0.02);
}

#[test]
fn one_refresh_and_step_are_equal_to_rounding() {
    // The batch of step 4 has two examples: the last of three or four ranks have none.
    for warmup in [0, 4] {
        let config = || FosiConfig {
            schedule: Schedule::Every {
                warmup,
                interval: 50,
            },
            ..config()
        };
        let sizes = LAYOUTS.into_iter().flat_map(|l| [(l, 2), (l, 3), (l, 4)]);
        // The later steps show the state: momentum, second moments, spectrum.
        for ((layout, size), later) in sizes.flat_map(|size| [(size, 0), (size, 3)]) {
            let steps = warmup as usize + 1 + later;
            let (expected, ..) = alone(Adam::default(), 0.02, config(), steps);
            let (found, ..) = trained(size, layout, Adam::default, 0.02, &config, steps);
            let off = relative_difference(&found, &expected);
            assert!(off < 1e-9, "{size} {layout:?} {warmup}: {off}");
            let (expected, ..) = alone(HeavyBall::default(), 0.05, config(), steps);
            let (found, ..) = trained(size, layout, HeavyBall::default, 0.05, &config, steps);
            let off = relative_difference(&found, &expected);
            assert!(off < 1e-9, "{size} {layout:?} {warmup}: {off}");
        }
    }
}

/// A clock that goes differently on every rank and at every reading.
fn skewed_clock(rank: usize) -> Clock {
    let (readings, time) = (AtomicU64::new(0), AtomicU64::new(0));
    Clock::driven(move || {
        let i = readings.fetch_add(1, Ordering::Relaxed);
        let passed = 900 + 150 * rank as u64 + i * 7919 % (100 + 40 * rank as u64);
        Duration::from_micros(time.fetch_add(passed, Ordering::Relaxed) + passed)
    })
}

#[test]
fn a_measured_interval_is_that_of_rank_0() {
    let config = || FosiConfig {
        schedule: Schedule::Overhead {
            warmup: 20,
            overhead: 1.5,
            product_cost: None,
        },
        newton_rate: NewtonRate::adaptive(0.01),
        averaging: Averaging::Predicted,
        ..config()
    };
    let problem = Softmax::new();
    for layout in LAYOUTS {
        let all = on_ranks(3, |communicator| {
            let rank = communicator.rank();
            let ranks = Some((communicator, layout));
            let mut run = Run::new(&problem, Adam::default(), 0.02, config(), ranks);
            run.optimizer.set_clock(skewed_clock(rank));
            let mut intervals = Vec::new();
            while run.refreshes.len() < 4 {
                run.step().unwrap();
                intervals.push(run.optimizer.interval());
            }
            (intervals, run.optimizer.timing(), run.state())
        });
        assert!(all.iter().all(|found| found == &all[0]), "{layout:?}");
        let (intervals, ..) = &all[0];
        let mut distinct: Vec<_> = intervals.iter().flatten().collect();
        distinct.dedup();
        assert!(distinct.len() > 1, "T never changed: {distinct:?}");
    }
    // Without the communicator's help the clocks give other intervals.
    let intervals: Vec<_> = (0..3)
        .map(|rank| {
            let mut run = Run::new(&problem, Adam::default(), 0.02, config(), None);
            run.optimizer.set_clock(skewed_clock(rank));
            run.steps(100);
            run.optimizer.interval()
        })
        .collect();
    assert!(
        intervals[1] != intervals[0] || intervals[2] != intervals[0],
        "{intervals:?}"
    );
}

/// Fails at a step on one rank, and goes on from there.
fn fail(fault: Fault, step: u64, rank: usize, layout: Layout) {
    let problem = Softmax::new();
    let all = on_ranks(3, |communicator| {
        let own = communicator.rank();
        let ranks = Some((communicator, layout));
        let mut run = Run::new(&problem, Adam::default(), 0.02, config(), ranks);
        run.steps(step as usize);
        let before = run.parameters.clone();
        run.fault = (own == rank).then_some(fault);
        let error = run.step().unwrap_err();
        assert_eq!(run.parameters, before);
        run.fault = None;
        run.steps(10);
        (error.to_string(), run.state())
    });
    let reason = match fault {
        Fault::Gradient => "no gradient",
        Fault::Product => "no product",
        Fault::Data => "no data",
    };
    for (own, (error, state)) in all.iter().enumerate() {
        assert!(error.contains(reason), "{error}");
        let told = error.contains(&format!("rank {rank} failed"));
        assert_eq!(told, own != rank, "{own}: {error}");
        assert!(*state == all[0].1, "{fault:?} {layout:?}");
    }
}

#[test]
fn an_error_on_one_rank_is_one_on_all() {
    for layout in LAYOUTS {
        for rank in [0, 2] {
            fail(Fault::Gradient, 8, rank, layout);
            // At the step of a refresh.
            fail(Fault::Product, 5, rank, layout);
            fail(Fault::Data, 5, rank, layout);
        }
    }
}

#[test]
fn what_one_rank_alone_gets_wrong_is_told() {
    let space = Host::<f64>::new(5);
    let all = on_ranks(3, |communicator| {
        let rank = communicator.rank();
        let space = space.clone().replicated(communicator);
        let mut short = vec![1.0; if rank == 1 { 4 } else { 5 }];
        let length = space.average(1.0, Ok(1.0), &mut short).unwrap_err();
        let weight = if rank == 2 { -1.0 } else { 1.0 };
        let negative = space.average(weight, Ok(1.0), &mut [1.0; 5]).unwrap_err();
        let none = space.average(0.0, Ok(1.0), &mut [1.0; 5]).unwrap_err();
        let operator = operator::from_fn::<Host<f64>, _>(|_: &[f64], _: &mut [f64]| {});
        let weightless = Reduced::new(&space, 0.0, Ok(operator)).unwrap_err();
        [length, negative, none, weightless].map(|error| error.to_string())
    });
    for (rank, [length, negative, none, weightless]) in all.iter().enumerate() {
        assert!(length.contains("has 4 entries"), "{length}");
        assert_eq!(length.starts_with("rank 1 failed"), rank != 1);
        assert!(negative.contains("is -1"), "{negative}");
        assert_eq!(negative.starts_with("rank 2 failed"), rank != 2);
        assert!(none.contains("positive on one rank"), "{none}");
        assert!(weightless.contains("positive on one rank"), "{weightless}");
    }
}

#[test]
fn a_step_or_refresh_that_one_rank_cannot_take_is_refused_by_all() {
    for layout in LAYOUTS {
        let all = on_ranks(3, |communicator| {
            let rank = communicator.rank();
            let mut x = [1.0; 7];
            let optimizer = Fosi::new(Host::<f64>::new(7), HeavyBall::default(), config()).unwrap();
            let mut optimizer = layout.put(optimizer, communicator, &mut x);
            let space = optimizer.space().clone();
            let own = space.own_mut(&mut x);
            let gradient = vec![1.0; own.len() + usize::from(rank == 1)];
            let step = optimizer.step(0.1, own, &gradient).unwrap_err();
            let operator = operator::from_fn::<Host<f64>, _>(|_: &[f64], _: &mut [f64]| {});
            let mut hessian = Reduced::new(&space, 1.0, Ok(operator)).unwrap();
            let refresh = optimizer.refresh_from(&mut hessian, &gradient).unwrap_err();
            assert_eq!((optimizer.steps(), &own[..1]), (0, &[1.0][..]));
            // The next step is possible on all.
            optimizer.step(0.1, own, &gradient[..own.len()]).unwrap();
            [step, refresh].map(|error| error.to_string())
        });
        for (rank, errors) in all.iter().enumerate() {
            for error in errors {
                assert!(error.contains("the gradient has"), "{error}");
                assert_eq!(error.starts_with("rank 1 failed"), rank != 1, "{error}");
            }
        }
    }
}

#[test]
fn settings_that_one_rank_changes_are_refused_at_the_next_refresh() {
    let problem = Softmax::new();
    let all = on_ranks(2, |communicator| {
        let rank = communicator.rank();
        let ranks = Some((communicator, Layout::Sharded));
        let mut run = Run::new(&problem, Adam::default(), 0.02, config(), ranks);
        run.steps(20);
        run.optimizer.set_eigenpairs(4 + rank, 0).unwrap();
        while run.optimizer.steps() < 55 {
            run.step().unwrap();
        }
        run.step().unwrap_err().to_string()
    });
    for error in all {
        assert!(error.contains("state of rank 1 at step 55"), "{error}");
    }
}

#[test]
fn parameters_that_differ_are_refused_with_shards_too() {
    let all = on_ranks(2, |communicator| {
        let rank = communicator.rank();
        let mut x = [1.0; 5];
        let optimizer = Fosi::new(Host::<f64>::new(5), HeavyBall::default(), config()).unwrap();
        let mut optimizer = optimizer.sharded(communicator, &mut x).unwrap();
        let length = optimizer.compare_whole_parameters(&x[..4 + rank]);
        x[0] += rank as f64;
        let differ = optimizer.compare_whole_parameters(&x);
        x[0] = 1.0;
        optimizer.compare_whole_parameters(&x).unwrap();
        [length, differ].map(|error| error.unwrap_err().to_string())
    });
    for [length, differ] in all {
        assert!(length.contains("has 4 entries"), "{length}");
        assert!(differ.contains("parameter vector of rank 1"), "{differ}");
    }
}

#[test]
fn a_long_reason_arrives_cut_between_characters() {
    let all = on_ranks(2, |communicator| {
        let rank = communicator.rank();
        let space = Host::<f32>::new(1).sharded(communicator);
        let loss = match rank {
            0 => Err("ä".repeat(500).into()),
            _ => Ok(1.0),
        };
        space.average(1.0, loss, &mut [1.0]).unwrap_err()
    });
    let Error::OtherRank { rank: 0, message } = &all[1] else {
        panic!("{:?}", all[1]);
    };
    assert_eq!(*message, "ä".repeat(120));
}

#[test]
fn ranks_that_diverge_are_stopped() {
    let problem = Softmax::new();
    let all = on_ranks(3, |communicator| {
        let rank = communicator.rank();
        let ranks = Some((communicator, Layout::Replicated));
        let mut run = Run::new(&problem, Adam::default(), 0.02, config(), ranks);
        run.steps(60);
        if rank == 2 {
            run.parameters[3] += 1e-15;
        }
        while run.optimizer.steps() < 105 {
            run.step().unwrap();
        }
        // The refresh is due here, and at the step after it the parameters are compared. The optimizer's own state
        // differs by then, too.
        let first = run.step().unwrap_err();
        (first.to_string(), run.optimizer.steps())
    });
    for (error, steps) in &all {
        assert!(error.contains("rank 2 at step 105 differs"), "{error}");
        assert_eq!(*steps, 105);
    }
}

#[test]
fn parameters_that_differ_are_refused_at_the_first_step() {
    let all = on_ranks(2, |communicator| {
        let rank = communicator.rank() as f64;
        let space = Host::<f32>::new(3).replicated(communicator);
        let mut optimizer = Fosi::new(space, HeavyBall::default(), FosiConfig::default()).unwrap();
        let error = optimizer.step(0.1, &mut [0.0, rank as f32, 0.0], &[1.0; 3]);
        error.unwrap_err().to_string()
    });
    for error in all {
        assert!(
            error.contains("parameter vector of rank 1 at step 0"),
            "{error}"
        );
    }
}

#[test]
fn a_checkpoint_resumes_on_another_number_of_ranks_and_in_another_layout() {
    let problem = Softmax::new();
    for before in LAYOUTS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let saved = on_ranks(2, |communicator| {
            let ranks = Some((communicator, before));
            let mut run = Run::new(&problem, Adam::default(), 0.02, config(), ranks);
            run.steps(80);
            run.optimizer.save(&path).unwrap();
            let half = run.parameters.clone();
            run.steps(40);
            (half, run.state(), run.losses.split_off(80))
        });
        let (half, at_end, expected) = &saved[0];
        for (after, size) in LAYOUTS
            .into_iter()
            .flat_map(|l| [1, 2, 4].map(|size| (l, size)))
        {
            let resumed = on_ranks(size, |communicator| {
                let ranks = Some((communicator, after));
                let mut run = Run::new(&problem, Adam::default(), 0.02, config(), ranks);
                run.optimizer.load(&path).unwrap();
                run.parameters.copy_from_slice(half);
                run.steps(40);
                (run.state(), run.losses)
            });
            let ((parameters, bytes, ..), losses) = &resumed[0];
            let off = relative_difference(losses, expected);
            assert!(off < 1e-6, "{before:?} to {size} {after:?}: {off}");
            if size == 2 && before == after {
                assert_eq!(parameters, &at_end.0);
                assert!(*bytes == at_end.1, "the state differs");
            }
        }
        // What sharded ranks write is what one alone does.
        let mut whole = Fosi::new(Host::<f64>::new(N), Adam::default(), config()).unwrap();
        whole.load(&path).unwrap();
        assert!(whole.to_bytes().unwrap() == std::fs::read(&path).unwrap());
    }
}

#[test]
fn a_file_that_one_rank_lacks_is_loaded_by_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let problem = Softmax::new();
    let mut run = Run::new(&problem, Adam::default(), 0.02, config(), None);
    run.steps(10);
    run.optimizer.save(&path).unwrap();
    let all = on_ranks(2, |communicator| {
        let rank = communicator.rank();
        let ranks = Some((communicator, Layout::Sharded));
        let mut run = Run::new(&problem, Adam::default(), 0.02, config(), ranks);
        let path = if rank == 1 {
            path.with_extension("missing")
        } else {
            path.clone()
        };
        let error = run.optimizer.load(path).unwrap_err();
        (error.to_string(), run.optimizer.steps())
    });
    assert!(all[0].0.contains("rank 1 failed"), "{}", all[0].0);
    assert!(all[1].0.contains("No such file"), "{}", all[1].0);
    assert!(all.iter().all(|(_, steps)| *steps == 0));
}

#[test]
fn a_file_that_is_damaged_for_one_rank_is_loaded_by_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = |rank: usize| folder.path().join(rank.to_string());
    let problem = Softmax::new();
    let mut run = Run::new(&problem, Adam::default(), 0.02, config(), None);
    run.steps(10);
    run.optimizer.save(path(0)).unwrap();
    let mut bytes = std::fs::read(path(0)).unwrap();
    // In the shard of rank 0, which rank 1 does not read.
    let first = bytes.len() - 8 * N;
    bytes[first] ^= 1;
    std::fs::write(path(1), bytes).unwrap();
    run.steps(1);
    run.optimizer.save(path(2)).unwrap();
    for layout in LAYOUTS {
        for (other, reason) in [(1, "checksum"), (2, "checkpoint of rank 1")] {
            let all = on_ranks(2, |communicator| {
                let rank = communicator.rank();
                let ranks = Some((communicator, layout));
                let mut run = Run::new(&problem, Adam::default(), 0.02, config(), ranks);
                let path = if rank == 1 { path(other) } else { path(0) };
                let error = run.optimizer.load(path).unwrap_err();
                (error.to_string(), run.optimizer.steps())
            });
            for (error, steps) in all {
                assert!(error.contains(reason), "{error}");
                assert_eq!(steps, 0);
            }
        }
    }
}

/// A diagonal quadratic of n variables, with a basis stored as told.
fn quadratic<T: Scalar>(
    n: usize,
    storage: Storage,
    ranks: Option<(Arc<dyn Communicator>, Layout)>,
) -> Vec<T> {
    let curvature = |i: usize| 1.0 + 50.0 / (i + 1) as f64;
    let config = FosiConfig {
        largest: 3,
        smallest: 0,
        ..FosiConfig::quadratic()
    };
    let space = Host::<T>::new(n).with_storage(storage);
    let mut x = vec![T::store(1.0); n];
    let mut optimizer = Fosi::new(space, Adam::default(), config).unwrap();
    let size = ranks.as_ref().map_or(1, |(c, _)| c.size());
    if let Some((communicator, layout)) = ranks {
        optimizer = layout.put(optimizer, communicator, &mut x);
    }
    let space = optimizer.space().clone();
    let rank = space.ranks().rank();
    // The ranks' operators differ; their mean is the quadratic's.
    let factor = |i: usize| {
        let of = |rank: usize| 1.0 + (i * (rank + 1) % 5) as f64;
        let sum: f64 = (0..size).map(of).sum();
        of(rank) * size as f64 / sum
    };
    for _ in 0..30 {
        if optimizer.due() {
            let hessian = operator::from_fn::<Host<T>, _>(|v: &[T], out: &mut [T]| {
                for i in 0..n {
                    out[i] = v[i].scale(curvature(i) * factor(i));
                }
            });
            let mut hessian = Reduced::new(&space, 1.0, Ok(hessian)).unwrap();
            optimizer.refresh(&mut hessian).unwrap();
        }
        let mut gradient: Vec<T> = (0..n)
            .map(|i| x[i].scale(curvature(i) * factor(i)))
            .collect();
        space.average(1.0, Ok(0.0), &mut gradient).unwrap();
        let (own, g) = (space.own_mut(&mut x), space.own(&gradient));
        optimizer.step(0.01, own, g).unwrap();
        space.gather(&mut x);
    }
    x
}

fn compare_quadratics<T: Scalar>(n: usize, storage: Storage, tolerance: f64) {
    let expected = quadratic::<T>(n, storage, None);
    for layout in LAYOUTS {
        for size in 2..=4 {
            let all = on_ranks(size, |communicator| {
                quadratic::<T>(n, storage, Some((communicator, layout)))
            });
            for found in &all {
                assert!(found == &all[0], "{n} on {size}, {layout:?}");
            }
            let pairs = all[0].iter().zip(&expected);
            let off = pairs
                .map(|(a, b)| (a.load() - b.load()).abs())
                .fold(0.0, f64::max);
            assert!(off < tolerance, "{n} on {size}, {layout:?}: {off}");
        }
    }
}

#[test]
fn fewer_parameters_than_ranks() {
    for n in [1, 2, 3] {
        compare_quadratics::<f64>(n, Storage::Full, 1e-9);
        compare_quadratics::<f32>(n, Storage::Bf16, 1e-4);
    }
}

#[test]
fn vectors_of_many_blocks_in_every_precision() {
    compare_quadratics::<f64>(40_001, Storage::Full, 1e-9);
    compare_quadratics::<f64>(20_000, Storage::Single, 1e-6);
    compare_quadratics::<f32>(20_000, Storage::Full, 1e-3);
}

#[test]
fn a_sharded_space_computes_what_the_whole_does() {
    for n in [1_usize, 2, 7, 20_000] {
        let whole = Host::<f64>::new(n);
        let (x, y) = (whole.normal(3), whole.normal(4));
        let vectors: Vec<Vec<f64>> = (5..8).map(|seed| whole.normal(seed)).collect();
        let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-12 * (n as f64), "{a} {b}");
        let columns: Vec<Vec<f64>> = (0..2)
            .map(|j| (0..3).map(|i| 0.3 + (i * j) as f64).collect())
            .collect();
        let (_, gram) = whole.rotate(&mut vectors.clone(), &columns);
        on_ranks(4, |communicator| {
            let space = Host::<f64>::new(n).sharded(communicator);
            assert_eq!(space.dim(), n);
            assert_eq!(space.normal(3), space.own(&x));
            let (own_x, own_y) = (space.own(&x), space.own(&y));
            near(space.dot(own_x, own_y), dot(&x, &y));
            assert_eq!(space.max_abs(own_x), whole.max_abs(&x));
            near(space.norm(own_x), dot(&x, &x).sqrt());
            let own: Vec<Vec<f64>> = vectors.iter().map(|v| space.own(v).to_vec()).collect();
            let (mut c, mut d) = ([0.0; 3], [0.0; 3]);
            near(
                space.project_pair(&own, own_x, own_y, &mut c, &mut d),
                dot(&x, &x),
            );
            for i in 0..3 {
                near(c[i], dot(&vectors[i], &x));
                near(d[i], dot(&vectors[i], &y));
            }
            let (basis, found) = space.rotate(&mut own.clone(), &columns);
            found.iter().zip(&gram).for_each(|(a, b)| near(*a, *b));
            let exported = space.export_basis(&basis);
            let again = space.import_basis(&exported).unwrap();
            assert_eq!(space.export_basis(&again), exported);
            assert_eq!(space.size(&again), 2);
            let exported = space.export(own_x);
            assert_eq!(exported, whole.export(&x));
            assert_eq!(space.import(&exported).unwrap(), own_x);
        });
    }
}

#[test]
fn an_entry_that_is_not_finite_is_seen_by_all() {
    let all = on_ranks(3, |communicator| {
        let rank = communicator.rank();
        let space = Host::<f64>::new(6).sharded(communicator);
        let x = [0.0, if rank == 1 { f64::NAN } else { 1.0 }];
        (space.max_abs(&x), space.dot(&x, &x))
    });
    assert!(
        all.iter()
            .all(|(max, dot)| max.is_infinite() && dot.is_nan())
    );
}

fn ranks_of(layout: Layout, communicator: Arc<dyn Communicator>) -> Ranks {
    match layout {
        Layout::Replicated => Ranks::replicated(communicator),
        Layout::Sharded => Ranks::sharded(communicator),
    }
}

/// The mean loss, with exact products.
fn mean_loss(problem: &Softmax, ranks: Ranks) -> Objective<'_, Host<f64>> {
    let share = Softmax::all(ranks.rank(), ranks.size());
    let weight = share.len() as f64;
    let examples = share.clone();
    let space = Host::new(N).with_ranks(ranks);
    Objective::on_ranks(space, weight, move |x: &[f64], g: &mut [f64]| {
        Ok(problem.loss(&share, x, g))
    })
    .with_product_on_ranks(weight, move |x: &[f64], v: &[f64], out: &mut [f64]| {
        problem.product(&examples, x, v, out);
        Ok(())
    })
}

fn run_to_the_end(run: &mut Minimizer<Host<f64>>, objective: &mut Objective<'_, Host<f64>>) {
    while run.step(objective).is_none() {}
}

#[test]
fn a_minimisation_resumes_on_another_number_of_ranks() {
    let problem = Softmax::new();
    let options = || Options {
        first_estimation: Some(5),
        ..Options::default()
    };
    for before in LAYOUTS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let whole = on_ranks(2, |communicator| {
            let mut objective = mean_loss(&problem, ranks_of(before, communicator));
            let start = vec![0.0; objective.space().range().len()];
            let mut run = Minimizer::new(&mut objective, &start, options()).unwrap();
            while run.steps() < 12 {
                assert!(run.step(&mut objective).is_none());
            }
            run.save(&path).unwrap();
            run_to_the_end(&mut run, &mut objective);
            (run.best().value, run.steps())
        });
        let (value, steps) = whole[0];
        for after in LAYOUTS {
            for size in 1..=3 {
                let all = on_ranks(size, |communicator| {
                    let mut objective = mean_loss(&problem, ranks_of(after, communicator));
                    let space = objective.space().clone();
                    let mut run = Minimizer::load(space, options(), &path).unwrap();
                    run_to_the_end(&mut run, &mut objective);
                    (run.best().value, run.steps())
                });
                assert!(all.iter().all(|found| *found == all[0]));
                assert!((all[0].0 / value - 1.0).abs() < 1e-9);
                let same = size == 2 && before == after;
                assert!(!same || all[0] == (value, steps), "{:?}", all[0]);
            }
        }
    }
}

#[test]
fn a_minimisation_whose_file_is_damaged_on_one_rank_is_loaded_by_none() {
    let problem = Softmax::new();
    let folder = tempfile::tempdir().unwrap();
    let path = |rank: usize| folder.path().join(rank.to_string());
    let mut objective = mean_loss(&problem, Ranks::ALONE);
    let mut run = Minimizer::new(&mut objective, &[0.0; N], Options::default()).unwrap();
    assert!(run.step(&mut objective).is_none());
    run.save(path(0)).unwrap();
    let mut bytes = std::fs::read(path(0)).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(path(1), bytes).unwrap();
    let all = on_ranks(2, |communicator| {
        let rank = communicator.rank();
        let space = Host::<f64>::new(N).with_ranks(Ranks::sharded(communicator));
        let error = Minimizer::load(space, Options::default(), path(rank)).unwrap_err();
        error.to_string()
    });
    assert!(all[0].contains("rank 1 failed"), "{}", all[0]);
    assert!(all[1].contains("checksum"), "{}", all[1]);
}

#[test]
fn minimising_on_ranks_finds_the_same_minimum() {
    let problem = Softmax::new();
    let objective = |ranks: Ranks| mean_loss(&problem, ranks);
    let options = || Options {
        first_estimation: Some(5),
        ..Options::default()
    };
    let expected = minimize(objective(Ranks::ALONE), &[0.0; N], options()).unwrap();
    assert!(matches!(expected.status, Status::GradientNorm));
    assert!(!expected.estimations.is_empty());
    for layout in [Ranks::replicated, Ranks::sharded] {
        for size in 2..=4 {
            let all = on_ranks(size, |communicator| {
                let objective = objective(layout(communicator));
                let space = objective.space().clone();
                let start = vec![0.0; space.range().len()];
                let minimum = minimize(objective, &start, options()).unwrap();
                let mut whole = vec![0.0; N];
                let own = space.own_mut(&mut whole);
                own.copy_from_slice(&minimum.best.parameters);
                space.gather(&mut whole);
                (whole, minimum.best.value, minimum.cost, minimum.steps)
            });
            assert!(all.iter().all(|found| found == &all[0]));
            let (_, value, cost, _) = &all[0];
            assert!((value / expected.best.value - 1.0).abs() < 1e-9);
            assert!(
                cost.abs_diff(expected.cost) <= 5,
                "{cost} {}",
                expected.cost
            );
        }
    }
}

#[test]
fn a_minimisation_without_products_out_of_time_or_with_an_error_ends_alike() {
    let problem = Softmax::new();
    for layout in [Ranks::replicated, Ranks::sharded] {
        let all = on_ranks(3, |communicator| {
            let rank = communicator.rank();
            let share = Softmax::all(rank, 3);
            let ranks = layout(Arc::clone(&communicator));
            let space = match ranks.is_sharded() {
                true => Host::new(N).sharded(communicator),
                false => Host::new(N).replicated(communicator),
            };
            let start = vec![0.0; space.range().len()];
            let mut calls = 0;
            let mut fails_at = u64::MAX;
            let mut objective = |limit: u64| {
                fails_at = if rank == 1 { limit } else { u64::MAX };
                let share = share.clone();
                let problem = &problem;
                let fails_at = fails_at;
                Objective::on_ranks(space.clone(), 40.0, move |x: &[f64], g: &mut [f64]| {
                    calls += 1;
                    // Ranks that are not equally fast.
                    std::thread::sleep(Duration::from_micros(200 * (rank as u64 + 1)));
                    match calls > fails_at {
                        true => Err("no value".into()),
                        false => Ok(problem.loss(&share, x, g)),
                    }
                })
            };
            let late = Options {
                max_time: Some(Duration::from_millis(60)),
                ..Options::default()
            };
            let late = minimize(objective(u64::MAX), &start, late).unwrap();
            let whole = minimize(objective(u64::MAX), &start, Options::default()).unwrap();
            let mut failing = objective(30);
            let mut run = Minimizer::new(&mut failing, &start, Options::default()).unwrap();
            let status = loop {
                if let Some(status) = run.step(&mut failing) {
                    break status;
                }
            };
            let Status::Failed(error) = status else {
                panic!("{status:?}");
            };
            assert!(matches!(
                late.status,
                Status::MaxTime | Status::GradientNorm
            ));
            assert!(
                matches!(whole.status, Status::GradientNorm),
                "{:?}",
                whole.status
            );
            let steps = (late.steps, late.cost, whole.steps, whole.cost, run.steps());
            (steps, whole.best.value, error.to_string())
        });
        for (rank, (steps, value, error)) in all.iter().enumerate() {
            assert_eq!((steps, value), (&all[0].0, &all[0].1));
            assert!(error.contains("no value"), "{error}");
            assert_eq!(error.starts_with("rank 1 failed"), rank != 1, "{error}");
        }
    }
}

#[test]
fn a_minimisation_with_settings_or_starts_that_do_not_fit_is_refused_by_all() {
    let problem = Softmax::new();
    let all = on_ranks(2, |communicator| {
        let rank = communicator.rank();
        let mut objective = mean_loss(&problem, Ranks::replicated(communicator));
        let limited = Options {
            max_time: (rank == 1).then_some(Duration::from_secs(9)),
            ..Options::default()
        };
        let limited = Minimizer::new(&mut objective, &[0.0; N], limited).unwrap_err();
        let start = vec![0.0; N + rank];
        let longer = Minimizer::new(&mut objective, &start, Options::default()).unwrap_err();
        let start = vec![rank as f64; N];
        let other = Minimizer::new(&mut objective, &start, Options::default()).unwrap_err();
        [limited, longer, other].map(|error| error.to_string())
    });
    for [limited, longer, other] in all {
        assert!(
            limited.contains("options or the dimension of rank 1"),
            "{limited}"
        );
        assert!(longer.contains("the start has"), "{longer}");
        assert!(other.contains("the start of rank 1"), "{other}");
    }
}

#[test]
fn settings_that_differ_are_refused_at_the_start() {
    let all = on_ranks(2, |communicator| {
        let config = FosiConfig {
            seed: communicator.rank() as u64,
            ..FosiConfig::default()
        };
        let optimizer = Fosi::new(Host::<f64>::new(3), HeavyBall::default(), config).unwrap();
        let error = optimizer.data_parallel(communicator, &mut [0.0; 3]);
        error.unwrap_err().to_string()
    });
    for error in all {
        assert!(error.contains("configuration of rank 1"), "{error}");
    }
}

#[test]
fn a_learning_rate_that_differs_or_is_invalid_on_one_rank_is_refused_by_all() {
    for (layout, other) in LAYOUTS.into_iter().zip([0.2, f64::NAN]) {
        let all = on_ranks(2, |communicator| {
            let rank = communicator.rank();
            let optimizer = Fosi::new(Host::<f64>::new(4), HeavyBall::default(), config()).unwrap();
            let mut x = [1.0; 4];
            let mut optimizer = layout.put(optimizer, communicator, &mut x);
            let space = optimizer.space().clone();
            let rate = if rank == 1 { other } else { 0.1 };
            let own = space.own_mut(&mut x);
            let gradient = vec![1.0; own.len()];
            let error = optimizer.step(rate, own, &gradient).unwrap_err();
            // The next step has the same rate everywhere.
            optimizer.step(0.1, own, &gradient).unwrap();
            (error.to_string(), optimizer.steps())
        });
        for (error, steps) in all {
            assert!(error.contains("learning rate of rank 1"), "{error}");
            assert_eq!(steps, 1);
        }
    }
}

#[test]
fn an_optimizer_with_a_spectrum_is_not_put_on_ranks() {
    let all = on_ranks(2, |communicator| {
        let optimizer = Fosi::new(
            Host::<f64>::new(9),
            HeavyBall::default(),
            FosiConfig::quadratic(),
        );
        let mut optimizer = optimizer.unwrap();
        let curvature = |v: &[f64], out: &mut [f64]| {
            for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
                *out = (i + 1) as f64 * v;
            }
        };
        optimizer
            .refresh(&mut operator::from_fn(curvature))
            .unwrap();
        let error = optimizer.sharded(communicator, &mut [0.0; 9]).unwrap_err();
        error.to_string()
    });
    assert!(all[0].contains("steps and refreshes taken"), "{}", all[0]);
}
