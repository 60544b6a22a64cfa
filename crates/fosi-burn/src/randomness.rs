//! Random numbers, such as dropout masks, that a loss draws from its devices' generators.

use std::cell::Cell;
use std::sync::{PoisonError, RwLock};

use burn::tensor::{Device, Distribution, Int, Tensor};

use fosi::Ranks;

use crate::error::BridgeError;

/// A process has one generator per device. While a thread evaluates a loss with fixed random numbers, no step or
/// refresh of another thread may draw from it.
static GENERATORS: RwLock<()> = RwLock::new(());

thread_local! {
    /// Whether this thread holds the lock, since a loss may itself train another module.
    static HELD: Cell<bool> = const { Cell::new(false) };
}

/// Resets [`HELD`] on drop, also on a panic.
struct Held;

impl Held {
    fn begin() -> Option<Self> {
        (!HELD.replace(true)).then_some(Self)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(false);
    }
}

/// Evaluates a loss with the generators' next numbers, at a time when no other thread has fixed them.
pub(crate) fn with_next_numbers<T>(evaluate: impl FnOnce() -> T) -> T {
    let Some(_held) = Held::begin() else {
        return evaluate();
    };
    let _turn = GENERATORS.read().unwrap_or_else(PoisonError::into_inner);
    evaluate()
}

/// Random numbers that are the same at every evaluation.
#[derive(Debug, Clone)]
pub(crate) struct FixedNumbers {
    devices: Vec<Device>,
    seed: u64,
}

impl FixedNumbers {
    /// The numbers of `seed`.
    pub(crate) fn new(devices: Vec<Device>, seed: u64) -> Self {
        Self { devices, seed }
    }

    /// The numbers of a seed drawn from the first device's generator.
    pub(crate) fn draw(devices: Vec<Device>) -> Result<Self, BridgeError> {
        let seed = with_next_numbers(|| next_seed(&devices))?;
        Ok(Self::new(devices, seed))
    }

    /// Evaluates a loss with these numbers. Afterwards the generators continue from a seed drawn from them before, so
    /// later numbers depend only on that seed and are independent of the numbers here.
    pub(crate) fn evaluate<T>(&self, evaluate: impl FnOnce() -> T) -> Result<T, BridgeError> {
        let held = Held::begin();
        let _turn = held
            .is_some()
            .then(|| GENERATORS.write().unwrap_or_else(PoisonError::into_inner));
        let next = next_seed(&self.devices)?;
        self.seed_devices(self.seed);
        let value = evaluate();
        self.seed_devices(next);
        Ok(value)
    }

    fn seed_devices(&self, seed: u64) {
        for device in &self.devices {
            device.seed(seed);
        }
    }
}

/// Gives each rank's devices a random stream of its own, which follows from the next numbers of rank 0.
pub(crate) fn split(ranks: &Ranks, devices: &[Device]) -> Result<(), BridgeError> {
    let own = with_next_numbers(|| next_seed(devices));
    // As many bits as a number that the ranks exchange holds exactly.
    let bits = own.as_ref().map_or(0, |seed| seed >> 16);
    let mut seed = [bits as f64];
    ranks.agree(&mut seed);
    own?;
    let stream = (ranks.rank() as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for device in devices {
        device.seed(seed[0] as u64 ^ stream);
    }
    Ok(())
}

/// 64 bits from the generator of the first device.
fn next_seed(devices: &[Device]) -> Result<u64, BridgeError> {
    let device = devices.first().cloned().unwrap_or_default();
    let words = Tensor::<1, Int>::random(
        [4],
        Distribution::Uniform(0.0, 65536.0),
        &device.without_autodiff(),
    );
    let words = words.try_into_vec_as::<i64>()?;
    Ok(words
        .iter()
        .fold(0, |seed, word| seed << 16 | (*word as u64 & 0xFFFF)))
}
