//! The float type of a module, and inputs that follow it.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};

/// The precision in which gradients are taken for curvature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Single precision: for devices without f64, and smooth activations.
    F32,
    /// Double precision, the default: a step small enough not to cross the kinks of ReLU needs it.
    #[default]
    F64,
}

impl Precision {
    /// Whether `device` computes in this precision.
    ///
    /// A device may hold numbers in f64 and still take their functions in f32, as GPUs do through Vulkan: differences at
    /// steps of 1e-9 would be noise. So a few functions are tried.
    pub fn on(self, device: &Device) -> bool {
        match self {
            Self::F32 => true,
            Self::F64 => device.supports_dtype(self.dtype()) && computes_in_double(device),
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

/// The float type of `module`: that of its first float parameter; `None` where it has no float parameter
/// or that one is quantized.
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

/// `input` in the float type of `module`; no work where it has it already.
///
/// A loss that is also evaluated on the f64 copy of its module casts its batch with it, since Burn doesn't mix
/// float types:
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
