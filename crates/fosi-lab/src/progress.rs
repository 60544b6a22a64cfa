//! What the user sees while a run goes on: a bar an optimizer, or plain lines where there is no terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::optimizers::OptimizerName;
use crate::runs::{Failure, MetricsRow};
use crate::train::{Observer, StepReport};

/// Watches a run on standard error, with bars where that is a terminal.
pub fn on_stderr() -> Box<dyn Observer> {
    if std::io::stderr().is_terminal() {
        Box::new(Bars::default())
    } else {
        Box::new(Lines::new(std::io::stderr()))
    }
}

/// A bar on standard error for `ticks` pieces of work; nothing where that is no terminal. Gone when it is dropped.
pub fn ticks_on_stderr(name: &'static str, ticks: u64) -> Box<dyn Fn() + Sync> {
    // The drawing library itself keeps silent where there is no terminal.
    let bar = ProgressBar::new(ticks)
        .with_style(style(TEMPLATE_TICKS))
        .with_prefix(name)
        .with_finish(indicatif::ProgressFinish::AndClear);
    Box::new(move || bar.inc(1))
}

/// The name under which an optimizer's progress appears.
fn label(optimizer: OptimizerName, seed: u64) -> String {
    format!("{optimizer} (seed {seed})")
}

/// A bar with loss, accuracy, step rate and time left; it stays when its optimizer is over.
#[derive(Debug, Default)]
struct Bars {
    bar: Option<ProgressBar>,
}

const TEMPLATE: &str = "{prefix:24} {wide_bar} {percent:>3}%  {rate:>11}  {eta:>4} left  {msg:28}";
const TEMPLATE_TICKS: &str = "{prefix:12} {wide_bar} {pos}/{len} {eta:>4} left";
const TEMPLATE_OVER: &str =
    "{prefix:24} {wide_bar} {percent:>3}%  {rate:>11}  {elapsed:>9}  {msg:28}";

fn style(template: &str) -> ProgressStyle {
    // A template that can't be parsed falls back to the library's own: no reason to end a run.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", write_rate)
        .progress_chars("━╸ ")
}

/// The library's own rate has ten decimals.
fn write_rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let _ = write!(out, "{:.0} steps/s", state.per_sec());
}

impl Observer for Bars {
    fn started(
        &mut self,
        optimizer: OptimizerName,
        seed: u64,
        epochs: usize,
        steps_per_epoch: usize,
    ) {
        let bar = ProgressBar::new((epochs * steps_per_epoch) as u64)
            .with_style(style(TEMPLATE))
            .with_prefix(label(optimizer, seed));
        self.bar = Some(bar);
    }

    fn stepped(&mut self, _: &StepReport) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    fn epoch(&mut self, row: &MetricsRow) {
        if let Some(bar) = &self.bar {
            bar.set_message(standing(row));
        }
    }

    fn failed(&mut self, failure: &Failure) {
        if let Some(bar) = &self.bar {
            bar.println(failure_line(failure));
        }
    }

    fn ended(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.set_style(style(TEMPLATE_OVER));
            bar.abandon();
        }
    }
}

/// A line at the first epoch, the last, and every few seconds between.
#[derive(Debug)]
struct Lines<W> {
    out: W,
    label: String,
    epochs: u64,
    started: Instant,
    last: Option<Instant>,
}

/// Between two lines of the same optimizer.
const PAUSE: Duration = Duration::from_secs(5);

impl<W: Write> Lines<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            label: String::new(),
            epochs: 0,
            started: Instant::now(),
            last: None,
        }
    }

    /// Progress that can't be shown is no reason to end a run.
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
    }
}

impl<W: Write> Observer for Lines<W> {
    fn started(&mut self, optimizer: OptimizerName, seed: u64, epochs: usize, _: usize) {
        self.label = label(optimizer, seed);
        self.epochs = epochs as u64;
        self.started = Instant::now();
        self.last = None;
    }

    fn stepped(&mut self, _: &StepReport) {}

    fn epoch(&mut self, row: &MetricsRow) {
        let due = self.last.is_none_or(|last| last.elapsed() >= PAUSE);
        if !due && row.epoch != self.epochs {
            return;
        }
        self.last = Some(Instant::now());
        let elapsed = self.started.elapsed().as_secs_f64();
        let left = elapsed * (self.epochs - row.epoch) as f64 / row.epoch as f64;
        let rate = row.step as f64 / elapsed.max(f64::MIN_POSITIVE);
        let text = format!(
            "{:24} epoch {}/{}  {}  {rate:.*} steps/s  {left:.0} s left",
            self.label,
            row.epoch,
            self.epochs,
            standing(row),
            if rate < 10.0 { 1 } else { 0 }
        );
        self.line(&text);
    }

    fn failed(&mut self, failure: &Failure) {
        self.line(&failure_line(failure));
    }

    fn ended(&mut self) {}
}

fn standing(row: &MetricsRow) -> String {
    match row.valid_accuracy {
        Some(accuracy) => format!("loss {:.4}  accuracy {accuracy:.4}", row.train_loss),
        None => format!(
            "loss {:.4}  validation {:.4}",
            row.train_loss, row.valid_loss
        ),
    }
}

fn failure_line(failure: &Failure) -> String {
    format!(
        "{} stopped in epoch {} at step {}: {}; its finished epochs are kept, the others go on",
        label(failure.optimizer, failure.seed),
        failure.epoch,
        failure.step,
        failure.reason
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: u64) -> MetricsRow {
        MetricsRow {
            optimizer: "fosi-hb".parse().unwrap(),
            seed: 3,
            epoch,
            step: 7 * epoch,
            train_loss: 0.25,
            valid_loss: 0.5,
            valid_accuracy: Some(0.875),
            train_seconds: 1.0,
            refresh_seconds: 0.0,
            gradients: 0,
            products: 0,
        }
    }

    #[test]
    fn without_a_terminal_the_first_and_the_last_epoch_get_a_line() {
        let mut lines = Lines::new(Vec::new());
        lines.started(row(1).optimizer, 3, 4, 7);
        for epoch in 1..=4 {
            lines.epoch(&row(epoch));
        }
        let text = String::from_utf8(lines.out).unwrap();
        let shown: Vec<&str> = text.lines().collect();
        assert_eq!(shown.len(), 2, "{text}");
        assert!(shown[0].starts_with("fosi-hb (seed 3)"));
        assert!(
            shown[0].contains("epoch 1/4  loss 0.2500  accuracy 0.8750"),
            "{text}"
        );
        assert!(shown[1].contains("epoch 4/4"), "{text}");
    }

    #[test]
    fn the_templates_are_understood() {
        for template in [TEMPLATE, TEMPLATE_OVER, TEMPLATE_TICKS] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
