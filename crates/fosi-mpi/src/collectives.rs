//! The collectives, in pieces, since MPI counts entries in 32 bits; pieces also keep the copies small.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fosi::communicator::{Communicator, Numbers, shard};
use mpi::collective::SystemOperation;
use mpi::datatype::Equivalence;
use mpi::request;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives as _, Root as _};

use crate::watch::Watch;

/// The ranks of a job, as MPI numbers them.
///
/// A collective that MPI cannot carry out ends the job, which is MPI's default for errors.
#[derive(Debug)]
pub struct Mpi {
    rank: usize,
    size: usize,
    watch: Watch,
    /// Serialises the collectives of several threads.
    turn: Mutex<()>,
}

/// The entries of a piece: 8 MiB of `f64`.
const PIECE: usize = 1 << 20;

/// The exit status of a job that is aborted.
const ABORTED: i32 = 1;

/// The entry types of collectives.
trait Entry: Equivalence + Copy + Default {}
impl Entry for f32 {}
impl Entry for f64 {}

impl Mpi {
    pub(crate) fn world(patience: Duration) -> Self {
        let world = SimpleCommunicator::world();
        let rank = world.rank() as usize;
        Self {
            rank,
            size: world.size() as usize,
            watch: Watch::start(rank, patience),
            turn: Mutex::new(()),
        }
    }

    /// Carries out a collective under the watch.
    fn collective(&self, name: &'static str, numbers: usize, work: impl FnOnce()) {
        let turn = self.turn.lock();
        let _turn = turn.unwrap_or_else(PoisonError::into_inner);
        self.watch.during(name, numbers, work);
    }

    /// Does `work` while a few numbers are summed at the same time.
    fn beside(&self, numbers: &mut [f64], work: impl FnOnce()) {
        if numbers.is_empty() {
            return work();
        }
        let (given, sum) = (numbers.to_vec(), SystemOperation::sum());
        request::scope(|scope| {
            let world = SimpleCommunicator::world();
            let pending = world.immediate_all_reduce_into(scope, &given[..], numbers, sum);
            work();
            pending.wait_without_status();
        });
    }

    fn sum_pieces<T: Entry>(&self, numbers: &mut [T]) {
        let mut given = Vec::with_capacity(PIECE.min(numbers.len()));
        for piece in numbers.chunks_mut(PIECE) {
            given.clear();
            given.extend_from_slice(piece);
            let sum = SystemOperation::sum();
            SimpleCommunicator::world().all_reduce_into(&given[..], piece, sum);
        }
    }

    /// Calls `work` for stretches of the shards, with a stretch's start within a shard and its length, which are the same
    /// for all ranks.
    fn stretches(&self, n: usize, mut work: impl FnMut(usize, usize)) {
        let longest = (PIECE / self.size).max(1);
        let block = shard(n, 0, self.size).len();
        for start in (0..block).step_by(longest) {
            work(start, longest.min(block - start));
        }
    }

    /// The entries of a rank's stretch; at the end of the vector there are fewer.
    fn stretch(&self, n: usize, rank: usize, start: usize, len: usize) -> std::ops::Range<usize> {
        let shard = shard(n, rank, self.size);
        let start = (shard.start + start).min(shard.end);
        start..(start + len).min(shard.end)
    }

    fn reduce_scatter_pieces<T: Entry>(&self, numbers: &mut [T]) {
        let n = numbers.len();
        let (mut given, mut own) = (Vec::new(), Vec::new());
        self.stretches(n, |start, len| {
            given.clear();
            for rank in 0..self.size {
                given.extend_from_slice(&numbers[self.stretch(n, rank, start, len)]);
                given.resize((rank + 1) * len, T::default());
            }
            own.clear();
            own.resize(len, T::default());
            let sum = SystemOperation::sum();
            let world = SimpleCommunicator::world();
            world.reduce_scatter_block_into(&given[..], &mut own[..], sum);
            let range = self.stretch(n, self.rank, start, len);
            let count = range.len();
            numbers[range].copy_from_slice(&own[..count]);
        });
    }

    fn all_gather_pieces<T: Entry>(&self, numbers: &mut [T]) {
        let n = numbers.len();
        let (mut own, mut all) = (Vec::new(), Vec::new());
        self.stretches(n, |start, len| {
            own.clear();
            own.extend_from_slice(&numbers[self.stretch(n, self.rank, start, len)]);
            own.resize(len, T::default());
            all.clear();
            all.resize(len * self.size, T::default());
            SimpleCommunicator::world().all_gather_into(&own[..], &mut all[..]);
            for (rank, given) in all.chunks(len).enumerate() {
                let range = self.stretch(n, rank, start, len);
                let count = range.len();
                numbers[range].copy_from_slice(&given[..count]);
            }
        });
    }

    fn broadcast_pieces<T: Entry>(&self, numbers: &mut [T]) {
        for piece in numbers.chunks_mut(PIECE) {
            SimpleCommunicator::world()
                .process_at_rank(0)
                .broadcast_into(piece);
        }
    }
}

/// Evaluates an expression with `x` bound to numbers of either type.
macro_rules! with_numbers {
    ($numbers:expr, $x:ident => $body:expr) => {
        match $numbers {
            Numbers::F32($x) => $body,
            Numbers::F64($x) => $body,
            other => unimplemented!("MPI carries vectors on the host, not {other:?}"),
        }
    };
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.size
    }
    fn sum(&self, numbers: Numbers<'_>, beside: &mut [f64]) {
        with_numbers!(numbers, x => {
            self.collective("sum", x.len() + beside.len(), || {
                self.beside(beside, || self.sum_pieces(x));
            });
        });
    }
    fn reduce_scatter(&self, numbers: Numbers<'_>, beside: &mut [f64]) {
        with_numbers!(numbers, x => {
            self.collective("reduce_scatter", x.len() + beside.len(), || {
                self.beside(beside, || self.reduce_scatter_pieces(x));
            });
        });
    }
    fn all_gather(&self, numbers: Numbers<'_>) {
        with_numbers!(numbers, x => {
            self.collective("all_gather", x.len(), || self.all_gather_pieces(x));
        });
    }
    fn broadcast(&self, numbers: Numbers<'_>) {
        with_numbers!(numbers, x => {
            self.collective("broadcast", x.len(), || self.broadcast_pieces(x));
        });
    }
    fn abort(&self, reason: &str) -> ! {
        tracing::error!(rank = self.rank, reason, "aborts the job");
        SimpleCommunicator::world().abort(ABORTED)
    }
    fn at(&self, step: u64) {
        self.watch.at(step);
    }
}
