//! For modules in half precision, f32 master weights accumulate steps below the spacing of half-precision numbers.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use fosi::base::{Adam, AdamW, Base, GradientDescent, HeavyBall};
use fosi::{FosiConfig, Host};
use fosi_burn::{
    BurnBase, FlatLayout, FosiOptimizer, ModuleSpace, OptimizerError, TensorSpace, backward,
};

use crate::burn_base::optimizers;
use crate::common::{accelerator, device};

const HALVES: [FloatDType; 2] = [FloatDType::F16, FloatDType::BF16];
const ROWS: usize = 3;
const COLUMNS: usize = 4;
/// 5 + 3·4, since the tied matrix counts once.
const LEN: usize = 5 + ROWS * COLUMNS;

/// Parameters of two float types; the matrix is used twice in the module.
#[derive(Module, Debug)]
struct Weights {
    vector: Param<Tensor<1>>,
    matrix: Param<Tensor<2>>,
    tied: Param<Tensor<2>>,
}

/// Multiples of 1/64 between −1 and 1, which all float types represent exactly; they depend on the salt.
fn coefficients(len: usize, salt: usize) -> Vec<f32> {
    let entry = |i| ((i * 37 + salt * 23) % 127) as f32 / 64.0 - 63.0 / 64.0;
    (0..len).map(entry).collect()
}

impl Weights {
    fn new(value: f32, vector: FloatDType, matrix: FloatDType, device: &Device) -> Self {
        let matrix = Tensor::full([ROWS, COLUMNS], value, (device, DType::from(matrix)));
        let matrix = Param::from_tensor(matrix);
        let vector = Tensor::full([5], value, (device, DType::from(vector)));
        Self {
            vector: Param::from_tensor(vector),
            tied: matrix.clone(),
            matrix,
        }
    }

    /// Σ cᵢwᵢ, with c given by the salt: its gradient does not depend on the parameters and is exact in any type.
    fn linear(&self, salt: usize) -> Tensor<1> {
        let device = &self.vector.device();
        let part = |salt, dtype| {
            let data = TensorData::new(coefficients(ROWS * COLUMNS, salt), [ROWS, COLUMNS]);
            Tensor::<2>::from_data(data, (device, dtype))
        };
        let vector = TensorData::new(coefficients(5, salt), [5]);
        let vector = Tensor::<1>::from_data(vector, (device, self.vector.val().dtype()));
        let dtype = self.matrix.val().dtype();
        let matrix = (self.matrix.val() * part(salt + 1, dtype)).sum();
        let tied = (self.tied.val() * part(salt + 1, dtype)).sum();
        let vector = (self.vector.val() * vector).sum();
        vector.cast(FloatDType::F32) + (matrix + tied).cast(FloatDType::F32).div_scalar(2.0)
    }

    fn flat<E: burn::tensor::Element>(&self) -> Vec<E> {
        FlatLayout::of(self).unwrap().parameters(self).unwrap()
    }

    fn dtypes(&self) -> [DType; 3] {
        [
            self.vector.val().dtype(),
            self.matrix.val().dtype(),
            self.tied.val().dtype(),
        ]
    }
}

/// Numbers rounded to a float type, as f32.
fn rounded(values: &[f32], dtype: FloatDType) -> Vec<f32> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    let data = data.convert_dtype(dtype.into());
    data.convert::<f32>().try_into_vec::<f32>().unwrap()
}

/// A constructor of an optimizer in a space.
trait Optimize: ModuleSpace {
    fn optimizer<B: Base<Self>>(module: &impl Module, base: B) -> FosiOptimizer<B, Self>;
    fn host(&self, x: &Self::Vector) -> Vec<f32>;
}

impl Optimize for Host<f32> {
    fn optimizer<B: Base<Self>>(module: &impl Module, base: B) -> FosiOptimizer<B, Self> {
        FosiOptimizer::new(module, base, FosiConfig::base_only()).unwrap()
    }
    fn host(&self, x: &[f32]) -> Vec<f32> {
        x.to_vec()
    }
}

impl Optimize for TensorSpace {
    fn optimizer<B: Base<Self>>(module: &impl Module, base: B) -> FosiOptimizer<B, Self> {
        FosiOptimizer::on_device(module, base, FosiConfig::base_only()).unwrap()
    }
    fn host(&self, x: &Tensor<1>) -> Vec<f32> {
        x.clone().try_into_vec_as().unwrap()
    }
}

fn master<B: Base<S>, S: Optimize>(optimizer: &FosiOptimizer<B, S>) -> Vec<f32> {
    let space = optimizer.fosi().space();
    space.host(optimizer.master_weights().unwrap())
}

/// A thousand steps from `start` on losses without curvature.
fn trained<S: Optimize>(
    base: impl Base<S>,
    rate: f64,
    start: f32,
    dtype: FloatDType,
    loss: impl Fn(&Weights) -> Tensor<1>,
) -> Vec<f32> {
    let mut module = Weights::new(start, dtype, dtype, &device());
    let mut optimizer = S::optimizer(&module, base);
    for _ in 0..1000 {
        optimizer.step(rate, &mut module, &loss).unwrap();
    }
    assert_eq!(module.dtypes(), [dtype.into(); 3]);
    module.flat()
}

fn check_short_steps<S: Optimize>() {
    for dtype in HALVES {
        // Half the spacing of numbers below 1 and between 1 and 2, plus the rounding of f32.
        let half_ulp = if dtype == FloatDType::F16 {
            2f64.powi(-12)
        } else {
            2f64.powi(-9)
        };
        let decayed = AdamW {
            weight_decay: 0.1,
            ..AdamW::default()
        };
        let flat = |w: &Weights| w.linear(0).mul_scalar(0.0);
        for found in trained::<S>(decayed, 1e-3, 1.0, dtype, flat) {
            let exact = (1.0f64 - 1e-4).powi(1000);
            let error = (f64::from(found) - exact).abs();
            assert!(error < half_ulp + 1e-5, "{dtype:?}: {found} for {exact}");
        }
        let sum = |w: &Weights| {
            let matrix = (w.matrix.val().sum() + w.tied.val().sum()).div_scalar(2.0);
            (w.vector.val().sum() + matrix).cast(FloatDType::F32)
        };
        for found in trained::<S>(GradientDescent, 9.5e-4, 2.0, dtype, sum) {
            let error = (f64::from(found) - 1.05).abs();
            assert!(error < 2.0 * half_ulp + 1e-4, "{dtype:?}: {found} for 1.05");
        }
    }
}

#[test]
fn steps_shorter_than_the_distance_of_numbers_add_up() {
    check_short_steps::<Host<f32>>();
    check_short_steps::<TensorSpace>();
}

/// The gradients are the same, so a run in half precision gives the rounded parameters of an f32 run.
fn check_rounded<S: Optimize, B: Base<S>>(
    name: &str,
    device: &Device,
    new: impl Fn(&Weights) -> B,
) {
    use FloatDType::{BF16, F16, F32};
    let pairs = [(BF16, BF16), (F16, F16), (F32, BF16), (F16, F32)];
    // WGSL has no bf16.
    let supported = |(vector, matrix): &(FloatDType, FloatDType)| {
        device.supports_dtype(*vector) && device.supports_dtype(*matrix)
    };
    for (vector, matrix) in pairs.into_iter().filter(supported) {
        let mut single = Weights::new(1.0, F32, F32, device);
        let mut half = Weights::new(1.0, vector, matrix, device);
        let mut reference = S::optimizer(&single, new(&single));
        let mut optimizer = S::optimizer(&half, new(&half));
        for step in 0..12 {
            let loss = |w: &Weights| w.linear(step);
            reference.step(1e-3, &mut single, &loss).unwrap();
            optimizer.step(1e-3, &mut half, &loss).unwrap();
            let exact: Vec<f32> = single.flat();
            assert_eq!(master(&optimizer), exact, "{name}, {vector:?}, step {step}");
            let expected = [rounded(&exact[..5], vector), rounded(&exact[5..], matrix)];
            assert_eq!(
                half.flat::<f32>(),
                expected.concat(),
                "{name}, {vector:?}, step {step}"
            );
        }
        assert_eq!(half.dtypes(), [vector.into(), matrix.into(), matrix.into()]);
        assert!(reference.master_weights().is_none());
    }
}

fn check_native<S: Optimize>(device: &Device) {
    check_rounded::<S, _>("descent", device, |_| GradientDescent);
    check_rounded::<S, _>("heavy ball", device, |_| HeavyBall::new(0.9));
    check_rounded::<S, _>("adam", device, |_| Adam::default());
    check_rounded::<S, _>("adamw", device, |_| AdamW::default());
}

#[test]
fn a_run_in_half_precision_is_the_f32_run_rounded() {
    check_native::<Host<f32>>(&device());
    check_native::<TensorSpace>(&accelerator());
}

#[test]
fn burns_optimizers_step_in_f32_too() {
    for (name, optimizer) in optimizers() {
        let new = |module: &Weights| BurnBase::new(module, optimizer.clone()).unwrap();
        check_rounded::<Host<f32>, _>(name, &device(), new);
        check_rounded::<TensorSpace, _>(name, &accelerator(), new);
    }
}

/// WGSL has no bf16: Burn gives wrong numbers there.
#[test]
fn a_type_that_the_device_lacks_is_refused() {
    let device = accelerator();
    for dtype in HALVES {
        let module = Weights::new(1.0, FloatDType::F32, dtype, &device);
        let made = FosiOptimizer::on_device(&module, GradientDescent, FosiConfig::default());
        match (device.supports_dtype(dtype), made) {
            (true, made) => assert!(made.is_ok()),
            (false, made) => {
                let error = made.unwrap_err().to_string();
                assert!(error.contains("\"matrix\" is in"), "{error}");
            }
        }
    }
}

fn check_outside<S: Optimize>() {
    let dtype = FloatDType::BF16;
    let mut module = Weights::new(1.0, dtype, dtype, &device());
    let mut optimizer = S::optimizer(&module, GradientDescent);
    let step = |optimizer: &mut FosiOptimizer<_, S>, module: &mut Weights| {
        optimizer
            .step(1e-4, module, &|w: &Weights| w.linear(0))
            .unwrap();
        master(optimizer)
    };
    step(&mut optimizer, &mut module);
    let before = step(&mut optimizer, &mut module);
    assert!(before.iter().any(|x| *x != 1.0) && module.flat::<f32>() == [1.0; LEN]);

    // Entries 2 and 7 change; entry 3 is set to its own value.
    let mut edited = module.flat::<f32>();
    (edited[2], edited[3], edited[7]) = (-4.0, 1.0, 0.5);
    let layout = FlatLayout::of(&module).unwrap();
    module = layout.set_parameters(&module, &edited[..]).unwrap();
    let after = step(&mut optimizer, &mut module);
    let gradient = {
        let (_, gradients) = backward(&module, |w| w.linear(0)).unwrap();
        layout.gradient::<f32>(&module, gradients).unwrap()
    };
    for i in 0..LEN {
        let start = if [2, 7].contains(&i) {
            edited[i]
        } else {
            before[i]
        };
        let expected = f64::from(start) - 1e-4 * f64::from(gradient[i]);
        let error = (f64::from(after[i]) - expected).abs();
        assert!(
            error <= 1.2e-7 * expected.abs(),
            "entry {i}: {} for {expected}",
            after[i]
        );
    }

    // A completely different record.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("module");
    Weights::new(3.0, dtype, dtype, &device())
        .save_file(&path)
        .unwrap();
    let mut loaded = module.clone().load_file(&path);
    let mut second = S::optimizer(&loaded, GradientDescent);
    second.restore(&optimizer.to_bytes().unwrap()).unwrap();
    let after = step(&mut second, &mut loaded);
    let error = after.iter().map(|x| (x - 3.0).abs()).fold(0.0, f32::max);
    assert!(error > 0.0 && error < 2e-4, "{after:?}");
}

#[test]
fn what_was_changed_outside_is_taken_over_and_nothing_else() {
    check_outside::<Host<f32>>();
    check_outside::<TensorSpace>();
}

fn check_resumed<S: Optimize, B: Base<S>>(name: &str, new: impl Fn(&Weights) -> B) {
    let folder = tempfile::tempdir().unwrap();
    let (at, module_at) = (
        folder.path().join("optimizer"),
        folder.path().join("module"),
    );
    let make = || Weights::new(1.0, FloatDType::BF16, FloatDType::F16, &device());
    let mut module = make();
    let mut first = S::optimizer(&module, new(&module));
    let go = |optimizer: &mut FosiOptimizer<B, S>, module: &mut Weights, steps| {
        for step in steps {
            let loss = |w: &Weights| w.linear(step);
            optimizer.step(1e-4, module, &loss).unwrap();
        }
        (master(optimizer), module.flat::<f32>())
    };
    let (saved, _) = go(&mut first, &mut module, 0..5);
    first.save(&at).unwrap();
    module.clone().save_file(&module_at).unwrap();
    // Burn loads the clones of a parameter as separate leaves; setting the parameters ties them again.
    let resumed = make().load_file(&module_at);
    let layout = FlatLayout::of(&resumed).unwrap();
    let mut resumed = layout
        .set_parameters(&resumed, &resumed.flat::<f32>()[..])
        .unwrap();
    let mut second = S::optimizer(&resumed, new(&resumed));
    second.load(&at).unwrap();
    assert_eq!(master(&second), saved, "{name}");
    let expected = go(&mut first, &mut module, 5..12);
    assert_eq!(go(&mut second, &mut resumed, 5..12), expected, "{name}");

    // Bytes without master weights, as in older files and from the optimizer on flat vectors.
    let bytes = second.fosi().to_bytes().unwrap();
    second.restore(&bytes).unwrap();
    assert!(second.master_weights().is_none());
    let start = resumed.flat::<f32>();
    let (master, _) = go(&mut second, &mut resumed, 12..13);
    let moved = start.iter().zip(&master).map(|(a, b)| (a - b).abs());
    assert!(moved.fold(0.0, f32::max) < 2e-3, "{name}");
}

#[test]
fn a_resumed_run_has_the_same_master_weights() {
    check_resumed::<Host<f32>, _>("adam", |_| Adam::default());
    check_resumed::<TensorSpace, _>("adam", |_| Adam::default());
    let burn = |module: &Weights| BurnBase::new(module, AdamConfig::new().init()).unwrap();
    check_resumed::<Host<f32>, _>("burn's adam", burn);
    check_resumed::<TensorSpace, _>("burn's adam", burn);
}

/// An optimizer that has run on the module itself, and bytes from before there were master weights.
#[test]
fn a_state_in_half_precision_goes_on_in_f32() {
    let dtype = FloatDType::BF16;
    let module = Weights::new(1.0, dtype, dtype, &device());
    let loss = |w: &Weights| w.linear(0);
    let mut adam = AdamConfig::new().init();
    let (_, gradients) = backward(&module, loss).unwrap();
    let mut module = adam.step(1e-2, module, gradients);
    assert_eq!(module.dtypes(), [dtype.into(); 3]);

    let base = BurnBase::new(&module, adam.clone()).unwrap();
    let mut optimizer = Host::<f32>::optimizer(&module, base);
    let layout = optimizer.layout().clone();
    let ids = layout.slots().iter().map(|slot| slot.id.val());
    let mut bytes: Vec<u8> = ids.flat_map(u64::to_le_bytes).collect();
    bytes.extend_from_slice(&adam.into_bytes().unwrap());
    let mut imported = BurnBase::new(&module, AdamConfig::new().init()).unwrap();
    Base::<Host<f32>>::import(&mut imported, &bytes).unwrap();
    let mut second = Host::<f32>::optimizer(&module, imported);

    let opposite = |w: &Weights| w.linear(0).neg();
    let before = module.flat::<f32>();
    let mut other = module.clone();
    optimizer.step(1e-2, &mut module, &opposite).unwrap();
    second.step(1e-2, &mut other, &opposite).unwrap();
    assert_eq!(master(&optimizer), master(&second));
    let gradient = coefficients(5, 0);
    for i in 0..5 {
        // m̂ = (0.9·0.1·g − 0.1·g)/0.19 and v̂ = g², to the precision of bf16; without the state the step would be
        // 1e-2.
        let expected = before[i] + 1e-2 * gradient[i].signum() * 0.01 / 0.19;
        assert!((master(&optimizer)[i] - expected).abs() < 5e-5, "entry {i}");
    }
}

#[test]
fn a_refused_step_leaves_the_master_weights() {
    let dtype = FloatDType::BF16;
    let mut module = Weights::new(1.0, dtype, dtype, &device());
    let mut optimizer = Host::<f32>::optimizer(&module, Adam::default());
    let loss = |w: &Weights| w.linear(0);
    for _ in 0..3 {
        optimizer.step(1e-4, &mut module, &loss).unwrap();
    }
    let before = (master(&optimizer), module.flat::<f32>());
    let infinite = |w: &Weights| w.linear(0).mul_scalar(f64::INFINITY);
    optimizer.step(1e-4, &mut module, &infinite).unwrap_err();
    let gradients = GradientsParams::new();
    let mut other = Linear {
        weight: Param::from_tensor(Tensor::ones([2, 3], &device())),
        bias: None,
    };
    let error = optimizer.step_without_refresh(1e-4, &mut other, gradients);
    assert!(matches!(error, Err(OptimizerError::Bridge(_))));
    assert_eq!((master(&optimizer), module.flat::<f32>()), before);
}

#[test]
fn an_f32_module_has_no_master_weights() {
    let mut module = Weights::new(1.0, FloatDType::F32, FloatDType::F32, &device());
    let mut optimizer = Host::<f32>::optimizer(&module, Adam::default());
    for step in 0..3 {
        let loss = |w: &Weights| w.linear(step);
        optimizer.step(1e-3, &mut module, &loss).unwrap();
    }
    assert!(optimizer.master_weights().is_none());
    let flat = optimizer.fosi().to_bytes().unwrap();
    assert_eq!(optimizer.to_bytes().unwrap(), flat);
}

/// Master weights from a run in half precision, loaded for a module in f32, are replaced by its parameters.
#[test]
fn a_checkpoint_of_half_precision_serves_an_f32_module() {
    let (half, single) = (FloatDType::BF16, FloatDType::F32);
    let mut module = Weights::new(1.0, half, half, &device());
    let mut optimizer = Host::<f32>::optimizer(&module, Adam::default());
    optimizer
        .step(1e-4, &mut module, &|w: &Weights| w.linear(0))
        .unwrap();
    let (bytes, weights) = (optimizer.to_bytes().unwrap(), master(&optimizer));

    let mut module = Weights::new(1.0, single, single, &device());
    let mut optimizer = Host::<f32>::optimizer(&module, Adam::default());
    optimizer.restore(&bytes).unwrap();
    // The caller may use the master weights explicitly; otherwise the module's own parameters count.
    let kept = optimizer.master_weights().unwrap();
    let kept = optimizer.layout().set_parameters(&module, kept).unwrap();
    assert_eq!(kept.flat::<f32>(), weights);
    optimizer
        .step(0.0, &mut module, &|w: &Weights| w.linear(0))
        .unwrap();
    assert_eq!(module.flat::<f32>(), [1.0; LEN]);
    assert!(optimizer.master_weights().is_none());
}

#[test]
fn an_f64_module_is_trained_in_f64() {
    let double = FloatDType::F64;
    let start = 1.0 + 1e-12;
    let decayed = || AdamW {
        weight_decay: 0.1,
        ..AdamW::default()
    };
    let flat = |w: &Weights| w.linear(0).mul_scalar(0.0);
    let module = || {
        let module = Weights::new(1.0, double, double, &device());
        let layout = FlatLayout::of(&module).unwrap();
        layout.set_parameters(&module, &[start; LEN][..]).unwrap()
    };
    let exact = start * (1.0f64 - 1e-10).powi(1000);
    let mut trained = module();
    let mut optimizer =
        FosiOptimizer::in_double_precision(&trained, decayed(), FosiConfig::base_only()).unwrap();
    for _ in 0..1000 {
        optimizer.step(1e-9, &mut trained, &flat).unwrap();
    }
    assert_eq!(trained.dtypes(), [double.into(); 3]);
    let error = trained.flat::<f64>().into_iter().map(|x| (x - exact).abs());
    assert!(error.fold(0.0, f64::max) < 1e-13);
    assert!(optimizer.master_weights().is_none());

    // Burn's optimizers in f64 as well.
    let mut trained = module();
    let sgd = burn::optim::SgdConfig::new().init();
    let base = BurnBase::new(&trained, sgd).unwrap();
    let mut optimizer =
        FosiOptimizer::in_double_precision(&trained, base, FosiConfig::base_only()).unwrap();
    for _ in 0..10 {
        optimizer
            .step(1e-12, &mut trained, &|w: &Weights| w.linear(0))
            .unwrap();
    }
    let expected = start - 1e-11 * f64::from(coefficients(5, 0)[0]);
    assert!((trained.flat::<f64>()[0] - expected).abs() < 1e-14);
}

/// In f64 even an f32 module has master weights.
#[test]
fn vectors_in_f64_are_master_weights_of_an_f32_module() {
    let single = FloatDType::F32;
    let mut module = Weights::new(1.0, single, single, &device());
    let config = FosiConfig::base_only();
    let mut optimizer =
        FosiOptimizer::in_double_precision(&module, GradientDescent, config).unwrap();
    for _ in 0..1000 {
        optimizer
            .step(1e-9, &mut module, &|w: &Weights| w.linear(0))
            .unwrap();
    }
    let expected = 1.0 - 1e-6 * f64::from(coefficients(5, 0)[0]);
    let found = optimizer.master_weights().unwrap()[0];
    assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
    assert_eq!(module.flat::<f32>()[0], expected as f32);
}
