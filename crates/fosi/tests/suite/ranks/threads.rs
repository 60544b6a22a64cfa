//! Ranks as threads of one process, for tests without MPI.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fosi::communicator::{Communicator, Numbers, shard};

/// Where the threads exchange what they give to a collective.
#[derive(Debug, Default)]
struct Meeting {
    state: Mutex<State>,
    met: Condvar,
}

#[derive(Debug, Default)]
struct State {
    given: Vec<(usize, &'static str, Vec<f64>)>,
    all: Arc<Vec<Vec<f64>>>,
    meetings: u64,
    broken: bool,
}

/// One thread's side of it.
#[derive(Debug)]
pub struct Thread {
    rank: usize,
    size: usize,
    meeting: Arc<Meeting>,
}

/// A collective that waits longer than this has lost a rank.
const LONGEST: Duration = Duration::from_secs(60);

impl Thread {
    /// What every rank gives to this collective, in the ranks' order.
    fn exchange(&self, what: &'static str, mine: Vec<f64>) -> Arc<Vec<Vec<f64>>> {
        let mut state = self.lock();
        assert!(!state.broken, "another rank has panicked");
        state.given.push((self.rank, what, mine));
        if state.given.len() == self.size {
            let mut given = std::mem::take(&mut state.given);
            given.sort_by_key(|(rank, ..)| *rank);
            let (_, first, numbers) = &given[0];
            for (rank, what, other) in &given {
                let same = what == first && other.len() == numbers.len();
                state.broken |= !same;
                assert!(same, "rank {rank} is in {what}, rank 0 in {first}");
            }
            state.all = Arc::new(given.into_iter().map(|(.., numbers)| numbers).collect());
            state.meetings += 1;
            self.meeting.met.notify_all();
            return Arc::clone(&state.all);
        }
        let meetings = state.meetings;
        let waiting = |state: &mut State| state.meetings == meetings && !state.broken;
        let (state, wait) = self
            .meeting
            .met
            .wait_timeout_while(state, LONGEST, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            !wait.timed_out(),
            "rank {} waits alone in {what}",
            self.rank
        );
        assert!(state.meetings > meetings, "another rank has panicked");
        Arc::clone(&state.all)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.meeting.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    fn sum_all(&self, what: &'static str, numbers: &mut Numbers<'_>, beside: &mut [f64]) {
        let mut mine = values(numbers);
        mine.extend_from_slice(beside);
        let all = self.exchange(what, mine);
        let single = matches!(numbers, Numbers::F32(_));
        let count = all[0].len() - beside.len();
        let sum = |i: usize| {
            let terms = all.iter().map(|given| given[i]);
            match single && i < count {
                true => f64::from(terms.map(|x| x as f32).sum::<f32>()),
                false => terms.sum(),
            }
        };
        let sums: Vec<f64> = (0..all[0].len()).map(sum).collect();
        set(numbers, &sums[..count]);
        beside.copy_from_slice(&sums[count..]);
    }
}

fn values(numbers: &Numbers<'_>) -> Vec<f64> {
    match numbers {
        Numbers::F32(x) => x.iter().map(|x| f64::from(*x)).collect(),
        Numbers::F64(x) => x.to_vec(),
        _ => unreachable!("vectors on the host"),
    }
}

fn set(numbers: &mut Numbers<'_>, values: &[f64]) {
    match numbers {
        Numbers::F32(x) => x.iter_mut().zip(values).for_each(|(x, v)| *x = *v as f32),
        Numbers::F64(x) => x.copy_from_slice(values),
        _ => unreachable!("vectors on the host"),
    }
}

impl Communicator for Thread {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.size
    }
    fn sum(&self, mut numbers: Numbers<'_>, beside: &mut [f64]) {
        self.sum_all("sum", &mut numbers, beside);
    }
    fn reduce_scatter(&self, mut numbers: Numbers<'_>, beside: &mut [f64]) {
        self.sum_all("reduce_scatter", &mut numbers, beside);
        // What nobody may read.
        let mut all = values(&numbers);
        let own = shard(all.len(), self.rank, self.size);
        for (i, x) in all.iter_mut().enumerate() {
            if !own.contains(&i) {
                *x = f64::NAN;
            }
        }
        set(&mut numbers, &all);
    }
    fn all_gather(&self, mut numbers: Numbers<'_>) {
        let mine = values(&numbers);
        let n = mine.len();
        let all = self.exchange("all_gather", mine);
        let part = |rank: usize| all[rank][shard(n, rank, self.size)].iter().copied();
        let gathered: Vec<f64> = (0..self.size).flat_map(part).collect();
        set(&mut numbers, &gathered);
    }
    fn broadcast(&self, mut numbers: Numbers<'_>) {
        let all = self.exchange("broadcast", values(&numbers));
        set(&mut numbers, &all[0]);
    }
    fn abort(&self, reason: &str) -> ! {
        panic!("{reason}");
    }
}

/// Tells the other threads when this one panics.
struct Alarm(Arc<Meeting>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let state = self.0.state.lock();
            state.unwrap_or_else(PoisonError::into_inner).broken = true;
            self.0.met.notify_all();
        }
    }
}

/// What `work` returns on each of so many ranks.
pub fn on_ranks<R: Send>(size: usize, work: impl Fn(Arc<dyn Communicator>) -> R + Sync) -> Vec<R> {
    let meeting = Arc::new(Meeting::default());
    let work = &work;
    std::thread::scope(|scope| {
        let start = |rank: usize| {
            let meeting = Arc::clone(&meeting);
            scope.spawn(move || {
                let _alarm = Alarm(Arc::clone(&meeting));
                work(Arc::new(Thread {
                    rank,
                    size,
                    meeting,
                }))
            })
        };
        let threads: Vec<_> = (0..size).map(start).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.collect()
    })
}
