//! What lets settings gain fields without breaking those who write them down.

/// Fills the hidden last field of settings, so that they are written with `..Default::default()`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NonExhaustive(());
