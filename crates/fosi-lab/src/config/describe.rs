//! Every setting as text, for `--dry-run`.

use super::{HvpPrecision, PerBase, RefreshSchedule, TaskName, TrainConfig};
use crate::data::Batches;
use crate::optimizers::{Base, OptimizerName};
use crate::runs::{DataDescription, ModelDescription};
use crate::train::GradientCost;

impl TrainConfig {
    /// The model, its number of parameters and every setting with its value, a line each; and what FOSI takes of memory
    /// and time, where it is among the optimizers.
    pub fn describe(
        &self,
        model: &ModelDescription,
        data: &DataDescription,
        gradient: Option<GradientCost>,
    ) -> String {
        let steps_per_epoch = Batches::new(data.train, self.batch, 0).per_epoch();
        let mut lines = vec![
            ("model", model.name.clone()),
            ("parameters", model.parameters.to_string()),
            (
                "data",
                format!(
                    "{}: {} training, {} validation examples",
                    data.name, data.train, data.validation
                ),
            ),
        ];
        lines.extend(self.task_lines());
        lines.extend(self.training_lines(steps_per_epoch));
        lines.extend(self.fosi_lines(model.parameters, steps_per_epoch));
        lines.extend(self.other_lines());
        if let Some(gradient) = gradient {
            lines.extend(self.cost_lines(model.parameters, gradient));
        }
        let line = |(name, value): (&str, String)| format!("{name:16} {value}\n");
        lines.into_iter().map(line).collect()
    }

    fn training_lines(&self, steps_per_epoch: usize) -> Vec<(&'static str, String)> {
        vec![
            ("optimizers", join(&self.optimizers)),
            ("seed", join(&self.seeds)),
            (
                "epochs",
                format!("{} of {steps_per_epoch} steps", self.epochs),
            ),
            ("batch", self.batch.to_string()),
            ("lr", self.per_base(&self.lr)),
            (
                "lr-grid",
                match self.lr_grid.as_slice() {
                    [] => "none".to_owned(),
                    factors => join(factors),
                },
            ),
            (
                "clip-gradient",
                or_none(self.clip_gradient.map(|limit| limit.to_string())),
            ),
            ("momentum", format!("{} (hb, nesterov)", self.momentum)),
            ("weight-decay", format!("{} (adamw)", self.weight_decay)),
        ]
    }

    fn fosi_lines(&self, parameters: usize, steps_per_epoch: usize) -> Vec<(&'static str, String)> {
        let schedule = match self.schedule {
            RefreshSchedule::Interval(steps) => ("interval", format!("{steps} steps")),
            RefreshSchedule::Overhead(factor) => (
                "overhead",
                format!("{factor}; the interval follows from measured times"),
            ),
        };
        vec![
            ("algorithm", self.algorithm.to_string()),
            ("k", self.k.to_string()),
            ("l", self.l.to_string()),
            ("m", self.lanczos_steps(parameters).to_string()),
            ("alpha", self.alpha.to_string()),
            ("curvature-floor", self.curvature_floor.to_string()),
            schedule,
            (
                "warmup",
                format!("{} steps", self.warmup_steps(steps_per_epoch)),
            ),
            ("clip", self.per_base(&self.clip)),
            ("hvp", self.hvp.to_string()),
            ("hvp-mode", self.hvp_mode.to_string()),
        ]
    }

    /// Vectors of n numbers in f32 (§3.7 of the paper), and the time of a refresh's gradients, beside which the rest of it
    /// is short.
    fn cost_lines(&self, n: usize, gradient: GradientCost) -> Vec<(&'static str, String)> {
        let m = self.products(n);
        let kept = (self.k + self.l).min(n);
        let bytes = |vectors: usize| size(vectors as f64 * n as f64 * size_of::<f32>() as f64);
        // One at the parameters, and one per product for forward differences, two for central ones.
        let gradients = match gradient.precision {
            HvpPrecision::F64 => m + 1,
            HvpPrecision::F32 => 2 * m + 1,
        };
        let seconds = gradients as f64 * gradient.seconds;
        vec![
            (
                "memory",
                format!(
                    "(k+l)n: {} kept for {kept} eigenvectors; mn: {} for {m} Lanczos vectors while estimating",
                    bytes(kept),
                    bytes(m)
                ),
            ),
            (
                "refresh",
                format!(
                    "about {seconds:.2} s: {gradients} gradients in {} of {:.3} s, timed on {} of {} examples",
                    gradient.precision, gradient.seconds, gradient.examples, self.batch
                ),
            ),
        ]
    }

    fn other_lines(&self) -> Vec<(&'static str, String)> {
        let threads = self.threads.map(|n| n.to_string());
        let data_dir = self.data_dir.as_ref().map(|dir| dir.display().to_string());
        vec![
            ("device", self.device.to_string()),
            ("preset", self.preset.to_string()),
            ("examples", or_all(self.examples)),
            ("eval-examples", or_all(self.eval_examples)),
            ("skip-damaged", self.skip_damaged.to_string()),
            (
                "checkpoint-every",
                or_none(self.checkpoint_every.map(|n| format!("{n} steps"))),
            ),
            (
                "threads",
                threads.unwrap_or_else(|| "one a core".to_owned()),
            ),
            ("data-dir", or_none(data_dir)),
            ("out", self.out.display().to_string()),
            (
                "name",
                self.name
                    .clone()
                    .unwrap_or_else(|| "task, data set and time".to_owned()),
            ),
        ]
    }

    /// The settings that only this task has.
    fn task_lines(&self) -> Vec<(&'static str, String)> {
        let width = ("width", self.width.to_string());
        match self.task {
            TaskName::Lr => Vec::new(),
            TaskName::Ae | TaskName::Ac => vec![width],
            TaskName::Lm => vec![width, ("sequence", self.sequence.to_string())],
            TaskName::Tl => vec![
                (
                    "weights",
                    or_none(self.weights.as_ref().map(ToString::to_string)),
                ),
                ("cache", self.cache.display().to_string()),
            ],
        }
    }

    /// The values of the base optimizers that run.
    fn per_base(&self, values: &PerBase) -> String {
        let runs = |base: &Base| {
            self.optimizers
                .iter()
                .any(|o: &OptimizerName| o.base == *base)
        };
        let shown = Base::ALL.into_iter().filter(runs);
        join(
            &shown
                .map(|base| format!("{base}={}", values.get(base)))
                .collect::<Vec<_>>(),
        )
    }
}

/// Bytes in the unit that leaves one to three digits before the point.
fn size(bytes: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let power = (0..units.len() - 1).find(|&power| bytes < 1000_f64.powi(power as i32 + 1));
    let power = power.unwrap_or(units.len() - 1);
    let decimals = usize::from(power > 0);
    format!(
        "{:.decimals$} {}",
        bytes / 1000_f64.powi(power as i32),
        units[power]
    )
}

fn or_none(value: Option<String>) -> String {
    value.unwrap_or_else(|| "none".to_owned())
}

fn or_all(count: Option<usize>) -> String {
    count.map_or_else(|| "all".to_owned(), |count| count.to_string())
}

fn join<T: ToString>(values: &[T]) -> String {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    texts.join(",")
}
