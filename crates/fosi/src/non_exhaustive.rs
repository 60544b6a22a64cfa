//! Lets settings gain fields without breaking struct literals.

/// The hidden last field of settings, which requires `..Default::default()` in struct literals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NonExhaustive(());
