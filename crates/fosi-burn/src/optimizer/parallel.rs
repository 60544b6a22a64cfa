//! One optimizer on several processes: each rank computes the losses of its share of every batch.

use std::borrow::{Borrow, BorrowMut};
use std::sync::Arc;

use burn::module::Module;
use burn::optim::GradAdaptor;
use fosi::Fosi;
use fosi::base::Base;
use fosi::communicator::Communicator;

use super::FosiOptimizer;
use super::rates::Rates;
use crate::buffers;
use crate::error::{BridgeError, OptimizerError};
use crate::module_space::ModuleSpace;
use crate::quiet;
use crate::randomness;
use crate::report::RefreshAttempt;

/// The learning rates of a step, or this rank's error, and the refresh before it, if one was due.
pub(super) type Prepared = (Result<Rates, OptimizerError>, Option<RefreshAttempt>);

/// The learning rates, the loss and the gradients of a step on one rank.
pub(super) type Step = (Rates, f64, Option<GradAdaptor>);

impl<S: ModuleSpace, B: Base<S>> FosiOptimizer<B, S> {
    /// Trains with a share of each batch on every rank of a communicator, such as that of the crate `fosi-mpi`. Each
    /// rank gives [`step`](Self::step) the mean loss over its share, and [`set_examples`](Self::set_examples) its
    /// number of examples. All ranks make the same step with the means of their gradients and Hessian-vector products,
    /// and an error on one rank is an error on all.
    ///
    /// `module` takes the parameters and buffers of rank 0. On each rank the random numbers of the module's devices, such
    /// as dropout masks, become a stream of its own, which follows from rank 0's. In training, batch norm normalises
    /// by the statistics of a rank's own share; see [`average_buffers`](Self::average_buffers). With one rank nothing
    /// changes.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::{Device, Tensor};
    /// use fosi::{FosiConfig, base::Adam, communicator::Communicator};
    /// use fosi_burn::{FosiOptimizer, OptimizerError, like_module};
    ///
    /// fn train(communicator: Arc<dyn Communicator>) -> Result<Linear, OptimizerError> {
    ///     let mut model = LinearConfig::new(3, 1).init(&Device::flex().autodiff());
    ///     let optimizer = FosiOptimizer::new(&model, Adam::default(), FosiConfig::default())?;
    ///     let mut optimizer = optimizer.data_parallel(communicator.clone(), &mut model)?;
    ///     for _ in 0..100 {
    ///         let share = Tensor::<2>::ones([4 + communicator.rank(), 3], &Device::flex());
    ///         optimizer.set_examples(share.dims()[0]);
    ///         optimizer.step(1e-3, &mut model, |model: &Linear| {
    ///             model.forward(like_module(share.clone(), model)).square().mean()
    ///         })?;
    ///     }
    ///     Ok(model)
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of [`Fosi::data_parallel`], and [`BridgeError::LayoutMismatch`]
    /// or [`BridgeError::Read`] where the module cannot be read.
    pub fn data_parallel<M: Module>(
        self,
        communicator: Arc<dyn Communicator>,
        module: &mut M,
    ) -> Result<Self, OptimizerError> {
        self.on_ranks(communicator, module, Fosi::data_parallel)
    }

    /// Like [`data_parallel`](Self::data_parallel), with a shard of every vector of the optimizer on each rank: basis,
    /// mean over refreshes, Lanczos vectors and the base's state take 1/P of the memory on P ranks. Each rank keeps the
    /// whole module, one vector of parameters and one of the gradient.
    ///
    /// # Errors
    /// Those of [`Fosi::sharded`], such as for a [`BurnBase`](crate::BurnBase), whose optimizer takes whole tensors, and
    /// those of [`data_parallel`](Self::data_parallel).
    pub fn sharded<M: Module>(
        self,
        communicator: Arc<dyn Communicator>,
        module: &mut M,
    ) -> Result<Self, OptimizerError> {
        self.on_ranks(communicator, module, Fosi::sharded)
    }

    fn on_ranks<M: Module>(
        mut self,
        communicator: Arc<dyn Communicator>,
        module: &mut M,
        put: impl FnOnce(
            Fosi<S, B>,
            Arc<dyn Communicator>,
            &mut S::Vector,
        ) -> Result<Fosi<S, B>, fosi::Error>,
    ) -> Result<Self, OptimizerError> {
        let mut nothing = self.fosi.space().with_dim(0).zeros();
        let parameters: &mut S::Vector = self.parameters.borrow_mut();
        let read = self.layout.read_parameters(module, parameters);
        let alone = communicator.size() == 1;
        // A rank that cannot read its module shows the others a vector of another length.
        let parameters = match &read {
            Ok(()) => parameters,
            Err(_) => nothing.borrow_mut(),
        };
        let fosi = put(self.fosi, communicator, parameters);
        read?;
        self.fosi = fosi?;
        if alone {
            return Ok(self);
        }
        // A hook that ends the job at a panic must not see those that are caught.
        quiet::bypass_hook_of_job();
        let set = self
            .layout
            .set_parameters(module, self.parameters.borrow())
            .map(|set| *module = set);
        let ranks = self.fosi.space().ranks();
        let split = randomness::split(ranks, &module.devices());
        self.together(set.and(split).map_err(Into::into))?;
        buffers::broadcast(ranks, module)?;
        Ok(self)
    }
}

impl<S: ModuleSpace, B: Base<S>> FosiOptimizer<B, S> {
    /// Sets the number of examples in this rank's share of the next batches, its weight in the means over the ranks;
    /// default 1 on every rank. With 0 the losses are not evaluated. With one rank it has no effect.
    pub fn set_examples(&mut self, examples: usize) {
        self.examples = examples as f64;
    }

    /// Gives the module on every rank the mean of the ranks' buffers, such as batch norm's running statistics, weighted by
    /// the [examples](Self::set_examples) of each rank's steps since the last time; without a step since, they become rank
    /// 0's. Call it on all ranks before the module is evaluated or saved. With one rank nothing changes.
    ///
    /// # Errors
    /// [`BridgeError::Read`], and [`fosi::Error::OtherRank`] where another rank has failed; the buffers are then unchanged.
    pub fn average_buffers<M: Module>(&mut self, module: &mut M) -> Result<(), OptimizerError> {
        buffers::average(self.fosi.space().ranks(), module, self.examples_seen)?;
        self.examples_seen = 0.0;
        Ok(())
    }

    /// Whether this rank evaluates losses.
    pub(super) fn has_examples(&self) -> bool {
        self.examples > 0.0 || self.fosi.space().ranks().size() == 1
    }

    /// This rank's result, unless another rank has failed. All ranks call it.
    pub(super) fn together<R>(
        &self,
        result: Result<R, OptimizerError>,
    ) -> Result<R, OptimizerError> {
        let ranks = self.fosi.space().ranks();
        ranks.fail_together_with(result, OptimizerError::from)
    }

    /// Reads the gradient, which is `weight` times the gradients, and averages it and the loss over the ranks. An error
    /// in place of the step is one on all ranks.
    pub(super) fn read_and_average<M: Module>(
        &mut self,
        step: Result<Step, OptimizerError>,
        module: &M,
        weight: f64,
    ) -> Result<(Rates, f64), OptimizerError> {
        let step = step.and_then(|step| Ok(self.read(step, module, weight)?));
        let space = self.fosi.space();
        if space.ranks().size() == 1 {
            return step;
        }
        let loss = step.as_ref().map(|(_, loss)| *loss);
        let loss = loss.map_err(|error| error.to_string().into());
        let loss = space.average(self.examples, loss, self.gradient.borrow_mut());
        // This rank's own error, of which the others know now, before another's.
        let (rates, _) = step?;
        Ok((rates, loss?))
    }

    /// Reads gradient and parameters of this rank's module.
    fn read<M: Module>(
        &mut self,
        (rates, loss, gradients): Step,
        module: &M,
        weight: f64,
    ) -> Result<(Rates, f64), BridgeError> {
        let gradient: &mut S::Vector = self.gradient.borrow_mut();
        let parameters: &mut S::Vector = self.parameters.borrow_mut();
        if let Some(gradients) = gradients {
            self.layout.read_gradient(module, gradients, gradient)?;
        }
        self.master_weights = self.layout.update_master_weights(module, parameters)?;
        if weight != 1.0 {
            self.fosi.space().scale(weight, gradient);
        }
        Ok((rates, loss))
    }
}
