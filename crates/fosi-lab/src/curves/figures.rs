//! The paper's Figures 2 and 5 over runs of its tasks.

use super::{Against, epochs_of, panel, validation_of};
use crate::plot::{Cell, LineStyle, Sheet};
use crate::runs::Run;
use crate::summary::Measure;

/// Nominal width and height of a panel.
const PANEL: (u32, u32) = (400, 340);

/// A run a column; above over epochs, below over seconds of training.
///
/// Figure 2 is of the training loss, Figure 5 of the validation metric. `None` where no run has finished an epoch.
#[must_use]
pub fn paper_figures(runs: &[Run]) -> Option<[(&'static str, Sheet); 2]> {
    let mut runs: Vec<&Run> = runs.iter().filter(|run| !run.rows.is_empty()).collect();
    if runs.is_empty() {
        return None;
    }
    runs.sort_by_key(|run| run.record.config.task);
    let loss = |_: &Run| Measure::TrainingLoss;
    Some([
        ("figure2", sheet("Training loss", &runs, loss)),
        ("figure5", sheet("Validation", &runs, validation_of)),
    ])
}

fn sheet(title: &str, runs: &[&Run], measure: impl Fn(&Run) -> Measure) -> Sheet {
    let mut legend: Vec<(String, LineStyle)> = Vec::new();
    let mut cells = Vec::new();
    for against in [Against::Epochs, Against::Seconds] {
        for run in runs {
            let optimizers = epochs_of(run);
            for (optimizer, _) in &optimizers {
                let entry = (optimizer.to_string(), LineStyle::of(*optimizer));
                if !legend.iter().any(|(name, _)| *name == entry.0) {
                    legend.push(entry);
                }
            }
            let mut panel = panel(&optimizers, measure(run), against);
            if against == Against::Epochs {
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
