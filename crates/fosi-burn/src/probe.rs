//! What FOSI would find of a module's loss, measured before a training loop is changed.

use burn::module::Module;
use burn::tensor::Tensor;
use fosi::base::GradientDescent;
use fosi::{Averaging, FosiConfig, Host, Schedule, Space};

use crate::error::OptimizerError;
use crate::gradient::{Loss, erased, value_and_gradient};
use crate::optimizer::FosiOptimizer;
use crate::products::require_losses;

/// The curvature of a module's loss on several batches, as refreshes would see it: what [`probe`] found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Probe {
    /// n, the number of trainable parameters.
    pub parameters: usize,
    /// What was found on each batch, in the order of the losses.
    pub batches: Vec<ProbedBatch>,
    /// Time of a gradient in the module's precision, in seconds.
    pub gradient_seconds: f64,
    /// Time of a Hessian-vector product, in seconds: the refreshes' time over their products.
    pub product_seconds: f64,
}

/// The curvature of the loss on one batch.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProbedBatch {
    /// The loss.
    pub loss: f64,
    /// λ̂: the ten largest eigenvalues in descending order, or all n.
    pub eigenvalues: Vec<f64>,
    /// Bounds on ‖Hv̂ − λ̂v̂‖.
    pub residuals: Vec<f64>,
    /// The next eigenvalue after these, an estimate from below; `None` where there is none.
    pub next_eigenvalue: Option<f64>,
    /// The share of this batch's curvature that the directions of the batch before hold: see
    /// [`fosi::Refresh::captured_by_last`].
    pub captured_by_last: Option<f64>,
    /// ‖Vᵀg‖²/‖g‖² for the eigenvectors V and the gradient g of this batch; `None` where g is 0.
    pub gradient_share: Option<f64>,
}

impl Probe {
    /// λ₁, the median over the batches: gradient descent on such batches is stable up to the rate 2/λ₁, Heavy-Ball up to
    /// 2(1 + β)/λ₁.
    pub fn largest_eigenvalue(&self) -> Option<f64> {
        median(
            self.batches
                .iter()
                .filter_map(|batch| batch.eigenvalues.first().copied()),
        )
    }

    /// λ₁ over the first eigenvalue that FOSI leaves to the base, the median over the batches: at most so much better
    /// conditioned is the base's problem. `None` where either isn't positive.
    pub fn gap(&self) -> Option<f64> {
        median(self.batches.iter().filter_map(|batch| {
            let largest = batch
                .eigenvalues
                .first()
                .filter(|largest| **largest > 0.0)?;
            let next = batch.next_eigenvalue.filter(|next| *next > 0.0)?;
            Some(largest / next)
        }))
    }

    /// The share of a batch's curvature that another batch's directions hold, the median over the batches. What 1 lacks is
    /// the batches' noise. `None` for one batch.
    pub fn captured(&self) -> Option<f64> {
        median(
            self.batches
                .iter()
                .filter_map(|batch| batch.captured_by_last),
        )
    }

    /// The share of a batch's gradient, squared, in its ten directions, the median over the batches.
    pub fn gradient_share(&self) -> Option<f64> {
        median(self.batches.iter().filter_map(|batch| batch.gradient_share))
    }

    /// What a Hessian-vector product costs in gradients.
    pub fn product_cost(&self) -> f64 {
        self.product_seconds / self.gradient_seconds
    }
}

/// Measures what FOSI with its [default settings](FosiConfig::default) would find of a module's loss, at the cost of one
/// refresh, of all its m Lanczos steps, for each loss. Nothing is trained, and the module stays as it is.
///
/// `losses`: the loss on several batches of the size that refreshes would see, three or more, each as
/// [`FosiOptimizer::step`] takes it. Measure after some training as well as at the start: spectra change most in the first
/// steps.
///
/// How to read it:
///
/// - [`gap`](Probe::gap) below about 3: the base's problem hardly becomes better conditioned, and FOSI can't save much.
/// - [`captured`](Probe::captured) below about one half: most of what a refresh sees is its batch's noise. Give refreshes
///   more examples ([`refresh_mean`](FosiOptimizer::refresh_mean)); [averaging](Averaging) takes some of it out.
/// - The base's tuned learning rate far below 2/λ₁ (of [`largest_eigenvalue`](Probe::largest_eigenvalue); 2(1 + β)/λ₁ for
///   Heavy-Ball): noise limits it and not the largest eigenvalues, which are what FOSI takes away.
/// - [`gradient_share`](Probe::gradient_share) near 0: the Newton step has little to do here.
/// - [`product_cost`](Probe::product_cost) times a refresh's products, over the interval T, is what a step costs more. (A mean
///   over several losses counts as so many gradients.)
///
/// What it can't say: whether FOSI trains faster. That depends on the whole path, on the base's best learning rate and on
/// its schedule; train both, with several seeds.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use fosi_burn::{like_module, probe};
///
/// let device = Device::flex().autodiff();
/// let model = LinearConfig::new(2, 1).with_bias(false).init(&device);
/// let batches = [[[2.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, -1.0]]];
/// let batches = batches.map(|rows| Tensor::<2>::from_data(rows, &device));
/// // f(w) = ½(2w₁)² + ½w₂² on both batches.
/// let losses: Vec<_> = batches.iter().map(|x| {
///     |model: &Linear| model.forward(like_module(x.clone(), model)).square().sum() * 0.5
/// }).collect();
///
/// let found = probe(&model, &losses)?;
/// assert!((found.largest_eigenvalue().unwrap() - 4.0).abs() < 1e-5);
/// assert!((found.captured().unwrap() - 1.0).abs() < 1e-5);
/// // There are two eigenvalues, and both are FOSI's.
/// assert_eq!(found.gap(), None);
/// # Ok::<(), fosi_burn::OptimizerError>(())
/// ```
///
/// # Errors
/// [`OptimizerError::Bridge`] where a loss isn't fit for products, [`OptimizerError::Fosi`] without a loss and where a
/// refresh is refused.
pub fn probe<M: Module>(
    module: &M,
    losses: &[impl Fn(&M) -> Tensor<1>],
) -> Result<Probe, OptimizerError> {
    require_losses(losses)?;
    probe_on(module, &erased(losses))
}

fn probe_on<M: Module>(module: &M, losses: &[Loss<'_, M>]) -> Result<Probe, OptimizerError> {
    let config = FosiConfig {
        // Each refresh alone, with the one before kept for comparison.
        averaging: Averaging::Fixed(1.0),
        // All steps: the eigenvalue after the ten is less converged than they are.
        lanczos_tolerance: None,
        schedule: Schedule::Never,
        ..FosiConfig::default()
    };
    let mut optimizer = FosiOptimizer::new(module, GradientDescent, config)?;
    let check = optimizer.check(module, losses[0])?;
    let (mut products, mut seconds) = (0, 0.0);
    let mut batches = Vec::with_capacity(losses.len());
    for loss in losses {
        let attempt = optimizer.refresh(module, loss)?;
        products += attempt.products;
        seconds += attempt.seconds;
        let refresh = attempt.result?;
        let (loss, gradient) = value_and_gradient(optimizer.layout(), module, loss)?;
        batches.push(ProbedBatch {
            loss,
            eigenvalues: refresh.eigenvalues,
            residuals: refresh.residuals,
            next_eigenvalue: refresh.next_eigenvalue,
            captured_by_last: refresh.captured_by_last,
            gradient_share: gradient_share(&optimizer, &gradient),
        });
    }
    Ok(Probe {
        parameters: check.parameters,
        batches,
        gradient_seconds: check.gradient_seconds,
        product_seconds: seconds / products as f64,
    })
}

/// ‖Vᵀg‖²/‖g‖² for the basis V of the spectrum in use.
fn gradient_share(optimizer: &FosiOptimizer<GradientDescent>, gradient: &[f32]) -> Option<f64> {
    let space: &Host<f32> = optimizer.fosi().space();
    let spectrum = optimizer.fosi().spectrum()?;
    let norm = space.norm(gradient);
    let mut along = vec![0.0; spectrum.eigenvalues.len()];
    space.project(&spectrum.basis, gradient, &mut along);
    (norm > 0.0).then(|| along.iter().map(|c| (c / norm).powi(2)).sum())
}

/// Of an even number of values the mean of the two in the middle.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(lower + (upper - lower) / 2.0)
}
