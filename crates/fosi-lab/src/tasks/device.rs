//! Burn's device by its name.

use burn::tensor::Device;

use crate::config::DeviceName;

/// The device `name`; the settings have been checked against what the program was built with.
pub(super) fn device(name: DeviceName) -> Device {
    match name {
        #[cfg(feature = "cuda")]
        DeviceName::Cuda => Device::cuda(0),
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu => Device::wgpu(Default::default()),
        _ => Device::flex(),
    }
}
