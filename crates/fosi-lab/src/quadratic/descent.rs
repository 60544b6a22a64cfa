//! Runs of an optimizer on a quadratic, with the library's own optimizers and Lanczos.

use fosi::base::{Adam, AdamW, Base as Rule, GradientDescent, HeavyBall, Nesterov};
use fosi::{Fosi, FosiConfig, Host, NewtonRate, Schedule};
use fosi_rivals::AdaHessianConfig;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Convention, Quadratic};
use crate::optimizers::{Family, OptimizerName};
use crate::summary::Spread;

/// How an optimizer is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// η of the base, before FOSI's scaling.
    pub learning_rate: f64,
    /// β of Heavy-Ball and Nesterov, β₁ of Adam.
    pub momentum: f64,
    /// c: limit of FOSI's scaling.
    pub scale_limit: f64,
    /// Whether the Newton step of FOSI's Adam takes its momentum with Adam's bias correction.
    pub bias_correction: bool,
    /// k: FOSI's number of largest eigenvalues.
    pub largest: usize,
    /// Steps.
    pub steps: usize,
    /// Seed of Lanczos' start, and of AdaHessian's random signs.
    pub seed: u64,
    /// α of the momentum methods and μ in the scale, where text and code differ.
    pub convention: Convention,
}

impl Descent {
    /// The paper's settings on quadratics: momentum 0.9, c = ∞, k = 10, 200 steps, and no bias correction of the Newton
    /// step's momentum (the library's default has it).
    pub fn new(optimizer: OptimizerName, learning_rate: f64) -> Self {
        Self {
            optimizer,
            learning_rate,
            momentum: 0.9,
            scale_limit: f64::INFINITY,
            bias_correction: false,
            largest: 10,
            steps: 200,
            seed: 0,
            convention: Convention::Code,
        }
    }

    /// The paper's learning rate for a base on quadratics with eigenvalues in [μ, L]: 2/(L+μ) for gradient descent,
    /// 2/(√L+√μ)² for the momentum methods, half the best one, and 0.05 for Adam (B.2), which others have too.
    pub fn paper_rate(base: Family, (largest, smallest): (f64, f64)) -> f64 {
        match base {
            Family::GradientDescent => 2.0 / (largest + smallest),
            Family::HeavyBall | Family::Nesterov => {
                2.0 / (largest.sqrt() + smallest.sqrt()).powi(2)
            }
            _ => 0.05,
        }
    }

    /// f at the start and after each step; ∞ from where a gradient is no longer finite.
    ///
    /// # Errors
    /// [`fosi::Error`] for settings out of range, or where Lanczos fails.
    pub fn run(&self, f: &Quadratic) -> Result<Vec<f64>, fosi::Error> {
        let momentum = self.momentum;
        match self.optimizer.family {
            Family::GradientDescent => self.run_with(f, GradientDescent),
            Family::HeavyBall => self.run_with(f, HeavyBall::new(momentum)),
            Family::Nesterov => self.run_with(f, Nesterov::new(momentum)),
            Family::Adam => self.run_with(f, self.adam()),
            Family::AdamW => self.run_with(
                f,
                AdamW {
                    adam: self.adam(),
                    ..AdamW::default()
                },
            ),
            Family::AdaHessian => Ok(self.run_adahessian(f)),
            other => Err(fosi::Error::InvalidSetting {
                setting: "the optimizer on a quadratic",
                given: other.to_string(),
                allowed: "gd, hb, nesterov, adam, adamw or adahessian",
            }),
        }
    }

    /// f after the last step.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn last(&self, f: &Quadratic) -> Result<f64, fosi::Error> {
        Ok(self.run(f)?.last().copied().unwrap_or(f64::NAN))
    }

    /// The same function in several bases, of which one is enough for an optimizer that doesn't depend on them; the seed
    /// counts up from this one's.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(super) fn run_in(&self, bases: &[Quadratic]) -> Result<Outcome, fosi::Error> {
        let run = |(i, f): (usize, &Quadratic)| {
            let seed = self.seed + i as u64;
            Self { seed, ..*self }.run(f)
        };
        let bases = if sees_axes(self.optimizer) {
            bases
        } else {
            &bases[..1]
        };
        let curves = bases.par_iter().enumerate().map(run);
        let curves: Vec<Vec<f64>> = curves.collect::<Result<_, _>>()?;
        Ok(Outcome::of(self.optimizer, &curves))
    }

    fn adam(&self) -> Adam {
        Adam {
            beta1: self.momentum,
            subspace_bias_correction: self.bias_correction,
            ..Adam::default()
        }
    }

    /// `smallest`: λ_n of the function.
    fn config(&self, smallest: f64) -> FosiConfig {
        if !self.optimizer.fosi {
            return FosiConfig::base_only();
        }
        // Momentum without damping sums 1/(1−β) gradients: with α = 1−β the Newton step's mean is a whole one.
        let newton_rate = match (self.optimizer.family, self.convention) {
            (Family::HeavyBall | Family::Nesterov, Convention::Code) => 1.0 - self.momentum,
            _ => 1.0,
        };
        let strong_convexity = match self.convention {
            Convention::Code => 0.0,
            Convention::Text => smallest,
        };
        FosiConfig {
            // As in the paper's figures.
            safeguards: false,
            largest: self.largest,
            newton_rate: NewtonRate::Constant(newton_rate),
            scale_limit: self.scale_limit,
            strong_convexity: Some(strong_convexity),
            // The Hessian is the same everywhere: one estimate is enough.
            schedule: Schedule::Every {
                warmup: 0,
                interval: u64::MAX,
            },
            seed: self.seed,
            ..FosiConfig::quadratic()
        }
    }

    /// With exact products Hz, and the authors' defaults but for β₁.
    fn run_adahessian(&self, f: &Quadratic) -> Vec<f64> {
        let config = AdaHessianConfig {
            beta1: self.momentum,
            ..AdaHessianConfig::default()
        };
        let n = f.dim();
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut theta = f.start().to_vec();
        let (mut gradient, mut product) = (vec![0.0; n], vec![0.0; n]);
        let mut moments = vec![(0.0, 0.0); n];
        let mut values = vec![f.gradient(&theta, &mut gradient)];
        for t in 1..=self.steps as u64 {
            let signs: Vec<f64> = (0..n)
                .map(|_| if random.random() { 1.0 } else { -1.0 })
                .collect();
            f.gradient(&signs, &mut product);
            let update = config.update(t);
            for i in 0..n {
                let diagonal = (signs[i] * product[i]).abs();
                let (new, step) = update.coordinate(moments[i], gradient[i], diagonal);
                moments[i] = new;
                theta[i] -= self.learning_rate * step;
            }
            values.push(f.gradient(&theta, &mut gradient));
        }
        for value in values.iter_mut().filter(|value| !value.is_finite()) {
            *value = f64::INFINITY;
        }
        values
    }

    fn run_with<B: Rule<Host<f64>>>(
        &self,
        f: &Quadratic,
        base: B,
    ) -> Result<Vec<f64>, fosi::Error> {
        let space = Host::new(f.dim());
        let mut optimizer = Fosi::new(space, base, self.config(f.extremes().1))?;
        if optimizer.due() {
            optimizer.refresh(&mut &*f)?;
        }
        let mut theta = f.start().to_vec();
        let mut gradient = vec![0.0; f.dim()];
        let mut values = vec![f.gradient(&theta, &mut gradient)];
        for _ in 0..self.steps {
            match optimizer.step(self.learning_rate, &mut theta, &gradient) {
                Ok(_) => values.push(f.gradient(&theta, &mut gradient)),
                Err(
                    fosi::Error::NonFiniteGradient { .. }
                    | fosi::Error::StepOverflow { .. }
                    | fosi::Error::Spoiled { .. },
                ) => break,
                Err(error) => return Err(error),
            }
        }
        values.resize(self.steps + 1, f64::INFINITY);
        Ok(values)
    }
}

/// The optimizers of the paper's experiments on quadratics.
pub const OPTIMIZERS: [OptimizerName; 6] = [
    OptimizerName::plain(Family::GradientDescent),
    OptimizerName::fosi(Family::GradientDescent),
    OptimizerName::plain(Family::HeavyBall),
    OptimizerName::fosi(Family::HeavyBall),
    OptimizerName::plain(Family::Adam),
    OptimizerName::fosi(Family::Adam),
];

/// Whether an optimizer's course depends on the eigenvectors, not on eigenvalues and start alone.
pub(super) fn sees_axes(optimizer: OptimizerName) -> bool {
    !matches!(
        optimizer.family,
        Family::GradientDescent | Family::HeavyBall | Family::Nesterov
    )
}

/// What an optimizer did on one function.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Outcome {
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// f after the last step, for each random basis that it was run in: one where it sees eigenvalues alone.
    pub last: Vec<f64>,
    /// f at each step, the median over bases.
    pub curve: Vec<f64>,
}

impl Outcome {
    /// The median of f after the last step.
    pub fn median(&self) -> f64 {
        median(&self.last)
    }

    fn of(optimizer: OptimizerName, curves: &[Vec<f64>]) -> Self {
        let steps = curves.first().map_or(0, Vec::len);
        let at = |step: usize| curves.iter().map(|curve| curve[step]).collect::<Vec<_>>();
        Self {
            optimizer,
            last: at(steps.saturating_sub(1)),
            curve: (0..steps).map(|step| median(&at(step))).collect(),
        }
    }
}

/// Runs each of [`OPTIMIZERS`] with the paper's settings on a function given in several bases.
///
/// # Errors
/// As [`Descent::run`].
pub(super) fn compare(
    bases: &[Quadratic],
    extremes: (f64, f64),
    convention: Convention,
) -> Result<Vec<Outcome>, fosi::Error> {
    let outcome = |optimizer: OptimizerName| {
        let rate = Descent::paper_rate(optimizer.family, extremes);
        let descent = Descent {
            convention,
            ..Descent::new(optimizer, rate)
        };
        descent.run_in(bases)
    };
    OPTIMIZERS.into_par_iter().map(outcome).collect()
}

/// The middle value, or the mean of the two middle ones; not a number for none.
pub(super) fn median(values: &[f64]) -> f64 {
    Spread::of(values.iter().copied()).median
}
