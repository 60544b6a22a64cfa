//! The order of a module's trainable parameters in a flat vector, and the check whether a module fits it.

use std::collections::HashMap;
use std::ops::Range;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Tensor};

use crate::error::BridgeError;

/// One trainable parameter's place in the flat vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Path of the parameter in the module, such as `layers.0.weight`.
    pub path: String,
    /// Burn's identity of the parameter in the module that the layout was made from.
    pub id: ParamId,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
    /// Position of its first entry in the flat vector; its entries follow in row-major order.
    pub offset: usize,
    /// Whether further parameters of the module have this id (tied weights).
    pub tied: bool,
}

impl Slot {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the parameter has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slot's range in the flat vector.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// The order of a module's trainable parameters in the flat vector.
///
/// It holds every float parameter that requires a gradient, in the module's own visiting order (the order
/// of its fields); buffers, running statistics and frozen parameters are left out. Parameters with the same
/// id (tied weights: a clone of a [`Param`]) take one slot and stay tied in [`set_parameters`](Self::set_parameters).
///
/// A module fits a layout if the paths and shapes of its parameters and their ties match. Ids need not match, since
/// loading a record changes them.
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
/// let linear = layout.set_parameters(&linear, &doubled[..])?;
/// assert_eq!(layout.parameters::<f32>(&linear)?, doubled);
/// # Ok::<(), fosi_burn::BridgeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlatLayout {
    slots: Vec<Slot>,
    /// All trainable parameters in visiting order, with tied ones at each of their places.
    places: Vec<Place>,
    len: usize,
}

/// A place at which a visit reaches a trainable parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    path: String,
    /// Index of its slot.
    slot: usize,
}

impl FlatLayout {
    /// The layout of `module`.
    ///
    /// # Errors
    ///
    /// [`BridgeError::NothingToTrain`] without a trainable parameter, [`BridgeError::ConflictingShapes`]
    /// where one id stands for two shapes, [`BridgeError::UnsupportedType`] for a parameter, trainable or not, in f16 or
    /// bf16 on a device that does not compute in that type, as devices through WGSL do not in bf16.
    pub fn of<M: Module>(module: &M) -> Result<Self, BridgeError> {
        let mut visitor = LayoutVisitor::default();
        module.visit(&mut visitor);
        if let Some(error) = visitor.refusal {
            return Err(error);
        }
        if visitor.slots.is_empty() {
            return Err(BridgeError::NothingToTrain);
        }
        Ok(Self {
            slots: visitor.slots,
            places: visitor.places,
            len: visitor.len,
        })
    }

    /// Number of trainable parameters n, the length of every flat vector.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether n is 0.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The parameters in the order of the flat vector.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Checks that `module` has exactly these trainable parameters.
    ///
    /// # Errors
    ///
    /// [`BridgeError::LayoutMismatch`], which names the first difference.
    pub fn check(&self, module: &impl Module) -> Result<(), BridgeError> {
        let mut visitor = Check(Cursor::new(self));
        module.visit(&mut visitor);
        visitor.0.finish().map(drop)
    }

    /// The ids of `module` for each slot.
    pub(crate) fn ids(&self, module: &impl Module) -> Result<Vec<ParamId>, BridgeError> {
        let mut visitor = Check(Cursor::new(self));
        module.visit(&mut visitor);
        let Cursor { ids, .. } = visitor.0.finish()?;
        Ok(ids)
    }

    pub(super) fn check_len(&self, what: &'static str, found: usize) -> Result<(), BridgeError> {
        if found == self.len {
            return Ok(());
        }
        Err(BridgeError::LengthMismatch {
            what,
            expected: self.len,
            found,
        })
    }

    /// Paths and shapes of all parameters; a checkpoint with another signature is refused.
    pub(crate) fn signature(&self) -> String {
        let slot = |slot: &Slot| format!("{} {:?}", slot.path, slot.shape);
        let slots: Vec<String> = self.slots.iter().map(slot).collect();
        slots.join(", ")
    }
}

#[derive(Default)]
struct LayoutVisitor {
    path: Vec<String>,
    slots: Vec<Slot>,
    places: Vec<Place>,
    slot_of: HashMap<ParamId, usize>,
    len: usize,
    refusal: Option<BridgeError>,
}

impl LayoutVisitor {
    /// Refuses a parameter in half precision on a device that does not compute in it.
    fn check_type<const D: usize>(&mut self, value: &Tensor<D>) {
        let dtype = value.dtype();
        let is_half = matches!(dtype, DType::F16 | DType::BF16);
        if is_half && self.refusal.is_none() && !value.device().supports_dtype(dtype) {
            self.refusal = Some(BridgeError::UnsupportedType {
                path: self.path.join("."),
                dtype: dtype.name().to_owned(),
            });
        }
    }
}

impl ModuleVisitor for LayoutVisitor {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.check_type(&param.base());
        if !param.is_require_grad() {
            return;
        }
        let (path, shape) = (self.path.join("."), param.shape().to_vec());
        let known = self.slot_of.get(&param.id).copied();
        self.places.push(Place {
            path: path.clone(),
            slot: known.unwrap_or(self.slots.len()),
        });
        if let Some(slot) = known {
            let slot = &mut self.slots[slot];
            slot.tied = true;
            if slot.shape != shape {
                self.refusal = Some(BridgeError::ConflictingShapes {
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

/// Follows a module's visit along a layout and records the first difference.
pub(super) struct Cursor<'a> {
    layout: &'a FlatLayout,
    path: Vec<String>,
    /// The number of places passed.
    next: usize,
    /// The module's ids for the slots passed.
    ids: Vec<ParamId>,
    mismatch: Option<BridgeError>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(layout: &'a FlatLayout) -> Self {
        Self {
            layout,
            path: Vec::new(),
            next: 0,
            ids: Vec::with_capacity(layout.slots.len()),
            mismatch: None,
        }
    }

    pub(super) fn enter(&mut self, name: &str) {
        self.path.push(name.to_owned());
    }

    pub(super) fn exit(&mut self) {
        self.path.pop();
    }

    /// The slot of `param`; `None` for a parameter that is not trained or was visited before.
    pub(super) fn slot<const D: usize>(&mut self, param: &Param<Tensor<D>>) -> Option<&'a Slot> {
        if !param.is_require_grad() || self.mismatch.is_some() {
            return None;
        }
        let found = self.path.join(".");
        let layout = self.layout;
        let Some(place) = layout
            .places
            .get(self.next)
            .filter(|place| place.path == found)
        else {
            self.mismatch = mismatch(&found, "the layout has no trainable parameter there");
            return None;
        };
        let slot = &layout.slots[place.slot];
        let reason = match self.ids.get(place.slot) {
            Some(id) if *id != param.id => Some("it is no longer tied to the parameter before it"),
            None if self.ids.contains(&param.id) => Some("it is tied to another parameter"),
            _ if slot.shape != *param.shape() => Some("its shape has changed"),
            _ => None,
        };
        if let Some(reason) = reason {
            self.mismatch = mismatch(&found, reason);
            return None;
        }
        self.next += 1;
        let first = place.slot == self.ids.len();
        first.then(|| {
            self.ids.push(param.id);
            slot
        })
    }

    /// Ends the visit; an error at the first difference.
    pub(super) fn finish(mut self) -> Result<Self, BridgeError> {
        let missing = self.layout.places.get(self.next);
        let error = self.mismatch.take().or_else(|| {
            missing.and_then(|place| {
                mismatch(&place.path, "it is missing or does not require a gradient")
            })
        });
        error.map_or(Ok(self), Err)
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
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.0.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.0.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.slot(param);
    }
}
