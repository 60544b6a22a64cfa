//! A module's parameters and gradients as flat vectors, and back.

mod layout;
mod vector;
mod visitors;

use burn::module::Module;
use burn::optim::{GradAdaptor, GradientsParams};
use burn::tensor::Element;

use crate::error::BridgeError;
use visitors::{read_gradients, read_parameters, write_gradients, write_parameters};

pub use layout::{FlatLayout, Slot};
pub(crate) use vector::Block;
pub use vector::FlatVector;
#[cfg(feature = "train")]
pub(crate) use vector::in_context_of;

impl FlatLayout {
    /// The module's trainable parameters on the host, converted to `E` (`f32` or `f64`). Length n.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LayoutMismatch`], or [`BridgeError::Read`] where the device fails.
    pub fn parameters<E: Element>(&self, module: &impl Module) -> Result<Vec<E>, BridgeError> {
        let mut parameters = vec![E::from_elem(0); self.len()];
        self.read_parameters(module, &mut parameters[..])?;
        Ok(parameters)
    }

    /// `parameters` (length n) ← the module's trainable parameters; unspecified after an error.
    ///
    /// # Errors
    ///
    /// Those of [`parameters`](Self::parameters), and [`BridgeError::LengthMismatch`].
    pub fn read_parameters(
        &self,
        module: &impl Module,
        parameters: &mut (impl FlatVector + ?Sized),
    ) -> Result<(), BridgeError> {
        self.check_len("parameter vector", parameters.entries())?;
        parameters.assign(read_parameters(self, module)?)
    }

    /// Updates master weights from a module whose parameters may be in a narrower float type.
    ///
    /// Master weights are the parameters in the optimizer's precision; the module holds the rounded values. An entry of
    /// `master` (length n) that rounds to the module's entry keeps its value and thereby accumulates steps too small to
    /// change the rounded entry. Every other entry takes the module's value, which was changed elsewhere. If the
    /// module's type is at least as wide as `master`'s, this equals [`read_parameters`](Self::read_parameters). See
    /// Micikevicius et al., *Mixed Precision Training* (ICLR 2018), §3.1.
    ///
    /// Returns whether any parameter has a narrower type, so that `master` is more precise than the module.
    ///
    /// ```
    /// use burn::{module::Param, tensor::{Device, DType, Tensor}};
    /// use fosi_burn::FlatLayout;
    ///
    /// let device = Device::flex().autodiff();
    /// let ones = Tensor::<1>::ones([2], (&device, DType::BF16));
    /// let module = Param::from_tensor(ones);
    /// let layout = FlatLayout::of(&module)?;
    ///
    /// // bf16 has eight binary digits: 1.001 rounds to 1, and 1.1 does not.
    /// let mut master = [1.001f32, 1.1];
    /// assert!(layout.update_master_weights(&module, &mut master[..])?);
    /// assert_eq!(master, [1.001, 1.0]);
    /// # Ok::<(), fosi_burn::BridgeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::LengthMismatch`], [`BridgeError::LayoutMismatch`] or [`BridgeError::Read`].
    pub fn update_master_weights(
        &self,
        module: &impl Module,
        master: &mut (impl FlatVector + ?Sized),
    ) -> Result<bool, BridgeError> {
        self.check_len("vector of master weights", master.entries())?;
        master.assign_unless_rounded(read_parameters(self, module)?)
    }

    /// `module` with its trainable parameters replaced by `parameters` (length n).
    ///
    /// Everything else is kept: ids, devices, float types, frozen parameters, training flags, and running statistics,
    /// which the result shares with `module` like any clone in Burn.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LengthMismatch`] or [`BridgeError::LayoutMismatch`].
    pub fn set_parameters<M: Module>(
        &self,
        module: &M,
        parameters: &(impl FlatVector + ?Sized),
    ) -> Result<M, BridgeError> {
        self.check_len("parameter vector", parameters.entries())?;
        write_parameters(self, module, parameters)
    }

    /// The gradients (`GradientsParams` or `MultiGradientsParams`) on the host, converted to `E`. Length n; a parameter
    /// that the loss does not reach gets a block of zeros.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LayoutMismatch`], [`BridgeError::GradientShape`] or [`BridgeError::Read`].
    pub fn gradient<E: Element>(
        &self,
        module: &impl Module,
        gradients: impl Into<GradAdaptor>,
    ) -> Result<Vec<E>, BridgeError> {
        let mut gradient = vec![E::from_elem(0); self.len()];
        self.read_gradient(module, gradients, &mut gradient[..])?;
        Ok(gradient)
    }

    /// `gradient` (length n) ← the gradients, with zeros for parameters that the loss does not reach; unspecified after
    /// an error.
    ///
    /// # Errors
    ///
    /// Those of [`gradient`](Self::gradient), and [`BridgeError::LengthMismatch`].
    pub fn read_gradient(
        &self,
        module: &impl Module,
        gradients: impl Into<GradAdaptor>,
        gradient: &mut (impl FlatVector + ?Sized),
    ) -> Result<(), BridgeError> {
        self.check_len("gradient", gradient.entries())?;
        gradient.assign(read_gradients(self, module, gradients.into())?)
    }

    /// The inverse of [`read_gradient`](Self::read_gradient): converts a vector (length n) to gradients for Burn's
    /// optimizers.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LengthMismatch`] or [`BridgeError::LayoutMismatch`].
    pub fn to_gradients(
        &self,
        module: &impl Module,
        gradient: &(impl FlatVector + ?Sized),
    ) -> Result<GradientsParams, BridgeError> {
        self.check_len("gradient", gradient.entries())?;
        write_gradients(self, module, gradient)
    }
}
