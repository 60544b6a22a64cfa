//! A Burn module's trainable parameters as one flat vector, and back.

use std::any::Any;
use std::collections::HashMap;
use std::ops::Range;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{
    DType, Device, Element, ElementEq, FloatDType, Tensor, TensorData, Transaction,
};

use crate::BridgeError;

/// One trainable parameter's place in the flat vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Path of the parameter in the module, for instance `layers.0.weight`.
    pub path: String,
    /// Burn's identity of the parameter; it survives `save_file` and `load_file`.
    pub id: ParamId,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
    /// Position of its first entry in the flat vector; its entries follow in row-major order.
    pub offset: usize,
    /// Further parameters of the module have this id too (tied weights).
    pub tied: bool,
}

impl Slot {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The parameter has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slot's place in the flat vector.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// The order in which a module's trainable parameters stand in the flat vector.
///
/// It holds every float parameter that requires a gradient, in the module's own visiting order (the order
/// of its fields); buffers, running statistics and frozen parameters are left out. Parameters with the same
/// id (tied weights: a clone of a [`Param`]) take one slot and stay tied in [`set_parameters`](Self::set_parameters).
///
/// ```
/// use burn::{nn::LinearConfig, tensor::Device};
/// use fosi_burn::FlatLayout;
///
/// let linear = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
/// let layout = FlatLayout::of(&linear)?;
/// assert_eq!(layout.len(), 8);
/// assert_eq!(layout.slots()[1].path, "bias");
///
/// let theta: Vec<f32> = layout.parameters(&linear)?;
/// let doubled: Vec<f32> = theta.iter().map(|x| 2.0 * x).collect();
/// let linear = layout.set_parameters(&linear, &doubled)?;
/// assert_eq!(layout.parameters::<f32>(&linear)?, doubled);
/// # Ok::<(), fosi_burn::BridgeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlatLayout {
    slots: Vec<Slot>,
    len: usize,
}

impl FlatLayout {
    /// The layout of `module`.
    ///
    /// # Errors
    ///
    /// [`BridgeError::NothingToTrain`] without a trainable parameter, [`BridgeError::ConflictingShapes`]
    /// where one id stands for two shapes.
    pub fn of<M: Module>(module: &M) -> Result<Self, BridgeError> {
        let mut visitor = LayoutVisitor::default();
        module.visit(&mut visitor);
        if let Some(error) = visitor.conflict {
            return Err(error);
        }
        if visitor.slots.is_empty() {
            return Err(BridgeError::NothingToTrain);
        }
        Ok(Self {
            slots: visitor.slots,
            len: visitor.len,
        })
    }

    /// Number of trainable parameters n, the length of every flat vector.
    pub fn len(&self) -> usize {
        self.len
    }

    /// There is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The parameters in the order of the flat vector.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The module's trainable parameters, converted to `E` (`f32` or `f64`). Length n.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LayoutMismatch`], or [`BridgeError::Read`] where the device fails.
    pub fn parameters<E: Element>(&self, module: &impl Module) -> Result<Vec<E>, BridgeError> {
        let mut flat = Vec::with_capacity(self.len);
        self.read_parameters(module, &mut flat)?;
        Ok(flat)
    }

    /// The same in memory that is kept from one call to the next. After an error `flat` may hold anything.
    ///
    /// # Errors
    ///
    /// As [`parameters`](Self::parameters).
    pub fn read_parameters<E: Element>(
        &self,
        module: &impl Module,
        flat: &mut Vec<E>,
    ) -> Result<(), BridgeError> {
        flat.clear();
        read(self.parameter_tensors(module)?, |_, data| {
            append(flat, data)
        })
    }

    /// Brings master weights up to date with a module whose parameters may be in a narrower float type than `E`.
    ///
    /// Master weights are the parameters in the precision of the optimizer; the module holds them rounded. An entry of
    /// `master` (length n) that rounds to the module's entry keeps its value, and with it the steps that are too short to
    /// change the rounded one. Every other entry takes the module's value: it was changed by someone else. Where the
    /// module's type is `E` or wider, that is [`read_parameters`](Self::read_parameters). Micikevicius et al., *Mixed
    /// Precision Training* (ICLR 2018), §3.1.
    ///
    /// Returns whether any parameter is in a narrower type, so whether `master` holds more than the module.
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
    /// let mut master = vec![1.001f32, 1.1];
    /// assert!(layout.update_master_weights(&module, &mut master)?);
    /// assert_eq!(master, [1.001, 1.0]);
    /// # Ok::<(), fosi_burn::BridgeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::LengthMismatch`], [`BridgeError::LayoutMismatch`] or [`BridgeError::Read`].
    pub fn update_master_weights<E: Element>(
        &self,
        module: &impl Module,
        master: &mut [E],
    ) -> Result<bool, BridgeError> {
        self.check_len("vector of master weights", master.len())?;
        let parts = self.parameter_tensors(module)?;
        let rounded = parts.iter().any(|part| rounds(part.dtype(), E::dtype()));
        read(parts, |index, data| {
            update(&mut master[self.slots[index].range()], data)
        })?;
        Ok(rounded)
    }

    /// As [`update_master_weights`](Self::update_master_weights), with the master weights in a tensor of length n on any
    /// device, which the host never sees.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LengthMismatch`] or [`BridgeError::LayoutMismatch`].
    pub fn update_master_weight_tensor(
        &self,
        module: &impl Module,
        master: &mut Tensor<1>,
    ) -> Result<bool, BridgeError> {
        self.check_len("vector of master weights", master.dims()[0])?;
        let parts = self.parameter_tensors(module)?;
        let (device, dtype) = (master.device(), master.dtype());
        let rounded = parts.iter().any(|part| rounds(part.dtype(), dtype));
        let updated = self.slots.iter().zip(parts).map(|(slot, part)| {
            let part = match rounds(part.dtype(), dtype) && !slot.is_empty() {
                true => updated(master.clone().slice([slot.range()]), part),
                false => part,
            };
            on(part, &device, dtype.into())
        });
        *master = join(updated, &device, dtype.into());
        Ok(rounded)
    }

    /// The module's trainable parameters as one tensor on `device`, converted to `dtype`, which the host never sees.
    /// Length n.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LayoutMismatch`].
    pub fn parameter_tensor(
        &self,
        module: &impl Module,
        device: &Device,
        dtype: FloatDType,
    ) -> Result<Tensor<1>, BridgeError> {
        let parts = self.parameter_tensors(module)?;
        Ok(join(
            parts.into_iter().map(|part| on(part, device, dtype)),
            device,
            dtype,
        ))
    }

    fn parameter_tensors(&self, module: &impl Module) -> Result<Vec<Tensor<1>>, BridgeError> {
        let mut visitor = ReadParameters {
            cursor: Cursor::new(self),
            values: Vec::with_capacity(self.slots.len()),
        };
        module.visit(&mut visitor);
        visitor.cursor.finish()?;
        Ok(visitor.values)
    }

    /// `module` with its trainable parameters replaced by `values` (length n).
    ///
    /// Everything else is kept: ids, devices, float types, frozen parameters, running statistics (which Burn's
    /// modules share with their clones, so the result shares them with `module`) and training flags.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LengthMismatch`] or [`BridgeError::LayoutMismatch`].
    pub fn set_parameters<M: Module, E: Element>(
        &self,
        module: &M,
        values: &[E],
    ) -> Result<M, BridgeError> {
        self.check_len("parameter vector", values.len())?;
        self.write_parameters(module, values)
    }

    /// As [`set_parameters`](Self::set_parameters), from a tensor of length n on any device, which the host never sees.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LengthMismatch`] or [`BridgeError::LayoutMismatch`].
    pub fn set_parameter_tensor<M: Module>(
        &self,
        module: &M,
        values: &Tensor<1>,
    ) -> Result<M, BridgeError> {
        self.check_len("parameter vector", values.dims()[0])?;
        self.write_parameters(module, values)
    }

    fn write_parameters<M: Module>(
        &self,
        module: &M,
        values: &(impl Flat + ?Sized),
    ) -> Result<M, BridgeError> {
        self.check(module)?;
        Ok(module.clone().map(&mut WriteParameters {
            cursor: Cursor::new(self),
            values,
            tied: HashMap::new(),
        }))
    }

    /// The gradients as one vector of length n; a parameter that the loss doesn't reach is a block of zeros.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LayoutMismatch`], [`BridgeError::GradientShape`] or [`BridgeError::Read`].
    pub fn gradient<E: Element>(
        &self,
        module: &impl Module,
        gradients: GradientsParams,
    ) -> Result<Vec<E>, BridgeError> {
        let mut flat = Vec::with_capacity(self.len);
        self.read_gradient(module, gradients, &mut flat)?;
        Ok(flat)
    }

    /// The same in memory that is kept from one call to the next. After an error `flat` may hold anything.
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient).
    pub fn read_gradient<E: Element>(
        &self,
        module: &impl Module,
        gradients: GradientsParams,
        flat: &mut Vec<E>,
    ) -> Result<(), BridgeError> {
        flat.clear();
        let (slots, parts) = self.gradient_tensors(module, gradients)?;
        read(parts, |part, data| {
            flat.resize(self.slots[slots[part]].offset, E::from_elem(0));
            append(flat, data)
        })?;
        flat.resize(self.len, E::from_elem(0));
        Ok(())
    }

    /// The gradients as one tensor of length n on `device`, converted to `dtype`, which the host never sees; a
    /// parameter that the loss doesn't reach is a block of zeros.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LayoutMismatch`] or [`BridgeError::GradientShape`].
    pub fn gradient_tensor(
        &self,
        module: &impl Module,
        gradients: GradientsParams,
        device: &Device,
        dtype: FloatDType,
    ) -> Result<Tensor<1>, BridgeError> {
        let (slots, parts) = self.gradient_tensors(module, gradients)?;
        let mut reached = slots.into_iter().zip(parts).peekable();
        let blocks = self.slots.iter().enumerate().map(|(index, slot)| {
            match reached.next_if(|(slot, _)| *slot == index) {
                Some((_, part)) => on(part, device, dtype),
                None => Tensor::zeros([slot.len()], (device, dtype.into())),
            }
        });
        Ok(join(blocks, device, dtype))
    }

    /// The gradients that the loss reaches, each as a vector, with the indices of their slots.
    fn gradient_tensors(
        &self,
        module: &impl Module,
        gradients: GradientsParams,
    ) -> Result<(Vec<usize>, Vec<Tensor<1>>), BridgeError> {
        let mut visitor = ReadGradients {
            cursor: Cursor::new(self),
            gradients,
            values: Vec::with_capacity(self.slots.len()),
            reached: Vec::with_capacity(self.slots.len()),
            mismatch: None,
        };
        module.visit(&mut visitor);
        visitor.cursor.finish()?;
        match visitor.mismatch {
            Some(error) => Err(error),
            None => Ok((visitor.reached, visitor.values)),
        }
    }

    /// The inverse of [`gradient`](Self::gradient): a flat vector of length n as the gradients that Burn's
    /// optimizers take.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LengthMismatch`] or [`BridgeError::LayoutMismatch`].
    pub fn to_gradients<E: Element>(
        &self,
        module: &impl Module,
        gradient: &[E],
    ) -> Result<GradientsParams, BridgeError> {
        self.check_len("gradient", gradient.len())?;
        self.write_gradients(module, gradient)
    }

    /// As [`to_gradients`](Self::to_gradients), from a tensor of length n on any device, which the host never sees.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LengthMismatch`] or [`BridgeError::LayoutMismatch`].
    pub fn tensor_to_gradients(
        &self,
        module: &impl Module,
        gradient: &Tensor<1>,
    ) -> Result<GradientsParams, BridgeError> {
        self.check_len("gradient", gradient.dims()[0])?;
        self.write_gradients(module, gradient)
    }

    fn write_gradients(
        &self,
        module: &impl Module,
        gradient: &(impl Flat + ?Sized),
    ) -> Result<GradientsParams, BridgeError> {
        let mut visitor = WriteGradients {
            cursor: Cursor::new(self),
            gradient,
            gradients: GradientsParams::new(),
        };
        module.visit(&mut visitor);
        visitor.cursor.finish()?;
        Ok(visitor.gradients)
    }

    /// Does `module` have exactly these trainable parameters?
    ///
    /// # Errors
    ///
    /// [`BridgeError::LayoutMismatch`] names the first that differs.
    pub fn check(&self, module: &impl Module) -> Result<(), BridgeError> {
        let mut visitor = Check(Cursor::new(self));
        module.visit(&mut visitor);
        visitor.0.finish()
    }

    pub(crate) fn check_len(&self, what: &'static str, found: usize) -> Result<(), BridgeError> {
        if found == self.len {
            return Ok(());
        }
        Err(BridgeError::LengthMismatch {
            what,
            expected: self.len,
            found,
        })
    }
}

/// A flat vector, wherever it lives.
trait Flat {
    /// The entries in `range` as a tensor with the shape, float type, device and autodiff context of `like`.
    fn part<const D: usize>(&self, range: Range<usize>, like: &Tensor<D>) -> Tensor<D>;
}

impl<E: Element> Flat for [E] {
    fn part<const D: usize>(&self, range: Range<usize>, like: &Tensor<D>) -> Tensor<D> {
        let data = TensorData::new(self[range].to_vec(), like.shape());
        Tensor::from_data(data, (&like.device(), like.dtype()))
    }
}

impl Flat for Tensor<1> {
    fn part<const D: usize>(&self, range: Range<usize>, like: &Tensor<D>) -> Tensor<D> {
        let part = self.clone().slice([range]).reshape(like.shape());
        let part = part
            .to_device(&like.device())
            .cast(FloatDType::from(like.dtype()));
        match like.gradient_checkpointing_strategy() {
            Some(strategy) => part
                .autodiff()
                .with_gradient_checkpointing_strategy(strategy),
            None => part,
        }
    }
}

/// Whether numbers of type `wide` lose digits in `narrow`.
fn rounds(narrow: DType, wide: DType) -> bool {
    narrow.size() < wide.size()
}

/// `master` with the module's values where it rounds to others.
fn update<E: Element>(master: &mut [E], data: TensorData) -> Result<(), BridgeError> {
    let dtype = data.dtype();
    let cast = |data: TensorData| {
        let data = data.try_cast_as::<E>();
        data.map_err(|error| BridgeError::Read(error.into()))
    };
    let values = cast(data)?;
    let values = entries(&values)?;
    if !rounds(dtype, E::dtype()) {
        master.copy_from_slice(values);
        return Ok(());
    }
    // Rounded as `Flat::part` rounds what it writes.
    let rounded = TensorData::new(master.to_vec(), [master.len()]).try_cast(dtype);
    let rounded = cast(rounded.map_err(|error| BridgeError::Read(error.into()))?)?;
    for ((master, value), rounded) in master.iter_mut().zip(values).zip(entries(&rounded)?) {
        if !ElementEq::eq(value, rounded) {
            *master = *value;
        }
    }
    Ok(())
}

/// The same on the device of `part`, the module's values.
fn updated(master: Tensor<1>, part: Tensor<1>) -> Tensor<1> {
    let (narrow, wide) = (part.dtype(), master.dtype());
    let master = master.to_device(&part.device());
    let changed = master
        .clone()
        .cast(FloatDType::from(narrow))
        .not_equal(part.clone());
    master.mask_where(changed, part.cast(FloatDType::from(wide)))
}

/// `part` without autodiff, on `device`, in `dtype`.
fn on(part: Tensor<1>, device: &Device, dtype: FloatDType) -> Tensor<1> {
    part.to_device(&device.clone().without_autodiff())
        .cast(dtype)
}

/// The parts one after another. (Empty ones are left out: not every device takes them.)
fn join(parts: impl Iterator<Item = Tensor<1>>, device: &Device, dtype: FloatDType) -> Tensor<1> {
    let parts: Vec<_> = parts.filter(|part| part.dims()[0] > 0).collect();
    match parts.is_empty() {
        true => Tensor::zeros([0], (device, dtype.into())),
        false => Tensor::cat(parts, 0),
    }
}

/// Entries that are read in one transaction: an asynchronous device is waited for a few times, and the copies that Burn
/// makes of shared tensors on a CPU stay in cache.
const TOGETHER: usize = 1 << 18;

/// Hands the entries of each tensor to `take`, with the tensor's index.
fn read(
    tensors: Vec<Tensor<1>>,
    mut take: impl FnMut(usize, TensorData) -> Result<(), BridgeError>,
) -> Result<(), BridgeError> {
    let mut tensors = tensors.into_iter().enumerate().peekable();
    while let Some((first, tensor)) = tensors.next() {
        let mut entries = tensor.dims()[0];
        let mut transaction = Transaction::default().register(tensor);
        while let Some((_, tensor)) =
            tensors.next_if(|(_, tensor)| entries + tensor.dims()[0] <= TOGETHER)
        {
            entries += tensor.dims()[0];
            transaction = transaction.register(tensor);
        }
        let values = transaction.try_execute();
        let values = values.map_err(|error| BridgeError::Read(error.into()))?;
        for (index, data) in (first..).zip(values) {
            take(index, data)?;
        }
    }
    Ok(())
}

fn append<E: Element>(flat: &mut Vec<E>, data: TensorData) -> Result<(), BridgeError> {
    let data = data.try_cast_as::<E>();
    let data = data.map_err(|error| BridgeError::Read(error.into()))?;
    flat.extend_from_slice(entries(&data)?);
    Ok(())
}

fn entries<E: Element>(data: &TensorData) -> Result<&[E], BridgeError> {
    let values = data.as_slice::<E>();
    values.map_err(|error| BridgeError::Read(error.into()))
}

#[derive(Default)]
struct LayoutVisitor {
    path: Vec<String>,
    slots: Vec<Slot>,
    slot_of: HashMap<ParamId, usize>,
    len: usize,
    conflict: Option<BridgeError>,
}

impl ModuleVisitor for LayoutVisitor {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let (path, shape) = (self.path.join("."), param.shape().to_vec());
        if let Some(&slot) = self.slot_of.get(&param.id) {
            let slot = &mut self.slots[slot];
            slot.tied = true;
            if slot.shape != shape {
                self.conflict = Some(BridgeError::ConflictingShapes {
                    first: slot.path.clone(),
                    second: path,
                });
            }
            return;
        }
        self.slot_of.insert(param.id, self.slots.len());
        let slot = Slot {
            path,
            id: param.id,
            shape,
            offset: self.len,
            tied: false,
        };
        self.len += slot.len();
        self.slots.push(slot);
    }
}

/// Follows a module's visit along a layout and notes the first difference.
struct Cursor<'a> {
    layout: &'a FlatLayout,
    next: usize,
    mismatch: Option<BridgeError>,
}

impl<'a> Cursor<'a> {
    fn new(layout: &'a FlatLayout) -> Self {
        Self {
            layout,
            next: 0,
            mismatch: None,
        }
    }

    /// The slot that `param` fills; `None` for a parameter that isn't trained and for one already seen.
    fn slot<const D: usize>(&mut self, param: &Param<Tensor<D>>) -> Option<(usize, &'a Slot)> {
        if !param.is_require_grad() || self.mismatch.is_some() {
            return None;
        }
        let index = self.next;
        let expected = self.layout.slots.get(index);
        match expected {
            Some(slot) if slot.id == param.id => {
                if slot.shape != *param.shape() {
                    self.mismatch = mismatch(&slot.path, "its shape has changed");
                    return None;
                }
                self.next += 1;
                Some((index, slot))
            }
            _ => {
                let seen = &self.layout.slots[..index];
                if !seen.iter().any(|slot| slot.tied && slot.id == param.id) {
                    let path = expected.map_or("the end of the module", |slot| &slot.path);
                    self.mismatch = mismatch(path, "another parameter stands there");
                }
                None
            }
        }
    }

    fn finish(self) -> Result<(), BridgeError> {
        let missing = self.layout.slots.get(self.next);
        let error = self.mismatch.or_else(|| {
            missing.and_then(|slot| {
                mismatch(&slot.path, "it is missing or does not require a gradient")
            })
        });
        error.map_or(Ok(()), Err)
    }
}

fn mismatch(path: &str, reason: &'static str) -> Option<BridgeError> {
    Some(BridgeError::LayoutMismatch {
        path: path.to_owned(),
        reason,
    })
}

struct Check<'a>(Cursor<'a>);

impl ModuleVisitor for Check<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.slot(param);
    }
}

struct ReadParameters<'a> {
    cursor: Cursor<'a>,
    values: Vec<Tensor<1>>,
}

impl ModuleVisitor for ReadParameters<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some((_, slot)) = self.cursor.slot(param) {
            let value = param.base().inner();
            self.values.push(value.reshape([slot.len()]));
        }
    }
}

struct ReadGradients<'a> {
    cursor: Cursor<'a>,
    gradients: GradientsParams,
    values: Vec<Tensor<1>>,
    /// Index of each gradient's slot.
    reached: Vec<usize>,
    mismatch: Option<BridgeError>,
}

impl ModuleVisitor for ReadGradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some((index, slot)) = self.cursor.slot(param) else {
            return;
        };
        // Taken out of the container, a gradient is the only handle to its memory and is read without a copy.
        let Some(gradient) = self.gradients.remove::<D>(slot.id) else {
            return;
        };
        if gradient.shape().as_slice() != slot.shape {
            self.mismatch.get_or_insert(BridgeError::GradientShape {
                path: slot.path.clone(),
                expected: slot.shape.clone(),
                found: gradient.shape().to_vec(),
            });
            return;
        }
        self.values.push(gradient.reshape([slot.len()]));
        self.reached.push(index);
    }
}

struct WriteGradients<'a, F: ?Sized> {
    cursor: Cursor<'a>,
    gradient: &'a F,
    gradients: GradientsParams,
}

impl<F: Flat + ?Sized> ModuleVisitor for WriteGradients<'_, F> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some((_, slot)) = self.cursor.slot(param) {
            let value = self.gradient.part(slot.range(), &param.base().inner());
            self.gradients.register(slot.id, value);
        }
    }
}

struct WriteParameters<'a, F: ?Sized> {
    cursor: Cursor<'a>,
    values: &'a F,
    /// Tied parameters share one leaf of the autodiff graph, so that their gradients add up.
    tied: HashMap<ParamId, Box<dyn Any>>,
}

impl<F: Flat + ?Sized> WriteParameters<'_, F> {
    fn value<const D: usize>(&mut self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        let Some((_, slot)) = self.cursor.slot(param) else {
            let leaf = self.tied.get(&param.id)?;
            return leaf.downcast_ref::<Tensor<D>>().cloned();
        };
        let like = param.base();
        let value = self.values.part(slot.range(), &like).require_grad();
        let value = if like.is_distributed() {
            value.set_distributed(slot.id)
        } else {
            value
        };
        if slot.tied {
            self.tied.insert(slot.id, Box::new(value.clone()));
        }
        Some(value)
    }
}

impl<F: Flat + ?Sized> ModuleMapper for WriteParameters<'_, F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.value(&param) {
            Some(value) => param.map(|_| value),
            None => param,
        }
    }
}
