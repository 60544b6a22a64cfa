//! One optimizer on several ranks, each with a share of the batch and with whole or sharded vectors.

use std::borrow::{Borrow, BorrowMut};
use std::sync::Arc;

use crate::base::Base;
use crate::communicator::Communicator;
use crate::error::{Error, require};
use crate::ranks::{Ranks, hash_numbers};
use crate::space::{Distributed, Space};

use super::Fosi;

impl<S: Distributed, B: Base<S>> Fosi<S, B> {
    /// Trains with a share of each batch on every rank. All ranks hold whole vectors and take the same step with the mean
    /// of their gradients. `parameters` ← those of rank 0.
    ///
    /// The steps are the same for [`sharded`](Self::sharded) vectors:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use fosi::base::HeavyBall;
    /// use fosi::communicator::Communicator;
    /// use fosi::operator::Reduced;
    /// use fosi::{Distributed, Fosi, FosiConfig, Host};
    ///
    /// # fn train(communicator: Arc<dyn Communicator>) -> Result<(), fosi::Error> {
    /// let mut x = vec![1.0, 1.0];
    /// let optimizer = Fosi::new(Host::<f64>::new(2), HeavyBall::default(), FosiConfig::default())?;
    /// let mut optimizer = optimizer.data_parallel(communicator, &mut x)?;
    /// let space = optimizer.space().clone();
    /// let mut gradient = vec![0.0; 2];
    /// for _ in 0..10 {
    ///     let examples = 32.0; // this rank's share of the batch
    ///     // # here f(x) = (50x₀² + x₁²)/2 on every rank
    ///     if optimizer.due() {
    ///         let hessian = fosi::operator::from_fn(|v: &[f64], out: &mut [f64]| {
    ///             (out[0], out[1]) = (50.0 * v[0], v[1]);
    ///         });
    ///         optimizer.refresh(&mut Reduced::new(&space, examples, Ok(hessian))?)?;
    ///     }
    ///     (gradient[0], gradient[1]) = (50.0 * x[0], x[1]);
    ///     let loss = Ok(25.0 * x[0] * x[0] + 0.5 * x[1] * x[1]);
    ///     let loss = space.average(examples, loss, &mut gradient)?;
    ///     optimizer.step(0.01, space.own_mut(&mut x), space.own(&gradient))?;
    ///     space.gather(&mut x);
    ///     println!("{loss}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for an optimizer that has taken steps or refreshes; load its checkpoint afterwards instead.
    /// [`Error::DimensionMismatch`] for parameters without n entries, [`Error::OtherRank`] where another rank fails, and
    /// [`Error::RanksDiffer`] where the ranks have different n, [signatures](Self::set_signature), bases or configurations.
    pub fn data_parallel(
        self,
        communicator: Arc<dyn Communicator>,
        parameters: &mut S::Vector,
    ) -> Result<Self, Error> {
        let space = self.space.clone();
        let space = space.with_ranks(Ranks::replicated(communicator));
        self.on_ranks(space, parameters)
    }

    /// Like [`data_parallel`](Self::data_parallel), with a shard of every vector on each rank: of P ranks, each has n/P
    /// entries of momentum, state, basis, Lanczos vectors and mean over refreshes. The caller keeps whole parameters and a
    /// whole gradient, and gives [`step`](Self::step) this rank's part of them.
    ///
    /// # Errors
    /// Those of [`data_parallel`](Self::data_parallel), and [`Error::InvalidSetting`] for a base that does not
    /// [work on shards](Base::works_on_shards).
    pub fn sharded(
        self,
        communicator: Arc<dyn Communicator>,
        parameters: &mut S::Vector,
    ) -> Result<Self, Error> {
        let space = self.space.clone();
        let space = space.with_ranks(Ranks::sharded(communicator));
        self.on_ranks(space, parameters)
    }

    fn on_ranks(mut self, space: S, parameters: &mut S::Vector) -> Result<Self, Error> {
        let step = self.progress.step;
        let taken = step + self.progress.refreshes;
        let allowed = "0 where an optimizer is put on several ranks";
        let what = "the number of steps and refreshes taken";
        let fresh = require(taken == 0, what, taken, allowed);
        let fits = space.check_whole("the parameter vector", parameters);
        let allowed = "one that works on shards, or data_parallel, which keeps vectors whole";
        let shards = !space.ranks().is_sharded() || self.base.works_on_shards();
        let shards = require(
            shards,
            "the base of a sharded optimizer",
            self.base.name(),
            allowed,
        );
        space.ranks().fail_together(fresh.and(fits).and(shards))?;
        let setup = || {
            let (base, momentum) = (self.base.name(), self.base.momentum());
            let (signature, config) = (&self.signature, &self.config);
            let setup = format!("{base} {momentum:?} {} {signature} {config:?}", space.dim());
            crc32fast::hash(setup.as_bytes())
        };
        let what = "the base, the list of parameters or the configuration";
        space.ranks().compare(what, step, setup)?;
        space.broadcast(parameters);
        self.state = self.state.iter().map(|_| space.zeros()).collect();
        self.scratch = space.zeros();
        self.space = space;
        Ok(self)
    }
}

impl<S: Distributed, B: Base<S>> Fosi<S, B> {
    /// An error unless all ranks have the same parameters, given whole. They are compared once after each refresh, and not
    /// in between. [`step`](Self::step) does this itself where vectors are whole; with vectors in shards, it sees a
    /// rank's own part only.
    ///
    /// # Errors
    /// [`Error::RanksDiffer`], [`Error::DimensionMismatch`] for parameters without n entries, and [`Error::OtherRank`] where
    /// another rank has those.
    pub fn compare_whole_parameters(&mut self, parameters: &S::Vector) -> Result<(), Error> {
        let (ranks, step) = (self.space.ranks(), self.progress.step);
        if self.parameters_compared || ranks.size() == 1 {
            return Ok(());
        }
        let fits = self.space.check_whole("the parameter vector", parameters);
        let whole = self.space.clone().with_ranks(Ranks::ALONE);
        ranks.compare_unless_failed(fits, "the parameter vector", step, || {
            crc32fast::hash(&whole.export(parameters).bytes)
        })?;
        self.parameters_compared = true;
        Ok(())
    }
}

impl<S: Space, B: Base<S>> Fosi<S, B> {
    /// An error unless all ranks have the same settings and state; an error of one rank in `before` is one on all. Shards
    /// are not compared, only the numbers beside them.
    pub(super) fn compare_state(&mut self, before: Result<(), Error>) -> Result<(), Error> {
        self.forget_comparison();
        let (ranks, step) = (self.space.ranks(), self.progress.step);
        ranks.at(step);
        let what = "the optimizer's state";
        ranks.compare_unless_failed(before, what, step, || self.state_checksum())
    }

    /// An error unless all ranks have the same parameters. Compares whole vectors only, once after each refresh.
    pub(super) fn compare_parameters(&mut self, parameters: &S::Vector) -> Result<(), Error> {
        let (ranks, step) = (self.space.ranks(), self.progress.step);
        if ranks.is_sharded() || self.parameters_compared {
            return Ok(());
        }
        ranks.compare("the parameter vector", step, || {
            crc32fast::hash(&self.space.export(parameters).bytes)
        })?;
        self.parameters_compared = true;
        Ok(())
    }

    /// An error unless all ranks have the same learning rate; a schedule that follows a rank's own loss gives others. An
    /// error of one rank in `before` is one on all.
    pub(super) fn compare_rate(
        &self,
        before: Result<(), Error>,
        learning_rate: f64,
    ) -> Result<(), Error> {
        let (ranks, step) = (self.space.ranks(), self.progress.step);
        ranks.at(step);
        ranks.compare_unless_failed(before, "the learning rate", step, || {
            crc32fast::hash(&learning_rate.to_le_bytes())
        })
    }

    /// Has the parameters compared at the next step.
    pub(crate) fn forget_comparison(&mut self) {
        self.parameters_compared = false;
    }

    fn state_checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(format!("{:?}", self.config).as_bytes());
        // Only a number that is not finite cannot be written; every step refuses those.
        hasher.update(&serde_json::to_vec(&self.progress).unwrap_or_default());
        let whole = !self.space.ranks().is_sharded();
        if let Some(subspace) = &self.subspace {
            let spectrum = &subspace.spectrum;
            for numbers in [
                &spectrum.eigenvalues,
                &spectrum.gram_inverse,
                &subspace.curvature,
                &subspace.momentum,
            ] {
                hash_numbers(&mut hasher, numbers);
            }
            if whole {
                self.hash_basis(&mut hasher, &spectrum.basis);
            }
        }
        if let Some(average) = &self.average {
            hasher.update(&serde_json::to_vec(&average.state).unwrap_or_default());
            hasher.update(&average.last_largest.to_le_bytes());
            let pairs = &average.pairs;
            for numbers in [
                &pairs.eigenvalues,
                &pairs.residuals,
                &pairs.last_eigenvalues,
                &pairs.gram,
            ] {
                hash_numbers(&mut hasher, numbers);
            }
            for basis in [&average.further, &average.last]
                .into_iter()
                .filter(|_| whole)
            {
                self.hash_basis(&mut hasher, basis);
            }
        }
        for vector in self.state.iter().filter(|_| whole) {
            hasher.update(&self.space.export(vector.borrow()).bytes);
        }
        hasher.finalize()
    }

    fn hash_basis(&self, hasher: &mut crc32fast::Hasher, basis: &S::Basis) {
        let mut column = self.space.zeros();
        for i in 0..self.space.size(basis) {
            let x = column.borrow_mut();
            self.space.copy_column(basis, i, x);
            hasher.update(&self.space.export(x).bytes);
        }
    }
}
