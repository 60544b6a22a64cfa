//! The paper's lemmas on random spectra, against dense linear algebra.

use faer::{Mat, Side};
use fosi::base::{Adam, Base, BaseStep, GradientDescent, HeavyBall, UpdateRule};
use fosi::operator::DenseMatrix;
use fosi::{Conditioning, Error, Fosi, FosiConfig, Host, NewtonRate, Schedule};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Optimizer<B> = Fosi<Host<f64>, B>;

/// A quadratic ½(θ−θ*)ᵀH(θ−θ*) whose eigenpairs are known by construction.
struct Quadratic {
    /// λ, descending.
    eigenvalues: Vec<f64>,
    /// Eigenvectors as columns, in the eigenvalues' order.
    q: Mat<f64>,
    h: Mat<f64>,
}

impl Quadratic {
    fn new(eigenvalues: &[f64], seed: u64) -> Self {
        let n = eigenvalues.len();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let noise = Mat::from_fn(n, n, |_, _| random.random_range(-1.0..1.0));
        let q = noise.qr().compute_Q();
        let scaled = Mat::from_fn(n, n, |i, j| q[(i, j)] * eigenvalues[j]);
        let product = &scaled * q.transpose();
        let h = Mat::from_fn(n, n, |i, j| 0.5 * (product[(i, j)] + product[(j, i)]));
        let eigenvalues = eigenvalues.to_vec();
        Self { eigenvalues, q, h }
    }

    fn dim(&self) -> usize {
        self.eigenvalues.len()
    }

    fn operator(&self) -> DenseMatrix {
        let n = self.dim();
        let entries = (0..n * n).map(|i| self.h[(i / n, i % n)]).collect();
        DenseMatrix::new(n, entries).unwrap()
    }

    fn gradient(&self, theta: &[f64]) -> Vec<f64> {
        product(&self.h, theta)
    }

    fn value(&self, theta: &[f64]) -> f64 {
        0.5 * dot(theta, &self.gradient(theta))
    }

    /// Columns of the k largest and the ℓ smallest eigenvalues.
    fn extreme(&self, k: usize, l: usize) -> Vec<usize> {
        (0..k).chain(self.dim() - l..self.dim()).collect()
    }

    /// V̂V̂ᵀ of the extreme eigenvectors.
    fn projector(&self, k: usize, l: usize) -> Mat<f64> {
        let columns = self.extreme(k, l);
        let entry = |i, j| {
            columns
                .iter()
                .map(|&c| self.q[(i, c)] * self.q[(j, c)])
                .sum::<f64>()
        };
        Mat::from_fn(self.dim(), self.dim(), entry)
    }
}

fn product(a: &Mat<f64>, x: &[f64]) -> Vec<f64> {
    (0..a.nrows())
        .map(|i| (0..x.len()).map(|j| a[(i, j)] * x[j]).sum())
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn subtract(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

fn random_vector(n: usize, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x5EED);
    (0..n).map(|_| random.random_range(-1.0..1.0)).collect()
}

/// One exact estimate at the start and no further ones; the base's rate is not scaled.
fn config(n: usize, k: usize, l: usize, alpha: f64) -> FosiConfig {
    FosiConfig {
        largest: k,
        smallest: l,
        lanczos_steps: Some(n.max(k + l)),
        newton_rate: NewtonRate::Constant(alpha),
        scale_limit: 1.0,
        // The lemmas only concern the step; these gradients are not those of a function.
        safeguards: false,
        schedule: Schedule::Every {
            warmup: 0,
            interval: u64::MAX,
        },
        ..crate::raw()
    }
}

fn refreshed<B: Base<Host<f64>>>(f: &Quadratic, base: B, config: FosiConfig) -> Optimizer<B> {
    let mut optimizer = Fosi::new(Host::new(f.dim()), base, config).unwrap();
    optimizer.refresh(&mut f.operator()).unwrap();
    optimizer
}

/// The columns of P⁻¹: the step of an optimizer without memory for each unit gradient.
fn preconditioner<B: Base<Host<f64>>>(
    optimizer: &mut Optimizer<B>,
    eta: f64,
    n: usize,
) -> Mat<f64> {
    let mut inverse = Mat::zeros(n, n);
    for j in 0..n {
        let mut gradient = vec![0.0; n];
        gradient[j] = 1.0;
        let mut theta = vec![0.0; n];
        optimizer.step(eta, &mut theta, &gradient).unwrap();
        (0..n).for_each(|i| inverse[(i, j)] = -theta[i]);
    }
    inverse
}

/// Eigenvalues of P⁻¹H, ascending: those of H^½P⁻¹H^½.
fn effective_eigenvalues(f: &Quadratic, inverse: &Mat<f64>) -> Vec<f64> {
    let n = f.dim();
    let root = |i, j| {
        (0..n)
            .map(|c| f.q[(i, c)] * f.eigenvalues[c].sqrt() * f.q[(j, c)])
            .sum::<f64>()
    };
    let root = Mat::from_fn(n, n, root);
    let effective = &root * inverse * &root;
    effective.self_adjoint_eigenvalues(Side::Lower).unwrap()
}

fn condition_number(eigenvalues: &[f64]) -> f64 {
    let (low, high) = (eigenvalues.first().unwrap(), eigenvalues.last().unwrap());
    high.max(*low) / high.min(*low)
}

/// A base with a preconditioner of its own: d = ηDg, D diagonal and positive.
struct Diagonal(Vec<f64>);

impl UpdateRule for Diagonal {
    fn name(&self) -> &'static str {
        "diagonal"
    }
}

impl Base<Host<f64>> for Diagonal {
    fn state_len(&self) -> usize {
        0
    }
    fn direction(
        &mut self,
        at: BaseStep<'_, Host<f64>>,
        _: &[f64],
        gradient: &mut [f64],
    ) -> Result<(), Error> {
        gradient
            .iter_mut()
            .zip(&self.0)
            .for_each(|(g, d)| *g *= at.learning_rate * d);
        Ok(())
    }
}

/// Separated positive eigenvalues in descending order, with k and ℓ that leave a nonempty complement.
fn spectrum() -> impl Strategy<Value = (Vec<f64>, usize, usize, u64)> {
    (1usize..4, 0usize..3, 2usize..7).prop_flat_map(|(k, l, left)| {
        let n = k + l + left;
        let gaps = proptest::collection::vec(0.1..3.0f64, n);
        (gaps, any::<u64>()).prop_map(move |(gaps, seed)| {
            let ascending = gaps.iter().scan(0.0, |sum, gap| {
                *sum += gap;
                Some(*sum)
            });
            let mut eigenvalues: Vec<f64> = ascending.collect();
            eigenvalues.reverse();
            (eigenvalues, k, l, seed)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Lemma 1: with a diagonal base the step is −P⁻¹g with P⁻¹ = V̂ diag(αu) V̂ᵀ + (I−V̂V̂ᵀ)ηD(I−V̂V̂ᵀ), which is
    /// symmetric and positive definite, and α is an eigenvalue of P⁻¹H with V̂ as its eigenvectors.
    #[test]
    fn lemma_1((eigenvalues, k, l, seed) in spectrum(), alpha in 0.01..2.0f64, eta in 0.001..0.5f64) {
        let n = eigenvalues.len();
        let f = Quadratic::new(&eigenvalues, seed);
        let diagonal: Vec<f64> = random_vector(n, seed).iter().map(|x| 0.1 + x.abs()).collect();
        let outside = Mat::<f64>::identity(n, n) - f.projector(k, l);
        let scaled = Mat::from_fn(n, n, |i, j| eta * diagonal[i] * outside[(i, j)]);
        let newton = |i, j| f.extreme(k, l).iter().map(|&c| alpha / eigenvalues[c] * f.q[(i, c)] * f.q[(j, c)]).sum::<f64>();
        let expected = &outside * &scaled + Mat::from_fn(n, n, newton);

        let mut optimizer = refreshed(&f, Diagonal(diagonal), config(n, k, l, alpha));
        let inverse = preconditioner(&mut optimizer, eta, n);
        let size = expected.norm_max();
        prop_assert!((&inverse - &expected).norm_max() < 1e-8 * size);
        prop_assert!((&inverse - inverse.transpose()).norm_max() < 1e-8 * size);
        let spectrum = inverse.self_adjoint_eigenvalues(Side::Lower).unwrap();
        prop_assert!(spectrum[0] > 0.0, "{spectrum:?}");

        for &column in &f.extreme(k, l) {
            let v: Vec<f64> = (0..n).map(|i| f.q[(i, column)]).collect();
            let image = product(&inverse, &product(&f.h, &v));
            let error: Vec<f64> = image.iter().zip(&v).map(|(a, v)| a - alpha * v).collect();
            prop_assert!(norm(&error) < 1e-7 * (alpha + size * eigenvalues[0]));
        }
        let effective = effective_eigenvalues(&f, &inverse);
        let tolerance = 1e-7 * (alpha + size * eigenvalues[0]);
        let near = effective.iter().filter(|e| (**e - alpha).abs() < tolerance).count();
        prop_assert!(near >= k + l, "{effective:?} {alpha}");
    }

    /// Lemma 3, geometry: the Newton step lies in the span of V̂, the base's in its complement, for a base that mixes
    /// directions (Adam), step after step; the reported lengths are those of the two parts.
    #[test]
    fn lemma_3_orthogonality((eigenvalues, k, l, seed) in spectrum(), alpha in 0.01..1.0f64) {
        let n = eigenvalues.len();
        let f = Quadratic::new(&eigenvalues, seed);
        let projector = f.projector(k, l);
        let mut optimizer = refreshed(&f, Adam::default(), config(n, k, l, alpha));
        let mut theta = random_vector(n, seed);
        // c̄ of the Newton step along each eigenvector, by Adam's first moment's own recursion.
        let mut average = vec![0.0; k + l];
        for step in 1..=5 {
            let gradient = f.gradient(&theta);
            let before = theta.clone();
            let report = optimizer.step(0.05, &mut theta, &gradient).unwrap();
            let d = subtract(&theta, &before);
            let d1 = product(&projector, &d);
            let d2 = subtract(&d, &d1);
            prop_assert!((norm(&d1) - report.newton_norm).abs() < 1e-7 * norm(&d));
            prop_assert!((norm(&d2) - report.base_norm).abs() < 1e-7 * norm(&d));
            let g1 = product(&projector, &gradient);
            let g2 = subtract(&gradient, &g1);
            for (a, b) in [(&g1, &g2), (&d1, &d2), (&d1, &g2), (&d2, &g1)] {
                prop_assert!(dot(a, b).abs() < 1e-9 * (1.0 + norm(a) * norm(b)));
            }
            for (average, &column) in average.iter_mut().zip(&f.extreme(k, l)) {
                let v: Vec<f64> = (0..n).map(|i| f.q[(i, column)]).collect();
                *average = 0.9 * *average + 0.1 * dot(&v, &gradient);
                let corrected = *average / (1.0 - 0.9f64.powi(step));
                let expected = -alpha / eigenvalues[column] * corrected;
                prop_assert!((dot(&v, &d) - expected).abs() < 1e-7 * (1.0 + expected.abs()));
            }
        }
    }

    /// Lemma 3, splitting: f = f₁ + f₂ with Hessians V̂Λ̂V̂ᵀ and H − V̂Λ̂V̂ᵀ, and FOSI's course on f is Newton's with
    /// rate α on f₁ plus the base's on f₂, each run by itself.
    #[test]
    fn lemma_3_splitting((eigenvalues, k, l, seed) in spectrum(), beta in 0.0..0.95f64) {
        let n = eigenvalues.len();
        let f = Quadratic::new(&eigenvalues, seed);
        let projector = f.projector(k, l);
        let h1 = &projector * &f.h;
        let h2 = &f.h - &h1;
        let alpha = 0.3 * (1.0 - beta);
        let eta = 0.5 / eigenvalues[0];
        let start = random_vector(n, seed);
        let mut optimizer = refreshed(&f, HeavyBall::new(beta), config(n, k, l, alpha));
        let mut base = Fosi::new(Host::<f64>::new(n), HeavyBall::new(beta), FosiConfig::base_only()).unwrap();
        let (mut whole, mut second) = (start.clone(), start.clone());
        // Newton with momentum in eigencoordinates: m ← βm + y, y ← y − αm.
        let mut first: Vec<f64> = f.extreme(k, l).iter().map(|&c| (0..n).map(|i| f.q[(i, c)] * start[i]).sum()).collect();
        let mut momentum = vec![0.0; k + l];
        for _ in 0..20 {
            let split = f.value(&whole) - 0.5 * dot(&whole, &product(&h1, &whole)) - 0.5 * dot(&whole, &product(&h2, &whole));
            prop_assert!(split.abs() < 1e-9 * (1.0 + f.value(&whole)));
            let gradient = f.gradient(&whole);
            optimizer.step(eta, &mut whole, &gradient).unwrap();
            let gradient = product(&h2, &second);
            base.step(eta, &mut second, &gradient).unwrap();
            for (y, m) in first.iter_mut().zip(&mut momentum) {
                *m = beta * *m + *y;
                *y -= alpha * *m;
            }
        }
        for (y, &column) in first.iter().zip(&f.extreme(k, l)) {
            let found: f64 = (0..n).map(|i| f.q[(i, column)] * whole[i]).sum();
            prop_assert!((found - y).abs() < 1e-7, "{found} {y}");
        }
        let inside = product(&projector, &subtract(&whole, &second));
        let outside = subtract(&subtract(&whole, &second), &inside);
        prop_assert!(norm(&outside) < 1e-7, "{outside:?}");
    }

    /// Lemma 4, with the identity as the base's preconditioner: in its three cases the condition number of P⁻¹H is at
    /// most that of H; slightly outside them it is larger.
    #[test]
    fn lemma_4((eigenvalues, k, l, seed) in spectrum(), eta in 0.001..0.5f64, share in 0.0..=1.0f64, factor in 1.001..10.0f64) {
        let n = eigenvalues.len();
        let f = Quadratic::new(&eigenvalues, seed);
        let condition = eigenvalues[0] / eigenvalues[n - 1];
        let (next, last) = (eta * eigenvalues[k], eta * eigenvalues[n - l - 1]);
        let lowest = next / condition;
        let highest = last * condition;
        let effective = |alpha: f64| {
            let mut optimizer = refreshed(&f, GradientDescent, config(n, k, l, alpha));
            let inverse = preconditioner(&mut optimizer, eta, n);
            condition_number(&effective_eigenvalues(&f, &inverse))
        };
        let between = |low: f64, high: f64| low * (high / low).powf(share);
        let known = Conditioning::new(eigenvalues[0], eigenvalues[k], eigenvalues[n - l - 1], eigenvalues[n - 1]).unwrap();
        let interval = known.newton_rates(eta);
        prop_assert!((interval.0 / lowest - 1.0).abs() < 1e-12 && (interval.1 / highest - 1.0).abs() < 1e-12);
        for alpha in [between(lowest, last), between(last, next), between(next, highest)] {
            let found = effective(alpha);
            prop_assert!(found <= condition * (1.0 + 1e-6), "α={alpha}: {found} above {condition}");
            let stated = known.effective_condition(eta, alpha);
            prop_assert!((found / stated - 1.0).abs() < 1e-5, "α={alpha}: {found} instead of {stated}");
        }
        for alpha in [lowest / factor, highest * factor] {
            let found = effective(alpha);
            let expected = condition * factor;
            prop_assert_eq!(known.lemma_4(eta, alpha), None);
            prop_assert!((found / expected - 1.0).abs() < 1e-5, "α={alpha}: {found} instead of {expected}");
        }
    }

    /// A refresh that sees the whole space has the eigenvalues on which Lemma 4 depends; a given strong convexity stands
    /// for λ_n, and the lemma says nothing of an indefinite Hessian.
    #[test]
    fn a_refresh_says_where_lemma_4_puts_alpha((eigenvalues, k, l, seed) in spectrum(), eta in 0.001..0.5f64, alpha in 0.001..2.0f64) {
        let n = eigenvalues.len();
        let refresh = |eigenvalues: &[f64], config: FosiConfig| {
            let f = Quadratic::new(eigenvalues, seed);
            let mut optimizer = Fosi::new(Host::<f64>::new(n), GradientDescent, config).unwrap();
            optimizer.refresh(&mut f.operator()).unwrap()
        };
        let close = |found: f64, expected: f64| (found / expected - 1.0).abs() < 1e-6;
        let exact = refresh(&eigenvalues, config(n, k, l, alpha));
        let known = Conditioning::new(eigenvalues[0], eigenvalues[k], eigenvalues[n - l - 1], eigenvalues[n - 1]).unwrap();
        let found = exact.conditioning.unwrap();
        for (found, expected) in [
            (found.largest, known.largest),
            (found.next, known.next),
            (found.last, known.last),
            (found.smallest, known.smallest),
        ] {
            prop_assert!(close(found, expected), "{found} instead of {expected}");
        }
        let (case, (low, high)) = exact.lemma_4(eta, alpha).unwrap();
        let interval = known.newton_rates(eta);
        prop_assert!(close(low, interval.0) && close(high, interval.1));
        prop_assert_eq!(case.is_some(), low <= alpha && alpha <= high);

        let strong_convexity = Some(0.5 * eigenvalues[n - 1]);
        let given = refresh(&eigenvalues, FosiConfig { strong_convexity, ..config(n, k, l, alpha) });
        prop_assert_eq!(given.conditioning.map(|c| c.smallest), strong_convexity);

        let mut indefinite = eigenvalues;
        indefinite[n - 1] = -indefinite[n - 1];
        let refresh = refresh(&indefinite, config(n, k, l, alpha));
        prop_assert_eq!(refresh.conditioning, None);
        prop_assert_eq!(refresh.lemma_4(eta, alpha), None);
    }

    /// §3.5: gradient descent with η = 1/L has f(θ_t) − f* ≤ ‖θ₀−θ*‖²/(2ηt) on convex functions; inside FOSI with α =
    /// 1 the same holds with λ_{k+1} in place of L = λ₁, where plain gradient descent may diverge. The smallest
    /// eigenvalues may be zero.
    #[test]
    fn convergence_bound((eigenvalues, k, _, seed) in spectrum(), zeros in 0usize..2, share in 0.05..=1.0f64, lift in 3.0..20.0f64) {
        let mut eigenvalues = eigenvalues;
        let n = eigenvalues.len();
        eigenvalues[..k].iter_mut().for_each(|lambda| *lambda *= lift);
        eigenvalues[n - zeros..].iter_mut().for_each(|lambda| *lambda = 0.0);
        let f = Quadratic::new(&eigenvalues, seed);
        let eta = share / eigenvalues[k];
        let distance = |theta: &[f64]| dot(theta, theta);
        let start = random_vector(n, seed);
        let mut theta = start.clone();
        let mut optimizer = refreshed(&f, GradientDescent, config(n, k, 0, 1.0));
        for t in 1..=100 {
            let gradient = f.gradient(&theta);
            optimizer.step(eta, &mut theta, &gradient).unwrap();
            let bound = distance(&start) / (2.0 * eta * t as f64);
            prop_assert!(f.value(&theta) <= bound * (1.0 + 1e-9), "step {t}: {} above {bound}", f.value(&theta));
        }
        if eta * eigenvalues[0] > 2.1 {
            let mut plain = start.clone();
            for _ in 0..100 {
                let gradient = f.gradient(&plain);
                (0..n).for_each(|i| plain[i] -= eta * gradient[i]);
            }
            prop_assert!(f.value(&plain) > distance(&start) / (2.0 * eta * 100.0));
        }
    }
}

/// ½θᵀHθ + c Σ cos θᵢ with H's eigenvectors turned: smooth, not convex, its curvature within c of H's.
struct Wavy {
    quadratic: Quadratic,
    c: f64,
}

impl Wavy {
    fn value(&self, theta: &[f64]) -> f64 {
        self.quadratic.value(theta) + self.c * theta.iter().map(|x| x.cos()).sum::<f64>()
    }

    fn gradient(&self, theta: &[f64]) -> Vec<f64> {
        let linear = self.quadratic.gradient(theta);
        linear
            .iter()
            .zip(theta)
            .map(|(g, x)| g - self.c * x.sin())
            .collect()
    }

    fn hessian(&self, theta: &[f64]) -> DenseMatrix {
        let n = theta.len();
        let entry = |(i, j): (usize, usize)| {
            let wave = if i == j { self.c * theta[i].cos() } else { 0.0 };
            self.quadratic.h[(i, j)] - wave
        };
        DenseMatrix::new(n, (0..n * n).map(|at| entry((at / n, at % n))).collect()).unwrap()
    }
}

/// The quantities in Lemma 2's bound, for a run of N steps averaged over seeds.
struct Averages {
    /// (1/N) Σ ‖∇f‖² for N = 1, 2, …
    running: Vec<f64>,
    /// The largest mean of f.
    highest_value: f64,
}

const NOISE: f64 = 1.0;
const SEEDS: u64 = 24;
const STEPS: usize = 4000;

/// FOSI with gradient descent and noisy gradients: both rates are size·t^−β, multiplied by `weight` for the base.
fn noisy_runs(f: &Wavy, beta: f64, size: f64, weight: f64) -> Averages {
    let n = f.quadratic.dim();
    let mut squares = vec![0.0; STEPS];
    let mut values = vec![0.0; STEPS];
    for seed in 0..SEEDS {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let falling = move |t: u64| size * (t as f64 + 1.0).powf(-beta);
        let config = FosiConfig {
            newton_rate: NewtonRate::scheduled(falling),
            schedule: Schedule::Every {
                warmup: 0,
                interval: 500,
            },
            seed,
            ..config(n, 2, 0, 1.0)
        };
        let mut optimizer = Fosi::new(Host::<f64>::new(n), GradientDescent, config).unwrap();
        let mut theta: Vec<f64> = random_vector(n, seed).iter().map(|x| 3.0 * x).collect();
        for step in 0..STEPS {
            if optimizer.due() {
                optimizer.refresh(&mut f.hessian(&theta)).unwrap();
            }
            let gradient = f.gradient(&theta);
            squares[step] += dot(&gradient, &gradient) / SEEDS as f64;
            values[step] += f.value(&theta) / SEEDS as f64;
            let noisy: Vec<f64> = gradient
                .iter()
                .map(|g| g + random.random_range(-NOISE..NOISE))
                .collect();
            let learning_rate = weight * falling(step as u64);
            optimizer.step(learning_rate, &mut theta, &noisy).unwrap();
        }
    }
    let sums = squares.iter().scan(0.0, |sum, square| {
        *sum += square;
        Some(*sum)
    });
    Averages {
        running: sums
            .enumerate()
            .map(|(i, sum)| sum / (i + 1) as f64)
            .collect(),
        highest_value: values.iter().fold(f64::NEG_INFINITY, |m, v| m.max(*v)),
    }
}

/// Lemma 2 (after Wang, Ma, Goldfarb, Liu 2017): with κI ≼ P⁻¹ ≼ κ̄I, unbiased gradients of variance σ² and rates
/// κ/(Lκ̄²)·t^−β, ½ < β < 1,
///
/// (1/N) Σ E‖∇f‖² ≤ 2Lκ̄²/κ²·(M − f_low)·N^{β−1} + σ²/(1−β)·N^−β,
///
/// where M bounds E f. The left-hand side therefore falls at least as fast as N^{β−1}.
#[test]
fn lemma_2() {
    let c = 0.3;
    let f = Wavy {
        quadratic: Quadratic::new(&[10.0, 8.0, 1.5, 1.0, 0.6, 0.5], 7),
        c,
    };
    let n = f.quadratic.dim();
    // Curvatures are within c of H's (Weyl), so u always stays within these bounds; the base's weight lies between
    // them.
    let (smallest_u, largest_u) = (1.0 / (10.0 + c), 1.0 / (8.0 - c));
    let weight = 0.12;
    let (kappa, kappa_bar) = (smallest_u.min(weight), largest_u.max(weight));
    let smoothness = 10.0 + c;
    let size = kappa / (smoothness * kappa_bar * kappa_bar);
    let variance = n as f64 * NOISE * NOISE / 3.0;
    let lowest = -c * n as f64;
    for beta in [0.55, 0.75] {
        let averages = noisy_runs(&f, beta, size, weight);
        let spread =
            2.0 * smoothness * (kappa_bar / kappa).powi(2) * (averages.highest_value - lowest);
        for (i, mean) in averages.running.iter().enumerate() {
            let steps = (i + 1) as f64;
            let bound =
                spread * steps.powf(beta - 1.0) + variance / (1.0 - beta) * steps.powf(-beta);
            assert!(*mean <= bound, "β={beta} N={steps}: {mean} above {bound}");
        }
        // The rate itself, over the last factor of 40 of the tested range.
        let [early, late] = [STEPS / 40, STEPS].map(|steps| averages.running[steps - 1]);
        let slope = (late / early).ln() / 40f64.ln();
        assert!(slope <= beta - 1.0, "β={beta}: falls as N^{slope:.3}");
    }
}
