//! The paper's Tables 1 and 2 for runs of its tasks: the time in which FOSI reaches its base's best value.

use serde::Serialize;
use strum::IntoEnumIterator;

use super::headline::{Headline, mean_ratio};
use super::rivals::{self, RivalRow};
use super::table::refusal_notes;
use super::{Entry, Measure, Spread, summarize};
use crate::config::{TaskName, TrainConfig};
use crate::optimizers::{Family, OptimizerName};
use crate::runs::Run;

/// Both tables, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct PaperTables {
    /// The rows by table, then by run, then by base.
    pub rows: Vec<TableRow>,
    /// The best optimizer with FOSI against the best base, by run.
    pub headlines: Vec<Headline>,
    /// Every optimizer against the best base, by run.
    pub rivals: Vec<RivalRow>,
    /// A note on refused refreshes.
    notes: Option<String>,
}

/// One task with one base. Numbers over several seeds are medians with the least and the greatest value; ∞ if FOSI did
/// not reach the base's best value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableRow {
    /// 1: the validation metric; 2: the training loss.
    pub table: u8,
    /// The run's name.
    pub run: String,
    /// The task.
    pub task: TaskName,
    /// The data set.
    pub data: String,
    /// The base optimizer.
    pub base: OptimizerName,
    /// The measure.
    pub measure: &'static str,
    /// The number of seeds.
    pub seeds: usize,
    /// The base's best value.
    pub base_best: f64,
    /// The training seconds in which the base reached it.
    pub base_seconds: f64,
    /// The training seconds in which FOSI reached it.
    pub fosi_seconds: f64,
    /// FOSI's seconds divided by its base's.
    pub second_ratio: f64,
    /// Its least value over the seeds.
    pub second_ratio_low: f64,
    /// Its greatest value.
    pub second_ratio_high: f64,
    /// FOSI's steps divided by its base's.
    pub step_ratio: f64,
    /// The paper's ratio of seconds; `None` if the paper has none.
    pub paper_ratio: Option<f64>,
    /// The base at the best of several learning rates; `None` if it ran with one.
    pub best_base: Option<OptimizerName>,
    /// FOSI's seconds divided by this base's, to this base's best value.
    pub best_base_second_ratio: Option<f64>,
    /// FOSI's steps divided by this base's.
    pub best_base_step_ratio: Option<f64>,
}

/// FOSI's time divided by its base's in the paper: to the base's best validation metric (Table 1) and to its lowest
/// training loss (Table 2). `None` for the deep autoencoder, which is not in the paper.
fn paper_ratio(table: u8, config: &TrainConfig, base: Family) -> Option<f64> {
    let [heavy_ball, adam] = match (table, config.task) {
        (_, TaskName::Ae) if config.data.is_grey() => return None,
        (1, TaskName::Ac) => [0.48, 0.78],
        (1, TaskName::Lm) => [0.77, 0.81],
        (1, TaskName::Ae) => [0.75, 0.83],
        (1, TaskName::Tl) => [0.57, 0.49],
        (1, TaskName::Lr) => [0.50, 1.5],
        (_, TaskName::Ac) => [0.53, 1.13],
        (_, TaskName::Lm) => [0.69, 0.91],
        (_, TaskName::Ae) => [0.87, 0.90],
        (_, TaskName::Tl) => [0.56, 0.68],
        (_, TaskName::Lr) => [0.56, 1.00],
    };
    match base {
        Family::HeavyBall => Some(heavy_ball),
        Family::Adam => Some(adam),
        _ => None,
    }
}

impl TaskName {
    /// The validation metric of the task: accuracy, or loss for a language model and an autoencoder.
    pub fn validation_measure(self) -> Measure {
        match self {
            Self::Lr | Self::Tl | Self::Ac => Measure::ValidationAccuracy,
            Self::Lm | Self::Ae => Measure::ValidationLoss,
        }
    }
}

impl PaperTables {
    /// The tables for runs in any order; each run has a row per base that ran with and without FOSI.
    pub fn of(runs: &[Run]) -> Self {
        let mut ordered: Vec<&Run> = runs.iter().collect();
        ordered.sort_by_key(|run| run.record.config.task);
        let table = |number: u8| {
            ordered.iter().flat_map(move |run| {
                let entries = summarize(std::slice::from_ref(*run));
                rows_of(number, run, &entries)
            })
        };
        Self {
            rows: table(1).chain(table(2)).collect(),
            headlines: ordered.iter().filter_map(|run| Headline::of(run)).collect(),
            rivals: ordered.iter().flat_map(|run| RivalRow::of(run)).collect(),
            notes: refusal_notes(&summarize(runs)),
        }
    }

    /// The rows as CSV, with one column per field of [`TableRow`].
    ///
    /// # Errors
    /// None in practice, because the writer is a vector.
    pub fn csv(&self) -> Result<String, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in &self.rows {
            writer.serialize(row)?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|e| csv::Error::from(e.into_error()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The tables as Markdown.
    pub fn markdown(&self) -> String {
        let title = |number| match number {
            1 => "Table 1: time to the base's best validation metric",
            _ => "Table 2: time to the base's lowest training loss",
        };
        let mut text = String::new();
        for number in [1, 2] {
            let rows: Vec<&TableRow> = self.rows.iter().filter(|r| r.table == number).collect();
            text += &format!("### {}\n\n", title(number));
            text += &format!("| {} |\n{RULE}", TableRow::COLUMNS.join(" | "));
            for row in &rows {
                text += &row.markdown();
            }
            text.push('\n');
            if let Some(mean) = mean_text(number, &rows) {
                text += &format!("{mean}\n\n");
            }
        }
        text += &self.headline_text();
        text += &rivals::markdown(&self.rivals);
        text += NOTE;
        if let Some(notes) = &self.notes {
            text += &format!("\n{notes}\n");
        }
        text
    }
}

impl PaperTables {
    /// The best optimizer with FOSI against the best base; empty if no run has both.
    fn headline_text(&self) -> String {
        if self.headlines.is_empty() {
            return String::new();
        }
        let mut text = "### The best with FOSI against the best base\n\n\
            | task | metric | best base | FOSI | seconds | steps |\n|---|---|---|---|---:|---:|\n"
            .to_owned();
        for headline in &self.headlines {
            text += &format!(
                "| {} ({}) | {} | {} | {} | {} | {} |\n",
                headline.task,
                headline.run,
                headline.measure,
                headline.base,
                headline.fosi,
                number(headline.second_ratio),
                number(headline.step_ratio),
            );
        }
        text + "\nIn the paper: 0.48 to 0.77 of the seconds, over its five tasks.\n\n"
    }
}

/// The mean of a table's ratios and the paper's mean; `None` without a finite ratio.
fn mean_text(table: u8, rows: &[&TableRow]) -> Option<String> {
    let paper = match table {
        1 => 0.75,
        _ => 0.78,
    };
    let (mean, infinite) = mean_ratio(rows.iter().map(|row| row.second_ratio))?;
    let left_out = match infinite {
        0 => String::new(),
        count => format!(", without {count} that never reached it"),
    };
    Some(format!(
        "Mean of the ratios of seconds: {} over {} rows{left_out}; the paper's: {paper:.2} over ten.",
        number(mean),
        rows.len() - infinite
    ))
}

const RULE: &str = "|---|---|---|---:|---:|---:|---:|---:|---:|---|---:|\n";

/// The explanation of the tables' columns, printed below them.
pub const NOTE: &str = "Seconds of training, refreshes included, evaluation left out; medians over the seeds, in brackets \
    the least and the greatest. ∞: not reached. The paper's ratios are those of its Tables 1 and 2 on its own hardware, \
    data and sizes.\n";

fn rows_of(number: u8, run: &Run, entries: &[Entry]) -> Vec<TableRow> {
    let config = &run.record.config;
    let measure = match number {
        1 => config.task.validation_measure(),
        _ => Measure::TrainingLoss,
    };
    let find = |name: OptimizerName| entries.iter().find(|entry| entry.optimizer == name);
    let row = |base: Family| {
        let plain = find(OptimizerName::plain(base))?;
        let fosi = find(OptimizerName::fosi(base))?;
        let standing = &fosi.standings[measure as usize];
        let own = plain.standings[measure as usize].reach.as_ref()?;
        let reach = standing.reach.as_ref()?;
        let best = standing.best_base.as_ref();
        Some(TableRow {
            table: number,
            run: fosi.run.clone(),
            task: config.task,
            data: run.record.data.name.clone(),
            base: plain.optimizer,
            measure: measure.name(),
            seeds: fosi.seeds,
            base_best: plain.standings[measure as usize].best.median,
            base_seconds: own.seconds.median,
            fosi_seconds: reach.seconds.median,
            second_ratio: reach.second_ratio.median,
            second_ratio_low: reach.second_ratio.low,
            second_ratio_high: reach.second_ratio.high,
            step_ratio: reach.step_ratio.median,
            paper_ratio: paper_ratio(number, config, base),
            best_base: best.map(|best| best.optimizer),
            best_base_second_ratio: best.map(|best| best.reach.second_ratio.median),
            best_base_step_ratio: best.map(|best| best.reach.step_ratio.median),
        })
    };
    Family::iter().filter_map(row).collect()
}

impl TableRow {
    /// The column names in Markdown.
    pub const COLUMNS: [&str; 11] = [
        "task",
        "base",
        "metric",
        "its best",
        "base s",
        "FOSI s",
        "FOSI/base, seconds",
        "FOSI/base, steps",
        "paper, seconds",
        "best rate of the base",
        "FOSI/best base, seconds",
    ];

    /// The row in Markdown, one cell for each of [`COLUMNS`](Self::COLUMNS); a dash for a missing value.
    pub fn cells(&self) -> [String; 11] {
        let spread = Spread {
            median: self.second_ratio,
            low: self.second_ratio_low,
            high: self.second_ratio_high,
        };
        let ratio = match spread.low == spread.high {
            true => number(spread.median),
            false => format!(
                "{} [{}, {}]",
                number(spread.median),
                number(spread.low),
                number(spread.high)
            ),
        };
        let best = self
            .best_base
            .map_or_else(|| "–".to_owned(), |name| name.to_string());
        let or_dash = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
        [
            format!("{} ({})", self.task, self.run),
            self.base.to_string(),
            self.measure.to_owned(),
            format!("{:.4}", self.base_best),
            number(self.base_seconds),
            number(self.fosi_seconds),
            ratio,
            number(self.step_ratio),
            or_dash(self.paper_ratio),
            best,
            or_dash(self.best_base_second_ratio),
        ]
    }

    fn markdown(&self) -> String {
        let mut cells = self.cells();
        if let Some(best) = self.best_base {
            cells[9] = format!("`{best}`");
        }
        format!("| {} |\n", cells.join(" | "))
    }
}

fn number(value: f64) -> String {
    match value.is_infinite() {
        true => "∞".to_owned(),
        false => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{row, run};
    use super::*;

    #[test]
    fn ratios_are_against_the_base_and_against_its_best_rate() {
        // hb reaches 0.9 after 4 s, fosi-hb after 3 s; hb at three times the rate reaches 0.95 after 2 s, fosi-hb never
        // does.
        let rows = vec![
            row("hb", 1, 1, 0.8, 0.6, 2.0),
            row("hb", 1, 2, 0.9, 0.4, 4.0),
            row("hb*3", 1, 1, 0.95, 0.3, 2.0),
            row("fosi-hb", 1, 1, 0.85, 0.5, 1.5),
            row("fosi-hb", 1, 2, 0.92, 0.2, 3.0),
        ];
        let tables = PaperTables::of(&[run("a", rows)]);
        let [accuracy, loss] = tables.rows.as_slice() else {
            panic!("two rows")
        };
        assert_eq!((accuracy.table, loss.table), (1, 2));
        assert_eq!((accuracy.base_best, accuracy.base_seconds), (0.9, 4.0));
        assert_eq!((accuracy.second_ratio, accuracy.step_ratio), (0.75, 1.0));
        assert_eq!(accuracy.paper_ratio, Some(0.5));
        assert_eq!(accuracy.best_base.unwrap().to_string(), "hb*3");
        assert_eq!(accuracy.best_base_second_ratio, Some(f64::INFINITY));
        // FOSI reaches 0.3, the lowest loss at the best rate, after 3 s.
        assert_eq!(loss.best_base_second_ratio, Some(1.5));
        assert_eq!(loss.paper_ratio, Some(0.56));

        let markdown = tables.markdown();
        assert!(markdown.contains("| lr (a) | hb | validation accuracy | 0.9000 | 4.00 | 3.00 | 0.75 | 1.00 | 0.50 | `hb*3` | ∞ |"), "{markdown}");
        assert!(
            markdown.contains(
                "Mean of the ratios of seconds: 0.75 over 1 rows; the paper's: 0.75 over ten."
            ),
            "{markdown}"
        );
        let csv = tables.csv().unwrap();
        assert!(
            csv.lines()
                .nth(1)
                .unwrap()
                .contains("1,a,lr,digits,hb,validation accuracy,1,0.9,4.0,3.0,0.75"),
            "{csv}"
        );
    }

    #[test]
    fn the_headline_takes_the_best_of_each_side() {
        // By accuracy, adam is the best base with 0.9, which it reaches after 4 s. fosi-hb reaches it after 3 s,
        // fosi-adam after 2 s in twice the steps; hb at ten times the rate does not count.
        let rows = vec![
            row("hb", 1, 1, 0.8, 0.6, 2.0),
            row("hb*10", 1, 1, 0.99, 0.6, 0.1),
            // Not a base.
            row("kfac", 1, 1, 0.99, 0.1, 0.1),
            row("adam", 1, 1, 0.9, 0.4, 4.0),
            row("fosi-hb", 1, 1, 0.95, 0.5, 3.0),
            row("fosi-adam", 1, 1, 0.7, 0.5, 1.0),
            row("fosi-adam", 1, 2, 0.92, 0.2, 2.0),
        ];
        let tables = PaperTables::of(&[run("a", rows)]);
        let [headline] = tables.headlines.as_slice() else {
            panic!("one run")
        };
        assert_eq!(headline.base.to_string(), "adam");
        assert_eq!(headline.fosi.to_string(), "fosi-adam");
        assert_eq!((headline.second_ratio, headline.step_ratio), (0.5, 2.0));
        let markdown = tables.markdown();
        let line = "| lr (a) | validation accuracy | adam | fosi-adam | 0.50 | 2.00 |";
        assert!(markdown.contains(line), "{markdown}");
        assert!(
            PaperTables::of(&[run("a", vec![row("hb", 1, 1, 0.8, 0.6, 2.0)])])
                .headlines
                .is_empty()
        );
    }

    #[test]
    fn ratios_that_are_infinite_are_counted_and_not_averaged() {
        let ratios = [0.5, f64::INFINITY, 1.0];
        assert_eq!(mean_ratio(ratios.into_iter()), Some((0.75, 1)));
        assert_eq!(mean_ratio([f64::INFINITY].into_iter()), None);
    }

    #[test]
    fn an_optimizer_that_ran_without_its_base_has_no_row() {
        let rows = vec![row("fosi-adam", 1, 1, 0.8, 0.6, 2.0)];
        assert!(PaperTables::of(&[run("a", rows)]).rows.is_empty());
    }
}
