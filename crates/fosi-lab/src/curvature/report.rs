//! The results of a curvature study as CSV, table and figure.

use super::path::{Path, Row};
use crate::plot::{Axis, COLORS, Cell, Line, LineStyle, Panel, Sheet};

/// `curvature.csv`.
pub fn csv(rows: &[Row]) -> String {
    let mut text = "step,estimate,captured,eigenvalue_ratio\n".to_owned();
    for row in rows {
        let Row {
            step,
            estimate,
            captured,
            eigenvalue_ratio,
        } = row;
        text.push_str(&format!(
            "{step},{estimate},{captured},{eigenvalue_ratio}\n"
        ));
    }
    text
}

/// A Markdown table with one row per estimate and one column per step: the captured share and the ratio of the
/// eigenvalues.
pub fn table(rows: &[Row]) -> String {
    let steps = distinct(rows.iter().map(|row| row.step));
    let header: Vec<String> = steps.iter().map(|step| format!("step {step}")).collect();
    let mut text = format!(
        "| captured (eigenvalues' ratio) | {} |\n|---|{}\n",
        header.join(" | "),
        "---:|".repeat(steps.len())
    );
    for estimate in distinct(rows.iter().map(|row| row.estimate.as_str())) {
        let cell = |step: &u64| {
            let own = |row: &&Row| row.estimate == estimate && row.step == *step;
            let cell = |row: &Row| format!("{:.2} ({:.2})", row.captured, row.eigenvalue_ratio);
            rows.iter().find(own).map_or_else(String::new, cell)
        };
        let cells: Vec<String> = steps.iter().map(cell).collect();
        text.push_str(&format!("| {estimate} | {} |\n", cells.join(" | ")));
    }
    text
}

/// The captured share and the ratio of the eigenvalues against steps.
pub fn picture(path: &Path, rows: &[Row]) -> Sheet {
    let names = distinct(rows.iter().map(|row| row.estimate.clone()));
    let styles = COLORS.into_iter().cycle().map(|color| LineStyle {
        color,
        dashed: false,
    });
    let legend: Vec<(String, LineStyle)> = names.into_iter().zip(styles).collect();
    let panel = |label: &str, of: fn(&Row) -> f64| {
        let line = |(name, style): &(String, LineStyle)| Line {
            points: rows
                .iter()
                .filter(|row| row.estimate == *name)
                .map(|row| (row.step as f64, of(row)))
                .collect(),
            band: Vec::new(),
            style: *style,
        };
        let steps = rows.iter().map(|row| row.step as f64);
        let high = rows.iter().map(of).fold(1.0, f64::max);
        Cell::Panel(Panel {
            title: String::new(),
            x_label: "steps".to_owned(),
            y_label: label.to_owned(),
            x: Axis::linear(0.0, steps.fold(0.0, f64::max)),
            y: Axis::linear(0.0, high).padded(0.03),
            lines: legend.iter().map(line).collect(),
        })
    };
    let (task, data) = (path.config.task, path.config.data);
    Sheet {
        title: format!("{task} on {data}, {}: curvature", path.optimizer),
        cells: vec![
            panel("share of the curvature captured", |row| row.captured),
            panel("eigenvalues over the true ones", |row| row.eigenvalue_ratio),
        ],
        columns: 2,
        cell: (460, 340),
        bar: None,
        legend,
    }
}

/// The distinct items, in the order of their first occurrence.
fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for item in items {
        if !distinct.contains(&item) {
            distinct.push(item);
        }
    }
    distinct
}
