//! The results: the tables at the end of a run, and the paper's ratios next to ours.

use super::line::CurveLines;
use crate::runs::Run;
use crate::summary::{PAPER_NOTE, PaperTables, SummaryTable, TableRow, notes, summarize, tables};

/// The section of a group's results.
pub(super) struct Results {
    pub(super) tables: Vec<ResultTable>,
    pub(super) notes: Vec<String>,
    /// The paper's Tables 1 and 2; empty if no base ran with and without FOSI.
    pub(super) paper: Vec<PaperTable>,
    pub(super) paper_note: &'static str,
}

/// A table of the summary.
pub(super) struct ResultTable {
    pub(super) title: &'static str,
    pub(super) header: Vec<&'static str>,
    pub(super) rows: Vec<ResultRow>,
}

/// The results of an optimizer.
pub(super) struct ResultRow {
    pub(super) label: String,
    /// The classes of its line's sample; `None` if it is not drawn.
    pub(super) style: Option<String>,
    pub(super) cells: Vec<Cell>,
}

/// A number with its range.
pub(super) struct Cell {
    pub(super) median: String,
    /// The least and the greatest value; empty if both equal the median.
    pub(super) range: String,
}

/// One of the paper's tables.
pub(super) struct PaperTable {
    pub(super) title: &'static str,
    pub(super) header: [&'static str; 11],
    pub(super) rows: Vec<[String; 11]>,
}

/// The section; `None` without a finished epoch.
pub(super) fn results(runs: &[Run]) -> Option<Results> {
    if runs.iter().all(|run| run.rows.is_empty()) {
        return None;
    }
    let entries = summarize(runs);
    let lines = CurveLines::of(runs);
    let paper = PaperTables::of(runs);
    let of_paper = |number: u8, title| PaperTable {
        title,
        header: TableRow::COLUMNS,
        rows: paper
            .rows
            .iter()
            .filter(|row| row.table == number)
            .map(TableRow::cells)
            .collect(),
    };
    let both = [
        of_paper(1, "Table 1: time to the base’s best validation metric"),
        of_paper(2, "Table 2: time to the base’s lowest training loss"),
    ];
    Some(Results {
        tables: tables(&entries)
            .into_iter()
            .map(|table| result_table(table, &lines))
            .collect(),
        notes: notes(&entries),
        paper: both
            .into_iter()
            .filter(|table| !table.rows.is_empty())
            .collect(),
        paper_note: PAPER_NOTE,
    })
}

fn result_table(table: SummaryTable, lines: &CurveLines) -> ResultTable {
    let rows = table.rows.into_iter().map(|row| {
        let drawn = |label: &str| row.label.trim_end_matches(" †") == label;
        let line = lines.lines.iter().find(|line| drawn(&line.label));
        ResultRow {
            style: line.map(|line| line.style.to_string()),
            cells: row.cells.iter().map(|text| Cell::of(text)).collect(),
            label: row.label,
        }
    });
    ResultTable {
        title: table.title,
        header: table.header,
        rows: rows.collect(),
    }
}

impl Cell {
    fn of(text: &str) -> Self {
        let (median, range) = text.split_once('\n').unwrap_or((text, ""));
        Self {
            median: median.to_owned(),
            range: range.to_owned(),
        }
    }
}
