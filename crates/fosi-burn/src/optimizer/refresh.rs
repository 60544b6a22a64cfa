//! A refresh for a Burn module: the spectrum of the loss's Hessian, of one batch or the mean of several.

use std::borrow::{Borrow, BorrowMut};
use std::cell::RefCell;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Tensor;
use fosi::base::Base;
use fosi::error::LanczosError;
use fosi::operator::{GradientOracle, Reduced, SymmetricOperator};
use fosi::{Fosi, Refresh};

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
    /// [`OptimizerError::Bridge`] where the loss does not permit products: it is not deterministic, does not depend on
    /// the module, or is not in the precision [set](Self::with_precision). [`RefreshAttempt::result`] holds numerical
    /// failures and [cancellations](Self::with_progress). On several ranks a failed product or a cancellation on one rank
    /// is an error on all.
    pub fn refresh<M: Module>(
        &mut self,
        module: &M,
        loss: impl FnMut(&M) -> Tensor<1>,
    ) -> Result<RefreshAttempt, OptimizerError> {
        let loss = RefCell::new(loss);
        let loss = |module: &M| (loss.borrow_mut())(module);
        self.refresh_on(module, &[&loss])
    }

    /// Like [`refresh`](Self::refresh), for the mean of several losses, one per batch or per slice of a batch that does
    /// not fit in memory. (For slices of unequal size, multiply each loss by its size over the mean size.)
    ///
    /// The curvature of one batch overfits that batch; that of the mean is closer to the curvature of the full loss. A
    /// product costs as many gradients as there are losses. Call it when [`due`](Self::due) returns true, before
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
    /// Those of [`refresh`](Self::refresh), and [`fosi::Error::InvalidSetting`] without a loss.
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
        let mut attempt = self.try_refresh(module, losses);
        if let Err(error) = &attempt
            && self.fall_back_together(error)
        {
            attempt = self.try_refresh(module, losses);
        }
        let attempt = attempt?;
        Ok(RefreshAttempt {
            seconds: started.elapsed().as_secs_f64(),
            ..attempt
        })
    }

    /// Whether products can continue in f32 after an error of a refresh; if so, changes the precision. An error is one on
    /// all ranks, and all change the precision if one must.
    fn fall_back_together(&mut self, error: &OptimizerError) -> bool {
        let own = match error {
            OptimizerError::Bridge(error) => self.products.can_fall_back(error),
            _ => false,
        };
        let any = self.fosi.space().ranks().any(own);
        if any {
            self.products.fall_back(error);
        }
        any
    }

    /// A refresh in the precision of products, without timing.
    fn try_refresh<M: Module>(
        &mut self,
        module: &M,
        losses: &[Loss<'_, M>],
    ) -> Result<RefreshAttempt, OptimizerError> {
        let checked = self.check_module_and_losses(module, losses);
        let mut gradients = self.together(checked)?;
        // Ranks without examples have not checked a loss.
        let in_single = self.products.precision() == Precision::F32;
        if self.fosi.space().ranks().any(in_single) {
            self.products.fall_back(&"another rank takes them in f32");
        }
        let replica = self.products.replica(module).map_err(Into::into);
        let replica = self.together(replica)?;
        let oracle = self.fosi.space().gradient_oracle(&replica, losses);
        let oracle = self.together(oracle.map_err(Into::into))?;
        let mut quotient = self.products.quotient(oracle);
        // Type-erased, so that Lanczos is compiled once rather than per module.
        let mut watched = Watched {
            operator: &mut quotient,
            progress: self.progress.as_deref_mut(),
            products: 0,
            at_most: self.fosi.config().products(self.layout.len()) as u64,
        };
        let result = refresh_on_ranks(&mut self.fosi, self.examples, &mut watched);
        let products = watched.products;
        gradients += quotient.gradients() * losses.len() as u64;
        let alone = self.fosi.space().ranks().size() == 1;
        let result = unless_bridge(result, alone)?;
        let mut batch_curvatures = Vec::new();
        if result.is_ok()
            && alone
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

    /// Checks the module, and the losses unless that is done. Returns the number of gradients computed.
    fn check_module_and_losses<M: Module>(
        &mut self,
        module: &M,
        losses: &[Loss<'_, M>],
    ) -> Result<u64, OptimizerError> {
        require_losses(losses)?;
        self.layout.check(module)?;
        match self.has_examples() {
            true => Ok(self.products.check_losses(module, losses)?),
            false => Ok(0),
        }
    }

    /// v₁, the eigenvector of the largest eigenvalue; `None` if k = 0 or no curvature was found.
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

/// Refreshes with the mean of the ranks' Hessians, with their numbers of examples as weights. `hessian` is this rank's, on
/// whole vectors.
fn refresh_on_ranks<S: ModuleSpace, B: Base<S>>(
    fosi: &mut Fosi<S, B>,
    examples: f64,
    mut hessian: &mut dyn SymmetricOperator<S>,
) -> Result<Refresh, fosi::Error> {
    let space = fosi.space().clone();
    match space.ranks().size() {
        1 => fosi.refresh(&mut hessian),
        _ => fosi.refresh(&mut Reduced::new(&space, examples, Ok(hessian))?),
    }
}

/// Step of the central difference along v₁, relative to the parameters' magnitude. At kinks it averages over the
/// neighbourhood.
fn curvature_step(precision: Precision) -> f64 {
    match precision {
        Precision::F64 => 1e-6,
        // Shorter steps are lost to rounding.
        Precision::F32 => 1e-3,
    }
}

/// Errors in the loss closure are returned to the caller; other failures of a refresh are part of training.
///
/// On several ranks a cancellation by one of them is returned to the caller too, since the others cannot tell it from an
/// error in the loss closure and all must go on alike.
fn unless_bridge(
    result: Result<Refresh, fosi::Error>,
    alone: bool,
) -> Result<Result<Refresh, fosi::Error>, OptimizerError> {
    let (step, source) = match result {
        Err(fosi::Error::Refresh { step, source }) => (step, source),
        Err(error) if !alone => return Err(error.into()),
        result => return Ok(result),
    };
    if alone && is_cancelled(&source) {
        return Ok(Err(fosi::Error::Refresh { step, source }));
    }
    match cause(source) {
        Ok(bridge) => Err(bridge.into()),
        Err(LanczosError::Operator { step: at, source }) => {
            match source.downcast::<fosi::Error>() {
                Ok(other) => Err((*other).into()),
                Err(source) => Ok(Err(fosi::Error::Refresh {
                    step,
                    source: LanczosError::Operator { step: at, source },
                })),
            }
        }
        Err(source) => Ok(Err(fosi::Error::Refresh { step, source })),
    }
}

fn is_cancelled(source: &LanczosError) -> bool {
    matches!(
        source,
        LanczosError::Operator { source, .. }
            if matches!(source.downcast_ref(), Some(BridgeError::Cancelled { .. }))
    )
}
