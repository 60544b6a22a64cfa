//! The parts of the program `fosi`: data sets, settings, training runs, and what is reported about them.

#![warn(missing_debug_implementations)]

pub mod cli;
pub mod commands;
pub mod config;
pub mod curves;
pub mod data;
pub mod dry_run;
mod files;
pub mod interrupt;
pub mod models;
pub mod names;
pub mod optimizers;
pub mod plot;
pub mod progress;
pub mod quadratic;
pub mod runs;
pub mod summary;
pub mod tasks;
pub mod train;

/// The README's example that stands for itself is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
