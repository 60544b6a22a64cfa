//! Steps and estimations on the CPU, and the memory bandwidth in the same run.
//!
//! `bench/summary` converts the times into ratios to the memory bandwidth. `FOSI_BENCH_LARGEST` limits n; default 10⁷.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use fosi::base::{Adam, Base, GradientDescent, HeavyBall};
use fosi::operator::SymmetricOperator;
use fosi::{Averaging, Fosi, FosiConfig, Host, Schedule, Storage, operator};
use rayon::prelude::*;

const SIZES: [usize; 5] = [10_000, 100_000, 1_000_000, 4_000_000, 10_000_000];
/// Entries of the largest basis: n = 10⁷ with k = 20.
const LARGEST_BASIS: usize = 200_000_000;
const LANES: usize = 32;

fn sizes() -> Vec<usize> {
    let largest = std::env::var("FOSI_BENCH_LARGEST").ok();
    let largest = largest.map_or(10_000_000, |text| {
        text.parse().expect("FOSI_BENCH_LARGEST is a number")
    });
    SIZES.into_iter().filter(|&n| n <= largest).collect()
}

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.37).sin()).collect()
}

fn settings(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.sample_size(10);
    group.warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1));
}

/// The reference bandwidths: all threads read, or read and write, at least 64 MB.
fn memory(c: &mut Criterion) {
    let mut group = c.benchmark_group("memory");
    settings(&mut group);
    let n = 40_000_000;
    let x = numbers(n);
    let mut y = numbers(n);
    group.bench_function("read", |bencher| {
        bencher.iter(|| {
            let sum = |chunk: &[f32]| {
                let mut lanes = [0.0; LANES];
                for values in chunk.chunks_exact(LANES) {
                    lanes
                        .iter_mut()
                        .zip(values)
                        .for_each(|(lane, x)| *lane += x);
                }
                lanes.iter().sum::<f32>()
            };
            black_box(x.par_chunks(1 << 16).map(sum).sum::<f32>())
        });
    });
    // Two reads and a write.
    group.bench_function("update", |bencher| {
        bencher.iter(|| {
            let add = |(y, x): (&mut [f32], &[f32])| {
                y.iter_mut().zip(x).for_each(|(y, x)| *y += 1e-6 * x);
            };
            y.par_chunks_mut(1 << 16)
                .zip(x.par_chunks(1 << 16))
                .for_each(add);
            black_box(&mut y);
        });
    });
    group.finish();
}

/// η, which does not affect the times.
const LEARNING_RATE: f64 = 1e-3;

/// FOSI with a spectrum of k pairs, ready to step.
fn ready<B: Base<Host<f32>>>(
    base: B,
    n: usize,
    k: usize,
    m: usize,
    storage: Storage,
) -> Fosi<Host<f32>, B> {
    let config = FosiConfig {
        largest: k,
        lanczos_steps: Some(m),
        lanczos_tolerance: None,
        averaging: Averaging::Off,
        schedule: Schedule::Every {
            warmup: 0,
            interval: u64::MAX,
        },
        ..FosiConfig::default()
    };
    let space = Host::new(n).with_storage(storage);
    let mut optimizer = Fosi::new(space, base, config).expect("settings that are allowed");
    optimizer.refresh(&mut diagonal()).expect("a spectrum");
    optimizer
}

/// FOSI with a mean over refreshes of k = 10 pairs.
fn averaged(n: usize, m: usize) -> Fosi<Host<f32>, GradientDescent> {
    let config = FosiConfig {
        lanczos_steps: Some(m),
        lanczos_tolerance: None,
        averaging: Averaging::Predicted,
        ..FosiConfig::default()
    };
    let mut optimizer = Fosi::new(Host::new(n), GradientDescent, config).expect("settings");
    optimizer.refresh(&mut diagonal()).expect("a spectrum");
    optimizer
}

/// A product whose cost is negligible compared with a sweep over the vectors.
fn diagonal() -> impl SymmetricOperator<Host<f32>> {
    operator::from_fn(|v: &[f32], out: &mut [f32]| {
        out.par_chunks_mut(1 << 14)
            .zip(v.par_chunks(1 << 14))
            .enumerate()
            .for_each(|(chunk, (out, v))| {
                for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
                    *out = v / (1 + (chunk << 14) + i) as f32;
                }
            });
    })
}

fn plain<B: Base<Host<f32>>>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    base: B,
    n: usize,
) {
    let mut optimizer = Fosi::new(Host::new(n), base, FosiConfig::base_only()).expect("settings");
    let (mut x, g) = (numbers(n), numbers(n));
    group.bench_with_input(BenchmarkId::new(name, n), &n, |bencher, _| {
        bencher.iter(|| optimizer.step(LEARNING_RATE, &mut x, &g).expect("a step"));
    });
}

fn steps_of<B: Base<Host<f32>> + Clone>(c: &mut Criterion, name: &str, base: B) {
    let mut group = c.benchmark_group("step");
    settings(&mut group);
    for n in sizes() {
        plain(&mut group, name, base.clone(), n);
        for (precision, storage) in [("f32", Storage::Full), ("bf16", Storage::Bf16)] {
            for k in [1, 10, 20] {
                assert!(n * k <= LARGEST_BASIS);
                let mut optimizer = ready(base.clone(), n, k, k + 4, storage);
                let (mut x, g) = (numbers(n), numbers(n));
                let id = BenchmarkId::new(format!("fosi-{name}-{precision}-k{k}"), n);
                group.bench_with_input(id, &n, |bencher, _| {
                    bencher.iter(|| optimizer.step(LEARNING_RATE, &mut x, &g).expect("a step"));
                });
            }
        }
    }
    group.finish();
}

fn steps(c: &mut Criterion) {
    steps_of(c, "gd", GradientDescent);
    steps_of(c, "hb", HeavyBall::new(0.9));
    steps_of(c, "adam", Adam::default());
}

/// An estimation without its products.
fn estimations(c: &mut Criterion) {
    let mut group = c.benchmark_group("estimation");
    settings(&mut group);
    for n in sizes()
        .into_iter()
        .filter(|&n| (100_000..=4_000_000).contains(&n))
    {
        for m in [20, 40, 80] {
            let mut optimizer = ready(GradientDescent, n, 10, m, Storage::Full);
            let mut operator = diagonal();
            group.bench_with_input(BenchmarkId::new(format!("m{m}"), n), &n, |bencher, _| {
                bencher.iter(|| optimizer.refresh(&mut operator).expect("a spectrum"));
            });
        }
        // Each spectrum is merged into a mean of rank 20.
        let mut optimizer = averaged(n, 40);
        let mut operator = diagonal();
        let id = BenchmarkId::new("averaged-m40", n);
        group.bench_with_input(id, &n, |bencher, _| {
            bencher.iter(|| optimizer.refresh(&mut operator).expect("a spectrum"));
        });
    }
    group.finish();
}

criterion_group!(benches, memory, steps, estimations);
criterion_main!(benches);
