//! The split step against a dense f64 reference that keeps the total momentum and projects explicitly.

use std::borrow::Borrow;

use fosi::base::{
    Adam, Base, BaseStep, GradientDescent, HeavyBall, Momentum, Nesterov, UpdateRule,
};
use fosi::operator;
use fosi::scaling::Extremes;
use fosi::space::Scalar;
use fosi::{Clipping, Error, Fosi, FosiConfig, Host, NewtonRate, Schedule, Space, Storage};

/// A diagonal Hessian whose large entries move at each refresh.
fn curvature(refresh: usize, i: usize) -> f64 {
    let place = (i + 5 * refresh) % 97;
    1.0 + 100.0 * 0.6_f64.powi(place as i32)
}

/// A gradient that only depends on the step count, so that rounding does not feed back.
fn gradient<T: Scalar>(n: usize, step: usize) -> Vec<T> {
    let entry = |i: usize| ((i * 37 + step * 101) as f64 * 0.61803).sin();
    (0..n).map(|i| T::store(entry(i))).collect()
}

fn config(largest: usize, smallest: usize) -> FosiConfig {
    FosiConfig {
        largest,
        smallest,
        newton_rate: NewtonRate::Constant(0.3),
        // These gradients are not those of a function, which the safeguards would detect.
        safeguards: false,
        schedule: Schedule::Every {
            warmup: 4,
            interval: 9,
        },
        ..crate::raw()
    }
}

fn refresh<T: Scalar, B: Base<Host<T>>>(optimizer: &mut Fosi<Host<T>, B>, count: usize) {
    let mut hessian = operator::from_fn::<Host<T>, _>(|v: &[T], out: &mut [T]| {
        for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
            *out = v.scale(curvature(count, i));
        }
    });
    optimizer.refresh(&mut hessian).unwrap();
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    GradientDescent,
    HeavyBall,
    Nesterov,
    Adam,
    /// Without bias correction in the Newton step.
    AdamUncorrected,
}

impl Rule {
    fn is_adam(self) -> bool {
        matches!(self, Self::Adam | Self::AdamUncorrected)
    }
}

fn uncorrected() -> Adam {
    Adam {
        subspace_bias_correction: false,
        ..Adam::default()
    }
}

/// The whole algorithm in n-vectors of f64. M is the total momentum, whose two parts are its projections, so a refresh
/// splits it simply by changing V.
struct Reference {
    rule: Rule,
    momentum: Vec<f64>,
    second: Vec<f64>,
    x: Vec<f64>,
}

impl Reference {
    fn step(&mut self, t: i32, rate: f64, g: &[f64], v: &[Vec<f64>], u: &[f64], scale: f64) {
        let m = &mut self.momentum;
        let (decay, gain) = match self.rule {
            Rule::GradientDescent => (0.0, 1.0),
            Rule::HeavyBall | Rule::Nesterov => (0.9, 1.0),
            Rule::Adam | Rule::AdamUncorrected => (0.9, 0.1),
        };
        for (m, g) in m.iter_mut().zip(g) {
            *m = decay * *m + gain * g;
        }
        let seen: Vec<f64> = match self.rule {
            Rule::Nesterov => m.iter().zip(g).map(|(m, g)| 0.9 * m + g).collect(),
            _ if self.rule.is_adam() => m.iter().map(|m| m / (1.0 - 0.9_f64.powi(t))).collect(),
            _ => m.clone(),
        };
        let uncorrected = self.rule == Rule::AdamUncorrected;
        let coefficients = solve_normal(v, if uncorrected { m } else { &seen });
        let mut direction = complement(v, &seen);
        if self.rule.is_adam() {
            let g2 = complement(v, g);
            for ((d, second), g) in direction.iter_mut().zip(&mut self.second).zip(g2) {
                *second = 0.999 * *second + 0.001 * g * g;
                *d /= (*second / (1.0 - 0.999_f64.powi(t))).sqrt() + 1e-8;
            }
            direction = complement(v, &direction);
        }
        for (i, x) in self.x.iter_mut().enumerate() {
            *x -= scale * rate * direction[i];
            for ((v, u), c) in v.iter().zip(u).zip(&coefficients) {
                *x -= 0.3 * u * c * v[i];
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// (VᵀV)⁻¹Vᵀx.
fn solve_normal(v: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    use faer::linalg::solvers::Solve;
    let k = v.len();
    if k == 0 {
        return Vec::new();
    }
    let gram = faer::Mat::from_fn(k, k, |i, j| dot(&v[i], &v[j]));
    let right = faer::Mat::from_fn(k, 1, |i, _| dot(&v[i], x));
    let solution = gram.partial_piv_lu().solve(&right);
    (0..k).map(|i| solution[(i, 0)]).collect()
}

/// x − V(VᵀV)⁻¹Vᵀx.
fn complement(v: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    let c = solve_normal(v, x);
    let inside = |i: usize| -> f64 { v.iter().zip(&c).map(|(v, c)| v[i] * c).sum() };
    x.iter().enumerate().map(|(i, x)| x - inside(i)).collect()
}

fn columns<T: Scalar, B: Base<Host<T>>>(optimizer: &Fosi<Host<T>, B>) -> Vec<Vec<f64>> {
    let space = optimizer.space();
    let Some(spectrum) = optimizer.spectrum() else {
        return Vec::new();
    };
    (0..spectrum.eigenvalues.len())
        .map(|i| {
            let column = space.column(&spectrum.basis, i);
            column.iter().map(|x| x.load()).collect()
        })
        .collect()
}

/// The largest deviation from the reference over steps with three refreshes, relative to the largest move.
fn deviation<T: Scalar, B: Base<Host<T>>>(rule: Rule, base: B, storage: Storage, n: usize) -> f64 {
    let space = Host::<T>::new(n).with_storage(storage);
    let mut optimizer = Fosi::new(space, base, config(4, 2)).unwrap();
    let zeros = vec![0.0; n];
    let mut reference = Reference {
        rule,
        momentum: zeros.clone(),
        second: zeros.clone(),
        x: zeros,
    };
    let mut x = vec![T::ZERO; n];
    let (mut count, mut worst, mut size) = (0, 0.0_f64, 0.0_f64);
    for step in 0..31 {
        if optimizer.due() {
            refresh(&mut optimizer, count);
            count += 1;
        }
        let g: Vec<T> = gradient(n, step);
        optimizer.step(0.05, &mut x, &g).unwrap();
        let curvature = optimizer.spectrum().map(|s| s.damped_curvature(1e-6));
        let u = curvature.map(|c| c.iter().map(|c| 1.0 / c).collect::<Vec<f64>>());
        let g: Vec<f64> = g.iter().map(|g| g.load()).collect();
        let (v, u) = (columns(&optimizer), u.unwrap_or_default());
        reference.step(step as i32 + 1, 0.05, &g, &v, &u, optimizer.scale());
        for (x, y) in x.iter().zip(&reference.x) {
            worst = worst.max((x.load() - y).abs());
            size = size.max(y.abs());
        }
    }
    assert_eq!(count, 3);
    worst / size
}

#[test]
fn steps_agree_with_the_dense_reference() {
    fn each<T: Scalar>(storage: Storage, tolerance: f64) {
        for n in [90, 2100] {
            let deviations = [
                deviation::<T, _>(Rule::GradientDescent, GradientDescent, storage, n),
                deviation::<T, _>(Rule::HeavyBall, HeavyBall::default(), storage, n),
                deviation::<T, _>(Rule::Nesterov, Nesterov::default(), storage, n),
                deviation::<T, _>(Rule::Adam, Adam::default(), storage, n),
                deviation::<T, _>(Rule::AdamUncorrected, uncorrected(), storage, n),
                deviation::<T, _>(Rule::HeavyBall, Generic(HeavyBall::default()), storage, n),
                deviation::<T, _>(Rule::Adam, Generic(Adam::default()), storage, n),
            ];
            for (i, d) in deviations.iter().enumerate() {
                assert!(d < &tolerance, "{storage:?}, n = {n}, base {i}: {d:e}");
            }
        }
    }
    // Adam divides by √v, which is small where g₂ nearly vanishes; this costs a few digits.
    each::<f64>(Storage::Full, 1e-11);
    each::<f64>(Storage::Single, 1e-11);
    each::<f64>(Storage::Bf16, 1e-11);
    each::<f32>(Storage::Full, 1e-4);
    each::<f32>(Storage::Bf16, 1e-4);
}

/// A base with its fused step hidden, so that FOSI takes the default path, pass by pass.
struct Generic<B>(B);

impl<B: UpdateRule> UpdateRule for Generic<B> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn momentum(&self) -> Momentum {
        self.0.momentum()
    }
    fn weight_decay(&self) -> f64 {
        self.0.weight_decay()
    }
    fn rate_ratio(&self, extremes: &Extremes) -> f64 {
        self.0.rate_ratio(extremes)
    }
}

impl<S: Space, B: Base<S>> Base<S> for Generic<B> {
    fn state_len(&self) -> usize {
        self.0.state_len()
    }
    fn direction(
        &mut self,
        at: BaseStep<'_, S>,
        parameters: &S::Vector,
        gradient: &mut S::Vector,
    ) -> Result<(), Error> {
        self.0.direction(at, parameters, gradient)
    }
}

/// The reports and the final parameters of thirty steps with refreshes.
fn run<T: Scalar, B: Base<Host<T>>>(
    base: B,
    config: FosiConfig,
    n: usize,
) -> (Vec<[f64; 4]>, Vec<T>) {
    let mut optimizer = Fosi::new(Host::<T>::new(n), base, config).unwrap();
    let mut x: Vec<T> = gradient(n, 77);
    let mut count = 0;
    let mut reports = Vec::new();
    for step in 0..15 {
        if optimizer.due() {
            refresh(&mut optimizer, count);
            count += 1;
        }
        let r = optimizer.step(0.05, &mut x, &gradient(n, step)).unwrap();
        reports.push([r.gradient_norm, r.scale, r.newton_norm, r.base_norm]);
    }
    (reports, x)
}

#[test]
fn the_fused_step_is_the_generic_one() {
    fn same<B: Base<Host<f64>>>(make: impl Fn() -> B) {
        // 70 pairs are more than one group of the reduction; 9000 entries more than one block.
        for (largest, n) in [(1, 1), (3, 700), (70, 9000)] {
            for clipping in [Clipping::None, Clipping::Norm(0.4), Clipping::Value(0.2)] {
                let with = || FosiConfig {
                    clipping,
                    lanczos_steps: Some(largest + 10),
                    ..config(largest, 2)
                };
                let (fused, x) = run(make(), with(), n);
                let (generic, y) = run(Generic(make()), with(), n);
                for (x, y) in x.iter().zip(&y) {
                    assert!(
                        (x - y).abs() < 1e-11,
                        "k = {largest}, {clipping:?}: {x} {y}"
                    );
                }
                for (a, b) in fused.iter().flatten().zip(generic.iter().flatten()) {
                    assert!(
                        (a - b).abs() < 1e-7 * (1.0 + a.abs()),
                        "{fused:?} {generic:?}"
                    );
                }
            }
        }
    }
    same(|| GradientDescent);
    same(HeavyBall::default);
    same(Nesterov::default);
    same(Adam::default);
    same(fosi::base::AdamW::default);
    same(uncorrected);
}

#[test]
fn reported_lengths_are_those_of_the_move() {
    // Gradient descent: d₁ ⊥ d₂, so the move's length is √(‖d₁‖² + ‖d₂‖²).
    let n = 300;
    let mut optimizer = Fosi::new(Host::<f64>::new(n), GradientDescent, config(4, 2)).unwrap();
    let mut x = vec![0.0; n];
    for step in 0..12 {
        if optimizer.due() {
            refresh(&mut optimizer, 0);
        }
        let before = x.clone();
        let report = optimizer
            .step(0.05, &mut x, &gradient::<f64>(n, step))
            .unwrap();
        let moved: f64 = x.iter().zip(&before).map(|(a, b)| (a - b).powi(2)).sum();
        let parts = report.newton_norm.hypot(report.base_norm);
        assert!((moved.sqrt() - parts).abs() < 1e-12, "{report:?}");
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    fn same<B: Base<Host<f32>> + Send>(make: impl Fn() -> B + Sync) {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                let config = FosiConfig {
                    lanczos_steps: Some(8),
                    ..config(4, 1)
                };
                run::<f32, _>(make(), config, 120_001)
            })
        };
        let one = with(1);
        assert!(one == with(2));
        assert!(one == with(5));
    }
    same(HeavyBall::default);
    same(Adam::default);
    same(|| Generic(Adam::default()));
}

/// Records the last gradient passed to it.
struct Spy<T>(Vec<T>);

impl<T: Scalar> UpdateRule for Spy<T> {
    fn name(&self) -> &'static str {
        "spy"
    }
}

impl<T: Scalar> Base<Host<T>> for Spy<T> {
    fn state_len(&self) -> usize {
        0
    }
    fn direction(
        &mut self,
        at: BaseStep<'_, Host<T>>,
        _x: &[T],
        gradient: &mut [T],
    ) -> Result<(), Error> {
        self.0 = gradient.to_vec();
        let given: &[T] = self.0.borrow();
        at.space.axpby(0.01, given, 0.0, gradient);
        Ok(())
    }
}

/// ‖Vᵀg₂‖/‖g‖ for a gradient that lies mostly in the subspace, where `complement` gives g₂ from the base and the move.
fn leak<T: Scalar, B: Base<Host<T>>>(
    storage: Storage,
    base: B,
    complement: impl Fn(&B, Vec<T>) -> Vec<T>,
) -> f64 {
    let n = 4000;
    let space = Host::<T>::new(n).with_storage(storage);
    // The base has the rate 1, the Newton step the rate 0.
    let config = FosiConfig {
        newton_rate: NewtonRate::Constant(0.0),
        scale_limit: 1.0,
        ..config(6, 0)
    };
    let mut optimizer = Fosi::new(space, base, config).unwrap();
    let mut x = vec![T::ZERO; n];
    refresh(&mut optimizer, 0);
    let g: Vec<T> = (0..n)
        .map(|i| T::store(if i < 6 { 1000.0 } else { 0.01 }))
        .collect();
    let norm = optimizer.step(1.0, &mut x, &g).unwrap().gradient_norm;
    let g2 = complement(optimizer.base(), x);
    let g2: Vec<f64> = g2.iter().map(|g| g.load()).collect();
    let inside: f64 = columns(&optimizer)
        .iter()
        .map(|v| dot(v, &g2).powi(2))
        .sum();
    inside.sqrt() / norm
}

/// The same for a base that sees g₂, and in the fused step, where gradient descent's move is −g₂.
fn leaks<T: Scalar>(storage: Storage) -> [f64; 2] {
    [
        leak::<T, _>(storage, Spy(Vec::new()), |spy, _| spy.0.clone()),
        leak::<T, _>(storage, GradientDescent, |_, x| x),
    ]
}

#[test]
fn the_complement_is_orthogonal_to_rounding_in_every_storage() {
    for storage in [Storage::Full, Storage::Single, Storage::Bf16] {
        let (single, double) = (leaks::<f32>(storage), leaks::<f64>(storage));
        assert!(single.iter().all(|x| *x < 2e-7), "{storage:?}: {single:?}");
        assert!(double.iter().all(|x| *x < 1e-14), "{storage:?}: {double:?}");
    }
}
