//! Every optimizer of a run beside the best base: FOSI's rivals and FOSI alike.

use serde::Serialize;

use super::headline::{best_base_of, reach};
use super::series::{Series, series};
use super::{Entry, Measure, Spread, summarize};
use crate::config::TaskName;
use crate::optimizers::OptimizerName;
use crate::runs::Run;

/// One optimizer at one of its learning rates. Numbers over several seeds are medians.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RivalRow {
    /// The run's name.
    pub run: String,
    /// The task.
    pub task: TaskName,
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// Number of seeds.
    pub seeds: usize,
    /// What is measured: the task's validation metric.
    pub measure: &'static str,
    /// Its best value.
    pub best: f64,
    /// Epoch of the best value.
    pub best_epoch: f64,
    /// The value after the last epoch.
    pub last: f64,
    /// The lowest training loss.
    pub training_loss: f64,
    /// The base with the best value at the best of its rates.
    pub base: OptimizerName,
    /// Training seconds in which the optimizer reached that base's best value; ∞ where it never did.
    pub seconds_to_base: Option<f64>,
    /// These seconds over the base's own.
    pub second_ratio: Option<f64>,
    /// Seconds per step, refreshes included.
    pub step_seconds: f64,
    /// Gradients per step, line searches' and factor updates' included.
    pub gradients: f64,
    /// Hessian-vector or Fisher-vector products per step.
    pub products: f64,
    /// Bytes of the state that it keeps from step to step.
    pub state: Option<u64>,
    /// The most bytes that the process had resident, where it ran this optimizer with one seed alone.
    pub peak: Option<u64>,
}

impl RivalRow {
    /// Of each optimizer of a run that finished an epoch; empty where no base ran.
    pub(super) fn of(run: &Run) -> Vec<Self> {
        let measure = run.record.config.task.validation_measure();
        let all = series(std::slice::from_ref(run));
        let Some(base) = best_base_of(measure, &all, |_| true) else {
            return Vec::new();
        };
        let entries = summarize(std::slice::from_ref(run));
        let row = |entry: &Entry| Self::of_entry(entry, run, (measure, base), &all);
        entries.iter().map(row).collect()
    }

    fn of_entry(
        entry: &Entry,
        run: &Run,
        (measure, base): (Measure, OptimizerName),
        all: &[Series],
    ) -> Self {
        let standing = &entry.standings[measure as usize];
        let reach = reach(measure, entry.optimizer, base, all);
        let totals = &entry.totals;
        let per_step = |total: &Spread| total.median / totals.steps.median;
        let mut memory = run.record.memory.iter();
        let memory = memory.find(|memory| memory.optimizer == entry.optimizer);
        let config = &run.record.config;
        let alone = config.all_optimizers().len() * config.seeds.len() == 1;
        Self {
            run: run.record.name.clone(),
            task: run.record.config.task,
            optimizer: entry.optimizer,
            seeds: entry.seeds,
            measure: measure.name(),
            best: standing.best.median,
            best_epoch: standing.epoch.median,
            last: standing.last.median,
            training_loss: entry.standings[Measure::TrainingLoss as usize].best.median,
            base,
            seconds_to_base: reach.as_ref().map(|reach| reach.seconds.median),
            second_ratio: reach.as_ref().map(|reach| reach.second_ratio.median),
            step_seconds: per_step(&totals.seconds),
            gradients: per_step(&totals.gradients),
            products: per_step(&totals.products),
            state: memory.map(|memory| memory.state),
            peak: memory.filter(|_| alone).and_then(|memory| memory.peak),
        }
    }

    /// Names of the columns for people.
    const COLUMNS: [&str; 11] = [
        "optimizer",
        "best",
        "at epoch",
        "at the end",
        "training loss",
        "s to the base's best",
        "ratio",
        "ms per step",
        "gradients, products per step",
        "state",
        "peak alone",
    ];

    fn cells(&self) -> [String; 11] {
        let dash = || "–".to_owned();
        let number = |value: f64| match (value.is_nan(), value.is_infinite()) {
            (true, _) => dash(),
            (_, true) => "∞".to_owned(),
            _ => format!("{value:.2}"),
        };
        let or_dash = |value: Option<f64>| value.map_or_else(dash, number);
        let bytes = |bytes: Option<u64>| {
            bytes.map_or_else(dash, |bytes| format!("{:.2} MB", bytes as f64 / 1e6))
        };
        [
            self.optimizer.to_string(),
            format!("{:.4}", self.best),
            format!("{:.0}", self.best_epoch),
            format!("{:.4}", self.last),
            format!("{:.4}", self.training_loss),
            or_dash(self.seconds_to_base),
            or_dash(self.second_ratio),
            number(1e3 * self.step_seconds),
            format!("{:.2}, {:.2}", self.gradients, self.products),
            bytes(self.state),
            bytes(self.peak),
        ]
    }
}

/// A Markdown table for each run; empty where there is none.
pub(super) fn markdown(rows: &[RivalRow]) -> String {
    let mut text = String::new();
    let mut runs: Vec<&str> = rows.iter().map(|row| row.run.as_str()).collect();
    runs.dedup();
    for run in runs {
        let own: Vec<&RivalRow> = rows.iter().filter(|row| row.run == run).collect();
        let Some(first) = own.first() else { continue };
        text += &format!(
            "### Every optimizer on {} ({run}) by {}; the best base is `{}`\n\n| {} |\n|---|{}\n",
            first.task,
            first.measure,
            first.base,
            RivalRow::COLUMNS.join(" | "),
            "---:|".repeat(RivalRow::COLUMNS.len() - 1)
        );
        let sentence = best_sentence(&own);
        for row in &own {
            let mut cells = row.cells();
            cells[0] = format!("`{}`", cells[0]);
            text += &format!("| {} |\n", cells.join(" | "));
        }
        text += &format!("\n{sentence}\n\n");
    }
    text
}

/// Which optimizer has the best value, and which of those with FOSI.
fn best_sentence(rows: &[&RivalRow]) -> String {
    let rows = || rows.iter().copied();
    match (best(rows()), best(rows().filter(|row| row.optimizer.fosi))) {
        (Some(all), Some(fosi)) if all.optimizer != fosi.optimizer => format!(
            "`{}` has the best value, {:.4}; of the optimizers with FOSI `{}` has it, {:.4}.",
            all.optimizer, all.best, fosi.optimizer, fosi.best
        ),
        (Some(all), _) => format!("`{}` has the best value, {:.4}.", all.optimizer, all.best),
        (None, _) => String::new(),
    }
}

/// The row with the best value; of equal ones the first.
fn best<'a>(rows: impl Iterator<Item = &'a RivalRow>) -> Option<&'a RivalRow> {
    let finite = rows.filter(|row| row.best.is_finite());
    finite.reduce(|best, row| {
        let measure = row.task.validation_measure();
        match measure.reaches(best.best, row.best) {
            true => best,
            false => row,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{row, run};
    use super::*;
    use crate::runs::MemoryRecord;

    #[test]
    fn each_optimizer_stands_beside_the_best_base() {
        let mut run = run(
            "a",
            vec![
                row("hb", 1, 1, 0.8, 0.6, 2.0),
                row("hb*3", 1, 1, 0.9, 0.5, 2.0),
                row("hb*3", 1, 2, 0.85, 0.4, 4.0),
                row("kfac", 1, 1, 0.7, 0.3, 6.0),
                row("kfac", 1, 2, 0.95, 0.1, 12.0),
            ],
        );
        run.record.config.optimizers = vec!["kfac".parse().unwrap()];
        run.record.memory = vec![MemoryRecord {
            optimizer: "kfac".parse().unwrap(),
            seed: 1,
            state: 5_000_000,
            peak: Some(70_000_000),
        }];
        let rows = RivalRow::of(&run);
        assert_eq!(rows.len(), 3);
        let kfac = rows.last().unwrap();
        assert_eq!(kfac.base.to_string(), "hb*3");
        // hb*3 has 0.9 after 2 s; K-FAC has 0.95 after 12 s and 20 steps, 20 gradients and 40 products.
        assert_eq!(
            (kfac.seconds_to_base, kfac.second_ratio),
            (Some(12.0), Some(6.0))
        );
        assert_eq!(
            (kfac.step_seconds, kfac.gradients, kfac.products),
            (0.6, 1.0, 2.0)
        );
        assert_eq!(
            (rows[1].best, rows[1].best_epoch, rows[1].last),
            (0.9, 1.0, 0.85)
        );
        let text = markdown(&rows);
        let line = "| `kfac` | 0.9500 | 2 | 0.9500 | 0.1000 | 12.00 | 6.00 | 600.00 | 1.00, 2.00 | 5.00 MB | 70.00 MB |";
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains("| `hb` | 0.8000 | 1 | 0.8000 | 0.6000 | ∞ | ∞ |"),
            "{text}"
        );
        assert!(
            text.contains("`kfac` has the best value, 0.9500."),
            "{text}"
        );
    }

    #[test]
    fn a_peak_is_an_optimizers_own_where_it_ran_alone() {
        let memory = |optimizer: &str| MemoryRecord {
            optimizer: optimizer.parse().unwrap(),
            seed: 1,
            state: 1,
            peak: Some(9),
        };
        let mut run = run("a", vec![row("hb", 1, 1, 0.8, 0.6, 2.0)]);
        run.record.config.optimizers = vec!["hb".parse().unwrap()];
        run.record.memory = vec![memory("hb")];
        assert_eq!(RivalRow::of(&run)[0].peak, Some(9));
        run.record.config.optimizers.push("adam".parse().unwrap());
        // Also where the other was stopped before its end, so that nothing is known of its memory.
        assert_eq!(RivalRow::of(&run)[0].peak, None);
        run.record.memory.push(memory("adam"));
        assert_eq!(RivalRow::of(&run)[0].peak, None);
    }
}
