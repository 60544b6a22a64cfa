//! Batches prepared in advance on another thread.

use std::iter::FusedIterator;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

/// The items `make(0)`, `make(1)`, …, computed by another thread, in this order.
///
/// The thread keeps at most `ahead` finished items waiting, besides the one in progress. Dropping the iterator ends the
/// thread. A panic in `make` resurfaces in [`next`](Iterator::next) at the item concerned.
///
/// ```
/// use fosi_lab::data::Prefetch;
///
/// let squares = Prefetch::new(5, 1, |index| index * index)?;
/// assert_eq!(squares.collect::<Vec<_>>(), [0, 1, 4, 9, 16]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the items are made for the one who iterates"]
pub struct Prefetch<T> {
    /// `None` once the items are no longer needed.
    items: Option<Receiver<T>>,
    thread: Option<JoinHandle<()>>,
    /// The number of remaining items.
    left: usize,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts the thread, which computes `count` items and keeps at most `ahead` of them waiting.
    ///
    /// # Errors
    /// The system's error if no thread can be started.
    pub fn new(
        count: usize,
        ahead: usize,
        make: impl Fn(usize) -> T + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, items) = sync_channel(ahead);
        let work = move || {
            for index in 0..count {
                // An error means that the iterator was dropped.
                if sender.send(make(index)).is_err() {
                    break;
                }
            }
        };
        let thread = Builder::new().name("prefetch".to_owned()).spawn(work)?;
        Ok(Self {
            items: Some(items),
            thread: Some(thread),
            left: count,
        })
    }
}

impl<T> Iterator for Prefetch<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.left == 0 {
            return None;
        }
        if let Ok(item) = self.items.as_ref()?.recv() {
            self.left -= 1;
            return Some(item);
        }
        // Only a panic ends the thread early.
        self.left = 0;
        match self.thread.take()?.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => None,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for Prefetch<T> {}
impl<T> FusedIterator for Prefetch<T> {}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        // Closes the channel first, so that the thread does not wait while it is joined.
        self.items = None;
        if let Some(thread) = self.thread.take() {
            // A panic for an item that was never requested is ignored.
            let _ = thread.join();
        }
    }
}
