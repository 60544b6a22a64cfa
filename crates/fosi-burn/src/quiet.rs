//! Catches expected panics without output of the process's panic hook.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// The output that the hook would have written.
    static REPORT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A caught panic.
pub(crate) struct Panic {
    payload: Box<dyn Any + Send>,
    message: String,
    report: String,
}

impl Panic {
    /// The panic's message; empty if it has none.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Resumes the panic and reports it to the hook.
    pub(crate) fn resume(self) -> ! {
        if self.report.is_empty() {
            resume_unwind(self.payload)
        }
        panic_any(self.report)
    }
}

/// Makes caught panics bypass the hook that is set when an optimizer is first put on several ranks, which usually ends the
/// job at a panic. A hook that is set later is not bypassed.
pub(crate) fn bypass_hook_of_job() {
    static HOOK: Once = Once::new();
    HOOK.call_once(bypass_hook);
}

fn bypass_hook() {
    let previous = take_hook();
    set_hook(Box::new(move |panic| {
        if QUIET.get() {
            REPORT.replace(panic.to_string());
        } else {
            previous(panic);
        }
    }));
}

/// Runs `f` and catches its panic, with the panic hook bypassed on this thread.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(bypass_hook);
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
