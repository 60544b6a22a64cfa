//! The float type of a module, and the conversion of inputs to it.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};

/// The precision of gradients for Hessian-vector products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Single precision: for devices without f64, and smooth activations.
    F32,
    /// Double precision, the default. It allows steps so small that they rarely cross ReLU kinks.
    #[default]
    F64,
}

impl Precision {
    /// Whether `device` computes in this precision.
    ///
    /// A device may store f64 but evaluate functions in f32, as GPUs do through Vulkan; differences with steps of 1e-9
    /// would then be noise. A few functions are therefore tested.
    pub fn supported_by(self, device: &Device) -> bool {
        match self {
            Self::F32 => true,
            Self::F64 => device.supports_dtype(self.dtype()) && computes_in_double(device),
        }
    }

    /// f64 if all devices compute in f64; otherwise f32, with a warning.
    pub(crate) fn best(devices: &[Device], in_double: impl Fn(&Device) -> bool) -> Self {
        if devices.iter().all(in_double) {
            return Self::F64;
        }
        tracing::warn!("a device of the module doesn't compute in f64: products are taken in f32");
        Self::F32
    }

    /// The unit roundoff u.
    pub fn roundoff(self) -> f64 {
        match self {
            Self::F32 => f64::from(f32::EPSILON) / 2.0,
            Self::F64 => f64::EPSILON / 2.0,
        }
    }

    /// Burn's name for the type.
    pub fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::F64 => FloatDType::F64,
        }
    }
}

fn computes_in_double(device: &Device) -> bool {
    let device = device.clone().without_autodiff();
    let points = [0.3, 0.7, 1.9];
    let data = TensorData::new(points.to_vec(), [points.len()]);
    let x = Tensor::<1>::from_data(data, (&device, DType::F64));
    let square = x.clone().unsqueeze::<2>();
    let product = square.clone().transpose().matmul(square).sum();
    let found = [
        x.clone().exp(),
        x.clone().tanh(),
        x.clone().log(),
        x.sqrt(),
        product,
    ];
    let sum: f64 = points.iter().sum();
    let expected = [f64::exp, f64::tanh, f64::ln, f64::sqrt].map(|f| points.map(f).to_vec());
    let expected = expected.into_iter().chain([vec![sum * sum]]);
    found.into_iter().zip(expected).all(|(found, expected)| {
        found.try_into_vec_as::<f64>().is_ok_and(|found| {
            let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-13 * b.abs();
            found.iter().zip(&expected).all(close)
        })
    })
}

/// The float type of `module`'s first float parameter; `None` if it has none or that one is quantized.
pub fn float_dtype(module: &impl Module) -> Option<FloatDType> {
    struct First(Option<DType>);

    impl ModuleVisitor for First {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.0.is_none() {
                self.0 = Some(param.base().dtype());
            }
        }
    }

    let mut first = First(None);
    module.visit(&mut first);
    first.0.filter(is_plain_float).map(FloatDType::from)
}

/// Casts `input` to the float type of `module`; does nothing if the types agree.
///
/// A loss that is also evaluated on an f64 copy of its module must cast its batch, since Burn does not mix float types:
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use fosi_burn::like_module;
///
/// # let device = Device::flex().autodiff();
/// # let (x, y) = (Tensor::<2>::ones([4, 3], &device), Tensor::<2>::ones([4, 2], &device));
/// let loss = |model: &Linear| {
///     let residual = model.forward(like_module(x.clone(), model)) - like_module(y.clone(), model);
///     residual.square().mean()
/// };
/// # loss(&LinearConfig::new(3, 2).init(&device));
/// ```
pub fn like_module<const D: usize>(input: Tensor<D>, module: &impl Module) -> Tensor<D> {
    match float_dtype(module) {
        Some(dtype) => input.cast(dtype),
        None => input,
    }
}

pub(crate) fn is_plain_float(dtype: &DType) -> bool {
    matches!(
        dtype,
        DType::F64 | DType::F32 | DType::Flex32 | DType::F16 | DType::BF16
    )
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use burn::tensor::Device;
    use tracing::field::{Field, Visit};
    use tracing::{Event, Level, Metadata, Subscriber, span};

    use super::Precision;

    /// Records the levels and messages of events.
    #[derive(Clone, Default)]
    struct Events(Arc<Mutex<Vec<(Level, String)>>>);

    impl Subscriber for Events {
        fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
        fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
        fn event(&self, event: &Event<'_>) {
            struct Message(String);
            impl Visit for Message {
                fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                    if field.name() == "message" {
                        self.0 = format!("{value:?}");
                    }
                }
            }
            let mut message = Message(String::new());
            event.record(&mut message);
            self.0
                .lock()
                .unwrap()
                .push((*event.metadata().level(), message.0));
        }
        fn enter(&self, _span: &span::Id) {}
        fn exit(&self, _span: &span::Id) {}
    }

    #[test]
    fn a_device_without_f64_is_told_of() {
        let devices = [Device::flex(), Device::flex()];
        let chosen = |supports: [bool; 2]| {
            let events = Events::default();
            let answers = Mutex::new(supports.into_iter());
            let precision = tracing::subscriber::with_default(events.clone(), || {
                Precision::best(&devices, |_| answers.lock().unwrap().next().unwrap())
            });
            let events = events.0.lock().unwrap().clone();
            (precision, events)
        };
        assert_eq!(chosen([true, true]), (Precision::F64, vec![]));
        let (precision, events) = chosen([true, false]);
        assert_eq!(precision, Precision::F32);
        assert_eq!(events.len(), 1);
        let (level, message) = &events[0];
        assert_eq!(*level, Level::WARN);
        assert!(message.contains("products are taken in f32"), "{message}");
        // The CPU supports f64.
        assert!(Precision::F64.supported_by(&devices[0]));
    }
}
