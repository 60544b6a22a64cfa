//! Properties of the Hessian of a module's loss: extreme eigenpairs, density of the eigenvalues, trace.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use fosi::density::{self, DensityParams, SpectralDensity};
use fosi::spectrum::{self, Spectrum, SpectrumParams};
use fosi::trace::{self, TraceEstimate, TraceParams};
use fosi::{Host, Space};

use crate::error::OptimizerError;
use crate::flat::FlatLayout;
use crate::gradient::{Loss, erased};
use crate::module_space::ModuleSpace;
use crate::precision::Precision;
use crate::products::{Products, Progress, Watched, estimation_error, require_losses};
use crate::replica::Replica;
use crate::report::RefreshProgress;
use crate::tensor_space::TensorSpace;

/// The n×n Hessian H = ∇²f(θ) of a loss at a module's trainable parameters θ. Only its products with vectors are
/// computed.
///
/// A product is a guarded difference quotient of the loss's gradient on a replica of the module, as in
/// [`FosiOptimizer`](crate::FosiOptimizer): in f64 if the module's devices and its loss support it, otherwise in f32.
/// The module is unchanged. The first estimation checks that the loss permits products. Random numbers that the loss
/// draws, such as dropout masks, are the same in all products. Lanczos' vectors are on the host in f64;
/// [`on_device`](Self::on_device) keeps them on the module's device in f32.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use fosi::{density::DensityParams, spectrum::SpectrumParams, trace::TraceParams};
/// use fosi_burn::{Hessian, like_module};
///
/// let device = Device::flex().autodiff();
/// let model = LinearConfig::new(2, 1).with_bias(false).init(&device);
/// let x = Tensor::<2>::from_data([[2.0, 0.0], [0.0, 1.0]], &device);
/// // f(w) = ½(2w₁)² + ½w₂², with the Hessian diag(4, 1).
/// let loss = |model: &Linear| model.forward(like_module(x.clone(), model)).square().sum() * 0.5;
///
/// let mut hessian = Hessian::new(&model, &loss)?;
/// let spectrum = hessian.spectrum(&SpectrumParams { largest: 2, ..SpectrumParams::default() })?;
/// assert!((spectrum.eigenvalues[0] - 4.0).abs() < 1e-5 && (spectrum.eigenvalues[1] - 1.0).abs() < 1e-5);
///
/// let trace = hessian.trace(&TraceParams { probes: 4, ..TraceParams::default() })?;
/// assert!((trace.trace.mean - 5.0).abs() < 1e-5);
///
/// let density = hessian.density(&DensityParams::default())?;
/// let (smallest, largest) = density.extent();
/// assert!((smallest - 1.0).abs() < 1e-5 && (largest - 4.0).abs() < 1e-5);
/// # Ok::<(), fosi_burn::OptimizerError>(())
/// ```
pub struct Hessian<'a, M, S: Space = Host<f64>> {
    module: &'a M,
    losses: Vec<Loss<'a, M>>,
    space: S,
    products: Products,
    /// The replica for the products, once the losses are checked; it fixes their random numbers.
    replica: Option<Replica<M>>,
    progress: Option<Box<Progress>>,
    gradients: u64,
}

impl<M, S: Space> std::fmt::Debug for Hessian<'_, M, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hessian")
            .field("dim", &self.space.dim())
            .field("losses", &self.losses.len())
            .field("precision", &self.products.precision())
            .field("gradients", &self.gradients)
            .finish_non_exhaustive()
    }
}

impl<'a, M: Module> Hessian<'a, M> {
    /// The Hessian of `loss` at the parameters of `module`. Evaluates nothing yet.
    ///
    /// `loss` returns one number computed from its argument, and casts its batch with
    /// [`like_module`](crate::like_module).
    ///
    /// # Errors
    /// [`BridgeError::NothingToTrain`](crate::BridgeError::NothingToTrain).
    pub fn new(module: &'a M, loss: &'a impl Fn(&M) -> Tensor<1>) -> Result<Self, OptimizerError> {
        Self::of_mean(module, std::slice::from_ref(loss))
    }

    /// Like [`new`](Self::new), for the mean of several losses, one per slice of data that does not fit in memory at
    /// once. (For slices of unequal size, multiply each loss by its size over the mean size.) A product costs as many
    /// gradients as there are losses.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::{Device, Tensor};
    /// # use fosi::trace::TraceParams;
    /// # use fosi_burn::{Hessian, like_module};
    /// # let device = Device::flex().autodiff();
    /// # let model = LinearConfig::new(3, 1).init(&device);
    /// # let batches = [Tensor::<2>::ones([4, 3], &device), Tensor::<2>::zeros([4, 3], &device)];
    /// let losses: Vec<_> = batches.iter().map(|batch| {
    ///     |model: &Linear| model.forward(like_module(batch.clone(), model)).square().mean()
    /// }).collect();
    /// let mut hessian = Hessian::of_mean(&model, &losses)?;
    /// let trace = hessian.trace(&TraceParams::default())?.trace;
    /// println!("tr H = {:.3} ± {:.3}", trace.mean, trace.standard_error.unwrap());
    /// # assert!((trace.mean - 5.0).abs() < 4.0 * trace.standard_error.unwrap());
    /// # Ok::<(), fosi_burn::OptimizerError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and [`fosi::Error::InvalidSetting`] without a loss.
    pub fn of_mean(
        module: &'a M,
        losses: &'a [impl Fn(&M) -> Tensor<1>],
    ) -> Result<Self, OptimizerError> {
        require_losses(losses)?;
        let layout = FlatLayout::of(module)?;
        Ok(Self {
            module,
            losses: erased(losses),
            space: Host::new(layout.len()),
            products: Products::new(&module.devices()),
            replica: None,
            progress: None,
            gradients: 0,
        })
    }

    /// The same with all vectors in f32 on the module's device (of several, the first), for GPUs.
    pub fn on_device(self) -> Hessian<'a, M, TensorSpace> {
        let device: Device = self.module.devices().into_iter().next().unwrap_or_default();
        Hessian {
            module: self.module,
            losses: self.losses,
            space: TensorSpace::new(self.space.dim(), &device),
            products: self.products,
            replica: self.replica,
            progress: self.progress,
            gradients: self.gradients,
        }
    }
}

impl<M: Module, S: ModuleSpace> Hessian<'_, M, S> {
    /// Sets the precision of products. By default it is f64 if the devices compute in f64, and changes to f32, with a
    /// warning, once a loss cannot be evaluated in f64.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.products.set_precision(precision);
        self.replica = None;
        self
    }

    /// Calls `progress` before each product. If it returns [`ControlFlow::Break`], the estimation ends with
    /// [`BridgeError::Cancelled`](crate::BridgeError::Cancelled).
    pub fn with_progress(
        mut self,
        progress: impl FnMut(RefreshProgress) -> ControlFlow<()> + Send + 'static,
    ) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Estimates the extreme eigenpairs; see [`fosi::spectrum::estimate`].
    ///
    /// # Errors
    /// [`OptimizerError::Bridge`] where the loss does not permit products or the estimation was
    /// [cancelled](Self::with_progress), [`OptimizerError::Fosi`] for invalid parameters and numerical failures.
    pub fn spectrum(&mut self, params: &SpectrumParams) -> Result<Spectrum<S>, OptimizerError> {
        params.validate()?;
        let at_most = params.products(self.dim());
        self.estimate(at_most, 0, |space, hessian| {
            spectrum::estimate(space, hessian, params)
        })
    }

    /// Estimates the density of the eigenvalues; see [`fosi::density::estimate`].
    ///
    /// # Errors
    /// Those of [`spectrum`](Self::spectrum).
    pub fn density(&mut self, params: &DensityParams) -> Result<SpectralDensity, OptimizerError> {
        params.validate()?;
        let at_most = params.products(self.dim());
        self.estimate(at_most, params.probes, |space, hessian| {
            density::estimate(space, hessian, params)
        })
    }

    /// Estimates the trace and the Frobenius norm; see [`fosi::trace::estimate`].
    ///
    /// # Errors
    /// Those of [`spectrum`](Self::spectrum).
    pub fn trace(&mut self, params: &TraceParams) -> Result<TraceEstimate, OptimizerError> {
        params.validate()?;
        self.estimate(params.probes, params.probes, |space, hessian| {
            trace::estimate(space, hessian, params)
        })
    }

    /// n, the number of trainable parameters.
    pub fn dim(&self) -> usize {
        self.space.dim()
    }

    /// The space of the eigenvectors in [`Spectrum::basis`].
    pub fn space(&self) -> &S {
        &self.space
    }

    /// The precision of products.
    pub fn precision(&self) -> Precision {
        self.products.precision()
    }

    /// The number of gradients of a loss computed for estimations so far, those of the check included.
    pub fn gradients(&self) -> u64 {
        self.gradients
    }

    /// Runs an estimation of `products` products with `vectors` random vectors; repeats it in f32 if a loss cannot be
    /// evaluated in f64.
    fn estimate<R>(
        &mut self,
        products: usize,
        vectors: usize,
        run: impl Fn(&S, &mut Watched<'_, S>) -> Result<R, fosi::Error>,
    ) -> Result<R, OptimizerError> {
        // Forward differences compute the first product of each run twice.
        let repeated = match self.products.precision() {
            Precision::F64 => vectors,
            Precision::F32 => 0,
        };
        let at_most = products.saturating_add(repeated) as u64;
        let mut found = self.try_estimate(at_most, &run);
        if let Err(OptimizerError::Bridge(error)) = &found
            && self.products.can_fall_back(error)
        {
            self.products.fall_back(error);
            self.replica = None;
            found = self.try_estimate(at_most, &run);
        }
        found
    }

    fn try_estimate<R>(
        &mut self,
        at_most: u64,
        run: impl Fn(&S, &mut Watched<'_, S>) -> Result<R, fosi::Error>,
    ) -> Result<R, OptimizerError> {
        if self.replica.is_none() {
            self.gradients += self.products.check_losses(self.module, &self.losses)?;
        }
        let replica = match &mut self.replica {
            Some(replica) => replica,
            unmade => unmade.insert(self.products.replica(self.module)?),
        };
        let oracle = self.space.gradient_oracle(replica, &self.losses)?;
        let mut quotient = self.products.quotient(oracle);
        // Type-erased, so that the estimations are compiled once rather than per module.
        let mut watched = Watched {
            operator: &mut quotient,
            progress: self.progress.as_deref_mut(),
            products: 0,
            at_most,
        };
        let found = run(&self.space, &mut watched);
        self.gradients += quotient.gradients() * self.losses.len() as u64;
        found.map_err(estimation_error)
    }
}
