//! Settings of a minimisation.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::estimation::Count;
use super::stopping::Limits;
use crate::error::{Error, require};
use crate::non_exhaustive::NonExhaustive;
use crate::ranks::Ranks;

/// Settings of [`minimize`](super::minimize).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Stop where ‖∇f‖ is at most this; default 1e-6.
    pub gradient_norm: f64,
    /// Stop where ‖∇f‖ is at most this fraction of its first value; default 0.
    pub relative_gradient_norm: f64,
    /// Stop when a step changes f by at most this fraction of |f|; default 0, never.
    pub value_change: f64,
    /// Stop after this many units of cost: gradients, those of difference quotients included, and exact products;
    /// default 10,000.
    pub max_cost: u64,
    /// Stop after this many steps; default never.
    pub max_steps: u64,
    /// Stop after this much wall time; default never. An estimation checks it before every product.
    pub max_time: Option<Duration>,
    /// Pairs of L-BFGS, at most 10,000; default 20.
    pub memory: usize,
    /// Eigenpairs of the metric; default: the resolved ones, at most 50.
    pub eigenpairs: Count,
    /// m: Lanczos steps per estimation; default 60. If n ≤ 2m, n steps: the whole spectrum. An estimation needs memory
    /// for m + k vectors.
    pub lanczos_steps: usize,
    /// Units of cost before the first estimation; default min{60, 3m}; [`u64::MAX`] for no estimation.
    pub first_estimation: Option<u64>,
    /// A lower bound of f, such as 0 for a sum of squares. Progress is measured by log(f − bound) or, by default
    /// without a bound, by log ‖∇f‖².
    pub lower_bound: Option<f64>,
    /// Whether the first gradient is compared with differences of f along three random directions (at least 7
    /// evaluations, not counted as cost); default true.
    pub check_gradient: bool,
    /// Whether the curvature is examined where the run would stop at rest, to escape from saddles; its products do not
    /// count as cost; default false.
    pub check_minimum: bool,
    /// Seed of Lanczos' start vectors; default 0.
    pub seed: u64,
    #[doc(hidden)]
    #[serde(skip)]
    pub non_exhaustive: NonExhaustive,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            gradient_norm: 1e-6,
            relative_gradient_norm: 0.0,
            value_change: 0.0,
            max_cost: 10_000,
            max_steps: u64::MAX,
            max_time: None,
            memory: 20,
            eigenpairs: Count::Resolved(50),
            lanczos_steps: 60,
            first_estimation: None,
            lower_bound: None,
            check_gradient: true,
            check_minimum: false,
            seed: 0,
            non_exhaustive: NonExhaustive::default(),
        }
    }
}

impl Options {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            gradient_norm: self.gradient_norm,
            relative_gradient_norm: self.relative_gradient_norm,
            value_change: self.value_change,
            max_cost: self.max_cost,
            max_steps: self.max_steps,
            max_time: self.max_time,
        }
    }

    /// Products per estimation: m, or n if n ≤ 2m, since n products give the whole spectrum.
    pub(super) fn products(&self, dim: usize) -> usize {
        match dim <= self.lanczos_steps.saturating_mul(2) {
            true => dim,
            false => self.lanczos_steps,
        }
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        self.limits().validate()?;
        let steps = self.lanczos_steps;
        let within = (1..=10_000).contains(&steps);
        require(within, "lanczos_steps", steps, "from 1 to 10,000")?;
        let memory = self.memory;
        require(memory <= 10_000, "memory", memory, "at most 10,000")?;
        if let Some(bound) = self.lower_bound {
            require(bound.is_finite(), "lower_bound", bound, "finite")?;
        }
        Ok(())
    }

    /// An error unless all ranks have the same settings and dimension n.
    pub(super) fn compare(&self, dim: usize, ranks: &Ranks) -> Result<(), Error> {
        ranks.compare("the options or the dimension", 0, || {
            crc32fast::hash(format!("{self:?} {dim}").as_bytes())
        })
    }
}
