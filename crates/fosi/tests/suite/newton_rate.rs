//! The adaptive Newton rate, against its formula on a diagonal quadratic.

use fosi::base::{Adam, Base, GradientDescent, HeavyBall};
use fosi::{Error, Fosi, FosiConfig, Host, NewtonRate, Schedule, operator};

const LAMBDA: [f64; 3] = [50.0, 4.0, 1.0];
const RATE: f64 = 0.01;
const ALPHA: f64 = 0.05;

fn optimizer<B: Base<Host<f64>>>(base: B, newton_rate: NewtonRate) -> Fosi<Host<f64>, B> {
    let config = FosiConfig {
        largest: 2,
        newton_rate,
        scale_limit: 1.0,
        // Gradients that change their sign at every step are not those of a quadratic.
        safeguards: false,
        schedule: Schedule::Never,
        ..crate::raw()
    };
    Fosi::new(Host::new(3), base, config).unwrap()
}

fn refresh<B: Base<Host<f64>>>(optimizer: &mut Fosi<Host<f64>, B>) {
    let mut hessian = operator::from_fn(|v: &[f64], out: &mut [f64]| {
        for i in 0..3 {
            out[i] = LAMBDA[i] * v[i];
        }
    });
    optimizer.refresh(&mut hessian).unwrap();
}

/// q of the coefficients so far, from explicit sums.
fn share(coefficients: &[f64], decay: f64) -> f64 {
    let t = coefficients.len();
    if t <= 5 {
        return 0.0;
    }
    let weight = |j: usize| decay.powi((t - 1 - j) as i32);
    let sum = |term: &dyn Fn(usize) -> f64| (0..t).map(term).sum::<f64>();
    let total = sum(&weight);
    let mean = sum(&|j| weight(j) * coefficients[j]) / total;
    let square = sum(&|j| weight(j) * coefficients[j].powi(2)) / total;
    let noise = sum(&|j| weight(j).powi(2)) / (total * total);
    ((mean * mean / square - noise) / (1.0 - noise)).clamp(0.0, 1.0)
}

/// Gradients that drift along the first coordinate and alternate in sign along the second.
fn gradient(step: usize) -> [f64; 3] {
    let sign = if step.is_multiple_of(2) { 1.0 } else { -1.0 };
    [1.0 + 0.1 * (step as f64).sin(), 0.5 * sign + 0.2, 0.3]
}

/// Steps that move c̄ᵢ·αᵢ/λᵢ along the two directions, with αᵢ from the base's rates along them.
fn follows_the_formula<B: Base<Host<f64>>>(base: B, base_rates: impl Fn(&[[f64; 3]]) -> [f64; 2]) {
    let momentum = base.momentum();
    let mut optimizer = optimizer(base, NewtonRate::adaptive(ALPHA));
    let mut x = vec![0.0; 3];
    let before: Vec<[f64; 3]> = (0..4).map(gradient).collect();
    for gradient in &before {
        optimizer.step(RATE, &mut x, gradient).unwrap();
    }
    // Momentum is excluded from the comparison: its part along V comes from earlier steps.
    let rates = base_rates(&before);
    let mut bar = [0.0; 2];
    for g in &before {
        for i in 0..2 {
            bar[i] = momentum.decay * bar[i] + momentum.gain * g[i];
        }
    }
    refresh(&mut optimizer);
    let mut seen = [Vec::new(), Vec::new()];
    let mut differs = false;
    for step in 4..30 {
        let g = gradient(step);
        let from = x.clone();
        optimizer.step(RATE, &mut x, &g).unwrap();
        for i in 0..2 {
            seen[i].push(g[i]);
            bar[i] = momentum.decay * bar[i] + momentum.gain * g[i];
            let correction = match momentum.bias_correction {
                true => 1.0 - momentum.decay.powi(step as i32 + 1),
                false => 1.0,
            };
            let highest = (RATE * rates[i] * LAMBDA[i]).clamp(ALPHA, 1.0);
            let alpha = ALPHA + share(&seen[i], 0.9) * (highest - ALPHA);
            differs |= alpha > 1.5 * ALPHA;
            let expected = from[i] - alpha * bar[i] / correction / LAMBDA[i];
            assert!(
                (x[i] - expected).abs() < 1e-12,
                "step {step}, {i}: {} {expected}",
                x[i]
            );
        }
    }
    assert!(differs);
}

#[test]
fn the_rate_follows_the_formula() {
    follows_the_formula(GradientDescent, |_| [1.0; 2]);
    follows_the_formula(HeavyBall::new(0.9), |_| [1.0; 2]);
}

#[test]
fn adams_preconditioner_takes_part() {
    // 1/(√v̂ + ε) along the coordinates, which are the eigenvectors.
    follows_the_formula(Adam::default(), |gradients| {
        let rate = |i: usize| {
            let v = gradients
                .iter()
                .fold(0.0, |v, g| 0.999 * v + (1.0 - 0.999) * g[i] * g[i]);
            let corrected = v / (1.0 - 0.999_f64.powi(gradients.len() as i32));
            1.0 / (corrected.sqrt() + 1e-8)
        };
        [rate(0), rate(1)]
    });
}

#[test]
fn impossible_decays_are_refused() {
    for decay in [-0.1, 1.0, f64::NAN] {
        let config = FosiConfig {
            newton_rate: NewtonRate::Adaptive { rate: 0.01, decay },
            ..crate::raw()
        };
        let error = Fosi::new(Host::<f64>::new(3), GradientDescent, config).unwrap_err();
        assert!(
            matches!(error, Error::InvalidSetting { .. }),
            "{decay}: {error}"
        );
    }
}

#[test]
fn a_learning_rate_of_zero_moves_nothing() {
    let mut optimizer = optimizer(HeavyBall::new(0.9), NewtonRate::adaptive(ALPHA));
    let mut x = vec![0.0; 3];
    refresh(&mut optimizer);
    for step in 0..10 {
        optimizer.step(RATE, &mut x, &gradient(step)).unwrap();
    }
    let before = x.clone();
    optimizer.step(0.0, &mut x, &gradient(10)).unwrap();
    assert_eq!(x, before);
}

/// Steps to 1e-8 of the first gradient on a quadratic with eigenvalues 1000, 500 and 200 above thirty from 1 to 0.1,
/// with the three in the subspace.
fn steps_on_a_quadratic<B: Base<Host<f64>>>(base: B, newton_rate: NewtonRate) -> usize {
    let tail = (0..30).map(|i| 10_f64.powf(-f64::from(i) / 29.0));
    let eigenvalues: Vec<f64> = [1000.0, 500.0, 200.0].into_iter().chain(tail).collect();
    let n = eigenvalues.len();
    let config = FosiConfig {
        largest: 3,
        newton_rate,
        scale_limit: 1.0,
        ..FosiConfig::quadratic()
    };
    let mut optimizer = Fosi::new(Host::<f64>::new(n), base, config).unwrap();
    let mut hessian = operator::from_fn(|v: &[f64], out: &mut [f64]| {
        for ((out, v), value) in out.iter_mut().zip(v).zip(&eigenvalues) {
            *out = value * v;
        }
    });
    optimizer.refresh(&mut hessian).unwrap();
    let mut x = vec![1.0; n];
    let mut first = None;
    for step in 0..10_000 {
        let gradient: Vec<f64> = x.iter().zip(&eigenvalues).map(|(x, l)| l * x).collect();
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        if norm <= 1e-8 * *first.get_or_insert(norm) {
            return step;
        }
        optimizer.step(1.0, &mut x, &gradient).unwrap();
    }
    panic!("no convergence")
}

/// Without noise an adaptive rate is Newton's for a few steps and then low until the means have decayed to the new,
/// smaller coefficient. In the long run, convergence along V is by √δ per step.
#[test]
fn on_a_quadratic_an_adaptive_rate_converges_by_the_root_of_its_decay() {
    let descent = |rate: NewtonRate| steps_on_a_quadratic(GradientDescent, rate);
    let rates = || [0.01.into(), NewtonRate::adaptive(0.01), 1.0.into()];
    let [slow, adaptive, newton] = rates().map(descent);
    let to_tolerance = |factor: f64| (1e-8_f64.ln() / factor.ln()).ceil() as usize;
    assert!(
        adaptive <= to_tolerance(0.9_f64.sqrt()),
        "{slow} {adaptive} {newton}"
    );
    assert_eq!(slow, to_tolerance(0.99));
    assert!(newton < adaptive, "{slow} {adaptive} {newton}");
    // With momentum β, convergence along V is by √β per step for every rate between (1−√β)² and (1+√β)².
    let momentum = |rate: NewtonRate| steps_on_a_quadratic(HeavyBall::new(0.9), rate);
    let [slow, adaptive, newton] = rates().map(momentum);
    let most = slow.max(newton);
    assert!(adaptive <= most + most / 10, "{slow} {adaptive} {newton}");
}
