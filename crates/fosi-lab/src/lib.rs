//! The parts of the program `fosi`: data sets, settings, training runs, and what is reported about them.
//!
//! Modules import only those above them:
//!
//! | modules | subject |
//! |---|---|
//! | [`names`], `files`, [`interrupt`] | names and files that users give, Ctrl-C |
//! | [`data`], [`models`], [`optimizers`] | what is trained, and by what |
//! | [`problems`] | functions to minimise in full |
//! | [`config`] | the settings of a run |
//! | [`runs`] | a run's folder: records, metrics, checkpoints |
//! | [`train`] | the training loop |
//! | [`tasks`] | the paper's tasks through Burn |
//! | [`dry_run`], [`plot`], [`summary`], [`verdict`], [`curves`], [`html`], [`quadratic`], [`solve`], [`pays`], [`curvature`], [`spectrum`] | reports and figures |
//! | [`progress`], [`cli`], [`commands`] | what the user sees and types |

#![warn(missing_debug_implementations)]

pub mod cli;
pub mod commands;
pub mod config;
pub mod curvature;
pub mod curves;
pub mod data;
pub mod dry_run;
mod files;
pub mod html;
pub mod interrupt;
pub mod models;
pub mod names;
pub mod optimizers;
pub mod pays;
pub mod plot;
pub mod problems;
pub mod progress;
pub mod quadratic;
pub mod runs;
pub mod solve;
pub mod spectrum;
pub mod stale;
pub mod summary;
pub mod tasks;
pub mod train;
pub mod verdict;

/// The README's example that stands for itself is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
