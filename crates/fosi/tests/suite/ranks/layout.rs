//! How vectors lie on the ranks.

use std::sync::Arc;

use fosi::base::Base;
use fosi::communicator::Communicator;
use fosi::{Distributed, Fosi};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layout {
    Replicated,
    Sharded,
}

pub const LAYOUTS: [Layout; 2] = [Layout::Replicated, Layout::Sharded];

impl Layout {
    /// The optimizer on the ranks of the communicator.
    pub fn put<S: Distributed, B: Base<S>>(
        self,
        optimizer: Fosi<S, B>,
        communicator: Arc<dyn Communicator>,
        parameters: &mut S::Vector,
    ) -> Fosi<S, B> {
        match self {
            Self::Replicated => optimizer.data_parallel(communicator, parameters),
            Self::Sharded => optimizer.sharded(communicator, parameters),
        }
        .unwrap()
    }
}
