//! Preparing batches in advance on another thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use fosi_lab::data::{Batch, Batches, Dataset, Prefetch};

#[test]
fn items_come_in_order() {
    for ahead in [0, 1, 5] {
        let items = Prefetch::new(40, ahead, |index| index).unwrap();
        assert_eq!(items.len(), 40);
        assert!(items.eq(0..40), "{ahead} ahead");
    }
    assert_eq!(Prefetch::new(0, 1, |i| i).unwrap().next(), None);
}

#[test]
fn seeded_batches_are_those_made_in_place() {
    let data = Arc::new(Dataset {
        name: "hundred".into(),
        features: (0..200).map(|i| i as f32).collect(),
        labels: (0..100).collect(),
        dim: 2,
        classes: 100,
    });
    let batches = Batches::new(data.len(), 8, 11);
    let order = batches.order(3);
    let expected: Vec<Batch> = order.chunks(8).map(|batch| data.gather(batch)).collect();
    let make = move |index: usize| {
        let end = order.len().min(8 * index + 8);
        data.gather(&order[8 * index..end])
    };
    let found = Prefetch::new(batches.per_epoch(), 2, make).unwrap();
    assert!(found.eq(expected));
}

/// Items are made by another thread while this one is busy, but no more than allowed.
#[test]
fn no_more_items_are_made_than_may_wait() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let (started, first) = mpsc::channel();
    let here = thread::current().id();
    let mut items = Prefetch::new(1000, 3, move |index| {
        assert_ne!(thread::current().id(), here);
        count.fetch_add(1, Ordering::SeqCst);
        let _ = started.send(index);
    })
    .unwrap();
    // The thread may have made three waiting items and one that does not fit.
    for _ in 0..4 {
        first.recv_timeout(Duration::from_secs(60)).unwrap();
    }
    assert!(first.recv_timeout(Duration::from_millis(50)).is_err());
    assert_eq!(made.load(Ordering::SeqCst), 4);
    items.next();
    first.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(first.recv_timeout(Duration::from_millis(50)).is_err());
    drop(items);
    assert_eq!(Arc::strong_count(&made), 1, "the thread has ended");
}

#[test]
fn errors_are_items_and_panics_come_out_in_their_turn() {
    let results = Prefetch::new(4, 1, |i| if i == 2 { Err(i) } else { Ok(i) }).unwrap();
    assert_eq!(results.collect::<Vec<_>>(), [Ok(0), Ok(1), Err(2), Ok(3)]);

    let mut items = Prefetch::new(9, 2, |index| {
        assert_ne!(index, 4, "item four");
        index
    })
    .unwrap();
    assert!(items.by_ref().take(4).eq(0..4));
    let panic = catch_unwind(AssertUnwindSafe(|| items.next())).unwrap_err();
    assert!(
        panic
            .downcast_ref::<String>()
            .unwrap()
            .contains("item four")
    );
    assert_eq!(items.next(), None);
}
