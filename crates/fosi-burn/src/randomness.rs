//! The random numbers that a loss draws from its devices' generators: dropout's masks, noise.

use std::cell::Cell;
use std::sync::{PoisonError, RwLock};

use burn::tensor::{Device, Distribution, Int, Tensor};

use crate::error::BridgeError;

/// A device's generator is one for the process: while a thread evaluates a loss with given random numbers, no other
/// thread's step or refresh may draw from it.
static GENERATORS: RwLock<()> = RwLock::new(());

thread_local! {
    /// Whether this thread holds the lock: a loss may train another module.
    static HELD: Cell<bool> = const { Cell::new(false) };
}

/// Releases what [`HELD`] says, on a panic too.
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

/// Evaluates a loss with the generators' next numbers, while no other thread has them set to numbers of its own.
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
    /// Those of `seed`.
    pub(crate) fn new(devices: Vec<Device>, seed: u64) -> Self {
        Self { devices, seed }
    }

    /// Those of a seed that is the next number of the first device's generator.
    pub(crate) fn draw(devices: Vec<Device>) -> Result<Self, BridgeError> {
        let seed = with_next_numbers(|| next_seed(&devices))?;
        Ok(Self::new(devices, seed))
    }

    /// Evaluates a loss. The generators go on afterwards from a seed that was theirs before: what is drawn next depends on
    /// it alone, and is independent of the numbers here.
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
