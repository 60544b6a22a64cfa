//! Measures the curvature that FOSI would find, before a training loop is changed.

use burn::module::Module;
use burn::tensor::Tensor;
use fosi::base::GradientDescent;
use fosi::{Averaging, FosiConfig, Host, Schedule, Space};

use crate::error::OptimizerError;
use crate::gradient::{Loss, erased, value_and_gradient};
use crate::optimizer::FosiOptimizer;
use crate::products::require_losses;

/// The result of [`probe`]: the curvature of a module's loss on several batches, as refreshes would estimate it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Probe {
    /// n, the number of trainable parameters.
    pub parameters: usize,
    /// The result for each batch, in the order of the losses.
    pub batches: Vec<ProbedBatch>,
    /// Time of a gradient in the module's precision, in seconds.
    pub gradient_seconds: f64,
    /// Time of a Hessian-vector product in seconds: the time of all refreshes divided by the number of their products.
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
    /// The next eigenvalue after these, an estimate from below; `None` if there is none.
    pub next_eigenvalue: Option<f64>,
    /// The fraction of this batch's curvature along the previous batch's directions; see
    /// [`fosi::Refresh::captured_by_last`].
    pub captured_by_last: Option<f64>,
    /// ‖Vᵀg‖²/‖g‖² for the eigenvectors V and the gradient g of this batch; `None` where g is 0.
    pub gradient_share: Option<f64>,
}

impl Probe {
    /// The median of λ₁ over the batches. Gradient descent is stable up to the rate 2/λ₁, Heavy-Ball up to 2(1 + β)/λ₁.
    pub fn largest_eigenvalue(&self) -> Option<f64> {
        median(
            self.batches
                .iter()
                .filter_map(|batch| batch.eigenvalues.first().copied()),
        )
    }

    /// The median over the batches of λ₁ divided by the first eigenvalue left to the base: an upper bound on the gain
    /// in the condition number of the base's problem. Skips batches where either is not positive; `None` if none is
    /// left.
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

    /// The median fraction of a batch's curvature along the previous batch's directions. The difference from 1 is the
    /// noise between batches. `None` for one batch.
    pub fn captured(&self) -> Option<f64> {
        median(
            self.batches
                .iter()
                .filter_map(|batch| batch.captured_by_last),
        )
    }

    /// The median over the batches of ‖Vᵀg‖²/‖g‖², the fraction of the squared gradient in a batch's ten directions.
    pub fn gradient_share(&self) -> Option<f64> {
        median(self.batches.iter().filter_map(|batch| batch.gradient_share))
    }

    /// The cost of a Hessian-vector product in gradients.
    pub fn product_cost(&self) -> f64 {
        self.product_seconds / self.gradient_seconds
    }
}

/// Measures the curvature of a module's loss that FOSI with its [default settings](FosiConfig::default) would find.
/// Costs one refresh with all m Lanczos steps per loss. Does not train, and leaves the module unchanged.
///
/// `losses` are the loss on three or more batches of the size that refreshes will use, each in the form that
/// [`FosiOptimizer::step`] takes. Measure at the start and again after some training, since spectra change most in the
/// first steps.
///
/// Interpretation:
///
/// - [`gap`](Probe::gap) below about 3: the conditioning of the base's problem hardly improves, and FOSI cannot save
///   much.
/// - [`captured`](Probe::captured) below about one half: most of a refresh's curvature is noise of its batch. Give
///   refreshes more examples ([`refresh_mean`](FosiOptimizer::refresh_mean)); [averaging](Averaging) removes part of
///   the noise.
/// - The base's tuned learning rate far below 2/λ₁ (of [`largest_eigenvalue`](Probe::largest_eigenvalue); 2(1 + β)/λ₁
///   for Heavy-Ball): noise limits the rate, not the largest eigenvalues, which FOSI removes.
/// - [`gradient_share`](Probe::gradient_share) near 0: the Newton step has little effect.
/// - [`product_cost`](Probe::product_cost) times a refresh's products, divided by the interval T, is the extra cost per
///   step, in gradients. (A mean over several losses counts as that many gradients.)
///
/// It cannot predict whether FOSI trains faster. That depends on the whole trajectory, the base's optimal learning rate
/// and its schedule; to find out, train with both, with several seeds.
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
/// // There are only two eigenvalues, and none is left to the base.
/// assert_eq!(found.gap(), None);
/// # Ok::<(), fosi_burn::OptimizerError>(())
/// ```
///
/// # Errors
/// [`OptimizerError::Bridge`] where a loss does not permit products, [`OptimizerError::Fosi`] without a loss or where a
/// refresh fails.
pub fn probe<M: Module>(
    module: &M,
    losses: &[impl Fn(&M) -> Tensor<1>],
) -> Result<Probe, OptimizerError> {
    require_losses(losses)?;
    probe_on(module, &erased(losses))
}

fn probe_on<M: Module>(module: &M, losses: &[Loss<'_, M>]) -> Result<Probe, OptimizerError> {
    let config = FosiConfig {
        // Each refresh on its own; the previous one is kept for comparison.
        averaging: Averaging::Fixed(1.0),
        // All m steps, since the eleventh eigenvalue converges later than the first ten.
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

/// The median; for an even number of values, the mean of the two middle ones.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(lower + (upper - lower) / 2.0)
}
