//! Burn's devices by name, and whether this machine has them.

use burn::tensor::Device;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use burn::tensor::DeviceType;

use super::TaskError;
use crate::config::DeviceName;

/// The device `name`, which the settings' check ensures that the program was built with.
pub(super) fn device(name: DeviceName) -> Device {
    match name {
        #[cfg(feature = "cuda")]
        DeviceName::Cuda => Device::cuda(0),
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu => Device::wgpu(Default::default()),
        _ => Device::flex(),
    }
}

/// Refuses a device that this machine does not have or that cannot compute.
///
/// # Errors
/// [`TaskError::NoDevice`] with the reason and the available devices.
pub(super) fn check_device(name: DeviceName) -> Result<(), TaskError> {
    let refused = |reason: String| TaskError::NoDevice {
        device: name,
        reason,
        available: available(),
    };
    if found(name) == 0 {
        let missing = match name {
            DeviceName::Cuda => "no NVIDIA driver (libcuda) that knows a GPU was found",
            _ => "no driver for a graphics API (Vulkan, Metal, DirectX) that knows a GPU was found",
        };
        return Err(refused(missing.to_owned()));
    }
    match name {
        DeviceName::Cpu => Ok(()),
        DeviceName::Cuda | DeviceName::Wgpu => probe(name).map_err(refused),
    }
}

/// The number of devices of this kind on this machine.
fn found(name: DeviceName) -> usize {
    match name {
        #[cfg(feature = "cuda")]
        DeviceName::Cuda => Device::enumerate(DeviceType::Cuda).len(),
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu => Device::enumerate(DeviceType::Wgpu).len(),
        DeviceName::Cpu => 1,
        #[allow(unreachable_patterns, reason = "only without all of the features")]
        _ => 0,
    }
}

/// The devices that this program can use on this machine.
fn available() -> Vec<DeviceName> {
    let all = [DeviceName::Cpu, DeviceName::Cuda, DeviceName::Wgpu];
    all.into_iter().filter(|name| found(*name) > 0).collect()
}

/// Adds two numbers on the device. Burn panics if a driver fails; the error is the first line of the panic's message.
fn probe(name: DeviceName) -> Result<(), String> {
    use std::panic::{catch_unwind, set_hook, take_hook};

    use burn::tensor::Tensor;

    let add = move || {
        let sum = Tensor::<1>::ones([2], &device(name)).sum();
        sum.try_into_scalar::<f64>().map_err(|e| e.to_string())
    };
    // Suppresses the panic's output, which would appear next to the error.
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(add);
    set_hook(hook);
    let refused = |what: &str| {
        let line = what.lines().next().unwrap_or_default();
        format!("it can't be used: {line}")
    };
    match outcome {
        Ok(Ok(2.0)) => Ok(()),
        Ok(Ok(other)) => Err(refused(&format!("1 + 1 is {other} there"))),
        Ok(Err(message)) => Err(refused(&message)),
        Err(panic) => Err(match panic.downcast_ref::<String>() {
            Some(message) => refused(message),
            None => refused(
                panic
                    .downcast_ref::<&str>()
                    .copied()
                    .unwrap_or("its driver gave up"),
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_an_error_that_says_which_are() {
        check_device(DeviceName::Cpu).unwrap();
        for name in [DeviceName::Cuda, DeviceName::Wgpu] {
            match check_device(name) {
                Ok(()) => assert!(available().contains(&name)),
                Err(error) => {
                    let message = error.to_string();
                    let start = format!("there is no device for --device {name}: ");
                    assert!(message.starts_with(&start), "{message}");
                    assert!(message.contains("there are: cpu"), "{message}");
                }
            }
        }
    }

    #[test]
    fn what_a_driver_says_when_it_gives_up_is_the_error() {
        assert_eq!(probe(DeviceName::Cpu), Ok(()));
    }
}
