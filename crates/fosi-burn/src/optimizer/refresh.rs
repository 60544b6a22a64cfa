//! A refresh for a Burn module: the spectrum of the loss's Hessian, of one batch or the mean of several.

use std::borrow::{Borrow, BorrowMut};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Tensor;
use fosi::Refresh;
use fosi::base::Base;
use fosi::error::LanczosError;
use fosi::operator::{Counted, DifferenceQuotient, GradientOracle};

use super::FosiOptimizer;
use crate::error::{BridgeError, OptimizerError};
use crate::module_space::ModuleSpace;
use crate::precision::Precision;
use crate::replica::Replica;
use crate::report::RefreshAttempt;

impl<S: ModuleSpace, B: Base<S>> FosiOptimizer<B, S> {
    /// Estimates the spectrum of the loss's Hessian at the module's parameters and adopts it.
    ///
    /// # Errors
    /// [`OptimizerError::Bridge`] where the loss isn't fit for products: not deterministic, or in the wrong
    /// precision. Numerical failures are in [`RefreshAttempt::result`].
    pub fn refresh<M: Module>(
        &mut self,
        module: &M,
        loss: &impl Fn(&M) -> Tensor<1>,
    ) -> Result<RefreshAttempt, OptimizerError> {
        self.refresh_mean(module, std::slice::from_ref(&loss))
    }

    /// As [`refresh`](Self::refresh), for the mean of several losses: one for each of several batches, or slices of
    /// a batch too large to be taken at once. (Slices of unequal size: each loss times its size over the mean size.)
    ///
    /// The curvature of one batch overfits that batch; the mean's is nearer to that of the whole loss. A product
    /// costs as many gradients as there are losses. Call it where [`due`](Self::due) says so, before
    /// [`step`](Self::step):
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::{Device, Tensor};
    /// # use fosi::{FosiConfig, Schedule, base::Adam};
    /// # use fosi_burn::{FosiOptimizer, like_module};
    /// # let device = Device::flex().autodiff();
    /// # let mut model = LinearConfig::new(3, 1).init(&device);
    /// # let batches = [Tensor::<2>::ones([4, 3], &device), Tensor::<2>::ones([4, 3], &device)];
    /// # let config = FosiConfig { largest: 1, schedule: Schedule::Every { warmup: 0, interval: 10 }, ..FosiConfig::default() };
    /// # let mut optimizer = FosiOptimizer::new(&model, Adam::default(), config)?;
    /// let loss_on = |batch: &Tensor<2>| {
    ///     let batch = batch.clone();
    ///     move |model: &Linear| model.forward(like_module(batch.clone(), model)).square().mean()
    /// };
    /// for batch in &batches {
    ///     if optimizer.due() {
    ///         let losses: Vec<_> = batches.iter().map(loss_on).collect();
    ///         optimizer.refresh_mean(&model, &losses)?;
    ///     }
    ///     optimizer.step(0.01, &mut model, &loss_on(batch))?;
    /// }
    /// # Ok::<(), fosi_burn::OptimizerError>(())
    /// ```
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh), and [`fosi::Error::InvalidSetting`] without a loss.
    pub fn refresh_mean<M: Module>(
        &mut self,
        module: &M,
        losses: &[impl Fn(&M) -> Tensor<1>],
    ) -> Result<RefreshAttempt, OptimizerError> {
        let started = Instant::now();
        if losses.is_empty() {
            return Err(OptimizerError::Fosi(fosi::Error::InvalidSetting {
                setting: "the number of losses",
                given: "0".into(),
                allowed: "at least 1",
            }));
        }
        self.layout.check(module)?;
        let replica = Replica::new(module, self.precision)?;
        let mut gradients = 0;
        if self.check_determinism {
            for loss in losses {
                replica.check_determinism(loss)?;
                gradients += 2;
            }
            self.check_determinism = false;
        }
        let oracle = self.fosi.space().gradient_oracle(&replica, losses)?;
        let mut quotient = match self.precision {
            Precision::F64 => DifferenceQuotient::new(oracle),
            Precision::F32 => DifferenceQuotient::central(oracle),
        };
        let mut counted = Counted::new(&mut quotient);
        let result = unless_bridge(self.fosi.refresh(&mut counted))?;
        let products = counted.products;
        gradients += quotient.gradients() * losses.len() as u64;
        let mut batch_curvatures = Vec::new();
        if result.is_ok()
            && losses.len() > 1
            && let Some(v) = self.first_eigenvector()
        {
            for loss in losses {
                batch_curvatures.push(self.curvature_along(v.borrow(), &replica, loss)?);
                gradients += 2;
            }
        }
        Ok(RefreshAttempt {
            result,
            products,
            gradients,
            batch_curvatures,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// v₁, the eigenvector of the largest eigenvalue. Where the mean has no curvature, none is kept: every vector is
    /// one.
    fn first_eigenvector(&self) -> Option<S::Owned> {
        let spectrum = self.fosi.spectrum()?;
        (spectrum.largest > 0).then(|| self.fosi.space().column(&spectrum.basis, 0))
    }

    /// vᵀHv/vᵀv on one loss.
    fn curvature_along<M: Module>(
        &self,
        v: &S::Vector,
        replica: &Replica<M>,
        loss: &impl Fn(&M) -> Tensor<1>,
    ) -> Result<f64, OptimizerError> {
        let space = self.fosi.space();
        let mut product = space.zeros();
        let mut oracle = space.gradient_oracle(replica, std::slice::from_ref(loss))?;
        oracle
            .central(curvature_step(self.precision), v, product.borrow_mut())
            .map_err(fosi::Error::User)?;
        Ok(space.dot(v, product.borrow()) / space.dot(v, v))
    }
}

/// Step of the central difference along v₁, relative to the parameters' magnitude: at kinks it says what the losses do
/// nearby.
fn curvature_step(precision: Precision) -> f64 {
    match precision {
        Precision::F64 => 1e-6,
        // Shorter ones are lost in rounding.
        Precision::F32 => 1e-3,
    }
}

/// A mistake in the loss closure is the caller's to mend, other failures of a refresh are part of training.
fn unless_bridge(
    result: Result<Refresh, fosi::Error>,
) -> Result<Result<Refresh, fosi::Error>, OptimizerError> {
    match result {
        Err(fosi::Error::Refresh {
            step,
            source:
                LanczosError::Operator {
                    step: product,
                    source,
                },
        }) => match source.downcast::<BridgeError>() {
            Ok(bridge) => Err((*bridge).into()),
            Err(source) => {
                let source = LanczosError::Operator {
                    step: product,
                    source,
                };
                Ok(Err(fosi::Error::Refresh { step, source }))
            }
        },
        other => Ok(other),
    }
}
