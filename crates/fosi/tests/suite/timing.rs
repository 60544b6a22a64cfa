//! Measured costs and the resulting interval, on a clock that the test drives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use fosi::base::HeavyBall;
use fosi::timing::{Clock, OverheadStatus, Timing};
use fosi::{Fosi, FosiConfig, Host, Refresh, Schedule, operator};

const N: usize = 20;

type Optimizer = Fosi<Host<f64>, HeavyBall>;

fn optimizer(schedule: Schedule) -> Optimizer {
    let config = FosiConfig {
        largest: 2,
        lanczos_steps: Some(10),
        // No probe, so that a refresh takes ten products.
        safeguards: false,
        schedule,
        ..crate::raw()
    };
    Fosi::new(Host::new(N), HeavyBall::new(0.5), config).unwrap()
}

fn measured(warmup: u64, overhead: f64) -> Schedule {
    Schedule::Overhead {
        warmup,
        overhead,
        product_cost: None,
    }
}

/// The elapsed time of the run, in nanoseconds.
#[derive(Clone, Default)]
struct Time(Arc<AtomicU64>);

impl Time {
    fn pass(&self, seconds: f64) {
        let nanos = (seconds * 1e9).round() as u64;
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }

    fn seconds(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 * 1e-9
    }

    fn clock(&self) -> Clock {
        let nanos = Arc::clone(&self.0);
        Clock::driven(move || Duration::from_nanos(nanos.load(Ordering::Relaxed)))
    }
}

/// The events of a run, whose durations the test sets.
#[derive(Clone, Copy)]
enum Event {
    /// The step after this many steps of the base alone.
    BaseStep(u64),
    /// The step after this many steps with a subspace.
    FosiStep(u64),
    /// Product and refresh, each counted from 0.
    Product(usize, usize),
}

/// A training in which each event takes `cost` seconds.
struct Training<F> {
    time: Time,
    optimizer: Optimizer,
    parameters: Vec<f64>,
    cost: F,
    /// Steps at which it refreshed.
    refreshed: Vec<u64>,
    /// Products of the last refresh.
    products: usize,
    base_steps: u64,
    fosi_steps: u64,
}

impl<F: Fn(Event) -> f64> Training<F> {
    fn new(schedule: Schedule, cost: F) -> Self {
        let time = Time::default();
        let mut optimizer = optimizer(schedule);
        optimizer.set_clock(time.clock());
        Self {
            time,
            optimizer,
            parameters: vec![1.0; N],
            cost,
            refreshed: Vec::new(),
            products: 0,
            base_steps: 0,
            fosi_steps: 0,
        }
    }

    fn refresh(&mut self) -> Refresh {
        self.products = 0;
        let (products, count) = (&mut self.products, self.refreshed.len());
        let (time, cost) = (&self.time, &self.cost);
        let mut hessian = operator::from_fn::<Host<f64>, _>(|v: &[f64], out: &mut [f64]| {
            time.pass(cost(Event::Product(*products, count)));
            *products += 1;
            out.iter_mut()
                .zip(v)
                .enumerate()
                .for_each(|(i, (out, v))| *out = (i + 1) as f64 * v);
        });
        let refresh = self.optimizer.refresh(&mut hessian).unwrap();
        self.refreshed.push(self.optimizer.steps());
        refresh
    }

    fn step(&mut self) {
        if self.optimizer.due() {
            self.refresh();
        }
        let gradient: Vec<f64> = (1..)
            .zip(&self.parameters)
            .map(|(i, x)| i as f64 * x)
            .collect();
        let (event, count) = match self.optimizer.spectrum() {
            None => (Event::BaseStep(self.base_steps), &mut self.base_steps),
            Some(_) => (Event::FosiStep(self.fosi_steps), &mut self.fosi_steps),
        };
        *count += 1;
        self.time.pass((self.cost)(event));
        self.optimizer
            .step(1e-3, &mut self.parameters, &gradient)
            .unwrap();
    }

    fn steps(&mut self, count: u64) {
        (0..count).for_each(|_| self.step());
    }

    fn timing(&self) -> Timing {
        self.optimizer.timing().unwrap()
    }

    fn interval(&self) -> f64 {
        self.optimizer.interval().unwrap() as f64
    }
}

/// τ₁ = 10 ms, τ₂ = 10.2 ms, 25 ms per product.
fn regular(event: Event) -> f64 {
    match event {
        Event::BaseStep(_) => 0.010,
        Event::FosiStep(_) => 0.0102,
        Event::Product(..) => 0.025,
    }
}

/// T by equation 6, not rounded up.
fn equation_6(overhead: f64, base_step: f64, fosi_step: f64, refresh: f64) -> f64 {
    refresh / (overhead * base_step - fosi_step)
}

fn close(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance * expected
}

#[test]
fn the_interval_is_equation_6_of_the_measured_costs() {
    let mut run = Training::new(measured(20, 1.2), regular);
    run.steps(20);
    assert_eq!((run.timing().interval, run.timing().refresh), (None, None));
    let refresh = run.refresh();
    let total = run.products as f64 * 0.025;
    assert!(close(refresh.seconds, total, 1e-6), "{refresh:?}");
    assert_eq!(refresh.timing, run.optimizer.timing());
    // τ₂ is not known yet.
    assert_eq!(run.timing().overhead, OverheadStatus::Unknown);
    let expected = equation_6(1.2, 0.010, 0.010, total);
    assert!(close(run.interval(), expected, 0.02), "{:?}", run.timing());

    run.steps(9);
    let timing = run.timing();
    assert_eq!(timing.overhead, OverheadStatus::Attainable);
    let times = [timing.base_step, timing.fosi_step, timing.refresh].map(Option::unwrap);
    for (found, expected) in times.into_iter().zip([0.010, 0.0102, total]) {
        assert!(close(found, expected, 1e-6), "{timing:?}");
    }
    let expected = equation_6(1.2, 0.010, 0.0102, total);
    assert_eq!(run.interval(), expected.ceil());
    let in_steps = run.optimizer.product_cost().unwrap();
    assert!(close(in_steps, total / 10.0 / 0.010, 1e-6), "{in_steps}");
    run.steps(1000);
    let between: Vec<u64> = run.refreshed.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(between.len() > 3, "{between:?}");
    assert!(between.iter().all(|steps| *steps == expected.ceil() as u64));
}

#[test]
fn a_first_refresh_that_compiles_does_not_put_off_the_second() {
    // The first refresh has slow products at the start, a slow end (the last product extends to the end of the
    // refresh), or both.
    let slow_products: [&[usize]; 5] = [&[0], &[9], &[0, 1, 2], &[0, 1, 9], &[5]];
    for slow in slow_products {
        let cost = |event| match event {
            Event::Product(product, 0) if slow.contains(&product) => 5000.0,
            event => regular(event),
        };
        let mut run = Training::new(measured(20, 1.2), cost);
        run.steps(20 + 9);
        let expected = equation_6(1.2, 0.010, 0.0102, run.products as f64 * 0.025);
        let ratio = run.interval() / expected;
        assert!((0.5..=2.0).contains(&ratio), "{slow:?}: {ratio}");
        run.steps(5 * expected as u64);
        assert!(run.refreshed.len() >= 5, "{slow:?}: {:?}", run.refreshed);
        // After the second refresh there is no effect left.
        assert_eq!(run.interval(), expected.ceil(), "{slow:?}");
    }
}

#[test]
fn an_overhead_that_no_interval_keeps_is_said_once_and_measured_in_fosis_steps() {
    let cost = |event| match event {
        Event::FosiStep(_) => 0.013,
        event => regular(event),
    };
    let warnings = Warnings::default();
    let refreshed = tracing::subscriber::with_default(warnings.clone(), || {
        let mut run = Training::new(measured(20, 1.2), cost);
        run.steps(20 + 8);
        assert_eq!(run.timing().overhead, OverheadStatus::Unknown);
        assert_eq!(warnings.count(), 0);
        run.steps(1);
        assert_eq!(run.timing().overhead, OverheadStatus::Unattainable);
        assert_eq!(warnings.count(), 1);
        let expected = equation_6(1.2, 0.013, 0.013, run.products as f64 * 0.025);
        assert_eq!(run.interval(), expected.ceil());
        run.steps(600);
        let status = run.refresh().timing.map(|timing| timing.overhead);
        assert_eq!(status, Some(OverheadStatus::Unattainable));
        run.refreshed.len()
    });
    assert!(refreshed > 5, "{refreshed}");
    assert_eq!(warnings.count(), 1);
}

#[test]
fn without_eight_timed_base_steps_they_cost_what_fosis_do() {
    // The first step has no start time, so one step less than the warm-up is timed.
    for warmup in [0, 1, 3, 8] {
        let mut run = Training::new(measured(warmup, 1.2), regular);
        run.steps(warmup + 8);
        assert_eq!(run.timing().interval, None, "W = {warmup}");
        run.steps(1);
        let timing = run.timing();
        assert_eq!(
            (timing.base_step, timing.overhead),
            (None, OverheadStatus::Unknown)
        );
        let expected = equation_6(1.2, 0.0102, 0.0102, run.products as f64 * 0.025);
        assert_eq!(run.interval(), expected.ceil(), "W = {warmup}");
        run.steps(600);
        assert!(run.refreshed.len() > 3, "{:?}", run.refreshed);
    }
    let mut run = Training::new(measured(9, 1.2), regular);
    run.steps(9 + 9);
    assert_eq!(run.timing().overhead, OverheadStatus::Attainable);
}

#[test]
fn evaluations_between_steps_leave_the_interval_as_it_is() {
    // Every fifth step is preceded by an evaluation, and the machine stalls in some refreshes.
    let cost = |event| match event {
        Event::BaseStep(step) | Event::FosiStep(step) if step % 5 == 0 => 30.0 + regular(event),
        Event::Product(3, refresh) if refresh % 3 == 1 => 100.0,
        event => regular(event),
    };
    let mut run = Training::new(measured(40, 1.2), cost);
    run.steps(40 + 9);
    for _ in 0..500 {
        run.step();
        let exact = equation_6(1.2, 0.010, 0.0102, run.products as f64 * 0.025);
        // A stalled product counts as two.
        assert!(run.interval() >= exact.floor(), "{:?}", run.timing());
        assert!(run.interval() <= 1.2 * exact.ceil(), "{:?}", run.timing());
    }
    assert!(run.refreshed.len() > 3, "{:?}", run.refreshed);
}

#[test]
fn costs_that_change_are_followed() {
    // Steps are slower from FOSI's 300th step on, products from the fourth refresh on.
    let cost = |event| match event {
        Event::FosiStep(300..) => 0.0110,
        Event::Product(_, 4..) => 0.050,
        event => regular(event),
    };
    let mut run = Training::new(measured(20, 1.2), cost);
    run.steps(20 + 200);
    let total = run.products as f64;
    let early = equation_6(1.2, 0.010, 0.0102, total * 0.025);
    assert_eq!(run.interval(), early.ceil());
    run.steps(10_000);
    let late = equation_6(1.2, 0.010, 0.0110, total * 0.050);
    assert_eq!(run.interval(), late.ceil());
}

#[test]
fn refreshes_use_the_overhead_and_no_more() {
    // Times scatter by a tenth about their mean; the first product compiles.
    let scatter = |seed: u64| {
        let bits = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        1.0 + (bits as f64 / (1 << 24) as f64 - 0.5) * 0.2
    };
    for (overhead, fosi_step) in [(1.1, 0.0102), (1.1, 0.0106), (1.5, 0.011), (3.0, 0.010)] {
        let cost = |event| match event {
            Event::BaseStep(step) => 0.010 * scatter(step),
            Event::FosiStep(step) => fosi_step * scatter(step),
            Event::Product(0, 0) => 2.0,
            Event::Product(product, refresh) => 0.025 * scatter((1000 * refresh + product) as u64),
        };
        let warmup = 250;
        let mut run = Training::new(measured(warmup, overhead), cost);
        run.steps(warmup);
        let steps = 20_000;
        let before = run.time.seconds();
        run.steps(steps);
        let achieved = (run.time.seconds() - before) / (steps as f64 * 0.010);
        assert!(achieved <= overhead * 1.015, "ρ = {overhead}: {achieved}");
        assert!(achieved >= overhead * 0.97, "ρ = {overhead}: {achieved}");
    }
}

#[test]
fn a_resumed_run_goes_on_with_its_measurements() {
    for (schedule, taken) in [
        (measured(20, 1.2), 20 + 250),
        // Between the first refresh and the eighth step after it.
        (measured(20, 1.2), 20 + 5),
        // Before the first refresh.
        (measured(20, 1.2), 15),
        (measured(0, 1.2), 300),
    ] {
        let mut run = Training::new(schedule, regular);
        run.steps(taken);
        let bytes = run.optimizer.to_bytes().unwrap();
        let mut resumed = Training::new(schedule, regular);
        resumed.optimizer.restore(&bytes).unwrap();
        resumed.parameters.clone_from(&run.parameters);
        assert_eq!(resumed.optimizer.to_bytes().unwrap(), bytes);
        assert_eq!(resumed.optimizer.timing(), run.optimizer.timing());
        run.refreshed.clear();
        run.steps(500);
        resumed.steps(500);
        assert!(run.refreshed.len() > 2, "{:?}", run.refreshed);
        if taken != 15 && taken != 25 {
            assert_eq!(resumed.refreshed, run.refreshed);
            assert_eq!(resumed.parameters, run.parameters);
        }
    }
    // The settings, such as ρ, remain the optimizer's own.
    let mut run = Training::new(measured(20, 1.2), regular);
    run.steps(100);
    let mut other = optimizer(measured(20, 1.5));
    other.restore(&run.optimizer.to_bytes().unwrap()).unwrap();
    let expected = equation_6(1.5, 0.010, 0.0102, run.products as f64 * 0.025);
    assert_eq!(other.interval(), Some(expected.ceil() as u64));
}

#[test]
fn a_run_without_measured_refreshes_refreshes_when_it_is_to_measure_them() {
    let every = Schedule::Every {
        warmup: 0,
        interval: 7,
    };
    let mut run = Training::new(every, regular);
    run.steps(10);
    let bytes = run.optimizer.to_bytes().unwrap();
    let mut measuring = Training::new(measured(0, 1.2), regular);
    measuring.optimizer.restore(&bytes).unwrap();
    measuring.steps(200);
    // Another hundred steps from the last refresh, at step 7.
    assert_eq!(measuring.refreshed.first(), Some(&107));
    assert!(measuring.optimizer.interval().is_some());
}

#[test]
fn no_clock_has_a_say_where_costs_are_given() {
    let schedules = [
        Schedule::Every {
            warmup: 5,
            interval: 11,
        },
        Schedule::Overhead {
            warmup: 5,
            overhead: 1.5,
            product_cost: Some(0.7),
        },
    ];
    for schedule in schedules {
        let erratic = |event| match event {
            Event::BaseStep(step) => 1e-3 * (step * step % 17) as f64,
            Event::FosiStep(step) => 1.0 + (step * 31 % 7) as f64,
            Event::Product(product, refresh) => (product * 13 % 5 + 100 * refresh) as f64,
        };
        let mut run = Training::new(schedule, regular);
        let mut other = Training::new(schedule, erratic);
        for step in 0..60 {
            run.step();
            other.step();
            let bytes = run.optimizer.to_bytes().unwrap();
            assert_eq!(bytes, other.optimizer.to_bytes().unwrap(), "step {step}");
            assert_eq!(run.parameters, other.parameters, "step {step}");
            if step == 33 {
                let mut resumed = optimizer(schedule);
                resumed.set_clock(other.time.clock());
                resumed.restore(&bytes).unwrap();
                other.optimizer = resumed;
            }
        }
        assert!(run.refreshed.len() > 3, "{:?}", run.refreshed);
        assert_eq!(run.refreshed, other.refreshed);
        assert_eq!(run.optimizer.timing(), None);
    }
}

/// Counts warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl Warnings {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        if *event.metadata().level() == tracing::Level::WARN {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
