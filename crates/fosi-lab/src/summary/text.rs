//! The summary as aligned text.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::Entry;
use super::table::{SummaryTable, notes, tables};

/// A table with a single line below the header.
pub(crate) const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The tables at the end of a run and the notes below them; see [`tables`] and [`notes`].
#[must_use]
pub fn render(entries: &[Entry]) -> String {
    let tables = tables(entries);
    let mut blocks: Vec<String> = tables.iter().map(aligned).collect();
    blocks.extend(notes(entries));
    blocks.join("\n\n")
}

fn aligned(summary: &SummaryTable) -> String {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Disabled);
    let header = std::iter::once(summary.title).chain(summary.header.iter().copied());
    table.set_header(header.collect::<Vec<_>>());
    for row in &summary.rows {
        let cells = std::iter::once(&row.label).chain(&row.cells);
        table.add_row(cells.collect::<Vec<_>>());
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}
