//! Every combination of settings is either refused with a message or trains a small problem without NaN.

use fosi::base::{Adam, AdamW, Base, GradientDescent, HeavyBall, Nesterov};
use fosi::{
    Averaging, Clipping, Error, Fosi, FosiConfig, Host, NewtonRate, Schedule, Storage, operator,
};
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

const STEPS: usize = 25;
/// Curvatures of the small problem: negative, zero and positive.
const CURVATURES: [f64; 7] = [4.0, 1.0, 1.0, 0.25, 0.0, 1e-9, -0.5];

/// A number that most settings allow, or one that few allow.
fn number(usual: impl Strategy<Value = f64> + 'static) -> BoxedStrategy<f64> {
    let odd = prop::sample::select(vec![
        0.0,
        -0.0,
        -1.0,
        1e-300,
        1e300,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ]);
    prop_oneof![30 => usual, 1 => odd].boxed()
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let every = (0_u64..8, 0_u64..6);
    let overhead = (
        0_u64..8,
        number(1.01..9.0),
        prop::option::of(number(0.1..9.0)),
    );
    prop_oneof![
        Just(Schedule::Never),
        every.prop_map(|(warmup, interval)| Schedule::Every { warmup, interval }),
        overhead.prop_map(|(warmup, overhead, product_cost)| Schedule::Overhead {
            warmup,
            overhead,
            product_cost,
        }),
    ]
}

fn clipping() -> impl Strategy<Value = Clipping> {
    prop_oneof![
        Just(Clipping::None),
        number(0.01..9.0).prop_map(Clipping::Norm),
        number(0.01..9.0).prop_map(Clipping::Value),
    ]
}

fn config() -> impl Strategy<Value = FosiConfig> {
    let pairs = (0_usize..6, 0_usize..6, prop::option::of(0_usize..14));
    let rates = (
        number(0.001..1.0),
        number(1.0..9.0),
        prop::option::of(number(0.0..0.5)),
        number(1e-9..0.5),
    );
    (pairs, rates, clipping(), schedule(), any::<u64>()).prop_map(
        |((largest, smallest, lanczos_steps), rates, clipping, schedule, seed)| FosiConfig {
            largest,
            smallest,
            lanczos_steps,
            newton_rate: match seed % 3 {
                0 => NewtonRate::adaptive(rates.0),
                _ => NewtonRate::Constant(rates.0),
            },
            lanczos_tolerance: (seed % 5 == 0).then_some(rates.0),
            averaging: match seed % 4 {
                0 => Averaging::Predicted,
                1 => Averaging::Fixed(rates.3),
                _ => Averaging::Off,
            },
            scale_limit: rates.1,
            strong_convexity: rates.2,
            curvature_floor: rates.3,
            safeguards: seed % 2 == 0,
            clipping,
            schedule,
            seed,
            ..crate::raw()
        },
    )
}

/// Trains xᵀdiag(curvatures)x/2 from a start of ones; the first error, or the parameters at the end.
fn train<B: Base<Host<f32>>>(
    base: B,
    n: usize,
    storage: Storage,
    learning_rate: f64,
    config: FosiConfig,
) -> Result<Vec<f32>, Error> {
    let space = Host::new(n).with_storage(storage);
    let mut optimizer = Fosi::new(space, base, config)?;
    let mut hessian = operator::from_fn(|v: &[f32], out: &mut [f32]| {
        for ((out, v), curvature) in out.iter_mut().zip(v).zip(CURVATURES) {
            *out = curvature as f32 * v;
        }
    });
    let mut x = vec![1.0_f32; n];
    for _ in 0..STEPS {
        if optimizer.due() {
            optimizer.refresh(&mut hessian)?;
        }
        let gradient: Vec<f32> = x
            .iter()
            .zip(CURVATURES)
            .map(|(x, c)| c as f32 * x)
            .collect();
        optimizer.step(learning_rate, &mut x, &gradient)?;
    }
    Ok(x)
}

/// The number of configurations that trained, so that the test fails if all are refused.
static TRAINED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn settings_are_refused_with_a_message_or_train() {
    settings_hold();
    let trained = TRAINED.load(Ordering::Relaxed);
    assert!(
        (5_000..19_000).contains(&trained),
        "{trained} of 20,000 trained"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    fn settings_hold(
        config in config(),
        base in 0..5,
        (momentum, decay, epsilon) in (number(0.0..0.99), number(0.0..0.1), number(1e-9..1e-3)),
        learning_rate in number(1e-4..0.5),
        n in 1..=CURVATURES.len(),
        storage in prop::sample::select(vec![Storage::Full, Storage::Single, Storage::Bf16]),
    ) {
        let adam = Adam { beta1: momentum, epsilon, ..Adam::default() };
        let outcome = match base {
            0 => train(GradientDescent, n, storage, learning_rate, config),
            1 => train(HeavyBall::new(momentum), n, storage, learning_rate, config),
            2 => train(Nesterov::new(momentum), n, storage, learning_rate, config),
            3 => train(adam, n, storage, learning_rate, config),
            _ => train(AdamW { adam, weight_decay: decay }, n, storage, learning_rate, config),
        };
        match outcome {
            Ok(x) => {
                TRAINED.fetch_add(1, Ordering::Relaxed);
                prop_assert!(x.iter().all(|x| !x.is_nan()), "{x:?}");
            }
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.len() > 20, "{message}");
            }
        }
    }
}

/// Compiles if values of this type can be sent to another thread.
fn is_send<T: Send>() {}

#[test]
fn an_optimizer_can_go_to_another_thread_with_any_base() {
    fn with_any_base<B: Base<Host<f64>>>() {
        is_send::<Fosi<Host<f64>, B>>();
    }
    with_any_base::<Box<dyn Base<Host<f64>>>>();
}
