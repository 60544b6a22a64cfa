//! The library of the program `fosi`: data sets, settings, training runs and reports.
//!
//! Modules import only modules above them:
//!
//! | modules | subject |
//! |---|---|
//! | [`names`], `files`, [`interrupt`] | names and files that users give, Ctrl-C |
//! | [`data`], [`models`], [`optimizers`] | data sets, models and optimizers |
//! | [`problems`] | functions to minimise to convergence |
//! | [`config`] | the settings of a run |
//! | [`runs`] | a run's folder: records, metrics, checkpoints |
//! | [`train`] | the training loop |
//! | [`parallel`] | the training loop on several processes |
//! | [`tasks`] | the paper's tasks through Burn |
//! | [`dry_run`], [`plot`], [`summary`], [`verdict`], [`curves`], [`html`], [`quadratic`], [`solve`], [`pays`], [`stale`], [`curvature`], [`spectrum`] | reports and figures |
//! | [`progress`], [`cli`], [`commands`], [`program`] | progress display and command line |

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
pub mod parallel;
pub mod pays;
pub mod plot;
pub mod problems;
pub mod program;
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

/// The README's self-contained example is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
