//! Batches made on other threads, ahead of the one that uses them.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Items `make(0)`, `make(1)`, … made by other threads, in this order whatever their number.
///
/// Thread w of N makes the items w, w + N, …, so the order needs no agreement between threads. Each keeps at most
/// `ahead` finished items waiting, and one that it works on. Dropping the iterator ends the threads. A panic in `make`
/// comes out of [`next`](Iterator::next), at the item that it would have made.
///
/// ```
/// use fosi_lab::data::Prefetch;
///
/// let squares = Prefetch::new(5, 2, 1, |index| index * index)?;
/// assert_eq!(squares.collect::<Vec<_>>(), [0, 1, 4, 9, 16]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Prefetch<T> {
    workers: Vec<Worker<T>>,
    next: usize,
    count: usize,
}

struct Worker<T> {
    /// None once the items are no longer wanted.
    items: Option<Receiver<T>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts `threads` threads (at least one, and no more than there are items), which make `count` items and keep
    /// `ahead` of them waiting each.
    ///
    /// What `make` needs, such as the data and the order of the examples, it owns or shares (`Arc`). For results that
    /// don't depend on the number of threads it must depend on its index alone.
    ///
    /// # Errors
    /// The system's reason for giving no thread.
    pub fn new(
        count: usize,
        threads: usize,
        ahead: usize,
        make: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let threads = threads.clamp(1, count.max(1));
        let make = Arc::new(make);
        let start = |first: usize| {
            let make = Arc::clone(&make);
            let (sender, items) = sync_channel(ahead);
            let work = move || {
                for index in (first..count).step_by(threads) {
                    // An error says that the iterator was dropped.
                    if sender.send(make(index)).is_err() {
                        break;
                    }
                }
            };
            let thread = Builder::new().name("prefetch".to_owned()).spawn(work)?;
            Ok(Worker {
                items: Some(items),
                thread: Some(thread),
            })
        };
        Ok(Self {
            workers: (0..threads).map(start).collect::<std::io::Result<_>>()?,
            next: 0,
            count,
        })
    }
}

impl<T> Iterator for Prefetch<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.next == self.count {
            return None;
        }
        let turn = self.next % self.workers.len();
        let worker = &mut self.workers[turn];
        match worker.items.as_ref()?.recv() {
            Ok(item) => {
                self.next += 1;
                Some(item)
            }
            // Only a panic ends a worker before its items are made.
            Err(_) => {
                self.next = self.count;
                match worker.thread.take()?.join() {
                    Err(panic) => resume_unwind(panic),
                    Ok(()) => None,
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count - self.next;
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for Prefetch<T> {}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        // First all ends of the channels, so that no thread waits while another is joined.
        for worker in &mut self.workers {
            worker.items = None;
        }
        for thread in self.workers.iter_mut().filter_map(|w| w.thread.take()) {
            // A panic that nobody saw belongs to an item that nobody wanted.
            let _ = thread.join();
        }
    }
}
