//! The measures for comparing optimizers.

use crate::runs::MetricsRow;

/// A column of the metrics by which optimizers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Validation accuracy; the highest is best. The paper's Table 1.
    ValidationAccuracy,
    /// Validation loss; the lowest is best.
    ValidationLoss,
    /// Training loss; the lowest is best. The paper's Table 2.
    TrainingLoss,
}

impl Measure {
    /// All measures, in the order of reports.
    pub const ALL: [Self; 3] = [
        Self::ValidationAccuracy,
        Self::ValidationLoss,
        Self::TrainingLoss,
    ];

    /// Its value in a row; `None` if the task has no accuracy.
    pub fn of(self, row: &MetricsRow) -> Option<f64> {
        match self {
            Self::ValidationAccuracy => row.valid_accuracy,
            Self::ValidationLoss => Some(row.valid_loss),
            Self::TrainingLoss => Some(row.train_loss),
        }
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::ValidationAccuracy => "validation accuracy",
            Self::ValidationLoss => "validation loss",
            Self::TrainingLoss => "training loss",
        }
    }

    pub(super) fn reaches(self, value: f64, target: f64) -> bool {
        match self {
            Self::ValidationAccuracy => value >= target,
            Self::ValidationLoss | Self::TrainingLoss => value <= target,
        }
    }

    /// The first row with the best value, and the value.
    pub(super) fn best(self, rows: &[MetricsRow]) -> Option<(&MetricsRow, f64)> {
        rows.iter()
            .filter_map(|row| Some((row, self.of(row)?)))
            .reduce(|best, row| match self.reaches(best.1, row.1) {
                true => best,
                false => row,
            })
    }
}
