//! Batches made on another thread, ahead of the one that uses them.

use std::iter::FusedIterator;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Items `make(0)`, `make(1)`, … made by another thread, in this order.
///
/// The thread keeps at most `ahead` finished items waiting, and one that it works on. Dropping the iterator ends it. A
/// panic in `make` comes out of [`next`](Iterator::next), at the item that it would have made.
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
    /// None once the items are no longer wanted.
    items: Option<Receiver<T>>,
    thread: Option<JoinHandle<()>>,
    /// Items still to come.
    left: usize,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts the thread, which makes `count` items and keeps `ahead` of them waiting.
    ///
    /// # Errors
    /// The system's reason for giving no thread.
    pub fn new(
        count: usize,
        ahead: usize,
        make: impl Fn(usize) -> T + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, items) = sync_channel(ahead);
        let work = move || {
            for index in 0..count {
                // An error says that the iterator was dropped.
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
        // Only a panic ends the thread before all items are made.
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
        // First the end of the channel, so that the thread doesn't wait while it is joined.
        self.items = None;
        if let Some(thread) = self.thread.take() {
            // A panic that nobody saw belongs to an item that nobody wanted.
            let _ = thread.join();
        }
    }
}
