//! Tests of typical failures of optimizers, which every base passes, plain and wrapped, in f32 and f64.

use fosi::base::{
    Adam, AdamW, Base, BaseStep, Elements, Elementwise, GradientDescent, HeavyBall, Momentum,
    Nesterov, UpdateRule,
};
use fosi::operator::{self, SymmetricOperator};
use fosi::space::Scalar;
use fosi::{Averaging, Clipping, Error, Fosi, FosiConfig, Host, NewtonRate, Schedule};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// A custom elementwise rule: m ← m/2 + g, d = ηm/(|m| + 1).
#[derive(Clone, Copy)]
struct Soft;

impl UpdateRule for Soft {
    fn name(&self) -> &'static str {
        "soft"
    }
    fn momentum(&self) -> Momentum {
        Momentum {
            decay: 0.5,
            ..Momentum::NONE
        }
    }
}

impl Elementwise for Soft {
    type Coefficients = f64;
    const STATE: usize = 1;
    fn coefficients(&self, _step: u64, learning_rate: f64) -> f64 {
        learning_rate
    }
    fn direction<E: Elements>(rate: &f64, state: &mut [E], gradient: E) -> E {
        state[0] = state[0].clone().scale(0.5) + gradient;
        let m = state[0].clone();
        m.clone().scale(*rate) / (m.clone() * m).sqrt().offset(1.0)
    }
}

/// A custom rule that couples coordinates: m ← 0.9m + g, d = ηm/‖m‖, with a count as further state.
#[derive(Clone, Copy)]
struct Normalized {
    calls: u64,
}

impl UpdateRule for Normalized {
    fn name(&self) -> &'static str {
        "normalized"
    }
    fn momentum(&self) -> Momentum {
        Momentum {
            decay: 0.9,
            ..Momentum::NONE
        }
    }
}

impl<T: Scalar> Base<Host<T>> for Normalized {
    fn state_len(&self) -> usize {
        1
    }
    fn direction(
        &mut self,
        at: BaseStep<'_, Host<T>>,
        _parameters: &[T],
        gradient: &mut [T],
    ) -> Result<(), Error> {
        self.calls += 1;
        let m = &mut at.state[0];
        let mut square = 0.0;
        for (m, g) in m.iter_mut().zip(gradient.iter()) {
            *m = m.scale(0.9) + *g;
            square += m.load() * m.load();
        }
        let factor = if square > 0.0 {
            at.learning_rate / square.sqrt()
        } else {
            0.0
        };
        gradient
            .iter_mut()
            .zip(m)
            .for_each(|(d, m)| *d = T::store(m.load() * factor));
        Ok(())
    }
    fn export(&self) -> Result<Vec<u8>, Error> {
        Ok(self.calls.to_le_bytes().to_vec())
    }
    fn import(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let bytes = bytes
            .try_into()
            .map_err(|_| Error::Checkpoint("no count".into()))?;
        self.calls = u64::from_le_bytes(bytes);
        Ok(())
    }
}

/// The rules again, written by hand in the type's own arithmetic.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    GradientDescent,
    HeavyBall,
    Nesterov,
    Adam,
    AdamW,
    Soft,
    Normalized,
}

impl Rule {
    fn squares(self) -> bool {
        matches!(self, Self::Adam | Self::AdamW)
    }
    fn keep(self, rate: f64) -> f64 {
        if self == Self::AdamW {
            1.0 - rate * 0.01
        } else {
            1.0
        }
    }
}

trait Plain: Scalar {
    fn plain_step(
        rule: Rule,
        t: i32,
        rate: f64,
        m: &mut [Self],
        v: &mut [Self],
        g: &[Self],
        x: &mut [Self],
    );
}

macro_rules! plain {
    ($t:ty) => {
        impl Plain for $t {
            fn plain_step(
                rule: Rule,
                t: i32,
                rate: f64,
                m: &mut [$t],
                v: &mut [$t],
                g: &[$t],
                x: &mut [$t],
            ) {
                let lr = rate as $t;
                if rule == Rule::Normalized {
                    let mut square = 0.0_f64;
                    for i in 0..x.len() {
                        m[i] = m[i] * 0.9 + g[i];
                        square += f64::from(m[i]) * f64::from(m[i]);
                    }
                    let factor = if square > 0.0 {
                        rate / square.sqrt()
                    } else {
                        0.0
                    };
                    for i in 0..x.len() {
                        x[i] -= (f64::from(m[i]) * factor) as $t;
                    }
                    return;
                }
                for i in 0..x.len() {
                    let d = match rule {
                        Rule::GradientDescent => g[i] * lr,
                        Rule::HeavyBall => {
                            m[i] = m[i] * 0.9 + g[i];
                            m[i] * lr
                        }
                        Rule::Nesterov => {
                            m[i] = m[i] * 0.9 + g[i];
                            (g[i] + m[i] * 0.9) * lr
                        }
                        Rule::Soft => {
                            m[i] = m[i] * 0.5 + g[i];
                            m[i] * lr / ((m[i] * m[i]).sqrt() + 1.0)
                        }
                        _ => {
                            m[i] = m[i] * 0.9 + g[i] * ((1.0 - 0.9_f64) as $t);
                            v[i] = v[i] * 0.999 + g[i] * g[i] * ((1.0 - 0.999_f64) as $t);
                            let first = (rate / (1.0 - 0.9_f64.powf(f64::from(t)))) as $t;
                            let second = (1.0 / (1.0 - 0.999_f64.powf(f64::from(t)))) as $t;
                            m[i] * first / ((v[i] * second).sqrt() + 1e-8)
                        }
                    };
                    x[i] = x[i] * rule.keep(rate) as $t - d;
                }
            }
        }
    };
}
plain!(f32);
plain!(f64);

/// Runs a check for every base, plain and wrapped, in both precisions.
macro_rules! battery {
    ($($check:ident),* $(,)?) => {
        $(
            #[test]
            fn $check() {
                each::<f32>();
                each::<f64>();
                fn each<T: Plain>() {
                    for wrapped in [false, true] {
                        checks::$check::<T, _>(Rule::GradientDescent, || GradientDescent, wrapped);
                        checks::$check::<T, _>(Rule::HeavyBall, HeavyBall::default, wrapped);
                        checks::$check::<T, _>(Rule::Nesterov, Nesterov::default, wrapped);
                        checks::$check::<T, _>(Rule::Adam, Adam::default, wrapped);
                        checks::$check::<T, _>(Rule::AdamW, AdamW::default, wrapped);
                        checks::$check::<T, _>(Rule::Soft, || Soft, wrapped);
                        checks::$check::<T, _>(Rule::Normalized, || Normalized { calls: 0 }, wrapped);
                    }
                }
            }
        )*
    };
}

battery!(
    before_a_refresh_the_step_is_the_plain_one,
    a_zero_gradient_is_a_no_op,
    huge_and_tiny_gradients_poison_nothing,
    non_finite_gradients_change_nothing,
    wrong_lengths_are_refused,
    small_spaces_work,
    resuming_gives_the_same_run,
    the_learning_rate_may_change_vanish_and_return,
    the_newton_rate_is_a_share_of_the_largest_learning_rate,
    bad_rates_change_nothing,
    clipping_comes_before_the_split,
    slices_accumulate_to_the_whole_batch,
    a_flat_loss_leaves_the_base_alone,
);

const RATE: f64 = 0.01;

fn config(wrapped: bool) -> FosiConfig {
    if !wrapped {
        return FosiConfig::base_only();
    }
    FosiConfig {
        largest: 2,
        smallest: 1,
        newton_rate: NewtonRate::Constant(0.5),
        schedule: Schedule::Every {
            warmup: 3,
            interval: 5,
        },
        ..crate::raw()
    }
}

/// Refreshes every 50 steps. Each refresh finds another vector of the double smallest eigenvalue, and momentum that
/// grew under the base's rate of 0.01 then moves with a Newton rate fifty times as large. With refreshes every five
/// steps, the run need not converge.
fn rarely(config: FosiConfig) -> FosiConfig {
    let schedule = match config.schedule {
        Schedule::Every { warmup, .. } => Schedule::Every {
            warmup,
            interval: 50,
        },
        other => other,
    };
    FosiConfig { schedule, ..config }
}

/// diag(1, …, 7, 1, …): a Hessian with repeated eigenvalues.
fn curvature(i: usize) -> f64 {
    (i % 7 + 1) as f64
}

fn hessian<T: Scalar>() -> impl SymmetricOperator<Host<T>> {
    operator::from_fn::<Host<T>, _>(|v: &[T], out: &mut [T]| {
        out.iter_mut()
            .zip(v)
            .enumerate()
            .for_each(|(i, (out, v))| *out = v.scale(curvature(i)));
    })
}

fn gradient<T: Scalar>(x: &[T]) -> Vec<T> {
    x.iter()
        .enumerate()
        .map(|(i, x)| T::store(curvature(i) * (x.load() - 0.3)))
        .collect()
}

fn start<T: Scalar>(n: usize) -> Vec<T> {
    (0..n)
        .map(|i| T::store((i as f64 * 0.7).sin() + 0.1))
        .collect()
}

/// Refreshes if due.
fn advance<T: Scalar, B: Base<Host<T>>>(optimizer: &mut Fosi<Host<T>, B>, x: &mut [T], g: &[T]) {
    advance_at(RATE, optimizer, x, g);
}

fn advance_at<T: Scalar, B: Base<Host<T>>>(
    rate: f64,
    optimizer: &mut Fosi<Host<T>, B>,
    x: &mut [T],
    g: &[T],
) {
    if optimizer.due() {
        optimizer.refresh(&mut hessian()).unwrap();
    }
    optimizer.step(rate, x, g).unwrap();
}

/// An optimizer after ten steps, with two refreshes if it is wrapped.
fn running<T: Scalar, B: Base<Host<T>>>(
    base: B,
    config: FosiConfig,
    n: usize,
) -> (Fosi<Host<T>, B>, Vec<T>) {
    let mut optimizer = Fosi::new(Host::new(n), base, config).unwrap();
    let mut x = start(n);
    for _ in 0..10 {
        let g = gradient(&x);
        advance(&mut optimizer, &mut x, &g);
    }
    (optimizer, x)
}

fn finite<T: Scalar>(x: &[T]) -> bool {
    x.iter().all(|x| x.load().is_finite())
}

mod checks {
    use super::*;

    pub fn before_a_refresh_the_step_is_the_plain_one<T: Plain, B: Base<Host<T>>>(
        rule: Rule,
        make: impl Fn() -> B,
        wrapped: bool,
    ) {
        for n in [1, 5, 5000] {
            let mut optimizer = Fosi::new(Host::new(n), make(), config(wrapped)).unwrap();
            let mut x = start::<T>(n);
            let mut y = x.clone();
            let (mut m, mut v) = (vec![T::ZERO; n], vec![T::ZERO; n]);
            for t in 1..=20 {
                let g = gradient(&x);
                optimizer.step(RATE, &mut x, &g).unwrap();
                T::plain_step(rule, t, RATE, &mut m, &mut v, &g, &mut y);
                assert!(x == y, "{rule:?}, n = {n}, step {t}");
            }
        }
    }

    pub fn a_flat_loss_leaves_the_base_alone<T: Plain, B: Base<Host<T>>>(
        rule: Rule,
        make: impl Fn() -> B,
        wrapped: bool,
    ) {
        let mut flat = operator::from_fn::<Host<T>, _>(|_: &[T], out: &mut [T]| out.fill(T::ZERO));
        let mut optimizer = Fosi::new(Host::new(9), make(), config(wrapped)).unwrap();
        let mut plain = Fosi::new(Host::new(9), make(), config(false)).unwrap();
        let (mut x, mut expected) = (start::<T>(9), start::<T>(9));
        for step in 0..10 {
            if optimizer.due() {
                let refresh = optimizer.refresh(&mut flat).unwrap();
                assert_eq!((refresh.eigenvalues, refresh.scale), (vec![0.0; 3], 1.0));
            }
            let g = gradient(&x);
            optimizer.step(RATE, &mut x, &g).unwrap();
            plain.step(RATE, &mut expected, &g).unwrap();
            assert_eq!(x, expected, "{rule:?} {step}");
        }
    }

    pub fn a_zero_gradient_is_a_no_op<T: Plain, B: Base<Host<T>>>(
        rule: Rule,
        make: impl Fn() -> B,
        wrapped: bool,
    ) {
        let n = 12;
        let zero = vec![T::ZERO; n];
        let mut optimizer = Fosi::new(Host::new(n), make(), config(wrapped)).unwrap();
        let mut x = start::<T>(n);
        let mut expected = x.clone();
        // Past the refresh at step 3: the Newton step is zero, too.
        for t in 0..5 {
            advance(&mut optimizer, &mut x, &zero);
            expected
                .iter_mut()
                .for_each(|x| *x = x.scale(rule.keep(RATE)));
            let close = x
                .iter()
                .zip(&expected)
                .all(|(a, b)| (a.load() - b.load()).abs() <= T::EPSILON * 4.0);
            assert!(
                if rule == Rule::AdamW {
                    close
                } else {
                    x == expected
                },
                "{rule:?}, {wrapped}, {t}"
            );
        }
        // Later, momentum may continue; it decays and never becomes NaN.
        let (mut optimizer, mut x) = running::<T, B>(make(), config(wrapped), n);
        for _ in 0..500 {
            advance(&mut optimizer, &mut x, &zero);
            assert!(finite(&x), "{rule:?}, {wrapped}");
        }
        let before = x.clone();
        advance(&mut optimizer, &mut x, &zero);
        let moved = x
            .iter()
            .zip(&before)
            .map(|(a, b)| (a.load() - b.load()).abs())
            .fold(0.0, f64::max);
        // Only ηm/‖m‖ keeps its norm, however small m is.
        assert!(
            moved < 1e-3 || rule == Rule::Normalized,
            "{rule:?}, {wrapped}: {moved}"
        );
    }

    pub fn huge_and_tiny_gradients_poison_nothing<T: Plain, B: Base<Host<T>>>(
        rule: Rule,
        make: impl Fn() -> B,
        wrapped: bool,
    ) {
        for scale in [1e-42, 1e-30, 1e-20, 1e15, 1e30] {
            let (mut optimizer, mut x) = running::<T, B>(make(), config(wrapped), 12);
            let (saved, bytes) = (x.clone(), optimizer.to_bytes().unwrap());
            let g: Vec<T> = start::<T>(12).iter().map(|g| g.scale(scale)).collect();
            if optimizer.due() {
                optimizer.refresh(&mut hessian()).unwrap();
            }
            let overflows = rule.squares() && T::MAX < 1e100 && scale > 1e19;
            match optimizer.step(RATE, &mut x, &g) {
                Ok(_) => assert!(!overflows && finite(&x), "{rule:?}, {wrapped}, {scale:e}"),
                Err(error) => {
                    assert!(
                        matches!(error, Error::GradientOverflow { .. }) && overflows,
                        "{error}"
                    );
                    assert!(x == saved && optimizer.to_bytes().unwrap() == bytes);
                }
            }
            // After this step, later steps still move every coordinate.
            let before = start::<T>(12);
            x.copy_from_slice(&before);
            for _ in 0..30 {
                let g = gradient(&x);
                advance(&mut optimizer, &mut x, &g);
                assert!(finite(&x), "{rule:?}, {wrapped}, {scale:e}");
            }
            if scale < 1.0 || overflows {
                let stuck: Vec<usize> = (0..12).filter(|&i| x[i] == before[i]).collect();
                assert!(
                    stuck.is_empty(),
                    "{rule:?}, {wrapped}, {scale:e}: {stuck:?} {x:?}"
                );
            }
            // A first step at that scale: the bias correction does not divide 0 by 0.
            let mut first = Fosi::new(Host::new(12), make(), config(wrapped)).unwrap();
            let mut x = start::<T>(12);
            assert_eq!(first.step(RATE, &mut x, &g).is_ok(), !overflows);
            assert!(finite(&x), "{rule:?}, {wrapped}, {scale:e}");
        }
    }

    pub fn non_finite_gradients_change_nothing<T: Plain, B: Base<Host<T>>>(
        rule: Rule,
        make: impl Fn() -> B,
        wrapped: bool,
    ) {
        let n = 3000;
        for clipping in [Clipping::None, Clipping::Norm(1.0), Clipping::Value(0.5)] {
            let config = || FosiConfig {
                clipping,
                ..config(wrapped)
            };
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                for at in [0, 7, 2048, n - 1] {
                    let (mut optimizer, mut x) = running::<T, B>(make(), config(), n);
                    let (mut untouched, mut y) = running::<T, B>(make(), config(), n);
                    let (saved, bytes) = (x.clone(), optimizer.to_bytes().unwrap());
                    let mut g = gradient(&x);
                    g[at] = T::store(bad);
                    let error = optimizer.step(RATE, &mut x, &g).unwrap_err();
                    assert!(
                        matches!(error, Error::NonFiniteGradient { step: 10 }),
                        "{error}"
                    );
                    assert!(
                        x == saved && optimizer.to_bytes().unwrap() == bytes,
                        "{rule:?}, {wrapped}"
                    );
                    let g = gradient(&x);
                    advance(&mut optimizer, &mut x, &g);
                    advance(&mut untouched, &mut y, &g);
                    assert!(x == y && finite(&x), "{rule:?}, {wrapped}");
                    if !wrapped {
                        break;
                    }
                }
            }
        }
    }

    pub fn wrong_lengths_are_refused<T: Plain, B: Base<Host<T>>>(
        _rule: Rule,
        make: impl Fn() -> B,
        wrapped: bool,
    ) {
        let (mut optimizer, mut x) = running::<T, B>(make(), config(wrapped), 6);
        let bytes = optimizer.to_bytes().unwrap();
        let mut long = start::<T>(7);
        for (parameters, gradient) in [(6, 5), (6, 7), (6, 0), (5, 6), (7, 6), (7, 7)] {
            let x = if parameters == 6 {
                &mut x[..]
            } else {
                &mut long[..parameters]
            };
            let error = optimizer.step(RATE, x, &start::<T>(gradient)).unwrap_err();
            assert!(
                matches!(error, Error::DimensionMismatch { expected: 6, .. }),
                "{error}"
            );
        }
        assert_eq!(optimizer.to_bytes().unwrap(), bytes);
    }

    pub fn small_spaces_work<T: Plain, B: Base<Host<T>>>(
        rule: Rule,
        make: impl Fn() -> B,
        wrapped: bool,
    ) {
        // Dimensions below k+ℓ = 3 and below m = 12, and an empty space.
        for n in [0, 1, 2, 3, 4, 11] {
            let (mut optimizer, mut x) = running::<T, B>(make(), rarely(config(wrapped)), n);
            for _ in 0..300 {
                let g = gradient(&x);
                advance(&mut optimizer, &mut x, &g);
            }
            let far = |x: &[T]| x.iter().map(|x| (x.load() - 0.3).abs()).fold(0.0, f64::max);
            assert!(
                far(&x) <= 0.5 * far(&start::<T>(n)) + 0.05,
                "{rule:?}, {wrapped}, n = {n}: {}",
                far(&x)
            );
            assert_eq!(
                optimizer.spectrum().map(|s| s.eigenvalues.len()),
                (wrapped && n > 0).then(|| n.min(3))
            );
        }
    }

    pub fn resuming_gives_the_same_run<T: Plain, B: Base<Host<T>>>(
        rule: Rule,
        make: impl Fn() -> B,
        wrapped: bool,
    ) {
        resuming::<T, B>(rule, &make, &config(wrapped));
        if wrapped {
            let config = FosiConfig {
                averaging: Averaging::Predicted,
                lanczos_tolerance: Some(0.1),
                newton_rate: NewtonRate::adaptive(0.1),
                ..config(true)
            };
            resuming::<T, B>(rule, &make, &config);
        }
    }

    fn resuming<T: Plain, B: Base<Host<T>>>(
        rule: Rule,
        make: &impl Fn() -> B,
        config: &FosiConfig,
    ) {
        let n = 40;
        let fresh = || Fosi::new(Host::new(n), make(), config.clone()).unwrap();
        let go = |optimizer: &mut Fosi<Host<T>, B>, x: &mut Vec<T>, steps: usize| {
            for _ in 0..steps {
                let g = gradient(x);
                advance(optimizer, x, &g);
            }
        };
        let (mut whole, mut x) = (fresh(), start(n));
        go(&mut whole, &mut x, 17);
        // Refreshes are due at steps 3, 8 and 13.
        for stop in 0..17 {
            let (mut stopped, mut y) = (fresh(), start(n));
            go(&mut stopped, &mut y, stop);
            let mut resumed = fresh();
            resumed.restore(&stopped.to_bytes().unwrap()).unwrap();
            go(&mut resumed, &mut y, 17 - stop);
            assert!(x == y, "{rule:?}, {config:?}, stopped at {stop}");
            assert_eq!(resumed.to_bytes().unwrap(), whole.to_bytes().unwrap());
        }
    }

    pub fn the_learning_rate_may_change_vanish_and_return<T: Plain, B: Base<Host<T>>>(
        rule: Rule,
        make: impl Fn() -> B,
        wrapped: bool,
    ) {
        let rate = |t: u64| [0.02, 0.01, 0.0, 0.0, 0.005, 0.01][t as usize % 6];
        let n = 12;
        let config = FosiConfig {
            newton_rate: NewtonRate::Following(0.5),
            ..config(wrapped)
        };
        let mut optimizer = Fosi::new(Host::new(n), make(), config).unwrap();
        let mut x = start::<T>(n);
        let mut y = x.clone();
        let (mut m, mut v) = (vec![T::ZERO; n], vec![T::ZERO; n]);
        for t in 0..30 {
            let before = x.clone();
            let g = gradient(&x);
            advance_at(rate(t as u64), &mut optimizer, &mut x, &g);
            T::plain_step(rule, t + 1, rate(t as u64), &mut m, &mut v, &g, &mut y);
            assert_eq!(
                x == before,
                rate(t as u64) == 0.0,
                "{rule:?}, {wrapped}, {t}"
            );
            assert!(
                finite(&x) && (wrapped || x == y),
                "{rule:?}, {wrapped}, {t}"
            );
        }
    }

    /// With a rate that rises from zero and falls to zero, stopped and resumed while it falls, and with a constant
    /// rate.
    pub fn the_newton_rate_is_a_share_of_the_largest_learning_rate<T: Plain, B: Base<Host<T>>>(
        rule: Rule,
        make: impl Fn() -> B,
        wrapped: bool,
    ) {
        const RATES: [f64; 12] = [
            0.0, 0.0, 0.0, 0.0, 0.005, 0.02, 0.01, 0.02, 0.01, 0.005, 0.0, 0.0,
        ];
        let share = |t: u64| if t < 5 { 1.0 } else { RATES[t as usize] / 0.02 };
        let varying = |newton_rate: NewtonRate, stop: usize| {
            let config = FosiConfig {
                newton_rate,
                ..config(wrapped)
            };
            let fresh = || Fosi::new(Host::new(12), make(), config.clone()).unwrap();
            let mut optimizer = fresh();
            let mut x = start::<T>(12);
            for (t, rate) in RATES.into_iter().enumerate() {
                if t == stop {
                    let bytes = optimizer.to_bytes().unwrap();
                    optimizer = fresh();
                    optimizer.restore(&bytes).unwrap();
                }
                let g = gradient(&x);
                advance_at(rate, &mut optimizer, &mut x, &g);
                if t < 4 {
                    assert!(x == start::<T>(12), "{rule:?}, {wrapped}");
                }
            }
            x
        };
        // Before the first positive rate, α is 0.
        let shares = move |t: u64| if t < 4 { 0.0 } else { 0.3 * share(t) };
        let expected = varying(NewtonRate::scheduled(shares), RATES.len());
        for stop in [4, 8, RATES.len()] {
            let x = varying(NewtonRate::Following(0.3), stop);
            assert!(x == expected, "{rule:?}, {wrapped}, {stop}");
        }
        let constant = |newton_rate| {
            let with = FosiConfig {
                newton_rate,
                ..config(wrapped)
            };
            running::<T, B>(make(), with, 12).1
        };
        let same = constant(NewtonRate::Following(0.3)) == constant(NewtonRate::Constant(0.3));
        assert!(same, "{rule:?}, {wrapped}");
    }

    pub fn bad_rates_change_nothing<T: Plain, B: Base<Host<T>>>(
        rule: Rule,
        make: impl Fn() -> B,
        wrapped: bool,
    ) {
        for bad in [f64::NAN, f64::INFINITY, -0.1] {
            for learning in [true, false] {
                let (mut optimizer, mut x) = running::<T, B>(make(), config(wrapped), 12);
                let result = if learning {
                    optimizer.check_learning_rate(bad)
                } else {
                    optimizer.set_newton_rate(NewtonRate::scheduled(move |_| bad))
                };
                assert!(matches!(result, Err(Error::InvalidSetting { .. })));
                // A rate that passes the first check and becomes invalid later.
                let later = move |t: u64| if t == 11 { bad } else { RATE };
                let learning_rate = if learning { bad } else { RATE };
                if !learning {
                    optimizer
                        .set_newton_rate(NewtonRate::scheduled(later))
                        .unwrap();
                }
                let g = gradient(&x);
                advance(&mut optimizer, &mut x, &g);
                let (saved, bytes) = (x.clone(), optimizer.to_bytes().unwrap());
                let error = optimizer.step(learning_rate, &mut x, &g).unwrap_err();
                assert!(matches!(error, Error::InvalidSetting { .. }), "{error}");
                assert!(
                    x == saved && optimizer.to_bytes().unwrap() == bytes,
                    "{rule:?}"
                );
                optimizer.set_newton_rate(RATE).unwrap();
                advance(&mut optimizer, &mut x, &g);
                assert!(x != saved);
            }
        }
    }

    pub fn clipping_comes_before_the_split<T: Plain, B: Base<Host<T>>>(
        rule: Rule,
        make: impl Fn() -> B,
        wrapped: bool,
    ) {
        let n = 64;
        for clipping in [Clipping::Norm(0.7), Clipping::Value(0.2)] {
            let with = FosiConfig {
                clipping,
                ..config(wrapped)
            };
            let mut clipped = Fosi::new(Host::new(n), make(), with).unwrap();
            let mut plain = Fosi::new(Host::new(n), make(), config(wrapped)).unwrap();
            let mut x = start::<T>(n);
            let mut y = x.clone();
            for _ in 0..12 {
                let g = gradient(&y);
                let norm = g.iter().map(|g| g.load() * g.load()).sum::<f64>().sqrt();
                let by_hand = g.iter().map(|g| match clipping {
                    Clipping::Norm(limit) => g.load() * (limit / norm).min(1.0),
                    _ => g.load().clamp(-0.2, 0.2),
                });
                let by_hand: Vec<T> = by_hand.map(T::store).collect();
                let report = {
                    if clipped.due() {
                        clipped.refresh(&mut hessian()).unwrap();
                    }
                    clipped.step(RATE, &mut x, &g).unwrap()
                };
                assert!((report.gradient_norm - norm).abs() < 1e-6 * norm);
                advance(&mut plain, &mut y, &by_hand);
                for (x, y) in x.iter().zip(&y) {
                    let error = (x.load() - y.load()).abs();
                    assert!(
                        error < 2e4 * T::EPSILON,
                        "{rule:?}, {wrapped}, {clipping:?}: {error:e}"
                    );
                }
                x.copy_from_slice(&y);
            }
        }
    }

    pub fn slices_accumulate_to_the_whole_batch<T: Plain, B: Base<Host<T>>>(
        rule: Rule,
        make: impl Fn() -> B,
        wrapped: bool,
    ) {
        // f = mean over four samples of Σ hᵢ(xᵢ − sample)²/2; two slices of two samples each.
        let n = 12;
        let slice = |x: &[T], samples: [f64; 2]| -> Vec<T> {
            let mean = (samples[0] + samples[1]) / 2.0;
            x.iter()
                .enumerate()
                .map(|(i, x)| T::store(curvature(i) * (x.load() - mean)))
                .collect()
        };
        let (mut whole, mut sliced) = (
            Fosi::new(Host::new(n), make(), config(wrapped)).unwrap(),
            Fosi::new(Host::new(n), make(), config(wrapped)).unwrap(),
        );
        let mut x = start::<T>(n);
        let mut y = x.clone();
        for _ in 0..12 {
            let g = slice(&x, [0.25, 0.35]);
            advance(&mut whole, &mut x, &g);
            let parts = [slice(&y, [0.1, 0.2]), slice(&y, [0.4, 0.5])];
            let g: Vec<T> = (0..n)
                .map(|i| (parts[0][i] + parts[1][i]).scale(0.5))
                .collect();
            if sliced.due() {
                let parts = vec![hessian::<T>(), hessian::<T>()];
                sliced
                    .refresh(&mut operator::Mean::new(Host::new(n), parts).unwrap())
                    .unwrap();
            }
            sliced.step(RATE, &mut y, &g).unwrap();
        }
        assert_eq!(whole.steps(), sliced.steps());
        for (x, y) in x.iter().zip(&y) {
            assert!(
                (x.load() - y.load()).abs() < 1e5 * T::EPSILON,
                "{rule:?}, {wrapped}"
            );
        }
    }
}

/// θ = 2, gradient 0.5, η = 0.1, λ = 0.1; two steps by hand.
#[test]
fn weight_decay_agrees_with_steps_by_hand() {
    // Decoupled: Adam's first step is η to within ε: 2·(1 − 0.01) − 0.1·0.5/(0.5 + 1e-8). In the second, m̂ = 0.5,
    // v̂ = 0.25 again.
    let adamw = AdamW {
        weight_decay: 0.1,
        ..AdamW::default()
    };
    let mut optimizer = Fosi::new(Host::<f64>::new(1), adamw, FosiConfig::base_only()).unwrap();
    let mut x = [2.0];
    optimizer.step(0.1, &mut x, &[0.5]).unwrap();
    assert!((x[0] - 1.880000002).abs() < 1e-12, "{x:?}");
    optimizer.step(0.1, &mut x, &[0.5]).unwrap();
    assert!((x[0] - 1.761200003980).abs() < 1e-11, "{x:?}");
    // Coupled: the loss has λθ²/2 in it, so the gradient is 0.5 + 0.1θ. Heavy-Ball: m = 0.7, θ = 1.93;
    // m = 0.63 + 0.693 = 1.323, θ = 1.7977.
    let mut optimizer = Fosi::new(
        Host::<f64>::new(1),
        HeavyBall::new(0.9),
        FosiConfig::base_only(),
    )
    .unwrap();
    let mut x = [2.0];
    for expected in [1.93, 1.7977] {
        let g = [0.5 + 0.1 * x[0]];
        optimizer.step(0.1, &mut x, &g).unwrap();
        assert!((x[0] - expected).abs() < 1e-14, "{x:?}");
    }
}

/// f = θ², where the subspace is the whole space and α = 1. With bias correction, the first step is Newton's and the
/// second continues with its momentum: c̄ = 0.09·2/0.19. Without, the first is a tenth of it, then 0.09 + 0.1·0.9. Both
/// store the same c̄ for the same gradients.
#[test]
fn adams_subspace_momentum_agrees_with_steps_by_hand() {
    let start = |subspace_bias_correction: bool| {
        let base = Adam {
            subspace_bias_correction,
            ..Adam::default()
        };
        let config = FosiConfig {
            largest: 1,
            // The last gradients are not those of a function.
            safeguards: false,
            ..FosiConfig::quadratic()
        };
        let mut optimizer = Fosi::new(Host::<f64>::new(1), base, config).unwrap();
        let mut hessian = operator::from_fn(|v: &[f64], out: &mut [f64]| out[0] = 2.0 * v[0]);
        optimizer.refresh(&mut hessian).unwrap();
        optimizer
    };
    for (corrected, expected) in [(true, [0.0, -0.09 / 0.19]), (false, [0.9, 0.72])] {
        let mut optimizer = start(corrected);
        let mut x = [1.0];
        for expected in expected {
            let g = [2.0 * x[0]];
            optimizer.step(0.1, &mut x, &g).unwrap();
            assert!((x[0] - expected).abs() < 1e-14, "{corrected}: {x:?}");
        }
    }
    let states = [true, false].map(|corrected| {
        let mut optimizer = start(corrected);
        for g in [2.0, -1.0, 0.5] {
            optimizer.step(0.1, &mut [1.0], &[g]).unwrap();
        }
        optimizer.to_bytes().unwrap()
    });
    // The momenta of subspace and base are the same; only the step lengths differ.
    let array = |bytes: &[u8], name: &str| {
        let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
        file.tensor(name).unwrap().data().to_vec()
    };
    for name in ["momentum", "state.0", "state.1"] {
        assert_eq!(array(&states[0], name), array(&states[1], name), "{name}");
    }
}

/// Decoupled decay also acts in the subspace, unlike the base's direction, which is projected.
#[test]
fn decoupled_weight_decay_is_never_projected() {
    let (mut optimizer, mut x) = running::<f64, _>(
        AdamW {
            weight_decay: 0.5,
            ..AdamW::default()
        },
        FosiConfig {
            schedule: Schedule::Every {
                warmup: 10,
                interval: 1 << 40,
            },
            ..config(true)
        },
        12,
    );
    optimizer.set_newton_rate(0.0).unwrap();
    optimizer.refresh(&mut hessian()).unwrap();
    let (before, bytes) = (x.clone(), optimizer.to_bytes().unwrap());
    let g = gradient(&x);
    optimizer.step(RATE, &mut x, &g).unwrap();
    let mut bare = Fosi::new(
        Host::new(12),
        AdamW {
            weight_decay: 0.0,
            ..AdamW::default()
        },
        config(true),
    )
    .unwrap();
    bare.restore(&bytes).unwrap();
    bare.set_newton_rate(0.0).unwrap();
    let mut y = before.clone();
    bare.step(RATE, &mut y, &g).unwrap();
    for ((x, y), before) in x.iter().zip(&y).zip(&before) {
        assert!((x - (y - RATE * 0.5 * before)).abs() < 1e-15);
    }
}

fn numbers() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => 1e-3..2.0_f64,
        1 => prop::sample::select(vec![0.0, -0.5, 1.0, 1e-30, 1e300, f64::NAN, f64::INFINITY]),
    ]
}

fn schedules() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        Just(Schedule::Never),
        (0..6_u64, 0..9_u64).prop_map(|(warmup, interval)| Schedule::Every { warmup, interval }),
        (0..6_u64, numbers(), prop::option::of(numbers())).prop_map(|(warmup, o, product_cost)| {
            Schedule::Overhead {
                warmup,
                overhead: 1.0 + o,
                product_cost,
            }
        }),
    ]
}

fn clippings() -> impl Strategy<Value = Clipping> {
    prop_oneof![
        Just(Clipping::None),
        numbers().prop_map(Clipping::Norm),
        numbers().prop_map(Clipping::Value)
    ]
}

/// η and α, within the stable range of the problem if they are valid at all.
fn tame(rate: f64) -> f64 {
    if rate.is_finite() {
        rate.min(0.05)
    } else {
        rate
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]
    #[test]
    fn settings_are_refused_or_train(
        (largest, smallest, steps) in (0..9_usize, 0..5_usize, prop::option::of(5..30_usize)),
        (rate, alpha, limit, floor) in (numbers(), numbers(), numbers(), numbers()),
        (mu, schedule, clipping) in (prop::option::of(numbers()), schedules(), clippings()),
        (seed, n, momentum) in (any::<u64>(), 0..20_usize, numbers()),
    ) {
        let config = FosiConfig {
            largest, smallest, lanczos_steps: steps, newton_rate: NewtonRate::Constant(tame(alpha)),
            scale_limit: 1.0 + limit, strong_convexity: mu, curvature_floor: floor / 2.0, safeguards: seed % 2 == 0, schedule, clipping, seed,
            ..crate::raw()
        };
        let rate = tame(rate);
        let made = Fosi::new(Host::<f32>::new(n), HeavyBall::new(momentum / 2.0), config)
            .and_then(|optimizer| optimizer.check_learning_rate(rate).map(|()| optimizer));
        let mut optimizer = match made {
            Ok(optimizer) => optimizer,
            Err(error) => {
                prop_assert!(error.to_string().contains("must be"), "{error}");
                return Ok(());
            }
        };
        let mut x = start::<f32>(n);
        for _ in 0..30 {
            let g = gradient(&x);
            advance_at(rate, &mut optimizer, &mut x, &g);
        }
        prop_assert!(finite(&x), "{x:?}");
    }
}
