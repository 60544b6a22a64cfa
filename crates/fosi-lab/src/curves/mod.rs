//! The figure of a run: training loss and validation accuracy (or loss) against epochs and seconds.

mod figures;

pub use figures::paper_figures;

use plotters::prelude::{DrawingArea, DrawingBackend, IntoFont};
use plotters::style::WHITE;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::optimizers::{OptimizerName, RateFactor};
use crate::plot::{Axis, FONT, Figure, INK, Line, LineStyle, Panel, PlotError, draw_legend};
use crate::runs::{MetricsRow, Run};
use crate::summary::{Measure, Spread};

const SIZE: (u32, u32) = (1100, 820);
const HEADER: u32 = 74;

/// Four panels: the training loss above, the validation accuracy (or loss, for tasks without accuracy) below; over
/// epochs on the left, over seconds of training on the right.
///
/// For several seeds, lines are medians, and bands extend from the least to the greatest value.
#[derive(Clone, Debug)]
pub struct Curves {
    title: String,
    legend: Vec<(String, LineStyle)>,
    panels: [Panel; 4],
}

impl Curves {
    /// The curves of a run; `None` without a finished epoch.
    pub fn of(run: &Run) -> Option<Self> {
        if run.rows.is_empty() {
            return None;
        }
        let medians = epochs_of(run);
        let validation = validation_of(run);
        let panels = [
            panel(&medians, Measure::TrainingLoss, Against::Epochs),
            panel(&medians, Measure::TrainingLoss, Against::Seconds),
            panel(&medians, validation, Against::Epochs),
            panel(&medians, validation, Against::Seconds),
        ];
        Some(Self {
            title: format!("{} on {}", run.record.model.name, run.record.data.name),
            legend: medians
                .iter()
                .map(|(o, _)| (o.to_string(), LineStyle::of(*o)))
                .collect(),
            panels,
        })
    }
}

impl Figure for Curves {
    fn size(&self) -> (u32, u32) {
        SIZE
    }

    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, plotters::coord::Shift>,
        scale: u32,
    ) -> Result<(), PlotError> {
        area.fill(&WHITE).map_err(PlotError::draw)?;
        let (header, body) = area.split_vertically(HEADER * scale);
        let (title, legend) = header.split_vertically(HEADER * scale / 2);
        let centred = Pos::new(HPos::Center, VPos::Center);
        let font = (FONT, 20 * scale).into_font().color(&INK).pos(centred);
        let middle = (SIZE.0 * scale / 2, HEADER * scale / 4);
        let at = (middle.0 as i32, middle.1 as i32 + 4 * scale as i32);
        title
            .draw_text(&self.title, &font, at)
            .map_err(PlotError::draw)?;
        draw_legend(&legend, &self.legend, scale)?;
        for (panel, area) in self.panels.iter().zip(body.split_evenly((2, 2))) {
            panel.draw(&area, scale)?;
        }
        Ok(())
    }
}

/// The validation metric of a run.
fn validation_of(run: &Run) -> Measure {
    match run.rows.iter().any(|row| row.valid_accuracy.is_some()) {
        true => Measure::ValidationAccuracy,
        false => Measure::ValidationLoss,
    }
}

/// The optimizers in the order of their runs, at the run's learning rates; those at other rates appear only in the
/// table.
pub(crate) fn epochs_of(run: &Run) -> Vec<(OptimizerName, Vec<Epoch>)> {
    let mut optimizers: Vec<OptimizerName> = Vec::new();
    for row in &run.rows {
        let varied = row.optimizer.rate != RateFactor::ONE;
        if !varied && !optimizers.contains(&row.optimizer) {
            optimizers.push(row.optimizer);
        }
    }
    let epochs = |optimizer| (optimizer, epochs(run, optimizer));
    optimizers.into_iter().map(epochs).collect()
}

/// One epoch of one optimizer, over its seeds.
#[derive(Clone, Debug)]
pub(crate) struct Epoch {
    /// The epoch, from 1.
    pub(crate) number: u64,
    /// The number of epochs, with a fraction if the last is incomplete.
    pub(crate) epoch: f64,
    /// Steps since the start.
    pub(crate) steps: f64,
    /// Seconds of training since the start.
    pub(crate) seconds: f64,
    /// The values for each measure of [`Measure::ALL`].
    pub(crate) measures: [Spread; 3],
}

fn epochs(run: &Run, optimizer: OptimizerName) -> Vec<Epoch> {
    let own: Vec<&MetricsRow> = run
        .rows
        .iter()
        .filter(|row| row.optimizer == optimizer)
        .collect();
    let mut numbers: Vec<u64> = own.iter().map(|row| row.epoch).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
        .into_iter()
        .map(|number| {
            let seeds = || own.iter().filter(|row| row.epoch == number);
            Epoch {
                number,
                steps: Spread::of(seeds().map(|row| row.step as f64)).median,
                epoch: Spread::of(seeds().map(|row| run.record.epochs_after(row.step))).median,
                seconds: Spread::of(seeds().map(|row| row.train_seconds)).median,
                measures: Measure::ALL
                    .map(|measure| Spread::of(seeds().filter_map(|row| measure.of(row)))),
            }
        })
        .collect()
}

#[derive(Clone, Copy)]
enum Against {
    Epochs,
    Seconds,
}

fn panel(optimizers: &[(OptimizerName, Vec<Epoch>)], measure: Measure, against: Against) -> Panel {
    let spread = |epoch: &Epoch| epoch.measures[measure as usize];
    let at = |epoch: &Epoch| match against {
        Against::Epochs => epoch.epoch,
        Against::Seconds => epoch.seconds,
    };
    let line = |(optimizer, epochs): &(OptimizerName, Vec<Epoch>)| {
        let several = epochs
            .iter()
            .any(|epoch| spread(epoch).low < spread(epoch).high);
        let band = epochs
            .iter()
            .map(|e| (at(e), spread(e).low, spread(e).high));
        Line {
            points: epochs.iter().map(|e| (at(e), spread(e).median)).collect(),
            band: if several { band.collect() } else { Vec::new() },
            style: LineStyle::of(*optimizer),
        }
    };
    let lines: Vec<Line> = optimizers.iter().map(line).collect();
    let y = match measure {
        Measure::ValidationAccuracy => accuracy_axis(ys(&lines)),
        Measure::ValidationLoss | Measure::TrainingLoss => loss_axis(ys(&lines)),
    };
    let x_label = match against {
        Against::Epochs => "epochs",
        Against::Seconds => "seconds of training",
    };
    let xs = || {
        lines
            .iter()
            .flat_map(|line| line.points.iter().map(|point| point.0))
    };
    Panel {
        title: String::new(),
        x_label: x_label.to_owned(),
        y_label: measure.name().to_owned(),
        x: Axis::linear(0.0, xs().fold(0.0, f64::max)),
        y,
        lines,
    }
}

fn ys(lines: &[Line]) -> Vec<f64> {
    let points = lines.iter().flat_map(|line| &line.points);
    points.map(|point| point.1).collect()
}

/// A logarithmic axis, because losses decrease by factors and differ by factors when small.
pub(crate) fn loss_axis(mut ys: Vec<f64>) -> Axis {
    ys.sort_by(f64::total_cmp);
    let (low, high) = (
        ys.first().copied().unwrap_or(0.1),
        ys.last().copied().unwrap_or(1.0),
    );
    Axis::logarithmic(low, high).padded(0.05)
}

/// An axis without the lowest twentieth of the values: the first epochs would compress the range in which optimizers
/// differ.
pub(crate) fn accuracy_axis(mut ys: Vec<f64>) -> Axis {
    ys.sort_by(f64::total_cmp);
    let high = ys.last().copied().unwrap_or(1.0);
    let low = ys.get(ys.len() / 20).copied().unwrap_or(0.0);
    Axis::linear(low, high).padded(0.05)
}

/// A linear axis without the highest twentieth of the values, for the same reason.
pub(crate) fn linear_loss_axis(mut ys: Vec<f64>) -> Axis {
    ys.sort_by(f64::total_cmp);
    let low = ys.first().copied().unwrap_or(0.0);
    let most = ys.len().saturating_sub(1 + ys.len() / 20);
    Axis::linear(low, ys.get(most).copied().unwrap_or(1.0)).padded(0.05)
}

#[cfg(test)]
mod tests;
