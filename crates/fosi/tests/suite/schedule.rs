//! When a refresh is due.

use fosi::base::HeavyBall;
use fosi::schedule::{Costs, interval};
use fosi::{Error, Fosi, FosiConfig, Host, Schedule, operator};

type Optimizer = Fosi<Host<f64>, HeavyBall>;

fn optimizer(schedule: Schedule) -> Optimizer {
    let config = FosiConfig {
        largest: 1,
        lanczos_steps: Some(3),
        schedule,
        ..crate::raw()
    };
    Fosi::new(Host::new(3), HeavyBall::new(0.5), config).unwrap()
}

fn step(optimizer: &mut Optimizer) {
    optimizer
        .step(0.01, &mut [1.0; 3], &[1.0, 2.0, 3.0])
        .unwrap();
}

fn refresh(optimizer: &mut Optimizer, size: f64) -> Result<fosi::Refresh, Error> {
    let mut hessian = operator::from_fn::<Host<f64>, _>(|v: &[f64], out: &mut [f64]| {
        for i in 0..3 {
            out[i] = size * (i + 1) as f64 * v[i];
        }
    });
    optimizer.refresh(&mut hessian)
}

/// The steps, of `count`, at which a refresh was due; refreshes at steps in `failing` fail.
fn due(optimizer: &mut Optimizer, count: u64, failing: &[u64]) -> Vec<u64> {
    let mut found = Vec::new();
    for t in 0..count {
        if optimizer.due() {
            found.push(t);
            let size = if failing.contains(&t) { f64::NAN } else { 1.0 };
            assert_eq!(refresh(optimizer, size).is_err(), failing.contains(&t));
            assert!(!optimizer.due(), "due again at once, at {t}");
        }
        step(optimizer);
    }
    found
}

#[test]
fn every_starts_after_the_warmup() {
    let every = |warmup, interval| optimizer(Schedule::Every { warmup, interval });
    assert_eq!(due(&mut every(0, 4), 13, &[]), [0, 4, 8, 12]);
    assert_eq!(due(&mut every(5, 3), 13, &[]), [5, 8, 11]);
    assert_eq!(due(&mut every(2, 1), 5, &[]), [2, 3, 4]);
    assert_eq!(due(&mut every(0, u64::MAX), 20, &[]), [0]);
    assert!(due(&mut optimizer(Schedule::Never), 20, &[]).is_empty());
}

#[test]
fn a_refresh_out_of_turn_moves_the_next_one() {
    let mut optimizer = optimizer(Schedule::Every {
        warmup: 0,
        interval: 5,
    });
    assert_eq!(due(&mut optimizer, 3, &[]), [0]);
    refresh(&mut optimizer, 1.0).unwrap();
    // Refreshed by hand at step 3, so due again five steps later, at step 8.
    assert_eq!(due(&mut optimizer, 10, &[]), [5]);
}

#[test]
fn overhead_gives_the_papers_interval() {
    // r·m/(ρ − 1)
    let in_steps = |cost, steps, overhead| interval(&Costs::in_steps(cost, steps), overhead);
    assert_eq!(in_steps(1.5, 40, 1.1), Some(600));
    assert_eq!(in_steps(2.0, 40, 1.1), Some(800));
    assert_eq!(in_steps(1.0, 7, 3.0), Some(4));
    assert_eq!(in_steps(1e-9, 1, 2.0), Some(1));
    let longest = in_steps(f64::MAX, 10_000, 1.0 + f64::EPSILON);
    assert_eq!(longest, Some(u64::MAX));
    // τ₃/(ρτ₁ − τ₂)
    let costs = |base_step, fosi_step, refresh| Costs {
        base_step,
        fosi_step,
        refresh,
    };
    assert_eq!(interval(&costs(4.0, 5.0, 30.0), 1.5), Some(30));
    assert_eq!(interval(&costs(4.0, 5.0, 30.1), 1.5), Some(31));
    assert_eq!(interval(&costs(4.0, 3.0, 30.0), 1.5), Some(10));
    assert_eq!(interval(&costs(4.0, 6.0, 30.0), 1.5), None);
    assert_eq!(interval(&costs(4.0, 7.0, 30.0), 1.5), None);
    assert_eq!(interval(&costs(4.0, f64::NAN, 30.0), 1.5), None);
    let given = |cost| Schedule::Overhead {
        warmup: 2,
        overhead: 1.5,
        product_cost: Some(cost),
    };
    let mut optimizer = optimizer(given(1.5));
    // T = 1.5·3/0.5
    assert_eq!(
        (optimizer.interval(), optimizer.product_cost()),
        (Some(9), Some(1.5))
    );
    assert_eq!(due(&mut optimizer, 30, &[]), [2, 11, 20, 29]);
}

#[test]
fn failed_refreshes_keep_the_spectrum_and_wait_an_interval() {
    let mut every = optimizer(Schedule::Every {
        warmup: 1,
        interval: 4,
    });
    assert_eq!(due(&mut every, 14, &[1, 9]), [1, 5, 9, 13]);
    let given = Schedule::Overhead {
        warmup: 2,
        overhead: 1.5,
        product_cost: Some(1.5),
    };
    assert_eq!(due(&mut optimizer(given), 30, &[2, 20]), [2, 11, 20, 29]);

    let mut optimizer = optimizer(Schedule::Every {
        warmup: 0,
        interval: 4,
    });
    refresh(&mut optimizer, 2.0).unwrap();
    let before = optimizer.spectrum().unwrap().eigenvalues.clone();
    step(&mut optimizer);
    let error = refresh(&mut optimizer, f64::NAN).unwrap_err();
    assert!(matches!(error, Error::Refresh { step: 1, .. }), "{error}");
    assert_eq!(optimizer.spectrum().unwrap().eigenvalues, before);
    step(&mut optimizer);
}

#[test]
fn an_interval_that_was_set_is_not_taken_for_a_measured_one() {
    let mut every = optimizer(Schedule::Every {
        warmup: 0,
        interval: 7,
    });
    due(&mut every, 3, &[]);
    let bytes = every.to_bytes().unwrap();
    let overhead = |product_cost| Schedule::Overhead {
        warmup: 0,
        overhead: 1.5,
        product_cost,
    };
    let mut other = optimizer(overhead(None));
    other.restore(&bytes).unwrap();
    assert_eq!(other.interval(), None);
    let mut other = optimizer(overhead(Some(1.5)));
    other.restore(&bytes).unwrap();
    assert_eq!(
        (other.interval(), other.product_cost()),
        (Some(9), Some(1.5))
    );
}

#[test]
fn impossible_schedules_are_refused() {
    let overhead = |overhead, product_cost| Schedule::Overhead {
        warmup: 0,
        overhead,
        product_cost,
    };
    let bad = [
        Schedule::Every {
            warmup: 0,
            interval: 0,
        },
        overhead(1.0, None),
        overhead(f64::NAN, None),
        overhead(f64::INFINITY, None),
        overhead(1.1, Some(0.0)),
        overhead(1.1, Some(f64::NAN)),
    ];
    for schedule in bad {
        let config = FosiConfig {
            schedule,
            ..crate::raw()
        };
        let error = Fosi::new(Host::<f64>::new(3), HeavyBall::new(0.5), config).err();
        assert!(
            matches!(error, Some(Error::InvalidSetting { .. })),
            "{schedule:?}"
        );
    }
}
