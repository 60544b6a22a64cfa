//! The curves of losses and accuracy, for each choice of axes.

use super::chart::{Chart, Panel, Scale, Stroke};
use super::line::{CurveLine, CurveLines, number, spread};
use super::readings::{Reading, Readings};
use crate::curves::{Epoch, accuracy_axis, linear_loss_axis, loss_axis};
use crate::plot::Axis;
use crate::runs::Run;
use crate::summary::{Measure, Spread};

/// The height of a chart's panel.
const HEIGHT: f64 = 280.0;

/// The horizontal axes of the curves: class, label, and the text before and after a value.
pub(super) const ACROSS: [(&str, &str); 3] = [
    ("epochs", "epochs"),
    ("steps", "steps"),
    ("seconds", "seconds of training"),
];

/// The section of a group's curves.
pub(super) struct CurvesSection {
    /// The prefix of its inputs' ids.
    pub(super) id: String,
    /// One figure per measure.
    pub(super) figures: Vec<Figure>,
    /// The optimizers, which can be hidden, and their last values.
    pub(super) legend: Vec<LegendEntry>,
    /// The names of the measures, in the order of the figures.
    pub(super) measures: Vec<&'static str>,
    /// Whether lines are medians over seeds.
    pub(super) several: bool,
    /// The curves' values, as an alternative to the figures.
    pub(super) tables: Vec<ValueTable>,
    /// Notes on what is not drawn.
    pub(super) notes: Vec<String>,
}

/// The figure of one measure.
pub(super) struct Figure {
    pub(super) title: String,
    /// One chart per choice of axes.
    pub(super) charts: Vec<Chart>,
}

/// The legend entry of an optimizer.
pub(super) struct LegendEntry {
    pub(super) label: String,
    pub(super) style: String,
    pub(super) last: Vec<String>,
}

/// The values of one measure, with one row per epoch and one column per optimizer.
pub(super) struct ValueTable {
    pub(super) title: String,
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// The curves of a group's runs; `None` without a finished epoch.
pub(super) fn curves(id: &str, runs: &[Run], readings: &mut Readings) -> Option<CurvesSection> {
    let all = CurveLines::of(runs);
    let CurveLines { lines, every, .. } = &all;
    if lines.is_empty() {
        return None;
    }
    let first_reading = lines.iter().map(|line| readings.push(reading(line))).min();
    let measures = all.measures();
    let figure = |&measure: &Measure| Figure {
        title: capital(measure.name()),
        charts: charts(lines, measure, first_reading.unwrap_or(0)),
    };
    let legend = lines.iter().map(|line| LegendEntry {
        label: line.label.clone(),
        style: line.style.to_string(),
        last: measures.iter().map(|measure| line.last(*measure)).collect(),
    });
    let mut notes = Vec::new();
    if *every > 1 {
        notes.push(format!(
            "One epoch in {every} and the last are drawn and listed here; metrics.csv contains all epochs."
        ));
    }
    if all.varied {
        notes.push("Optimizers at other learning rates are in the tables below.".to_owned());
    }
    let mut tables: Vec<ValueTable> = measures
        .iter()
        .map(|measure| {
            let value = |epoch: &Epoch| spread(&epoch.measures[*measure as usize]);
            value_table(capital(measure.name()), lines, value)
        })
        .collect();
    let seconds = |epoch: &Epoch| format!("{:.2}", epoch.seconds);
    tables.push(value_table(
        "Seconds of training".to_owned(),
        lines,
        seconds,
    ));
    Some(CurvesSection {
        id: id.to_owned(),
        figures: measures.iter().map(figure).collect(),
        legend: legend.collect(),
        measures: measures.iter().map(|measure| measure.name()).collect(),
        several: runs.iter().any(|run| run.record.config.seeds.len() > 1),
        tables,
        notes,
    })
}

/// The charts of one measure: one per horizontal axis and, for losses, per vertical axis.
fn charts(lines: &[CurveLine], measure: Measure, first_reading: usize) -> Vec<Chart> {
    let scales: &[&str] = match measure {
        Measure::ValidationAccuracy => &["logarithmic linear"],
        Measure::ValidationLoss | Measure::TrainingLoss => &["logarithmic", "linear"],
    };
    let across = 0..ACROSS.len();
    across
        .flat_map(|x| scales.iter().map(move |scale| (x, *scale)))
        .map(|(x, scale)| chart(lines, measure, (x, scale), first_reading))
        .collect()
}

fn chart(
    lines: &[CurveLine],
    measure: Measure,
    (x_index, scale): (usize, &str),
    first_reading: usize,
) -> Chart {
    let (class, x_label) = ACROSS[x_index];
    let y = vertical(lines, measure, scale);
    let strokes = lines.iter().enumerate().map(|(index, line)| {
        let value = |epoch: &Epoch| epoch.measures[measure as usize];
        let of = line
            .epochs
            .iter()
            .filter(|epoch| !value(epoch).median.is_nan());
        let at = |epoch: &Epoch| across(epoch, x_index);
        let several = line.epochs.iter().any(|e| value(e).low < value(e).high);
        let band = of.clone().map(|e| (at(e), value(e).low, value(e).high));
        Stroke {
            classes: format!("line{index} {}", line.style),
            band: if several { band.collect() } else { Vec::new() },
            points: of.map(|e| (at(e), value(e).median)).collect(),
            dots: false,
            reading: Some((first_reading + index, measure as usize)),
        }
    });
    let panel = Panel {
        strokes: strokes.collect(),
        y: Scale::Plain(y.clone()),
        height: HEIGHT,
        ticks: 7,
        title: "",
        crosses: Vec::new(),
    };
    let epochs = lines.iter().flat_map(|line| &line.epochs);
    let furthest = epochs
        .map(|epoch| across(epoch, x_index))
        .fold(0.0, f64::max);
    let label = label(lines, measure, x_label, y.is_logarithmic());
    Chart::new(
        (format!("{class} {scale}"), label),
        (x_index, x_label, Axis::linear(0.0, furthest)),
        vec![panel],
    )
}

fn across(epoch: &Epoch, x_index: usize) -> f64 {
    [epoch.epoch, epoch.steps, epoch.seconds][x_index]
}

/// The vertical axis, which covers medians and bands.
fn vertical(lines: &[CurveLine], measure: Measure, scale: &str) -> Axis {
    let spreads = lines.iter().flat_map(|line| &line.epochs);
    let spreads = spreads.map(|epoch| epoch.measures[measure as usize]);
    let values = spreads.flat_map(|Spread { median, low, high }| [low, median, high]);
    let values = values.filter(|value| !value.is_nan()).collect();
    match (measure, scale) {
        (Measure::ValidationAccuracy, _) => accuracy_axis(values),
        (_, "logarithmic") => loss_axis(values),
        _ => linear_loss_axis(values),
    }
}

/// A description of the chart for screen readers.
fn label(lines: &[CurveLine], measure: Measure, x_label: &str, logarithmic: bool) -> String {
    let change = |line: &CurveLine| {
        let value = |epoch: Option<&Epoch>| {
            epoch.map_or(f64::NAN, |epoch| epoch.measures[measure as usize].median)
        };
        format!(
            "{} from {} to {}",
            line.label,
            number(value(line.epochs.first())),
            number(value(line.epochs.last()))
        )
    };
    let changes: Vec<String> = lines.iter().map(change).collect();
    let scale = if logarithmic { ", logarithmic" } else { "" };
    format!(
        "{} against {x_label}{scale}: {}.",
        capital(measure.name()),
        changes.join("; ")
    )
}

fn reading(line: &CurveLine) -> Reading {
    let texts = |text: &dyn Fn(&Epoch) -> String| line.epochs.iter().map(text).collect();
    Reading {
        name: line.label.clone(),
        style: line.style.to_string(),
        x: [
            texts(&|epoch| format!("epoch {}", epoch.number)),
            texts(&|epoch| format!("step {}", epoch.steps)),
            texts(&|epoch| format!("{:.2} s", epoch.seconds)),
        ],
        y: Measure::ALL.map(|measure| texts(&|e| spread(&e.measures[measure as usize]))),
    }
}

fn value_table(title: String, lines: &[CurveLine], value: impl Fn(&Epoch) -> String) -> ValueTable {
    let epochs = lines.iter().flat_map(|line| &line.epochs);
    let mut numbers: Vec<u64> = epochs.map(|epoch| epoch.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let row = |number: u64| {
        let mut cells = vec![number.to_string()];
        cells.extend(lines.iter().map(|line| {
            let own = line.epochs.iter().find(|epoch| epoch.number == number);
            own.map_or_else(|| "–".to_owned(), &value)
        }));
        cells
    };
    ValueTable {
        title,
        header: lines.iter().map(|line| line.label.clone()).collect(),
        rows: numbers.into_iter().map(row).collect(),
    }
}

/// The text with a capital first letter.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
