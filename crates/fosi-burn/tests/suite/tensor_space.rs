//! Vectors on a device give the same numbers as on the host, operation by operation and in training.

use burn::module::Module;
use burn::tensor::{DType, Tensor, TensorData};
use fosi::base::{Adam, Base, Elementwise, GradientDescent, HeavyBall, Nesterov};
use fosi::space::Array;
use fosi::split::Split;
use fosi::{FosiConfig, Host, Space, Storage};
use fosi_burn::{FlatLayout, FosiOptimizer, Precision, Replica, TensorSpace};

use crate::common::{Batch, Network, accelerator, bits, device, entries, every};

const N: usize = 5000;

fn values(salt: u64) -> Vec<f32> {
    entries(N, salt).into_iter().map(|x| x as f32).collect()
}

fn tensor(values: &[f32]) -> Tensor<1> {
    let device = accelerator().without_autodiff();
    let data = TensorData::new(values.to_vec(), [values.len()]);
    Tensor::from_data(data, (&device, DType::F32))
}

fn read(x: &Tensor<1>) -> Vec<f32> {
    x.try_to_vec_as().unwrap()
}

fn spaces() -> (Host<f32>, TensorSpace) {
    (Host::new(N), TensorSpace::new(N, &accelerator()))
}

/// |a − b| ≤ tol·scale, entry by entry.
fn close<T: Copy + Into<f64>>(a: &[T], b: &[T], scale: f64) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        let (a, b): (f64, f64) = ((*a).into(), (*b).into());
        assert!((a - b).abs() <= 2e-6 * scale, "{a} {b}");
    }
}

/// Five vectors.
fn vectors() -> Vec<Vec<f32>> {
    let vector = |salt: u64| values(100 + salt).iter().map(|x| 0.02 * x).collect();
    (0..5).map(vector).collect()
}

/// The same five vectors as a basis in both spaces.
fn bases(
    host: &Host<f32>,
    on: &TensorSpace,
) -> (fosi::space::HostBasis<f32>, fosi_burn::TensorBasis) {
    let array = Array::from_rows(&vectors());
    (
        host.import_basis(&array).unwrap(),
        on.import_basis(&array).unwrap(),
    )
}

#[test]
fn every_operation_is_that_of_the_host() {
    let (host, on) = spaces();
    let (x, y) = (values(1), values(2));
    let (tx, ty) = (tensor(&x), tensor(&y));
    assert!(read(&on.normal(7)) == host.normal(7));
    close(&[on.dot(&tx, &ty)], &[host.dot(&x, &y)], N as f64 / 10.0);
    for b in [0.0, -0.5] {
        let (mut z, mut tz) = (y.clone(), ty.clone());
        host.axpby(1.5, &x, b, &mut z);
        on.axpby(1.5, &tx, b, &mut tz);
        close(&read(&tz), &z, 1.0);
    }
    let (mut z, mut tz) = (host.zeros(), on.zeros());
    host.clamp(0.3, &x, &mut z);
    on.clamp(0.3, &tx, &mut tz);
    assert!(read(&tz) == z);

    let (v, tv) = bases(&host, &on);
    assert_eq!(on.size(&tv), 5);
    close(&read(&on.column(&tv, 3)), &host.column(&v, 3), 0.02);
    let mut c = [0.0; 5];
    let mut tc = c;
    let square = host.project(&v, &x, &mut c);
    close(&[on.project(&tv, &tx, &mut tc)], &[square], square);
    close(&tc, &c, 10.0);
    let (mut z, mut tz) = (x.clone(), tx.clone());
    let square = host.subtract(&v, &c, &mut z);
    close(&[on.subtract(&tv, &c, &mut tz)], &[square], square);
    close(&read(&tz), &z, 1.0);

    let mut q = vectors();
    let mut tq: Vec<Tensor<1>> = q.iter().map(|x| tensor(x)).collect();
    let (mut c, mut d) = ([0.0; 5], [0.0; 5]);
    let (mut tc, mut td) = (c, d);
    let square = host.project_pair(&q, &x, &y, &mut c, &mut d);
    let found = on.project_pair(&tq, &tx, &ty, &mut tc, &mut td);
    close(&[found], &[square], square);
    close(&tc, &c, 10.0);
    close(&td, &d, 10.0);
    let (mut z, mut tz) = (x.clone(), tx.clone());
    let some = [&q[1][..], &q[4][..]];
    let square = host.subtract_scaled(&some, &c[..2], 0.5, &mut z);
    let found = on.subtract_scaled(&[&tq[1], &tq[4]], &c[..2], 0.5, &mut tz);
    close(&[found], &[square], square);
    close(&read(&tz), &z, 1.0);
    // The copied vector is unchanged.
    assert!(read(&tx) == x);

    let columns = [
        vec![0.1, -0.2, 0.3, 0.4, 0.5],
        vec![1.0, 0.0, 0.0, 0.0, -1.0],
    ];
    let ((w, gram), (tw, t_gram)) = (host.rotate(&mut q, &columns), on.rotate(&mut tq, &columns));
    close(&t_gram, &gram, 10.0);
    for i in 0..2 {
        close(&read(&on.column(&tw, i)), &host.column(&w, i), 1.0);
    }
    // Stored and read back, in either space.
    assert!(on.export(&tx) == host.export(&x));
    let back = host.import_basis(&on.export_basis(&tv)).unwrap();
    assert!(host.column(&back, 4) == read(&on.column(&tv, 4)));
    let back = on.import_basis(&host.export_basis(&v)).unwrap();
    assert!(read(&on.column(&back, 4)) == host.column(&v, 4));
    assert!(on.import(&Host::<f32>::new(3).export(&[1.0; 3])).is_err());
    assert!(on.check("a vector", &tensor(&[1.0; 3])).is_err());
}

fn step<E: Elementwise>(base: &E) {
    let (host, on) = spaces();
    let (v, tv) = bases(&host, &on);
    let gram: Vec<f64> = (0..25).map(|i| f64::from(i % 6 == 0)).collect();
    let (mut theta, g) = (values(3), values(4));
    let (mut t_theta, tg) = (tensor(&theta), tensor(&g));
    let mut state: Vec<Vec<f32>> = (0..E::STATE).map(|_| host.zeros()).collect();
    let mut t_state: Vec<Tensor<1>> = (0..E::STATE).map(|_| on.zeros()).collect();
    let (mut scratch, mut t_scratch) = (host.zeros(), on.zeros());
    for t in 1..4 {
        let numbers = base.coefficients(t, 0.1);
        let (c, newton) = ([0.5, 0.1, -0.3, 0.0, 0.2], [0.3, 0.0, 0.1, -0.1, 0.2]);
        let (gradient_scale, scale, decay) = (0.9, 2.0, 0.01);
        macro_rules! split {
            ($basis:expr) => {
                Split {
                    basis: (t > 1).then_some($basis),
                    gram_inverse: &gram,
                    coefficients: &c,
                    subspace_step: &newton,
                    gradient_scale,
                    scale,
                    decay,
                    norm_unit: 1.0,
                }
            };
        }
        let a = host.elementwise_step::<E>(
            &numbers,
            &mut state,
            &g,
            &split!(&v),
            &mut theta,
            &mut scratch,
        );
        let b = on.elementwise_step::<E>(
            &numbers,
            &mut t_state,
            &tg,
            &split!(&tv),
            &mut t_theta,
            &mut t_scratch,
        );
        close(&read(&t_theta), &theta, 2.0);
        close(
            &[b.complement_norm],
            &[a.complement_norm],
            10.0 * a.complement_norm,
        );
        for (t_state, state) in t_state.iter().zip(&state) {
            close(&read(t_state), state, 2.0);
        }
    }
}

#[test]
fn a_step_is_that_of_the_host() {
    step(&GradientDescent);
    step(&HeavyBall::new(0.9));
    step(&Nesterov::new(0.9));
    step(&Adam::default());
}

/// The parameters after a run, the eigenvalues of its refreshes, and its last loss.
fn train<B, S>(
    mut optimizer: FosiOptimizer<B, S>,
    mut network: Network,
    steps: usize,
) -> (Vec<u32>, Vec<f64>, f64)
where
    S: fosi_burn::ModuleSpace,
    B: Base<S>,
{
    let batch = Batch::new(24, &network.devices()[0]);
    let loss = |network: &Network| network.loss(&batch);
    let (mut eigenvalues, mut last) = (Vec::new(), f64::NAN);
    for _ in 0..steps {
        let done = optimizer.step(0.01, &mut network, &loss).unwrap();
        last = done.loss;
        if let Some(attempt) = done.refresh {
            eigenvalues.extend(attempt.result.unwrap().eigenvalues);
        }
    }
    (bits(&network), eigenvalues, last)
}

fn floats(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|x| f32::from_bits(*x)).collect()
}

#[test]
fn training_is_that_of_the_host() {
    fn both<B: Base<Host<f32>> + Base<TensorSpace> + Copy>(base: B, exact: bool) {
        let network = Network::new(&accelerator());
        let run = |config: FosiConfig, steps| {
            let host = FosiOptimizer::new(&network, base, config.clone()).unwrap();
            let on = FosiOptimizer::on_device(&network, base, config).unwrap();
            (
                train(host, network.clone().train(), steps),
                train(on, network.clone().train(), steps),
            )
        };
        // Before the first refresh bit for bit, if the device rounds like the host.
        let (host, on) = run(FosiConfig::base_only(), 8);
        if exact {
            assert_eq!(host.0, on.0);
        } else {
            assert!((on.2 - host.2).abs() < 1e-4 * host.2, "{} {}", on.2, host.2);
        }
        let (host, on) = run(every(3, 4), 12);
        assert_eq!(host.1.len(), 9);
        // Without f64, products are differences in f32, accurate to about 1 %.
        let tolerance = if exact { 1e-3 } else { 1e-2 };
        for (a, b) in on.1.iter().zip(&host.1) {
            assert!((a - b).abs() < tolerance * host.1[0].abs(), "{a} {b}");
        }
        assert!((on.2 - host.2).abs() < 1e-3 * host.2, "{} {}", on.2, host.2);
        // The gradient of a bias before batch norm is pure rounding, which Adam amplifies: if the device rounds
        // differently, only the loss can be compared.
        if exact {
            for (a, b) in floats(&on.0).iter().zip(&floats(&host.0)) {
                assert!((a - b).abs() < 1e-3, "{a} {b}");
            }
        }
    }
    let cpu = cfg!(not(feature = "wgpu"));
    both(GradientDescent, cpu);
    both(HeavyBall::new(0.9), cpu);
    both(Adam::default(), cpu);
}

#[test]
fn a_run_resumed_on_a_device_is_bit_equal() {
    let device = accelerator();
    let batch = Batch::new(24, &device);
    let loss = |network: &Network| network.loss(&batch);
    let new = |network: &Network| {
        FosiOptimizer::on_device(network, Adam::default(), every(3, 4)).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer");
    let mut network = Network::new(&device);
    let mut optimizer = new(&network);
    for _ in 0..5 {
        optimizer.step(0.01, &mut network, &loss).unwrap();
    }
    optimizer.save(&file).unwrap();
    let mut resumed = network.clone().train();
    let mut second = new(&resumed);
    second.load(&file).unwrap();
    for step in 5..12 {
        optimizer.step(0.01, &mut network, &loss).unwrap();
        second.step(0.01, &mut resumed, &loss).unwrap();
        assert_eq!(bits(&network), bits(&resumed), "step {step}");
    }
    // A state saved in one space can be restored in the other.
    optimizer.save(&file).unwrap();
    let mut host = FosiOptimizer::new(&network, Adam::default(), every(3, 4)).unwrap();
    host.load(&file).unwrap();
    assert_eq!(
        host.fosi().to_bytes().unwrap(),
        optimizer.fosi().to_bytes().unwrap()
    );
}

#[test]
fn flat_tensors_are_the_flat_vectors() {
    let device = device();
    let network = Network::new(&device);
    let layout = FlatLayout::of(&network).unwrap();
    let theta: Vec<f32> = layout.parameters(&network).unwrap();
    let on = device.clone().without_autodiff();
    let mut flat = Tensor::<1>::zeros([layout.len()], &on);
    layout.read_parameters(&network, &mut flat).unwrap();
    assert_eq!(read(&flat), theta);

    let doubled = layout
        .set_parameters(&network, &flat.mul_scalar(2.0))
        .unwrap();
    let expected: Vec<f32> = theta.iter().map(|x| 2.0 * x).collect();
    assert_eq!(layout.parameters::<f32>(&doubled).unwrap(), expected);
    assert!(doubled.input.weight.is_require_grad() && !doubled.frozen.weight.is_require_grad());
    assert!(layout.set_parameters(&network, &tensor(&[1.0; 3])).is_err());

    // Gradients to the device and back, with a block of zeros for parameters that the loss does not reach.
    let batch = Batch::new(24, &device);
    let replica = Replica::new(&network, Precision::F64).unwrap();
    let loss = |network: &Network| network.loss(&batch);
    let theta = replica.parameters().unwrap();
    let (_, gradient) = replica.value_and_gradient(&theta, &loss).unwrap();
    let theta = replica.parameter_tensor(&on).unwrap();
    let found = replica.gradient_tensor(&theta, &loss).unwrap();
    assert_eq!(found.clone().try_into_vec_as::<f64>().unwrap(), gradient);
    let module = replica.at(&replica.parameters().unwrap()).unwrap();
    let gradients = layout.to_gradients(&module, &found).unwrap();
    assert_eq!(
        layout.gradient::<f64>(&module, gradients).unwrap(),
        gradient
    );
}

/// A basis that the host stores in bf16 has the same entries on a device.
#[test]
fn a_basis_in_bf16_goes_on_on_a_device() {
    let device = device();
    let batch = Batch::new(24, &device);
    let mut network = Network::new(&device);
    let loss = |network: &Network| network.loss(&batch);
    let host = FosiOptimizer::new(&network, Adam::default(), every(2, 9)).unwrap();
    let mut host = host.with_storage(Storage::Bf16);
    for _ in 0..4 {
        host.step(0.01, &mut network, &loss).unwrap();
    }
    let mut other = FosiOptimizer::on_device(&network, Adam::default(), every(2, 9)).unwrap();
    other.restore(&host.to_bytes().unwrap()).unwrap();
    let (ours, theirs) = (host.fosi(), other.fosi());
    let basis = &ours.spectrum().unwrap().basis;
    let others = &theirs.spectrum().unwrap().basis;
    for i in 0..ours.space().size(basis) {
        let column = theirs.space().column(others, i);
        assert_eq!(ours.space().column(basis, i), read(&column));
    }
}
