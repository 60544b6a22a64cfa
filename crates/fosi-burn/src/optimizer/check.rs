//! Checks whether a loss permits Hessian-vector products, and what a refresh costs.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::Tensor;
use fosi::base::Base;
use fosi::schedule::{Costs, interval};
use fosi::{Averaging, Schedule};

use super::FosiOptimizer;
use crate::error::{BridgeError, OptimizerError};
use crate::gradient::Loss;
use crate::module_space::{ModuleSpace, dtype_of};
use crate::precision::Precision;
use crate::replica::Replica;
use crate::report::Check;

impl<S: ModuleSpace, B: Base<S>> FosiOptimizer<B, S> {
    /// Checks whether `loss` permits refreshes, and measures their cost. The first [`step`](Self::step) makes the same
    /// check; this method makes it before training and returns the numbers. Module and optimizer are unchanged, except
    /// for the precision of products if the loss cannot be evaluated in f64.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::{Device, Tensor};
    /// # use fosi::{FosiConfig, base::Adam};
    /// # use fosi_burn::{FosiOptimizer, like_module};
    /// # let device = Device::flex().autodiff();
    /// # let model = LinearConfig::new(3, 1).init(&device);
    /// # let batch = Tensor::<2>::ones([4, 3], &device);
    /// let mut optimizer = FosiOptimizer::new(&model, Adam::default(), FosiConfig::default())?;
    /// let loss = |model: &Linear| model.forward(like_module(batch.clone(), model)).square().mean();
    /// let check = optimizer.check(&model, &loss)?;
    /// assert_eq!(check.parameters, 4);
    /// println!("a refresh takes {:.2} s every {:?} steps", check.refresh_seconds, check.interval);
    /// # Ok::<(), fosi_burn::OptimizerError>(())
    /// ```
    ///
    /// # Errors
    /// [`OptimizerError::Bridge`]: [`BridgeError::LossNotScalar`], [`BridgeError::LossNotTracked`],
    /// [`BridgeError::LossIgnoresModule`], [`BridgeError::NotDeterministic`], [`BridgeError::LayoutMismatch`], and, if
    /// the precision was [set](Self::with_precision), [`BridgeError::LossPrecision`] and [`BridgeError::LossRounded`].
    pub fn check<M: Module>(
        &mut self,
        module: &M,
        loss: impl Fn(&M) -> Tensor<1>,
    ) -> Result<Check, OptimizerError> {
        self.check_on(module, &loss)
    }

    fn check_on<M: Module>(
        &mut self,
        module: &M,
        loss: Loss<'_, M>,
    ) -> Result<Check, OptimizerError> {
        self.layout.check(module)?;
        self.products.check_again();
        self.products.check_losses(module, &[loss])?;
        let replica = self.products.replica(module)?;
        let product_gradient = seconds_of_gradient(&replica, &loss)?;
        // A replica in the module's own precision, or the closest one available.
        let single = self.products.replica_in(Precision::F32, module)?;
        let gradient = match seconds_of_gradient(&single, &loss) {
            Ok(seconds) => seconds,
            Err(_) => product_gradient,
        };
        let config = self.fosi.config();
        let products = config.products(self.layout.len());
        let gradients = match self.products.precision() {
            Precision::F64 => products + 1,
            Precision::F32 => 2 * products + 1,
        };
        let refresh = gradients as f64 * product_gradient;
        let costs = Costs {
            base_step: gradient,
            fosi_step: gradient,
            refresh,
        };
        let interval = match config.schedule {
            Schedule::Never => None,
            Schedule::Overhead { overhead, .. } => {
                self.fosi.interval().or_else(|| interval(&costs, overhead))
            }
            Schedule::Every { interval, .. } => Some(interval),
        };
        let own = self.fosi.space().ranks().range(self.layout.len()).len();
        Ok(Check {
            parameters: self.layout.len(),
            precision: self.products.precision(),
            gradient_seconds: gradient,
            refresh_seconds: refresh,
            refresh_bytes: self.vectors() * own * dtype_of(self.fosi.space()).size(),
            interval,
        })
    }

    /// The number of n-vectors in memory during a refresh.
    fn vectors(&self) -> usize {
        let (config, n) = (self.fosi.config(), self.layout.len());
        let pairs = (config.largest + config.smallest).min(n);
        let kept = match config.averaging {
            Averaging::Off => pairs,
            // Twice as many pairs in the mean, plus the last refresh's own.
            _ => 3 * pairs,
        };
        // Lanczos needs one vector more than steps; parameters, gradient and scratch come on top of the base's state.
        kept + config.products(n) + 1 + self.fosi.base().state_len() + 3
    }
}

/// The time of one gradient on the replica: the second of two.
fn seconds_of_gradient<M: Module>(
    replica: &Replica<M>,
    loss: &Loss<'_, M>,
) -> Result<f64, BridgeError> {
    let parameters = replica.parameters()?;
    replica.value_and_gradient(&parameters, loss)?;
    let started = Instant::now();
    replica.value_and_gradient(&parameters, loss)?;
    Ok(started.elapsed().as_secs_f64())
}
