//! What FOSI saves: when each optimizer reaches its base optimizer's best value, as in the paper's Tables 1 and 2.

mod best_base;
mod entry;
mod headline;
mod measure;
mod paper;
mod refusals;
mod rivals;
mod series;
mod spread;
mod table;
mod text;

pub use best_base::BestBase;
pub use entry::{Entry, Standing, Totals, summarize};
pub use headline::Headline;
pub use measure::Measure;
pub use paper::{NOTE as PAPER_NOTE, PaperTables, TableRow};
pub use refusals::Refusals;
pub use rivals::RivalRow;
pub use series::Reach;
pub use spread::Spread;
pub use table::{SummaryRow, SummaryTable, notes, tables};
pub(crate) use text::STYLE;
pub use text::render;

#[cfg(test)]
mod tests;
