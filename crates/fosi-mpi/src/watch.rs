//! Warnings about collectives that wait long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Watches one rank's collectives from a separate thread, which does not call MPI.
#[derive(Debug)]
pub(crate) struct Watch {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    step: u64,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    collective: &'static str,
    numbers: usize,
    since: Instant,
    /// The number of warnings so far.
    said: u32,
}

impl Watch {
    /// `patience` is the time until the first warning about a collective, and between its warnings.
    pub(crate) fn start(rank: usize, patience: Duration) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let watched = Arc::downgrade(&state);
        // If the thread cannot start, only the warnings are lost.
        let _ = std::thread::Builder::new()
            .name("fosi-mpi watch".into())
            .spawn(move || watch(&watched, rank, patience));
        Self { state }
    }

    pub(crate) fn at(&self, step: u64) {
        lock(&self.state).step = step;
    }

    /// Does the `work` of a collective of `numbers` numbers.
    pub(crate) fn during<R>(
        &self,
        collective: &'static str,
        numbers: usize,
        work: impl FnOnce() -> R,
    ) -> R {
        lock(&self.state).waiting = Some(Waiting {
            collective,
            numbers,
            since: Instant::now(),
            said: 0,
        });
        let done = work();
        lock(&self.state).waiting = None;
        done
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Checks the state until the communicator is dropped.
fn watch(state: &Weak<Mutex<State>>, rank: usize, patience: Duration) {
    let pause = (patience / 4).clamp(Duration::from_millis(10), Duration::from_secs(1));
    loop {
        std::thread::sleep(pause);
        let Some(state) = state.upgrade() else {
            return;
        };
        let mut state = lock(&state);
        let step = state.step;
        let Some(waiting) = &mut state.waiting else {
            continue;
        };
        let waited = waiting.since.elapsed();
        if waited > patience * (waiting.said + 1) {
            waiting.said += 1;
            let (collective, numbers) = (waiting.collective, waiting.numbers);
            let seconds = waited.as_secs();
            tracing::warn!(
                rank,
                step,
                collective,
                numbers,
                seconds,
                "waits for other ranks"
            );
        }
    }
}
