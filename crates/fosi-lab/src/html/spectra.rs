//! The eigenvalues and the scale s over a run's refreshes.

use super::chart::{Chart, Panel, Scale, Stroke};
use super::curves::ACROSS;
use super::line::{number, thin};
use super::readings::{Reading, Readings};
use super::signed_axis::SignedAxis;
use super::style::Style;
use crate::optimizers::OptimizerName;
use crate::plot::Axis;
use crate::runs::{RefreshOutcome, RefreshRecord, Run};

/// The maximum number of drawn refreshes over all seeds.
const REFRESHES: usize = 240;
/// The maximum number of refreshes for which points have dots.
const DOTTED: usize = 60;
/// The heights of the panels.
const EIGENVALUES: f64 = 240.0;
const SCALE: f64 = 64.0;
/// The index of steps in [`ACROSS`].
const STEPS: usize = 1;

/// The spectra of one optimizer.
pub(super) struct SpectrumFigure {
    pub(super) title: String,
    pub(super) chart: Chart,
    /// A note on the picture.
    pub(super) note: String,
}

/// One figure per run and optimizer with an estimated spectrum.
pub(super) fn spectra(runs: &[Run], readings: &mut Readings) -> Vec<SpectrumFigure> {
    let mut figures = Vec::new();
    for run in runs {
        let mut optimizers: Vec<OptimizerName> = Vec::new();
        for refresh in &run.record.refreshes {
            if !optimizers.contains(&refresh.optimizer) {
                optimizers.push(refresh.optimizer);
            }
        }
        for optimizer in optimizers {
            let title = match runs.len() {
                1 => optimizer.to_string(),
                _ => format!("{} {optimizer}", run.record.name),
            };
            figures.extend(figure(title, run, optimizer, readings));
        }
    }
    figures
}

/// An accepted estimation.
struct Estimate<'a> {
    step: u64,
    eigenvalues: &'a [f64],
    scale: f64,
}

/// The figure; `None` without an accepted estimation.
fn figure(
    title: String,
    run: &Run,
    optimizer: OptimizerName,
    readings: &mut Readings,
) -> Option<SpectrumFigure> {
    let own = || {
        run.record
            .refreshes
            .iter()
            .filter(|r| r.optimizer == optimizer)
    };
    let mut seeds: Vec<u64> = own().map(|refresh| refresh.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let every = own().count().div_ceil(REFRESHES).max(1);
    let by_seed: Vec<(u64, Vec<Estimate>)> = seeds
        .iter()
        .map(|&seed| {
            let refreshes = own().filter(|refresh| refresh.seed == seed);
            let mut estimates: Vec<Estimate> = refreshes.filter_map(accepted).collect();
            thin(&mut estimates, every);
            (seed, estimates)
        })
        .collect();
    let estimates = || by_seed.iter().flat_map(|(_, estimates)| estimates);
    let values: Vec<f64> = estimates()
        .flat_map(|estimate| estimate.eigenvalues.iter().copied())
        .collect();
    let scales = estimates().map(|estimate| estimate.scale);
    let greatest = scales.fold(1.0, f64::max);
    if values.is_empty() {
        return None;
    }

    let rows = run.rows.iter().filter(|row| row.optimizer == optimizer);
    let steps = rows
        .map(|row| row.step)
        .chain(own().map(|refresh| refresh.step));
    let last = steps.max().unwrap_or(1);
    let style = Style::of(optimizer);
    let (dots, several) = (own().count() <= DOTTED, seeds.len() > 1);
    let strokes = by_seed.iter().flat_map(|(seed, estimates)| {
        let name = |rank: String| match several {
            true => format!("{rank}, seed {seed}"),
            false => rank,
        };
        eigenvalue_lines(estimates, style, dots, &name, readings)
    });
    let mut panels = vec![Panel {
        strokes: strokes.collect(),
        y: vertical(&values),
        height: EIGENVALUES,
        ticks: 7,
        title: "Eigenvalues",
        crosses: own().filter_map(refused).collect(),
    }];
    if greatest > 1.0 {
        let stairs = by_seed
            .iter()
            .map(|(_, estimates)| scale_line(estimates, last, style));
        panels.push(Panel {
            strokes: stairs.collect(),
            y: Scale::Plain(Axis::linear(1.0, greatest).padded(0.1)),
            height: SCALE,
            ticks: 3,
            title: "Scale s",
            crosses: Vec::new(),
        });
    }
    let label = label(&title, &by_seed, &values);
    let (class, x_label) = ACROSS[STEPS];
    let x = (STEPS, x_label, Axis::linear(0.0, last as f64));
    Some(SpectrumFigure {
        chart: Chart::new((format!("{class} spectrum"), label), x, panels),
        note: note(several, every, greatest),
        title,
    })
}

/// One line per rank; the first and the last have readings.
fn eigenvalue_lines(
    estimates: &[Estimate],
    style: Style,
    dots: bool,
    name: &impl Fn(String) -> String,
    readings: &mut Readings,
) -> Vec<Stroke> {
    let ranks = estimates
        .iter()
        .map(|e| e.eigenvalues.len())
        .max()
        .unwrap_or(0);
    let line = |rank: usize| {
        let of_rank = || {
            let estimates = estimates.iter();
            estimates.filter_map(move |e| Some((e, *e.eigenvalues.get(rank)?)))
        };
        let extreme = rank == 0 || rank + 1 == ranks;
        let reading = extreme.then(|| {
            let step = |(estimate, _): (&Estimate, f64)| format!("step {}", estimate.step);
            let value = |(estimate, value): (&Estimate, f64)| match rank {
                0 => format!("{} (s = {:.3})", number(value), estimate.scale),
                _ => number(value),
            };
            let reading = Reading {
                name: name(format!("λ{}", subscript(rank + 1))),
                style: style.to_string(),
                x: [Vec::new(), of_rank().map(step).collect(), Vec::new()],
                y: [of_rank().map(value).collect(), Vec::new(), Vec::new()],
            };
            (readings.push(reading), 0)
        });
        let weight = if rank == 0 { "first" } else { "other" };
        Stroke {
            classes: format!("rank {weight} {style}"),
            points: of_rank().map(|(e, value)| (e.step as f64, value)).collect(),
            band: Vec::new(),
            dots,
            reading,
        }
    };
    (0..ranks).map(line).collect()
}

/// A step function: an estimation's scale holds until the next estimation.
fn scale_line(estimates: &[Estimate], last: u64, style: Style) -> Stroke {
    let ends = estimates.iter().skip(1).map(|estimate| estimate.step);
    let ends = ends.chain(std::iter::once(last));
    let steps = estimates.iter().zip(ends);
    let points = steps
        .flat_map(|(estimate, end)| [estimate.step, end].map(|step| (step as f64, estimate.scale)));
    Stroke {
        classes: format!("rank first {style}"),
        points: points.collect(),
        band: Vec::new(),
        dots: false,
        reading: None,
    }
}

/// The logarithmic vertical axis, signed if the values have both signs.
fn vertical(values: &[f64]) -> Scale {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match least > 0.0 {
        true => Scale::Plain(Axis::logarithmic(least, greatest).padded(0.05)),
        false => Scale::Signed(SignedAxis::over(values)),
    }
}

fn accepted(refresh: &RefreshRecord) -> Option<Estimate<'_>> {
    match &refresh.outcome {
        RefreshOutcome::Accepted {
            eigenvalues, scale, ..
        } => Some(Estimate {
            step: refresh.step,
            eigenvalues,
            scale: *scale,
        }),
        RefreshOutcome::Refused { .. } => None,
    }
}

fn refused(refresh: &RefreshRecord) -> Option<(f64, String)> {
    match &refresh.outcome {
        RefreshOutcome::Refused { reason } => {
            let (step, seed) = (refresh.step, refresh.seed);
            let text = format!("Refused at step {step}, seed {seed}: {reason}");
            Some((step as f64, text))
        }
        RefreshOutcome::Accepted { .. } => None,
    }
}

fn label(title: &str, by_seed: &[(u64, Vec<Estimate>)], values: &[f64]) -> String {
    let count: usize = by_seed.iter().map(|(_, estimates)| estimates.len()).sum();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!(
        "Eigenvalues estimated by {title}, logarithmic, against steps: from {} to {} in {count} estimations. The \
         table of refreshes has them.",
        number(least),
        number(greatest)
    )
}

fn note(several: bool, every: usize, greatest: f64) -> String {
    let mut notes = vec![
        match several {
            true => "One line per eigenvalue and seed",
            false => "One line per eigenvalue",
        }
        .to_owned(),
    ];
    if every > 1 {
        notes.push(format!("one estimation in {every} is drawn"));
    }
    if greatest <= 1.0 {
        notes.push("s was 1 throughout".to_owned());
    }
    notes.join("; ") + "."
}

fn subscript(number: usize) -> String {
    let digit = |digit: char| char::from_u32(digit as u32 - '0' as u32 + '₀' as u32);
    number.to_string().chars().filter_map(digit).collect()
}
