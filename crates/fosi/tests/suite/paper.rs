//! [`FosiConfig::paper`]: exactly the paper's Algorithms 1 and 2. The results are bit for bit those of a plain loop
//! over the same operations, and equal those from before the library had safeguards.

use std::borrow::BorrowMut;

use fosi::base::{Adam, Base, GradientDescent, HeavyBall, Nesterov};
use fosi::operator::{self, SymmetricOperator};
use fosi::scaling::Extremes;
use fosi::spectrum::{Spectrum, SpectrumParams, estimate};
use fosi::split::Split;
use fosi::{Fosi, FosiConfig, Host, Space};

const N: usize = 40;
const EPOCH: u64 = 20;

fn curvature(i: usize) -> f64 {
    50.0 * 0.8_f64.powi(i as i32) + 0.05
}

/// Σ aᵢxᵢ²/2 + Σ xᵢ⁴/40 + (Σ xᵢ)⁴/4000.
fn value(x: &[f64]) -> f64 {
    let sum: f64 = x.iter().sum();
    let term = |(i, x): (usize, &f64)| 0.5 * curvature(i) * x * x + x.powi(4) / 40.0;
    x.iter().enumerate().map(term).sum::<f64>() + sum.powi(4) / 4000.0
}

fn gradient(x: &[f64]) -> Vec<f64> {
    let sum: f64 = x.iter().sum();
    let entry = |(i, x): (usize, &f64)| curvature(i) * x + x.powi(3) / 10.0 + sum.powi(3) / 1000.0;
    x.iter().enumerate().map(entry).collect()
}

fn hessian(x: &[f64]) -> impl SymmetricOperator<Host<f64>> {
    let (x, sum) = (x.to_vec(), x.iter().sum::<f64>());
    operator::from_fn::<Host<f64>, _>(move |v: &[f64], out: &mut [f64]| {
        let all = v.iter().sum::<f64>() * 3.0 * sum * sum / 1000.0;
        for i in 0..N {
            out[i] = (curvature(i) + 0.3 * x[i] * x[i]) * v[i] + all;
        }
    })
}

fn start() -> Vec<f64> {
    (0..N).map(|i| (i as f64 * 0.7).sin() + 0.1).collect()
}

/// The record of a run of 1700 steps.
struct Path {
    x: Vec<f64>,
    /// f after 101, 401, 1001 and 1700 steps.
    values: Vec<f64>,
    /// λ̂₁, λ̂₁₀ and s at each refresh.
    spectra: Vec<(f64, f64, f64)>,
}

fn run<B: Base<Host<f64>>>(base: B, rate: f64) -> Path {
    let config = FosiConfig::paper(EPOCH);
    let mut optimizer = Fosi::new(Host::<f64>::new(N), base, config).unwrap();
    let mut path = Path {
        x: start(),
        values: Vec::new(),
        spectra: Vec::new(),
    };
    for t in 0..1700 {
        if optimizer.due() {
            let refresh = optimizer.refresh(&mut hessian(&path.x)).unwrap();
            let (first, last) = (refresh.eigenvalues[0], refresh.eigenvalues[9]);
            path.spectra.push((first, last, refresh.scale));
        }
        let g = gradient(&path.x);
        optimizer.step(rate, &mut path.x, &g).unwrap();
        if [100, 400, 1000, 1699].contains(&t) {
            path.values.push(value(&path.x));
        }
    }
    path
}

#[track_caller]
fn agree(found: f64, recorded: f64) {
    assert!(
        (found / recorded - 1.0).abs() < 1e-8,
        "{found} where {recorded} was recorded"
    );
}

#[test]
fn numbers_are_those_of_before_the_safeguards() {
    /// f at four steps, (λ̂₁, λ̂₁₀, s) at three refreshes, and four entries of θ at the end.
    struct Recorded([f64; 4], [(f64, f64, f64); 3], [f64; 4]);
    let check = |path: Path, recorded: Recorded| {
        for (found, recorded) in path.values.iter().zip(recorded.0) {
            agree(*found, recorded);
        }
        assert_eq!(path.spectra.len(), 3);
        for (found, recorded) in path.spectra.iter().zip(recorded.1) {
            agree(found.0, recorded.0);
            agree(found.1, recorded.1);
            assert_eq!(found.2, recorded.2);
        }
        for (i, recorded) in [0, 9, 20, 39].into_iter().zip(recorded.2) {
            // Entries that have nearly vanished are only known to the rounding of the largest.
            let error = (path.x[i] - recorded).abs();
            assert!(
                error < 1e-8 * recorded.abs() + 1e-15,
                "{} {recorded}",
                path.x[i]
            );
        }
    };
    check(
        run(GradientDescent, 0.01),
        Recorded(
            [
                0.2722596001407272,
                0.02316013334522373,
                0.0013714321109183749,
                8.537912927783945e-5,
            ],
            [
                (50.08456448273199, 6.800533683706162, 3.0),
                (50.05015824291203, 6.761044771560045, 3.0),
                (50.050009354042075, 6.760895754355546, 3.0),
            ],
            [
                1.7158587327715478e-8,
                1.3420067831629904e-7,
                -2.54049615125082e-7,
                0.029628519431207586,
            ],
        ),
    );
    check(
        run(HeavyBall::new(0.9), 0.002),
        Recorded(
            [
                0.08644799939454612,
                0.0027590667282249956,
                2.0121316149820078e-5,
                9.651890619576215e-8,
            ],
            [
                (50.09163518451425, 6.809381092401123, 3.0),
                (50.05000731035398, 6.760893710573007, 3.0),
                (50.05000003197445, 6.760886431974216, 3.0),
            ],
            [
                -1.998932414860093e-13,
                -1.6862463506354534e-12,
                -3.1917810918847844e-11,
                0.0012203761764705294,
            ],
        ),
    );
    check(
        run(Nesterov::new(0.9), 0.002),
        Recorded(
            [
                0.08687586211416094,
                0.0028184447527454886,
                2.0813735706715627e-5,
                1.014782208193859e-7,
            ],
            [
                (50.08520197445821, 6.801188342268759, 3.0),
                (50.05000739956048, 6.760893799775748, 3.0),
                (50.050000033229374, 6.760886433229176, 3.0),
            ],
            [
                -1.9761495145569592e-13,
                -1.7066340453163478e-12,
                -3.400729081292869e-11,
                0.0012486757735378057,
            ],
        ),
    );
    check(
        run(Adam::default(), 0.002),
        Recorded(
            [
                13.858038073058733,
                0.935843837647688,
                0.012610510317586855,
                0.00023049744705819228,
            ],
            [
                (50.161277147004384, 6.942764316591437, 1.0),
                (50.055155860148616, 6.766139952859737, 1.0),
                (50.05010842859869, 6.760994871308554, 1.0),
            ],
            [
                2.558771086892178e-6,
                1.8078004146907114e-5,
                0.001946990668309631,
                0.03413892173436579,
            ],
        ),
    );
}

// ---- A plain loop
// -------------------------------------------------------------------------------------------------------

/// The state of a base, implemented by hand in the base's own arithmetic.
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    GradientDescent,
    HeavyBall,
    Adam,
}

struct Loop {
    rule: Rule,
    rate: f64,
    space: Host<f64>,
    x: Vec<f64>,
    m: Vec<f64>,
    v: Vec<f64>,
    spectrum: Option<Spectrum<Host<f64>>>,
    c_bar: Vec<f64>,
    scale: f64,
}

impl Loop {
    /// Algorithm 1, and the split of the momentum over the new subspace.
    fn refresh(&mut self, count: u64, ratio: impl Fn(&Extremes) -> f64) {
        let params = SpectrumParams {
            probe: false,
            // The seed of the refresh with this number.
            seed: count.wrapping_mul(0xD1B5_4A32_D192_ED03),
            ..SpectrumParams::default()
        };
        let new = estimate(&self.space, &mut hessian(&self.x), &params).unwrap();
        let k = new.eigenvalues.len();
        if let Some(old) = &self.spectrum {
            let back: Vec<f64> = self.c_bar.iter().map(|c| -c).collect();
            self.space.subtract(&old.basis, &back, &mut self.m);
        }
        let mut projection = vec![0.0; k];
        self.c_bar = vec![0.0; k];
        if self.rule != Rule::GradientDescent {
            self.space.project(&new.basis, &self.m, &mut projection);
            self.c_bar = solved(&new.gram_inverse, &projection);
            self.space.subtract(&new.basis, &self.c_bar, &mut self.m);
        }
        self.scale = ratio(&new.extremes(None)).clamp(1.0, 3.0);
        self.spectrum = Some(new);
    }

    /// Algorithm 2.
    fn step(&mut self, t: i32) {
        let g = gradient(&self.x);
        let k = self.c_bar.len();
        let mut projection = vec![0.0; k];
        let mut g2 = g.clone();
        let mut c = Vec::new();
        if let Some(spectrum) = &self.spectrum {
            self.space.project(&spectrum.basis, &g, &mut projection);
            c = solved(&spectrum.gram_inverse, &projection);
            self.space.subtract(&spectrum.basis, &c, &mut g2);
        }
        // The same linear momentum on both parts (§3.4).
        let (decay, gain) = match self.rule {
            Rule::GradientDescent => (0.0, 1.0),
            Rule::HeavyBall => (0.9, 1.0),
            Rule::Adam => (0.9, 1.0 - 0.9),
        };
        for (c_bar, c) in self.c_bar.iter_mut().zip(&c) {
            *c_bar = decay * *c_bar + gain * c;
        }
        let correction = match self.rule {
            Rule::Adam => 1.0 / (1.0 - 0.9_f64.powf(f64::from(t))),
            _ => 1.0,
        };
        let d: Vec<f64> = (0..N).map(|i| self.direction(i, g2[i], t)).collect();
        let mut along = vec![0.0; N];
        if let Some(spectrum) = &self.spectrum {
            // αu⊙c̄ and, for a base that leaves the complement, the component of d_b in the subspace.
            let pairs = self.c_bar.iter().zip(&spectrum.eigenvalues);
            let newton: Vec<f64> = pairs
                .map(|(c, x)| 0.01 * (correction * c) / x.abs())
                .collect();
            let mut coefficients = newton.clone();
            if self.rule == Rule::Adam {
                self.space.project(&spectrum.basis, &d, &mut projection);
                let split = Split::<()> {
                    gram_inverse: &spectrum.gram_inverse,
                    subspace_step: &newton,
                    scale: self.scale,
                    ..Split::NONE
                };
                split.subspace_update(&projection, &mut coefficients);
            }
            self.space
                .subtract(&spectrum.basis, &coefficients, along.borrow_mut());
        }
        for i in 0..N {
            self.x[i] -= d[i] * self.scale - along[i];
        }
    }

    fn direction(&mut self, i: usize, g: f64, t: i32) -> f64 {
        let (m, v) = (&mut self.m[i], &mut self.v[i]);
        match self.rule {
            Rule::GradientDescent => g * self.rate,
            Rule::HeavyBall => {
                *m = *m * 0.9 + g;
                *m * self.rate
            }
            Rule::Adam => {
                *m = *m * 0.9 + g * (1.0 - 0.9);
                *v = *v * 0.999 + g * g * (1.0 - 0.999);
                let first = self.rate / (1.0 - 0.9_f64.powf(f64::from(t)));
                let second = 1.0 / (1.0 - 0.999_f64.powf(f64::from(t)));
                *m * first / ((*v * second).sqrt() + 1e-8)
            }
        }
    }
}

/// (VᵀV)⁻¹p.
fn solved(gram_inverse: &[f64], p: &[f64]) -> Vec<f64> {
    let row = |row: &[f64]| row.iter().zip(p).map(|(a, b)| a * b).sum();
    gram_inverse.chunks(p.len()).map(row).collect()
}

#[test]
fn a_plain_loop_gives_the_same_bits() {
    fn check<B: Base<Host<f64>>>(rule: Rule, base: B, by_hand: B, rate: f64) {
        let mut optimizer = Fosi::new(Host::<f64>::new(N), base, FosiConfig::paper(EPOCH)).unwrap();
        let mut plain = Loop {
            rule,
            rate,
            space: Host::new(N),
            x: start(),
            m: vec![0.0; N],
            v: vec![0.0; N],
            spectrum: None,
            c_bar: Vec::new(),
            scale: 1.0,
        };
        let mut x = start();
        let mut refreshes = 0;
        for t in 0..1700_u64 {
            assert_eq!(
                optimizer.due(),
                t >= EPOCH && (t - EPOCH).is_multiple_of(800)
            );
            if optimizer.due() {
                optimizer.refresh(&mut hessian(&x)).unwrap();
                plain.refresh(refreshes, |extremes| by_hand.rate_ratio(extremes));
                refreshes += 1;
            }
            let g = gradient(&x);
            optimizer.step(rate, &mut x, &g).unwrap();
            plain.step(t as i32 + 1);
            assert!(x == plain.x, "{} at step {t}", optimizer.base().name());
        }
        assert_eq!(
            (refreshes, optimizer.interventions()),
            (3, fosi::Interventions::default())
        );
    }
    check(
        Rule::GradientDescent,
        GradientDescent,
        GradientDescent,
        0.01,
    );
    check(
        Rule::HeavyBall,
        HeavyBall::new(0.9),
        HeavyBall::new(0.9),
        0.002,
    );
    check(Rule::Adam, Adam::default(), Adam::default(), 0.002);
}
