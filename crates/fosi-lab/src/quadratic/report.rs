//! What an experiment leaves: data, figures, a table, and how the paper's claims stand.

use comfy_table::{CellAlignment, ContentArrangement, Table};

use crate::optimizers::OptimizerName;
use crate::plot::{Axis, LineStyle, Sheet};
use crate::summary::STYLE;

use super::OPTIMIZERS;

/// Called after each finished piece of work, from any thread.
pub type Tick<'a> = dyn Fn() + Sync + 'a;

/// The outcome of an experiment in the forms in which it is written and printed.
#[derive(Clone, Debug)]
pub struct Report {
    /// File names and their contents as CSV.
    pub tables: Vec<(String, String)>,
    /// File names, without their ending, and figures.
    pub figures: Vec<(String, Sheet)>,
    /// A short table, and the claims.
    pub text: String,
}

/// A statement of the paper, checked case by case.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// What is claimed.
    pub statement: String,
    /// Number of cases.
    pub cases: usize,
    /// The cases in which it does not hold, with numbers.
    pub exceptions: Vec<String>,
}

impl Claim {
    /// Checks `holds` on every case; `describe` says what a failing one looks like.
    pub(super) fn check<T>(
        statement: impl Into<String>,
        cases: &[T],
        holds: impl Fn(&T) -> bool,
        describe: impl Fn(&T) -> String,
    ) -> Self {
        Self {
            statement: statement.into(),
            cases: cases.len(),
            exceptions: cases.iter().filter(|c| !holds(c)).map(describe).collect(),
        }
    }

    /// Whether it holds in every case.
    pub fn holds(&self) -> bool {
        self.exceptions.is_empty()
    }
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let held = self.cases - self.exceptions.len();
        write!(f, "{}: {held} of {}", self.statement, self.cases)?;
        let (shown, more) = self.exceptions.split_at(self.exceptions.len().min(SHOWN));
        if !shown.is_empty() {
            write!(f, "\n    except {}", shown.join("; "))?;
        }
        if !more.is_empty() {
            write!(f, "; and {} more", more.len())?;
        }
        Ok(())
    }
}

/// Exceptions printed of one claim.
const SHOWN: usize = 8;

/// Claims one under the other.
pub(super) fn claims_text(claims: &[Claim]) -> String {
    let line = |claim: &Claim| format!("{} {claim}", if claim.holds() { "✓" } else { "✗" });
    claims.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Every exception: `claim,exception`.
pub(super) fn exceptions_csv(claims: &[Claim]) -> String {
    let mut text = "claim,exception\n".to_owned();
    for claim in claims {
        for exception in &claim.exceptions {
            text += &format!("\"{}\",\"{exception}\"\n", claim.statement);
        }
    }
    text
}

/// A table with a header, numbers to the right.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// Three digits, with an exponent where that is shorter.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => value.to_string(),
        size if (1e-2..1e4).contains(&size) => {
            let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
            format!("{value:.decimals$}")
        }
        _ => format!("{value:.2e}"),
    }
}

/// The legend of [`OPTIMIZERS`].
pub(super) fn legend() -> Vec<(String, LineStyle)> {
    let entry = |o: OptimizerName| (o.to_string(), LineStyle::of(o));
    OPTIMIZERS.into_iter().map(entry).collect()
}

/// A logarithmic axis over all positive finite values.
pub(super) fn log_axis(values: impl Iterator<Item = f64>) -> Axis {
    let positive = values.filter(|v| *v > 0.0 && v.is_finite());
    let (low, high) = positive.fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return Axis::logarithmic(0.1, 1.0);
    }
    Axis::logarithmic(low, high).padded(0.04)
}

/// Points of a line whose values may be infinite: those are moved far outside every axis.
pub(super) fn finite(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    points.map(|(x, y)| (x, y.min(1e99))).collect()
}
