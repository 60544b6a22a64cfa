//! The paper's Figures 2, 5 and 6 over runs of its tasks, and the training and validation of all of them.

use super::{Against, epochs_of, panel, validation_of};
use crate::config::TaskName;
use crate::optimizers::OptimizerName;
use crate::plot::{Cell, LineStyle, Sheet};
use crate::runs::Run;
use crate::summary::Measure;

/// Nominal width and height of a panel.
const PANEL: (u32, u32) = (400, 340);

/// A row of panels: the measure of each run, and the horizontal axis.
type Row = (fn(&Run) -> Measure, Against);

/// One figure: its file's name, its title, its runs, the optimizers drawn, and its rows of panels.
type Plan<'a> = (
    &'static str,
    &'static str,
    &'a [&'a Run],
    fn(OptimizerName) -> bool,
    [Row; 2],
);

/// The paper's figures of training, with one column of panels per run, in the order of the tasks:
///
/// - `figure2`: the paper's Figure 2: training loss and validation accuracy of audio classification over seconds of
///   training, for base optimizers with and without FOSI;
/// - `figure5`: its Figure 5, the same for the other tasks, with the validation loss of logistic regression;
/// - `figure6`: its Figure 6, the same panels for all optimizers of the runs that include a rival, such as K-FAC;
/// - `training` and `validation`: all runs and optimizers, over epochs above, over seconds below.
///
/// A figure without a run is left out. The list is empty if no run has finished an epoch.
#[must_use]
pub fn paper_figures(runs: &[Run]) -> Vec<(&'static str, Sheet)> {
    let mut runs: Vec<&Run> = runs.iter().filter(|run| !run.rows.is_empty()).collect();
    runs.sort_by_key(|run| run.record.config.task);
    let is_sound = |run: &&Run| run.record.config.task == TaskName::Ac;
    let has_base = |run: &&&Run| run.rows.iter().any(|row| row.optimizer.family.is_base());
    let with_base = runs.iter().filter(has_base).copied();
    let (sound, others): (Vec<&Run>, Vec<&Run>) = with_base.partition(is_sound);
    let has_rival = |run: &&&Run| run.rows.iter().any(|row| !row.optimizer.family.is_base());
    let rivals: Vec<&Run> = runs.iter().filter(has_rival).copied().collect();
    let bases = |name: OptimizerName| name.family.is_base();
    let all = |_| true;
    let loss: fn(&Run) -> Measure = |_| Measure::TrainingLoss;
    let paper: [Row; 2] = [(loss, Against::Seconds), (papers, Against::Seconds)];
    let training: [Row; 2] = [(loss, Against::Epochs), (loss, Against::Seconds)];
    let validation: [Row; 2] = [
        (validation_of, Against::Epochs),
        (validation_of, Against::Seconds),
    ];
    let figures: [Plan<'_>; 5] = [
        (
            "figure2",
            "Figure 2: audio classification",
            &sound,
            bases,
            paper,
        ),
        (
            "figure5",
            "Figure 5: the other tasks",
            &others,
            bases,
            paper,
        ),
        (
            "figure6",
            "Figure 6: FOSI and its rivals",
            &rivals,
            all,
            paper,
        ),
        ("training", "Training loss", &runs, all, training),
        ("validation", "Validation", &runs, all, validation),
    ];
    let drawn = figures
        .into_iter()
        .filter(|(_, _, runs, ..)| !runs.is_empty());
    drawn
        .map(|(name, title, runs, shown, rows)| (name, sheet(title, runs, shown, &rows)))
        .collect()
}

/// The validation metric that the paper draws.
fn papers(run: &Run) -> Measure {
    match run.record.config.task {
        TaskName::Lr => Measure::ValidationLoss,
        _ => validation_of(run),
    }
}

fn sheet(title: &str, runs: &[&Run], shown: fn(OptimizerName) -> bool, rows: &[Row]) -> Sheet {
    let mut legend: Vec<(String, LineStyle)> = Vec::new();
    let mut cells = Vec::new();
    for (index, (measure, against)) in rows.iter().enumerate() {
        for run in runs {
            let mut optimizers = epochs_of(run);
            optimizers.retain(|(name, _)| shown(*name));
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
