//! The cost and the outcome of each refresh.

use super::line::{number, thin};
use crate::optimizers::OptimizerName;
use crate::runs::{RefreshOutcome, RefreshRecord, Run};

/// The maximum number of individually listed accepted refreshes; refused ones are all listed.
const LISTED: usize = 400;

/// The section of a group's refreshes.
pub(super) struct Refreshes {
    /// One sum per optimizer and seed.
    pub(super) sums: Vec<RefreshSum>,
    /// The listed refreshes.
    pub(super) listed: Vec<ListedRefresh>,
    /// One in this many accepted refreshes is listed.
    pub(super) every: usize,
}

/// The refreshes of one optimizer with one seed.
pub(super) struct RefreshSum {
    pub(super) optimizer: String,
    pub(super) seed: u64,
    pub(super) count: usize,
    pub(super) refused: usize,
    pub(super) products: u64,
    pub(super) seconds: String,
    pub(super) interval: String,
    pub(super) retries: usize,
}

/// One refresh.
pub(super) struct ListedRefresh {
    pub(super) optimizer: String,
    pub(super) seed: u64,
    pub(super) step: u64,
    pub(super) products: u64,
    pub(super) seconds: String,
    pub(super) interval: String,
    /// The largest and the smallest eigenvalue, the largest residual and s; empty for a refused refresh.
    pub(super) numbers: Vec<String>,
    pub(super) retries: usize,
    /// The reason of a refusal.
    pub(super) refusal: Option<String>,
}

/// The section; `None` without any refresh.
pub(super) fn refreshes(runs: &[Run]) -> Option<Refreshes> {
    let mut sums = Vec::new();
    let mut listed = Vec::new();
    let all = runs.iter().flat_map(|run| &run.record.refreshes);
    let every = all
        .filter(|r| is_accepted(r))
        .count()
        .div_ceil(LISTED)
        .max(1);
    for run in runs {
        let label = |optimizer: OptimizerName| match runs.len() {
            1 => optimizer.to_string(),
            _ => format!("{} {optimizer}", run.record.name),
        };
        let mut keys: Vec<(OptimizerName, u64)> = Vec::new();
        for refresh in &run.record.refreshes {
            let key = (refresh.optimizer, refresh.seed);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        for key in keys {
            let refreshes = run.record.refreshes.iter();
            let own: Vec<&RefreshRecord> =
                refreshes.filter(|r| (r.optimizer, r.seed) == key).collect();
            sums.push(sum(label(key.0), key.1, &own));
            let mut accepted: Vec<u64> = own
                .iter()
                .filter(|r| is_accepted(r))
                .map(|r| r.step)
                .collect();
            thin(&mut accepted, every);
            let shown = own
                .iter()
                .filter(|r| !is_accepted(r) || accepted.contains(&r.step));
            listed.extend(shown.map(|refresh| listing(label(key.0), refresh)));
        }
    }
    (!sums.is_empty()).then_some(Refreshes {
        sums,
        listed,
        every,
    })
}

fn is_accepted(refresh: &RefreshRecord) -> bool {
    matches!(refresh.outcome, RefreshOutcome::Accepted { .. })
}

fn sum(optimizer: String, seed: u64, own: &[&RefreshRecord]) -> RefreshSum {
    let intervals = || own.iter().filter_map(|refresh| refresh.interval);
    let interval = match (intervals().min(), intervals().max()) {
        (Some(least), Some(most)) if least == most => least.to_string(),
        (Some(least), Some(most)) => format!("{least}–{most}"),
        _ => "–".to_owned(),
    };
    RefreshSum {
        optimizer,
        seed,
        count: own.len(),
        refused: own.iter().filter(|refresh| !is_accepted(refresh)).count(),
        products: own.iter().map(|refresh| refresh.products).sum(),
        seconds: seconds(own.iter().map(|refresh| refresh.seconds).sum()),
        interval,
        retries: own.iter().map(|refresh| retries(refresh)).sum(),
    }
}

fn retries(refresh: &RefreshRecord) -> usize {
    match refresh.outcome {
        RefreshOutcome::Accepted { retries, .. } => retries,
        RefreshOutcome::Refused { .. } => 0,
    }
}

fn listing(optimizer: String, refresh: &RefreshRecord) -> ListedRefresh {
    let (numbers, refusal) = match &refresh.outcome {
        RefreshOutcome::Accepted {
            eigenvalues,
            residuals,
            scale,
            ..
        } => {
            let end = |value: Option<&f64>| value.map_or_else(|| "–".to_owned(), |v| number(*v));
            let worst = residuals.iter().copied().reduce(f64::max);
            let worst = worst.map_or_else(|| "–".to_owned(), |worst| format!("{worst:.1e}"));
            let ends = [end(eigenvalues.first()), end(eigenvalues.last())];
            let numbers = ends.into_iter().chain([worst, format!("{scale:.3}")]);
            (numbers.collect(), None)
        }
        RefreshOutcome::Refused { reason } => (Vec::new(), Some(reason.clone())),
    };
    ListedRefresh {
        optimizer,
        seed: refresh.seed,
        step: refresh.step,
        products: refresh.products,
        seconds: seconds(refresh.seconds),
        interval: refresh
            .interval
            .map_or_else(|| "–".to_owned(), |t| t.to_string()),
        numbers,
        retries: retries(refresh),
        refusal,
    }
}

/// Three decimals below one second, two above.
fn seconds(value: f64) -> String {
    match value < 1.0 {
        true => format!("{value:.3}"),
        false => format!("{value:.2}"),
    }
}
