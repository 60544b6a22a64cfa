//! The report of `--dry-run`: every setting, and FOSI's cost in memory and time.

use strum::IntoEnumIterator;

use crate::config::{
    Averaging, HvpPrecision, KfacChoice, PerFamily, RefreshSchedule, TaskName, TrainConfig,
    TrainingLength,
};
use crate::optimizers::{Family, OptimizerName};
use crate::runs::{DataDescription, ModelDescription};
use crate::train::GradientCost;

/// The model, its number of parameters and every setting, one per line, followed by the cost of FOSI in memory and time
/// if an optimizer uses it.
#[must_use]
pub fn describe(
    config: &TrainConfig,
    model: &ModelDescription,
    data: &DataDescription,
    gradient: Option<GradientCost>,
) -> String {
    let mut lines = settings(config, model, data);
    if let Some(gradient) = gradient {
        lines.extend(cost_lines(config, model.parameters, gradient));
    }
    let line = |(name, value): (&str, String)| format!("{name:16} {value}\n");
    lines.into_iter().map(line).collect()
}

/// The model, its number of parameters and every setting, as pairs of name and value.
#[must_use]
pub fn settings(
    config: &TrainConfig,
    model: &ModelDescription,
    data: &DataDescription,
) -> Vec<(&'static str, String)> {
    let steps_per_epoch = config.steps_per_epoch(data.train);
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
    lines.extend(task_lines(config));
    lines.extend(training_lines(config, steps_per_epoch));
    lines.extend(fosi_lines(config, model.parameters, steps_per_epoch));
    lines.extend(other_lines(config));
    lines
}

fn training_lines(config: &TrainConfig, steps_per_epoch: usize) -> Vec<(&'static str, String)> {
    vec![
        ("optimizers", join(&config.optimizers)),
        ("seed", join(&config.seeds)),
        match config.length {
            TrainingLength::Epochs(epochs) => {
                ("epochs", format!("{epochs} of {steps_per_epoch} steps"))
            }
            TrainingLength::Steps(steps) => {
                ("steps", format!("{steps} in epochs of {steps_per_epoch}"))
            }
        },
        ("batch", config.batch.to_string()),
        ("lr", per_base(config, &config.lr)),
        ("schedule", config.schedule.to_string()),
        ("warmup-rate", format!("{} steps", config.warmup_rate)),
        (
            "lr-grid",
            match config.lr_grid.as_slice() {
                [] => "none".to_owned(),
                factors => join(factors),
            },
        ),
        (
            "clip-gradient",
            or_none(config.clip_gradient.map(|limit| limit.to_string())),
        ),
        ("momentum", momentum(config)),
        (
            "weight-decay",
            format!("{} (adamw, muon, soap)", config.weight_decay),
        ),
    ]
    .into_iter()
    .chain(rival_lines(config))
    .collect()
}

/// The momentum, and the optimizers that use it.
fn momentum(config: &TrainConfig) -> String {
    let kfac = config.runs(Family::Kfac) && config.kfac_momentum == KfacChoice::Fixed;
    let users = match kfac {
        true => "hb, nesterov, kfac",
        false => "hb, nesterov",
    };
    format!("{} ({users})", config.momentum)
}

/// The settings that only apply to rivals.
fn rival_lines(config: &TrainConfig) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if config.runs(Family::Kfac) {
        lines.push(("kfac-rate", config.kfac_rate.to_string()));
        lines.push(("kfac-momentum", config.kfac_momentum.to_string()));
        lines.push(("damping", config.damping.to_string()));
    }
    if config.runs(Family::Lbfgs) {
        lines.push(("history", config.history.to_string()));
    }
    lines
}

fn fosi_lines(
    config: &TrainConfig,
    parameters: usize,
    steps_per_epoch: usize,
) -> Vec<(&'static str, String)> {
    let refreshes = match config.refreshes {
        RefreshSchedule::Interval(steps) => ("interval", format!("{steps} steps")),
        RefreshSchedule::Overhead(factor) => (
            "overhead",
            format!("{factor}; the interval follows from measured times"),
        ),
    };
    vec![
        ("algorithm", config.algorithm.to_string()),
        ("k", config.k.to_string()),
        ("l", config.l.to_string()),
        ("m", config.lanczos_steps(parameters).to_string()),
        ("lanczos-tolerance", config.lanczos_tolerance.to_string()),
        ("averaging", config.averaging.to_string()),
        ("alpha", config.alpha.to_string()),
        ("newton-rate", config.newton_rate.to_string()),
        ("curvature-floor", config.curvature_floor.to_string()),
        refreshes,
        (
            "curvature-batch",
            config
                .curvature_batch
                .map_or_else(|| "the step's".to_owned(), |size| size.to_string()),
        ),
        ("curvature-from", config.curvature_from.to_string()),
        ("refresh-delay", format!("{} steps", config.refresh_delay)),
        (
            "warmup",
            format!("{} steps", config.warmup_steps(steps_per_epoch)),
        ),
        ("scale-limit", per_base(config, &config.scale_limit)),
        ("hvp", config.hvp.to_string()),
        ("hvp-mode", config.hvp_mode.to_string()),
    ]
}

/// FOSI's memory in vectors of n f32 numbers (§3.7 of the paper), and the time of a refresh's gradients, which
/// dominates the refresh.
fn cost_lines(
    config: &TrainConfig,
    n: usize,
    gradient: GradientCost,
) -> Vec<(&'static str, String)> {
    let m = config.products(n);
    let pairs = (config.k + config.l).min(n);
    // The mean has twice as many pairs, and the last estimation's pairs are stored, too.
    let (formula, kept) = match config.averaging {
        Averaging::Off => ("(k+l)n", pairs),
        Averaging::Predicted | Averaging::Fixed(_) => ("3(k+l)n", 3 * pairs),
    };
    let bytes = |vectors: usize| size(vectors as f64 * n as f64 * size_of::<f32>() as f64);
    // One gradient at the parameters, and per product one for forward differences or two for central ones.
    let gradients = match gradient.precision {
        HvpPrecision::F64 => m + 1,
        HvpPrecision::F32 => 2 * m + 1,
    };
    let seconds = gradients as f64 * gradient.seconds;
    let bound = match config.lanczos_tolerance > 0.0 {
        true => "at most about",
        false => "about",
    };
    vec![
        (
            "memory",
            format!(
                "{formula}: {} kept for {kept} eigenvectors; mn: {} for {m} Lanczos vectors while estimating",
                bytes(kept),
                bytes(m)
            ),
        ),
        (
            "refresh",
            format!(
                "{bound} {seconds:.2} s: {gradients} gradients in {} of {:.3} s, timed on {} of {} examples",
                gradient.precision,
                gradient.seconds,
                gradient.examples,
                config.curvature_batch.unwrap_or(config.batch)
            ),
        ),
    ]
}

fn other_lines(config: &TrainConfig) -> Vec<(&'static str, String)> {
    let threads = config.threads.map(|n| n.to_string());
    let data_dir = config
        .data_dir
        .as_ref()
        .map(|dir| dir.display().to_string());
    vec![
        ("device", config.device.to_string()),
        ("preset", config.preset.to_string()),
        ("examples", or_all(config.examples)),
        ("eval-examples", or_all(config.eval_examples)),
        ("skip-damaged", config.skip_damaged.to_string()),
        (
            "checkpoint-every",
            or_none(config.checkpoint_every.map(|n| format!("{n} steps"))),
        ),
        ("keep-checkpoints", config.keep_checkpoints.to_string()),
        ("tensorboard", config.tensorboard.to_string()),
        (
            "threads",
            threads.unwrap_or_else(|| "one per core".to_owned()),
        ),
        ("data-dir", or_none(data_dir)),
        ("out", config.out.display().to_string()),
        (
            "name",
            config
                .name
                .clone()
                .unwrap_or_else(|| "task, data set and time".to_owned()),
        ),
    ]
}

/// The settings that only apply to this task.
fn task_lines(config: &TrainConfig) -> Vec<(&'static str, String)> {
    let width = ("width", config.width.to_string());
    match config.task {
        TaskName::Lr => Vec::new(),
        TaskName::Ae | TaskName::Ac => vec![width],
        TaskName::Lm => vec![width, ("sequence", config.sequence.to_string())],
        TaskName::Tl => vec![
            (
                "weights",
                or_none(config.weights.as_ref().map(ToString::to_string)),
            ),
            ("cache", config.cache.display().to_string()),
        ],
    }
}

/// The values of the run's base optimizers.
fn per_base(config: &TrainConfig, values: &PerFamily) -> String {
    let runs = |base: &Family| {
        config
            .optimizers
            .iter()
            .any(|o: &OptimizerName| o.family == *base)
    };
    let shown = Family::iter().filter(runs);
    join(
        &shown
            .map(|base| format!("{base}={}", values.get(base)))
            .collect::<Vec<_>>(),
    )
}

/// A size with the unit that leaves one to three digits before the decimal point.
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
