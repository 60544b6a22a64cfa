//! The figure of a study.

use super::ranges::{range, savings, validation};
use super::result::{Comparison, Entry};
use super::study::Study;
use crate::plot::{Axis, COLORS, Cell, Line, LineStyle, Panel, Sheet};

/// Losses above this multiple of the least are not shown, because an exploded loss would flatten the others.
const SHOWN: f64 = 100.0;

/// One column per base, from top to bottom: its loss against steps, with FOSI's loss as a horizontal line that meets it
/// at S′; the losses of all learning rates; what FOSI saves; the validation losses. `None` if no method is complete.
pub fn picture(study: &Study, comparisons: &[Comparison]) -> Option<Sheet> {
    let drawn: Vec<&Comparison> = comparisons
        .iter()
        .filter(|comparison| entries(comparison).any(|entry| finite(entry).is_some()))
        .collect();
    let names = drawn
        .first()?
        .variants
        .iter()
        .map(|entry| entry.name.clone());
    let styles = COLORS.into_iter().cycle().map(|color| LineStyle {
        color,
        dashed: false,
    });
    let base = LineStyle {
        dashed: true,
        ..LineStyle::PLAIN
    };
    let mut legend = vec![("base".to_owned(), base)];
    legend.extend(names.zip(styles));
    let of = |panel: fn(&Comparison, &[(String, LineStyle)]) -> Panel| {
        drawn
            .iter()
            .map(|comparison| Cell::Panel(panel(comparison, &legend)))
            .collect::<Vec<_>>()
    };
    let config = &study.config;
    let (task, data, schedule) = (config.task, config.data, config.schedule);
    Some(Sheet {
        title: format!("{task} on {data}: S = {}, {schedule}", study.steps),
        cells: [
            of(against_steps),
            of(against_rates),
            of(savings),
            of(validation),
        ]
        .concat(),
        columns: drawn.len(),
        cell: (460, 340),
        bar: None,
        legend,
    })
}

fn entries(comparison: &Comparison) -> impl Iterator<Item = &Entry> {
    comparison.lengths.iter().chain(&comparison.variants)
}

/// The least, median and greatest loss over seeds, if the median and the greatest are finite.
fn finite(entry: &Entry) -> Option<(f64, f64, f64)> {
    let spread = entry.spread(|run| Some(run.loss()))?;
    let (low, median, high) = (spread.low, spread.median, spread.high);
    median
        .is_finite()
        .then_some((low, median, if high.is_finite() { high } else { median }))
}

fn against_steps(comparison: &Comparison, legend: &[(String, LineStyle)]) -> Panel {
    let steps = |entry: &Entry| entry.steps as f64;
    let line = |points: Vec<(f64, (f64, f64, f64))>, style: LineStyle| {
        let several = points.iter().any(|(_, (low, _, high))| low < high);
        let band = points.iter().map(|&(x, (low, _, high))| (x, low, high));
        Line {
            band: if several { band.collect() } else { Vec::new() },
            points: points
                .iter()
                .map(|&(x, (_, median, _))| (x, median))
                .collect(),
            style,
        }
    };
    let ends = comparison.lengths.iter();
    let base = ends.filter_map(|entry| Some((steps(entry), finite(entry)?)));
    let mut lines = vec![line(base.collect(), legend[0].1)];
    let [left, right] = [comparison.lengths.first(), comparison.lengths.last()]
        .map(|entry| entry.map_or(0.0, steps));
    for (entry, (_, style)) in comparison.variants.iter().zip(&legend[1..]) {
        if let Some(level) = finite(entry) {
            lines.push(line(vec![(left, level), (right, level)], *style));
        }
    }
    panel(
        comparison,
        "steps of the base, with the schedule's end at the last",
        Axis::linear(left, right),
        lines,
    )
}

fn against_rates(comparison: &Comparison, legend: &[(String, LineStyle)]) -> Panel {
    let base = comparison.with_equal_steps();
    let shown = base.into_iter().chain(&comparison.variants);
    let line = |(entry, (_, style)): (&Entry, &(String, LineStyle))| {
        let tried = &entry.outcome.as_ref()?.tried;
        let finite = tried.iter().filter(|(_, loss)| loss.is_finite());
        Some(Line {
            points: finite.copied().collect(),
            band: Vec::new(),
            style: *style,
        })
    };
    let lines: Vec<Line> = shown.zip(legend).filter_map(line).collect();
    let rates = || lines.iter().flat_map(|line| &line.points).map(|(x, _)| *x);
    let (low, high) = range(rates());
    let axis = Axis::logarithmic(low, high);
    panel(comparison, "learning rate", axis, lines)
}

fn panel(comparison: &Comparison, x_label: &str, x: Axis, lines: Vec<Line>) -> Panel {
    let ends = lines.iter().flat_map(|line| {
        let points = line.points.iter().map(|(_, y)| *y);
        let band = line.band.iter().flat_map(|&(_, low, high)| [low, high]);
        points.chain(band)
    });
    // A logarithmic axis cannot show a loss of 0.
    let (low, high) = range(ends.filter(|loss| *loss > 0.0));
    Panel {
        title: comparison.base.to_string(),
        x_label: x_label.to_owned(),
        y_label: "training loss".to_owned(),
        x,
        y: Axis::logarithmic(low, high.min(SHOWN * low)).padded(0.05),
        lines,
    }
}
