//! Panics that are expected: caught, without a word from the process's panic hook.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// What the hook would have said.
    static REPORT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A panic that was caught.
pub(crate) struct Panic {
    payload: Box<dyn Any + Send>,
    message: String,
    report: String,
}

impl Panic {
    /// The panic's message, empty where it has none.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Goes on with the panic, which the hook hears of now.
    pub(crate) fn resume(self) -> ! {
        if self.report.is_empty() {
            resume_unwind(self.payload)
        }
        panic_any(self.report)
    }
}

/// Runs `f` and catches its panic. The process's panic hook is left out while it runs, on this thread only.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |panic| {
            if QUIET.get() {
                REPORT.replace(panic.to_string());
            } else {
                previous(panic);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    QUIET.set(outer);
    let report = REPORT.take();
    result.map_err(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Panic {
            message: message.unwrap_or_default(),
            payload,
            report,
        }
    })
}
