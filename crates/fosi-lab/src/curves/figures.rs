//! The paper's Figures 2 and 5 over runs of its tasks, and the training and validation of all of them.

use super::{Against, epochs_of, panel, validation_of};
use crate::config::TaskName;
use crate::plot::{Cell, LineStyle, Sheet};
use crate::runs::Run;
use crate::summary::Measure;

/// Nominal width and height of a panel.
const PANEL: (u32, u32) = (400, 340);

/// A row of panels: what is drawn of each run.
type Row = (fn(&Run) -> Measure, Against);

/// A run a column, in the order of the tasks:
///
/// - `figure2`: the paper's Figure 2, of audio classification: training loss and validation accuracy over seconds of
///   training;
/// - `figure5`: its Figure 5, the same of the other tasks, with the validation loss of logistic regression;
/// - `training` and `validation`: of all runs, above over epochs, below over seconds.
///
/// A figure without a run is left out; there is none where no run has finished an epoch.
#[must_use]
pub fn paper_figures(runs: &[Run]) -> Vec<(&'static str, Sheet)> {
    let mut runs: Vec<&Run> = runs.iter().filter(|run| !run.rows.is_empty()).collect();
    runs.sort_by_key(|run| run.record.config.task);
    let is_sound = |run: &&Run| run.record.config.task == TaskName::Ac;
    let (sound, others): (Vec<&Run>, Vec<&Run>) = runs.iter().copied().partition(is_sound);
    let loss: fn(&Run) -> Measure = |_| Measure::TrainingLoss;
    let paper: [Row; 2] = [(loss, Against::Seconds), (papers, Against::Seconds)];
    let training: [Row; 2] = [(loss, Against::Epochs), (loss, Against::Seconds)];
    let validation: [Row; 2] = [
        (validation_of, Against::Epochs),
        (validation_of, Against::Seconds),
    ];
    let figures = [
        ("figure2", "Figure 2: audio classification", &sound, paper),
        ("figure5", "Figure 5: the other tasks", &others, paper),
        ("training", "Training loss", &runs, training),
        ("validation", "Validation", &runs, validation),
    ];
    let drawn = figures
        .into_iter()
        .filter(|(_, _, runs, _)| !runs.is_empty());
    drawn
        .map(|(name, title, runs, rows)| (name, sheet(title, runs, &rows)))
        .collect()
}

/// The validation metric that the paper draws.
fn papers(run: &Run) -> Measure {
    match run.record.config.task {
        TaskName::Lr => Measure::ValidationLoss,
        _ => validation_of(run),
    }
}

fn sheet(title: &str, runs: &[&Run], rows: &[Row]) -> Sheet {
    let mut legend: Vec<(String, LineStyle)> = Vec::new();
    let mut cells = Vec::new();
    for (index, (measure, against)) in rows.iter().enumerate() {
        for run in runs {
            let optimizers = epochs_of(run);
            for (optimizer, _) in &optimizers {
                let entry = (optimizer.to_string(), LineStyle::of(*optimizer));
                if !legend.iter().any(|(name, _)| *name == entry.0) {
                    legend.push(entry);
                }
            }
            let mut panel = panel(&optimizers, measure(run), *against);
            if index == 0 {
                panel.title = format!("{} ({})", run.record.name, run.record.data.name);
            }
            cells.push(Cell::Panel(panel));
        }
    }
    Sheet {
        title: title.to_owned(),
        legend,
        cells,
        columns: runs.len(),
        cell: PANEL,
        bar: None,
    }
}
