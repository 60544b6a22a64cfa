//! In the steady state a step does not allocate.

use allocation_counter::measure;
use fosi::base::{Adam, AdamW, Base, GradientDescent, HeavyBall, Nesterov};
use fosi::error::BoxError;
use fosi::operator::SymmetricOperator;
use fosi::space::Scalar;
use fosi::{Averaging, Clipping, Fosi, FosiConfig, Host, NewtonRate, Schedule, Storage, operator};

/// Allocations of fifty steps with ten pairs, after a refresh and two steps.
fn allocations<T: Scalar, B: Base<Host<T>>>(base: B, clipping: Clipping) -> u64 {
    let schedule = Schedule::Every {
        warmup: 0,
        interval: 1000,
    };
    allocations_under(schedule, base, clipping)
}

fn allocations_under<T: Scalar, B: Base<Host<T>>>(
    schedule: Schedule,
    base: B,
    clipping: Clipping,
) -> u64 {
    let n = 10_000;
    let config = FosiConfig {
        newton_rate: NewtonRate::scheduled(|t| 0.1 / (t + 1) as f64),
        schedule,
        clipping,
        ..crate::raw()
    };
    let mut optimizer = Fosi::new(Host::<T>::new(n), base, config).unwrap();
    let mut hessian = operator::from_fn::<Host<T>, _>(|v: &[T], out: &mut [T]| {
        for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
            *out = v.scale(1.0 / (i + 1) as f64);
        }
    });
    optimizer.refresh(&mut hessian).unwrap();
    let mut x = vec![T::ZERO; n];
    let gradient: Vec<T> = (0..n).map(|i| T::store((i as f64).cos())).collect();
    let mut steps = |count: usize| {
        for _ in 0..count {
            assert!(!optimizer.due());
            optimizer.step(0.01, &mut x, &gradient).unwrap();
        }
    };
    steps(2);
    measure(|| steps(50)).count_total
}

#[test]
fn the_counter_counts() {
    let made = measure(|| {
        std::hint::black_box(vec![0_u8; 100]);
    });
    assert_eq!(made.count_total, 1);
}

#[test]
fn steps_allocate_nothing() {
    for clipping in [Clipping::None, Clipping::Norm(1.0), Clipping::Value(0.5)] {
        assert_eq!(allocations::<f32, _>(GradientDescent, clipping), 0);
        assert_eq!(allocations::<f32, _>(HeavyBall::default(), clipping), 0);
        assert_eq!(allocations::<f32, _>(Nesterov::default(), clipping), 0);
        assert_eq!(allocations::<f32, _>(Adam::default(), clipping), 0);
        assert_eq!(allocations::<f64, _>(AdamW::default(), clipping), 0);
        assert_eq!(allocations::<f64, _>(HeavyBall::default(), clipping), 0);
    }
}

#[test]
fn adaptive_steps_allocate_nothing() {
    let n = 10_000;
    let config = FosiConfig {
        newton_rate: NewtonRate::adaptive(0.01),
        averaging: Averaging::Predicted,
        ..crate::raw()
    };
    let mut optimizer = Fosi::new(Host::<f32>::new(n), Adam::default(), config).unwrap();
    let mut x = vec![1.0; n];
    let mut steps = |count: usize, optimizer: &mut Fosi<Host<f32>, Adam>| {
        for step in 0..count {
            let gradient: Vec<f32> = (0..n).map(|i| ((i + step) as f32).cos()).collect();
            let made = measure(|| {
                optimizer.step(0.01, &mut x, &gradient).unwrap();
            });
            assert_eq!(made.count_total, 0, "step {step}");
        }
    };
    optimizer
        .step(0.01, &mut vec![1.0; n], &vec![1.0; n])
        .unwrap();
    optimizer.refresh(&mut Again).unwrap();
    optimizer
        .step(0.01, &mut vec![1.0; n], &vec![1.0; n])
        .unwrap();
    steps(20, &mut optimizer);
}

#[test]
fn refreshes_of_a_mean_keep_no_more_memory_than_those_before() {
    let n = 10_000;
    for storage in [Storage::Full, Storage::Bf16] {
        let config = FosiConfig {
            largest: 3,
            averaging: Averaging::Predicted,
            ..crate::raw()
        };
        let space = Host::<f32>::new(n).with_storage(storage);
        let mut optimizer = Fosi::new(space, GradientDescent, config).unwrap();
        let mut refresh = || {
            let kept = measure(|| {
                optimizer.refresh(&mut Again).unwrap();
            });
            kept.bytes_current
        };
        (0..3).for_each(|_| {
            refresh();
        });
        let grown: i64 = (0..5).map(|_| refresh()).sum();
        let peak = measure(|| {
            optimizer.refresh(&mut Again).unwrap();
        });
        // Less than one vector.
        assert!(
            grown.unsigned_abs() < 4 * n as u64,
            "{storage:?}: {grown} bytes"
        );
        // Beside the mean's 2k vectors and the last refresh's k: Q with one vector more than products. In bf16 the
        // 3k new ones, of half the size, come beside the old.
        let products = optimizer.config().products(n) as u64;
        let vectors = match storage {
            Storage::Bf16 => products + 1 + 5,
            _ => products + 1,
        };
        let bytes = 4 * n as u64;
        assert!(
            peak.bytes_max < vectors * bytes + bytes / 2,
            "{storage:?}: {} vectors of {vectors}",
            peak.bytes_max as f64 / bytes as f64
        );
    }
}

#[test]
fn steps_that_are_timed_allocate_nothing() {
    // T is 1000·τ₃/τ₂.
    let schedule = Schedule::Overhead {
        warmup: 0,
        overhead: 1.001,
        product_cost: None,
    };
    let base = HeavyBall::default();
    assert_eq!(
        allocations_under::<f32, _>(schedule, base, Clipping::None),
        0
    );
}

/// diag(1/i) with retries, like a difference quotient: the tries are compared.
struct Again;

impl SymmetricOperator<Host<f32>> for Again {
    fn apply(&mut self, v: &[f32], out: &mut [f32]) -> Result<(), BoxError> {
        for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
            *out = v / (i + 1) as f32;
        }
        Ok(())
    }
    fn retry(&mut self, v: &[f32], out: &mut [f32]) -> Result<bool, BoxError> {
        self.apply(v, out)?;
        Ok(true)
    }
}

/// An estimation allocates m vectors and, to within a twentieth of these, nothing else; the kept basis consists of k of
/// them. The second estimation replaces these k; from then on memory is reused. Allocations of other threads, which
/// only allocate sums, are not counted. The queue to them is counted and varies by a few kilobytes between runs.
#[test]
fn an_estimation_takes_little_more_than_its_vectors() {
    let exact = |v: &[f32], out: &mut [f32]| Again.apply(v, out).unwrap();
    estimations(&mut operator::from_fn(exact));
    estimations(&mut Again);
}

fn estimations(hessian: &mut impl SymmetricOperator<Host<f32>>) {
    // m Lanczos steps and the probe's six.
    let (n, m, probe, k) = (200_000_u64, 40, 6, 10);
    let config = FosiConfig {
        largest: k as usize,
        lanczos_steps: Some(m as usize),
        ..crate::raw()
    };
    let mut optimizer =
        Fosi::new(Host::<f32>::new(n as usize), HeavyBall::default(), config).unwrap();
    // The eigensolver keeps some megabytes from its first use on, independent of n.
    let config = optimizer.config().clone();
    let mut small = Fosi::new(Host::<f32>::new(1000), HeavyBall::default(), config).unwrap();
    small.refresh(hessian).unwrap();
    let mut refresh = || measure(|| drop(optimizer.refresh(hessian).unwrap()));
    let (first, second, third) = (refresh(), refresh(), refresh());
    let (vector, small_things) = (4 * n, 100_000);
    let allowed = (m + probe) * vector + m * vector / 20 + small_things;
    assert!(first.bytes_max <= allowed, "{} bytes", first.bytes_max);
    let made = second.bytes_max;
    assert!(made <= k * vector + small_things, "{made} bytes");
    // The new start vector is allocated before the old one is released.
    let passing = third.bytes_max;
    assert!(passing <= vector + small_things, "{passing} bytes");
    let left = third.bytes_current;
    assert!(left.unsigned_abs() <= small_things, "{left} bytes");
}
