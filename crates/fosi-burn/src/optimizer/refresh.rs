//! A refresh for a Burn module: the spectrum of the loss's Hessian, of one batch or the mean of several.

use std::borrow::{Borrow, BorrowMut};
use std::cell::RefCell;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Tensor;
use fosi::Refresh;
use fosi::base::Base;
use fosi::error::LanczosError;
use fosi::operator::GradientOracle;

use super::FosiOptimizer;
use crate::error::{BridgeError, OptimizerError};
use crate::gradient::{Loss, erased};
use crate::module_space::ModuleSpace;
use crate::precision::Precision;
use crate::products::{Watched, cause, require_losses};
use crate::replica::Replica;
use crate::report::RefreshAttempt;

impl<S: ModuleSpace, B: Base<S>> FosiOptimizer<B, S> {
    /// Estimates the spectrum of the loss's Hessian at the module's parameters and adopts it.
    ///
    /// # Errors
    /// [`OptimizerError::Bridge`] where the loss isn't fit for products: not deterministic, independent of the module, or
    /// in another precision than the one [asked for](Self::with_precision). Numerical failures and a refresh that was
    /// [cancelled](Self::with_progress) are in [`RefreshAttempt::result`].
    pub fn refresh<M: Module>(
        &mut self,
        module: &M,
        loss: impl FnMut(&M) -> Tensor<1>,
    ) -> Result<RefreshAttempt, OptimizerError> {
        let loss = RefCell::new(loss);
        let loss = |module: &M| (loss.borrow_mut())(module);
        self.refresh_on(module, &[&loss])
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
        self.refresh_on(module, &erased(losses))
    }

    pub(super) fn refresh_on<M: Module>(
        &mut self,
        module: &M,
        losses: &[Loss<'_, M>],
    ) -> Result<RefreshAttempt, OptimizerError> {
        let started = Instant::now();
        require_losses(losses)?;
        let mut attempt = self.try_refresh(module, losses);
        if let Err(OptimizerError::Bridge(error)) = &attempt
            && self.products.falls_back(error)
        {
            attempt = self.try_refresh(module, losses);
        }
        let attempt = attempt?;
        Ok(RefreshAttempt {
            seconds: started.elapsed().as_secs_f64(),
            ..attempt
        })
    }

    /// A refresh in the precision of products; its time isn't taken.
    fn try_refresh<M: Module>(
        &mut self,
        module: &M,
        losses: &[Loss<'_, M>],
    ) -> Result<RefreshAttempt, OptimizerError> {
        self.layout.check(module)?;
        let mut gradients = self.products.check_losses(module, losses)?;
        let replica = self.products.replica(module)?;
        let oracle = self.fosi.space().gradient_oracle(&replica, losses)?;
        let mut quotient = self.products.quotient(oracle);
        // Without its type: Lanczos is compiled once, not for each module.
        let mut watched = Watched {
            operator: &mut quotient,
            progress: self.progress.as_deref_mut(),
            products: 0,
            at_most: self.fosi.config().products(self.layout.len()) as u64,
        };
        let result = self.fosi.refresh(&mut watched);
        let products = watched.products;
        gradients += quotient.gradients() * losses.len() as u64;
        let result = unless_bridge(result)?;
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
            precision: self.products.precision(),
            batch_curvatures,
            seconds: 0.0,
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
        loss: &Loss<'_, M>,
    ) -> Result<f64, OptimizerError> {
        let space = self.fosi.space();
        let mut product = space.zeros();
        let mut oracle = space.gradient_oracle(replica, std::slice::from_ref(loss))?;
        oracle
            .central(
                curvature_step(self.products.precision()),
                v,
                product.borrow_mut(),
            )
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
    let Err(fosi::Error::Refresh { step, source }) = result else {
        return Ok(result);
    };
    let cancelled = matches!(
        &source,
        LanczosError::Operator { source, .. }
            if matches!(source.downcast_ref(), Some(BridgeError::Cancelled { .. }))
    );
    let source = match cancelled {
        true => source,
        false => match cause(source) {
            Ok(bridge) => return Err(bridge.into()),
            Err(source) => source,
        },
    };
    Ok(Err(fosi::Error::Refresh { step, source }))
}
