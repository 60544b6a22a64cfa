//! A sweep as a table, as CSV and as a figure.

use super::sweep::{Place, Sweep};
use crate::pays::Record;
use crate::plot::{Axis, COLORS, Cell, Line, LineStyle, Panel, Sheet};
use crate::summary::Spread;

/// A place with its runs.
pub type Row<'a> = (&'a Place, Vec<Record>);

/// A Markdown table of the final training loss, with one row per T and one column per D.
pub fn table(sweep: &Sweep, rows: &[Row<'_>]) -> String {
    let delays = &sweep.plan.delays;
    let header: Vec<String> = delays.iter().map(|delay| format!("D = {delay}")).collect();
    let mut text = format!(
        "{} on {}, {}: training loss after {}\n\n| | {} |\n|---|{}\n",
        sweep.config.task,
        sweep.config.data,
        sweep.plan.optimizer,
        sweep.config.length,
        header.join(" | "),
        "---:|".repeat(delays.len())
    );
    for interval in &sweep.plan.intervals {
        let cells: Vec<String> = delays
            .iter()
            .map(|delay| {
                let own = |row: &&Row<'_>| row.0.swept == Some((*interval, *delay));
                rows.iter()
                    .find(own)
                    .map_or_else(String::new, |row| cell(&row.1))
            })
            .collect();
        text.push_str(&format!("| T = {interval} | {} |\n", cells.join(" | ")));
    }
    if let Some((_, runs)) = rows.iter().find(|row| row.0.swept.is_none()) {
        let base = sweep.plan.optimizer.family;
        text.push_str(&format!("\n`{base}` alone: {}\n", cell(runs)));
    }
    text
}

/// The median over seeds with the least and the greatest value, and the number of diverged runs.
fn cell(runs: &[Record]) -> String {
    let ended = runs.iter().filter_map(|run| run.train_loss);
    let spread = Spread::of(ended);
    let diverged = runs.iter().filter(|run| run.diverged.is_some()).count();
    let losses = match (spread.median.is_nan(), spread.low == spread.high) {
        (true, _) => String::new(),
        (false, true) => format!("{:.4}", spread.median),
        (false, false) => format!(
            "{:.4} ({:.4}–{:.4})",
            spread.median, spread.low, spread.high
        ),
    };
    match diverged {
        0 => losses,
        count => format!("{losses} {count} of {} diverged", runs.len())
            .trim_start()
            .to_owned(),
    }
}

/// `stale.csv`: one line per run; T and D are empty for the base alone.
pub fn csv(rows: &[Row<'_>]) -> String {
    let mut text =
        "interval,delay,seed,train_loss,valid_loss,refreshes,refused,diverged\n".to_owned();
    for (place, runs) in rows {
        let (interval, delay) = match place.swept {
            Some((interval, delay)) => (interval.to_string(), delay.to_string()),
            None => (String::new(), String::new()),
        };
        for run in runs {
            let loss = |loss: Option<f64>| loss.map_or_else(String::new, |loss| loss.to_string());
            let seed = run.settings.seeds.first().copied().unwrap_or_default();
            text.push_str(&format!(
                "{interval},{delay},{seed},{},{},{},{},{}\n",
                loss(run.train_loss),
                loss(run.valid_loss),
                run.refreshes,
                run.refused,
                run.diverged.is_some()
            ));
        }
    }
    text
}

/// The loss against T, with one line per D and a horizontal line for the base alone; `None` if every run diverged.
pub fn picture(sweep: &Sweep, rows: &[Row<'_>]) -> Option<Sheet> {
    let styles = COLORS.into_iter().cycle().map(|color| LineStyle {
        color,
        dashed: false,
    });
    let delays = sweep.plan.delays.iter().zip(styles);
    let drawn: Vec<(String, LineStyle, Vec<Point>)> = delays
        .map(|(delay, style)| {
            let own = rows.iter().filter_map(|(place, runs)| {
                let (interval, _) = place.swept.filter(|(_, d)| d == delay)?;
                Some((interval as f64, finite(runs)?))
            });
            (format!("D = {delay}"), style, own.collect())
        })
        .collect();
    let ends = [
        sweep.plan.intervals.iter().min(),
        sweep.plan.intervals.iter().max(),
    ];
    let [left, right] = ends.map(|end| end.map_or(1.0, |end| *end as f64));
    let base = rows.iter().find(|row| row.0.swept.is_none());
    let level = base
        .and_then(|row| finite(&row.1))
        .map(|spread| vec![(left, spread), (right, spread)]);
    let plain = LineStyle {
        dashed: true,
        ..LineStyle::PLAIN
    };
    let name = sweep.plan.optimizer.family.to_string();
    let drawn: Vec<_> = drawn
        .into_iter()
        .chain(level.map(|points| (name, plain, points)))
        .filter(|(_, _, points)| !points.is_empty())
        .collect();
    let losses = || drawn.iter().flat_map(|(_, _, points)| points);
    let low = losses().map(|(_, s)| s.low).reduce(f64::min)?;
    let high = losses().map(|(_, s)| s.high).reduce(f64::max)?;
    let panel = Panel {
        title: String::new(),
        x_label: "T: steps between estimations".to_owned(),
        y_label: format!("training loss after {}", sweep.config.length),
        x: Axis::logarithmic(left, right).padded(0.02),
        y: Axis::logarithmic(low, high).padded(0.05),
        lines: drawn.iter().map(|(_, style, p)| line(p, *style)).collect(),
    };
    let (task, data) = (sweep.config.task, sweep.config.data);
    Some(Sheet {
        title: format!("{task} on {data}, {}: stale spectra", sweep.plan.optimizer),
        legend: drawn
            .into_iter()
            .map(|(name, style, _)| (name, style))
            .collect(),
        cells: vec![Cell::Panel(panel)],
        columns: 1,
        cell: (560, 380),
        bar: None,
    })
}

/// T and the losses over seeds.
type Point = (f64, Spread);

/// The losses over seeds; `None` if a run diverged or no run exists.
fn finite(runs: &[Record]) -> Option<Spread> {
    let losses: Option<Vec<f64>> = runs.iter().map(|run| run.train_loss).collect();
    let spread = Spread::of(losses?);
    (!spread.median.is_nan()).then_some(spread)
}

fn line(points: &[Point], style: LineStyle) -> Line {
    let several = points.iter().any(|(_, spread)| spread.low < spread.high);
    let band = points
        .iter()
        .map(|(x, spread)| (*x, spread.low, spread.high));
    Line {
        points: points.iter().map(|(x, s)| (*x, s.median)).collect(),
        band: if several { band.collect() } else { Vec::new() },
        style,
    }
}
