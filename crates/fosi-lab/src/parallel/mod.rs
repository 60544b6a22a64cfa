//! One run on several processes. Rank 0 runs the program as it would alone, with all files and the display; each of its
//! calls to a workload or trainer is repeated by the other ranks on theirs, which have the same data and settings.

mod follower;
mod leader;
mod message;

pub use follower::follow;
pub use leader::{Leader, end};
