//! Tests of typical failures of optimizers, for every base on a Burn module: native bases and Burn's optimizers, plain
//! and wrapped, with vectors on the host and on a device.

use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Tensor};
use fosi::base::{
    Adam, AdamW, Base, Elements, Elementwise, GradientDescent, HeavyBall, Nesterov, UpdateRule,
};
use fosi::{FosiConfig, Host};
use fosi_burn::{BurnBase, FosiOptimizer, ModuleSpace, OptimizerError, TensorSpace};

use crate::burn_base::{Network, Problem, flat, optimizers, problem_on};
use crate::common::{accelerator, device, every};

/// Where the optimizer keeps its vectors.
trait Place: ModuleSpace {
    fn device() -> Device;
    fn optimizer<B: Base<Self>>(
        network: &Network,
        base: B,
        config: &FosiConfig,
    ) -> FosiOptimizer<B, Self>;
}

impl Place for Host<f32> {
    fn device() -> Device {
        device()
    }
    fn optimizer<B: Base<Self>>(
        network: &Network,
        base: B,
        config: &FosiConfig,
    ) -> FosiOptimizer<B, Self> {
        FosiOptimizer::new(network, base, config.clone()).unwrap()
    }
}

impl Place for TensorSpace {
    fn device() -> Device {
        accelerator()
    }
    fn optimizer<B: Base<Self>>(
        network: &Network,
        base: B,
        config: &FosiConfig,
    ) -> FosiOptimizer<B, Self> {
        FosiOptimizer::on_device(network, base, config.clone()).unwrap()
    }
}

/// A custom base: η·g/(|g| + 1).
struct SoftSign;

impl UpdateRule for SoftSign {
    fn name(&self) -> &'static str {
        "soft-sign"
    }
}

impl Elementwise for SoftSign {
    type Coefficients = f64;
    const STATE: usize = 0;
    fn coefficients(&self, _step: u64, learning_rate: f64) -> f64 {
        learning_rate
    }
    fn direction<E: Elements>(rate: &f64, _state: &mut [E], gradient: E) -> E {
        let size = (gradient.clone() * gradient.clone()).sqrt().offset(1.0);
        gradient.scale(*rate) / size
    }
}

const RATE: f64 = 0.01;

/// Runs one check for every base, plain and wrapped, on host and device.
macro_rules! battery {
    ($($check:ident),*) => {
        mod on_the_host {$(
            #[test]
            fn $check() {
                super::every_base!($check, fosi::Host<f32>);
            }
        )*}
        mod on_a_device {$(
            #[test]
            fn $check() {
                super::every_base!($check, fosi_burn::TensorSpace);
            }
        )*}
    };
}

macro_rules! every_base {
    ($check:ident, $place:ty) => {{
        use super::*;
        for config in [FosiConfig::base_only(), every(2, 3)] {
            checks::$check::<$place, _>("gradient descent", || GradientDescent, &config);
            checks::$check::<$place, _>("Heavy-Ball", || HeavyBall::new(0.9), &config);
            checks::$check::<$place, _>("Nesterov", || Nesterov::new(0.9), &config);
            checks::$check::<$place, _>("Adam", Adam::default, &config);
            checks::$check::<$place, _>("AdamW", AdamW::default, &config);
            checks::$check::<$place, _>("a user's own", || SoftSign, &config);
            let network = problem_on(&<$place as Place>::device()).network;
            for (name, optimizer) in optimizers() {
                let make = || burns(&network, &optimizer);
                checks::$check::<$place, _>(&format!("Burn's {name}"), make, &config);
            }
        }
    }};
}
use every_base;

battery!(
    a_zero_gradient_gives_no_nan,
    a_bad_gradient_changes_nothing,
    huge_and_tiny_gradients_poison_nothing,
    the_learning_rate_may_vanish_and_return
);

fn burns(network: &Network, optimizer: &ModuleOptimizer) -> BurnBase<Network> {
    BurnBase::new(network, optimizer.clone()).unwrap()
}

/// A training run of a few steps, through the first refresh.
struct Run<S: Place, B: Base<S>> {
    network: Network,
    x: Tensor<2>,
    y: Tensor<2>,
    optimizer: FosiOptimizer<B, S>,
}

impl<S: Place, B: Base<S>> Run<S, B> {
    fn new(base: B, config: &FosiConfig, steps: usize) -> Self {
        let Problem { network, x, y } = problem_on(&S::device());
        let optimizer = S::optimizer(&network, base, config);
        let mut run = Self {
            network,
            x,
            y,
            optimizer,
        };
        for _ in 0..steps {
            run.step(RATE, 1.0).unwrap();
        }
        run
    }

    /// A step on the loss times `factor`.
    fn step(&mut self, rate: f64, factor: f64) -> Result<(), OptimizerError> {
        let (x, y) = (self.x.clone(), self.y.clone());
        let loss = move |m: &Network| m.loss(&x, &y).mul_scalar(factor);
        let optimizer = &mut self.optimizer;
        optimizer.step(rate, &mut self.network, &loss).map(drop)
    }

    /// Parameters and the optimizer's complete state.
    fn everything(&self) -> (Vec<f32>, Vec<u8>) {
        (
            flat(&self.network),
            self.optimizer.fosi().to_bytes().unwrap(),
        )
    }

    fn is_finite(&self) -> bool {
        flat(&self.network).iter().all(|x| x.is_finite())
    }
}

mod checks {
    use super::*;

    pub fn a_zero_gradient_gives_no_nan<S: Place, B: Base<S>>(
        name: &str,
        make: impl Fn() -> B,
        config: &FosiConfig,
    ) {
        // As the first gradient, zeros leave everything to decoupled weight decay.
        let mut run = Run::new(make(), config, 0);
        let before = flat(&run.network);
        for _ in 0..5 {
            run.step(RATE, 0.0).unwrap();
        }
        let decays = name.to_lowercase().contains("adamw");
        assert!(run.is_finite(), "{name}");
        assert!(decays || flat(&run.network) == before, "{name}");
        // After other gradients, momentum continues, and nothing becomes NaN.
        let mut run = Run::new(make(), config, 4);
        for _ in 0..50 {
            run.step(RATE, 0.0).unwrap();
        }
        assert!(run.is_finite(), "{name}");
    }

    pub fn a_bad_gradient_changes_nothing<S: Place, B: Base<S>>(
        name: &str,
        make: impl Fn() -> B,
        config: &FosiConfig,
    ) {
        for bad in [f64::NAN, f64::INFINITY] {
            let mut run = Run::new(make(), config, 4);
            let mut untouched = Run::new(make(), config, 4);
            let before = run.everything();
            assert!(run.step(RATE, bad).is_err(), "{name}");
            assert!(run.everything() == before, "{name}");
            run.step(RATE, 1.0).unwrap();
            untouched.step(RATE, 1.0).unwrap();
            assert_eq!(flat(&run.network), flat(&untouched.network), "{name}");
        }
    }

    pub fn huge_and_tiny_gradients_poison_nothing<S: Place, B: Base<S>>(
        name: &str,
        make: impl Fn() -> B,
        config: &FosiConfig,
    ) {
        for factor in [1e-30, 1e-20, 1e30] {
            for first in [0, 4] {
                let mut run = Run::new(make(), config, first);
                let before = run.everything();
                if run.step(RATE, factor).is_err() {
                    assert!(factor > 1.0, "{name}, {factor:e}");
                    assert!(run.everything() == before, "{name}, {factor:e}");
                }
                assert!(run.is_finite(), "{name}, {factor:e}");
            }
        }
    }

    pub fn the_learning_rate_may_vanish_and_return<S: Place, B: Base<S>>(
        name: &str,
        make: impl Fn() -> B,
        config: &FosiConfig,
    ) {
        let mut run = Run::new(make(), config, 1);
        let before = flat(&run.network);
        run.step(0.0, 1.0).unwrap();
        assert_eq!(flat(&run.network), before, "{name}");
        for rate in [RATE, 3.0 * RATE, 0.1 * RATE] {
            run.step(rate, 1.0).unwrap();
        }
        assert!(run.is_finite() && flat(&run.network) != before, "{name}");
        let before = run.everything();
        for rate in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(run.step(rate, 1.0).is_err(), "{name}");
        }
        assert!(run.everything() == before, "{name}");
    }
}
